package org.tersor.plugins.x86;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.reflect.Array;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.loop.Legalizer;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.loop.LoopPrinter;
import org.tersor.ir.loop.RandomFunctions;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.schedule.KernelTestKit;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.DType;
import org.tersor.runtime.KernelCode;

/** Random functions and kernels give the interpreter's bits; one NaN is as good as another. */
class RandomFunctionsTest {
  static Object random(Scalar scalar, int n, Random random) {
    DType dtype = scalar.dtype();
    Object array = dtype.slot().newArray(n);
    double[] special = {
      0.0,
      -0.0,
      Double.NaN,
      Double.POSITIVE_INFINITY,
      Double.NEGATIVE_INFINITY,
      0.5,
      -0.5,
      2.5,
      0x1p31,
      -0x1p31,
      0x1p32,
      0x1p63,
      -0x1p63,
      0x1p64,
      127.5,
      128,
      255.5,
      -128.5,
      8388607.5,
      Float.MIN_VALUE,
      65504,
      65520
    };
    for (int i = 0; i < n; i++) {
      double real =
          switch (random.nextInt(6)) {
            case 0 -> special[random.nextInt(special.length)];
            case 1 -> random.nextGaussian() * Math.scalb(1.0, random.nextInt(70));
            case 2 -> random.nextInt(-300, 300) + 0.5;
            case 3 -> Math.scalb(random.nextGaussian(), -random.nextInt(140));
            default -> random.nextGaussian() * 10;
          };
      long integer =
          switch (random.nextInt(8)) {
            case 0 -> 0;
            case 1 -> -1;
            case 2 -> 1L << random.nextInt(64);
            default -> random.nextLong() >> random.nextInt(64);
          };
      switch (array) {
        case byte[] a -> a[i] = (byte) (scalar == Scalar.BOOL ? integer & 1 : integer);
        case short[] a -> a[i] = (short) integer;
        case int[] a -> a[i] = (int) integer;
        case long[] a -> a[i] = integer;
        case float[] a -> a[i] = (float) real;
        case double[] a -> a[i] = real;
        default -> throw new AssertionError();
      }
    }
    return array;
  }

  static Object copy(Object array) {
    int n = Array.getLength(array);
    Object copy = Array.newInstance(array.getClass().getComponentType(), n);
    System.arraycopy(array, 0, copy, 0, n);
    return copy;
  }

  private static boolean same(Scalar scalar, Object a, Object b) {
    if (a.equals(b)) {
      return true;
    }
    if (a instanceof Short x && b instanceof Short y) {
      return scalar == Scalar.F16
          ? Float.isNaN(Float.float16ToFloat(x)) && Float.isNaN(Float.float16ToFloat(y))
          : scalar == Scalar.BF16
              && Float.isNaN(Float.intBitsToFloat(x << 16))
              && Float.isNaN(Float.intBitsToFloat(y << 16));
    }
    return false;
  }

  /** What differs, or nothing. */
  static String difference(LoopFunction function, List<Object> expected, List<Object> actual) {
    for (int i = 0; i < expected.size(); i++) {
      LoopFunction.BufferParam buffer = function.buffers().get(i);
      for (int k = 0; k < Array.getLength(expected.get(i)); k++) {
        Object e = Array.get(expected.get(i), k);
        Object a = Array.get(actual.get(i), k);
        if (!same(buffer.element(), e, a)) {
          return buffer.name() + "[" + k + "] is " + a + ", not " + e;
        }
      }
    }
    return "";
  }

  static void run(KernelCode code, List<Object> arrays, int... dims) {
    code.run(arrays.toArray(), new int[arrays.size()], dims, 0, 1);
  }

  @ParameterizedTest
  @ValueSource(strings = {"avx512vnni", "avx512"})
  void functionsDoWhatTheInterpreterDoes(String name) {
    Target target = Target.nativeTarget(name);
    assumeTrue(Cpu.unavailable().isEmpty() && Cpu.supports(target), "no processor for " + name);
    int count = Integer.getInteger("tersor.random.kernels", 150);
    int first = Integer.getInteger("tersor.random.first", 0);
    List<String> wrong = new ArrayList<>();
    for (int seed = first; seed < first + count && wrong.size() < 5; seed++) {
      LoopFunction function = Legalizer.legalize(new RandomFunctions(seed).function(), target);
      Random random = new Random(seed);
      List<Object> inputs = new ArrayList<>();
      for (LoopFunction.BufferParam b : function.buffers()) {
        inputs.add(random(b.element(), RandomFunctions.ELEMENTS, random));
      }
      List<Object> expected = inputs.stream().map(RandomFunctionsTest::copy).toList();
      List<Object> actual = inputs.stream().map(RandomFunctionsTest::copy).toList();
      run(LoopInterpreter.compile(function), expected, 5);
      try {
        run(Compiled.of(function, target), actual, 5);
      } catch (RuntimeException e) {
        throw new AssertionError("seed " + seed + "\n" + LoopPrinter.print(function), e);
      }
      String difference = difference(function, expected, actual);
      if (!difference.isEmpty()) {
        wrong.add("seed " + seed + ": " + difference);
      }
    }
    assertEquals(List.of(), wrong);
  }

  @ParameterizedTest
  @ValueSource(strings = {"avx512vnni", "avx512"})
  void scheduledKernelsDoWhatTheirDefinitionSays(String name) {
    Target target = Target.nativeTarget(name);
    assumeTrue(Cpu.unavailable().isEmpty() && Cpu.supports(target), "no processor for " + name);
    int count = Integer.getInteger("tersor.random.kernels", 60);
    for (long seed = 2000; seed < 2000 + count; seed++) {
      try {
        KernelTestKit.random(seed).check(target, f -> Compiled.of(f, target));
      } catch (AssertionError | RuntimeException e) {
        throw new AssertionError("seed " + seed + ": " + e.getMessage(), e);
      }
    }
  }
}
