package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.tersor.cli.data.Images;
import org.tersor.conformance.RandomInputs;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * How well a model makes pictures larger. The brightness of a photo, 0 to 1, is cut to the size of
 * the model's result around the middle; where it is smaller it is mirrored at its edges. Averages
 * of squares of pixels of it, as many as the model has pixels, are the input, and its result is
 * compared with the photo where that was not mirrored.
 *
 * @param decibels peak signal to noise of each photo, the peak being 1
 */
record PictureQuality(List<Double> decibels) {

  /** Height and width of the input, and how many times larger the result is. */
  private record Sizes(Port input, long[] shape, int height, int width, int times) {
    static Sizes of(Executable model, Map<String, Long> dims) {
      Port input = model.inputs().getFirst();
      Port output = model.outputs().getFirst();
      long[] in = RandomInputs.shape(input, dims);
      long[] out = RandomInputs.shape(output, dims);
      boolean fits =
          model.inputs().size() == 1
              && in.length == 4
              && out.length == 4
              && Tensor.count(in) == in[2] * in[3]
              && Tensor.count(out) == out[2] * out[3]
              && out[2] % in[2] == 0
              && out[2] / in[2] == out[3] / in[3];
      if (!fits) {
        throw new TersorException(
            "TSR-0906",
            "the task psnr takes models from brightness [1, 1, h, w] to [1, 1, n * h, n * w], not from "
                + java.util.Arrays.toString(in)
                + " to "
                + java.util.Arrays.toString(out));
      }
      return new Sizes(input, in, (int) in[2], (int) in[3], (int) (out[2] / in[2]));
    }
  }

  static PictureQuality measure(
      Executable model, Map<String, Long> dims, List<Path> photos, Runnable step)
      throws IOException {
    Sizes sizes = Sizes.of(model, dims);
    int times = sizes.times();
    List<Double> decibels = new ArrayList<>();
    for (Path file : photos) {
      Images.Grey photo = Images.grey(file);
      int top = (photo.height() - sizes.height() * times) / 2;
      int left = (photo.width() - sizes.width() * times) / 2;
      float[] input = new float[sizes.height() * sizes.width()];
      for (int y = 0; y < sizes.height() * times; y++) {
        for (int x = 0; x < sizes.width() * times; x++) {
          input[y / times * sizes.width() + x / times] +=
              photo.mirrored(top + y, left + x) / (times * times);
        }
      }
      Tensor result =
          model
              .run(Map.of(sizes.input().name(), Tensor.of(input, sizes.shape())))
              .values()
              .iterator()
              .next();
      double squares = 0;
      long count = 0;
      for (int i = 0; i < result.size(); i++) {
        int y = top + i / (sizes.width() * times);
        int x = left + i % (sizes.width() * times);
        if (y >= 0 && y < photo.height() && x >= 0 && x < photo.width()) {
          double e = Math.clamp(result.getDouble(i), 0, 1) - photo.mirrored(y, x);
          squares += e * e;
          count++;
        }
      }
      decibels.add(-10 * Math.log10(squares / count));
      step.run();
    }
    return new PictureQuality(List.copyOf(decibels));
  }

  double mean() {
    return decibels.stream().mapToDouble(d -> d).average().orElse(0);
  }

  /** Standard error of the mean difference to another model on the same photos. */
  double errorAgainst(PictureQuality other) {
    int n = decibels.size();
    double mean = mean() - other.mean();
    double squares = 0;
    for (int i = 0; i < n; i++) {
      double d = decibels.get(i) - other.decibels.get(i) - mean;
      squares += d * d;
    }
    return n < 2 ? Double.NaN : Math.sqrt(squares / (n - 1) / n);
  }
}
