package org.tersor.ir.ops;

import static org.tersor.ir.ops.ElementwiseRow.binary;
import static org.tersor.ir.ops.ElementwiseRow.unary;
import static org.tersor.ir.ops.ElementwiseRow.variadic;

import java.util.List;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.DType;

/** The table of elementwise operators: name, types, since-versions, expression. */
final class ElementwiseOperators {
  private static final double FLOAT_MAX = Float.MAX_VALUE;

  private ElementwiseOperators() {}

  static List<Operator> all() {
    List<Operator> all = new java.util.ArrayList<>();
    all.addAll(arithmetic());
    all.addAll(activations());
    all.addAll(functions());
    all.addAll(logic());
    return all;
  }

  private static List<Operator> arithmetic() {
    return List.of(
        binary("Add", Types.NUMERIC, 1, 6, 7, 13, 14).alignedBefore(7, -1).dims().is("a + b"),
        binary("Sub", Types.NUMERIC, 1, 6, 7, 13, 14).alignedBefore(7, -1).dims().is("a - b"),
        binary("Mul", Types.NUMERIC, 1, 6, 7, 13, 14).alignedBefore(7, -1).dims().is("a * b"),
        binary("Div", Types.NUMERIC, 1, 6, 7, 13, 14)
            .range("b", "nonzero")
            .alignedBefore(7, -1)
            .dims()
            .is("a / b"),
        binary("Mod", Types.NUMERIC, 10, 13)
            .range("b", "nonzero")
            .integer("fmod", 0)
            .when(
                c -> c.dtype(0).isFloat() && c.intAttr("fmod", 0) == 0,
                "where((fmod(a, b) < 0) == (b < 0) || fmod(a, b) == 0, fmod(a, b), fmod(a, b) + b)")
            .when(c -> c.dtype(0).isFloat(), "fmod(a, b)")
            .when(c -> c.intAttr("fmod", 0) != 0 || c.dtype(0).isUnsigned(), "rem(a, b)")
            .is("where(rem(a, b) != 0 && xor(a, b) < 0, rem(a, b) + b, rem(a, b))"),
        ElementwiseRow.of("Pow", 1, 7, 12, 13, 15)
            .operand("a", "T", Types.NUMERIC)
            .operand("b", "T1", Types.NUMERIC)
            .range("a", "positive")
            .range("b", "small")
            .alignedBefore(7, -1)
            .mixed()
            .is("pow(a, b)"),
        unary("Neg", Types.SIGNED_NUMERIC, 1, 6, 13).dims().exact().is("-x"),
        unary("Abs", Types.NUMERIC, 1, 6, 13).exact().is("abs(x)"),
        unary("Reciprocal", Types.FLOATS, 1, 6, 13).range("x", "positive").is("1 / x"),
        unary("Sqrt", Types.FLOATS, 1, 6, 13).range("x", "positive").is("sqrt(x)"),
        unary("Floor", Types.FLOATS, 1, 6, 13).exact().is("floor(x)"),
        unary("Ceil", Types.FLOATS, 1, 6, 13).exact().is("ceil(x)"),
        unary("Round", Types.FLOATS, 11, 22).exact().is("rint(x)"),
        unary("Sign", Types.NUMERIC, 9, 13)
            .exact()
            .is("where(x > 0, 1, where(x < 0, 0 - 1, where(x == 0, 0, x)))"),
        variadic("Sum", Types.FLOATS, 1, 6, 8, 13).sums().is("a + b"),
        variadic("Mean", Types.FLOATS, 1, 6, 8, 13).sums().finish("x / n").is("a + b"),
        variadic("Min", Types.NUMERIC, 1, 6, 8, 12, 13).exact().is("min(a, b)"),
        variadic("Max", Types.NUMERIC, 1, 6, 8, 12, 13).exact().is("max(a, b)"),
        unary("Clip", Types.NUMERIC, 1, 6, 11, 12, 13)
            .optional("low", "T", Types.NUMERIC)
            .optional("high", "T", Types.NUMERIC)
            .attribute("min", -FLOAT_MAX)
            .attribute("max", FLOAT_MAX)
            .sample("-10: min=-2.0..0.0; -10: max=0.0..3.0")
            .exact()
            .when(c -> c.version() < 11, "min(max(x, min), max)")
            .when(c -> c.hasInput(1) && c.hasInput(2), "min(max(x, low), high)")
            .when(c -> c.hasInput(1), "max(x, low)")
            .when(c -> c.hasInput(2), "min(x, high)")
            .is("x"));
  }

  private static List<Operator> activations() {
    return List.of(
        unary("Relu", Types.SIGNED_NUMERIC, 1, 6, 13, 14).exact().is("max(x, 0)"),
        unary("LeakyRelu", Types.FLOATS, 1, 6, 16)
            .attribute("alpha", 0.01f)
            .is("where(x < 0, alpha * x, x)"),
        ElementwiseRow.of("PRelu", 1, 6, 7, 9, 16)
            .operand("x", "T", Types.NUMERIC)
            .operand("slope", "T", Types.NUMERIC)
            .unidirectional()
            .alignedBefore(7, 1)
            .is("where(x < 0, slope * x, x)"),
        unary("Elu", Types.FLOATS, 1, 6, 22)
            .attribute("alpha", 1)
            .is("where(x < 0, alpha * expm1(x), x)"),
        unary("Celu", Types.FLOATS, 12, 28)
            .attribute("alpha", 1)
            .is("max(x, 0) + min(0, alpha * expm1(x / alpha))"),
        unary("Selu", Types.FLOATS, 1, 6, 22)
            .attribute("alpha", (float) 1.6732632)
            .attribute("gamma", (float) 1.0507010)
            .is("where(x > 0, gamma * x, gamma * alpha * expm1(x))"),
        unary("ThresholdedRelu", Types.FLOATS, 10, 22)
            .attribute("alpha", 1)
            .exact()
            .is("where(x > alpha, x, 0)"),
        unary("Shrink", Types.NUMERIC, 9)
            .attribute("lambd", 0.5)
            .attribute("bias", 0)
            // Of an unsigned type no number is below a negative one.
            .when(
                c -> c.dtype(0).isUnsigned() && c.floatAttr("lambd", 0.5f) >= 0,
                "where(x > lambd, x - bias, 0)")
            .is("where(x < -lambd, x + bias, where(x > lambd, x - bias, 0))"),
        unary("Sigmoid", Types.FLOATS, 1, 6, 13).is("sigmoid(x)"),
        unary("HardSigmoid", Types.FLOATS, 1, 6, 22)
            .attribute("alpha", 0.2f)
            .attribute("beta", 0.5)
            .is("max(0, min(1, alpha * x + beta))"),
        unary("HardSwish", Types.FLOATS, 14, 22)
            .is("x * max(0, min(1, x * 0.16666666666666666 + 0.5))"),
        unary("Swish", Types.FLOATS, 24).attribute("alpha", 1).is("x * sigmoid(alpha * x)"),
        ElementwiseRow.of("SwiGLU", 28)
            .operand("a", "T", Types.FLOATS)
            .operand("b", "T", Types.FLOATS)
            .attribute("alpha", 1)
            .is("a * sigmoid(alpha * a) * b"),
        unary("Softplus", Types.FLOATS, 1, 22).is("max(x, 0) + log1p(exp(-abs(x)))"),
        unary("Softsign", Types.FLOATS, 1, 22).is("x / (1 + abs(x))"),
        unary("Mish", Types.FLOATS, 18, 22).is("x * tanh(max(x, 0) + log1p(exp(-abs(x))))"),
        unary("Gelu", Types.FLOATS, 20)
            .string("approximate")
            .sample("approximate=none|tanh")
            .when(
                c -> c.stringAttr("approximate", "none").equals("tanh"),
                "0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))")
            .is("0.5 * x * (1 + erf(x * 0.7071067811865476))"));
  }

  private static List<Operator> functions() {
    return List.of(
        unary("Exp", Types.FLOATS, 1, 6, 13).is("exp(x)"),
        unary("Log", Types.FLOATS, 1, 6, 13).range("x", "positive").is("log(x)"),
        unary("Erf", Types.NUMERIC, 9, 13).realNumbers().is("erf(x)"),
        unary("Sin", Types.FLOATS, 7, 22).is("sin(x)"),
        unary("Cos", Types.FLOATS, 7, 22).is("cos(x)"),
        unary("Tan", Types.FLOATS, 7, 22).is("tan(x)"),
        unary("Asin", Types.FLOATS, 7, 22).range("x", "unit").is("asin(x)"),
        unary("Acos", Types.FLOATS, 7, 22).range("x", "unit").is("acos(x)"),
        unary("Atan", Types.FLOATS, 7, 22).is("atan(x)"),
        unary("Sinh", Types.FLOATS, 9, 22).is("sinh(x)"),
        unary("Cosh", Types.FLOATS, 9, 22).is("cosh(x)"),
        unary("Tanh", Types.FLOATS, 1, 6, 13).is("tanh(x)"),
        unary("Asinh", Types.FLOATS, 9, 22).is("asinh(x)"),
        unary("Acosh", Types.FLOATS, 9, 22).is("acosh(x)"),
        unary("Atanh", Types.FLOATS, 9, 22).range("x", "unit").is("atanh(x)"));
  }

  private static List<Operator> logic() {
    return List.of(
        binary("And", Types.BOOL, 1, 7).alignedBefore(7, -1).exact().is("a && b"),
        binary("Or", Types.BOOL, 1, 7).alignedBefore(7, -1).exact().is("a || b"),
        binary("Xor", Types.BOOL, 1, 7).alignedBefore(7, -1).exact().is("xor(a, b)"),
        unary("Not", Types.BOOL, 1).exact().is("!x"),
        binary(
                "Equal",
                Types.union(Types.NUMERIC_OR_BOOL, Types.set(DType.STRING)),
                1,
                7,
                11,
                13,
                19)
            .alignedBefore(7, -1)
            .result(DType.BOOL)
            .onStrings(StringOperators.EQUAL)
            .exact()
            .is("a == b"),
        binary("Less", Types.NUMERIC, 1, 7, 9, 13)
            .alignedBefore(7, -1)
            .result(DType.BOOL)
            .exact()
            .is("a < b"),
        binary("LessOrEqual", Types.NUMERIC, 12, 16).result(DType.BOOL).exact().is("a <= b"),
        binary("Greater", Types.NUMERIC, 1, 7, 9, 13)
            .alignedBefore(7, -1)
            .result(DType.BOOL)
            .exact()
            .is("a > b"),
        binary("GreaterOrEqual", Types.NUMERIC, 12, 16).result(DType.BOOL).exact().is("a >= b"),
        unary("IsNaN", Types.union(Types.FLOATS, CastOperator.FLOAT8), 9, 13, 20)
            .result(DType.BOOL)
            .exact()
            .is("x != x"),
        unary("IsInf", Types.union(Types.FLOATS, CastOperator.FLOAT8), 10, 20)
            .integer("detect_positive", 1)
            .integer("detect_negative", 1)
            .result(DType.BOOL)
            .exact()
            .is("detect_positive != 0 && x == inf || detect_negative != 0 && x == -inf"),
        ElementwiseRow.of("Where", 9, 16)
            .operand("condition", "B", Types.BOOL)
            .operand("a", "T", Types.ALL)
            .operand("b", "T", Types.ALL)
            .typeOf(1)
            .exact()
            .is("where(condition, a, b)"),
        binary("BitwiseAnd", Types.INTEGERS, 18).exact().is("and(a, b)"),
        binary("BitwiseOr", Types.INTEGERS, 18).exact().is("or(a, b)"),
        binary("BitwiseXor", Types.INTEGERS, 18).exact().is("xor(a, b)"),
        unary("BitwiseNot", Types.INTEGERS, 18).exact().is("invert(x)"),
        binary("BitShift", Types.UNSIGNED, 11)
            .range("b", "positive")
            .requiredString("direction", "LEFT", "RIGHT")
            .sample("direction=LEFT|RIGHT")
            .exact()
            .when(
                c -> c.stringAttr("direction", "").equals("LEFT"), "where(b >= bits, 0, shl(a, b))")
            .when(
                c -> c.stringAttr("direction", "").equals("RIGHT"),
                "where(b >= bits, 0, shr(a, b))")
            .is("a"));
  }
}
