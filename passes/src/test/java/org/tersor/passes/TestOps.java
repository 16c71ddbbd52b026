package org.tersor.passes;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.IntStream;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.BodyOperator;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Tiny operators without broadcasting, so that tests of passes need no operator library. */
public final class TestOps {
  private TestOps() {}

  public static OpRegistry registry() {
    return new OpRegistry(
        List.of(() ->
            List.of(
                new Binary("Add", Double::sum),
                new Binary("Mul", (a, b) -> a * b),
                new Unary("Relu", a -> Math.max(a, 0)),
                new Unary("Identity", a -> a),
                new Twice(),
                new ShapeOp(),
                new IfOp(),
                new Flat())));
  }

  private abstract static class Base implements Operator {
    private final OpSchema schema;

    Base(String name, int inputs) {
      OpSchema.Builder builder = OpSchema.of("", name, 1).output("y", "T");
      for (int i = 0; i < inputs; i++) {
        builder.input("x" + i, "T");
      }
      schema = builder.build();
    }

    @Override
    public OpSchema schema() {
      return schema;
    }

    @Override
    public List<ValueType> infer(OpContext context) {
      return List.of(context.in(0));
    }

    @Override
    public Lowering lower(OpContext context) {
      throw context.error("TSR-0501", "the test operator has no kernel");
    }
  }

  private static Buf buf(String name, OpContext context) {
    return new Buf(name, Scalar.F32, context.dims(0));
  }

  private static List<Axis> axes(OpContext context) {
    return IntStream.range(0, context.rank(0))
        .mapToObj(d -> new Axis("i" + d, context.dims(0).get(d)))
        .toList();
  }

  private static final class Binary extends Base {
    private final DoubleBinaryOperator function;

    Binary(String name, DoubleBinaryOperator function) {
      super(name, 2);
      this.function = function;
    }

    @Override
    public List<Tensor> eval(EvalContext context) {
      Tensor a = context.input(0);
      Tensor out = Tensor.zeros(a.dtype(), a.shape());
      for (int i = 0; i < a.size(); i++) {
        out.setDouble(i, function.applyAsDouble(a.getDouble(i), context.input(1).getDouble(i)));
      }
      return List.of(out);
    }

    @Override
    public Lowering lower(OpContext context) {
      Buf a = buf("in0", context);
      Buf b = buf("in1", context);
      Buf out = buf("out0", context);
      List<Axis> axes = axes(context);
      var index = axes.stream().map(K::axis).toList();
      var value =
          schema().name().equals("Add")
              ? K.add(K.at(a, index), K.at(b, index))
              : K.mul(K.at(a, index), K.at(b, index));
      return new Lowering.Compute(
          new Kernel(
              schema().name().toLowerCase(Locale.ROOT),
              List.of(a, b),
              List.of(out),
              List.of(Stage.of(out, axes, value))));
    }
  }

  private static final class Unary extends Base {
    private final DoubleUnaryOperator function;

    Unary(String name, DoubleUnaryOperator function) {
      super(name, 1);
      this.function = function;
    }

    @Override
    public List<Tensor> eval(EvalContext context) {
      Tensor a = context.input(0);
      Tensor out = Tensor.zeros(a.dtype(), a.shape());
      for (int i = 0; i < a.size(); i++) {
        out.setDouble(i, function.applyAsDouble(a.getDouble(i)));
      }
      return List.of(out);
    }

    @Override
    public Lowering lower(OpContext context) {
      if (schema().name().equals("Identity")) {
        return new Lowering.View(0);
      }
      Buf a = buf("in0", context);
      Buf out = buf("out0", context);
      List<Axis> axes = axes(context);
      var value = K.max(K.at(a, axes.stream().map(K::axis).toList()), K.f32(0));
      return new Lowering.Compute(
          new Kernel("relu", List.of(a), List.of(out), List.of(Stage.of(out, axes, value))));
    }
  }

  private static final class Twice extends Base {
    Twice() {
      super("Twice", 1);
    }

    @Override
    public List<Tensor> eval(EvalContext context) {
      Tensor a = context.input(0);
      Tensor out = Tensor.zeros(a.dtype(), a.shape());
      for (int i = 0; i < a.size(); i++) {
        out.setDouble(i, 2 * a.getDouble(i));
      }
      return List.of(out);
    }

    @Override
    public Lowering lower(OpContext context) {
      Value x = context.node().input(0);
      return new Lowering.Decompose(build -> List.of(build.add("Add", x, x)));
    }
  }

  private static final class ShapeOp extends Base {
    ShapeOp() {
      super("Shape", 1);
    }

    @Override
    public List<ValueType> infer(OpContext context) {
      return List.of(TensorType.of(DType.I64, context.rank(0)));
    }

    @Override
    public List<Tensor> eval(EvalContext context) {
      long[] shape = context.input(0).shape();
      return List.of(Tensor.of(shape.clone(), shape.length));
    }

    @Override
    public Optional<List<DimExpr>> symbolicOutput(OpContext context) {
      return Optional.of(context.dims(0));
    }
  }

  /** Output of the shape that input 1 says. */
  private static final class Flat extends Base {
    Flat() {
      super("Reshape", 2);
    }

    @Override
    public List<ValueType> infer(OpContext context) {
      return List.of(
          context
              .symbolic(1)
              .map(dims -> TensorType.of(context.dtype(0), dims))
              .orElse(TensorType.unranked(context.dtype(0))));
    }

    @Override
    public List<Tensor> eval(EvalContext context) {
      return List.of(context.input(0).reshaped(context.input(1).longs().clone()));
    }

    @Override
    public Lowering lower(OpContext context) {
      return new Lowering.View(0);
    }
  }

  private static final class IfOp extends Base implements BodyOperator {
    @Override
    public List<ValueType> bodyInputs(OpContext context, Graph body) {
      return List.of();
    }

    IfOp() {
      super("If", 1);
    }

    @Override
    public List<ValueType> infer(OpContext context) {
      Graph then = context.graphAttr("then_branch").orElseThrow();
      return then.outputs().stream().map(then::type).toList();
    }

    @Override
    public List<Datum> eval(EvalContext context) {
      String branch = context.input(0).getLong(0) != 0 ? "then_branch" : "else_branch";
      return context.run(context.graphAttr(branch).orElseThrow(), new ArrayList<>());
    }
  }

  /** {@code relu(x + c)} inside an If that captures x, else x itself. */
  public static Graph conditional() {
    GraphBuilder b = new GraphBuilder(java.util.Map.of("", 17), 0);
    Value condition = b.input("cond", TensorType.of(DType.BOOL));
    Value x = b.input("x", TensorType.of(DType.F32, List.of(DimExpr.symbol("N"), DimExpr.of(2))));
    GraphBuilder then = new GraphBuilder(java.util.Map.of("", 17), 100);
    then.output(then.add("Relu", then.add("Add", x, x)));
    GraphBuilder otherwise = new GraphBuilder(java.util.Map.of("", 17), 200);
    otherwise.output(otherwise.add("Identity", x));
    Value y =
        b.add(
            "If",
            java.util.Map.of(
                "then_branch", new Attribute.GraphAttr(then.build("then", java.util.Map.of())),
                "else_branch",
                    new Attribute.GraphAttr(otherwise.build("else", java.util.Map.of()))),
            condition);
    b.output(y);
    return b.build("conditional", java.util.Map.of());
  }
}
