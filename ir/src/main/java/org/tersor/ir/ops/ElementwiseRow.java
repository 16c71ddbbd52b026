package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.DType;

/** One row of the elementwise table, built with a few calls. */
final class ElementwiseRow {
  private final OpSchema.Builder schema;
  private final List<String> operands = new ArrayList<>();
  private final List<Boolean> conditions = new ArrayList<>();
  private final List<String> samples = new ArrayList<>();
  private final Map<String, String> ranges = new HashMap<>();
  private final Map<String, List<String>> choices = new TreeMap<>();
  private final List<Elementwise.Variant> variants = new ArrayList<>();
  private final List<Elementwise.Parameter> parameters = new ArrayList<>();
  private Optional<DType> result = Optional.empty();
  private ScalarExpr last = new ScalarExpr.Name("x");
  private boolean variadic;
  private boolean realNumbers;
  private boolean widen;
  private boolean dims;
  private int typeInput;
  private boolean unidirectional;
  private int alignedBefore;
  private int alignedAxis = -1;
  private Optional<String> onStrings = Optional.empty();

  private ElementwiseRow(String name, int... versions) {
    schema = OpSchema.of("", name, versions);
  }

  /** An operator of {@code x}. */
  static ElementwiseRow unary(String name, Set<DType> types, int... versions) {
    return new ElementwiseRow(name, versions).operand("x", "T", types);
  }

  /** An operator of {@code a} and {@code b} with broadcasting. */
  static ElementwiseRow binary(String name, Set<DType> types, int... versions) {
    return new ElementwiseRow(name, versions).operand("a", "T", types).operand("b", "T", types);
  }

  /**
   * An operator of any number of inputs: an expression of {@code a} and {@code b}, folded from the
   * left.
   */
  static ElementwiseRow variadic(String name, Set<DType> types, int... versions) {
    ElementwiseRow row = new ElementwiseRow(name, versions);
    row.schema.variadic("inputs", "T").types("T", types).sample("inputs[d*~]");
    row.variadic = true;
    return row;
  }

  static ElementwiseRow of(String name, int... versions) {
    return new ElementwiseRow(name, versions);
  }

  ElementwiseRow operand(String name, String variable, Set<DType> types) {
    samples.add(name);
    schema.input(name, variable).types(variable, types);
    return named(name, types);
  }

  ElementwiseRow optional(String name, String variable, Set<DType> types) {
    schema.optional(name, variable).types(variable, types).sample("11-: " + name + "[]");
    return named(name, types);
  }

  private ElementwiseRow named(String name, Set<DType> types) {
    operands.add(name);
    conditions.add(types.equals(Types.BOOL));
    return this;
  }

  /** Values of an operand that make sense; see {@link OpSchema#sample}. */
  ElementwiseRow range(String operand, String range) {
    ranges.put(operand, "=" + range);
    return this;
  }

  /** What else valid nodes look like. */
  ElementwiseRow sample(String clauses) {
    schema.sample(clauses);
    return this;
  }

  /** A float attribute that the expression names. */
  ElementwiseRow attribute(String name, double otherwise) {
    schema.attribute(name, OpSchema.AttributeKind.FLOAT);
    parameters.add(new Elementwise.Parameter(name, false, otherwise));
    return this;
  }

  /** An integer attribute that the expression names. */
  ElementwiseRow integer(String name, long otherwise) {
    schema.attribute(name, OpSchema.AttributeKind.INT);
    parameters.add(new Elementwise.Parameter(name, true, otherwise));
    return this;
  }

  /** A string attribute that chooses the variant. */
  ElementwiseRow string(String name) {
    schema.attribute(name, OpSchema.AttributeKind.STRING);
    return this;
  }

  /** A string attribute that must be given, and is one of these. */
  ElementwiseRow requiredString(String name, String... words) {
    schema.required(name, OpSchema.AttributeKind.STRING);
    choices.put(name, List.of(words));
    return this;
  }

  /** What string attributes may say. */
  Map<String, List<String>> choices() {
    return choices;
  }

  ElementwiseRow result(DType type) {
    result = Optional.of(type);
    return this;
  }

  /** Number of the input whose type the result (and the numbers in the expression) have. */
  ElementwiseRow typeOf(int input) {
    typeInput = input;
    return this;
  }

  /**
   * Before that version the second operand is aligned by {@code axis}; without it at {@code
   * otherwise}, or at the end if negative.
   */
  ElementwiseRow alignedBefore(int version, int otherwise) {
    schema
        .attribute("axis", OpSchema.AttributeKind.INT)
        .attribute("broadcast", OpSchema.AttributeKind.INT)
        .sample("axis=-; broadcast=-");
    alignedBefore = version;
    alignedAxis = otherwise;
    return this;
  }

  /** The result has the shape of the first operand, to which the others are broadcast. */
  ElementwiseRow unidirectional() {
    unidirectional = true;
    return this;
  }

  /** Integers are computed as real numbers. */
  ElementwiseRow realNumbers() {
    realNumbers = true;
    widen = true;
    return this;
  }

  /** Operands of different types meet in the first one's type; integers in kernels in F64. */
  ElementwiseRow mixed() {
    widen = true;
    return this;
  }

  /** Dimensions are followed through it. */
  ElementwiseRow dims() {
    dims = true;
    return this;
  }

  /** The operator of org.tersor that does it on strings; without one they are only moved. */
  ElementwiseRow onStrings(String operator) {
    onStrings = Optional.of(operator);
    return this;
  }

  /** Operands may cancel, so that the order in which they are added counts. */
  ElementwiseRow sums() {
    schema.tolerance(OpSchema.Tolerance.ACCUMULATION);
    return this;
  }

  ElementwiseRow exact() {
    schema.tolerance(OpSchema.Tolerance.EXACT);
    return this;
  }

  ElementwiseRow finish(String expr) {
    last = ScalarExpr.parse(expr);
    return this;
  }

  ElementwiseRow when(Predicate<OpContext> condition, String expr) {
    variants.add(new Elementwise.Variant(condition, ScalarExpr.parse(expr)));
    return this;
  }

  /** The operator, with the expression that applies where no other does. */
  Operator is(String expr) {
    when(c -> true, expr);
    for (String name : samples) {
      boolean whole = unidirectional && name.equals(samples.getFirst());
      schema.sample(name + (whole ? "[d*]" : "[d*~]") + ranges.getOrDefault(name, ""));
    }
    schema.output("output", result.isPresent() ? "R" : typeVariable());
    result.ifPresent(type -> schema.types("R", Set.of(type)));
    schema.attribute("consumed_inputs", OpSchema.AttributeKind.INTS);
    return new Elementwise(this);
  }

  private String typeVariable() {
    OpSchema built = schema.build();
    return built.inputs().get(Math.min(typeInput, built.inputs().size() - 1)).type();
  }

  OpSchema.Builder schema() {
    return schema;
  }

  List<String> operands() {
    return operands;
  }

  boolean isCondition(int index) {
    return !variadic && index < conditions.size() && conditions.get(index);
  }

  List<Elementwise.Variant> variants() {
    return variants;
  }

  List<Elementwise.Parameter> parameters() {
    return parameters;
  }

  Optional<DType> result() {
    return result;
  }

  ScalarExpr last() {
    return last;
  }

  boolean variadic() {
    return variadic;
  }

  boolean hasRealNumbers() {
    return realNumbers;
  }

  boolean widen() {
    return widen;
  }

  boolean followsDims() {
    return dims;
  }

  Optional<String> onStrings() {
    return onStrings;
  }

  int typeInput() {
    return typeInput;
  }

  boolean isUnidirectional() {
    return unidirectional;
  }

  int alignedBefore() {
    return alignedBefore;
  }

  int alignedAxis() {
    return alignedAxis;
  }
}
