package org.tersor.codegen.c;

import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;

/** A C file being written: type definitions and helper functions on demand, then functions. */
final class CUnit {
  private final Isa isa;
  private final boolean cuda;
  private final Set<String> typedefs = new LinkedHashSet<>();
  private final Map<String, String> helpers = new LinkedHashMap<>();
  private final StringBuilder functions = new StringBuilder();

  CUnit(Isa isa, boolean cuda) {
    this.isa = isa;
    this.cuda = cuda;
  }

  Isa isa() {
    return isa;
  }

  /**
   * Whether the text must also compile as CUDA C++: scalars only, device functions from
   * tersor_device.h.
   */
  boolean cuda() {
    return cuda;
  }

  /**
   * The arithmetic type that holds the bits of {@code scalar} in C: masks as bytes, small floats as
   * unsigned integers.
   */
  static Scalar carrier(Scalar scalar) {
    return switch (scalar) {
      case BOOL, F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0 -> Scalar.U8;
      case F16, BF16 -> Scalar.U16;
      case INDEX -> Scalar.I64;
      case I8, U8, I16, U16, I32, U32, I64, U64, F32, F64 -> scalar;
    };
  }

  static Scalar signedOf(int bytes) {
    return switch (bytes) {
      case 1 -> Scalar.I8;
      case 2 -> Scalar.I16;
      case 4 -> Scalar.I32;
      default -> Scalar.I64;
    };
  }

  static Scalar unsignedOf(int bytes) {
    return switch (bytes) {
      case 1 -> Scalar.U8;
      case 2 -> Scalar.U16;
      case 4 -> Scalar.U32;
      default -> Scalar.U64;
    };
  }

  static String scalar(Scalar scalar) {
    return switch (carrier(scalar)) {
      case I8 -> "int8_t";
      case U8 -> "uint8_t";
      case I16 -> "int16_t";
      case U16 -> "uint16_t";
      case I32 -> "int32_t";
      case U32 -> "uint32_t";
      case I64 -> "int64_t";
      case U64 -> "uint64_t";
      case F32 -> "float";
      case F64 -> "double";
      default -> throw new IllegalStateException(scalar.text());
    };
  }

  /** Name of a value's type; vectors are defined on first use. */
  String type(Type type) {
    if (!type.isVector()) {
      return scalar(type.scalar());
    }
    if (cuda) {
      throw Faults.unsupported(
          "a vector of " + type + " in CUDA code",
          "the schedule must use lanes of a block instead of vectors");
    }
    String name = new Type(carrier(type.scalar()), type.lanes()).toString();
    String element = scalar(type.scalar());
    int bytes = type.bytes();
    typedefs.add(
        "typedef " + element + " " + name + " __attribute__((vector_size(" + bytes + ")));");
    typedefs.add(
        "typedef "
            + element
            + " "
            + name
            + "_u __attribute__((vector_size("
            + bytes
            + "), aligned(1), may_alias));");
    return name;
  }

  /** Name of the type of a bool vector: bits, or lanes of {@code width} bytes. */
  String maskType(int lanes, int width) {
    return isa.bitMasks() ? bits(lanes) : type(new Type(signedOf(width), lanes));
  }

  /** Whether lane {@code i} of a mask is set, as text. */
  String maskLane(String mask, String i) {
    return isa.bitMasks() ? "(" + mask + " >> " + i + " & 1)" : mask + "[" + i + "]";
  }

  /** Name of the type in memory, at any address and over any other type. */
  String memory(Type type) {
    if (type.isVector()) {
      return type(type) + "_u";
    }
    String name = carrier(type.scalar()).text() + "_u";
    typedefs.add(
        "typedef "
            + scalar(type.scalar())
            + " "
            + name
            + " __attribute__((aligned(1), may_alias));");
    return name;
  }

  /** Name of the type of a bit mask of that many lanes. */
  static String bits(int lanes) {
    if (lanes > 64) {
      throw Faults.unsupported(
          "a mask of " + lanes + " lanes", "the schedule must use at most 64 lanes");
    }
    return lanes <= 8
        ? "uint8_t"
        : lanes == 16 ? "uint16_t" : lanes == 32 ? "uint32_t" : "uint64_t";
  }

  /**
   * Defines a helper function once; what {@code text} needs is defined before it. Returns the name.
   */
  String helper(String name, Supplier<String> text) {
    if (!helpers.containsKey(name)) {
      String body = text.get();
      helpers.put(name, body);
    }
    return name;
  }

  /**
   * Defines a function for use in the file once.
   *
   * @param body its statements
   */
  String helper(String name, String result, String parameters, Supplier<String> body) {
    return helper(
        name,
        () -> "TSR_FN %s %s(%s) { %s }".formatted(result.trim(), name, parameters, body.get()));
  }

  /** The function that gives the bits of one type as those of another of the same size. */
  String reinterpretation(String name, String from, String to) {
    return helper(
        name,
        to,
        from + " x",
        () -> "union { %s a; %s b; } u; u.a = x; return u.b;".formatted(from, to));
  }

  void function(String text) {
    functions.append(text).append('\n');
  }

  /** The whole file but includes. */
  String text() {
    StringBuilder out = new StringBuilder();
    typedefs.forEach(t -> out.append(t).append('\n'));
    out.append('\n');
    helpers.values().forEach(t -> out.append(t).append('\n'));
    return out.append('\n').append(functions).toString();
  }

  /** Includes and macros before {@link #text}. */
  String prelude() {
    if (cuda) {
      return "#include \"tersor_device.h\"\n\n";
    }
    return "#include <stdint.h>\n#include <stddef.h>\n"
        + switch (isa) {
          case SCALAR -> "";
          case AVX2, AVX512, AVX512VNNI, AVX512AMX, AVX512BF16 -> "#include <immintrin.h>\n";
          case NEON -> "#include <arm_neon.h>\n";
        }
        + "#define TSR_FN static inline __attribute__((always_inline, unused))\n\n";
  }
}
