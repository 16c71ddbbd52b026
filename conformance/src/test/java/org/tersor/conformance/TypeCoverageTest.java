package org.tersor.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.BodyOperator;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.Arity;
import org.tersor.ir.op.OpSchema.Tolerance;
import org.tersor.ir.op.Operator;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Every type that a schema names, evaluated and compiled, for operators whose required inputs are
 * tensors of one shape and that need no attributes: those that the interpreter runs the JVM backend
 * must run, with the same result. Each is tried with a matrix and with one of a scalar, an empty
 * tensor and rank 4, in turn.
 */
class TypeCoverageTest {
  private static final Compiler COMPILER = Compiler.standard();
  private static final long[] MATRIX = {2, 3};
  private static final List<long[]> OTHERS =
      List.of(new long[] {2, 1, 2, 3}, new long[0], new long[] {0, 3});

  @Test
  void compiledAsEvaluated() {
    Set<String> gaps = new TreeSet<>();
    int compared = 0;
    int others = 0;
    int turn = 0;
    for (Operator operator : COMPILER.registry().operators().all()) {
      OpSchema schema = operator.schema();
      List<OpSchema.Formal> inputs =
          schema.inputs().stream().filter(f -> f.arity() != Arity.OPTIONAL).toList();
      boolean plain =
          !(operator instanceof BodyOperator)
              && !schema.domain().equals(OpKey.TERSOR)
              && schema.tolerance() != Tolerance.RANDOM
              && !inputs.isEmpty()
              && inputs.stream().allMatch(f -> schema.typeVariables().containsKey(f.type()))
              && schema.attributes().values().stream().noneMatch(OpSchema.AttributeSpec::required);
      if (!plain) {
        continue;
      }
      String variable = inputs.getFirst().type();
      for (DType type : schema.typeVariables().getOrDefault(variable, Set.of())) {
        // Complex numbers have no kernels, which docs/operators.md says.
        if (!type.isComplex()) {
          compared += compare(schema, inputs, variable, type, MATRIX, gaps) ? 1 : 0;
          long[] other = OTHERS.get(turn++ % OTHERS.size());
          others += compare(schema, inputs, variable, type, other, gaps) ? 1 : 0;
        }
      }
    }
    assertEquals("", String.join("\n", gaps));
    assertTrue(compared > 900, compared + " compared");
    assertTrue(others > 700, others + " of other shapes compared");
  }

  /** Whether the interpreter runs it, so that there is something to compare. */
  private static boolean compare(
      OpSchema schema,
      List<OpSchema.Formal> inputs,
      String variable,
      DType type,
      long[] shape,
      Set<String> gaps) {
    GraphBuilder b = new GraphBuilder(Map.of("", 28), 0);
    b.pin(schema.domain(), version(schema));
    List<Value> operands = new ArrayList<>();
    Map<String, Datum> data = new java.util.LinkedHashMap<>();
    for (int i = 0; i < inputs.size(); i++) {
      DType own =
          inputs.get(i).type().equals(variable)
              ? type
              : Objects.requireNonNull(schema.typeVariables().get(inputs.get(i).type()))
                  .iterator()
                  .next();
      Tensor tensor = values(own, i, shape);
      data.put("in" + i, tensor);
      operands.add(b.input("in" + i, TensorType.of(own, shape)));
    }
    Value result = b.value("out", ValueType.UNKNOWN);
    b.addNode(schema.domain(), schema.name(), Map.of(), operands, List.of(result));
    b.output(result);
    Graph graph = b.build("g", Map.of());
    String name =
        schema.domain() + " " + schema.name() + " " + type.text() + Arrays.toString(shape);
    Datum wanted;
    try {
      wanted = call(graph, "interpreter", data);
    } catch (TersorException e) {
      return false; // these shapes or elements are nothing for it
    } catch (RuntimeException e) {
      gaps.add(name + ": the interpreter ends with " + e);
      return true;
    }
    try {
      Datum actual = call(graph, "jvm", data);
      double tolerance = type.isFloat() ? Math.pow(2, -Math.min(20, mantissa(type))) : 0;
      for (Comparison each :
          Comparison.all(
              "out",
              actual,
              wanted,
              (leaf, tensor) -> new Comparison.Rule.Close(tolerance, tolerance))) {
        if (!each.passed()) {
          gaps.add(name + ": " + each.note());
        }
      }
    } catch (TersorException e) {
      gaps.add(name + ": " + e.code() + " " + e.getMessage());
    } catch (RuntimeException e) {
      gaps.add(name + ": compiled code ends with " + e);
    }
    return true;
  }

  private static int version(OpSchema schema) {
    return schema.domain().isEmpty() ? 28 : schema.versions().getLast();
  }

  /** Bits of precision that are left after a few roundings. */
  private static int mantissa(DType type) {
    return switch (type) {
      case F16 -> 8;
      case BF16 -> 5;
      case F32, C64 -> 18;
      case F64, C128 -> 20;
      default -> 1;
    };
  }

  private static Datum call(Graph graph, String backend, Map<String, Datum> data) {
    return LoadedModel.of(COMPILER, graph, backend, CompileOptions.defaults())
        .executable()
        .call(data)
        .values()
        .iterator()
        .next();
  }

  private static Tensor values(DType type, int operand, long[] shape) {
    Tensor tensor = Tensor.zeros(type, shape);
    for (int i = 0; i < tensor.size(); i++) {
      int number = (i + operand) % 2 + (operand == 0 && i == 3 ? 1 : 0);
      switch (type) {
        case STRING -> tensor.strings()[i] = "s" + number;
        case C64 -> tensor.floats()[2 * i] = number;
        case C128 -> tensor.doubles()[2 * i] = number;
        default -> {
          if (type.isFloat()) {
            tensor.setDouble(i, number);
          } else {
            tensor.setLong(i, type == DType.BOOL || type == DType.I2 ? number & 1 : number);
          }
        }
      }
    }
    return tensor;
  }
}
