package org.tersor.passes.eval;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Tensor;

/** Inputs drawn from a seed: floats N(0, 1), integers and booleans 0 or 1. */
public final class SeededInputs {
  private SeededInputs() {}

  /**
   * @param dims values of symbolic dimensions; 1 where not given
   */
  public static Map<String, Tensor> of(List<Port> ports, Map<String, Long> dims, long seed) {
    Random random = new Random(seed);
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    for (Port port : ports) {
      long[] shape =
          port.shape().stream()
              .mapToLong(dim ->
                  dim.substitute(name -> DimExpr.of(dims.getOrDefault(name, 1L))).constValue())
              .toArray();
      Tensor tensor = Tensor.zeros(port.dtype(), shape);
      for (int i = 0; i < tensor.size() && port.dtype() != DType.STRING; i++) {
        if (port.dtype().isFloat() || port.dtype().isComplex()) {
          tensor.setDouble(i, random.nextGaussian());
        } else {
          tensor.setLong(i, random.nextInt(2));
        }
      }
      inputs.put(port.name(), tensor);
    }
    return inputs;
  }
}
