package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.SequenceType;
import org.tersor.ir.op.BodyOperator;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.Datum;

/**
 * SequenceMap: a body for each element of a sequence. Further sequences of the same length give an
 * element, too; tensors are given as a whole each time.
 */
final class SequenceMap extends OpBase implements BodyOperator {
  SequenceMap() {
    super(
        OpSchema.of("", "SequenceMap", 17)
            .input("input_sequence", "seq(S)")
            .variadic("additional_inputs", "*")
            .variadicOutput("out_sequence", "*")
            .types("S", Types.ALL)
            .required("body", AttributeKind.GRAPH)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  private static Graph body(OpContext c) {
    Graph body =
        c.graphAttr("body").orElseThrow(() -> c.error("TSR-0304", "attribute 'body' is missing"));
    if (body.inputs().size() != c.inputCount() || body.outputs().size() < c.outputCount()) {
      throw c.error(
          "TSR-0304",
          "the body has %d inputs and %d outputs, the node %d and %d"
              .formatted(
                  body.inputs().size(), body.outputs().size(), c.inputCount(), c.outputCount()));
    }
    return body;
  }

  @Override
  public List<ValueType> bodyInputs(OpContext context, Graph body) {
    List<ValueType> types = new ArrayList<>();
    for (int i = 0; i < context.inputCount(); i++) {
      types.add(
          context.inputType(i) instanceof SequenceType(ValueType element)
              ? ValueType.fresh(element, "_element" + context.node().id() + "_" + i)
              : context.inputType(i));
    }
    return types;
  }

  @Override
  List<ValueType> types(OpContext c) {
    Graph body = body(c);
    List<ValueType> types = new ArrayList<>();
    for (int i = 0; i < c.outputCount(); i++) {
      types.add(new SequenceType(ValueType.varying(c.bodyOutput(body, i))));
    }
    return types;
  }

  @Override
  List<Datum> values(EvalContext c) {
    Graph body = body(c);
    List<List<Datum>> results = new ArrayList<>();
    body.outputs().forEach(o -> results.add(new ArrayList<>()));
    int length = sequence(c, 0).size();
    for (int k = 0; k < length; k++) {
      List<Datum> inputs = new ArrayList<>();
      for (int i = 0; i < c.inputCount(); i++) {
        inputs.add(c.datum(i) instanceof Datum.Sequence ? sequence(c, i).get(k) : c.datum(i));
      }
      List<Datum> outputs = c.run(body, inputs);
      for (int i = 0; i < outputs.size(); i++) {
        results.get(i).add(outputs.get(i));
      }
    }
    return results.stream().<Datum>map(Datum.Sequence::new).toList();
  }

  private static List<Datum> sequence(EvalContext c, int input) {
    if (!(c.datum(input) instanceof Datum.Sequence(List<Datum> elements))) {
      throw c.error("TSR-0302", "input " + input + " must be a sequence");
    }
    if (input > 0 && elements.size() != sequence(c, 0).size()) {
      throw c.error(
          "TSR-0303",
          "sequences of %d and %d elements go together"
              .formatted(sequence(c, 0).size(), elements.size()));
    }
    return elements;
  }

  /** What is no sequence becomes a captured value of the body. */
  @Override
  Lowering code(OpContext c) {
    Graph body = body(c);
    List<Lowering.Scanned> scanned = new ArrayList<>();
    Map<Value, Value> captured = new HashMap<>();
    for (int i = 0; i < c.inputCount(); i++) {
      if (c.inputType(i) instanceof SequenceType) {
        scanned.add(new Lowering.Scanned(i, 0, false));
      } else {
        captured.put(body.inputs().get(i), c.node().input(i));
      }
    }
    return new Lowering.Iterate(
        body.withCaptured(captured),
        false,
        -1,
        -1,
        List.of(),
        scanned,
        java.util.Collections.nCopies(body.outputs().size(), new Lowering.Stacked(-1, false)));
  }
}
