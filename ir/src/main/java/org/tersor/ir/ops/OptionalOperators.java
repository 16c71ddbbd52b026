package org.tersor.ir.ops;

import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.OptionalType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.DType;

/** Optionals: from version 18 on, what is no optional counts as one that holds it. */
final class OptionalOperators {
  private static final String ANYTHING = "optional(T) | optional(seq(T)) | T | seq(T)";

  private OptionalOperators() {}

  static List<Operator> all() {
    return List.of(
        new HostRow(
            OpSchema.of("", "Optional", 15)
                .optional("input", "T | seq(T)")
                .output("output", "optional(T) | optional(seq(T))")
                .types("T", Types.ALL)
                .attribute("type", AttributeKind.TYPE),
            "optional.make",
            c -> List.of(new OptionalType(held(c))),
            c -> {
              held(c);
              return Map.of();
            }),
        new HostRow(
            OpSchema.of("", "OptionalHasElement", 15, 18)
                .optional("input", ANYTHING)
                .output("output", "B")
                .types("T", Types.ALL)
                .types("B", Types.BOOL),
            "optional.has",
            c -> List.of(TensorType.of(DType.BOOL))),
        new HostRow(
            OpSchema.of("", "OptionalGetElement", 15, 18)
                .input("input", ANYTHING)
                .output("output", "T | seq(T)")
                .types("T", Types.ALL),
            "optional.get",
            c ->
                List.of(
                    c.inputType(0) instanceof OptionalType(ValueType element)
                        ? ValueType.fresh(element, "_data" + c.node().id())
                        : c.inputType(0))));
  }

  private static ValueType held(OpContext c) {
    if (c.hasInput(0)) {
      return c.inputType(0);
    }
    return c.attribute("type")
        .map(a -> a instanceof Attribute.TypeAttr(ValueType type) ? type : ValueType.UNKNOWN)
        .orElseThrow(() -> c.error("TSR-0304", "neither an input nor attribute 'type' is given"));
  }
}
