package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.BodyOperator;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.Cancellation;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Loop: a body that gets the iteration number, the condition and what it carries, until the trip
 * count is reached or the condition is false; both are optional.
 */
final class Loop extends OpBase implements BodyOperator {
  /** Inputs of the node, and of the body, before what is carried. */
  private static final int HEAD = 2;

  Loop() {
    super(
        OpSchema.of("", "Loop", 1, 11, 13, 16, 19, 21, 23, 24, 25, 27)
            .optional("M", "I")
            .optional("cond", "B")
            .variadic("v_initial", "*")
            .variadicOutput("v_final_and_scan_outputs", "*")
            .types("I", Types.I64)
            .types("B", Types.BOOL)
            .required("body", AttributeKind.GRAPH)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  private static int carriedCount(OpContext c) {
    return Math.max(0, c.inputCount() - HEAD);
  }

  private static Graph body(OpContext c) {
    Graph body =
        c.graphAttr("body").orElseThrow(() -> c.error("TSR-0304", "attribute 'body' is missing"));
    int carried = carriedCount(c);
    if (body.inputs().size() != HEAD + carried) {
      throw c.error(
          "TSR-0304",
          "the body has "
              + body.inputs().size()
              + " inputs; iteration, condition and "
              + carried
              + " carried values are given");
    }
    if (body.outputs().size() < 1 + carried || body.outputs().size() - 1 < c.outputCount()) {
      throw c.error(
          "TSR-0304",
          "the body has "
              + body.outputs().size()
              + " outputs; a condition, "
              + carried
              + " carried values and slices for all "
              + c.outputCount()
              + " outputs are needed");
    }
    return body;
  }

  @Override
  public List<ValueType> bodyInputs(OpContext context, Graph body) {
    List<ValueType> types =
        new ArrayList<>(List.of(TensorType.of(DType.I64), TensorType.of(DType.BOOL)));
    for (int i = HEAD; i < context.inputCount(); i++) {
      types.add(context.inputType(i));
    }
    return types;
  }

  @Override
  public List<Carried> carried(OpContext context, Graph body) {
    int outputs = body.outputs().size() - 1;
    return IntStream.range(0, Math.min(carriedCount(context), outputs))
        .filter(i -> HEAD + i < body.inputs().size())
        .mapToObj(i -> new Carried(HEAD + i, 1 + i))
        .toList();
  }

  @Override
  List<ValueType> types(OpContext c) {
    Graph body = body(c);
    List<ValueType> types = new ArrayList<>();
    for (int i = 0; i < body.outputs().size() - 1; i++) {
      if (i < carriedCount(c)) {
        types.add(body.type(body.inputs().get(HEAD + i)));
      } else if (c.bodyOutput(body, 1 + i) instanceof TensorType slice) {
        types.add(stacked(c, i, slice, 0));
      } else {
        types.add(ValueType.UNKNOWN);
      }
    }
    return types;
  }

  /** Dimensions that only the body knows are new symbols: there may be no iteration. */
  static TensorType stacked(OpContext c, int output, TensorType slice, int axis) {
    if (!slice.isRanked()) {
      return slice;
    }
    String tag = "_stack" + c.node().id() + "_" + output;
    List<DimExpr> dims = new ArrayList<>();
    for (int d = 0; d < slice.rank(); d++) {
      DimExpr dim = slice.dims().get(d);
      dims.add(dim.isConst() ? dim : DimExpr.symbol(tag + "_" + d));
    }
    dims.add(axis, DimExpr.symbol(tag));
    return TensorType.of(slice.dtype(), dims);
  }

  @Override
  List<Datum> values(EvalContext c) {
    Graph body = body(c);
    int carried = carriedCount(c);
    long trips = c.hasInput(0) ? scalar(c, 0) : Long.MAX_VALUE;
    boolean condition = !c.hasInput(1) || If.condition(c, c.input(1));
    List<Datum> state = new ArrayList<>();
    for (int i = 0; i < carried; i++) {
      state.add(c.datum(HEAD + i));
    }
    int stackCount = body.outputs().size() - 1 - carried;
    List<List<Tensor>> slices = new ArrayList<>();
    for (int i = 0; i < stackCount; i++) {
      slices.add(new ArrayList<>());
    }
    Cancellation cancellation = Cancellation.current();
    String label = c.node().label();
    for (long trip = 0; trip < trips && condition; trip++) {
      cancellation.trip(label);
      List<Datum> inputs = new ArrayList<>();
      inputs.add(Tensor.of(new long[] {trip}));
      inputs.add(new Tensor(DType.BOOL, new long[0], new byte[] {1}));
      inputs.addAll(state);
      List<Datum> results = c.run(body, inputs);
      condition = If.condition(c, results.getFirst().tensor("the condition of the body"));
      state = new ArrayList<>(results.subList(1, 1 + carried));
      for (int i = 0; i < stackCount; i++) {
        Tensor slice = results.get(1 + carried + i).tensor("a slice of the body");
        cancellation.hold(slice);
        slices.get(i).add(slice);
      }
    }
    List<Datum> outputs = new ArrayList<>(state);
    for (int i = 0; i < stackCount; i++) {
      outputs.add(Stack.of(c, slices.get(i), 0, empty(c, body, 1 + carried + i)));
      slices.get(i).forEach(cancellation::release);
    }
    return outputs;
  }

  private static long scalar(EvalContext c, int input) {
    Tensor tensor = c.input(input);
    if (tensor.size() != 1) {
      throw c.error("TSR-0303", "the trip count must be one element, not " + tensor);
    }
    return tensor.getLong(0);
  }

  /** Type of a slice of which there is none; dimensions that nothing tells count as 0. */
  static TensorType empty(OpContext c, Graph body, int output) {
    return c.bodyOutput(body, output) instanceof TensorType type
        ? type
        : TensorType.unranked(DType.F32);
  }

  @Override
  Lowering code(OpContext c) {
    Graph body = body(c);
    int carried = carriedCount(c);
    return new Lowering.Iterate(
        body,
        true,
        c.hasInput(0) ? 0 : -1,
        c.hasInput(1) ? 1 : -1,
        IntStream.range(HEAD, HEAD + carried).boxed().toList(),
        List.of(),
        java.util.Collections.nCopies(
            body.outputs().size() - 1 - carried, new Lowering.Stacked(0, false)));
  }
}
