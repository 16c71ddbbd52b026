package org.tersor.ir.ops;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.TypeNumbers;
import org.tersor.ir.graph.Value;
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
import org.tersor.ir.op.OnnxTypes;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Minifloat;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.host.NumberText;

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
            .sample("input[d*]; to=type(T2); saturate=-; round_mode=-")
            .input("input", "T1")
            .required("to", OpSchema.AttributeKind.INT));
  }

  static CastOperator castLike() {
    return new CastOperator(
        true,
        OpSchema.of("", "CastLike", 15, 19, 21, 23, 24, 25)
            .sample("input[d*]; target_type[e*0-1]; saturate=-; round_mode=-")
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
    if (x.dtype() == DType.STRING) {
      return number(c, parsed(c, x, NumberText.parsed(to)), out);
    }
    return number(c, x, out);
  }

  private static Tensor parsed(OpContext c, Tensor text, DType type) {
    Tensor numbers = Shapes.allocate(c, type, text.shape());
    for (int i = 0; i < text.size(); i++) {
      try {
        NumberText.parse(text.strings()[i], numbers, i);
      } catch (NumberFormatException e) {
        throw c.error("TSR-0302", "the text of element " + i + " is not a number");
      }
    }
    return numbers;
  }

  private static List<Tensor> number(OpContext c, Tensor x, Tensor out) {
    DType to = out.dtype();
    for (int i = 0; i < x.size(); i++) {
      if (to == DType.STRING) {
        out.strings()[i] = NumberText.format(x, i);
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
      // Integers of less than a byte are the nearest ones, others lie towards zero.
      out.setLong(at, ElementReader.toInteger(to.bits() < 8 ? Math.rint(value) : value, to));
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

  @Override
  Lowering strings(OpContext c) {
    DType to = target(c);
    if (c.dtype(0) == DType.STRING && to != DType.STRING) {
      DType number = NumberText.parsed(to);
      return new Lowering.Decompose(b -> {
        Value parsed =
            b.add(
                OpKey.TERSOR,
                StringOperators.PARSE,
                Map.of("to", new Attribute.IntAttr(TypeNumbers.number(number))),
                c.node().input(0));
        Map<String, Attribute> attributes = new HashMap<>(c.node().attributes());
        attributes.put("to", new Attribute.IntAttr(TypeNumbers.number(to)));
        return List.of(number == to ? parsed : b.add("Cast", attributes, parsed));
      });
    }
    return code(c);
  }

  @Override
  Lowering code(OpContext c) {
    DType from = c.dtype(0);
    DType to = target(c);
    if (from == to) {
      return from == DType.STRING
          ? new Lowering.Host(Identity.HOST_OP, Map.of())
          : new Lowering.View(0);
    }
    if (to == DType.STRING) {
      return new Lowering.Decompose(
          b -> List.of(b.add(OpKey.TERSOR, StringOperators.FORMAT, Map.of(), c.node().input(0))));
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
      KExpr real = x.scalar() == Scalar.F64 ? x : K.cast(Scalar.F32, x);
      KExpr wide = K.cast(Scalar.I32, c.dtype(0).isFloat() ? K.unary(UnaryOp.RINT, real) : x);
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
