package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.tersor.cli.data.Speech;
import org.tersor.conformance.RandomInputs;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Executable.State;
import org.tersor.runtime.Session;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * How well a model tells frames with speech from others. The model gets a window of float samples
 * [1, N] and perhaps the rate as an integer; the other inputs are state, which begins with zeros
 * for each recording. Frames have as many samples as the largest power of two within N; what N has
 * more are samples from before the frame. The first output that is no state is the probability.
 *
 * @param auc area under the curve of true against false positives
 * @param accuracy share of frames that are right at a threshold of 0.5
 * @param n frames
 */
record VoiceActivity(double auc, double accuracy, int n) {

  private record Frame(double score, boolean speech) {}

  /** The roles of a model's ports. */
  private record Roles(Port window, List<Port> rates, Port score) {
    static Roles of(Executable model, List<State> states) {
      List<Port> inputs =
          model.inputs().stream()
              .filter(port -> states.stream().noneMatch(s -> s.input().equals(port.name())))
              .toList();
      List<Port> windows = inputs.stream().filter(port -> port.dtype() == DType.F32).toList();
      List<Port> rates = inputs.stream().filter(port -> port.dtype().isInteger()).toList();
      if (windows.size() != 1 || rates.size() > 1 || inputs.size() > 2) {
        throw new TersorException(
            "TSR-0906",
            "the task vad takes models with one input of float samples, perhaps one integer for"
                + " their rate, and state; beside state this model has "
                + inputs.stream().map(Port::name).toList()
                + ". Declare state by --state OUTPUT=INPUT");
      }
      Port score =
          model.outputs().stream()
              .filter(port -> states.stream().noneMatch(s -> s.output().equals(port.name())))
              .findFirst()
              .orElseThrow(() -> new TersorException("TSR-0906", "every output is state"));
      return new Roles(windows.getFirst(), rates, score);
    }
  }

  static VoiceActivity measure(
      Executable model,
      List<State> declared,
      Map<String, Long> dims,
      List<Path> recordings,
      Runnable step)
      throws IOException {
    List<State> states = declared.isEmpty() ? model.states() : declared;
    Roles roles = Roles.of(model, states);
    long[] shape = RandomInputs.shape(roles.window(), dims);
    int length = (int) Tensor.count(shape);
    if (length < 2 || shape.length == 0 || shape[shape.length - 1] != length) {
      throw new TersorException(
          "TSR-0906",
          "input '"
              + roles.window().name()
              + "' would be a window of shape "
              + Arrays.toString(shape)
              + "; give the dimensions values by --dim, e.g. 512 samples");
    }
    int hop = Integer.highestOneBit(length);
    Session session = new Session(model, states, RandomInputs.symbols(model.inputs(), dims));
    List<Frame> frames = new ArrayList<>();
    for (Path file : recordings) {
      session.reset();
      Speech.Recording recording = Speech.read(file, hop);
      for (int i = 0; i < recording.labels().size(); i++) {
        Map<String, Tensor> inputs = new LinkedHashMap<>();
        float[] window = new float[length];
        int from = i * hop - (length - hop);
        int known = Math.max(0, from);
        System.arraycopy(recording.samples(), known, window, known - from, length - (known - from));
        inputs.put(roles.window().name(), Tensor.of(window, shape));
        for (Port rate : roles.rates()) {
          Tensor value = Tensor.zeros(rate.dtype(), RandomInputs.shape(rate, dims));
          value.setLong(0, recording.rate());
          inputs.put(rate.name(), value);
        }
        Tensor score = session.run(inputs).get(roles.score().name());
        if (score == null || score.size() != 1) {
          throw new TersorException(
              "TSR-0906", "output '" + roles.score().name() + "' must be one number, not " + score);
        }
        frames.add(new Frame(score.getDouble(0), recording.labels().get(i)));
      }
      step.run();
    }
    long right = frames.stream().filter(f -> f.score > 0.5 == f.speech).count();
    return new VoiceActivity(auc(frames), right / (double) frames.size(), frames.size());
  }

  /** By ranks; equal scores share theirs. */
  private static double auc(List<Frame> frames) {
    List<Frame> sorted = frames.stream().sorted(Comparator.comparingDouble(Frame::score)).toList();
    double ranks = 0;
    long positive = 0;
    for (int from = 0; from < sorted.size(); ) {
      int to = from;
      while (to < sorted.size() && sorted.get(to).score == sorted.get(from).score) {
        to++;
      }
      long here = IntStream.range(from, to).filter(i -> sorted.get(i).speech).count();
      ranks += here * ((from + 1 + to) / 2.0);
      positive += here;
      from = to;
    }
    long negative = sorted.size() - positive;
    return positive == 0 || negative == 0
        ? Double.NaN
        : (ranks - positive * (positive + 1) / 2.0) / ((double) positive * negative);
  }
}
