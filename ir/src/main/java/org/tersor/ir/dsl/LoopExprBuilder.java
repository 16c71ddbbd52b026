package org.tersor.ir.dsl;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.antlr.v4.runtime.ParserRuleContext;
import org.tersor.ir.dsl.internal.LoopBaseVisitor;
import org.tersor.ir.dsl.internal.LoopParser.ArgumentOfContext;
import org.tersor.ir.dsl.internal.LoopParser.BinaryContext;
import org.tersor.ir.dsl.internal.LoopParser.CallContext;
import org.tersor.ir.dsl.internal.LoopParser.CompareContext;
import org.tersor.ir.dsl.internal.LoopParser.ConstantContext;
import org.tersor.ir.dsl.internal.LoopParser.ExprContext;
import org.tersor.ir.dsl.internal.LoopParser.GroupContext;
import org.tersor.ir.dsl.internal.LoopParser.IntegerContext;
import org.tersor.ir.dsl.internal.LoopParser.LiteralContext;
import org.tersor.ir.dsl.internal.LoopParser.LoadContext;
import org.tersor.ir.dsl.internal.LoopParser.NegateContext;
import org.tersor.ir.dsl.internal.LoopParser.VariableContext;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;
import org.tersor.ir.loop.UnaryOp;

/** Builds expressions from parse trees. */
final class LoopExprBuilder extends LoopBaseVisitor<Expr> {
  private final LoopBuilder scope;

  LoopExprBuilder(LoopBuilder scope) {
    this.scope = scope;
  }

  /** The constant of that name in lower case. */
  static <E extends Enum<E>> Optional<E> named(Class<E> kinds, String text) {
    for (E constant : kinds.getEnumConstants()) {
      if (constant.name().toLowerCase(Locale.ROOT).equals(text)) {
        return Optional.of(constant);
      }
    }
    return Optional.empty();
  }

  /** An expression; a number without a type takes {@code wanted}. */
  Expr typed(ExprContext context, Type wanted) {
    if (context instanceof ConstantContext constant && untyped(constant.literal())) {
      return number(constant.literal(), Optional.of(wanted));
    }
    return visit(context);
  }

  private static boolean untyped(LiteralContext literal) {
    return literal.TRUE() == null && literal.FALSE() == null && literal.getText().indexOf('_') < 0;
  }

  private static boolean flexible(ExprContext context) {
    return context instanceof ConstantContext constant && untyped(constant.literal());
  }

  /** Operands of one type: numbers without a type take that of the first other operand. */
  private List<Expr> alike(List<ExprContext> contexts) {
    Optional<Type> type = Optional.empty();
    List<Optional<Expr>> built = new ArrayList<>();
    for (ExprContext c : contexts) {
      Optional<Expr> expr = flexible(c) ? Optional.empty() : Optional.of(visit(c));
      type = type.or(() -> expr.map(Expr::type));
      built.add(expr);
    }
    List<Expr> result = new ArrayList<>();
    for (int i = 0; i < contexts.size(); i++) {
      ExprContext c = contexts.get(i);
      Optional<Type> wanted = type;
      result.add(
          built.get(i).orElseGet(() -> wanted.isPresent() ? typed(c, wanted.get()) : visit(c)));
    }
    return result;
  }

  @Override
  public Expr visitGroup(GroupContext context) {
    return visit(context.expr());
  }

  @Override
  public Expr visitConstant(ConstantContext context) {
    return number(context.literal(), Optional.empty());
  }

  private Expr number(LiteralContext context, Optional<Type> wanted) {
    if (context.TRUE() != null || context.FALSE() != null) {
      return new Expr.IntConst(Type.BOOL, context.TRUE() != null ? 1 : 0);
    }
    String text = context.getText();
    int suffix = text.indexOf('_');
    String digits = suffix < 0 ? text : text.substring(0, suffix);
    boolean whole = context.INT() != null || context.HEX() != null;
    Type type =
        suffix < 0
            ? wanted.orElse(whole ? Type.INDEX : Type.F32)
            : Type.parse(text.substring(suffix + 1))
                .orElseThrow(() ->
                    LoopBuilder.at(
                        "TSR-1004", context, "no such type: " + text.substring(suffix + 1)));
    if (type.scalar().isFloat()) {
      return new Expr.FloatConst(
          type,
          type.scalar() == Scalar.F32
              ? Float.parseFloat(decimal(digits))
              : Double.parseDouble(decimal(digits)));
    }
    if (!whole || type.scalar().isSmallFloat()) {
      throw LoopBuilder.at("TSR-1004", context, digits + " is no number of type " + type);
    }
    return new Expr.IntConst(type, integer(context, digits));
  }

  /** Text that Java parses as a double; hexadecimal integers get the exponent that Java wants. */
  private static String decimal(String digits) {
    return digits.contains("0x") && digits.indexOf('p') < 0 ? digits + "p0" : digits;
  }

  long integer(ParserRuleContext context, String digits) {
    try {
      if (digits.startsWith("0x")) {
        return Long.parseUnsignedLong(digits, 2, digits.length(), 16);
      }
      return digits.startsWith("-0x")
          ? -Long.parseUnsignedLong(digits, 3, digits.length(), 16)
          : Long.parseLong(digits);
    } catch (NumberFormatException e) {
      throw LoopBuilder.at("TSR-1001", context, "number out of range: " + digits);
    }
  }

  @Override
  public Expr visitVariable(VariableContext context) {
    String name = context.getText();
    if (name.startsWith("nan_") || name.startsWith("inf_")) {
      Optional<Type> type = Type.parse(name.substring(4));
      if (type.isPresent() && type.get().scalar().isFloat()) {
        return new Expr.FloatConst(
            type.get(), name.startsWith("nan_") ? Double.NaN : Double.POSITIVE_INFINITY);
      }
    }
    String plain = LoopBuilder.text(context.name());
    return new Expr.Var(
        scope
            .lookup(plain)
            .orElseThrow(() -> LoopBuilder.at("TSR-1003", context, "no variable named " + plain)),
        plain);
  }

  @Override
  public Expr visitNegate(NegateContext context) {
    Expr a = visit(context.expr());
    boolean infinity = context.expr() instanceof VariableContext && a instanceof Expr.FloatConst;
    return infinity
        ? new Expr.FloatConst(a.type(), -((Expr.FloatConst) a).value())
        : new Expr.Unary(UnaryOp.NEG, a);
  }

  @Override
  public Expr visitBinary(BinaryContext context) {
    BinaryOp op =
        switch (context.op.getText()) {
          case "*" -> BinaryOp.MUL;
          case "/" -> BinaryOp.DIV;
          case "%" -> BinaryOp.REM;
          case "+" -> BinaryOp.ADD;
          case "-" -> BinaryOp.SUB;
          case "<<" -> BinaryOp.SHL;
          case ">>" -> BinaryOp.SHR;
          case "&" -> BinaryOp.AND;
          case "^" -> BinaryOp.XOR;
          default -> BinaryOp.OR;
        };
    List<Expr> operands = operands(context, context.expr(), op);
    return new Expr.Binary(op, operands.get(0), operands.get(1));
  }

  private List<Expr> operands(ParserRuleContext at, List<ExprContext> contexts, Object op) {
    List<Expr> alike = alike(contexts);
    Expr a = alike.get(0);
    Expr b = alike.get(1);
    if (!a.type().equals(b.type())) {
      throw LoopBuilder.at("TSR-1004", at, op + " of " + a.type() + " and " + b.type());
    }
    return List.of(a, b);
  }

  @Override
  public Expr visitCompare(CompareContext context) {
    CompareOp op =
        switch (context.op.getText()) {
          case "==" -> CompareOp.EQ;
          case "!=" -> CompareOp.NE;
          case "<" -> CompareOp.LT;
          case "<=" -> CompareOp.LE;
          case ">" -> CompareOp.GT;
          default -> CompareOp.GE;
        };
    List<Expr> operands = operands(context, context.expr(), op);
    return new Expr.Compare(op, operands.get(0), operands.get(1));
  }

  @Override
  public Expr visitLoad(LoadContext context) {
    Type element = scope.buffer(context.name(0));
    Type type = context.name().size() > 1 ? scope.type(context.name(1)) : element;
    Optional<Expr> mask =
        context.IF() == null ? Optional.empty() : Optional.of(visit(context.expr(1)));
    return new Expr.Load(type, LoopBuilder.text(context.name(0)), visit(context.expr(0)), mask);
  }

  @Override
  public Expr visitCall(CallContext context) {
    String name = LoopBuilder.text(context.name());
    List<ArgumentOfContext> arguments = context.argumentOf();
    Optional<Type> type = Type.parse(name);
    if (type.isPresent()) {
      return new Expr.Cast(
          type.get(), visit(expr(context, 0, 1)), context.getText().startsWith(name + "!"));
    }
    Optional<UnaryOp> unary = named(UnaryOp.class, name);
    if (unary.isPresent()) {
      return new Expr.Unary(unary.get(), visit(expr(context, 0, 1)));
    }
    Optional<BinaryOp> binary = named(BinaryOp.class, name);
    if (binary.isPresent()) {
      List<Expr> operands =
          operands(context, List.of(expr(context, 0, 2), expr(context, 1, 2)), name);
      return new Expr.Binary(binary.get(), operands.get(0), operands.get(1));
    }
    if (name.startsWith("reduce_")) {
      ReduceOp op =
          named(ReduceOp.class, name.substring(7))
              .orElseThrow(() -> LoopBuilder.at("TSR-1003", context, "no function " + name));
      return new Expr.Reduce(op, visit(expr(context, 0, 1)));
    }
    return switch (name) {
      case "fma" -> {
        List<Expr> x =
            alike(List.of(expr(context, 0, 3), expr(context, 1, 3), expr(context, 2, 3)));
        yield new Expr.Fma(x.get(0), x.get(1), x.get(2));
      }
      case "dot2" ->
          new Expr.Dot2(
              visit(expr(context, 0, 3)), visit(expr(context, 1, 3)), visit(expr(context, 2, 3)));
      case "dot4" ->
          new Expr.Dot4(
              visit(expr(context, 0, 3)), visit(expr(context, 1, 3)), visit(expr(context, 2, 3)));
      case "select" -> {
        List<Expr> sides =
            operands(context, List.of(expr(context, 1, 3), expr(context, 2, 3)), name);
        yield new Expr.Select(visit(expr(context, 0, 3)), sides.get(0), sides.get(1));
      }
      case "bits" -> {
        String target = expr(context, 0, 2).getText();
        yield new Expr.Bits(
            Type.parse(target)
                .orElseThrow(() -> LoopBuilder.at("TSR-1004", context, "no such type: " + target)),
            visit(expr(context, 1, 2)));
      }
      case "broadcast" -> new Expr.Broadcast(visit(expr(context, 0, 2)), lanes(context, 1, 2));
      case "ramp" ->
          new Expr.Ramp(visit(expr(context, 0, 3)), constant(context, 1, 3), lanes(context, 2, 3));
      case "lanelt" -> new Expr.LaneLt(visit(expr(context, 0, 2)), lanes(context, 1, 2));
      case "shuffle" -> {
        Expr a = visit(expr(context, 0, 3));
        Expr b = visit(expr(context, 1, 3));
        List<Integer> lanes = new ArrayList<>();
        for (IntegerContext i : arguments.get(2).integer()) {
          lanes.add((int) integer(i, i.getText()));
        }
        if (Integer.bitCount(lanes.size()) != 1) {
          throw LoopBuilder.at(
              "TSR-1004", context, "a shuffle gives a power of two of lanes, not " + lanes.size());
        }
        yield new Expr.Shuffle(a, b, List.copyOf(lanes));
      }
      default -> throw LoopBuilder.at("TSR-1003", context, "no function " + name);
    };
  }

  private static ExprContext expr(CallContext context, int i, int count) {
    if (context.argumentOf().size() != count) {
      throw LoopBuilder.at(
          "TSR-1001", context, context.name().getText() + " takes " + count + " arguments");
    }
    ExprContext expr = context.argumentOf(i).expr();
    if (expr == null) {
      throw LoopBuilder.at("TSR-1001", context.argumentOf(i), "an expression is expected");
    }
    return expr;
  }

  private long constant(CallContext context, int i, int count) {
    ExprContext expr = expr(context, i, count);
    return integer(expr, expr.getText());
  }

  private int lanes(CallContext context, int i, int count) {
    long lanes = constant(context, i, count);
    if (lanes < 1 || lanes > 1024 || Long.bitCount(lanes) != 1) {
      throw LoopBuilder.at("TSR-1004", context, lanes + " lanes are not a power of two up to 1024");
    }
    return (int) lanes;
  }
}
