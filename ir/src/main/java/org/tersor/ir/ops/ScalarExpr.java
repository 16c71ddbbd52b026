package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The expression of an elementwise operator, read from text such as {@code "where(x < 0, alpha * x,
 * x)"}: numbers, names of operands and attributes, {@code + - * /}, comparisons, {@code && ||}, and
 * the functions of {@link Fn}. Reading it in doubles or longs is {@link ScalarEval}, as kernel
 * expressions {@link ScalarLower}.
 */
sealed interface ScalarExpr {

  record Num(double value) implements ScalarExpr {}

  record Name(String name) implements ScalarExpr {}

  record Call(Fn fn, List<ScalarExpr> args) implements ScalarExpr {
    public Call {
      args = List.copyOf(args);
      if (args.size() != fn.arity) {
        throw new IllegalArgumentException(fn + " takes " + fn.arity + " arguments");
      }
    }
  }

  /** Functions; the spelling in text is the name in lower case. */
  enum Fn {
    ADD(2),
    SUB(2),
    MUL(2),
    /** Of integers: truncates toward zero. */
    DIV(2),
    /** Integer remainder with the sign of the dividend. */
    REM(2),
    FMOD(2),
    MIN(2),
    MAX(2),
    POW(2),
    NEG(1),
    ABS(1),
    SQRT(1),
    FLOOR(1),
    CEIL(1),
    RINT(1),
    EXP(1),
    EXPM1(1),
    LOG(1),
    LOG1P(1),
    TANH(1),
    SIGMOID(1),
    ERF(1),
    SIN(1),
    COS(1),
    TAN(1),
    ASIN(1),
    ACOS(1),
    ATAN(1),
    SINH(1),
    COSH(1),
    ASINH(1),
    ACOSH(1),
    ATANH(1),
    EQ(2),
    NE(2),
    LT(2),
    LE(2),
    GT(2),
    GE(2),
    /** Bitwise; logical on conditions. */
    AND(2),
    OR(2),
    XOR(2),
    /** Of a condition. */
    NOT(1),
    /** Every bit of an integer. */
    INVERT(1),
    SHL(2),
    SHR(2),
    WHERE(3);

    final int arity;

    Fn(int arity) {
      this.arity = arity;
    }
  }

  /** Reads the text; an error in it is an error of this program. */
  static ScalarExpr parse(String text) {
    Parser parser = new Parser(text);
    ScalarExpr expr = parser.or();
    if (!parser.peek().isEmpty()) {
      throw new IllegalArgumentException("unexpected '" + parser.peek() + "' in " + text);
    }
    return expr;
  }

  /** Replaces names by expressions; other names stay. */
  default ScalarExpr substitute(Map<String, ScalarExpr> values) {
    return switch (this) {
      case Num n -> n;
      case Name n -> values.getOrDefault(n.name(), n);
      case Call call ->
          new Call(call.fn(), call.args().stream().map(a -> a.substitute(values)).toList());
    };
  }

  /** Recursive descent over a list of tokens. */
  final class Parser {
    private final String text;
    private final List<String> tokens = new ArrayList<>();
    private int next;

    Parser(String text) {
      this.text = text;
      var matcher =
          java.util.regex.Pattern.compile(
                  "\\s*(\\d+\\.?\\d*(?:[eE][-+]?\\d+)?|[A-Za-z_]\\w*|<=|>=|==|!=|&&|\\|\\||[-+*/()<>!,])")
              .matcher(text);
      int end = 0;
      while (matcher.lookingAt()) {
        tokens.add(matcher.group(1));
        end = matcher.end();
        matcher.region(end, text.length());
      }
      if (end != text.stripTrailing().length()) {
        throw new IllegalArgumentException("cannot read " + text.substring(end));
      }
    }

    String peek() {
      return next < tokens.size() ? tokens.get(next) : "";
    }

    private boolean take(String token) {
      if (peek().equals(token)) {
        next++;
        return true;
      }
      return false;
    }

    private void expect(String token) {
      if (!take(token)) {
        throw new IllegalArgumentException(
            "'" + token + "' expected at '" + peek() + "' in " + text);
      }
    }

    ScalarExpr or() {
      ScalarExpr left = and();
      while (take("||")) {
        left = call(Fn.OR, left, and());
      }
      return left;
    }

    private ScalarExpr and() {
      ScalarExpr left = comparison();
      while (take("&&")) {
        left = call(Fn.AND, left, comparison());
      }
      return left;
    }

    private ScalarExpr comparison() {
      ScalarExpr left = sum();
      return switch (peek()) {
        case "<" -> rest(Fn.LT, left);
        case "<=" -> rest(Fn.LE, left);
        case ">" -> rest(Fn.GT, left);
        case ">=" -> rest(Fn.GE, left);
        case "==" -> rest(Fn.EQ, left);
        case "!=" -> rest(Fn.NE, left);
        default -> left;
      };
    }

    private ScalarExpr rest(Fn fn, ScalarExpr left) {
      next++;
      return call(fn, left, sum());
    }

    private ScalarExpr sum() {
      ScalarExpr left = term();
      while (true) {
        if (take("+")) {
          left = call(Fn.ADD, left, term());
        } else if (take("-")) {
          left = call(Fn.SUB, left, term());
        } else {
          return left;
        }
      }
    }

    private ScalarExpr term() {
      ScalarExpr left = factor();
      while (true) {
        if (take("*")) {
          left = call(Fn.MUL, left, factor());
        } else if (take("/")) {
          left = call(Fn.DIV, left, factor());
        } else {
          return left;
        }
      }
    }

    private ScalarExpr factor() {
      if (take("-")) {
        ScalarExpr a = factor();
        return a instanceof Num n ? new Num(-n.value()) : call(Fn.NEG, a);
      }
      if (take("!")) {
        return call(Fn.NOT, factor());
      }
      if (take("(")) {
        ScalarExpr inner = or();
        expect(")");
        return inner;
      }
      String token = peek();
      next++;
      if (token.isEmpty()) {
        throw new IllegalArgumentException("unexpected end of " + text);
      }
      if (Character.isDigit(token.charAt(0))) {
        return new Num(Double.parseDouble(token));
      }
      if (!take("(")) {
        return switch (token) {
          case "inf" -> new Num(Double.POSITIVE_INFINITY);
          default -> new Name(token);
        };
      }
      List<ScalarExpr> args = new ArrayList<>();
      do {
        args.add(or());
      } while (take(","));
      expect(")");
      return new Call(Fn.valueOf(token.toUpperCase(Locale.ROOT)), args);
    }

    private static ScalarExpr call(Fn fn, ScalarExpr... args) {
      return new Call(fn, List.of(args));
    }
  }
}
