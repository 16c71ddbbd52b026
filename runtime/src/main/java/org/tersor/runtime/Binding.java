package org.tersor.runtime;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Checks the tensors of a call against the ports of a model and reads the symbols off their shapes.
 */
final class Binding {
  private final List<Executable.Port> inputs;
  private final List<Executable.Port> outputs;

  Binding(List<Executable.Port> inputs, List<Executable.Port> outputs) {
    this.inputs = inputs;
    this.outputs = outputs;
  }

  /** Values of the symbols. */
  Map<String, Long> bind(Map<String, Tensor> given) {
    return bind(given, Map.of());
  }

  /**
   * @param bound values of symbols that are known already
   */
  Map<String, Long> bind(Map<String, Tensor> given, Map<String, Long> bound) {
    for (Executable.Port port : inputs) {
      Tensor tensor = given.get(port.name());
      if (tensor == null) {
        throw new TersorException(
            "TSR-0701",
            "input "
                + quoted(port)
                + " is missing; given: "
                + given.keySet()
                + ". Give a tensor for each of "
                + names(inputs));
      }
    }
    if (given.size() != inputs.size()) {
      List<String> known = names(inputs);
      for (String name : given.keySet()) {
        if (!known.contains(name)) {
          throw new TersorException(
              "TSR-0701", "the model has no input '" + name + "'; its inputs are " + known);
        }
      }
    }
    Map<String, Long> dims = new TreeMap<>(bound);
    Map<String, String> source = new LinkedHashMap<>();
    for (Executable.Port port : inputs) {
      Tensor tensor = given.get(port.name());
      if (tensor != null) {
        checkType("input", port, tensor);
        symbols(port, tensor, dims, source);
      }
    }
    for (Executable.Port port : inputs) {
      Tensor tensor = given.get(port.name());
      if (tensor != null) {
        long[] expected = shape(port, dims);
        if (!Arrays.equals(expected, tensor.shape())) {
          throw wrongShape(
              "input", port, tensor, Arrays.toString(expected) + " with " + describe(dims, source));
        }
      }
    }
    return dims;
  }

  private static void checkType(String what, Executable.Port port, Tensor tensor) {
    if (tensor.dtype() != port.dtype()) {
      throw new TersorException(
          "TSR-0702",
          what
              + " "
              + quoted(port)
              + " has element type "
              + tensor.dtype().text()
              + "; the model needs "
              + port.dtype().text());
    }
    if (tensor.rank() != port.shape().size()) {
      throw wrongShape(what, port, tensor, text(port.shape()));
    }
  }

  private static void symbols(
      Executable.Port port, Tensor tensor, Map<String, Long> dims, Map<String, String> source) {
    for (int i = 0; i < tensor.rank(); i++) {
      DimExpr dim = port.shape().get(i);
      long actual = tensor.shape()[i];
      if (dim.isConst()) {
        if (dim.constValue() != actual) {
          throw wrongShape("input", port, tensor, text(port.shape()));
        }
      } else if (dim.isSymbol()) {
        String symbol = dim.toString();
        Long known = dims.putIfAbsent(symbol, actual);
        if (known != null && known != actual) {
          throw wrongShape(
              "input",
              port,
              tensor,
              text(port.shape())
                  + " with "
                  + symbol
                  + " = "
                  + known
                  + " from "
                  + source.get(symbol));
        }
        source.putIfAbsent(symbol, "input " + quoted(port));
      }
    }
  }

  private static String describe(Map<String, Long> dims, Map<String, String> source) {
    StringBuilder text = new StringBuilder();
    dims.forEach((name, value) ->
        text.append(text.isEmpty() ? "" : ", ")
            .append(
                name + " = " + value + " from " + source.getOrDefault(name, "an earlier value")));
    return text.toString();
  }

  /** The shape of a port. */
  static long[] shape(Executable.Port port, Map<String, Long> dims) {
    long[] shape = new long[port.shape().size()];
    for (int i = 0; i < shape.length; i++) {
      DimExpr dim = port.shape().get(i);
      try {
        shape[i] = dim.eval(dims);
      } catch (ArithmeticException e) {
        throw new TersorException(
            "TSR-0705", quoted(port) + ": dimension " + dim + " overflows for " + dims, e);
      } catch (IllegalArgumentException e) {
        throw new TersorException(
            "TSR-0706",
            quoted(port)
                + ": no input's shape gives a value to a symbol of dimension "
                + dim
                + " (known: "
                + dims
                + "); fix it when compiling",
            e);
      }
      if (shape[i] < 0) {
        throw new TersorException(
            "TSR-0703",
            quoted(port)
                + ": dimension "
                + dim
                + " is "
                + shape[i]
                + " for "
                + dims
                + "; use larger inputs");
      }
    }
    return shape;
  }

  /** Checks the tensors that the caller wants results in. */
  void checkOutputs(Map<String, Tensor> given, long[][] shapes) {
    for (int i = 0; i < outputs.size(); i++) {
      Executable.Port port = outputs.get(i);
      Tensor tensor = given.get(port.name());
      if (tensor != null) {
        checkType("output", port, tensor);
        if (!Arrays.equals(shapes[i], tensor.shape())) {
          throw wrongShape("output", port, tensor, Arrays.toString(shapes[i]));
        }
      }
    }
    for (String name : given.keySet()) {
      if (!names(outputs).contains(name)) {
        throw new TersorException(
            "TSR-0704",
            "the model has no output '" + name + "'; its outputs are " + names(outputs));
      }
    }
  }

  private static TersorException wrongShape(
      String what, Executable.Port port, Tensor tensor, String expected) {
    return new TersorException(
        "TSR-0703",
        what
            + " "
            + quoted(port)
            + " has shape "
            + Arrays.toString(tensor.shape())
            + "; the model needs "
            + expected);
  }

  private static String text(List<DimExpr> shape) {
    return shape.toString();
  }

  private static List<String> names(List<Executable.Port> ports) {
    return ports.stream().map(Executable.Port::name).toList();
  }

  private static String quoted(Executable.Port port) {
    return "'" + port.name() + "'";
  }
}
