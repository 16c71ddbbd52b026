package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * An operator that one expression defines: output element = expression of the input elements at the
 * broadcast position. The expression gives evaluation, kernel and symbolic values.
 */
final class Elementwise extends OpBase implements Differentiable {
  private final ElementwiseRow row;

  Elementwise(ElementwiseRow row) {
    super(row.schema());
    this.row = row;
  }

  /** An expression and when it applies; the first that does is taken. */
  record Variant(Predicate<OpContext> when, ScalarExpr expr) {}

  /** A float attribute (or an integer one, as a number) and its default from a version on. */
  record Parameter(String name, boolean isInt, double otherwise) {}

  @Override
  List<ValueType> types(OpContext c) {
    row.choices()
        .forEach((name, words) -> {
          if (!words.contains(c.stringAttr(name, ""))) {
            throw c.error("TSR-0304", name + " must be one of " + String.join(", ", words));
          }
        });
    Optional<List<DimExpr>> dims = aligned(c).map(shapes -> Shapes.broadcast(c, shapes));
    if (row.isUnidirectional() && dims.isPresent()) {
      checkFirst(c, dims.get());
      dims = Optional.of(c.dims(0));
    }
    return List.of(type(resultType(c), dims));
  }

  /** Other operands must not make the result larger than the first. */
  private static void checkFirst(OpContext c, List<DimExpr> result) {
    List<DimExpr> first = c.dims(0);
    boolean fits = first.size() == result.size();
    for (int d = 0; fits && d < first.size(); d++) {
      DimExpr extent = result.get(d);
      fits = !extent.isConst() || !first.get(d).isConst() || extent.equals(first.get(d));
      if (fits && !extent.equals(first.get(d))) {
        c.demandEqual(extent, first.get(d));
      }
    }
    if (!fits) {
      throw c.error(
          "TSR-0303", "the first operand has the result's shape: the others cannot widen it");
    }
  }

  private DType resultType(OpContext c) {
    return row.result().orElseGet(() -> c.dtype(row.typeInput()));
  }

  /**
   * Shapes of the present inputs, as they take part in broadcasting; absent inputs give a scalar.
   */
  private Optional<List<List<DimExpr>>> aligned(OpContext c) {
    List<List<DimExpr>> shapes = new ArrayList<>();
    for (int i = 0; i < c.inputCount(); i++) {
      if (!c.hasInput(i)) {
        shapes.add(List.of());
      } else if (!c.in(i).isRanked()) {
        return Optional.empty();
      } else {
        shapes.add(align(c, i));
      }
    }
    return Optional.of(shapes);
  }

  /** Before opset 7 the second operand is laid along the axes of the first from {@code axis} on. */
  private List<DimExpr> align(OpContext c, int index) {
    List<DimExpr> dims = c.dims(index);
    if (index != 1 || row.alignedBefore() <= c.version() || !c.in(0).isRanked() || dims.isEmpty()) {
      return dims;
    }
    int rank = c.rank(0);
    long otherwise = row.alignedAxis() >= 0 ? row.alignedAxis() : rank - dims.size();
    int axis =
        c.has("axis") ? c.axis(c.intAttr("axis", 0), rank) : (int) Math.min(otherwise, rank - 1);
    if (dims.size() == 1 && dims.getFirst().isConst(1)) {
      return dims;
    }
    if (axis < 0 || axis + dims.size() > rank) {
      throw c.error("TSR-0303", "the second operand does not fit the first at axis " + axis);
    }
    List<DimExpr> aligned = new ArrayList<>(dims);
    while (axis + aligned.size() < rank) {
      aligned.add(DimExpr.ONE);
    }
    return aligned;
  }

  /** The expression for this node with its attributes filled in. */
  private ScalarExpr expression(OpContext c, DType element) {
    ScalarExpr expr =
        row.variants().stream()
            .filter(v -> v.when().test(c))
            .findFirst()
            .orElseThrow(() -> c.error("TSR-0304", "this combination of attributes is not defined"))
            .expr();
    Map<String, ScalarExpr> values = new HashMap<>();
    values.put("bits", new ScalarExpr.Num(element.bits()));
    for (Parameter p : row.parameters()) {
      double value =
          p.isInt()
              ? c.intAttr(p.name(), (long) p.otherwise())
              : c.has(p.name()) ? c.floatAttr(p.name(), 0) : p.otherwise();
      values.put(p.name(), new ScalarExpr.Num(value));
    }
    return expr.substitute(values);
  }

  private String operandName(int index) {
    return row.operands().get(index);
  }

  @Override
  List<Tensor> values(EvalContext c) {
    TensorType type = outType(c, 0);
    Tensor out = Shapes.allocate(c, type.dtype(), type.staticShape());
    int n = c.inputCount();
    ElementReader reader = new ElementReader(row.hasRealNumbers());
    Tensor[] inputs = new Tensor[n];
    long[][] strides = new long[n][];
    ScalarEval.Kind[] kinds = new ScalarEval.Kind[n];
    for (int i = 0; i < n; i++) {
      if (c.hasInput(i)) {
        inputs[i] = c.input(i);
        long[] shape = align(c, i).stream().mapToLong(DimExpr::constValue).toArray();
        strides[i] = Shapes.broadcastStrides(shape, type.rank());
        kinds[i] = reader.kind(inputs[i].dtype());
      }
    }
    ScalarEval.Code code = compile(c, kinds, reader.kind(out.dtype()));
    double[] reals = new double[n];
    long[] integers = new long[n];
    long[] shape = type.staticShape();
    long[] index = new long[shape.length];
    for (int e = 0; e < out.size(); e++) {
      for (int i = 0; i < n; i++) {
        if (kinds[i] != null) {
          int at = 0;
          for (int d = 0; d < shape.length; d++) {
            at += (int) (index[d] * strides[i][d]);
          }
          if (kinds[i] == ScalarEval.Kind.REAL) {
            reals[i] = inputs[i].getDouble(at);
          } else {
            integers[i] = reader.integer(inputs[i], at);
          }
        }
      }
      reader.store(out, e, code, reals, integers);
      Shapes.next(index, shape);
    }
    return List.of(out);
  }

  private ScalarEval.Code compile(OpContext c, ScalarEval.Kind[] kinds, ScalarEval.Kind numbers) {
    ScalarEval.Kind literals = kinds[row.typeInput()] == null ? numbers : kinds[row.typeInput()];
    Map<String, ScalarEval.Operand> operands = new LinkedHashMap<>();
    if (!row.variadic()) {
      for (int i = 0; i < kinds.length; i++) {
        if (kinds[i] != null) {
          operands.put(operandName(i), new ScalarEval.Operand(i, kinds[i]));
        }
      }
      return new ScalarEval(operands, literals).compile(expression(c, c.dtype(row.typeInput())));
    }
    return new ScalarEval(variadicOperands(kinds), literals).compile(variadic(c));
  }

  private static Map<String, ScalarEval.Operand> variadicOperands(ScalarEval.Kind[] kinds) {
    Map<String, ScalarEval.Operand> operands = new LinkedHashMap<>();
    for (int i = 0; i < kinds.length; i++) {
      operands.put("in" + i, new ScalarEval.Operand(i, kinds[i]));
    }
    return operands;
  }

  /** The expression of two folded over all inputs from the left, then the final one. */
  private ScalarExpr variadic(OpContext c) {
    ScalarExpr pair = expression(c, c.dtype(0));
    ScalarExpr result = new ScalarExpr.Name("in0");
    for (int i = 1; i < c.inputCount(); i++) {
      result = pair.substitute(Map.of("a", result, "b", new ScalarExpr.Name("in" + i)));
    }
    return row.last().substitute(Map.of("x", result, "n", new ScalarExpr.Num(c.inputCount())));
  }

  @Override
  Lowering code(OpContext c) {
    TensorType type = outType(c, 0);
    List<Axis> axes = Shapes.axes(type.dims());
    Buf out = out(c, 0, type);
    List<Buf> inputs = new ArrayList<>();
    Map<String, KExpr> operands = new LinkedHashMap<>();
    for (int i = 0; i < c.inputCount(); i++) {
      if (c.hasInput(i)) {
        Buf buffer = new Buf("in" + i, scalar(c, c.dtype(i)), align(c, i));
        Optional<KExpr> literal = literal(c, i);
        if (literal.isEmpty()) {
          inputs.add(buffer);
        }
        KExpr element =
            literal.orElseGet(() -> K.at(buffer, Shapes.index(buffer.shape(), type.dims(), axes)));
        operands.put(
            row.variadic() ? "in" + i : operandName(i),
            row.isCondition(i) ? element : K.cast(compute(c.dtype(i)), element));
      }
    }
    DType main = c.dtype(row.typeInput());
    if (row.widen()) {
      // Operands of several types meet in the first one's, integers in F64.
      Scalar meeting = main.isFloat() ? compute(main) : Scalar.F64;
      operands.replaceAll((name, e) -> K.cast(meeting, e));
    }
    Scalar numbers =
        row.isCondition(row.typeInput())
            ? Scalar.BOOL
            : row.widen() && !main.isFloat() ? Scalar.F64 : compute(main);
    ScalarExpr expr = row.variadic() ? variadic(c) : expression(c, main);
    KExpr value = new ScalarLower(operands, numbers).lower(special(c, expr));
    return compute(inputs, out, List.of(Stage.of(out, axes, K.cast(out.element(), value))));
  }

  /** A known float that all elements share, so that code sees bounds and factors as constants. */
  private static Optional<KExpr> literal(OpContext c, int index) {
    boolean isAlone =
        IntStream.range(0, c.inputCount())
            .noneMatch(i -> c.hasInput(i) && !(c.in(i).isStatic() && c.constant(i).isPresent()));
    if (isAlone
        || c.dtype(index) != DType.F32
        || !c.in(index).isStatic()
        || !c.in(index).elements().isConst(1)) {
      return Optional.empty();
    }
    return c.constant(index)
        .map(tensor -> tensor.getDouble(0))
        .filter(Double::isFinite)
        .map(K::f32);
  }

  @Override
  Lowering strings(OpContext c) {
    return row.onStrings()
        .<Lowering>map(op ->
            new Lowering.Decompose(b ->
                List.of(
                    b.add(OpKey.TERSOR, op, Map.of(), c.node().inputs().toArray(new Value[0])))))
        .orElseGet(() -> super.strings(c));
  }

  /** A power with a small constant exponent as products. */
  private static ScalarExpr special(OpContext c, ScalarExpr expr) {
    if (!(expr instanceof ScalarExpr.Call call)
        || call.fn() != ScalarExpr.Fn.POW
        || !c.dtype(0).isFloat()) {
      return expr;
    }
    Optional<Tensor> exponent =
        c.in(1).isStatic() && c.in(1).elements().isConst(1) ? c.constant(1) : Optional.empty();
    double value = exponent.map(t -> t.getDouble(0)).orElse(Double.NaN);
    ScalarExpr x = call.args().getFirst();
    if (value == 2) {
      return new ScalarExpr.Call(ScalarExpr.Fn.MUL, List.of(x, x));
    }
    return value == 3
        ? new ScalarExpr.Call(
            ScalarExpr.Fn.MUL, List.of(new ScalarExpr.Call(ScalarExpr.Fn.MUL, List.of(x, x)), x))
        : expr;
  }

  /** The type that elements of {@code dtype} are computed in. */
  static Scalar compute(DType dtype) {
    return switch (dtype) {
      case F64 -> Scalar.F64;
      case U32 -> Scalar.U32;
      case I64 -> Scalar.I64;
      case U64 -> Scalar.U64;
      default -> dtype.isFloat() ? Scalar.F32 : Scalar.I32;
    };
  }

  @Override
  public Optional<List<DimExpr>> symbolicOutput(OpContext c) {
    if (row.variadic() || row.hasRealNumbers() || !row.followsDims()) {
      return Optional.empty();
    }
    List<List<DimExpr>> inputs = new ArrayList<>();
    int n = 1;
    for (int i = 0; i < c.inputCount(); i++) {
      Optional<List<DimExpr>> elements = c.symbolic(i);
      if (elements.isEmpty() || elements.get().isEmpty()) {
        return Optional.empty();
      }
      inputs.add(elements.get());
      n = elements.get().size() > 1 ? elements.get().size() : n;
    }
    ScalarExpr expr = expression(c, c.dtype(0));
    List<DimExpr> result = new ArrayList<>();
    for (int e = 0; e < n; e++) {
      Map<String, DimExpr> operands = new HashMap<>();
      for (int i = 0; i < inputs.size(); i++) {
        List<DimExpr> elements = inputs.get(i);
        if (elements.size() != 1 && elements.size() != n) {
          return Optional.empty();
        }
        operands.put(operandName(i), elements.get(elements.size() == 1 ? 0 : e));
      }
      Optional<DimExpr> value = ScalarDims.of(expr, operands);
      if (value.isEmpty()) {
        return Optional.empty();
      }
      result.add(value.get());
    }
    return Optional.of(result);
  }

  @Override
  public List<Value> gradients(OpContext c, Pullback p) {
    ScalarExpr expr = row.variadic() ? variadic(c) : expression(c, c.dtype(row.typeInput()));
    Map<String, Value> operands = new HashMap<>();
    for (int i = 0; i < c.inputCount(); i++) {
      operands.put(row.variadic() ? "in" + i : operandName(i), p.inputs().get(i));
    }
    List<DimExpr> result = outType(c, 0).dims();
    List<Value> gradients = new ArrayList<>();
    for (int i = 0; i < c.inputCount(); i++) {
      if (!c.hasInput(i) || !c.dtype(i).isFloat()) {
        gradients.add(Value.NONE);
        continue;
      }
      String name = row.variadic() ? "in" + i : operandName(i);
      ScalarExpr derivative =
          ScalarGradient.of(expr, name)
              .orElseThrow(() -> c.error("TSR-0203", "its derivative is not known"));
      Value part = ScalarGradient.nodes(c, p, derivative, operands, c.dtype(i));
      gradients.add(p.unbroadcast(c, p.add("Mul", p.gradient(), part), result, align(c, i)));
    }
    return gradients;
  }
}
