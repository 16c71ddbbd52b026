package org.tersor.codegen.c;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.IntFunction;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;

/**
 * Makes vector functions: of one instruction where the target has it at that width, of two halves
 * where it has it at a smaller one, of scalar calls otherwise.
 */
final class CLift {
  private static final List<String> NAMES = List.of("a", "b", "c");
  private final CUnit unit;

  CLift(CUnit unit) {
    this.unit = unit;
  }

  /**
   * @param stem name without the lanes
   * @param scalar name of the scalar function of the same parameters
   * @param simd for a number of lanes, the statements over a, b, c that end in return; empty if
   *     there is no such instruction
   * @return the name of a function from {@code params} of {@code lanes} lanes to {@code result} of
   *     as many
   */
  String lift(
      String stem,
      Scalar result,
      List<Scalar> params,
      int lanes,
      String scalar,
      IntFunction<Optional<String>> simd) {
    if (lanes == 1) {
      return scalar;
    }
    return unit.helper(
        stem + "_x" + lanes,
        () -> {
          String type = unit.type(new Type(result, lanes));
          List<String> declared = new ArrayList<>();
          for (int i = 0; i < params.size(); i++) {
            declared.add(unit.type(new Type(params.get(i), lanes)) + " " + NAMES.get(i));
          }
          String head =
              "TSR_FN "
                  + type
                  + " "
                  + stem
                  + "_x"
                  + lanes
                  + "("
                  + String.join(", ", declared)
                  + ") ";
          Optional<String> one = simd.apply(lanes);
          if (one.isPresent()) {
            return head + "{ " + one.get() + " }";
          }
          for (int smaller = lanes / 2; smaller > 1; smaller /= 2) {
            if (simd.apply(smaller).isPresent()) {
              return head + halves(stem, result, params, lanes, scalar, simd);
            }
          }
          return head + perLane(type, params.size(), lanes, scalar);
        });
  }

  private String halves(
      String stem,
      Scalar result,
      List<Scalar> params,
      int lanes,
      String scalar,
      IntFunction<Optional<String>> simd) {
    String half = lift(stem, result, params, lanes / 2, scalar, simd);
    StringBuilder text = new StringBuilder("{ union { ");
    text.append(unit.type(new Type(result, lanes))).append(" v; ");
    text.append(unit.type(new Type(result, lanes / 2))).append(" p[2]; } r;");
    for (int i = 0; i < params.size(); i++) {
      String full = unit.type(new Type(params.get(i), lanes));
      String part = unit.type(new Type(params.get(i), lanes / 2));
      text.append(" union { ")
          .append(full)
          .append(" v; ")
          .append(part)
          .append(" p[2]; } u")
          .append(i);
      text.append("; u").append(i).append(".v = ").append(NAMES.get(i)).append(";");
    }
    for (int h = 0; h < 2; h++) {
      List<String> args = new ArrayList<>();
      for (int i = 0; i < params.size(); i++) {
        args.add("u" + i + ".p[" + h + "]");
      }
      text.append(" r.p[")
          .append(h)
          .append("] = ")
          .append(half)
          .append("(")
          .append(String.join(", ", args))
          .append(");");
    }
    return text.append(" return r.v; }").toString();
  }

  private static String perLane(String type, int params, int lanes, String scalar) {
    List<String> args = new ArrayList<>();
    for (int i = 0; i < params; i++) {
      args.add(NAMES.get(i) + "[i]");
    }
    return "{ "
        + type
        + " r; for (int i = 0; i < "
        + lanes
        + "; i++) r[i] = "
        + scalar
        + "("
        + String.join(", ", args)
        + "); return r; }";
  }

  /** Prefix of the intrinsics of a register size. */
  static String prefix(int bytes) {
    return bytes == 16 ? "_mm" : bytes == 32 ? "_mm256" : "_mm512";
  }

  /** Register type of a scalar type. */
  static String register(Scalar scalar, int bytes) {
    String base = bytes == 16 ? "__m128" : bytes == 32 ? "__m256" : "__m512";
    return scalar == Scalar.F32 ? base : scalar == Scalar.F64 ? base + "d" : base + "i";
  }

  /** Suffix of the intrinsics of a scalar type: ps, pd, epi32, epu8... */
  static String suffix(Scalar scalar) {
    return switch (scalar) {
      case F32 -> "ps";
      case F64 -> "pd";
      default -> (scalar.isUnsigned() ? "epu" : "epi") + scalar.bytes() * 8;
    };
  }
}
