package org.tersor.passes.quant;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Tensor;

/**
 * Sizes of the channels (last dimension) of some values over calibration samples.
 *
 * @param largest largest magnitude of each channel
 * @param mean mean magnitude of each channel
 */
public record ChannelRanges(Map<Value, double[]> largest, Map<Value, double[]> mean) {

  /** Runs a graph over samples. */
  public static ChannelRanges measure(
      Compiler compiler,
      Graph prepared,
      Collection<Value> values,
      Iterable<Map<String, Tensor>> samples,
      String backend,
      CompileOptions options) {
    Observed observed =
        new Observed(compiler, prepared, values, backend, options.withNote(note -> {}));
    Map<Value, double[]> largest = new LinkedHashMap<>();
    Map<Value, double[]> sums = new LinkedHashMap<>();
    Map<Value, Long> rows = new LinkedHashMap<>();
    for (Map<String, Tensor> sample : samples) {
      observed
          .run(sample)
          .forEach((value, tensor) -> {
            long[] shape = tensor.shape();
            int width = (int) shape[shape.length - 1];
            double[] max = largest.computeIfAbsent(value, v -> new double[width]);
            double[] sum = sums.computeIfAbsent(value, v -> new double[width]);
            for (int i = 0; i < tensor.size(); i++) {
              double size = Math.abs(tensor.getDouble(i));
              if (size < Double.POSITIVE_INFINITY) {
                max[i % width] = Math.max(max[i % width], size);
                sum[i % width] += size;
              }
            }
            rows.merge(value, (long) tensor.size() / Math.max(1, width), Long::sum);
          });
    }
    sums.forEach((value, sum) -> {
      for (int j = 0; j < sum.length; j++) {
        sum[j] /= Math.max(1, rows.getOrDefault(value, 1L));
      }
    });
    return new ChannelRanges(largest, sums);
  }
}
