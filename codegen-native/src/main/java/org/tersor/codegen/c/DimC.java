package org.tersor.codegen.c;

import java.util.List;
import org.tersor.runtime.DimExpr;

/**
 * Dimension expressions as C text over an array {@code d} of the plan's symbols; names of symbols
 * never reach the text.
 */
final class DimC {
  /**
   * Arithmetic that notes an overflow in {@code *bad} and then gives 0, and divisions that survive
   * a zero.
   */
  static final String HELPERS =
      """
      TSR_DIM int64_t tsr_dim_add(int32_t *bad, int64_t a, int64_t b) { int64_t r; if (__builtin_add_overflow(a, b, &r)) { *bad = 1; return 0; } return r; }
      TSR_DIM int64_t tsr_dim_mul(int32_t *bad, int64_t a, int64_t b) { int64_t r; if (__builtin_mul_overflow(a, b, &r)) { *bad = 1; return 0; } return r; }
      TSR_DIM int64_t tsr_dim_floordiv(int64_t a, int64_t b) { if (b == 0) return 0; if (b == -1) return (int64_t)(0 - (uint64_t)a); int64_t q = a / b; return q - (a % b != 0 && (a % b < 0) != (b < 0)); }
      TSR_DIM int64_t tsr_dim_ceildiv(int64_t a, int64_t b) { if (b == 0) return 0; if (b == -1) return (int64_t)(0 - (uint64_t)a); int64_t q = a / b; return q + (a % b != 0 && (a % b < 0) == (b < 0)); }
      TSR_DIM int64_t tsr_dim_mod(int64_t a, int64_t b) { if (b == 0 || b == -1) return 0; int64_t r = a % b; return r != 0 && (r < 0) != (b < 0) ? r + b : r; }
      TSR_DIM int64_t tsr_dim_min(int64_t a, int64_t b) { return a < b ? a : b; }
      TSR_DIM int64_t tsr_dim_max(int64_t a, int64_t b) { return a > b ? a : b; }
      """;

  private final List<String> symbols;

  DimC(List<String> symbols) {
    this.symbols = symbols;
  }

  /** The value; {@code checked}: with {@code bad} of type int32_t * in scope. */
  String text(DimExpr e, boolean checked) {
    return e.fold(
        new DimExpr.Algebra<String>() {
          @Override
          public String constant(long value) {
            return CConst.integer(org.tersor.ir.loop.Scalar.I64, value);
          }

          @Override
          public String symbol(String name) {
            int i = symbols.indexOf(name);
            if (i < 0) {
              throw new IllegalStateException("the plan has no dimension " + name);
            }
            return "d[" + i + "]";
          }

          @Override
          public String add(String a, String b) {
            return checked ? "tsr_dim_add(bad, " + a + ", " + b + ")" : "(" + a + " + " + b + ")";
          }

          @Override
          public String multiply(String a, String b) {
            return checked ? "tsr_dim_mul(bad, " + a + ", " + b + ")" : "(" + a + " * " + b + ")";
          }

          @Override
          public String opaque(DimExpr.Kind kind, String a, String b) {
            String name =
                switch (kind) {
                  case FLOORDIV -> "tsr_dim_floordiv(";
                  case CEILDIV -> "tsr_dim_ceildiv(";
                  case MOD -> "tsr_dim_mod(";
                  case MIN -> "tsr_dim_min(";
                  case MAX -> "tsr_dim_max(";
                };
            return name + a + ", " + b + ")";
          }
        });
  }
}
