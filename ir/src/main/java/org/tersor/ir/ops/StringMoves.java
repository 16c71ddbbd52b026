package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;

/**
 * Operators that move strings without a look at them: the same operator on numbers that stand for
 * the strings, whose kernels every backend has.
 */
final class StringMoves {
  private StringMoves() {}

  /** Whether an operand that the schema gives a type variable holds strings. */
  static boolean applies(OpSchema schema, OpContext c) {
    for (int i = 0; i < c.inputCount(); i++) {
      if (isStrings(schema, c, i)) {
        return true;
      }
    }
    return false;
  }

  private static boolean isStrings(OpSchema schema, OpContext c, int input) {
    return schema.typeVariables().containsKey(formal(schema.inputs(), input))
        && c.hasInput(input)
        && c.inputType(input) instanceof TensorType t
        && t.dtype() == DType.STRING;
  }

  private static String formal(List<OpSchema.Formal> formals, int index) {
    return formals.get(Math.min(index, formals.size() - 1)).type();
  }

  /** By code points, as bytes of UTF-8 compare; {@code String.compareTo} differs past U+FFFF. */
  static int compare(String a, String b) {
    int[] p = a.codePoints().toArray();
    int[] q = b.codePoints().toArray();
    return Arrays.compare(p, q);
  }

  static Lowering of(OpSchema schema, OpContext c) {
    return new Lowering.Decompose(builder -> build(schema, c, builder));
  }

  private static List<Value> build(OpSchema schema, OpContext c, GraphBuilder builder) {
    List<Value> inputs = new ArrayList<>(c.node().inputs());
    List<Value> operands = new ArrayList<>();
    Set<String> variables = new HashSet<>();
    for (int i = 0; i < inputs.size(); i++) {
      if (isStrings(schema, c, i)) {
        Value strings = inputs.get(i);
        inputs.set(
            i,
            builder.add(
                OpKey.TERSOR,
                StringOperators.NUMBER,
                Map.of("operand", new Attribute.IntAttr(operands.size())),
                strings));
        operands.add(strings);
        variables.add(formal(schema.inputs(), i));
      }
    }
    List<Value> moved = new ArrayList<>();
    for (Value output : c.node().outputs()) {
      moved.add(output.isPresent() ? builder.value("", ValueType.UNKNOWN) : Value.NONE);
    }
    builder.addNode(schema.domain(), schema.name(), c.node().attributes(), inputs, moved);
    List<Value> outputs = new ArrayList<>();
    for (int i = 0; i < moved.size(); i++) {
      Value numbers = moved.get(i);
      if (numbers.isPresent() && variables.contains(formal(schema.outputs(), i))) {
        List<Value> take = new ArrayList<>(List.of(numbers));
        take.addAll(operands);
        outputs.add(
            builder.add(OpKey.TERSOR, StringOperators.TAKE, Map.of(), take.toArray(new Value[0])));
      } else {
        outputs.add(numbers);
      }
    }
    return outputs;
  }
}
