package org.tersor.ir.op;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tersor.runtime.DType;

/**
 * What the specification says about an operator: the facts that the checker, the documentation and
 * the random graph generator read.
 *
 * @param domain "" for ai.onnx
 * @param versions since-versions that this definition covers, ascending
 * @param inputs formal inputs; the last may be variadic
 * @param outputs formal outputs; the last may be variadic
 * @param attributes by name
 * @param typeVariables allowed element types of each type variable
 * @param sample what valid operands and attributes look like, for whoever makes up nodes; empty if
 *     nobody said it. Clauses separated by semicolons, applied in order:
 *     <ul>
 *       <li>{@code X[n c d*1-3]}: the shape of input X. {@code n} is a dimension and {@code d*} a
 *           list of them, the same wherever they occur; {@code ^n} differs from place to place,
 *           {@code c~} may be 1 and {@code d*~} be shorter or have ones (broadcasting), {@code
 *           group.c} is a product, {@code #d} the length of a list
 *       <li>{@code axis=axis(X)}, {@code X[n]=1..3}: the value of an attribute, an input or a name
 *           that later clauses use. Values: numbers, words, ranges {@code a..b}, choices {@code
 *           a|b}, {@code -} (absent), {@code axis(X)}, {@code axes(X)}, {@code perm(X)}, {@code
 *           each(d, v)}, {@code each2(d, v)}, {@code dim(X, axis)}, {@code below(n)}, {@code
 *           index(n)}, {@code dims(n d*)}, {@code reshape(X)}, {@code split(n)}, {@code type(T)};
 *           for elements also {@code nonzero}, {@code positive}, {@code unit}, {@code prob} also
 *           {@code plus(a, b)}, {@code times(a, b)}; lists {@code copies(n, v)}, {@code count(n)}
 *           (0 to n - 1), {@code list(a, b)}, {@code words(a, b)}; tensors {@code tensor(T, list)}
 *       <li>{@code X![n]}, {@code axis!=1}: never left out. {@code operands=2}, {@code outputs=1}:
 *           how many of a variadic input, how many results. {@code '...'} is a word with other
 *           characters
 *       <li>{@code X[*]=axes(Y)}: an input whose value tells its shape
 *       <li>{@code 13-: clause} and {@code 7-12: clause}: for these versions of the operator
 *       <li>{@code A || B}: one of two samples. A lone {@code -}: no sample; {@code -6: -}: none of
 *           these versions
 *     </ul>
 */
public record OpSchema(
    String domain,
    String name,
    List<Integer> versions,
    List<Formal> inputs,
    List<Formal> outputs,
    Map<String, AttributeSpec> attributes,
    Map<String, Set<DType>> typeVariables,
    Tolerance tolerance,
    Carries carries,
    String sample) {

  /**
   * Whether the first result has elements of operands and nothing else, for all element types
   * alike: then codes of one grid pass the operator as the numbers do that they stand for.
   */
  public enum Carries {
    NOTHING,
    /** All elements of operand 0, in order, under another shape. */
    SHAPED,
    /** Elements of operand 0. */
    FIRST,
    /** Elements of all operands. */
    ALL
  }

  /** How an operand occurs. */
  public enum Arity {
    SINGLE,
    OPTIONAL,
    /** Zero or more; last only. */
    VARIADIC
  }

  /**
   * A formal input or output.
   *
   * @param type "*" for any value, a type variable of the schema for a tensor, or {@code seq(..)},
   *     {@code optional(..)}, {@code map(key, value)} of these; alternatives are separated by a bar
   */
  public record Formal(String name, String type, Arity arity) {}

  /** Kinds of attribute values. */
  public enum AttributeKind {
    INT,
    FLOAT,
    STRING,
    TENSOR,
    GRAPH,
    TYPE,
    INTS,
    FLOATS,
    STRINGS,
    TENSORS,
    GRAPHS,
    TYPES
  }

  /** An attribute; required unless it may be absent. */
  public record AttributeSpec(AttributeKind kind, boolean required) {}

  /** How results of two correct implementations may differ. */
  public enum Tolerance {
    /** Moves or compares data, integer arithmetic: equal bits. */
    EXACT,
    /** A few roundings. */
    ROUNDING,
    /** Long sums: reordering. */
    ACCUMULATION,
    /** Random by definition. */
    RANDOM
  }

  public static Builder of(String domain, String name, int... versions) {
    return new Builder(domain, name, versions);
  }

  /** Builds a schema line by line. */
  public static final class Builder {
    private final String domain;
    private final String name;
    private final List<Integer> versions = new ArrayList<>();
    private final List<Formal> inputs = new ArrayList<>();
    private final List<Formal> outputs = new ArrayList<>();
    private final Map<String, AttributeSpec> attributes = new LinkedHashMap<>();
    private final Map<String, Set<DType>> typeVariables = new LinkedHashMap<>();
    private Tolerance tolerance = Tolerance.ROUNDING;
    private Carries carries = Carries.NOTHING;
    private String sample = "";

    Builder(String domain, String name, int[] versions) {
      this.domain = domain;
      this.name = name;
      for (int version : versions) {
        this.versions.add(version);
      }
    }

    public Builder input(String inputName, String type) {
      inputs.add(new Formal(inputName, type, Arity.SINGLE));
      return this;
    }

    public Builder optional(String inputName, String type) {
      inputs.add(new Formal(inputName, type, Arity.OPTIONAL));
      return this;
    }

    public Builder variadic(String inputName, String type) {
      inputs.add(new Formal(inputName, type, Arity.VARIADIC));
      return this;
    }

    public Builder output(String outputName, String type) {
      outputs.add(new Formal(outputName, type, Arity.SINGLE));
      return this;
    }

    public Builder optionalOutput(String outputName, String type) {
      outputs.add(new Formal(outputName, type, Arity.OPTIONAL));
      return this;
    }

    public Builder variadicOutput(String outputName, String type) {
      outputs.add(new Formal(outputName, type, Arity.VARIADIC));
      return this;
    }

    public Builder attribute(String attributeName, AttributeKind kind) {
      attributes.put(attributeName, new AttributeSpec(kind, false));
      return this;
    }

    public Builder required(String attributeName, AttributeKind kind) {
      attributes.put(attributeName, new AttributeSpec(kind, true));
      return this;
    }

    public Builder types(String variable, Set<DType> allowed) {
      typeVariables.put(variable, allowed);
      return this;
    }

    public Builder tolerance(Tolerance value) {
      tolerance = value;
      return this;
    }

    public Builder carries(Carries value) {
      carries = value;
      return this;
    }

    /** See {@link OpSchema#sample}; what is given before stays in front. */
    public Builder sample(String clauses) {
      sample = sample.isEmpty() ? clauses : sample + "; " + clauses;
      return this;
    }

    public OpSchema build() {
      return new OpSchema(
          domain,
          name,
          List.copyOf(versions),
          List.copyOf(inputs),
          List.copyOf(outputs),
          Collections.unmodifiableMap(new LinkedHashMap<>(attributes)),
          Collections.unmodifiableMap(new LinkedHashMap<>(typeVariables)),
          tolerance,
          carries,
          sample);
    }
  }
}
