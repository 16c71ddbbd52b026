package org.tersor.ir.ops;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.ops.ScalarExpr.Call;
import org.tersor.ir.ops.ScalarExpr.Fn;
import org.tersor.ir.ops.ScalarExpr.Num;
import org.tersor.runtime.DType;

/**
 * Derivatives of the expressions of elementwise operators, and expressions as nodes of a graph. At
 * a kink it is the derivative from one side.
 */
final class ScalarGradient {
  private static final ScalarExpr ZERO = new Num(0);
  private static final ScalarExpr ONE = new Num(1);

  private ScalarGradient() {}

  /** The derivative by an operand; empty if there is none. */
  static Optional<ScalarExpr> of(ScalarExpr expr, String operand) {
    return switch (expr) {
      case Num _ -> Optional.of(ZERO);
      case ScalarExpr.Name name -> Optional.of(name.name().equals(operand) ? ONE : ZERO);
      case Call call -> of(call, operand);
    };
  }

  private static Optional<ScalarExpr> of(Call call, String operand) {
    ScalarExpr a = call.args().getFirst();
    ScalarExpr b = call.args().getLast();
    if (call.fn() == Fn.WHERE) {
      Optional<ScalarExpr> then = of(call.args().get(1), operand);
      Optional<ScalarExpr> otherwise = of(b, operand);
      return then.isEmpty() || otherwise.isEmpty()
          ? Optional.empty()
          : Optional.of(where(a, then.get(), otherwise.get()));
    }
    Optional<ScalarExpr> da = of(a, operand);
    Optional<ScalarExpr> db = of(b, operand);
    if (da.isEmpty() || db.isEmpty()) {
      return Optional.empty();
    }
    ScalarExpr u = da.get();
    ScalarExpr v = db.get();
    if (u.equals(ZERO) && v.equals(ZERO)) {
      return Optional.of(ZERO);
    }
    Optional<ScalarExpr> outer = outer(call.fn(), a);
    if (outer.isPresent()) {
      return Optional.of(mul(u, outer.get()));
    }
    return switch (call.fn()) {
      case ADD -> Optional.of(add(u, v));
      case SUB -> Optional.of(add(u, neg(v)));
      case MUL -> Optional.of(add(mul(u, b), mul(a, v)));
      case DIV -> Optional.of(add(div(u, b), neg(div(mul(a, v), call(Fn.MUL, b, b)))));
      case MIN -> Optional.of(where(call(Fn.LT, a, b), u, v));
      case MAX -> Optional.of(where(call(Fn.GT, a, b), u, v));
      case POW -> {
        ScalarExpr byBase =
            v.equals(ZERO) && b instanceof Num n
                ? mul(b, call(Fn.POW, a, new Num(n.value() - 1)))
                : mul(b, call(Fn.POW, a, call(Fn.SUB, b, ONE)));
        ScalarExpr byExponent = mul(call, call(Fn.LOG, a));
        yield Optional.of(add(mul(u, byBase), mul(v, byExponent)));
      }
      case FLOOR, CEIL, RINT, EQ, NE, LT, LE, GT, GE, AND, OR, NOT -> Optional.of(ZERO);
      default -> Optional.empty();
    };
  }

  /** The derivative of a function of one real number. */
  private static Optional<ScalarExpr> outer(Fn fn, ScalarExpr a) {
    ScalarExpr square = call(Fn.MUL, a, a);
    return Optional.ofNullable(
        switch (fn) {
          case NEG -> new Num(-1);
          case ABS ->
              where(call(Fn.LT, a, ZERO), new Num(-1), where(call(Fn.GT, a, ZERO), ONE, ZERO));
          case SQRT -> div(new Num(0.5), call(Fn.SQRT, a));
          case EXP, EXPM1 -> call(Fn.EXP, a);
          case LOG -> div(ONE, a);
          case LOG1P -> div(ONE, call(Fn.ADD, ONE, a));
          case TANH -> {
            ScalarExpr t = call(Fn.TANH, a);
            yield call(Fn.SUB, ONE, call(Fn.MUL, t, t));
          }
          case SIGMOID -> {
            ScalarExpr s = call(Fn.SIGMOID, a);
            yield call(Fn.MUL, s, call(Fn.SUB, ONE, s));
          }
          case ERF -> mul(new Num(2 / Math.sqrt(Math.PI)), call(Fn.EXP, call(Fn.NEG, square)));
          case SIN -> call(Fn.COS, a);
          case COS -> neg(call(Fn.SIN, a));
          case TAN -> div(ONE, call(Fn.MUL, call(Fn.COS, a), call(Fn.COS, a)));
          case ASIN -> div(ONE, call(Fn.SQRT, call(Fn.SUB, ONE, square)));
          case ACOS -> div(new Num(-1), call(Fn.SQRT, call(Fn.SUB, ONE, square)));
          case ATAN -> div(ONE, call(Fn.ADD, ONE, square));
          case SINH -> call(Fn.COSH, a);
          case COSH -> call(Fn.SINH, a);
          case ASINH -> div(ONE, call(Fn.SQRT, call(Fn.ADD, square, ONE)));
          case ACOSH -> div(ONE, call(Fn.SQRT, call(Fn.SUB, square, ONE)));
          case ATANH -> div(ONE, call(Fn.SUB, ONE, square));
          default -> null;
        });
  }

  private static ScalarExpr call(Fn fn, ScalarExpr... args) {
    return new Call(fn, List.of(args));
  }

  private static ScalarExpr add(ScalarExpr a, ScalarExpr b) {
    return a.equals(ZERO) ? b : b.equals(ZERO) ? a : call(Fn.ADD, a, b);
  }

  private static ScalarExpr neg(ScalarExpr a) {
    return a instanceof Num n ? new Num(0 - n.value()) : call(Fn.NEG, a);
  }

  private static ScalarExpr mul(ScalarExpr a, ScalarExpr b) {
    if (a.equals(ZERO) || b.equals(ZERO)) {
      return ZERO;
    }
    return a.equals(ONE) ? b : b.equals(ONE) ? a : call(Fn.MUL, a, b);
  }

  private static ScalarExpr div(ScalarExpr a, ScalarExpr b) {
    return a.equals(ZERO) ? ZERO : call(Fn.DIV, a, b);
  }

  private static ScalarExpr where(ScalarExpr condition, ScalarExpr a, ScalarExpr b) {
    return a.equals(b) ? a : call(Fn.WHERE, condition, a, b);
  }

  /**
   * Nodes that compute an expression.
   *
   * @param operands values of its names
   * @param dtype type of its numbers
   */
  static Value nodes(
      OpContext c,
      Differentiable.Pullback p,
      ScalarExpr expr,
      Map<String, Value> operands,
      DType dtype) {
    return switch (expr) {
      case Num n -> p.number(dtype, n.value());
      case ScalarExpr.Name name -> operands.getOrDefault(name.name(), Value.NONE);
      case Call call -> {
        Value[] args =
            call.args().stream()
                .map(arg -> nodes(c, p, arg, operands, dtype))
                .toArray(Value[]::new);
        yield node(c, p, call.fn(), args, dtype);
      }
    };
  }

  private static Value node(
      OpContext c, Differentiable.Pullback p, Fn fn, Value[] args, DType dtype) {
    return switch (fn) {
      case ADD -> p.add("Add", args);
      case SUB -> p.add("Sub", args);
      case MUL -> p.add("Mul", args);
      case DIV -> p.add("Div", args);
      case POW -> p.add("Pow", args);
      case MIN -> p.add("Min", args);
      case MAX -> p.add("Max", args);
      case NEG -> p.add("Neg", args);
      case ABS -> p.add("Abs", args);
      case SQRT -> p.add("Sqrt", args);
      case FLOOR -> p.add("Floor", args);
      case CEIL -> p.add("Ceil", args);
      case RINT -> p.add("Round", args);
      case EXP -> p.add("Exp", args);
      case EXPM1 -> p.add("Sub", p.add("Exp", args), p.number(dtype, 1));
      case LOG -> p.add("Log", args);
      case LOG1P -> p.add("Log", p.add("Add", args[0], p.number(dtype, 1)));
      case TANH -> p.add("Tanh", args);
      case SIGMOID -> p.add("Sigmoid", args);
      case ERF -> p.add("Erf", args);
      case SIN -> p.add("Sin", args);
      case COS -> p.add("Cos", args);
      case TAN -> p.add("Tan", args);
      case ASIN -> p.add("Asin", args);
      case ACOS -> p.add("Acos", args);
      case ATAN -> p.add("Atan", args);
      case SINH -> p.add("Sinh", args);
      case COSH -> p.add("Cosh", args);
      case ASINH -> p.add("Asinh", args);
      case ACOSH -> p.add("Acosh", args);
      case ATANH -> p.add("Atanh", args);
      case EQ -> p.add("Equal", args);
      case NE -> p.add("Not", p.add("Equal", args));
      case LT -> p.add("Less", args);
      case GT -> p.add("Greater", args);
      case LE -> p.add("Not", p.add("Greater", args));
      case GE -> p.add("Not", p.add("Less", args));
      case AND -> p.add("And", args);
      case OR -> p.add("Or", args);
      case NOT -> p.add("Not", args);
      case WHERE -> p.add("Where", args);
      case REM, FMOD, XOR, INVERT, SHL, SHR ->
          throw c.error("TSR-0203", "there is no derivative of " + c.node().op().type());
    };
  }
}
