package org.tersor.ir.ops;

import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.TypeNumbers;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;

/**
 * An operator that is defined by others: in compiled code it becomes them, and evaluation evaluates
 * them. Its witness is another runtime.
 */
abstract class FunctionOperator extends OpBase {
  static final String MICROSOFT = "com.microsoft";

  /** Version of the standard's operators that functions are made of, whatever the model imports. */
  static final int OPSET = 24;

  FunctionOperator(OpSchema.Builder schema) {
    super(schema);
  }

  /** Adds the nodes; one value per output of the node that is used. */
  abstract List<Value> build(OpContext c, Parts b);

  @Override
  final List<Datum> values(EvalContext c) {
    int free = c.graph().maxId();
    for (Value input : c.node().inputs()) {
      free = Math.max(free, input.id());
    }
    GraphBuilder builder = new GraphBuilder(Map.of(), free + 1);
    builder.pin("", OPSET);
    List<Value> outputs = build(c, new Parts(c, builder));
    outputs.stream().filter(Value::isPresent).forEach(builder::output);
    Iterator<Datum> results = c.run(builder.build(schema().name(), Map.of()), List.of()).iterator();
    // Nobody reads what stands for an output that is not used.
    return outputs.stream()
        .map(output -> output.isPresent() ? results.next() : Tensor.zeros(DType.BOOL))
        .toList();
  }

  @Override
  final Lowering code(OpContext c) {
    return new Lowering.Decompose(builder -> {
      builder.pin("", OPSET);
      return build(c, new Parts(c, builder));
    });
  }

  /** Short forms for the nodes of a function. */
  record Parts(OpContext c, GraphBuilder builder) {
    /** Input {@code index} of the function, which may be absent. */
    Value in(int index) {
      return c.hasInput(index) ? c.node().input(index) : Value.NONE;
    }

    Value add(String type, Value... inputs) {
      return builder.add(type, inputs);
    }

    Value add(String type, Map<String, Attribute> attributes, Value... inputs) {
      return builder.add(type, attributes, inputs);
    }

    Value microsoft(String type, Map<String, Attribute> attributes, Value... inputs) {
      return builder.add(MICROSOFT, type, attributes, inputs);
    }

    /** A node with several outputs. */
    List<Value> all(String type, Map<String, Attribute> attributes, int outputs, Value... inputs) {
      return all("", type, attributes, outputs, inputs);
    }

    List<Value> all(
        String domain,
        String type,
        Map<String, Attribute> attributes,
        int outputs,
        Value... inputs) {
      List<Value> results =
          java.util.stream.IntStream.range(0, outputs)
              .mapToObj(i -> builder.value("", org.tersor.ir.graph.ValueType.UNKNOWN))
              .toList();
      builder.addNode(domain, type, attributes, List.of(inputs), results);
      return results;
    }

    Value longs(long... values) {
      return builder.longs(values);
    }

    Value scalar(float value) {
      return builder.scalar(value);
    }

    Value integer(long value) {
      return builder.constant(Tensor.of(new long[] {value}));
    }

    Value cast(Value x, DType to) {
      return add("Cast", Map.of("to", integerAttr(TypeNumbers.number(to))), x);
    }

    Value reshape(Value x, long... shape) {
      return add("Reshape", x, longs(shape));
    }

    Value transpose(Value x, long... order) {
      return add("Transpose", Map.of("perm", integersAttr(order)), x);
    }

    Value unsqueeze(Value x, long... axes) {
      return add("Unsqueeze", x, longs(axes));
    }

    /** Elements {@code from} to {@code to} (exclusive) of an axis. */
    Value slice(Value x, long axis, long from, long to) {
      return add("Slice", x, longs(from), longs(to), longs(axis));
    }

    /** One dimension of a value as I64[1]. */
    Value dim(Value x, int axis) {
      return add("Shape", Map.of("start", integerAttr(axis), "end", integerAttr(axis + 1L)), x);
    }

    /** 0, 1, ..., n - 1 for n as I64[1]. */
    Value range(Value n) {
      return add("Range", integer(0), add("Squeeze", n), integer(1));
    }
  }

  static Attribute integerAttr(long value) {
    return new Attribute.IntAttr(value);
  }

  static Attribute floatAttr(double value) {
    return new Attribute.FloatAttr((float) value);
  }

  static Attribute integersAttr(long... values) {
    return new Attribute.IntsAttr(java.util.Arrays.stream(values).boxed().toList());
  }
}
