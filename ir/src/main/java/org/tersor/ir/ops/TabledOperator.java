package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.LongStream;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.Tensor;

/**
 * An operator whose attributes hold tables that its kernel reads: it becomes the same operator of
 * Tersor's own domain with the tables as constant inputs after its own.
 */
abstract class TabledOperator extends OpBase {
  static final String ML = "ai.onnx.ml";

  /** The attribute of every classifier that names its labels. */
  private static final String LABEL_NAMES = "classlabels_strings";

  private final int operands;

  private TabledOperator(OpSchema.Builder schema, int operands) {
    super(schema.build().domain().equals(OpKey.TERSOR) ? schema.variadic("tables", "*") : schema);
    this.operands = operands;
  }

  /**
   * @param own whether it is the form with tables as inputs
   * @param versions of the form without
   */
  static OpSchema.Builder schema(boolean own, String name, int... versions) {
    return own ? OpSchema.of(OpKey.TERSOR, name, 1) : OpSchema.of(ML, name, versions);
  }

  TabledOperator(OpSchema.Builder schema) {
    this(schema, schema.build().inputs().size());
  }

  /** The tables of the node's attributes. */
  abstract List<Tensor> tables(OpContext c);

  /** The kernel; table {@code i} is input {@code table(i)}. */
  abstract Lowering kernel(OpContext c);

  final int table(int index) {
    return operands + index;
  }

  /** A classifier whose labels are strings: one whose labels are their positions, then a choice. */
  private List<Value> numbered(OpContext c, GraphBuilder b, List<String> names) {
    Map<String, Attribute> attributes = new HashMap<>(c.node().attributes());
    attributes.remove(LABEL_NAMES);
    String numbers =
        schema().attributes().containsKey("classlabels_ints")
            ? "classlabels_ints"
            : "classlabels_int64s";
    attributes.put(
        numbers, new Attribute.IntsAttr(LongStream.range(0, names.size()).boxed().toList()));
    List<Value> results =
        new ArrayList<>(List.of(b.value("", ValueType.UNKNOWN), b.value("", ValueType.UNKNOWN)));
    b.addNode(schema().domain(), schema().name(), attributes, c.node().inputs(), results);
    results.set(
        0,
        b.add(
            OpKey.TERSOR,
            StringOperators.PICK,
            Map.of("values", new Attribute.StringsAttr(names)),
            results.getFirst()));
    return results.subList(0, c.outputCount());
  }

  @Override
  final Lowering code(OpContext c) {
    if (schema().domain().equals(OpKey.TERSOR)) {
      return kernel(c);
    }
    Optional<List<String>> names =
        c.stringsAttr(LABEL_NAMES).filter(n -> !n.isEmpty() && schema().outputs().size() > 1);
    if (names.isPresent()) {
      return new Lowering.Decompose(b -> numbered(c, b, names.get()));
    }
    List<Tensor> tables = tables(c);
    return new Lowering.Decompose(b -> {
      List<Value> inputs = new ArrayList<>(c.node().inputs().subList(0, c.inputCount()));
      while (inputs.size() < operands) {
        inputs.add(Value.NONE);
      }
      tables.forEach(table -> inputs.add(b.constant("", Constant.of(table))));
      List<Value> outputs = new ArrayList<>();
      for (int i = 0; i < c.outputCount(); i++) {
        outputs.add(
            c.hasOutput(i) ? b.value("", org.tersor.ir.graph.ValueType.UNKNOWN) : Value.NONE);
      }
      b.addNode(OpKey.TERSOR, schema().name(), c.node().attributes(), inputs, outputs);
      return outputs;
    });
  }
}
