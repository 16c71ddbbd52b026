package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.Culprits;
import org.tersor.runtime.Npy;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.WholeFile;

/**
 * Blamed layers as files: {@code 01-NAME.onnx} is the layer with its quantizers, {@code
 * 01-NAME.npz} its tensors: array {@code i:INPUT} is an input of sample i, {@code i:expected} what
 * the float layer makes of it. {@code culprits.txt} lists them with the reported noise and causes.
 */
final class CulpritFiles {
  private CulpritFiles() {}

  static List<Path> write(
      Compiler compiler, CompileOptions compile, List<Culprits.Culprit> culprits, Path folder)
      throws IOException {
    Files.createDirectories(folder);
    List<Path> files = new ArrayList<>();
    StringBuilder list = new StringBuilder();
    for (Culprits.Culprit culprit : culprits) {
      String name =
          String.format(
              Locale.ROOT,
              "%02d-%s",
              files.size() + 1,
              culprit.layer().node().replaceAll("[^A-Za-z0-9._-]+", "_"));
      Path model = folder.resolve(name + ".onnx");
      compiler.write(compiler.exportable(culprit.model(), compile), model, Map.of());
      Map<String, Tensor> arrays = new LinkedHashMap<>();
      for (int i = 0; i < culprit.inputs().size(); i++) {
        for (Map.Entry<String, Tensor> input : culprit.inputs().get(i).entrySet()) {
          arrays.put(i + ":" + input.getKey(), input.getValue());
        }
        arrays.put(i + ":expected", culprit.expected().get(i));
      }
      WholeFile.write(folder.resolve(name + ".npz"), file -> Npy.writeAll(arrays, file));
      files.add(model);
      list.append(
          String.format(Locale.ROOT, "%s: alone %.1f dB%n", name, culprit.layer().isolated()));
      culprit.layer().causes().forEach(c -> list.append("  ").append(c.words()).append('\n'));
    }
    WholeFile.write(
        folder.resolve("culprits.txt"), file -> Files.writeString(file, list.toString()));
    return files;
  }
}
