package org.tersor.conformance.diff;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.tersor.conformance.SeededRandom;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Attribute.GraphAttr;
import org.tersor.ir.graph.Attribute.IntAttr;
import org.tersor.ir.graph.Attribute.IntsAttr;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.TypeNumbers;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpRegistry;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Puts a part of a drawn graph into a body of If, Loop or Scan, or a value through sequences and
 * optionals. The plain graph that computes the same goes along: it tells how exact results can be.
 */
final class Structures {
  private static final Set<DType> TYPES =
      Set.of(DType.F32, DType.F64, DType.I32, DType.I64, DType.BOOL, DType.U8, DType.F16);

  /** From here on branches of If may differ in shape. */
  private static final int FIRST_OTHER_SHAPES = 11;

  private static final int FIRST_SCAN = 9;
  private static final int FIRST_SEQUENCE = 11;
  private static final int FIRST_CARRIED_SEQUENCE = 13;
  private static final int FIRST_MAPPED_SEQUENCE = 17;

  private final DrawnGraph drawn;
  private final OpRegistry operators;
  private final SeededRandom random;
  private final Graph graph;
  private final int opset;
  private int from;
  private int to;

  private Structures(DrawnGraph drawn, OpRegistry operators, SeededRandom random) {
    this.drawn = drawn;
    this.operators = operators;
    this.random = random;
    this.graph = drawn.graph();
    this.opset = graph.opset("");
  }

  /** The graph with a structure; as it is where none fits. */
  static DrawnGraph around(DrawnGraph drawn, OpRegistry operators, SeededRandom random) {
    if (drawn.refusal().isPresent() || drawn.graph().opset("") < FIRST_SCAN) {
      return drawn;
    }
    try {
      return new Structures(drawn, operators, random).structured().orElse(drawn);
    } catch (TersorException e) {
      // The part refuses what another turn would give it.
      return drawn;
    }
  }

  SeededRandom random() {
    return random;
  }

  int opset() {
    return opset;
  }

  /** The plain graph before the part, under construction. */
  Scaffold scaffold() {
    return new Scaffold(graph, from, to);
  }

  List<Value> reads() {
    return Scaffold.reads(graph, from, to);
  }

  boolean isConstant(Value value) {
    return graph.constant(value).isPresent();
  }

  private boolean chance(double probability) {
    return random.nextDouble() < probability;
  }

  private Optional<DrawnGraph> structured() {
    int size = graph.nodes().size();
    from = (int) random.between(0, size - 1);
    to = (int) random.between(from + 1, Math.min(size, from + 3));
    List<Node> part = graph.nodes().subList(from, to);
    List<Value> makes = Scaffold.makes(graph, from, to);
    boolean fits =
        part.stream().noneMatch(n -> drawn.widened().contains(n.name()))
            && !makes.isEmpty()
            && makes.stream().allMatch(this::usual);
    if (!fits) {
      return Optional.empty();
    }
    return switch ((int) random.between(0, 4)) {
      case 0 -> branch(makes);
      case 1 -> loop(makes);
      case 2 -> scan(makes);
      case 3 -> opset < FIRST_SEQUENCE ? branch(makes) : new Passages(this).passage(makes);
      default -> opset < FIRST_MAPPED_SEQUENCE ? scan(makes) : new Passages(this).mapped(makes);
    };
  }

  private boolean usual(Value value) {
    Tensor tensor = drawn.values().get(value);
    return tensor != null && TYPES.contains(tensor.dtype());
  }

  Tensor tensor(Value value) {
    Tensor tensor = drawn.values().get(value);
    if (tensor == null) {
      throw new IllegalStateException("no value of " + value);
    }
    return tensor;
  }

  TensorType type(Value value) {
    return TensorType.of(tensor(value).dtype(), tensor(value).shape());
  }

  // If.

  private Optional<DrawnGraph> branch(List<Value> makes) {
    boolean condition = chance(.5);
    Scaffold run = new Scaffold(graph, from, to);
    Tensor flag = Scaffold.flag(condition);
    Value cond = chance(.7) ? run.input("cond", flag) : run.constant(run.builder(), flag);
    GraphBuilder taken = run.body();
    Map<Value, Value> inside = new HashMap<>(run.map());
    ownConstants(run, taken, inside);
    run.part(taken, inside);
    makes.forEach(v -> taken.output(inside.getOrDefault(v, v)));
    GraphBuilder other = run.body();
    for (Value make : makes) {
      other.output(run.node(other, "Identity", Map.of(), substitute(run, other, make)));
    }
    Graph first = taken.build("taken", Map.of());
    Graph second = other.build("other", Map.of());
    List<Value> results = results(run, makes.size());
    run.builder()
        .addNode(
            "if",
            "",
            "If",
            Map.of(
                "then_branch", new GraphAttr(condition ? first : second),
                "else_branch", new GraphAttr(condition ? second : first)),
            List.of(cond),
            results);
    for (int i = 0; i < makes.size(); i++) {
      run.replace(makes.get(i), results.get(i));
    }
    return Optional.of(joined(plainly(), run));
  }

  /** Some weights of the part lie in the body. */
  private void ownConstants(Scaffold run, GraphBuilder body, Map<Value, Value> inside) {
    for (Value read : Scaffold.reads(graph, from, to)) {
      if (graph.constant(read).isPresent() && chance(.5)) {
        inside.put(read, run.constant(body, tensor(read)));
      }
    }
  }

  /** Something of the same element type, from outside or a constant of perhaps another shape. */
  private Value substitute(Scaffold run, GraphBuilder body, Value make) {
    List<Value> outside =
        Scaffold.reads(graph, from, to).stream()
            .filter(v -> tensor(v).dtype() == tensor(make).dtype())
            .toList();
    if (!outside.isEmpty() && opset >= FIRST_OTHER_SHAPES && chance(.5)) {
      return run.at(outside.getFirst());
    }
    long[] shape = tensor(make).shape().clone();
    for (int i = 0; i < shape.length && opset >= FIRST_OTHER_SHAPES; i++) {
      shape[i] = chance(.3) ? shape[i] + 1 : shape[i];
    }
    return run.constant(body, Tensor.zeros(tensor(make).dtype(), shape));
  }

  // Loop.

  /** A value that the part reads and one that it makes, of the same type and shape. */
  private record Pair(Value read, Value made) {}

  private Optional<Pair> pair(List<Value> makes, Set<Value> not) {
    for (Value read : Scaffold.reads(graph, from, to)) {
      for (Value made : makes) {
        if (!not.contains(read) && usual(read) && type(read).equals(type(made)) && chance(.8)) {
          return Optional.of(new Pair(read, made));
        }
      }
    }
    return Optional.empty();
  }

  private Optional<DrawnGraph> loop(List<Value> makes) {
    int trips = (int) random.between(1, 3);
    Optional<Pair> carried = pair(makes, Set.of());
    Value scanned = makes.getLast();
    boolean sequence = opset >= FIRST_CARRIED_SEQUENCE && chance(.3);
    Scaffold flat = new Scaffold(graph, from, to);
    Optional<Value> before = carried.map(p -> flat.at(p.read()));
    List<Value> turns = new ArrayList<>();
    for (int i = 0; i < trips; i++) {
      flat.part(flat.builder(), flat.map());
      turns.add(flat.at(scanned));
      carried.ifPresent(p -> flat.replace(p.read(), flat.at(p.made())));
    }
    // Later nodes read what was there before the loop.
    before.ifPresent(value -> carried.ifPresent(p -> flat.replace(p.read(), value)));
    flat.output("stack", flat.stack(flat.builder(), turns, 0));

    Scaffold run = new Scaffold(graph, from, to);
    GraphBuilder b = run.builder();
    boolean counted = chance(.7);
    Tensor count = Tensor.of(new long[] {trips});
    Value limit =
        !counted ? Value.NONE : chance(.5) ? run.input("trips", count) : run.constant(b, count);
    Value go = counted && chance(.5) ? Value.NONE : run.constant(b, Scaffold.flag(true));
    GraphBuilder body = run.body();
    Value turn = body.input("turn", TensorType.of(DType.I64));
    Value on = body.input("on", TensorType.of(DType.BOOL));
    Map<Value, Value> inside = new HashMap<>(run.map());
    ownConstants(run, body, inside);
    List<Value> initial = new ArrayList<>(List.of(limit, go));
    for (Value make : makes) {
      Value entering = body.input("in" + body.nextId(), type(make));
      boolean own = carried.isPresent() && carried.get().made().equals(make);
      if (own) {
        Value read = carried.get().read();
        inside.put(read, entering);
        initial.add(run.at(read));
      } else {
        initial.add(run.constant(b, Tensor.zeros(tensor(make).dtype(), tensor(make).shape())));
      }
    }
    Value list = Value.NONE;
    if (sequence) {
      list =
          body.input(
              "list", new ValueType.SequenceType(TensorType.unranked(tensor(scanned).dtype())));
      initial.add(run.node(b, "SequenceEmpty", Map.of("dtype", number(tensor(scanned).dtype()))));
    }
    run.part(body, inside);
    body.output(
        counted
            ? run.node(body, "Identity", Map.of(), on)
            : run.node(
                body,
                "Less",
                Map.of(),
                turn,
                run.constant(body, Tensor.of(new long[] {trips - 1}))));
    makes.forEach(v -> body.output(typed(body, v, inside.getOrDefault(v, v))));
    Value last = inside.getOrDefault(scanned, scanned);
    body.output(
        sequence
            ? run.node(body, "SequenceInsert", Map.of(), list, last)
            : typed(body, scanned, last));
    List<Value> results = results(run, makes.size() + 1);
    b.addNode(
        "loop",
        "",
        "Loop",
        Map.of("body", new GraphAttr(body.build("body", Map.of()))),
        initial,
        results);
    for (int i = 0; i < makes.size(); i++) {
      run.replace(makes.get(i), results.get(i));
    }
    run.output(
        "stack",
        sequence
            ? run.node(
                b,
                "ConcatFromSequence",
                Map.of("axis", new IntAttr(0), "new_axis", new IntAttr(1)),
                results.getLast())
            : results.getLast());
    return Optional.of(joined(flat, run));
  }

  // Scan.

  private Optional<DrawnGraph> scan(List<Value> makes) {
    List<Value> candidates = sliceable();
    if (candidates.isEmpty()) {
      return branch(makes);
    }
    Value sliced = candidates.get((int) random.between(0, candidates.size() - 1));
    int turns = (int) random.between(1, 3);
    int axis = (int) random.between(0, tensor(sliced).rank());
    boolean backwards = chance(.3);
    boolean backOut = chance(.3);
    Optional<Pair> carried = pair(makes, Set.of(sliced));
    int[] axes = makes.stream().mapToInt(v -> chance(.3) ? tensor(v).rank() : 0).toArray();
    Tensor slices = slices(tensor(sliced), turns, axis);

    Scaffold flat = new Scaffold(graph, from, to);
    Value all = flat.input("slices", slices);
    Map<Value, List<Value>> made = new LinkedHashMap<>();
    Map<Value, Value> inside = new HashMap<>(flat.map());
    for (int i = 0; i < turns; i++) {
      inside.put(sliced, flat.pick(flat.builder(), all, axis, backwards ? turns - 1 - i : i));
      flat.part(flat.builder(), inside);
      for (Value make : makes) {
        List<Value> list = made.computeIfAbsent(make, v -> new ArrayList<>());
        list.add(backOut ? 0 : list.size(), inside.getOrDefault(make, make));
      }
      carried.ifPresent(p -> inside.put(p.read(), inside.getOrDefault(p.made(), p.made())));
    }
    for (int i = 0; i < makes.size(); i++) {
      Value make = makes.get(i);
      flat.replace(make, inside.getOrDefault(make, make));
      flat.output(
          "stack" + i, flat.stack(flat.builder(), made.getOrDefault(make, List.of()), axes[i]));
    }

    Scaffold run = new Scaffold(graph, from, to);
    GraphBuilder b = run.builder();
    GraphBuilder body = run.body();
    Map<Value, Value> within = new HashMap<>(run.map());
    ownConstants(run, body, within);
    List<Value> operands = new ArrayList<>();
    carried.ifPresent(p -> {
      within.put(p.read(), body.input("state", type(p.read())));
      operands.add(run.at(p.read()));
    });
    within.put(sliced, body.input("slice", type(sliced)));
    operands.add(run.input("slices", slices));
    run.part(body, within);
    carried.ifPresent(
        p -> body.output(typed(body, p.made(), within.getOrDefault(p.made(), p.made()))));
    makes.forEach(v -> body.output(typed(body, v, within.getOrDefault(v, v))));
    Map<String, Attribute> attributes = new LinkedHashMap<>();
    attributes.put("body", new GraphAttr(body.build("body", Map.of())));
    attributes.put("num_scan_inputs", new IntAttr(1));
    if (axis != 0 || chance(.3)) {
      attributes.put("scan_input_axes", new IntsAttr(List.of((long) axis)));
    }
    if (backwards) {
      attributes.put("scan_input_directions", new IntsAttr(List.of(1L)));
    }
    if (backOut) {
      attributes.put("scan_output_directions", new IntsAttr(makes.stream().map(v -> 1L).toList()));
    }
    attributes.put(
        "scan_output_axes", new IntsAttr(IntStream.of(axes).mapToObj(a -> (long) a).toList()));
    int states = carried.isPresent() ? 1 : 0;
    List<Value> results = results(run, makes.size() + states);
    b.addNode("scan", "", "Scan", attributes, operands, results);
    for (int i = 0; i < makes.size(); i++) {
      Value stacked = results.get(states + i);
      run.replace(makes.get(i), run.pick(b, stacked, axes[i], backOut ? 0 : turns - 1));
      run.output("stack" + i, stacked);
    }
    return Optional.of(joined(flat, run));
  }

  /** What the part reads and a new axis may stack. */
  List<Value> sliceable() {
    return Scaffold.reads(graph, from, to).stream()
        .filter(v -> usual(v) && tensor(v).rank() < 4)
        .toList();
  }

  /** Slices with the same elements in another order, so that they stay what the part can take. */
  static Tensor slices(Tensor first, int turns, int axis) {
    long[] shape = new long[first.rank() + 1];
    int outer = 1;
    for (int i = 0; i < shape.length; i++) {
      shape[i] = i < axis ? first.shape()[i] : i == axis ? turns : first.shape()[i - 1];
      outer *= i < axis ? (int) shape[i] : 1;
    }
    Tensor all = Tensor.zeros(first.dtype(), shape);
    int size = first.size();
    int inner = size == 0 ? 0 : size / outer;
    for (int i = 0; i < size; i++) {
      for (int turn = 0; turn < turns; turn++) {
        int source = (i + turn) % size;
        int target = (i / inner * turns + turn) * inner + i % inner;
        if (first.dtype().isFloat()) {
          all.setDouble(target, first.getDouble(source));
        } else {
          all.setLong(target, first.getLong(source));
        }
      }
    }
    return all;
  }

  // Both graphs.

  /** An output of a body with its type, which ONNX Runtime's Scan wants to see. */
  Value typed(GraphBuilder body, Value plain, Value own) {
    Value result = body.value("t" + body.nextId(), type(plain));
    body.addNode("s" + body.nextId(), "", "Identity", Map.of(), List.of(own), List.of(result));
    return result;
  }

  static IntAttr number(DType type) {
    return new IntAttr(TypeNumbers.number(type));
  }

  static List<Value> results(Scaffold run, int count) {
    return IntStream.range(0, count)
        .mapToObj(i -> run.builder().value("r" + run.builder().nextId(), ValueType.UNKNOWN))
        .toList();
  }

  Scaffold plainly() {
    Scaffold flat = new Scaffold(graph, from, to);
    flat.part(flat.builder(), flat.map());
    return flat;
  }

  /** Evaluates the plain graph; its values belong to both. */
  DrawnGraph joined(Scaffold flat, Scaffold run) {
    Graph plain = flat.build(List.of());
    Map<String, Tensor> inputs = run.inputs(drawn.inputs());
    Map<String, Tensor> flatInputs = flat.inputs(drawn.inputs());
    Map<Value, Tensor> given = new LinkedHashMap<>();
    plain
        .inputs()
        .forEach(input ->
            given.put(input, flatInputs.getOrDefault(input.name(), Tensor.zeros(DType.F32))));
    Map<Value, Tensor> values = new LinkedHashMap<>(given);
    values.putAll(new Conditioning(plain, operators).values(given));
    Graph structured = run.build(plain.outputs().stream().map(values::get).toList());
    Map<Value, Tensor> known = new LinkedHashMap<>();
    structured
        .inputs()
        .forEach(
            input -> known.put(input, inputs.getOrDefault(input.name(), Tensor.zeros(DType.F32))));
    for (int i = 0; i < plain.outputs().size(); i++) {
      Tensor tensor = values.get(plain.outputs().get(i));
      if (tensor != null) {
        known.put(structured.outputs().get(i), tensor);
      }
    }
    drawn
        .values()
        .keySet()
        .forEach(value -> {
          Tensor tensor = values.get(flat.at(value));
          if (tensor != null) {
            known.putIfAbsent(run.at(value), tensor);
          }
        });
    DrawnGraph equivalent =
        new DrawnGraph(
            plain, flatInputs, values, Optional.empty(), drawn.widened(), Optional.empty());
    return new DrawnGraph(
        structured, inputs, known, Optional.empty(), drawn.widened(), Optional.of(equivalent));
  }
}
