package org.tersor.ir.ops;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.dsl.LoopParser;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.LoopProgram;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.Lowering;
import org.tersor.runtime.DimExpr;

/** Kernels whose text is in the loop IR, generic in element types. */
final class LoopText {
  /**
   * Sorts the numbers in {@code order[0..count]}, equals staying as they are, by merging runs with
   * the help of {@code other}. {@code $VERDICT$} are statements that make {@code verdict} negative
   * if number {@code p} comes first and positive if {@code q} does.
   */
  static final String SORT =
      """
      local width = 1;
      while width < count {
        for pair in 0..(count + 2 * width - 1) / (2 * width) {
          let low = pair * 2 * width;
          let middle = min(low + width, count);
          let high = min(middle + width, count);
          local a = low;
          local b = middle;
          for at in low..high {
            let p = index(order[a if a < middle]);
            let q = index(order[b if b < high]);
            local verdict = select(a >= middle, 1, select(b >= high, -1, 0));
            if verdict == 0 {
              $VERDICT$
            }
            if verdict <= 0 {
              other[at] = i64(p);
              a = a + 1;
            } else {
              other[at] = i64(q);
              b = b + 1;
            }
          }
        }
        for at in 0..count {
          order[at] = other[at];
        }
        width = 2 * width;
      }
      """;

  private LoopText() {}

  /**
   * A serial kernel.
   *
   * @param dims for each dimension parameter of the text, its value
   * @param words replacements of words in upper case between {@code $} signs; what one is replaced
   *     by may hold others
   */
  static Lowering compute(
      List<Buf> inputs,
      List<Buf> outputs,
      List<Buf> temporaries,
      String text,
      List<DimExpr> dims,
      Map<String, String> words) {
    String own = text;
    for (int round = 0; round <= words.size() && own.contains("$"); round++) {
      for (var word : words.entrySet()) {
        own = own.replace("$" + word.getKey() + "$", word.getValue());
      }
    }
    var function = LoopParser.parse(own);
    return new Lowering.Compute(
        new Kernel(
            function.name(),
            inputs,
            outputs,
            List.of(),
            Optional.of(new LoopProgram(function, dims, DimExpr.ONE, temporaries))));
  }

  /** Whether element {@code load} differs from zero. */
  static String isNotZero(Scalar element, String load) {
    return switch (element) {
      case BOOL -> load;
      case F16, BF16, F32 -> "f32(" + load + ") != 0.0_f32";
      case F64 -> load + " != 0.0_f64";
      default -> "i64(" + load + ") != 0_i64";
    };
  }

  /** The type that elements can be compared in: the buffer's own or a wider one. */
  static Scalar comparable(Scalar element) {
    return element == Scalar.BOOL || (element.isInteger() && element.bytes() < 4)
        ? Scalar.I32
        : element.isSmallFloat() ? Scalar.F32 : element;
  }

  /**
   * A verdict as {@link #SORT} wants it on {@code x} and {@code y}; a NaN comes after all numbers,
   * and of two the first one is first.
   */
  static String order(Scalar type) {
    String numbers = "select(x < y, -1, select(y < x, 1, 0))";
    return type.isFloat()
        ? "select((x == x) & (y == y), " + numbers + ", select(y != y, -1, 1))"
        : numbers;
  }
}
