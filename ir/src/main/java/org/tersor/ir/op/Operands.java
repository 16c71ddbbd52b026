package org.tersor.ir.op;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.graph.ValueType;
import org.tersor.runtime.DType;

/** The check of a node's operands and attributes against its operator's schema. */
public final class Operands {
  private Operands() {}

  /** A diagnostic if an operand is missing, one too many or of a wrong type. */
  public static void check(OpSchema schema, OpContext c) {
    Map<String, DType> bound = new HashMap<>();
    List<OpSchema.Formal> formals = schema.inputs();
    for (int i = 0; i < Math.max(c.inputCount(), formals.size()); i++) {
      if (formals.isEmpty()
          || (i >= formals.size() && formals.getLast().arity() != OpSchema.Arity.VARIADIC)) {
        throw c.error("TSR-0301", "input " + i + " is one too many");
      }
      OpSchema.Formal formal = formals.get(Math.min(i, formals.size() - 1));
      if (c.hasInput(i)) {
        checkType(schema, c, i, formal, bound);
      } else if (formal.arity() == OpSchema.Arity.SINGLE) {
        throw c.error("TSR-0301", "input " + i + " (" + formal.name() + ") is missing");
      }
    }
    schema
        .attributes()
        .forEach((name, spec) -> {
          if (spec.required() && !c.has(name)) {
            throw c.error("TSR-0304", "attribute '" + name + "' is missing");
          }
        });
  }

  private static void checkType(
      OpSchema schema, OpContext c, int input, OpSchema.Formal formal, Map<String, DType> bound) {
    if (formal.type().equals("*") || c.inputType(input) instanceof ValueType.UnknownType) {
      return;
    }
    List<String> alternatives = Arrays.asList(formal.type().split("\\|"));
    for (String alternative : alternatives) {
      Map<String, DType> tried = new HashMap<>(bound);
      if (fits(schema, alternative.strip(), c.inputType(input), tried)) {
        bound.putAll(tried);
        return;
      }
    }
    String name = "input " + input + " (" + formal.name() + ")";
    if (alternatives.size() > 1 || !(c.inputType(input) instanceof ValueType.TensorType)) {
      throw c.error("TSR-0302", name + " must be " + formal.type() + ", not " + c.inputType(input));
    }
    DType dtype = c.dtype(input);
    DType other = bound.get(formal.type());
    throw c.error(
        "TSR-0302",
        other == null
            ? name + " cannot be of type " + dtype.text()
            : name + " must be of type " + other.text() + ", not " + dtype.text());
  }

  /** Binds the type variables of {@code pattern}; false if the type is another one. */
  private static boolean fits(
      OpSchema schema, String pattern, ValueType type, Map<String, DType> bound) {
    return switch (type) {
      case ValueType.UnknownType _ -> true;
      case ValueType.TensorType(DType dtype, var _) -> fits(schema, pattern, dtype, bound);
      case ValueType.SequenceType(ValueType element) ->
          pattern.startsWith("seq(") && fits(schema, inside(pattern), element, bound);
      case ValueType.OptionalType(ValueType element) ->
          pattern.startsWith("optional(") && fits(schema, inside(pattern), element, bound);
      case ValueType.MapType(DType key, ValueType value) -> {
        if (!pattern.startsWith("map(")) {
          yield false;
        }
        String[] parts = inside(pattern).split(",", 2);
        yield fits(schema, parts[0].strip(), key, bound)
            && fits(schema, parts[1].strip(), value, bound);
      }
    };
  }

  private static boolean fits(
      OpSchema schema, String variable, DType dtype, Map<String, DType> bound) {
    if (variable.contains("(")) {
      return false;
    }
    Set<DType> allowed = schema.typeVariables().get(variable);
    if (allowed == null) {
      return true;
    }
    DType other = bound.putIfAbsent(variable, dtype);
    return allowed.contains(dtype) && (other == null || other == dtype);
  }

  private static String inside(String pattern) {
    return pattern.substring(pattern.indexOf('(') + 1, pattern.lastIndexOf(')'));
  }
}
