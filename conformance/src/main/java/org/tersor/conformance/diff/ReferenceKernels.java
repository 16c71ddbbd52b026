package org.tersor.conformance.diff;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.tersor.conformance.Reference;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Which nodes the reference has code for, found by asking it to load models of one node. The answer
 * depends on operator, version and element types alone, so that a seed gives the same graph
 * whatever was drawn before.
 */
final class ReferenceKernels implements KernelOracle {
  /** First version whose Cast names its type by a number. */
  private static final int FIRST_CAST = 6;

  private final Compiler compiler;
  private final Reference reference;
  private final Path file;
  private final Map<String, Route> known = new HashMap<>();

  /**
   * @param file where models may be written
   */
  ReferenceKernels(Compiler compiler, Reference reference, Path file) {
    this.compiler = compiler;
    this.reference = reference;
    this.file = file;
  }

  /** Whether a message says that there is no code for these types or this version. */
  static boolean lacks(String message) {
    return message.contains("NOT_IMPLEMENTED")
        || message.contains("Could not find an implementation")
        || message.contains("Type Error")
        || message.contains("is not a registered function")
        || message.contains("cannot read values of type")
        || message.contains("data type is not supported with")
        || message.contains("constant_of_shape_base.h")
        // It widens float16 with a Cast that its own checker refuses before opset 6.
        || message.contains("InsertedPrecisionFreeCast")
        // It widens operands of float16, but not the attributes that must have their type.
        || message.contains("Input type is 1 and attribute type is 10");
  }

  /** Operator, version and types: what decides whether a runtime has a kernel. */
  private String signature(Graph alone, Node node, Map<Value, Tensor> values) {
    int since =
        compiler.registry().operators().get(node).schema().versions().stream()
            .filter(v -> v <= node.op().version())
            .max(Integer::compare)
            .orElse(0);
    StringBuilder text =
        new StringBuilder(node.op().domain() + ' ' + node.op().type() + ' ' + since);
    for (Value value : Stream.concat(node.inputs().stream(), node.outputs().stream()).toList()) {
      Tensor tensor = values.get(value);
      text.append(' ').append(tensor == null ? "-" : tensor.dtype().text());
      if (tensor != null && needsCast(tensor.dtype())) {
        // Whether Cast knows the type depends on its own version.
        text.append('@').append(alone.opset(""));
      }
    }
    return text.toString();
  }

  private static boolean needsCast(DType type) {
    return Carriers.carrier(type) != type || Carriers.wider(type) != type;
  }

  @Override
  public Route route(Graph alone, Map<Value, Tensor> values, boolean exact) {
    Node node = alone.nodes().getFirst();
    String signature = signature(alone, node, values);
    Route found = known.get(signature);
    if (found == null) {
      found = asked(alone, node, values, exact);
      known.put(signature, found);
    }
    return found;
  }

  private Route asked(Graph alone, Node node, Map<Value, Tensor> values, boolean exact) {
    Map<Value, DType> types = new LinkedHashMap<>();
    values.forEach((value, tensor) -> types.put(value, tensor.dtype()));
    boolean casts = alone.opset("") >= FIRST_CAST;
    if (!casts && types.values().stream().anyMatch(t -> Carriers.carrier(t) != t)) {
      return Route.NONE;
    }
    if (loads(Carriers.copy(alone, types, Set.of()))) {
      return Route.DIRECT;
    }
    boolean narrow = false;
    for (Value input : node.inputs()) {
      DType type = types.get(input);
      if (type != null && Carriers.wider(type) != type) {
        narrow = true;
        // Integers wrap around in the narrow type only.
        if (!type.isFloat() && !exact) {
          return Route.NONE;
        }
      }
    }
    return narrow && casts && loads(Carriers.copy(alone, types, Set.of(node.name())))
        ? Route.WIDENED
        : Route.NONE;
  }

  private boolean loads(Graph copy) {
    compiler.write(copy, file, Map.of());
    try (Reference.Session session =
        reference.open(file, new Reference.Options(Reference.Optimization.NONE, 1))) {
      return !session.outputs().isEmpty();
    } catch (TersorException e) {
      return !lacks(String.valueOf(e.getMessage()));
    }
  }
}
