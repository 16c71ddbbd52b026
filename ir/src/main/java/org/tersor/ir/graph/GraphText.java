package org.tersor.ir.graph;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Optional;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** What printer and parser of the text form share. */
final class GraphText {
  static final String REFERENCE = "sha256:";

  private GraphText() {}

  /** A string literal: quotes, backslashes and everything that is not printable are escaped. */
  static String quote(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        default -> {
          if (c < 0x20
              || c == 0x7F
              || (c >= 0x80 && c < 0xA0)
              || Character.isSurrogate(c)
              || c == '\u2028'
              || c == '\u2029') {
            out.append(String.format("\\u%04x", (int) c));
          } else {
            out.append(c);
          }
        }
      }
    }
    return out.append('"').toString();
  }

  /** One array slot of a tensor, as a literal that gives the same bits back. */
  static String slot(Tensor tensor, int slot) {
    return switch (tensor.dtype()) {
      case F32, C64 -> number(tensor.floats()[slot]);
      case F64, C128 -> number(tensor.doubles()[slot]);
      case STRING -> quote(tensor.strings()[slot]);
      case F16, BF16 -> String.format("0x%04x", tensor.shorts()[slot] & 0xFFFF);
      case F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0 ->
          String.format("0x%02x", tensor.bytes()[slot] & 0xFF);
      case U64 -> Long.toUnsignedString(tensor.longs()[slot]);
      case BOOL, I2, U2, I4, U4, I8, U8, I16, U16, I32, U32, I64 ->
          Long.toString(tensor.getLong(slot));
    };
  }

  static String number(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      return bits == 0x7FC00000 ? "nan" : String.format("0x%08x", bits);
    }
    return Float.isInfinite(value) ? (value > 0 ? "inf" : "-inf") : Float.toString(value);
  }

  static String number(double value) {
    long bits = Double.doubleToRawLongBits(value);
    if (Double.isNaN(value)) {
      return bits == 0x7FF8000000000000L ? "nan" : String.format("0x%016x", bits);
    }
    return Double.isInfinite(value) ? (value > 0 ? "inf" : "-inf") : Double.toString(value);
  }

  /** Stores the literal; empty if it is none of the type. */
  static Optional<Tensor> store(Tensor tensor, int slot, String literal) {
    try {
      switch (tensor.dtype()) {
        case F32, C64 -> tensor.floats()[slot] = parseFloat(literal);
        case F64, C128 -> tensor.doubles()[slot] = parseDouble(literal);
        case STRING -> tensor.strings()[slot] = literal;
        case F16, BF16 -> tensor.shorts()[slot] = (short) parseBits(literal, 16);
        case F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0 ->
            tensor.bytes()[slot] = (byte) parseBits(literal, 8);
        case F4E2M1 -> tensor.bytes()[slot] = (byte) parseBits(literal, 4);
        case U64 -> tensor.longs()[slot] = Long.parseUnsignedLong(literal);
        case BOOL, I2, U2, I4, U4, I8, U8, I16, U16, I32, U32, I64 -> {
          long value = Long.parseLong(literal);
          tensor.setLong(slot, value);
          if (tensor.getLong(slot) != value) {
            return Optional.empty();
          }
        }
      }
      return Optional.of(tensor);
    } catch (NumberFormatException e) {
      return Optional.empty();
    }
  }

  static float parseFloat(String literal) {
    return switch (literal) {
      case "nan" -> Float.NaN;
      case "inf" -> Float.POSITIVE_INFINITY;
      case "-inf" -> Float.NEGATIVE_INFINITY;
      default ->
          literal.startsWith("0x")
              ? Float.intBitsToFloat((int) parseBits(literal, 32))
              : Float.parseFloat(literal);
    };
  }

  private static double parseDouble(String literal) {
    return switch (literal) {
      case "nan" -> Double.NaN;
      case "inf" -> Double.POSITIVE_INFINITY;
      case "-inf" -> Double.NEGATIVE_INFINITY;
      default ->
          literal.startsWith("0x")
              ? Double.longBitsToDouble(parseBits(literal, 64))
              : Double.parseDouble(literal);
    };
  }

  private static long parseBits(String literal, int bits) {
    if (!literal.startsWith("0x")) {
      throw new NumberFormatException(literal);
    }
    long value = Long.parseUnsignedLong(literal.substring(2), 16);
    if (bits < 64 && value >>> bits != 0) {
      throw new NumberFormatException(literal);
    }
    return value;
  }

  /** A name for the content: {@code sha256:} and the digest of type and packed data. */
  static String reference(Constant constant) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update((constant.type() + "\n").getBytes(StandardCharsets.UTF_8));
      if (constant.dtype() == DType.STRING) {
        for (String text : constant.load().strings()) {
          digest.update((text.length() + ":" + text).getBytes(StandardCharsets.UTF_8));
        }
      } else if (constant.raw().isPresent()) {
        var data = constant.raw().get();
        long step = 1 << 26;
        for (long at = 0; at < data.byteSize(); at += step) {
          digest.update(data.asSlice(at, Math.min(step, data.byteSize() - at)).asByteBuffer());
        }
      } else {
        digest.update(RawData.encode(constant.load()));
      }
      return REFERENCE + HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
