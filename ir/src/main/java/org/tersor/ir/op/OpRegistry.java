package org.tersor.ir.op;

import java.util.Collection;
import java.util.Collections;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.runtime.TersorException;

/** All operators known in this process. */
public final class OpRegistry {
  private final Map<String, Operator> operators = new TreeMap<>();

  public OpRegistry(Iterable<OperatorProvider> providers) {
    for (OperatorProvider provider : providers) {
      for (Operator operator : provider.operators()) {
        OpSchema schema = operator.schema();
        Operator other = operators.put(key(schema.domain(), schema.name()), operator);
        if (other != null) {
          throw new TersorException(
              "TSR-0101",
              "operator "
                  + key(schema.domain(), schema.name())
                  + " is defined twice: by "
                  + other.getClass().getName()
                  + " and "
                  + operator.getClass().getName());
        }
      }
    }
  }

  /** The operators that ServiceLoader finds from this module's loader. */
  public static OpRegistry standard() {
    return new OpRegistry(
        java.util.ServiceLoader.load(OperatorProvider.class, OpRegistry.class.getClassLoader()));
  }

  private static String key(String domain, String name) {
    return domain.equals("ai.onnx") || domain.isEmpty() ? name : domain + "." + name;
  }

  /** The operator of that name, if its definition covers the version. */
  public Optional<Operator> find(OpKey op) {
    return Optional.ofNullable(operators.get(key(op.domain(), op.type())))
        .filter(o -> o.schema().versions().getFirst() <= op.version());
  }

  /** The operator of a node; a diagnostic if it is not known. */
  public Operator get(Node node) {
    return find(node.op())
        .orElseThrow(() ->
            new TersorException(
                "TSR-0201",
                "operator " + node.op() + " of node '" + node.name() + "' is not supported"));
  }

  public Collection<Operator> all() {
    return Collections.unmodifiableCollection(operators.values());
  }
}
