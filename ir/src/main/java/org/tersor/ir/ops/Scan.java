package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.BodyOperator;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.Datum;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Scan: a body over the slices of its last inputs, with states carried along. Version 8 has a batch
 * axis in front of everything and an optional first input with the length of each sequence.
 */
final class Scan extends OpBase implements BodyOperator {
  /** Since this version there is no batch axis. */
  private static final OpKey PLAIN = new OpKey("", "Scan", 11);

  /** Version of the operators around an inner scan. */
  private static final int MODERN = 18;

  Scan() {
    super(
        OpSchema.of("", "Scan", 8, 9, 11, 16, 19, 21, 23, 24, 25, 27)
            .variadic("initial_state_and_scan_inputs", "*")
            .variadicOutput("final_state_and_scan_outputs", "*")
            .required("body", AttributeKind.GRAPH)
            .required("num_scan_inputs", AttributeKind.INT)
            .attribute("directions", AttributeKind.INTS)
            .attribute("scan_input_axes", AttributeKind.INTS)
            .attribute("scan_input_directions", AttributeKind.INTS)
            .attribute("scan_output_axes", AttributeKind.INTS)
            .attribute("scan_output_directions", AttributeKind.INTS)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  /** The node's numbers. */
  private record Form(Graph body, int first, int states, int scanned, int stacks, int batch) {
    /** Index of the node's input that supplies body input {@code i}. */
    int operand(int i) {
      return first + i;
    }
  }

  private static Form form(OpContext c) {
    Graph body =
        c.graphAttr("body").orElseThrow(() -> c.error("TSR-0304", "attribute 'body' is missing"));
    int first = c.version() < 9 ? 1 : 0;
    long scanned = c.intAttr("num_scan_inputs", 0);
    long states = c.inputCount() - first - scanned;
    long stacks = body.outputs().size() - states;
    if (scanned < 1 || states < 0 || body.inputs().size() != states + scanned || stacks < 0) {
      throw c.error(
          "TSR-0304",
          "the body has "
              + body.inputs().size()
              + " inputs and "
              + body.outputs().size()
              + " outputs, which does not fit "
              + (c.inputCount() - first)
              + " operands of which "
              + scanned
              + " are scanned");
    }
    return new Form(body, first, (int) states, (int) scanned, (int) stacks, first);
  }

  private static long listed(OpContext c, String name, int index, int size) {
    long[] values = c.intsAttr(name).orElse(new long[0]);
    if (values.length != 0 && values.length != size) {
      throw c.error("TSR-0304", name + " has " + values.length + " entries for " + size);
    }
    return values.length == 0 ? 0 : values[index];
  }

  private static int inputAxis(OpContext c, Form f, int i, int rank) {
    return c.version() < 9 ? 1 : c.axis(listed(c, "scan_input_axes", i, f.scanned), rank);
  }

  private static boolean reverse(OpContext c, Form f, int i) {
    String name = c.version() < 9 ? "directions" : "scan_input_directions";
    return listed(c, name, i, f.scanned) != 0;
  }

  private static int outputAxis(OpContext c, Form f, int i, int sliceRank) {
    return c.version() < 9 ? 0 : c.axis(listed(c, "scan_output_axes", i, f.stacks), sliceRank + 1);
  }

  /** Of slices whose rank only data tell, the first axis is the one that is known to be there. */
  private static int outputAxis(OpContext c, Form f, int i, TensorType slice) {
    if (slice.isRanked()) {
      return outputAxis(c, f, i, slice.rank());
    }
    if (c.version() >= 9 && listed(c, "scan_output_axes", i, f.stacks) != 0) {
      throw c.error(
          "TSR-0303", "the rank of output " + (f.states + i) + " of the body is not known");
    }
    return 0;
  }

  private static boolean reverseOutput(OpContext c, Form f, int i) {
    return c.version() >= 9 && listed(c, "scan_output_directions", i, f.stacks) != 0;
  }

  @Override
  public List<ValueType> bodyInputs(OpContext c, Graph body) {
    Form f = form(c);
    List<ValueType> types = new ArrayList<>();
    for (int i = 0; i < f.states + f.scanned; i++) {
      ValueType type = c.inputType(f.operand(i));
      if (type instanceof TensorType tensor && tensor.isRanked()) {
        TensorType own = tensor;
        if (i >= f.states) {
          own = Stack.slice(own, inputAxis(c, f, i - f.states, own.rank()));
        }
        types.add(f.batch == 1 ? Stack.slice(own, 0) : own);
      } else {
        types.add(ValueType.UNKNOWN);
      }
    }
    return types;
  }

  @Override
  public List<Carried> carried(OpContext c, Graph body) {
    return IntStream.range(0, form(c).states).mapToObj(i -> new Carried(i, i)).toList();
  }

  @Override
  List<ValueType> types(OpContext c) {
    Form f = form(c);
    List<DimExpr> batch = new ArrayList<>();
    if (f.batch == 1) {
      TensorType scanned = c.in(f.operand(f.states));
      batch.add(scanned.isRanked() ? scanned.dims().getFirst() : unknown(c, 0));
    }
    List<ValueType> types = new ArrayList<>();
    for (int i = 0; i < f.states + f.stacks; i++) {
      ValueType body = i < f.states ? f.body.type(f.body.inputs().get(i)) : c.bodyOutput(f.body, i);
      if (!(body instanceof TensorType tensor && tensor.isRanked())) {
        types.add(body);
        continue;
      }
      TensorType own = tensor;
      if (i >= f.states) {
        int axis = outputAxis(c, f, i - f.states, own.rank());
        List<DimExpr> dims = new ArrayList<>(Loop.stacked(c, i, own, axis).dims());
        dims.set(axis, length(c, f));
        own = TensorType.of(own.dtype(), dims);
      }
      List<DimExpr> dims = new ArrayList<>(batch);
      dims.addAll(own.dims());
      types.add(TensorType.of(own.dtype(), dims));
    }
    return types;
  }

  /** The number of iterations. */
  private static DimExpr length(OpContext c, Form f) {
    TensorType scanned = c.in(f.operand(f.states));
    return scanned.isRanked()
        ? scanned.dims().get(inputAxis(c, f, 0, scanned.rank()))
        : unknown(c, 1);
  }

  @Override
  List<Datum> values(EvalContext c) {
    Form f = form(c);
    List<Tensor> operands =
        IntStream.range(0, f.states + f.scanned).mapToObj(i -> c.input(f.operand(i))).toList();
    if (f.batch == 0) {
      return new ArrayList<>(scan(c, f, operands, Long.MAX_VALUE));
    }
    List<List<Tensor>> results = new ArrayList<>();
    long batch = operands.get(f.states).shape()[0];
    for (int b = 0; b < batch; b++) {
      int row = b;
      List<Tensor> own = operands.stream().map(t -> Stack.slice(c, t, 0, row)).toList();
      long length = c.hasInput(0) ? c.input(0).getLong(b) : Long.MAX_VALUE;
      results.add(scan(c, f, own, length));
    }
    List<Datum> outputs = new ArrayList<>();
    for (int i = 0; i < f.states + f.stacks; i++) {
      int output = i;
      outputs.add(
          Stack.of(
              c, results.stream().map(r -> r.get(output)).toList(), 0, Loop.empty(c, f.body, i)));
    }
    return outputs;
  }

  /** One sequence; what is stacked is as long as the scanned axis, zero from {@code limit} on. */
  private static List<Tensor> scan(EvalContext c, Form f, List<Tensor> operands, long limit) {
    List<Tensor> state = operands.subList(0, f.states);
    List<Tensor> scanned = operands.subList(f.states, operands.size());
    long length = -1;
    int[] axes = new int[f.scanned];
    for (int i = 0; i < axes.length; i++) {
      axes[i] = f.batch == 1 ? 0 : inputAxis(c, f, i, scanned.get(i).rank());
      long own = scanned.get(i).shape()[axes[i]];
      if (length >= 0 && own != length) {
        throw c.error("TSR-0303", "scanned inputs have " + length + " and " + own + " slices");
      }
      length = own;
    }
    List<List<Tensor>> slices = new ArrayList<>();
    IntStream.range(0, f.stacks).forEach(i -> slices.add(new ArrayList<>()));
    for (long step = 0; step < Math.min(length, limit); step++) {
      List<Tensor> inputs = new ArrayList<>(state);
      for (int i = 0; i < axes.length; i++) {
        long at = reverse(c, f, i) ? length - 1 - step : step;
        inputs.add(Stack.slice(c, scanned.get(i), axes[i], at));
      }
      List<Tensor> results =
          c.run(f.body, inputs).stream().map(d -> d.tensor("an output of the body")).toList();
      state = results.subList(0, f.states);
      for (int i = 0; i < f.stacks; i++) {
        slices.get(i).add(results.get(f.states + i));
      }
    }
    List<Tensor> outputs = new ArrayList<>(state);
    for (int i = 0; i < f.stacks; i++) {
      List<Tensor> own = slices.get(i);
      while (limit < length && !own.isEmpty() && own.size() < length) {
        own.add(Tensor.zeros(own.getFirst().dtype(), own.getFirst().shape()));
      }
      TensorType empty = Loop.empty(c, f.body, f.states + i);
      int rank = own.isEmpty() ? empty.shape().orElse(List.of()).size() : own.getFirst().rank();
      outputs.add(
          Stack.of(
              c, reverseOutput(c, f, i) ? own.reversed() : own, outputAxis(c, f, i, rank), empty));
    }
    return outputs;
  }

  @Override
  Lowering code(OpContext c) {
    Form f = form(c);
    if (f.batch == 1) {
      return new Lowering.Decompose(b -> batches(b, c, f));
    }
    List<Lowering.Scanned> scanned = new ArrayList<>();
    for (int i = 0; i < f.scanned; i++) {
      int operand = f.operand(f.states + i);
      scanned.add(
          new Lowering.Scanned(operand, inputAxis(c, f, i, c.rank(operand)), reverse(c, f, i)));
    }
    List<Lowering.Stacked> stacked = new ArrayList<>();
    for (int i = 0; i < f.stacks; i++) {
      TensorType slice = c.bodyOutput(f.body, f.states + i).tensor();
      stacked.add(new Lowering.Stacked(outputAxis(c, f, i, slice), reverseOutput(c, f, i)));
    }
    return new Lowering.Iterate(
        f.body,
        false,
        -1,
        -1,
        IntStream.range(0, f.states).map(f::operand).boxed().toList(),
        scanned,
        stacked);
  }

  /** A scan over the batch, the body of which is a scan over one sequence. */
  private static List<Value> batches(GraphBuilder b, OpContext c, Form f) {
    GraphBuilder sequence = new GraphBuilder(f.body.opsets(), b.nextId());
    sequence.pin("", MODERN);
    List<Value> operands = new ArrayList<>(c.node().inputs().subList(1, c.inputCount()));
    List<Value> own = new ArrayList<>();
    for (int i = 0; i < operands.size(); i++) {
      own.add(sequence.input("own" + i, ValueType.UNKNOWN));
    }
    Optional<Value> rest = Optional.empty();
    if (c.hasInput(0)) {
      operands.add(c.node().input(0));
      Value limit = sequence.input("limit", ValueType.UNKNOWN);
      rest = Optional.of(cut(sequence, c, f, own, limit));
    }
    List<Value> results = new ArrayList<>();
    for (int i = 0; i < f.states + f.stacks; i++) {
      results.add(sequence.value("", ValueType.UNKNOWN));
    }
    Map<String, Attribute> attributes = new HashMap<>(c.node().attributes());
    Optional.ofNullable(attributes.remove("directions"))
        .ifPresent(d -> attributes.put("scan_input_directions", d));
    sequence.addNode("", PLAIN, attributes, own, results);
    for (int i = 0; i < results.size(); i++) {
      Value result = results.get(i);
      sequence.output(
          i < f.states || rest.isEmpty() ? result : padded(sequence, result, rest.get()));
    }
    Graph body = sequence.build("sequence", Map.of());
    while (b.nextId() < sequence.nextId()) {
      b.freshId(); // taken by values of the body
    }
    List<Value> outputs = new ArrayList<>();
    results.forEach(r -> outputs.add(b.value("", ValueType.UNKNOWN)));
    Map<String, Attribute> batch =
        Map.of(
            "body", new Attribute.GraphAttr(body),
            "num_scan_inputs", new Attribute.IntAttr(operands.size()));
    b.addNode("", PLAIN, batch, operands, outputs);
    return outputs.subList(0, c.outputCount());
  }

  /** Leaves the first slices that are scanned; returns how many are not, a vector of one. */
  private static Value cut(GraphBuilder b, OpContext c, Form f, List<Value> own, Value limit) {
    Value zero = b.longs(0);
    Value length = b.add("Slice", b.add("Shape", own.get(f.states)), zero, b.longs(1));
    Value taken = b.add("Min", b.add("Reshape", limit, b.longs(1)), length);
    Value rest = b.add("Sub", length, taken);
    for (int i = 0; i < f.scanned; i++) {
      boolean reverse = reverse(c, f, i);
      Value x = own.get(f.states + i);
      own.set(
          f.states + i, b.add("Slice", x, reverse ? rest : zero, reverse ? length : taken, zero));
    }
    return rest;
  }

  /** Followed by zero slices. */
  private static Value padded(GraphBuilder b, Value x, Value count) {
    Value zero = b.longs(0);
    Value pads = b.add("Concat", Map.of("axis", new Attribute.IntAttr(0)), zero, count);
    Value result = b.value("", ValueType.UNKNOWN);
    b.addNode("", "Pad", Map.of(), List.of(x, pads, Value.NONE, zero), List.of(result));
    return result;
  }
}
