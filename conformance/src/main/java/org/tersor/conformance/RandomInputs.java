package org.tersor.conformance;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Executable.Wrap;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Seeded random inputs: floats are normal with mean 0 and deviation 1, 8-bit integers cover their
 * type, booleans are fair coins, other integers stay within what the model does with them (indices
 * of Gather and OneHot, bounds of Slice, numbers that a scalar is compared with), else within 0..9.
 * Every input has a generator of its own, from the seed and its position.
 */
public final class RandomInputs {
  private static final Set<String> KEEPS_VALUES =
      Set.of(
          "Cast",
          "Identity",
          "Reshape",
          "Flatten",
          "Squeeze",
          "Unsqueeze",
          "Transpose",
          "Expand",
          "Concat",
          "Slice",
          "Gather",
          "Tile");

  private RandomInputs() {}

  /** Elements of a sequence or map that is drawn. */
  private static final int ELEMENTS = 3;

  /** What was drawn for one input. */
  public record Drawn(String name, Datum value, String from) {

    /** The value; a diagnostic if it is no tensor. */
    public Tensor tensor() {
      return value.tensor("input '" + name + "'");
    }
  }

  /**
   * Draws.
   *
   * @param graph the model with inferred types, to find bounds of indices
   * @param dims values of symbolic dimensions; others are 1
   */
  public static Map<String, Drawn> draw(
      Graph graph, List<Port> inputs, Map<String, Long> dims, long seed) {
    SeededRandom random = new SeededRandom(seed);
    Map<String, Drawn> drawn = new LinkedHashMap<>();
    for (Port port : inputs) {
      SeededRandom own = random.split();
      Optional<Value> value =
          graph.inputs().stream().filter(v -> v.name().equals(port.name())).findFirst();
      if (port.isTensor()) {
        Tensor tensor = Tensor.zeros(port.dtype(), shape(port, dims));
        Optional<long[]> bounds = value.flatMap(v -> bounds(graph, v, 0));
        List<Long> compared = value.map(v -> compared(graph, v)).orElse(List.of());
        String from =
            tensor.rank() == 0 && port.dtype().isInteger() && !compared.isEmpty()
                ? pick(tensor, compared, own)
                : fill(tensor, bounds, own);
        drawn.put(port.name(), new Drawn(port.name(), tensor, from));
      } else {
        ValueType type = value.map(graph::type).orElse(ValueType.UNKNOWN);
        drawn.put(
            port.name(),
            new Drawn(port.name(), wrapped(port, 0, type, dims, own), port.wraps().toString()));
      }
    }
    return drawn;
  }

  /** A value of what is inside of the first {@code depth} wraps of a port. */
  private static Datum wrapped(
      Port port, int depth, ValueType type, Map<String, Long> dims, SeededRandom random) {
    if (depth == port.wraps().size()) {
      List<DimExpr> shape =
          type instanceof TensorType t && t.isRanked() ? t.dims() : List.of(DimExpr.of(ELEMENTS));
      Tensor tensor =
          Tensor.zeros(port.dtype(), shape(new Port(port.name(), port.dtype(), shape), dims));
      fill(tensor, Optional.empty(), random);
      return tensor;
    }
    return switch (port.wraps().get(depth)) {
      case SEQUENCE -> {
        ValueType element =
            type instanceof ValueType.SequenceType s ? s.element() : ValueType.UNKNOWN;
        List<Datum> elements = new ArrayList<>();
        for (int i = 0; i < ELEMENTS; i++) {
          elements.add(wrapped(port, depth + 1, element, dims, random));
        }
        yield new Datum.Sequence(elements);
      }
      case OPTIONAL -> {
        ValueType element =
            type instanceof ValueType.OptionalType o ? o.element() : ValueType.UNKNOWN;
        yield new Datum.Maybe(Optional.of(wrapped(port, depth + 1, element, dims, random)));
      }
      case INTEGER_MAP, STRING_MAP -> {
        boolean named = port.wraps().get(depth) == Wrap.STRING_MAP;
        Tensor keys = Tensor.zeros(named ? DType.STRING : DType.I64, ELEMENTS);
        for (int i = 0; i < ELEMENTS; i++) {
          if (named) {
            keys.strings()[i] = "k" + i;
          } else {
            keys.setLong(i, i);
          }
        }
        Tensor values = Tensor.zeros(port.dtype(), ELEMENTS);
        fill(values, Optional.empty(), random);
        yield new Datum.Dictionary(keys, values);
      }
    };
  }

  /** The shape of an input with symbolic dimensions given, or 1. */
  public static long[] shape(Port port, Map<String, Long> dims) {
    Map<String, Long> values = new LinkedHashMap<>(dims);
    for (DimExpr dim : port.shape()) {
      dim.symbols().forEach(symbol -> values.putIfAbsent(symbol, 1L));
    }
    long[] shape = port.shape().stream().mapToLong(dim -> dim.eval(values)).toArray();
    if (Arrays.stream(shape).anyMatch(dim -> dim < 0)
        || Tensor.count(shape) > Integer.MAX_VALUE - 8) {
      throw new TersorException(
          "TSR-0805",
          "input '"
              + port.name()
              + "' would have the shape "
              + Arrays.toString(shape)
              + "; give other --dim");
    }
    return shape;
  }

  /** Values of all symbolic dimensions of inputs: those given, else 1. */
  public static Map<String, Long> symbols(List<Port> inputs, Map<String, Long> dims) {
    Map<String, Long> values = new LinkedHashMap<>(dims);
    for (Port port : inputs) {
      port.shape().forEach(dim -> dim.symbols().forEach(s -> values.putIfAbsent(s, 1L)));
    }
    return values;
  }

  private static String fill(Tensor tensor, Optional<long[]> bounds, SeededRandom random) {
    DType dtype = tensor.dtype();
    int n = tensor.size();
    if (dtype.isFloat() || dtype.isComplex()) {
      for (int i = 0; i < n; i++) {
        tensor.setDouble(i, random.nextGaussian());
      }
      return "N(0,1)";
    }
    if (dtype == DType.STRING) {
      for (int i = 0; i < n; i++) {
        tensor.strings()[i] = "t" + random.between(0, 9);
      }
      return "t0..t9";
    }
    long low = dtype.bits() <= 8 && dtype != DType.BOOL ? dtype.minValue() : 0;
    long high = dtype == DType.BOOL ? 1 : dtype.bits() <= 8 ? dtype.maxValue() : 9;
    if (bounds.isPresent() && dtype != DType.BOOL) {
      low = Math.max(dtype.minValue(), bounds.get()[0]);
      high = dtype.bits() < 64 ? Math.min(dtype.maxValue(), bounds.get()[1]) : bounds.get()[1];
    }
    for (int i = 0; i < n; i++) {
      tensor.setLong(i, random.between(low, high));
    }
    return low + ".." + high;
  }

  private static String pick(Tensor scalar, List<Long> values, SeededRandom random) {
    scalar.setLong(0, values.get((int) random.between(0, values.size() - 1)));
    return values.toString();
  }

  /** Numbers that a scalar is compared with for equality: it selects something by them. */
  private static List<Long> compared(Graph graph, Value value) {
    return graph.consumers(value).stream()
        .filter(node -> node.op().type().equals("Equal"))
        .flatMap(node -> node.inputs().stream())
        .flatMap(other -> graph.constant(other).stream())
        .filter(constant -> constant.elements() == 1 && constant.dtype().isInteger())
        .map(constant -> constant.load().getLong(0))
        .distinct()
        .toList();
  }

  /** The narrowest range that the uses of an integer value imply. */
  private static Optional<long[]> bounds(Graph graph, Value value, int depth) {
    Optional<long[]> found = Optional.empty();
    for (Node node : graph.consumers(value)) {
      for (int i = 0; i < node.inputs().size(); i++) {
        if (node.input(i).equals(value)) {
          Optional<long[]> here = bounds(graph, node, i, depth);
          if (here.isPresent()) {
            long[] b = here.get();
            found =
                Optional.of(
                    found
                        .map(f -> new long[] {Math.max(f[0], b[0]), Math.min(f[1], b[1])})
                        .orElse(b));
          }
        }
      }
    }
    return found.filter(f -> f[0] <= f[1]);
  }

  private static Optional<long[]> bounds(Graph graph, Node node, int index, int depth) {
    String type = node.op().type();
    boolean gather =
        type.equals("Gather") || type.equals("GatherElements") || type.equals("ScatterElements");
    if (index == 1 && gather) {
      long axis = node.attributes().get("axis") instanceof Attribute.IntAttr a ? a.value() : 0;
      return dim(graph, node.input(0), axis).map(dim -> new long[] {0, dim - 1});
    }
    if (index == 1 && type.equals("GatherND")) {
      return dim(graph, node.input(0), 0).map(dim -> new long[] {0, dim - 1});
    }
    if (index == 0 && type.equals("OneHot")) {
      return graph
          .constant(node.input(1))
          .map(depths -> new long[] {0, (long) depths.load().getDouble(0) - 1});
    }
    if ((index == 1 || index == 2) && type.equals("Slice")) {
      return dim(graph, node.input(0), 0).map(dim -> new long[] {index == 1 ? 0 : dim, dim});
    }
    boolean data = index == 0 || type.equals("Concat");
    if (data && depth < 32 && KEEPS_VALUES.contains(type) && node.output(0).isPresent()) {
      return bounds(graph, node.output(0), depth + 1);
    }
    return Optional.empty();
  }

  private static Optional<Long> dim(Graph graph, Value value, long axis) {
    if (graph.type(value) instanceof TensorType type && type.isRanked() && type.rank() > 0) {
      int at = (int) (axis < 0 ? axis + type.rank() : axis);
      if (at >= 0 && at < type.rank() && type.dims().get(at).isConst()) {
        return Optional.of(type.dims().get(at).constValue()).filter(d -> d > 0);
      }
    }
    return Optional.empty();
  }
}
