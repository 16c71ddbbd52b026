package org.tersor.conformance.diff;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Attribute.GraphAttr;
import org.tersor.ir.graph.Attribute.IntAttr;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.runtime.Tensor;

/** Puts values of a drawn graph through sequences and optionals. */
final class Passages {
  private static final int FIRST_OPTIONAL = 15;

  private final Structures whole;

  Passages(Structures whole) {
    this.whole = whole;
  }

  /** A value through a sequence or an optional. */
  Optional<DrawnGraph> passage(List<Value> makes) {
    Value value = makes.getLast();
    Scaffold flat = whole.plainly();
    Scaffold run = whole.plainly();
    GraphBuilder b = run.builder();
    Value own = run.at(value);
    Tensor tensor = whole.tensor(value);
    int form = (int) whole.random().between(0, whole.opset() >= FIRST_OPTIONAL ? 3 : 2);
    Value there;
    switch (form) {
      case 0 -> {
        Value list = run.node(b, "SequenceConstruct", Map.of(), own, own, own);
        Value position = run.constant(b, Tensor.of(new long[] {whole.random().between(-3, 2)}));
        there = run.node(b, "SequenceAt", Map.of(), list, position);
        run.output("length", run.node(b, "SequenceLength", Map.of(), list));
        flat.output("length", flat.constant(flat.builder(), Tensor.of(new long[] {3})));
      }
      case 1 -> {
        Value other = run.constant(b, Tensor.zeros(tensor.dtype(), 2));
        Value zero = run.constant(b, Tensor.of(new long[] {0}));
        Value list =
            run.node(b, "SequenceEmpty", Map.of("dtype", Structures.number(tensor.dtype())));
        list = run.node(b, "SequenceInsert", Map.of(), list, own);
        list = run.node(b, "SequenceInsert", Map.of(), list, other, zero);
        list = run.node(b, "SequenceErase", Map.of(), list, zero);
        there =
            run.node(b, "SequenceAt", Map.of(), list, run.constant(b, Tensor.of(new long[] {-1})));
      }
      case 2 -> {
        int axis = (int) whole.random().between(0, Math.max(0, tensor.rank() - 1));
        if (tensor.rank() == 0 || tensor.size() == 0) {
          return Optional.empty();
        }
        Value list =
            run.node(
                b,
                "SplitToSequence",
                Map.of("axis", new IntAttr(axis), "keepdims", new IntAttr(1)),
                own);
        there = run.node(b, "ConcatFromSequence", Map.of("axis", new IntAttr(axis)), list);
      }
      default -> {
        Value maybe = run.node(b, "Optional", Map.of(), own);
        there = run.node(b, "OptionalGetElement", Map.of(), maybe);
        run.output("has", run.node(b, "OptionalHasElement", Map.of(), maybe));
        flat.output("has", flat.constant(flat.builder(), Scaffold.flag(true)));
      }
    }
    run.replace(value, there);
    return Optional.of(whole.joined(flat, run));
  }

  /** The part as body of a SequenceMap, which captures nothing. */
  Optional<DrawnGraph> mapped(List<Value> makes) {
    List<Value> candidates = whole.sliceable();
    if (candidates.isEmpty()) {
      return Optional.empty();
    }
    Value sliced = candidates.get((int) whole.random().between(0, candidates.size() - 1));
    int turns = (int) whole.random().between(1, 3);
    Tensor slices = Structures.slices(whole.tensor(sliced), turns, 0);

    Scaffold flat = whole.scaffold();
    Value all = flat.input("slices", slices);
    Map<Value, Value> inside = new HashMap<>(flat.map());
    List<Value> made = new ArrayList<>();
    for (int i = 0; i < turns; i++) {
      inside.put(sliced, flat.pick(flat.builder(), all, 0, i));
      flat.part(flat.builder(), inside);
      made.add(inside.getOrDefault(makes.getLast(), makes.getLast()));
    }
    makes.forEach(make -> flat.replace(make, inside.getOrDefault(make, make)));
    flat.output("stack", flat.stack(flat.builder(), made, 0));

    Scaffold run = whole.scaffold();
    GraphBuilder b = run.builder();
    Value given = run.input("slices", slices);
    List<Value> elements = new ArrayList<>();
    for (int i = 0; i < turns; i++) {
      elements.add(run.pick(b, given, 0, i));
    }
    GraphBuilder body = run.body();
    Map<Value, Value> within = new HashMap<>(run.map());
    within.put(sliced, body.input("element", whole.type(sliced)));
    List<Value> operands = new ArrayList<>();
    operands.add(run.node(b, "SequenceConstruct", Map.of(), elements.toArray(Value[]::new)));
    for (Value read : whole.reads()) {
      if (read.equals(sliced)) {
        continue;
      }
      if (whole.isConstant(read)) {
        within.put(read, run.constant(body, whole.tensor(read)));
      } else {
        within.put(read, body.input("outer" + body.nextId(), whole.type(read)));
        operands.add(run.at(read));
      }
    }
    run.part(body, within);
    makes.forEach(make -> body.output(whole.typed(body, make, within.getOrDefault(make, make))));
    List<Value> results = Structures.results(run, makes.size());
    b.addNode(
        "map",
        "",
        "SequenceMap",
        Map.of("body", new GraphAttr(body.build("body", Map.of()))),
        operands,
        results);
    Value last = run.constant(b, Tensor.of(new long[] {turns - 1}));
    for (int i = 0; i < makes.size(); i++) {
      run.replace(makes.get(i), run.node(b, "SequenceAt", Map.of(), results.get(i), last));
    }
    run.output(
        "stack",
        run.node(
            b,
            "ConcatFromSequence",
            Map.of("axis", new IntAttr(0), "new_axis", new IntAttr(1)),
            results.getLast()));
    return Optional.of(whole.joined(flat, run));
  }
}
