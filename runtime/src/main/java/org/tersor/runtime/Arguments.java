package org.tersor.runtime;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.tersor.runtime.Executable.Port;

/** Checks of the arguments of a call before anything runs. */
public final class Arguments {
  private Arguments() {}

  /** The tensors in the order of the ports, after checking names, types and shapes. */
  public static List<Tensor> inputs(List<Port> ports, Map<String, Tensor> given) {
    List<Tensor> tensors = named(ports, given);
    bind(ports, tensors);
    return tensors;
  }

  /** As {@link #inputs}, before shapes are checked. */
  public static List<Tensor> named(List<Port> ports, Map<String, Tensor> given) {
    List<String> names = ports.stream().map(Port::name).toList();
    for (String name : given.keySet()) {
      if (!names.contains(name)) {
        throw new TersorException(
            "TSR-0702", "the model has no input '" + name + "'; its inputs are " + names);
      }
    }
    List<Tensor> tensors = new ArrayList<>();
    for (Port port : ports) {
      Tensor tensor = given.get(port.name());
      if (tensor == null) {
        throw new TersorException(
            "TSR-0701", "input '" + port.name() + "' " + text(port) + " is not given");
      }
      tensors.add(tensor);
    }
    return tensors;
  }

  /** As {@link #inputs}, where inputs may be something else than tensors. */
  public static List<Datum> data(List<Port> ports, Map<String, ? extends Datum> given) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    List<Port> tensorPorts = new ArrayList<>();
    for (Port port : ports) {
      Datum datum = given.get(port.name());
      if (port.isTensor()) {
        tensorPorts.add(port);
      } else if (datum == null || !fits(datum, port, 0)) {
        throw new TersorException(
            datum == null ? "TSR-0701" : "TSR-0703",
            "input '"
                + port.name()
                + "' must be "
                + port.wraps()
                + " of "
                + port.dtype().text()
                + "; got "
                + datum);
      }
    }
    given.forEach((name, datum) -> {
      if (ports.stream().noneMatch(p -> p.name().equals(name) && !p.isTensor())) {
        tensors.put(name, datum.tensor("input '" + name + "'"));
      }
    });
    Iterator<Tensor> checked = inputs(tensorPorts, tensors).iterator();
    List<Datum> data = new ArrayList<>();
    for (Port port : ports) {
      data.add(port.isTensor() ? checked.next() : given.get(port.name()));
    }
    return data;
  }

  private static boolean fits(Datum datum, Port port, int depth) {
    if (depth == port.wraps().size()) {
      return datum instanceof Tensor tensor && tensor.dtype() == port.dtype();
    }
    return switch (port.wraps().get(depth)) {
      case SEQUENCE ->
          datum instanceof Datum.Sequence s
              && s.elements().stream().allMatch(e -> fits(e, port, depth + 1));
      // What is given directly is as good as an optional that holds it.
      case OPTIONAL ->
          datum instanceof Datum.Maybe m
              ? m.value().isEmpty() || fits(m.value().get(), port, depth + 1)
              : fits(datum, port, depth + 1);
      case INTEGER_MAP ->
          datum instanceof Datum.Dictionary d
              && d.keys().dtype() == DType.I64
              && d.values().dtype() == port.dtype();
      case STRING_MAP ->
          datum instanceof Datum.Dictionary d
              && d.keys().dtype() == DType.STRING
              && d.values().dtype() == port.dtype();
    };
  }

  /**
   * Values of the symbolic dimensions; a diagnostic if a type or shape does not fit or a symbol
   * would have two values.
   */
  public static Map<String, Long> bind(List<Port> ports, List<Tensor> tensors) {
    return bind(ports, tensors, Map.of());
  }

  /**
   * As {@link #bind(List, List)}.
   *
   * @param known values of symbols that are bound already
   */
  public static Map<String, Long> bind(
      List<Port> ports, List<Tensor> tensors, Map<String, Long> known) {
    Map<String, Long> dims = new TreeMap<>(known);
    for (int i = 0; i < ports.size(); i++) {
      Port port = ports.get(i);
      Tensor tensor = tensors.get(i);
      if (tensor.dtype() != port.dtype()) {
        throw new TersorException(
            "TSR-0703", "input '" + port.name() + "' must be " + text(port) + "; got " + tensor);
      }
      if (tensor.rank() != port.shape().size()) {
        throw mismatch(port, tensor, "the number of dimensions differs");
      }
      for (int d = 0; d < tensor.rank(); d++) {
        Optional<String> symbol = symbol(port.shape().get(d));
        if (symbol.isPresent()) {
          Long other = dims.putIfAbsent(symbol.get(), tensor.shape()[d]);
          if (other != null && other != tensor.shape()[d]) {
            throw mismatch(
                port, tensor, "dimension " + symbol.get() + " is " + other + " elsewhere");
          }
        }
      }
    }
    for (int i = 0; i < ports.size(); i++) {
      for (int d = 0; d < tensors.get(i).rank(); d++) {
        DimExpr dim = ports.get(i).shape().get(d);
        if (dims.keySet().containsAll(dim.symbols())
            && dim.eval(dims) != tensors.get(i).shape()[d]) {
          throw mismatch(
              ports.get(i), tensors.get(i), "dimension " + d + " must be " + dim.eval(dims));
        }
      }
    }
    return dims;
  }

  /**
   * Tensors for the results, in the order of the ports: the caller's where there are some, after
   * checking names, types and shapes, else new ones.
   *
   * @param dims values of the symbols
   */
  public static List<Tensor> outputs(
      List<Port> ports, Map<String, Tensor> given, Map<String, Long> dims) {
    List<Tensor> results = new ArrayList<>();
    for (Port port : ports) {
      long[] shape;
      try {
        shape = port.shape().stream().mapToLong(dim -> dim.eval(dims)).toArray();
        Tensor.count(shape);
      } catch (ArithmeticException e) {
        throw new TersorException(
            "TSR-0704",
            "output '"
                + port.name()
                + "' "
                + port.shape()
                + " has no size at dimensions "
                + dims
                + ": "
                + e.getMessage());
      }
      Tensor target = given.get(port.name());
      if (target != null
          && (target.dtype() != port.dtype() || !Arrays.equals(target.shape(), shape))) {
        throw new TersorException(
            "TSR-0704",
            "output '"
                + port.name()
                + "' is "
                + port.dtype().text()
                + Arrays.toString(shape)
                + "; a tensor "
                + target
                + " was given for it");
      }
      results.add(target != null ? target : Tensor.zeros(port.dtype(), shape));
    }
    List<String> names = ports.stream().map(Port::name).toList();
    for (String name : given.keySet()) {
      if (!names.contains(name)) {
        throw new TersorException(
            "TSR-0702", "the model has no output '" + name + "'; its outputs are " + names);
      }
    }
    return results;
  }

  /** Tensors by the names of their ports, in that order. */
  public static Map<String, Tensor> byName(List<Port> ports, List<Tensor> tensors) {
    Map<String, Tensor> named = new LinkedHashMap<>();
    for (int i = 0; i < tensors.size(); i++) {
      named.put(ports.get(i).name(), tensors.get(i));
    }
    return named;
  }

  /** Copies results into tensors of the caller where there are some, else passes them on. */
  @SuppressWarnings("ReferenceEquality") // whether it is there already
  public static Tensor deliver(Port port, Tensor result, Optional<Tensor> target) {
    if (target.isEmpty()) {
      return result;
    }
    Tensor out = target.get();
    if (out.dtype() != result.dtype() || !Arrays.equals(out.shape(), result.shape())) {
      throw new TersorException(
          "TSR-0704",
          "output '" + port.name() + "' is " + result + "; a tensor " + out + " was given for it");
    }
    if (result.array() != out.array()) {
      System.arraycopy(
          result.array(), 0, out.array(), 0, java.lang.reflect.Array.getLength(out.array()));
    }
    return out;
  }

  /** Whether tensors have the array of another. */
  @SuppressWarnings("ReferenceEquality")
  static boolean isAmong(Tensor tensor, Collection<Tensor> tensors) {
    for (Tensor other : tensors) {
      if (other.array() == tensor.array()) {
        return true;
      }
    }
    return false;
  }

  private static Optional<String> symbol(DimExpr dim) {
    return dim.isSymbol() ? Optional.of(dim.toString()) : Optional.empty();
  }

  private static TersorException mismatch(Port port, Tensor tensor, String why) {
    return new TersorException(
        "TSR-0704",
        "input '" + port.name() + "' must be " + text(port) + "; got " + tensor + ": " + why);
  }

  private static String text(Port port) {
    return port.dtype().text() + port.shape();
  }
}
