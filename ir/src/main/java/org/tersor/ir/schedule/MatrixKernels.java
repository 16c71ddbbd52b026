package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.tersor.ir.dsl.KernelParser;

/** Kernels for tests of matrix registers: every way to cut them, all signs, every kind of rest. */
public final class MatrixKernels {
  private MatrixKernels() {}

  /** Kernels in which a sum can be taken in matrix registers, by what is special about them. */
  public static Map<String, KernelTestKit> kits() {
    Map<String, KernelTestKit> kits = new LinkedHashMap<>();
    long[][] shapes = {
      {32, 64, 64},
      {64, 96, 128},
      {33, 70, 37},
      {17, 16, 192},
      {49, 40, 96},
      {7, 33, 100},
      {130, 20, 68}
    };
    for (long[] s : shapes) {
      for (String types : List.of("u8 i8", "i8 i8", "u8 u8", "i8 u8")) {
        kits.put(
            "%dx%dx%d %s".formatted(s[0], s[1], s[2], types),
            product(s[0], s[1], s[2], types, true));
      }
    }
    kits.put("values by values", product(37, 48, 72, "u8 i8", false));
    kits.put(
        "batch",
        kit(
            "kernel f(a: u8[3, 20, 64], w: i8[3, 64, 40]) -> y: i32[3, 20, 40] { y[b, i, j] for b < 3, i < 20, j < 40"
                + " = sum(k < 64) i32(a[b, i, k]) * i32(w[b, k, j]); }"));
    for (String types : List.of("u8 i8", "i8 i8")) {
      for (int channels : new int[] {64, 20, 3}) {
        kits.put("3x3 of " + channels + " " + types, convolution(channels, 1, types));
        kits.put("3x3 of " + channels + " in twos " + types, convolution(channels, 2, types));
      }
    }
    return kits;
  }

  private static KernelTestKit product(long m, long n, long k, String types, boolean weights) {
    String[] type = types.split(" ", -1);
    String text =
        """
        kernel f(a: %s[%d, %d], w: %s[%d, %d], z: %s[1], v: %s[1], s: f32[%d]) -> y: f32[%d, %d] {
          y[i, j] for i < %d, j < %d = s[j] * f32(sum(k < %d) (i32(a[i, k]) - i32(z[0])) * (i32(w[k, j]) - i32(v[0])));
        }
        """
            .formatted(type[0], m, k, type[1], k, n, type[0], type[1], n, m, n, m, n, k);
    Set<String> constants = weights ? Set.of("w", "v", "s") : Set.of();
    return KernelTestKit.of(KernelParser.parse(text), Map.of(), constants, new Random(m + n + k));
  }

  /** Padded, on a picture whose channels are last. */
  private static KernelTestKit convolution(int channels, int stride, String types) {
    String[] type = types.split(" ", -1);
    int width = 35 / stride;
    String text =
        """
        kernel f(x: %s[7, 35, %d], w: %s[3, 3, %d, 40], z: %s[1]) -> y: i32[3, %d, 40] {
          y[h, v, o] for h < 3, v < %d, o < 40 = sum(r < 3, s < 3, c < %d)
            select(h + r >= 1 & h + r < 8 & v * %d + s >= 1 & v * %d + s < 36,
              i32(x[h + r - 1, v * %d + s - 1, c]) - i32(z[0]), 0_i32) * i32(w[r, s, c, o]);
        }
        """
            .formatted(
                type[0], channels, type[1], channels, type[0], width, width, channels, stride,
                stride, stride);
    return kit(text);
  }

  private static KernelTestKit kit(String text) {
    return KernelTestKit.of(KernelParser.parse(text), Map.of(), Set.of("w"), new Random(3));
  }

  /** The kit with each schedule that takes the sum in matrix registers. */
  public static List<KernelTestKit> inMatrices(KernelTestKit kit, Target target) {
    List<KernelTestKit> all = new ArrayList<>();
    List<String> options =
        kit.scheduled(target).run().stream()
            .flatMap(launch -> launch.choice().stream())
            .filter(choice -> choice.shape().startsWith("product"))
            .flatMap(choice -> choice.options().stream())
            .filter(option -> option.contains(MatrixTile.NAME))
            .toList();
    for (String option : options) {
      all.add(kit.with((_, _, known) -> known.stream().filter(option::equals).findFirst()));
    }
    return all;
  }
}
