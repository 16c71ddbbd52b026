package org.tersor.codegen.c;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.DType;
import org.tersor.runtime.KernelCode;
import org.tersor.runtime.Tensor;

/** Short forms for tests of generated code. */
final class Kernels {
  private Kernels() {}

  static final List<String> TARGETS = List.of("avx512vnni", "avx512", "avx2", "scalar");

  static boolean runsHere(String target) {
    return Cpu.supports(Isa.of(Target.nativeTarget(target)));
  }

  static Expr index(long value) {
    return new Expr.IntConst(Type.INDEX, value);
  }

  /** Elements of a type: the special values first, then random bits and random small numbers. */
  static Tensor values(Scalar scalar, int n, Random random) {
    DType dtype = scalar.dtype();
    Tensor t = Tensor.zeros(dtype, n);
    double[] special = {
      0.0,
      -0.0,
      1,
      -1,
      0.5,
      1.5,
      2.5,
      -0.5,
      -1.5,
      Double.NaN,
      Double.POSITIVE_INFINITY,
      Double.NEGATIVE_INFINITY,
      2147483648.0,
      -2147483648.0,
      2147483520.0,
      4294967296.0,
      9.3e18,
      -9.3e18,
      1.9e19,
      127,
      128,
      -128,
      -129,
      255,
      255.9,
      256,
      32767.5,
      -32769,
      65535.9,
      65536,
      8388607.5,
      8388609,
      1e-45,
      65519.9,
      65520,
      1e-8,
      3e38,
      -3e38
    };
    for (int i = 0; i < n; i++) {
      int kind = random.nextInt(3);
      switch (dtype.slot()) {
        case FLOAT ->
            t.floats()[i] =
                kind == 0
                    ? (float) special[random.nextInt(special.length)]
                    : kind == 1
                        ? random.nextFloat() * 600 - 300
                        : Float.intBitsToFloat(random.nextInt());
        case DOUBLE ->
            t.doubles()[i] =
                kind == 0
                    ? special[random.nextInt(special.length)]
                    : kind == 1
                        ? random.nextDouble() * 600 - 300
                        : Double.longBitsToDouble(random.nextLong());
        default -> {
          long[] edges = {
            0,
            1,
            -1,
            Long.MIN_VALUE,
            Long.MAX_VALUE,
            Integer.MIN_VALUE,
            Integer.MAX_VALUE,
            -128,
            127,
            -32768,
            32767,
            255,
            7
          };
          long v =
              kind == 0
                  ? edges[random.nextInt(edges.length)]
                  : kind == 1 ? random.nextInt(20) - 10 : random.nextLong();
          if (scalar == Scalar.BOOL) {
            v &= 1;
          }
          switch (dtype.slot()) {
            case BYTE -> t.bytes()[i] = (byte) v;
            case SHORT -> t.shorts()[i] = (short) v;
            case INT -> t.ints()[i] = (int) v;
            default -> t.longs()[i] = v;
          }
        }
      }
    }
    return t;
  }

  static MemorySegment heap(Object array) {
    return switch (array) {
      case byte[] a -> MemorySegment.ofArray(a);
      case short[] a -> MemorySegment.ofArray(a);
      case int[] a -> MemorySegment.ofArray(a);
      case long[] a -> MemorySegment.ofArray(a);
      case float[] a -> MemorySegment.ofArray(a);
      case double[] a -> MemorySegment.ofArray(a);
      default -> throw new IllegalArgumentException();
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
      default -> throw new IllegalArgumentException();
    };
  }

  /**
   * Runs compiled code on copies of arrays that end right at the end of their memory; the arrays
   * after it.
   */
  static List<Object> runNative(
      NativeKernel kernel, List<Object> arrays, long[] dims, long from, long to) {
    List<Object> results = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      List<MemorySegment> segments = new ArrayList<>();
      for (Object array : arrays) {
        MemorySegment source = heap(array);
        MemorySegment segment =
            arena.allocate(source.byteSize() + 64, 64).asSlice(0, source.byteSize());
        segment.copyFrom(source);
        segments.add(segment);
      }
      kernel.run(segments, dims, from, to);
      for (int i = 0; i < arrays.size(); i++) {
        Object result = copy(arrays.get(i));
        heap(result).copyFrom(segments.get(i));
        results.add(result);
      }
    }
    return results;
  }

  /** Compiled code that is given heap arrays. */
  static KernelCode onArrays(NativeKernel kernel) {
    return (arrays, offsets, dims, from, to) -> {
      List<Object> results =
          runNative(
              kernel,
              new ArrayList<>(Arrays.asList(arrays)),
              Arrays.stream(dims).asLongStream().toArray(),
              from,
              to);
      for (int i = 0; i < arrays.length; i++) {
        heap(arrays[i]).copyFrom(heap(results.get(i)));
      }
    };
  }

  static List<Object> runInterpreter(LoopFunction function, List<Object> arrays, long[] dims) {
    List<Object> results = arrays.stream().map(Kernels::copy).toList();
    LoopInterpreter.run(function, results.toArray(), new int[arrays.size()], dims);
    return results;
  }

  /** The first element that differs as text, or the empty string; all NaN are equal. */
  static String difference(Object expected, Object actual) {
    int n = java.lang.reflect.Array.getLength(expected);
    for (int i = 0; i < n; i++) {
      Object e = java.lang.reflect.Array.get(expected, i);
      Object a = java.lang.reflect.Array.get(actual, i);
      // Float.equals compares bits with one NaN.
      if (!e.equals(a)) {
        return "element " + i + ": expected " + e + ", got " + a;
      }
    }
    return "";
  }

  static MemorySegment ints(Arena arena, int... values) {
    return arena.allocateFrom(ValueLayout.JAVA_INT, values);
  }
}
