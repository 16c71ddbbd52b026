package org.tersor.ir.op;

import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * A node as its operator sees it: attributes with defaults, types of operands, operands known at
 * compile time.
 */
public abstract class OpContext {
  private final Graph graph;
  private final Node node;

  protected OpContext(Graph graph, Node node) {
    this.graph = graph;
    this.node = node;
  }

  public Graph graph() {
    return graph;
  }

  public Node node() {
    return node;
  }

  /** Opset version of the node's domain. */
  public int version() {
    return node.op().version();
  }

  public int inputCount() {
    return node.inputs().size();
  }

  public boolean hasInput(int index) {
    return node.input(index).isPresent();
  }

  public boolean hasOutput(int index) {
    return node.output(index).isPresent();
  }

  public int outputCount() {
    return node.outputs().size();
  }

  /** Type of input {@code index}; values captured from an enclosing graph included. */
  public ValueType inputType(int index) {
    return typeOf(node.input(index));
  }

  /** Type of an output of a body, which may be a value of this graph or of one around it. */
  public ValueType bodyOutput(Graph body, int index) {
    Value output = body.outputs().get(index);
    return body.type(output) instanceof ValueType.UnknownType ? typeOf(output) : body.type(output);
  }

  protected ValueType typeOf(Value value) {
    return graph.type(value);
  }

  /** Type of input {@code index} as a tensor; a diagnostic if it is none. */
  public ValueType.TensorType in(int index) {
    if (!hasInput(index)) {
      throw error("TSR-0301", "input " + index + " is missing");
    }
    if (inputType(index) instanceof ValueType.TensorType tensor) {
      return tensor;
    }
    throw error("TSR-0302", "input " + index + " must be a tensor, not " + inputType(index));
  }

  public DType dtype(int index) {
    return in(index).dtype();
  }

  /** Dimensions of input {@code index}; a diagnostic if it is unranked. */
  public List<DimExpr> dims(int index) {
    return in(index)
        .shape()
        .orElseThrow(() -> error("TSR-0303", "the rank of input " + index + " is not known"));
  }

  public int rank(int index) {
    return dims(index).size();
  }

  /** Elements of input {@code index} if they are known at compile time. */
  public Optional<Tensor> constant(int index) {
    return graph.constant(node.input(index)).map(Constant::load);
  }

  /**
   * Elements of an integer input of rank at most 1 as expressions, if they are known (constant, or
   * computed from shapes).
   */
  public abstract Optional<List<DimExpr>> symbolic(int index);

  /**
   * A symbol for an expression that depends on data, if it is long: expressions made of it stay
   * short. Others are given back.
   *
   * @param tag unique among the expressions of a node; the same tag must mean the same expression
   */
  public DimExpr abbreviate(String tag, DimExpr expression) {
    return expression;
  }

  /**
   * Notes what dimensions must fulfil when the model runs: {@code size} is at least {@code least}.
   * Types cannot tell where symbols stand for them; what is called here ends such a run.
   *
   * @param fault what is wrong otherwise, in words, for the diagnostic
   */
  public void demand(DimExpr size, DimExpr least, String fault) {}

  /** Both are the same number when the model runs. */
  public final void demandEqual(DimExpr a, DimExpr b) {
    String fault = "sizes that must agree differ";
    demand(a, b, fault);
    demand(b, a, fault);
  }

  /** Hears what operators demand, see {@link #demand}. */
  @FunctionalInterface
  public interface Demands {
    void accept(DimExpr size, DimExpr least, String fault);
  }

  /** The same of numbers that are long to work out: only where somebody hears of it. */
  public final void demandEqual(Supplier<DimExpr> a, Supplier<DimExpr> b) {
    if (hearsDemands()) {
      demandEqual(a.get(), b.get());
    }
  }

  /** Whether demands are collected. */
  protected boolean hearsDemands() {
    return false;
  }

  public Optional<Attribute> attribute(String name) {
    return Optional.ofNullable(node.attributes().get(name));
  }

  public boolean has(String name) {
    return node.attributes().containsKey(name);
  }

  public long intAttr(String name, long otherwise) {
    return attribute(name)
        .map(a -> cast(name, a, Attribute.IntAttr.class).value())
        .orElse(otherwise);
  }

  public float floatAttr(String name, float otherwise) {
    return attribute(name)
        .map(a -> cast(name, a, Attribute.FloatAttr.class).value())
        .orElse(otherwise);
  }

  public String stringAttr(String name, String otherwise) {
    return attribute(name)
        .map(a -> cast(name, a, Attribute.StringAttr.class).value())
        .orElse(otherwise);
  }

  public Optional<long[]> intsAttr(String name) {
    return attribute(name)
        .map(a ->
            cast(name, a, Attribute.IntsAttr.class).values().stream()
                .mapToLong(Long::longValue)
                .toArray());
  }

  public Optional<List<Float>> floatsAttr(String name) {
    return attribute(name).map(a -> cast(name, a, Attribute.FloatsAttr.class).values());
  }

  public Optional<List<String>> stringsAttr(String name) {
    return attribute(name).map(a -> cast(name, a, Attribute.StringsAttr.class).values());
  }

  public Optional<Tensor> tensorAttr(String name) {
    return attribute(name).map(a -> cast(name, a, Attribute.TensorAttr.class).value().load());
  }

  public Optional<Graph> graphAttr(String name) {
    return attribute(name).map(a -> cast(name, a, Attribute.GraphAttr.class).value());
  }

  private <T extends Attribute> T cast(String name, Attribute attribute, Class<T> kind) {
    if (!kind.isInstance(attribute)) {
      throw error("TSR-0304", "attribute '" + name + "' must be of kind " + kind.getSimpleName());
    }
    return kind.cast(attribute);
  }

  /** An axis in 0..rank-1 from one in -rank..rank-1; a diagnostic if it is outside. */
  public int axis(long axis, int rank) {
    if (axis < -rank || axis >= rank) {
      throw error("TSR-0305", "axis " + axis + " is outside -" + rank + ".." + (rank - 1));
    }
    return (int) (axis < 0 ? axis + rank : axis);
  }

  /** A diagnostic that names the node. */
  public TersorException error(String code, String why) {
    StringBuilder shapes = new StringBuilder();
    for (int i = 0; i < node.inputs().size(); i++) {
      shapes.append(i == 0 ? "" : ", ").append(hasInput(i) ? inputType(i).toString() : "-");
    }
    return new TersorException(code, node.op() + " '" + node.name() + "' (" + shapes + "): " + why);
  }
}
