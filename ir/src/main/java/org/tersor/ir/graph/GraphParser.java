package org.tersor.ir.graph;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Supplier;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Reads the text form of {@link GraphPrinter}. Errors are diagnostics TSR-105x that begin with
 * line:column.
 */
public final class GraphParser {
  private static final int MAX_DEPTH = 100;
  private static final int MAX_RANK = 64;
  private static final int MAX_INLINE = 1 << 20;

  private final TextScanner in;
  private final Function<String, Optional<Constant>> resolver;
  private final Map<Integer, Value> visible = new HashMap<>();
  private final Set<Integer> definedValues = new HashSet<>();
  private final Set<Integer> definedNodes = new HashSet<>();
  private int depth;

  private GraphParser(String text, Function<String, Optional<Constant>> resolver) {
    this.in = new TextScanner(text);
    this.resolver = resolver;
  }

  /** Reads a text that names no constants. */
  public static Graph parse(String text) {
    return parse(text, reference -> Optional.empty());
  }

  /**
   * @param resolver finds constants by their reference, {@code sha256:...}
   */
  public static Graph parse(String text, Function<String, Optional<Constant>> resolver) {
    GraphParser parser = new GraphParser(text, resolver);
    Graph graph = parser.graph();
    if (parser.in.peek() != 0) {
      throw parser.in.error("TSR-1050", "the text goes on after the graph");
    }
    return graph;
  }

  private Graph graph() {
    in.expect("graph");
    return graphBody();
  }

  private Graph graphBody() {
    if (++depth > MAX_DEPTH) {
      throw in.error("TSR-1051", "graphs are more than " + MAX_DEPTH + " deep inside each other");
    }
    String name = in.string();
    in.expect("{");
    Map<String, Integer> opsets = new LinkedHashMap<>();
    Map<String, String> metadata = new LinkedHashMap<>();
    List<Value> inputs = new ArrayList<>();
    List<Value> outputs = new ArrayList<>();
    List<Node> nodes = new ArrayList<>();
    Map<Value, Constant> constants = new LinkedHashMap<>();
    Map<Value, ValueType> types = new LinkedHashMap<>();
    while (!in.accept("}")) {
      if (in.accept("opset")) {
        opsets.put(in.string(), in.smallInteger());
      } else if (in.accept("meta")) {
        metadata.put(in.string(), in.string());
      } else if (in.accept("input")) {
        Value input = definition(types);
        inputs.add(input);
        show(input);
      } else if (in.accept("const")) {
        Value value = newValue();
        in.expect(":");
        Constant constant = constant();
        constants.put(value, constant);
        types.put(value, constant.type());
        show(value);
      } else if (in.accept("output")) {
        outputs.add(use());
      } else {
        nodes.add(node(types));
      }
    }
    // Bodies do not show their values to what is around them.
    types.keySet().forEach(value -> visible.remove(value.id()));
    depth--;
    return new Graph(name, inputs, outputs, nodes, constants, types, opsets, metadata);
  }

  private void show(Value value) {
    visible.put(value.id(), value);
  }

  private Value newValue() {
    in.expect("%");
    int at = in.position();
    int id = in.smallInteger();
    if (!definedValues.add(id)) {
      throw in.errorAt(at, "TSR-1053", "%" + id + " is defined twice");
    }
    return new Value(id, in.peek() == '"' ? in.string() : "");
  }

  private Value definition(Map<Value, ValueType> types) {
    Value value = newValue();
    in.expect(":");
    types.put(value, type(0));
    return value;
  }

  private Value use() {
    in.expect("%");
    int at = in.position();
    int id = in.smallInteger();
    Value value = visible.get(id);
    if (value == null) {
      throw in.errorAt(at, "TSR-1052", "%" + id + " is not defined before it is used");
    }
    return value;
  }

  private Node node(Map<Value, ValueType> types) {
    List<Value> outputs = new ArrayList<>();
    if (in.peek() != '=') {
      do {
        outputs.add(in.accept("-") ? Value.NONE : definition(types));
      } while (in.accept(","));
    }
    in.expect("=");
    OpKey op = op();
    in.expect("(");
    List<Value> inputs = list(")", () -> in.accept("-") ? Value.NONE : use());
    in.expect("#");
    int at = in.position();
    int id = in.smallInteger();
    if (!definedNodes.add(id)) {
      throw in.errorAt(at, "TSR-1053", "node #" + id + " is defined twice");
    }
    String name = in.peek() == '"' ? in.string() : "";
    in.expect("{");
    Map<String, Attribute> attributes = new LinkedHashMap<>();
    if (!in.accept("}")) {
      do {
        int start = in.position();
        String key = in.identifier();
        in.expect("=");
        if (attributes.put(key, attribute()) != null) {
          throw in.errorAt(
              start, "TSR-1053", "attribute '" + TextScanner.shortened(key) + "' is given twice");
        }
      } while (in.accept(","));
      in.expect("}");
    }
    outputs.stream().filter(Value::isPresent).forEach(this::show);
    return new Node(id, name, op, inputs, outputs, attributes);
  }

  private <T> List<T> list(String end, Supplier<T> element) {
    List<T> elements = new ArrayList<>();
    if (!in.accept(end)) {
      do {
        elements.add(element.get());
      } while (in.accept(","));
      in.expect(end);
    }
    return List.copyOf(elements);
  }

  private OpKey op() {
    StringBuilder first = new StringBuilder(in.identifier());
    while (in.accept(".")) {
      first.append('.').append(in.word());
    }
    String domain = "";
    String type = first.toString();
    if (in.accept("::")) {
      domain = type;
      type = in.identifier();
    }
    in.expect("-");
    return new OpKey(domain, type, in.smallInteger());
  }

  private Attribute attribute() {
    if (in.peek() == '"') {
      return new Attribute.StringAttr(in.string());
    }
    if (in.accept("[")) {
      return new Attribute.IntsAttr(list("]", in::integer));
    }
    return switch (in.peek()) {
      case 't', 'g', 'f', 's' -> named();
      default -> number();
    };
  }

  private Attribute named() {
    if (in.accept("graph")) {
      return new Attribute.GraphAttr(graphBody());
    } else if (in.accept("tensor")) {
      return new Attribute.TensorAttr(constant());
    } else if (in.accept("type")) {
      return new Attribute.TypeAttr(type(0));
    } else if (in.accept("floats")) {
      in.expect("[");
      return new Attribute.FloatsAttr(list("]", () -> floatLiteral(in.number())));
    } else if (in.accept("strings")) {
      in.expect("[");
      return new Attribute.StringsAttr(list("]", in::string));
    } else if (in.accept("tensors")) {
      in.expect("[");
      return new Attribute.TensorsAttr(list("]", this::constant));
    } else if (in.accept("types")) {
      in.expect("[");
      return new Attribute.TypesAttr(list("]", () -> type(0)));
    } else if (in.accept("graphs")) {
      in.expect("[");
      return new Attribute.GraphsAttr(list("]", this::graph));
    }
    throw in.error("TSR-1050", "an attribute value is expected");
  }

  private Attribute number() {
    int at = in.position();
    String literal = in.number();
    if (literal.endsWith("f")) {
      return new Attribute.FloatAttr(floatLiteral(literal));
    }
    try {
      return new Attribute.IntAttr(Long.parseLong(literal));
    } catch (NumberFormatException e) {
      throw in.errorAt(
          at, "TSR-1050", "a number is expected, not '" + TextScanner.shortened(literal) + "'");
    }
  }

  private float floatLiteral(String literal) {
    try {
      if (literal.endsWith("f")) {
        return GraphText.parseFloat(literal.substring(0, literal.length() - 1));
      }
    } catch (NumberFormatException e) {
      // The same message as without the f.
    }
    throw in.error(
        "TSR-1050",
        "a float such as 0.5f is expected, not '" + TextScanner.shortened(literal) + "'");
  }

  private ValueType type(int nesting) {
    int at = in.position();
    if (nesting > MAX_RANK) {
      throw in.error("TSR-1051", "types are nested too deep");
    }
    if (in.accept("?")) {
      return ValueType.UNKNOWN;
    }
    String word = in.word();
    return switch (word) {
      case "seq", "optional" -> {
        in.expect("(");
        ValueType element = type(nesting + 1);
        in.expect(")");
        yield word.equals("seq")
            ? new ValueType.SequenceType(element)
            : new ValueType.OptionalType(element);
      }
      case "map" -> {
        in.expect("(");
        DType key = dtype(in.word(), at);
        in.expect(",");
        ValueType value = type(nesting + 1);
        in.expect(")");
        yield new ValueType.MapType(key, value);
      }
      default -> tensorType(dtype(word, at));
    };
  }

  private DType dtype(String word, int at) {
    try {
      return DType.of(word);
    } catch (IllegalArgumentException e) {
      throw in.errorAt(
          at, "TSR-1050", "unknown element type '" + TextScanner.shortened(word) + "'");
    }
  }

  private ValueType.TensorType tensorType(DType dtype) {
    in.expect("[");
    if (in.accept("*")) {
      in.expect("]");
      return ValueType.TensorType.unranked(dtype);
    }
    int at = in.position();
    List<DimExpr> dims =
        list(
            "]",
            () -> {
              int start = in.position();
              try {
                return DimExpr.parse(in.until(",]", MAX_RANK));
              } catch (IllegalArgumentException | ArithmeticException e) {
                throw in.errorAt(
                    start, "TSR-1050", TextScanner.shortened(String.valueOf(e.getMessage())));
              }
            });
    if (dims.size() > MAX_RANK) {
      throw in.errorAt(
          at, "TSR-1051", "rank " + dims.size() + "; at most " + MAX_RANK + " is supported");
    }
    return ValueType.TensorType.of(dtype, dims);
  }

  private Constant constant() {
    int at = in.position();
    ValueType.TensorType type = tensorType(dtype(in.word(), at));
    if (!type.isStatic()) {
      throw in.errorAt(at, "TSR-1050", "the shape of a constant must be constant");
    }
    if (in.accept("@")) {
      String reference = in.word();
      in.expect(":");
      reference = reference + ":" + in.word();
      Optional<Constant> constant = resolver.apply(reference);
      if (constant.isEmpty() || !constant.get().type().equals(type)) {
        throw in.errorAt(
            at,
            "TSR-1054",
            "there is no constant of type " + type + " with the content " + reference);
      }
      return constant.get();
    }
    in.expect("[");
    List<String> literals = list("]", () -> in.peek() == '"' ? in.string() : in.number());
    long slots;
    try {
      slots = Math.multiplyExact(Tensor.count(type.staticShape()), (long) type.dtype().slots());
    } catch (ArithmeticException e) {
      throw in.errorAt(at, "TSR-1050", "the size of " + type + " is negative or beyond 64 bits");
    }
    if (slots != literals.size() || slots > MAX_INLINE) {
      throw in.errorAt(
          at, "TSR-1050", type + " needs " + slots + " numbers, there are " + literals.size());
    }
    Tensor tensor = Tensor.zeros(type.dtype(), type.staticShape());
    for (int i = 0; i < literals.size(); i++) {
      String literal = literals.get(i);
      if (GraphText.store(tensor, i, literal).isEmpty()) {
        throw in.errorAt(
            at,
            "TSR-1050",
            "'"
                + TextScanner.shortened(literal)
                + "' is no element of type "
                + type.dtype().text());
      }
    }
    return Constant.of(tensor);
  }
}
