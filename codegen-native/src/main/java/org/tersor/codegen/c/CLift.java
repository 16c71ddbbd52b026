package org.tersor.codegen.c;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;

/**
 * Makes vector functions: of one instruction where the target has it at that width, of two halves
 * where it has it at a smaller one, lane by lane otherwise.
 */
final class CLift {
  private static final List<String> NAMES = List.of("a", "b", "c");
  private final CUnit unit;

  CLift(CUnit unit) {
    this.unit = unit;
  }

  /** A parameter of a function, or its result (whose name is r). */
  sealed interface Operand {
    String name();

    /** Lanes of a number. */
    record Vector(String name, Scalar scalar) implements Operand {}

    /** Lanes of bool, of {@code width} bytes where they are not bits. */
    record Mask(String name, int width) implements Operand {}

    /** Where the elements of the lanes follow one another in memory. */
    record Address(String name, Scalar scalar, boolean written) implements Operand {}

    /** A pointer that all lanes share. */
    record Base(String name, boolean written) implements Operand {}
  }

  /**
   * A function of every number of lanes.
   *
   * @param stem name without the lanes
   * @param result empty for a function that stores
   * @param guard name of the mask parameter outside of which lanes are left alone (zero in the
   *     result)
   * @param lane for the operands' lanes, in order, the expression of one lane of the result, or its
   *     assignment
   * @param simd for a number of lanes, the statements that end in return; empty if there is no such
   *     instruction
   */
  record Lanewise(
      String stem,
      Optional<Operand> result,
      List<Operand> params,
      Optional<String> guard,
      Function<List<String>, String> lane,
      IntFunction<Optional<String>> simd) {}

  /**
   * A function of vectors named a, b, c.
   *
   * @param scalar name of the scalar function of the same parameters
   * @return its name
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
    List<Operand> operands =
        IntStream.range(0, params.size())
            .<Operand>mapToObj(i -> new Operand.Vector(NAMES.get(i), params.get(i)))
            .toList();
    return lift(
        new Lanewise(
            stem,
            Optional.of(new Operand.Vector("r", result)),
            operands,
            Optional.empty(),
            args -> scalar + "(" + String.join(", ", args) + ")",
            simd),
        lanes);
  }

  /** The name of the function at more than one lane. */
  String lift(Lanewise f, int lanes) {
    String name = f.stem + "_x" + lanes;
    return unit.helper(
        name,
        f.result.map(r -> type(r, lanes)).orElse("void"),
        f.params.stream().map(p -> type(p, lanes) + p.name()).collect(Collectors.joining(", ")),
        () ->
            f.simd
                .apply(lanes)
                .orElseGet(() -> splits(f, lanes) ? halves(f, lanes) : perLane(f, lanes)));
  }

  private static boolean splits(Lanewise f, int lanes) {
    for (int smaller = lanes / 2; smaller > 1; smaller /= 2) {
      if (f.simd.apply(smaller).isPresent()) {
        return true;
      }
    }
    return false;
  }

  /** Type of an operand, ready for a name behind it. */
  private String type(Operand operand, int lanes) {
    return switch (operand) {
      case Operand.Vector v -> unit.type(new Type(v.scalar, lanes)) + " ";
      case Operand.Mask m -> unit.maskType(lanes, m.width) + " ";
      case Operand.Address a -> a.written ? "void *" : "const void *";
      case Operand.Base b -> b.written ? "void *" : "const void *";
    };
  }

  private boolean isBits(Operand operand) {
    return operand instanceof Operand.Mask && unit.isa().bitMasks();
  }

  /** Declares a variable whose halves are {@code name.p[0]} and {@code name.p[1]}. */
  private String union(Operand operand, String name, int lanes) {
    return "union { "
        + type(operand, lanes)
        + "v; "
        + type(operand, lanes / 2)
        + "p[2]; } "
        + name
        + ";";
  }

  private String halves(Lanewise f, int lanes) {
    String half = lift(f, lanes / 2);
    StringBuilder text = new StringBuilder();
    for (Operand param : f.params) {
      boolean split = param instanceof Operand.Vector || param instanceof Operand.Mask;
      if (split && !isBits(param)) {
        String name = "u" + param.name();
        text.append(union(param, name, lanes)).append(' ');
        text.append(name).append(".v = ").append(param.name()).append("; ");
      }
    }
    List<String> calls = new ArrayList<>();
    for (int h = 0; h < 2; h++) {
      int number = h;
      calls.add(
          f.params.stream()
              .map(param -> half(param, number, lanes))
              .collect(Collectors.joining(", ", half + "(", ")")));
    }
    if (f.result.isEmpty()) {
      return text + calls.get(0) + "; " + calls.get(1) + ";";
    }
    Operand result = f.result.get();
    if (isBits(result)) {
      String type = "(" + type(result, lanes).trim() + ")";
      return "%sreturn %s(%s | %s%s << %d);"
          .formatted(text, type, calls.get(0), type, calls.get(1), lanes / 2);
    }
    return "%s%s r.p[0] = %s; r.p[1] = %s; return r.v;"
        .formatted(text, union(result, "r", lanes), calls.get(0), calls.get(1));
  }

  private String half(Operand operand, int number, int lanes) {
    String name = operand.name();
    return switch (operand) {
      case Operand.Mask m when unit.isa().bitMasks() ->
          "(%s)%s"
              .formatted(
                  type(m, lanes / 2).trim(),
                  number == 0 ? name : "(" + name + " >> " + lanes / 2 + ")");
      case Operand.Vector _, Operand.Mask _ -> "u" + name + ".p[" + number + "]";
      case Operand.Address a ->
          number == 0
              ? name
              : "(%schar *)%s + %d"
                  .formatted(a.written ? "" : "const ", name, lanes / 2 * a.scalar.bytes());
      case Operand.Base _ -> name;
    };
  }

  private String lane(Operand operand) {
    String name = operand.name();
    return switch (operand) {
      case Operand.Vector _ -> name + "[i]";
      case Operand.Mask _ -> unit.maskLane(name, "i");
      case Operand.Address a ->
          "((%s%s *)%s)[i]"
              .formatted(a.written ? "" : "const ", unit.memory(Type.of(a.scalar)), name);
      case Operand.Base _ -> name;
    };
  }

  private String perLane(Lanewise f, int lanes) {
    String expression = f.lane.apply(f.params.stream().map(this::lane).toList());
    String guard =
        f.params.stream()
            .filter(param -> f.guard.equals(Optional.of(param.name())))
            .map(param -> "if (" + lane(param) + ") ")
            .findFirst()
            .orElse("");
    String loop = "for (int i = 0; i < " + lanes + "; i++) " + guard;
    if (f.result.isEmpty()) {
      return loop + expression + ";";
    }
    Operand result = f.result.get();
    String type = type(result, lanes);
    if (isBits(result)) {
      String cast = "(" + type.trim() + ")";
      return "%sr = 0; %sr |= %s(%s(%s) << i); return r;"
          .formatted(type, loop, cast, cast, expression);
    }
    String declared = type + (guard.isEmpty() ? "r; " : "r = {}; ");
    return declared + loop + "r[i] = " + expression + "; return r;";
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

  /**
   * The body that returns one intrinsic of NEON, whose operations on floats are those of the loop
   * IR: extremes with NaN, and with zeros of two signs, too.
   *
   * @param args names of parameters, in its order
   */
  Optional<String> neon(String op, Scalar s, int lanes, String... args) {
    if (!unit.isa().neon(lanes * s.bytes()) || !s.isFloat()) {
      return Optional.empty();
    }
    String register = s == Scalar.F32 ? "float32x4_t" : "float64x2_t";
    return Optional.of(
        "return (%s)%sq_f%d(%s);"
            .formatted(
                unit.type(new Type(s, lanes)),
                op,
                s.bytes() * 8,
                Arrays.stream(args)
                    .map(arg -> "(" + register + ")" + arg)
                    .collect(Collectors.joining(", "))));
  }

  /**
   * The body that returns one intrinsic of the parameters a, b, c, where there are registers of
   * that size.
   *
   * @param operands how many of the parameters it takes
   * @param more further arguments
   */
  Optional<String> intrinsic(String op, Scalar s, int lanes, int operands, String... more) {
    int bytes = lanes * s.bytes();
    if (!unit.isa().registers(bytes)) {
      return Optional.empty();
    }
    List<String> args = new ArrayList<>();
    NAMES.subList(0, operands).forEach(name -> args.add("(" + register(s, bytes) + ")" + name));
    args.addAll(List.of(more));
    return Optional.of(
        "return (%s)%s_%s_%s(%s);"
            .formatted(
                unit.type(new Type(s, lanes)),
                prefix(bytes),
                op,
                suffix(s),
                String.join(", ", args)));
  }
}
