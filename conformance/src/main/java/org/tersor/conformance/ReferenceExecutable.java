package org.tersor.conformance;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.runtime.Arguments;
import org.tersor.runtime.Datum;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/**
 * A session of the reference as an executable, to run and evaluate models in it. One call at a
 * time.
 */
public final class ReferenceExecutable implements Executable {
  private final String name;
  private final Reference.Session session;
  private final List<Port> inputs;
  private final List<Port> outputs;

  public ReferenceExecutable(String name, Reference.Session session) {
    this.name = name;
    this.session = session;
    this.inputs = ports(session.inputs());
    this.outputs = ports(session.outputs());
  }

  /** Dimensions that the reference does not know get a symbol of their own. */
  private static List<Port> ports(List<Reference.Port> given) {
    List<Port> ports = new ArrayList<>();
    for (Reference.Port port : given) {
      List<DimExpr> shape = new ArrayList<>();
      for (long dim : port.shape()) {
        shape.add(
            dim >= 0
                ? DimExpr.of(dim)
                : DimExpr.symbol("free_" + ports.size() + "_" + shape.size()));
      }
      ports.add(new Port(port.name(), port.dtype(), shape));
    }
    return List.copyOf(ports);
  }

  @Override
  public List<Port> inputs() {
    return inputs;
  }

  @Override
  public List<Port> outputs() {
    return outputs;
  }

  @Override
  public synchronized Map<String, Tensor> run(
      Map<String, Tensor> given, Map<String, Tensor> targets) {
    Map<String, Tensor> results = new LinkedHashMap<>();
    Map<String, Tensor> found = Reference.tensors(session.run(given));
    for (Port port : outputs) {
      Tensor result = found.get(port.name());
      if (result != null) {
        results.put(
            port.name(),
            Arguments.deliver(port, result, Optional.ofNullable(targets.get(port.name()))));
      }
    }
    return results;
  }

  @Override
  public synchronized Map<String, Datum> call(Map<String, ? extends Datum> given) {
    return session.run(given);
  }

  @Override
  public String describe() {
    return name;
  }
}
