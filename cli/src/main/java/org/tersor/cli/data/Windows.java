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

  private record Window(int file, int from) {}

  /** Recordings of which the one read last is kept: its windows are asked for one by one. */
  private static final class Recordings {
    private final List<Path> files;
    private int last = -1;
    private float[] sound = {};

    Recordings(List<Path> files) {
      this.files = files;
    }

    synchronized float[] read(int file) throws IOException {
      if (file != last) {
        sound = Speech.samples(files.get(file));
        last = file;
      }
      return sound;
    }
  }

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
    Recordings recordings = new Recordings(files);
    List<Window> windows = new ArrayList<>();
    for (int file = 0; file < files.size(); file++) {
      int length = Speech.length(files.get(file));
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
          float[] sound = recordings.read(window.file());
          if (sound.length < window.from() + samples) {
            throw new TersorException(
                "TSR-0903", files.get(window.file()) + " is shorter than it says");
          }
          Tensor tensor = Tensor.zeros(DType.F32, shape);
          System.arraycopy(sound, window.from(), tensor.floats(), 0, samples);
          return Map.of(input.name(), tensor);
        });
  }
}
