package org.tersor.passes.eval;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Executable.Wrap;
import org.tersor.runtime.TersorException;

/** Inputs and outputs of a typed graph as an executable shows them. */
public final class Ports {
  private Ports() {}

  public static List<Port> inputs(Graph graph) {
    return of(graph, graph.inputs(), "input");
  }

  public static List<Port> outputs(Graph graph) {
    return of(graph, graph.outputs(), "output");
  }

  private static List<Port> of(Graph graph, List<Value> values, String what) {
    List<Port> ports = new ArrayList<>();
    for (Value value : values) {
      ports.add(of(value.name(), graph.type(value), what, symbols(graph)));
    }
    return List.copyOf(ports);
  }

  /** Dimensions of inputs that are not numbers. */
  private static Set<String> symbols(Graph graph) {
    Set<String> symbols = new TreeSet<>();
    for (Value input : graph.inputs()) {
      if (graph.type(input) instanceof ValueType.TensorType tensor && tensor.isRanked()) {
        tensor.dims().forEach(dim -> symbols.addAll(dim.symbols()));
      }
    }
    return symbols;
  }

  /** The port of a value of that type. */
  public static Port of(String name, ValueType type, String what) {
    return of(name, type, what, Set.of());
  }

  /**
   * The port of a value of that type. Of what is in a sequence, optional or map only the element
   * type is kept.
   *
   * @param symbols dimensions that may decide the rank, for the diagnostic
   */
  private static Port of(String name, ValueType type, String what, Set<String> symbols) {
    List<Wrap> wraps = new ArrayList<>();
    ValueType inner = type;
    while (!(inner instanceof ValueType.TensorType)) {
      inner =
          switch (inner) {
            case ValueType.SequenceType s -> wrap(wraps, Wrap.SEQUENCE, s.element());
            case ValueType.OptionalType o -> wrap(wraps, Wrap.OPTIONAL, o.element());
            case ValueType.MapType m ->
                wrap(
                    wraps, m.key() == DType.STRING ? Wrap.STRING_MAP : Wrap.INTEGER_MAP, m.value());
            case ValueType.TensorType t -> t;
            case ValueType.UnknownType u ->
                throw new TersorException(
                    "TSR-0302", "the type of " + what + " '" + name + "' is not known: " + type);
          };
    }
    ValueType.TensorType tensor = inner.tensor();
    if (!wraps.isEmpty()) {
      return new Port(name, tensor.dtype(), List.of(), wraps);
    }
    if (!tensor.isRanked()) {
      throw new TersorException(
          "TSR-0303",
          "the rank of "
              + what
              + " '"
              + name
              + "' is not known"
              + (symbols.isEmpty()
                  ? "; the file must declare its dimensions"
                  : ": it may depend on the dimensions "
                      + symbols
                      + "; give them values (--dim "
                      + symbols.iterator().next()
                      + "=N), or the file must declare those of the "
                      + what));
    }
    return new Port(name, tensor.dtype(), tensor.dims());
  }

  private static ValueType wrap(List<Wrap> wraps, Wrap wrap, ValueType element) {
    wraps.add(wrap);
    return element;
  }
}
