package org.tersor.passes.eval;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.EvalContext;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** A node without bodies whose inputs are all given. */
public class KnownEval extends EvalContext {
  private final List<Optional<Datum>> inputs;

  /** Of all inputs: operators ask for them again and again. */
  private final List<ValueType> types;

  public KnownEval(Graph graph, Node node, List<? extends Optional<? extends Datum>> inputs) {
    super(graph, node);
    this.inputs = inputs.stream().map(input -> input.map(datum -> (Datum) datum)).toList();
    this.types =
        this.inputs.stream().map(i -> i.map(ValueType::of).orElse(ValueType.UNKNOWN)).toList();
  }

  private Optional<Datum> given(int index) {
    return index < inputs.size() ? inputs.get(index) : Optional.empty();
  }

  @Override
  public Datum datum(int index) {
    return given(index).orElseThrow(() -> error("TSR-0301", "input " + index + " is missing"));
  }

  @Override
  public ValueType inputType(int index) {
    return index < types.size() ? types.get(index) : ValueType.UNKNOWN;
  }

  @Override
  protected ValueType typeOf(Value value) {
    int index = node().inputs().indexOf(value);
    return index >= 0 ? inputType(index) : super.typeOf(value);
  }

  @Override
  public Optional<Tensor> constant(int index) {
    return given(index).filter(Tensor.class::isInstance).map(Tensor.class::cast);
  }

  @Override
  public Optional<List<DimExpr>> symbolic(int index) {
    Optional<Tensor> tensor = constant(index);
    if (tensor.isEmpty()
        || tensor.get().rank() > 1
        || !tensor.get().dtype().isInteger()
        || tensor.get().dtype() == DType.U64) {
      return Optional.empty();
    }
    Tensor t = tensor.get();
    return Optional.of(
        java.util.stream.IntStream.range(0, t.size())
            .mapToObj(i -> DimExpr.of(t.getLong(i)))
            .toList());
  }

  @Override
  public List<Datum> run(Graph body, List<? extends Datum> bodyInputs) {
    throw error("TSR-0401", "a body cannot be run at compile time");
  }
}
