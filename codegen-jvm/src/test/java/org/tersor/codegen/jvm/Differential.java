package org.tersor.codegen.jvm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.KernelCode;
import org.tersor.runtime.TersorException;

/**
 * Runs functions interpreted and compiled for every vector width, and compares all bits of all
 * buffers (any NaN is a NaN).
 */
final class Differential {
  static final int[] WIDTHS = {64, 32, 16, 0};
  static final int OFFSET = 3;

  private Differential() {}

  static LoopFunction.BufferParam in(String name, Scalar element) {
    return new LoopFunction.BufferParam(name, element, false);
  }

  static LoopFunction.BufferParam out(String name, Scalar element) {
    return new LoopFunction.BufferParam(name, element, true);
  }

  static List<Object> randomArrays(LoopFunction function, int elements, Random random) {
    List<Object> arrays = new ArrayList<>();
    for (var buffer : function.buffers()) {
      arrays.add(random(buffer.element(), elements, random));
    }
    return arrays;
  }

  static void check(LoopFunction function, int elements, Random random, int... dims) {
    check(function, randomArrays(function, elements, random), 1, dims);
  }

  /** Each buffer starts at slot {@link #OFFSET} of its array. */
  static void check(LoopFunction function, List<Object> inputs, int tasks, int... dims) {
    check(Splitter.BUDGET, function, inputs, tasks, dims);
  }

  static void check(
      int budget, LoopFunction function, List<Object> inputs, int tasks, int... dims) {
    List<Object> expected = inputs.stream().map(Differential::copy).toList();
    run(LoopInterpreter.compile(function), expected, tasks, dims);
    for (int width : function.name().endsWith("x64") ? new int[] {64, 32} : WIDTHS) {
      List<Object> actual = inputs.stream().map(Differential::copy).toList();
      String where = function.name() + " at " + width + " bytes";
      KernelCode kernel;
      try {
        byte[] bytes =
            new JvmEmitter(Target.jvm(width), budget).emit(function, HiddenKernels.CLASS_NAME);
        kernel = HiddenKernels.define(function.name(), bytes);
        run(kernel, actual, tasks, dims);
      } catch (TersorException e) {
        // Random functions may be too large where every lane is code of its own.
        assertEquals("TSR-0601", e.code(), where + ": " + e.getMessage());
        continue;
      } catch (RuntimeException | Error e) {
        throw new AssertionError(where + ": " + e + "\n" + function, e);
      }
      for (int i = 0; i < inputs.size(); i++) {
        var buffer = function.buffers().get(i);
        assertArrayEquals(
            bits(buffer.element(), expected.get(i)),
            bits(buffer.element(), actual.get(i)),
            where + ", buffer " + buffer.name() + "\n" + function.body());
      }
    }
  }

  static void run(KernelCode kernel, List<Object> arrays, int tasks, int... dims) {
    int[] offsets = new int[arrays.size()];
    java.util.Arrays.fill(offsets, OFFSET);
    int half = tasks / 2;
    if (half > 0) {
      kernel.run(arrays.toArray(), offsets, dims, 0, half);
    }
    kernel.run(arrays.toArray(), offsets, dims, half, tasks);
  }

  /** Values of all sizes, the special ones included. */
  static Object random(Scalar scalar, int n, Random random) {
    int length = n + 2 * OFFSET;
    Object array = newArray(scalar, length);
    for (int i = 0; i < length; i++) {
      switch (array) {
        case byte[] a ->
            a[i] = (byte) (scalar == Scalar.BOOL ? random.nextInt(2) : integer(random));
        case short[] a -> a[i] = (short) integer(random);
        case int[] a -> a[i] = (int) integer(random);
        case long[] a -> a[i] = integer(random);
        case float[] a -> a[i] = (float) real(random);
        case double[] a -> a[i] = real(random);
        default -> throw new AssertionError();
      }
    }
    return array;
  }

  private static Object newArray(Scalar scalar, int length) {
    return scalar.dtype().slot().newArray(length);
  }

  private static long integer(Random random) {
    return switch (random.nextInt(8)) {
      case 0 -> 0;
      case 1 -> -1;
      case 2 -> 1L << random.nextInt(64);
      case 3 -> (1L << random.nextInt(64)) - 1;
      default -> random.nextLong() >> random.nextInt(64);
    };
  }

  private static double real(Random random) {
    double[] special = {
      0.0,
      -0.0,
      Double.NaN,
      Double.POSITIVE_INFINITY,
      Double.NEGATIVE_INFINITY,
      0.5,
      -0.5,
      1.5,
      2.5,
      -2.5,
      0x1p22,
      0x1p23,
      0x1p31,
      -0x1p31,
      0x1p32,
      0x1p52,
      0x1p63,
      -0x1p63,
      0x1p64,
      127.5,
      128,
      255.5,
      -128.5,
      8388607.5,
      4194303.5,
      Float.MIN_VALUE,
      65504,
      65520
    };
    return switch (random.nextInt(6)) {
      case 0 -> special[random.nextInt(special.length)];
      case 1 -> random.nextGaussian() * Math.scalb(1.0, random.nextInt(70));
      case 2 -> random.nextInt(-300, 300) + 0.5;
      case 3 -> Math.scalb(random.nextGaussian(), -random.nextInt(140));
      default -> random.nextGaussian() * 10;
    };
  }

  static Object copy(Object array) {
    return switch (array) {
      case byte[] a -> a.clone();
      case short[] a -> a.clone();
      case int[] a -> a.clone();
      case long[] a -> a.clone();
      case float[] a -> a.clone();
      case double[] a -> a.clone();
      default -> throw new AssertionError();
    };
  }

  /** NaNs made equal. */
  static long[] bits(Scalar scalar, Object array) {
    long[] bits = new long[java.lang.reflect.Array.getLength(array)];
    for (int i = 0; i < bits.length; i++) {
      bits[i] =
          switch (array) {
            case byte[] a -> a[i];
            case short[] a ->
                scalar == Scalar.F16 && Float.isNaN(Float.float16ToFloat(a[i]))
                    ? -99
                    : scalar == Scalar.BF16 && Float.isNaN(Float.intBitsToFloat(a[i] << 16))
                        ? -99
                        : a[i];
            case int[] a -> a[i];
            case long[] a -> a[i];
            case float[] a -> Float.floatToIntBits(a[i]);
            case double[] a -> Double.doubleToLongBits(a[i]);
            default -> throw new AssertionError();
          };
    }
    return bits;
  }
}
