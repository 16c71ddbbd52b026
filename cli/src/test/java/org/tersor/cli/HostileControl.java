package org.tersor.cli;

import java.util.List;
import java.util.Map;
import org.tersor.cli.HostileCase.Answer;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Loops that do not end or grow, bodies in bodies, sequences. */
final class HostileControl extends HostileList {
  private static final Map<String, Integer> OPSETS = Map.of("", 24);
  private static final Tensor TRUE = new Tensor(DType.BOOL, new long[0], new byte[] {1});

  HostileControl() {
    loop("endless loop", FAR, TensorType.of(DType.F32, 1), "Neg", true);
    Value none = Value.NONE;
    add(Answer.REFUSED, "endless loop by itself", unconditional(none, none), floats(1));
    add(
        Answer.REFUSED,
        "endless loop of one operand",
        (b, operands) -> unconditional(b.constant(scalar(Long.MAX_VALUE)), none).add(b, operands),
        floats(1));
    // Each turn doubles the state: of numbers, and of a text.
    TensorType grows = TensorType.of(DType.F32, List.of(DimExpr.symbol("doubled")));
    add(
        Answer.REFUSED,
        "loop doubles a tensor",
        doubling(grows, "Concat"),
        scalar(60),
        TRUE,
        floats(2));
    add(
        Answer.REFUSED,
        "loop doubles a text",
        doubling(TensorType.of(DType.STRING, 1), "StringConcat"),
        scalar(60),
        TRUE,
        strings("ab"));
    add(Answer.REFUSED, "loop stacks memory", stacking(), scalar(1 << 12), TRUE, floats(1 << 18));
    add(Answer.REFUSED, "loops in loops", nested(4), scalar(1000), TRUE, floats(1));
    add(Answer.ANY, "bodies in bodies", nested(60), scalar(1), TRUE, floats(1));
    add(
        Answer.REFUSED,
        "scan of nothing",
        node("", "Scan", Map.of("body", body(negated()), "num_scan_inputs", integer(FAR)), 1),
        floats(2, 2));
    add(
        Answer.REFUSED,
        "condition of two",
        node("", "If", Map.of("then_branch", body(empty()), "else_branch", body(empty())), 1),
        new Tensor(DType.BOOL, new long[] {2}, new byte[] {1, 0}));
    sequences();
  }

  private static Attribute body(Graph graph) {
    return new Attribute.GraphAttr(graph);
  }

  private void loop(String name, long trips, TensorType state, String operator, boolean stacks) {
    GraphBuilder body = new GraphBuilder(OPSETS, 100);
    body.input("trip", TensorType.of(DType.I64));
    Value go = body.input("go", TensorType.of(DType.BOOL));
    Value before = body.input("state", state);
    Value next = body.add(operator, before);
    body.output(body.add("Identity", go));
    body.output(next);
    if (stacks) {
      body.output(next);
    }
    add(
        Answer.REFUSED,
        name,
        node("", "Loop", Map.of("body", body(body.build("body", Map.of()))), stacks ? 2 : 1),
        scalar(trips),
        TRUE,
        floats(1));
  }

  /** Goes on as long as these say, which may be absent. */
  private static HostileCase.Nodes unconditional(Value trips, Value condition) {
    GraphBuilder body = new GraphBuilder(OPSETS, 100);
    body.input("trip", TensorType.of(DType.I64));
    Value go = body.input("go", TensorType.of(DType.BOOL));
    Value before = body.input("state", TensorType.of(DType.F32, 1));
    body.output(body.add("Identity", go));
    body.output(body.add("Neg", before));
    Attribute graph = body(body.build("body", Map.of()));
    return (b, operands) ->
        node(
            b,
            "",
            "Loop",
            Map.of("body", graph),
            List.of(trips, condition, operands.getFirst()),
            1);
  }

  private static HostileCase.Nodes doubling(TensorType state, String operator) {
    GraphBuilder body = new GraphBuilder(OPSETS, 100);
    body.input("trip", TensorType.of(DType.I64));
    Value go = body.input("go", TensorType.of(DType.BOOL));
    Value before = body.input("state", state);
    Map<String, Attribute> attributes =
        operator.equals("Concat") ? Map.of("axis", integer(0)) : NONE;
    Value next = body.add(operator, attributes, before, before);
    body.output(body.add("Identity", go));
    body.output(next);
    return node("", "Loop", Map.of("body", body(body.build("body", Map.of()))), 1);
  }

  /** Keeps a megabyte of each turn. */
  private static HostileCase.Nodes stacking() {
    GraphBuilder body = new GraphBuilder(OPSETS, 100);
    body.input("trip", TensorType.of(DType.I64));
    Value go = body.input("go", TensorType.of(DType.BOOL));
    Value before = body.input("state", TensorType.of(DType.F32, 1 << 18));
    Value next = body.add("Neg", before);
    body.output(body.add("Identity", go));
    body.output(next);
    body.output(next);
    return node("", "Loop", Map.of("body", body(body.build("body", Map.of()))), 2);
  }

  /** Loops in each other, each as often as the outermost. */
  private static HostileCase.Nodes nested(int depth) {
    return (b, operands) -> {
      Attribute inner = body(level(depth, operands.get(0), operands.get(1)));
      return node(b, "", "Loop", Map.of("body", inner), operands, 1);
    };
  }

  private static Graph level(int depth, Value trips, Value go) {
    GraphBuilder body = new GraphBuilder(OPSETS, 1000 * depth);
    body.input("trip", TensorType.of(DType.I64));
    Value on = body.input("go", TensorType.of(DType.BOOL));
    Value state = body.input("state", TensorType.of(DType.F32, 1));
    Value next =
        depth == 0
            ? body.add("Neg", state)
            : node(
                    body,
                    "",
                    "Loop",
                    Map.of("body", body(level(depth - 1, trips, go))),
                    List.of(trips, go, state),
                    1)
                .getFirst();
    body.output(body.add("Identity", on));
    body.output(next);
    return body.build("body" + depth, Map.of());
  }

  private static Graph negated() {
    GraphBuilder body = new GraphBuilder(OPSETS, 100);
    body.output(body.add("Neg", body.input("state", TensorType.of(DType.F32, 2))));
    return body.build("body", Map.of());
  }

  private static Graph empty() {
    GraphBuilder body = new GraphBuilder(OPSETS, 100);
    body.output(body.scalar(1));
    return body.build("body", Map.of());
  }

  private void sequences() {
    for (long at : new long[] {1, -2, FAR, Long.MIN_VALUE}) {
      add(Answer.REFUSED, "sequence at " + at, ofSequence("SequenceAt"), floats(2), scalar(at));
      add(Answer.REFUSED, "erases at " + at, ofSequence("SequenceErase"), floats(2), scalar(at));
    }
    add(
        Answer.REFUSED,
        "joins along no axis",
        (b, operands) ->
            node(
                b,
                "",
                "ConcatFromSequence",
                Map.of("axis", integer(HUGE)),
                node(b, "", "SequenceConstruct", NONE, operands, 1),
                1),
        floats(2));
    for (long size : new long[] {0, -1, Long.MIN_VALUE}) {
      add(
          Answer.REFUSED,
          "splits by " + size,
          (b, operands) ->
              node(
                  b,
                  "",
                  "SequenceAt",
                  NONE,
                  List.of(
                      node(b, "", "SplitToSequence", NONE, operands, 1).getFirst(),
                      b.constant(scalar(0))),
                  1),
          floats(4),
          scalar(size));
    }
    add(
        Answer.REFUSED,
        "splits wrongly",
        (b, operands) ->
            node(
                b,
                "",
                "SequenceAt",
                NONE,
                List.of(
                    node(b, "", "SplitToSequence", NONE, operands, 1).getFirst(),
                    b.constant(scalar(0))),
                1),
        floats(4),
        longs(FAR, FAR));
    add(
        Answer.REFUSED,
        "nothing in an optional",
        (b, operands) -> {
          Value none = b.value("", ValueType.UNKNOWN);
          b.addNode(
              "",
              "Optional",
              Map.of("type", new Attribute.TypeAttr(TensorType.of(DType.F32, 2))),
              List.of(),
              List.of(none));
          return node(b, "", "OptionalGetElement", NONE, List.of(none), 1);
        },
        floats(2));
  }

  /** The operator on a sequence of the first operand, with the second. */
  private static HostileCase.Nodes ofSequence(String operator) {
    return (b, operands) -> {
      Value sequence =
          node(b, "", "SequenceConstruct", NONE, List.of(operands.get(0)), 1).getFirst();
      return node(b, "", operator, NONE, List.of(sequence, operands.get(1)), 1);
    };
  }
}
