package org.tersor.passes.infer;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.ElementSymbols;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * What is known at compile time about the values of a graph and of the graphs around it. Filled by
 * {@link TypeInference}.
 */
public final class Scope {
  /**
   * Integer vectors up to this length are followed as expressions, small tensors up to this size as
   * values.
   */
  static final int MAX_KNOWN = 4096;

  /** Characters of an expression that gets no symbol. */
  private static final int SHORT = 30;

  private final Optional<Scope> outer;
  private final Graph graph;
  private final Map<Value, ValueType> types = new LinkedHashMap<>();
  private final Map<Value, List<DimExpr>> symbolic = new HashMap<>();
  private final Map<Value, Tensor> known = new HashMap<>();
  private final Map<String, DimExpr> definitions = new LinkedHashMap<>();

  Scope(Optional<Scope> outer, Graph graph) {
    this.outer = outer;
    this.graph = graph;
  }

  boolean isOutermost() {
    return outer.isEmpty();
  }

  /** Type of a value of this graph or of one around it. */
  public ValueType type(Value value) {
    ValueType type = types.get(value);
    if (type != null) {
      return type;
    }
    Optional<Constant> constant = graph.constant(value);
    if (constant.isPresent()) {
      return constant.get().type();
    }
    return outer.map(o -> o.type(value)).orElseGet(() -> graph.type(value));
  }

  /**
   * Elements as expressions, for integers of rank at most 1: numbers, expressions of dimensions, or
   * {@link ElementSymbols} where only the data tells.
   */
  public Optional<List<DimExpr>> symbolic(Value value) {
    return known(value).or(() -> ElementSymbols.of(value, type(value)));
  }

  private Optional<List<DimExpr>> known(Value value) {
    List<DimExpr> cached = symbolic.get(value);
    if (cached != null) {
      return Optional.of(cached);
    }
    Optional<Tensor> tensor = tensor(value, MAX_KNOWN);
    if (tensor.isPresent()) {
      return expressions(tensor.get());
    }
    return outer.flatMap(o -> o.known(value));
  }

  /** The elements of a value, if they are known and there are at most {@code maxElements}. */
  public Optional<Tensor> tensor(Value value, long maxElements) {
    Tensor cached = known.get(value);
    if (cached != null) {
      return cached.size() <= maxElements ? Optional.of(cached) : Optional.empty();
    }
    Optional<Constant> constant = graph.constant(value);
    if (constant.isPresent()) {
      return constant.filter(c -> c.elements() <= maxElements).map(Constant::load);
    }
    return outer.flatMap(o -> o.tensor(value, maxElements));
  }

  /** The elements of a value that inference worked out. */
  public Optional<Tensor> knownAtCompileTime(Value value) {
    return Optional.ofNullable(known.get(value));
  }

  /** What {@link OpContext#abbreviate} made symbols for; each uses earlier ones only. */
  public Map<String, DimExpr> definitions() {
    return java.util.Collections.unmodifiableMap(definitions);
  }

  /** The node as its operator sees it. */
  public OpContext context(Node node) {
    return new Context(node, Optional.empty());
  }

  /**
   * The same, and who hears of its demands ({@link OpContext#demand}) that types do not decide:
   * {@code demands} gets a size and the least that it must be.
   */
  public OpContext context(Node node, OpContext.Demands demands) {
    return new Context(node, Optional.of(demands));
  }

  Map<Value, ValueType> types() {
    return types;
  }

  void setType(Value value, ValueType type) {
    types.put(value, type);
  }

  void setSymbolic(Value value, List<DimExpr> elements) {
    symbolic.put(value, List.copyOf(elements));
  }

  void setKnown(Value value, Tensor tensor) {
    known.put(value, tensor);
  }

  /** The elements of an integer tensor of rank at most 1 as constant expressions. */
  static Optional<List<DimExpr>> expressions(Tensor tensor) {
    if (tensor.rank() > 1 || !tensor.dtype().isInteger() || tensor.dtype() == DType.U64) {
      return Optional.empty();
    }
    List<DimExpr> elements = new ArrayList<>();
    for (int i = 0; i < tensor.size(); i++) {
      elements.add(DimExpr.of(tensor.getLong(i)));
    }
    return Optional.of(elements);
  }

  private final class Context extends OpContext {
    private final Optional<OpContext.Demands> demands;

    Context(Node node, Optional<OpContext.Demands> demands) {
      super(graph, node);
      this.demands = demands;
    }

    @Override
    protected boolean hearsDemands() {
      return demands.isPresent();
    }

    @Override
    public void demand(DimExpr size, DimExpr least, String fault) {
      boolean known = size.isConst() && least.isConst() && size.constValue() >= least.constValue();
      if (!known && !size.equals(least)) {
        demands.ifPresent(hearer -> hearer.accept(size, least, fault));
      }
    }

    @Override
    protected ValueType typeOf(Value value) {
      return type(value);
    }

    @Override
    public DimExpr abbreviate(String tag, DimExpr expression) {
      boolean fromData =
          expression.toString().length() > SHORT
              && expression.symbols().stream()
                  .anyMatch(s -> ElementSymbols.parse(s).isPresent() || definitions.containsKey(s));
      if (!fromData) {
        return expression;
      }
      String symbol = ElementSymbols.derived(node().id(), tag);
      definitions.put(symbol, expression);
      return DimExpr.symbol(symbol);
    }

    @Override
    public Optional<Tensor> constant(int index) {
      return tensor(node().input(index), Long.MAX_VALUE);
    }

    @Override
    public Optional<List<DimExpr>> symbolic(int index) {
      return hasInput(index) ? Scope.this.symbolic(node().input(index)) : Optional.empty();
    }
  }
}
