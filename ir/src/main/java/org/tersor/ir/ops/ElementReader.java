package org.tersor.ir.ops;

import java.util.HashMap;
import java.util.Map;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Elements of any type as reals or integers; strings as numbers that are equal where the strings
 * are.
 */
final class ElementReader {
  private final boolean realNumbers;
  private final Map<String, Long> numbers = new HashMap<>();
  private final Map<Long, String> strings = new HashMap<>();

  /**
   * @param realNumbers integers are read as reals, too
   */
  ElementReader(boolean realNumbers) {
    this.realNumbers = realNumbers;
  }

  ScalarEval.Kind kind(DType dtype) {
    return dtype.isFloat() || dtype.isComplex() || (realNumbers && dtype.isInteger())
        ? ScalarEval.Kind.REAL
        : dtype == DType.U64 ? ScalarEval.Kind.UNSIGNED : ScalarEval.Kind.INTEGER;
  }

  long integer(Tensor tensor, int at) {
    if (tensor.dtype() == DType.STRING) {
      return numbers.computeIfAbsent(
          tensor.strings()[at],
          s -> {
            strings.put((long) strings.size(), s);
            return (long) strings.size() - 1;
          });
    }
    return tensor.getLong(at);
  }

  void store(Tensor out, int at, ScalarEval.Code code, double[] reals, long[] integers) {
    if (out.dtype() == DType.STRING) {
      out.strings()[at] = strings.getOrDefault(code.integer().at(reals, integers), "");
    } else if (out.dtype().isFloat()) {
      setReal(out, at, code.real().at(reals, integers));
    } else if (code.kind() == ScalarEval.Kind.REAL && out.dtype() != DType.BOOL) {
      out.setLong(at, toInteger(code.real().at(reals, integers), out.dtype()));
    } else {
      out.setLong(at, code.integer().at(reals, integers));
    }
  }

  /** Half to even; beyond the range of a small float: infinity, or NaN where there is none. */
  static void setReal(Tensor out, int at, double value) {
    switch (out.dtype().slot()) {
      case BYTE ->
          out.bytes()[at] =
              (byte) org.tersor.runtime.Minifloat.of(out.dtype()).encode(value, false);
      default -> out.setDouble(at, value);
    }
  }

  /** Toward zero; out of range the nearest, NaN gives 0: as the loop IR's conversion. */
  static long toInteger(double value, DType dtype) {
    if (dtype == DType.U64) {
      if (value >= 0x1p63) {
        return value >= 0x1p64 ? -1L : (long) (value - 0x1p63) + Long.MIN_VALUE;
      }
      return Math.max(0, (long) value);
    }
    long whole = (long) value;
    DType range = dtype.bits() < 8 ? DType.I32 : dtype;
    return Math.max(range.minValue(), Math.min(range.maxValue(), whole));
  }
}
