package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.SequenceType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;

/** Sequences of tensors; what they do is in the runtime's host operations. */
final class SequenceOperators {
  private static final String EMPTY = "SequenceEmpty";

  private SequenceOperators() {}

  static List<Operator> all() {
    return List.of(
        new HostRow(
            op(EMPTY, 11).output("output", "seq(T)").attribute("dtype", AttributeKind.INT),
            "sequence.construct",
            c -> List.of(new SequenceType(TensorType.unranked(emptyOf(c))))),
        new HostRow(
            op("SequenceConstruct", 11).variadic("inputs", "T").output("output_sequence", "seq(T)"),
            "sequence.construct",
            SequenceOperators::constructed),
        new HostRow(
            op("SequenceInsert", 11)
                .input("input_sequence", "seq(T)")
                .input("tensor", "T")
                .optional("position", "I")
                .output("output_sequence", "seq(T)"),
            "sequence.insert",
            c -> List.of(new SequenceType(inserted(c)))),
        new HostRow(
            op("SequenceErase", 11)
                .input("input_sequence", "seq(T)")
                .optional("position", "I")
                .output("output_sequence", "seq(T)"),
            "sequence.erase",
            c -> List.of(new SequenceType(element(c)))),
        new HostRow(
            op("SequenceAt", 11)
                .input("input_sequence", "seq(T)")
                .input("position", "I")
                .output("tensor", "T"),
            "sequence.at",
            c -> List.of(ValueType.fresh(element(c), tag(c)))),
        new HostRow(
            op("SequenceLength", 11)
                .input("input_sequence", "seq(T)")
                .output("length", "L")
                .types("L", Types.I64),
            "sequence.length",
            c -> List.of(TensorType.of(DType.I64))),
        new HostRow(
            op("SplitToSequence", 11, 24)
                .input("input", "T")
                .optional("split", "I")
                .output("output_sequence", "seq(T)")
                .attribute("axis", AttributeKind.INT)
                .attribute("keepdims", AttributeKind.INT),
            "sequence.split",
            c -> List.of(new SequenceType(piece(c))),
            c ->
                Map.of(
                    "axis", HostRow.text(c.intAttr("axis", 0)),
                    "keepdims", HostRow.text(c.intAttr("keepdims", 1)))),
        new HostRow(
            op("ConcatFromSequence", 11)
                .input("input_sequence", "seq(T)")
                .output("concat_result", "T")
                .required("axis", AttributeKind.INT)
                .attribute("new_axis", AttributeKind.INT),
            "sequence.concat",
            c -> List.of(joined(c)),
            c ->
                Map.of(
                    "axis", HostRow.text(c.intAttr("axis", 0)),
                    "new_axis", HostRow.text(c.intAttr("new_axis", 0)))));
  }

  private static OpSchema.Builder op(String name, int... versions) {
    return OpSchema.of("", name, versions).types("T", Types.ALL).types("I", Types.INDICES);
  }

  private static String tag(OpContext c) {
    return "_data" + c.node().id();
  }

  private static DType emptyOf(OpContext c) {
    return c.has("dtype") ? OnnxTypes.of(c, c.intAttr("dtype", 1)) : DType.F32;
  }

  private static List<ValueType> constructed(OpContext c) {
    ValueType element = ValueType.UNKNOWN;
    for (int i = 0; i < c.inputCount(); i++) {
      element = ValueType.cover(element, c.in(i));
    }
    return List.of(new SequenceType(element));
  }

  /** Type of the elements with a new one, which is the only one if the sequence is known empty. */
  private static ValueType inserted(OpContext c) {
    boolean empty =
        c.graph().nodes().stream()
            .anyMatch(
                node -> node.op().type().equals(EMPTY) && node.output(0).equals(c.node().input(0)));
    return empty && element(c).equals(TensorType.unranked(c.dtype(1)))
        ? c.in(1)
        : ValueType.cover(element(c), c.in(1));
  }

  /** Type of the elements of input 0. */
  private static ValueType element(OpContext c) {
    return c.inputType(0) instanceof SequenceType(ValueType element) ? element : ValueType.UNKNOWN;
  }

  private static ValueType piece(OpContext c) {
    TensorType type = c.in(0);
    if (!type.isRanked()) {
      return type;
    }
    int axis = c.axis(c.intAttr("axis", 0), type.rank());
    List<DimExpr> dims = new ArrayList<>(type.dims());
    if (c.hasInput(1)) {
      dims.set(axis, ValueType.ANY_DIM);
    } else if (c.intAttr("keepdims", 1) != 0) {
      dims.set(axis, DimExpr.ONE);
    } else {
      dims.remove(axis);
    }
    return TensorType.of(type.dtype(), dims);
  }

  private static ValueType joined(OpContext c) {
    if (!(ValueType.fresh(element(c), tag(c)) instanceof TensorType type) || !type.isRanked()) {
      return element(c);
    }
    boolean stack = c.intAttr("new_axis", 0) != 0;
    int axis = c.axis(c.intAttr("axis", 0), type.rank() + (stack ? 1 : 0));
    List<DimExpr> dims = new ArrayList<>(type.dims());
    if (stack) {
      dims.add(axis, unknownLength(c));
    } else {
      dims.set(axis, unknownLength(c));
    }
    return TensorType.of(type.dtype(), dims);
  }

  private static DimExpr unknownLength(OpContext c) {
    return DimExpr.symbol(tag(c) + "_length");
  }
}
