package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.tersor.ir.dsl.FormatDef;
import org.tersor.ir.format.DecodeNode;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.KernelInterpreter;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;
import org.tersor.ir.op.WeightLayout;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * {@code org.tersor.decode(buffers...) -> y}: the float32 values of a weight in a number format.
 * The scheme is in the attributes: {@code format} is the text that states layout and decode, so a
 * graph means the same with and without the plugin that made it; {@code shape} the shape of y;
 * {@code order} its dimensions in encoding order, the first {@code rows} of which are rows. The
 * operands are the format's buffers, in order.
 */
public final class DecodeOperator implements Operator, OperatorProvider {
  /** Name of the operator. */
  public static final String TYPE = DecodeNode.TYPE;

  @Override
  public List<Operator> operators() {
    return List.of(this);
  }

  @Override
  public OpSchema schema() {
    return OpSchema.of(OpKey.TERSOR, TYPE, 1)
        .variadic("buffers", "*")
        .output("y", "T")
        .required("format", AttributeKind.STRING)
        .required("shape", AttributeKind.INTS)
        .required("order", AttributeKind.INTS)
        .required("rows", AttributeKind.INT)
        .types("T", java.util.EnumSet.of(DType.F32))
        .build();
  }

  /** Attributes of a node. */
  public static Map<String, Attribute> attributes(
      String format, long[] shape, WeightLayout layout) {
    return DecodeNode.attributes(format, shape, layout);
  }

  /**
   * What a decode node says.
   *
   * @param shape of the result
   */
  record Scheme(FormatDef format, long[] shape, WeightLayout layout) {
    long[] encodedShape() {
      return layout.encodedShape(shape);
    }
  }

  static boolean isDecode(Node node) {
    return node.op().is(OpKey.TERSOR, TYPE);
  }

  static Scheme scheme(OpContext c) {
    long[] shape = c.intsAttr("shape").orElseThrow(() -> missing(c, "shape"));
    long[] order = c.intsAttr("order").orElseThrow(() -> missing(c, "order"));
    long rows = c.intAttr("rows", -1);
    List<Integer> dims = new ArrayList<>();
    for (long d : order) {
      dims.add(Math.clamp(d, -1, Integer.MAX_VALUE));
    }
    if (java.util.Arrays.stream(shape).anyMatch(d -> d < 0)
        || order.length != shape.length
        || rows < 0
        || rows >= order.length
        || !dims.stream()
            .sorted()
            .toList()
            .equals(IntStream.range(0, shape.length).boxed().toList())) {
      throw c.error("TSR-0304", "order must name the dimensions of shape, and rows some of them");
    }
    Tensor.count(shape);
    WeightLayout layout =
        new WeightLayout(0, dims.subList(0, (int) rows), dims.subList((int) rows, dims.size()));
    return new Scheme(FormatDef.parse(c.stringAttr("format", "")), shape, layout);
  }

  private static RuntimeException missing(OpContext c, String attribute) {
    return c.error("TSR-0304", "attribute '" + attribute + "' is missing");
  }

  @Override
  public List<ValueType> infer(OpContext c) {
    Scheme scheme = scheme(c);
    List<Buf> buffers = scheme.format().buffers("W", DimExpr.list(scheme.encodedShape()));
    if (c.inputCount() != buffers.size()) {
      throw c.error("TSR-0301", "format " + scheme.format().name() + " has buffers " + buffers);
    }
    for (int i = 0; i < buffers.size(); i++) {
      Buf wanted = buffers.get(i);
      boolean fits =
          c.dtype(i) == wanted.element().dtype()
              && c.in(i).isRanked()
              && c.dims(i).equals(wanted.shape());
      if (!fits) {
        throw c.error("TSR-0303", "buffer " + i + " must be " + wanted);
      }
    }
    return List.of(ValueType.TensorType.of(DType.F32, scheme.shape()));
  }

  /** The format's own text, interpreted: it is the only statement of what the bytes mean. */
  @Override
  public List<Tensor> eval(EvalContext c) {
    Scheme scheme = scheme(c);
    List<Tensor> buffers = IntStream.range(0, c.inputCount()).mapToObj(c::input).toList();
    Tensor encoded =
        KernelInterpreter.run(
                scheme.format().decodeKernel(DimExpr.list(scheme.encodedShape())),
                buffers,
                Map.of())
            .getFirst();
    Tensor y = Tensor.zeros(DType.F32, scheme.shape());
    int[] offsets = scheme.layout().offsets(scheme.shape());
    for (int e = 0; e < offsets.length; e++) {
      y.setDouble(offsets[e], encoded.getDouble(e));
    }
    return List.of(y);
  }

  @Override
  public Lowering lower(OpContext c) {
    Scheme scheme = scheme(c);
    FormatDef format = scheme.format();
    List<DimExpr> shape = DimExpr.list(scheme.shape());
    List<DimExpr> encoded = DimExpr.list(scheme.encodedShape());
    List<Axis> axes = new ArrayList<>();
    for (int d = 0; d < shape.size(); d++) {
      axes.add(new Axis("i" + d, shape.get(d)));
    }
    List<KExpr> row = scheme.layout().rows().stream().map(d -> K.axis(axes.get(d))).toList();
    KExpr column = K.index(0);
    for (int d : scheme.layout().columns()) {
      column = K.add(K.mul(column, K.dim(shape.get(d))), K.axis(axes.get(d)));
    }
    KExpr block = K.index(format.block());
    KExpr value =
        format.decode("W", encoded, row, K.floorDiv(column, block), K.floorMod(column, block));
    List<Buf> inputs = new ArrayList<>();
    Map<String, Buf> renamed = new HashMap<>();
    for (Buf buffer : format.buffers("W", encoded)) {
      Buf input = new Buf("in" + inputs.size(), buffer.element(), buffer.shape());
      inputs.add(input);
      renamed.put(buffer.name(), input);
    }
    KExpr read =
        KExprs.rewrite(
            value,
            e ->
                e instanceof KExpr.At at
                    ? new KExpr.At(
                        renamed.getOrDefault(at.buffer().name(), at.buffer()), at.index())
                    : e);
    Buf out = new Buf("out0", Scalar.F32, shape);
    return new Lowering.Compute(
        new Kernel(TYPE, inputs, List.of(out), List.of(Stage.of(out, axes, read))));
  }

  /** A node that decodes; its operands are constants. */
  public static Node node(
      int id, String name, List<Value> buffers, Value output, Map<String, Attribute> attributes) {
    return new Node(
        id, name, new OpKey(OpKey.TERSOR, TYPE, 1), buffers, List.of(output), attributes);
  }
}
