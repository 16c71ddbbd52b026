package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.cli.data.Preprocess;
import org.tersor.cli.data.Samples;
import org.tersor.conformance.RandomInputs;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.spi.Backend;
import org.tersor.passes.Compiler;
import org.tersor.passes.Registry;
import org.tersor.passes.eval.Ports;
import org.tersor.passes.quant.CalibrationCache;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Samples that ranges of activations, and methods that look at inputs, are chosen on. */
final class CalibrationData {
  private final QuantizeOptions quantize;
  private final ModelOptions model;

  CalibrationData(QuantizeOptions quantize, ModelOptions model) {
    this.quantize = quantize;
    this.model = model;
  }

  /** What calibration files hold, joined; empty if there are none yet. */
  Optional<CalibrationCache> cached() throws IOException {
    Optional<CalibrationCache> joined = Optional.empty();
    for (Path file : quantize.calibrationCache) {
      if (!Files.exists(file)) {
        continue;
      }
      CalibrationCache read = CalibrationCache.parse(Files.readString(file));
      if (joined.isPresent()) {
        joined.get().join(read);
      } else {
        joined = Optional.of(read);
      }
    }
    return joined;
  }

  /** Calibration by interpretation takes hours where compiled code takes seconds. */
  void warnIfInterpreted(Compiler compiler) {
    if (!model.backend.endsWith("interpreter")) {
      return;
    }
    List<String> compiled =
        compiler.registry().backends().stream()
            .map(Registry.Provided::provider)
            .filter(b ->
                b instanceof Backend.OfProgram p
                    && (p.artifacts().contains("jar") || p.artifacts().contains("so")))
            .filter(b -> b.unavailable().isEmpty())
            .map(Backend::id)
            .toList();
    if (!compiled.isEmpty()) {
      model.common.warn(
          "calibrating with backend '"
              + model.backend
              + "', which is slow on purpose; here --backend "
              + String.join(" or ", compiled)
              + " gives the same plan within rounding");
    }
  }

  /** The samples that are asked for; a diagnostic if there are none. */
  Iterable<Map<String, Tensor>> samples(Graph base) throws IOException {
    if (quantize.calibrate.isEmpty()) {
      throw new TersorException(
          "TSR-0413",
          "calibration data is needed for ranges of activations and for methods that look at inputs:"
              + " --calibrate DIR or FILE.npz (or --calibrate random, to time but not to use). Without"
              + " data there are weights alone (--activations none with --method rtn, mse, hqq or kquant and"
              + " --equalize cle), and activations coded when the model runs (--activations"
              + " dynamic_u8_tensor, or dynamic_s8_row for each token)");
    }
    return samples(
        base, model, quantize.calibrate.get(), quantize.calibrationSamples, quantize.task);
  }

  /**
   * Calls of a model for calibration.
   *
   * @param count at most the last so many samples
   */
  static Iterable<Map<String, Tensor>> samples(
      Graph base, ModelOptions model, Path data, int count, Optional<String> task)
      throws IOException {
    List<Port> ports = Ports.inputs(base);
    if (data.toString().equals("random")) {
      model.common.warn("calibrated on random inputs: good for timing, not for accuracy");
      List<Map<String, Tensor>> drawn = new ArrayList<>();
      for (int i = 0; i < Math.min(8, count); i++) {
        Map<String, Tensor> sample = new LinkedHashMap<>();
        RandomInputs.draw(base, ports, model.dims, model.seed + i)
            .forEach((name, d) -> sample.put(name, d.tensor()));
        drawn.add(sample);
      }
      return drawn;
    }
    Samples.Data all =
        Samples.calibration(data, task, ports, model.dims, model.preprocess.map(Preprocess::parse));
    return all.calls(Math.max(0, all.count() - count), all.count());
  }
}
