package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.BodyOperator;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;

/** If: one of two bodies without inputs. Its outputs may differ in shape, even in rank. */
final class If extends OpBase implements BodyOperator {
  If() {
    super(
        OpSchema.of("", "If", 1, 11, 13, 16, 19, 21, 23, 24, 25)
            .input("cond", "B")
            .variadicOutput("outputs", "*")
            .types("B", Types.BOOL)
            .required("then_branch", AttributeKind.GRAPH)
            .required("else_branch", AttributeKind.GRAPH)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  private static Graph branch(OpContext c, boolean then) {
    String name = then ? "then_branch" : "else_branch";
    Graph body =
        c.graphAttr(name)
            .orElseThrow(() -> c.error("TSR-0304", "attribute '" + name + "' is missing"));
    if (!body.inputs().isEmpty()) {
      throw c.error("TSR-0304", name + " must have no inputs, not " + body.inputs().size());
    }
    if (body.outputs().size() < c.outputCount()) {
      throw c.error(
          "TSR-0304",
          name + " has " + body.outputs().size() + " outputs, the node " + c.outputCount());
    }
    return body;
  }

  @Override
  public List<ValueType> bodyInputs(OpContext context, Graph body) {
    return List.of();
  }

  /** The condition, if it is known at compile time. */
  private static Optional<Boolean> known(OpContext c) {
    return c.constant(0)
        .filter(tensor -> tensor.dtype() == DType.BOOL && tensor.size() == 1)
        .map(tensor -> tensor.getLong(0) != 0);
  }

  @Override
  @SuppressWarnings("ReferenceEquality") // graphs have no other
  public boolean mayBeLeftOut(OpContext context, Graph body) {
    return known(context).map(chosen -> branch(context, chosen) != body).orElse(true);
  }

  @Override
  List<ValueType> types(OpContext c) {
    Graph then = branch(c, true);
    Graph otherwise = branch(c, false);
    Optional<Graph> chosen = known(c).map(condition -> condition ? then : otherwise);
    if (chosen.isPresent()) {
      return IntStream.range(0, c.outputCount())
          .mapToObj(i -> c.bodyOutput(chosen.get(), i))
          .toList();
    }
    List<ValueType> types = new ArrayList<>();
    for (int i = 0; i < c.outputCount(); i++) {
      ValueType a = c.bodyOutput(then, i);
      ValueType b = c.bodyOutput(otherwise, i);
      if (a instanceof ValueType.TensorType x
          && b instanceof ValueType.TensorType y
          && x.dtype() != y.dtype()) {
        throw c.error(
            "TSR-0302", "output " + i + " is " + a + " of one branch and " + b + " of the other");
      }
      types.add(ValueType.join(a, b, "_if" + c.node().id() + "_" + i));
    }
    return types;
  }

  @Override
  List<Datum> values(EvalContext c) {
    return c.run(branch(c, condition(c, c.input(0))), List.of());
  }

  /** A condition is one element, whatever its rank. */
  static boolean condition(OpContext c, Tensor tensor) {
    if (tensor.dtype() != DType.BOOL || tensor.size() != 1) {
      throw c.error("TSR-0303", "a condition must be one boolean, not " + tensor);
    }
    return tensor.getLong(0) != 0;
  }

  @Override
  Lowering code(OpContext c) {
    return new Lowering.Branch(branch(c, true), branch(c, false));
  }
}
