package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.cli.data.Speech;
import org.tersor.conformance.RandomInputs;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Executable.State;
import org.tersor.runtime.Session;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * How much nearer to clean speech models bring noisy speech: the scale-invariant signal to noise
 * ratio (Le Roux et al., 2019). Each stage takes windows of N samples, a power of two, each a
 * quarter of N behind the one before; a stage whose input has N / 2 + 1 numbers takes the
 * magnitudes of the window's spectrum and gives factors for them. What comes out is overlapped and
 * added.
 *
 * @param decibels of each recording, enhanced
 * @param noisy the same of the recording itself
 */
record Enhancement(List<Double> decibels, List<Double> noisy) {

  double mean() {
    return mean(decibels);
  }

  double noisyMean() {
    return mean(noisy);
  }

  private static double mean(List<Double> values) {
    return values.stream().mapToDouble(d -> d).average().orElse(Double.NaN);
  }

  /** A model and where its samples go in and out. */
  private static final class Stage {
    private final Session session;
    private final Port input;
    private final Port output;
    private final long[] shape;
    private final boolean spectral;
    private final int window;

    Stage(Executable model, List<State> declared, Map<String, Long> dims) {
      List<State> states =
          model.states().isEmpty()
              ? declared.stream()
                  .filter(s -> model.inputs().stream().anyMatch(p -> p.name().equals(s.input())))
                  .toList()
              : model.states();
      List<Port> inputs =
          model.inputs().stream()
              .filter(p -> states.stream().noneMatch(s -> s.input().equals(p.name())))
              .toList();
      List<Port> outputs =
          model.outputs().stream()
              .filter(p -> states.stream().noneMatch(s -> s.output().equals(p.name())))
              .toList();
      if (inputs.size() != 1 || outputs.size() != 1) {
        throw new TersorException(
            "TSR-0906",
            "the task denoise takes models with one input and one output beside state, not "
                + inputs.stream().map(Port::name).toList()
                + " and "
                + outputs.stream().map(Port::name).toList()
                + ". Declare state by --state OUTPUT=INPUT");
      }
      this.input = inputs.getFirst();
      this.output = outputs.getFirst();
      this.shape = RandomInputs.shape(input, dims);
      int length = (int) Tensor.count(shape);
      this.spectral = Integer.bitCount(length) == 2 && length % 2 == 1;
      this.window = spectral ? 2 * (length - 1) : length;
      if (Integer.bitCount(window) != 1 || window < 4) {
        throw new TersorException(
            "TSR-0906",
            "input '"
                + input.name()
                + "' has "
                + length
                + " numbers: neither a power of two nor half of one and one more");
      }
      this.session = new Session(model, states, RandomInputs.symbols(model.inputs(), dims));
    }

    float[] run(float[] block) {
      if (!spectral) {
        return call(block);
      }
      Spectrum spectrum = Spectrum.of(block);
      return spectrum.times(call(spectrum.magnitudes())).samples();
    }

    private float[] call(float[] numbers) {
      Tensor result =
          session.run(Map.of(input.name(), Tensor.of(numbers, shape))).get(output.name());
      if (result == null || result.size() != numbers.length) {
        throw new TersorException(
            "TSR-0906",
            "output '"
                + output.name()
                + "' must have "
                + numbers.length
                + " numbers, not "
                + result);
      }
      float[] made = new float[numbers.length];
      for (int i = 0; i < made.length; i++) {
        made[i] = (float) result.getDouble(i);
      }
      return made;
    }
  }

  /** Half of the discrete Fourier transform of real samples, by its definition. */
  private record Spectrum(double[] re, double[] im) {
    static Spectrum of(float[] x) {
      int n = x.length;
      double[] cos = cosines(n);
      double[] re = new double[n / 2 + 1];
      double[] im = new double[n / 2 + 1];
      for (int k = 0; k < re.length; k++) {
        for (int t = 0; t < n; t++) {
          int at = k * t % n;
          re[k] += x[t] * cos[at];
          im[k] -= x[t] * cos[(at + 3 * n / 4) % n];
        }
      }
      return new Spectrum(re, im);
    }

    private static double[] cosines(int n) {
      double[] cos = new double[n];
      for (int i = 0; i < n; i++) {
        cos[i] = Math.cos(2 * Math.PI * i / n);
      }
      return cos;
    }

    float[] magnitudes() {
      float[] sizes = new float[re.length];
      for (int k = 0; k < sizes.length; k++) {
        sizes[k] = (float) Math.hypot(re[k], im[k]);
      }
      return sizes;
    }

    Spectrum times(float[] factors) {
      double[] r = new double[re.length];
      double[] i = new double[re.length];
      for (int k = 0; k < r.length; k++) {
        r[k] = re[k] * factors[k];
        i[k] = im[k] * factors[k];
      }
      return new Spectrum(r, i);
    }

    float[] samples() {
      int n = 2 * (re.length - 1);
      double[] cos = cosines(n);
      float[] x = new float[n];
      for (int t = 0; t < n; t++) {
        double sum = re[0] + (t % 2 == 0 ? re[n / 2] : -re[n / 2]);
        for (int k = 1; k < n / 2; k++) {
          int at = k * t % n;
          sum += 2 * (re[k] * cos[at] - im[k] * cos[(at + 3 * n / 4) % n]);
        }
        x[t] = (float) (sum / n);
      }
      return x;
    }
  }

  /**
   * Measures a chain of models.
   *
   * @param declared states of all models
   * @param noisy recordings NAME_noisy.wav, each beside its NAME_clean.wav
   */
  static Enhancement measure(
      List<Executable> models,
      List<State> declared,
      Map<String, Long> dims,
      List<Path> noisy,
      Runnable step)
      throws IOException {
    List<Stage> stages = models.stream().map(m -> new Stage(m, declared, dims)).toList();
    int window = stages.getFirst().window;
    if (stages.stream().anyMatch(s -> s.window != window)) {
      throw new TersorException(
          "TSR-0906", "the models take windows of different sizes; they must be the same");
    }
    Enhancement result = new Enhancement(new ArrayList<>(), new ArrayList<>());
    for (Path file : noisy) {
      float[] x = Speech.samples(file);
      float[] clean =
          Speech.samples(
              file.resolveSibling(
                  String.valueOf(file.getFileName()).replace("_noisy.wav", "_clean.wav")));
      stages.forEach(s -> s.session.reset());
      float[] made = new float[x.length];
      int whole = 0;
      for (int from = 0; from + window <= x.length; from += window / 4) {
        float[] block = java.util.Arrays.copyOfRange(x, from, from + window);
        for (Stage stage : stages) {
          block = stage.run(block);
        }
        for (int i = 0; i < window; i++) {
          made[from + i] += block[i];
        }
        whole = from + window / 4; // later windows add nothing before this
      }
      int to = Math.min(whole, clean.length);
      result.decibels.add(ratio(made, clean, window, to));
      result.noisy.add(ratio(x, clean, window, to));
      step.run();
    }
    return result;
  }

  /** Recordings NAME_noisy.wav of a folder that have a NAME_clean.wav. */
  static List<Path> pairs(Path folder) throws IOException {
    List<Path> noisy =
        Speech.files(folder).stream()
            .filter(f -> String.valueOf(f.getFileName()).endsWith("_noisy.wav"))
            .filter(f ->
                Files.exists(
                    f.resolveSibling(
                        String.valueOf(f.getFileName()).replace("_noisy.wav", "_clean.wav"))))
            .toList();
    if (noisy.isEmpty()) {
      throw new TersorException(
          "TSR-0902", folder + " holds no NAME_noisy.wav beside a NAME_clean.wav");
    }
    return noisy;
  }

  /** Of samples {@code from} to {@code to}, in dB. */
  static double ratio(float[] made, float[] clean, int from, int to) {
    double meanMade = 0;
    double meanClean = 0;
    for (int i = from; i < to; i++) {
      meanMade += made[i] / (to - from);
      meanClean += clean[i] / (to - from);
    }
    double product = 0;
    double power = 0;
    for (int i = from; i < to; i++) {
      product += (made[i] - meanMade) * (clean[i] - meanClean);
      power += (clean[i] - meanClean) * (clean[i] - meanClean);
    }
    double scale = product / power;
    double signal = 0;
    double noise = 0;
    for (int i = from; i < to; i++) {
      double wanted = scale * (clean[i] - meanClean);
      double error = made[i] - meanMade - wanted;
      signal += wanted * wanted;
      noise += error * error;
    }
    return 10 * Math.log10(signal / noise);
  }

  /** What the result says, by name. */
  Map<String, Object> json() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("metric", "si-snr");
    json.put("value", mean());
    json.put("noisy", noisyMean());
    json.put("n", decibels.size());
    json.put("perSample", decibels);
    return json;
  }
}
