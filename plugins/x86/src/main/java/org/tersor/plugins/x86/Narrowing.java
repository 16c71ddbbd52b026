package org.tersor.plugins.x86;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;
import org.tersor.ir.loop.UnaryOp;

/**
 * Floats brought into the range of an 8-bit integer, rounded perhaps, and converted: saturating
 * instructions do the upper bound of unsigned bytes. NaN becomes 0 as in the plain steps, by the
 * order of the operands.
 */
final class Narrowing {
  private Narrowing() {}

  static Optional<Val> of(Expr.Cast cast, Exprs exprs, Vectors vectors, Code code, Pieces pieces) {
    Scalar to = cast.type().scalar();
    boolean unsigned = to == Scalar.U8;
    if (!(unsigned || to == Scalar.I8)
        || !cast.inRange()
        || cast.a().type().scalar() != Scalar.F32
        || !cast.type().isVector()
        || !(cast.a() instanceof Expr.Binary low)
        || low.op() != BinaryOp.MIN
        || !(low.a() instanceof Expr.Binary high)
        || high.op() != BinaryOp.MAX
        || !isNumber(low.b(), unsigned ? 255 : 127)
        || !isNumber(high.b(), unsigned ? 0 : -128)) {
      return Optional.empty();
    }
    boolean rounds = high.a() instanceof Expr.Unary u && u.op() == UnaryOp.RINT;
    Expr inner = high.a() instanceof Expr.Unary u && rounds ? u.a() : high.a();
    Val x = exprs.value(inner);
    Type type = x.type();
    int size = Val.size(type);
    List<Reg> results = new ArrayList<>();
    for (Reg part : x.parts()) {
      Reg clamped = Code.vector();
      if (unsigned) {
        code.three(Op.VMAXPS, size, clamped, part, code.all(4, 0));
      } else {
        Reg below = Code.vector();
        code.three(Op.VMINPS, size, below, code.all(4, Vectors.bits(Scalar.F32, 127)), part);
        code.three(Op.VMAXPS, size, clamped, code.all(4, Vectors.bits(Scalar.F32, -128)), below);
      }
      Reg whole = Code.vector();
      code.two(rounds ? Op.VCVTPS2DQ : Op.VCVTTPS2DQ, size, whole, clamped);
      Reg bytes = Code.vector();
      code.read(unsigned ? Op.VPMOVUSDB : Op.VPMOVDB, size, whole, Operand.NONE).target(bytes);
      results.add(bytes);
    }
    return Optional.of(Val.of(cast.type(), pieces.join(results, Math.min(16, type.lanes()))));
  }

  private static boolean isNumber(Expr e, double value) {
    return switch (e) {
      case Expr.FloatConst c -> c.value() == value;
      case Expr.Broadcast b -> isNumber(b.a(), value);
      default -> false;
    };
  }
}
