package org.tersor.ir.ops;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Minifloat;
import org.tersor.runtime.Tensor;

/**
 * Cast and CastLike between all pairs of number types, and strings. A real number beyond the range
 * of an integer type gives the nearest value of it and NaN gives 0, which ONNX leaves open; to
 * types under 8 bits the low bits of that I32 are kept.
 */
final class CastOperator extends OpBase {
  static final Set<DType> FLOAT8 =
      Types.set(DType.F8E4M3FN, DType.F8E4M3FNUZ, DType.F8E5M2, DType.F8E5M2FNUZ);

  private final boolean like;

  private CastOperator(boolean like, OpSchema.Builder schema) {
    super(
        schema
            .types("T1", Types.ALL)
            .types("T2", Types.ALL)
            .output("output", "T2")
            .attribute("saturate", OpSchema.AttributeKind.INT)
            .attribute("round_mode", OpSchema.AttributeKind.STRING)
            .tolerance(OpSchema.Tolerance.EXACT));
    this.like = like;
  }

  static CastOperator cast() {
    return new CastOperator(
        false,
        OpSchema.of("", "Cast", 1, 6, 9, 13, 19, 21, 23, 24, 25)
            .input("input", "T1")
            .required("to", OpSchema.AttributeKind.INT));
  }

  static CastOperator castLike() {
    return new CastOperator(
        true,
        OpSchema.of("", "CastLike", 15, 19, 21, 23, 24, 25)
            .input("input", "T1")
            .input("target_type", "T2"));
  }

  private DType target(OpContext c) {
    if (like) {
      return c.dtype(1);
    }
    // Version 1 names the type.
    if (c.version() < 6) {
      return OnnxTypes.parse(c, c.stringAttr("to", ""));
    }
    return OnnxTypes.of(c, c.intAttr("to", 0));
  }

  @Override
  List<ValueType> types(OpContext c) {
    return List.of(c.in(0).withDtype(target(c)));
  }

  private static boolean saturates(OpContext c) {
    return c.intAttr("saturate", 1) != 0;
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    DType to = target(c);
    Tensor out = Shapes.allocate(c, to, x.shape());
    if (x.dtype() == to) {
      return List.of(x);
    }
    for (int i = 0; i < x.size(); i++) {
      if (to == DType.STRING) {
        out.strings()[i] = text(x, i);
      } else if (x.dtype() == DType.STRING) {
        fromText(c, x.strings()[i], out, i);
      } else if (x.dtype().isFloat() || x.dtype().isComplex()) {
        set(c, out, i, x.getDouble(i));
      } else if (to.isFloat()) {
        set(c, out, i, x.getDouble(i));
      } else {
        out.setLong(i, x.getLong(i));
      }
    }
    return List.of(out);
  }

  private static void set(OpContext c, Tensor out, int at, double value) {
    DType to = out.dtype();
    if (to == DType.F8E8M0) {
      out.bytes()[at] = (byte) Minifloat.of(to).encode(scale(c, value), saturates(c));
    } else if (to.isFloat() && to.bits() <= 8) {
      out.bytes()[at] = (byte) Minifloat.of(to).encode(value, saturates(c));
    } else if (to.isFloat() || to.isComplex()) {
      out.setDouble(at, value);
    } else if (to == DType.BOOL) {
      out.setLong(at, value != 0 ? 1 : 0);
    } else {
      out.setLong(at, ElementReader.toInteger(value, to));
    }
  }

  /** A power of two from the value, as {@code round_mode} says. */
  private static double scale(OpContext c, double value) {
    double magnitude = Math.abs(value);
    if (magnitude == 0 || Double.isNaN(magnitude) || Double.isInfinite(magnitude)) {
      return magnitude;
    }
    double down = Math.scalb(1.0, Math.getExponent(magnitude));
    return switch (c.stringAttr("round_mode", "up").toLowerCase(Locale.ROOT)) {
      case "up" -> magnitude == down ? down : 2 * down;
      case "down" -> down;
      default -> magnitude;
    };
  }

  private static String text(Tensor x, int i) {
    DType type = x.dtype();
    if (type == DType.BOOL) {
      return x.getLong(i) != 0 ? "True" : "False";
    }
    if (type == DType.U64) {
      return Long.toUnsignedString(x.getLong(i));
    }
    if (!type.isFloat()) {
      return Long.toString(x.getLong(i));
    }
    double value = x.getDouble(i);
    if (Double.isNaN(value)) {
      return "NaN";
    }
    if (Double.isInfinite(value)) {
      return value > 0 ? "INF" : "-INF";
    }
    String text = type == DType.F64 ? Double.toString(value) : Float.toString((float) value);
    return text.replaceFirst("\\.0(?=E|$)", "").replace("E-", "e-").replace("E", "e+");
  }

  private static void fromText(OpContext c, String text, Tensor out, int at) {
    String trimmed = text.strip();
    try {
      if (out.dtype().isInteger() && trimmed.matches("[-+]?\\d+")) {
        out.setLong(
            at,
            out.dtype() == DType.U64 ? Long.parseUnsignedLong(trimmed) : Long.parseLong(trimmed));
        return;
      }
      double value =
          switch (trimmed.toUpperCase(Locale.ROOT)) {
            case "INF", "+INF", "INFINITY" -> Double.POSITIVE_INFINITY;
            case "-INF", "-INFINITY" -> Double.NEGATIVE_INFINITY;
            case "NAN" -> Double.NaN;
            case "TRUE" -> 1;
            case "FALSE" -> 0;
            default ->
                out.dtype() == DType.F32 ? Float.parseFloat(trimmed) : Double.parseDouble(trimmed);
          };
      set(c, out, at, value);
    } catch (NumberFormatException e) {
      throw c.error("TSR-0302", "the text of element " + at + " is not a number");
    }
  }

  @Override
  Lowering code(OpContext c) {
    DType from = c.dtype(0);
    DType to = target(c);
    if (to == DType.STRING) {
      return new Lowering.Host(schema().name());
    }
    if (from == to) {
      return new Lowering.View(0);
    }
    Buf x = in(c, 0);
    Buf out = out(c, 0, outType(c, 0));
    List<Axis> axes = Shapes.axes(x.shape());
    KExpr element = K.at(x, Shapes.refs(axes));
    return compute(List.of(x), out, List.of(Stage.of(out, axes, convert(c, element, to))));
  }

  private static KExpr convert(OpContext c, KExpr x, DType to) {
    Scalar target = Scalar.of(to);
    if (to.isFloat() && to.bits() <= 8) {
      KExpr value = x.scalar() == Scalar.F64 ? x : K.cast(Scalar.F32, x);
      if (to == DType.F8E8M0) {
        value = powerOfTwo(c, K.cast(Scalar.F32, value));
      }
      if (saturates(c)) {
        double max = Minifloat.of(to).max();
        value =
            K.max(K.min(value, K.literal(value.scalar(), max)), K.literal(value.scalar(), -max));
      }
      return K.cast(target, value);
    }
    if (to.bits() < 8) {
      int shift = 32 - to.bits();
      KExpr wide = K.cast(Scalar.I32, x);
      KExpr low =
          to.isSigned()
              ? K.binary(BinaryOp.SHR, K.binary(BinaryOp.SHL, wide, K.i32(shift)), K.i32(shift))
              : K.binary(BinaryOp.AND, wide, K.i32((1 << to.bits()) - 1));
      return K.cast(target, low);
    }
    return K.cast(target, x);
  }

  /** Clears the mantissa, rounding up first where {@code round_mode} says so. */
  private static KExpr powerOfTwo(OpContext c, KExpr x) {
    KExpr bits = new KExpr.BitsAs(Scalar.I32, K.unary(UnaryOp.ABS, x));
    KExpr finite = K.lt(bits, K.i32(0x7F80_0000));
    String mode = c.stringAttr("round_mode", "up").toLowerCase(Locale.ROOT);
    if (mode.equals("nearest")) {
      return new KExpr.BitsAs(Scalar.F32, bits);
    }
    KExpr raised = mode.equals("up") ? K.binary(BinaryOp.ADD, bits, K.i32(0x007F_FFFF)) : bits;
    KExpr cleared = K.binary(BinaryOp.AND, raised, K.i32(0x7F80_0000));
    return new KExpr.BitsAs(Scalar.F32, K.select(finite, cleared, bits));
  }

  @Override
  public Optional<List<DimExpr>> symbolicOutput(OpContext c) {
    return target(c).isInteger() && c.dtype(0).isInteger() && target(c).bits() >= 32
        ? c.symbolic(0)
        : Optional.empty();
  }
}
