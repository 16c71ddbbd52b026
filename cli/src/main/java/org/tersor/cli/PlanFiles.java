package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.passes.quant.QuantPlan;
import org.tersor.passes.quant.Quantizer;
import org.tersor.runtime.Npy;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.WholeFile;

/**
 * A plan as a text file, and beside it, where methods chose codes, {@code FILE.codes.npz} with the
 * buffers of each weight: array {@code i:node} is buffer i. Factors between channels are array
 * {@code scale:value}, corrected biases array {@code bias:node}.
 */
final class PlanFiles {
  private PlanFiles() {}

  private static Path codes(Path plan) {
    return plan.resolveSibling(plan.getFileName() + ".codes.npz");
  }

  static void write(Quantizer.Decisions decisions, Path file) throws IOException {
    WholeFile.write(file, f -> Files.writeString(f, decisions.plan().text()));
    if (decisions.codes().isEmpty()
        && decisions.factors().isEmpty()
        && decisions.biases().isEmpty()) {
      Files.deleteIfExists(codes(file));
      return;
    }
    Map<String, Tensor> arrays = new LinkedHashMap<>();
    decisions
        .codes()
        .forEach((node, buffers) -> {
          for (int i = 0; i < buffers.size(); i++) {
            arrays.put(i + ":" + node, buffers.get(i));
          }
        });
    decisions.factors().forEach((value, factors) -> arrays.put("scale:" + value, factors));
    decisions.biases().forEach((node, bias) -> arrays.put("bias:" + node, bias));
    WholeFile.write(codes(file), f -> Npy.writeAll(arrays, f));
  }

  static Quantizer.Decisions read(Path file) throws IOException {
    QuantPlan plan = QuantPlan.parse(Files.readString(file));
    Map<String, List<Tensor>> codes = new LinkedHashMap<>();
    Map<String, Tensor> factors = new LinkedHashMap<>();
    Map<String, Tensor> biases = new LinkedHashMap<>();
    if (Files.exists(codes(file))) {
      Map<String, Tensor> arrays = Npy.readAll(codes(file));
      plan.scales()
          .keySet()
          .forEach(value ->
              Optional.ofNullable(arrays.get("scale:" + value))
                  .ifPresent(f -> factors.put(value, f)));
      plan.biases()
          .keySet()
          .forEach(node ->
              Optional.ofNullable(arrays.get("bias:" + node)).ifPresent(b -> biases.put(node, b)));
      for (String node : plan.choices().keySet()) {
        List<Tensor> buffers = new ArrayList<>();
        Tensor next = arrays.get("0:" + node);
        while (next != null) {
          buffers.add(next);
          next = arrays.get(buffers.size() + ":" + node);
        }
        if (!buffers.isEmpty()) {
          codes.put(node, buffers);
        }
      }
    }
    return new Quantizer.Decisions(plan, codes, factors, biases, List.of());
  }
}
