package org.tersor.cli.data;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.tersor.conformance.RandomInputs;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Recordings for models that read sound: windows of the size of their input, one behind the other;
 * what is left at the end of a recording is no sample.
 */
final class Windows {
  private Windows() {}

  private record Window(Path file, int from) {}

  static Samples.Data of(List<Path> files, Port input, Map<String, Long> dims) throws IOException {
    long[] shape = RandomInputs.shape(input, dims);
    int size = 1;
    for (long extent : shape) {
      size = Math.multiplyExact(size, Math.toIntExact(extent));
    }
    if (input.dtype() != DType.F32 || size < 2) {
      throw new TersorException(
          "TSR-0903",
          "input '"
              + input.name()
              + "' takes no sound: it must have float32 samples; give the size of a window by --dim"
              + " NAME=N where the model leaves it open");
    }
    List<Window> windows = new ArrayList<>();
    for (Path file : files) {
      int length = Speech.samples(file).length;
      for (int from = 0; from + size <= length; from += size) {
        windows.add(new Window(file, from));
      }
    }
    int samples = size;
    return new Samples.Data(
        windows.size(),
        List.of(),
        (from, batch) -> {
          if (batch != 1) {
            throw new TersorException("TSR-0903", "recordings are read one window at a time");
          }
          Window window = windows.get(from);
          float[] sound = Speech.samples(window.file());
          Tensor tensor = Tensor.zeros(DType.F32, shape);
          System.arraycopy(sound, window.from(), tensor.floats(), 0, samples);
          return Map.of(input.name(), tensor);
        });
  }
}
