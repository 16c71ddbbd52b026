package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** A model that repeats pixels, on pictures whose noise against that can be said by hand. */
class PictureQualityTest {
  @TempDir Path folder;

  private static Executable repeating(int times, int height, int width) {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 1, 1, height, width));
    Value scales = b.constant("s", Constant.of(Tensor.of(new float[] {1, 1, times, times}, 4)));
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode(
        "r",
        "",
        "Resize",
        Map.of(
            "mode", new Attribute.StringAttr("nearest"),
            "nearest_mode", new Attribute.StringAttr("floor"),
            "coordinate_transformation_mode", new Attribute.StringAttr("asymmetric")),
        List.of(x, Value.NONE, scales),
        List.of(y));
    b.output(y);
    return Compiler.standard()
        .executable(b.build("g", Map.of()), "interpreter", CompileOptions.defaults());
  }

  /** Columns of brightness 0.2 and 0.6 by turns. */
  private Path striped(int height, int width) throws IOException {
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        image.setRGB(x, y, x % 2 == 0 ? 0x333333 : 0x999999);
      }
    }
    Path file = folder.resolve(height + "x" + width + ".png");
    ImageIO.write(image, "png", file.toFile());
    return file;
  }

  /** The mean of two columns is 0.4, so every pixel is wrong by 0.2: 14 dB. */
  @Test
  void noiseIsCountedOnThePhotosOwnPixels() throws IOException {
    List<Path> photos = List.of(striped(12, 8), striped(12, 16), striped(4, 8));
    PictureQuality quality = PictureQuality.measure(repeating(2, 6, 4), Map.of(), photos, () -> {});
    for (double decibels : quality.decibels()) {
      assertEquals(-10 * Math.log10(0.04), decibels, 1e-4);
    }
    assertEquals(0, quality.errorAgainst(quality));
  }

  @Test
  void modelsThatDoNotEnlargeAreRefused() throws IOException {
    List<Path> photos = List.of(striped(4, 4));
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 1, 3, 4, 4));
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode("r", "", "Relu", Map.of(), List.of(x), List.of(y));
    b.output(y);
    Executable colours =
        Compiler.standard()
            .executable(b.build("g", Map.of()), "interpreter", CompileOptions.defaults());
    assertEquals(
        "TSR-0906",
        assertThrows(
                TersorException.class,
                () -> PictureQuality.measure(colours, Map.of(), photos, () -> {}))
            .code());
  }
}
