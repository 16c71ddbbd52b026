package org.tersor.ir.ops;

import java.util.List;
import java.util.Map;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;

/**
 * An elementwise expression as a kernel expression.
 *
 * @param operands by name, each in a type with arithmetic (or a condition)
 * @param numbers type of literals whose neighbours do not tell
 */
record ScalarLower(Map<String, KExpr> operands, Scalar numbers) {

  KExpr lower(ScalarExpr expr) {
    return lower(expr, numbers);
  }

  private KExpr lower(ScalarExpr expr, Scalar literal) {
    return switch (expr) {
      case ScalarExpr.Num n -> number(n.value(), literal);
      case ScalarExpr.Name n -> {
        KExpr operand = operands.get(n.name());
        if (operand == null) {
          throw new IllegalArgumentException("no operand " + n.name());
        }
        yield operand;
      }
      case ScalarExpr.Call call -> call(call, literal);
    };
  }

  private static KExpr number(double value, Scalar type) {
    return type == Scalar.BOOL
        ? K.bool(value != 0)
        : type.isFloat() ? K.literal(type, value) : K.literal(type, (long) value);
  }

  private KExpr call(ScalarExpr.Call call, Scalar literal) {
    List<ScalarExpr> args = call.args();
    return switch (call.fn()) {
      case ADD -> K.binary(BinaryOp.ADD, first(args, literal), second(args, literal));
      case SUB -> K.binary(BinaryOp.SUB, first(args, literal), second(args, literal));
      case MUL -> K.binary(BinaryOp.MUL, first(args, literal), second(args, literal));
      case DIV -> K.binary(BinaryOp.DIV, first(args, literal), second(args, literal));
      case REM -> K.binary(BinaryOp.REM, first(args, literal), second(args, literal));
      case FMOD -> K.binary(BinaryOp.FMOD, first(args, literal), second(args, literal));
      case MIN -> K.binary(BinaryOp.MIN, first(args, literal), second(args, literal));
      case MAX -> K.binary(BinaryOp.MAX, first(args, literal), second(args, literal));
      case POW -> K.binary(BinaryOp.POW, first(args, literal), second(args, literal));
      case AND -> K.binary(BinaryOp.AND, first(args, literal), second(args, literal));
      case OR -> K.binary(BinaryOp.OR, first(args, literal), second(args, literal));
      case XOR -> K.binary(BinaryOp.XOR, first(args, literal), second(args, literal));
      case SHL -> K.binary(BinaryOp.SHL, first(args, literal), second(args, literal));
      case SHR -> K.binary(BinaryOp.SHR, first(args, literal), second(args, literal));
      case NEG -> unary(UnaryOp.NEG, args, literal);
      case ABS -> unary(UnaryOp.ABS, args, literal);
      case SQRT -> unary(UnaryOp.SQRT, args, literal);
      case FLOOR -> unary(UnaryOp.FLOOR, args, literal);
      case CEIL -> unary(UnaryOp.CEIL, args, literal);
      case RINT -> unary(UnaryOp.RINT, args, literal);
      case EXP -> unary(UnaryOp.EXP, args, literal);
      case EXPM1 -> unary(UnaryOp.EXPM1, args, literal);
      case LOG -> unary(UnaryOp.LOG, args, literal);
      case LOG1P -> unary(UnaryOp.LOG1P, args, literal);
      case TANH -> unary(UnaryOp.TANH, args, literal);
      case SIGMOID -> unary(UnaryOp.SIGMOID, args, literal);
      case ERF -> unary(UnaryOp.ERF, args, literal);
      case SIN -> unary(UnaryOp.SIN, args, literal);
      case COS -> unary(UnaryOp.COS, args, literal);
      case TAN -> unary(UnaryOp.TAN, args, literal);
      case ASIN -> unary(UnaryOp.ASIN, args, literal);
      case ACOS -> unary(UnaryOp.ACOS, args, literal);
      case ATAN -> unary(UnaryOp.ATAN, args, literal);
      case SINH -> unary(UnaryOp.SINH, args, literal);
      case COSH -> unary(UnaryOp.COSH, args, literal);
      case ASINH -> unary(UnaryOp.ASINH, args, literal);
      case ACOSH -> unary(UnaryOp.ACOSH, args, literal);
      case ATANH -> unary(UnaryOp.ATANH, args, literal);
      case NOT, INVERT -> unary(UnaryOp.NOT, args, literal);
      case EQ -> new KExpr.Cmp(CompareOp.EQ, first(args, numbers), second(args, numbers));
      case NE -> new KExpr.Cmp(CompareOp.NE, first(args, numbers), second(args, numbers));
      case LT -> new KExpr.Cmp(CompareOp.LT, first(args, numbers), second(args, numbers));
      case LE -> new KExpr.Cmp(CompareOp.LE, first(args, numbers), second(args, numbers));
      case GT -> new KExpr.Cmp(CompareOp.GT, first(args, numbers), second(args, numbers));
      case GE -> new KExpr.Cmp(CompareOp.GE, first(args, numbers), second(args, numbers));
      case WHERE -> {
        List<ScalarExpr> sides = args.subList(1, 3);
        yield K.select(
            lower(args.getFirst(), Scalar.BOOL), first(sides, literal), second(sides, literal));
      }
    };
  }

  private KExpr unary(UnaryOp op, List<ScalarExpr> args, Scalar literal) {
    return K.unary(op, lower(args.getFirst(), literal));
  }

  /** The first of two operands; a number takes the type of the other one. */
  private KExpr first(List<ScalarExpr> args, Scalar literal) {
    return args.get(0) instanceof ScalarExpr.Num && !(args.get(1) instanceof ScalarExpr.Num)
        ? lower(args.get(0), lower(args.get(1), literal).scalar())
        : lower(args.get(0), literal);
  }

  private KExpr second(List<ScalarExpr> args, Scalar literal) {
    return first(args.reversed(), literal);
  }
}
