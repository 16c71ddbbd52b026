package org.tersor.conformance.diff;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.tersor.conformance.SeededRandom;
import org.tersor.conformance.diff.Sample.Clause;
import org.tersor.conformance.diff.Sample.Dim;
import org.tersor.conformance.diff.Sample.Expr;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.Arity;
import org.tersor.ir.op.OpSchema.Formal;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Makes up one node of an operator from its schema; operands may be values that are there. */
final class NodeMaker {
  /** A value of the graph so far. */
  record Known(Value value, Tensor tensor) {}

  /** What an operand is. */
  sealed interface Operand {
    record Existing(Known known) implements Operand {}

    /**
     * @param weight better a constant than an input
     */
    record Fresh(Tensor tensor, boolean weight) implements Operand {}

    record Absent() implements Operand {}
  }

  /** A node that may be added. */
  record Proposal(
      OpSchema schema,
      int version,
      Map<String, Attribute> attributes,
      List<Operand> operands,
      int outputs) {}

  /** Name that a sample may give the number of variadic operands. */
  private static final String OPERANDS = "operands";

  /** Name that a sample may give the number of outputs. */
  private static final String OUTPUTS = "outputs";

  /**
   * Function of a sample that makes variadic operands of several types: a type variable and a shape
   * for each operand of a group. Numbers of floats are positive, as scales are.
   */
  private static final String GROUPS = "groups";

  /** Function of a sample that makes an attribute of a type's numbers. */
  private static final String TENSOR = "tensor";

  private static final Sample EVERY_OPERAND = Sample.parse("x[d*~]");

  private final OpSchema schema;
  private final int version;
  private final Sample sample;
  private final List<Known> pool;
  private final Draft draft;
  private final Map<String, Attribute> attributes = new TreeMap<>();
  private final Map<String, List<Operand>> operands = new TreeMap<>();
  private final Set<String> referenced = new HashSet<>();
  private Optional<Known> primary = Optional.empty();
  private int variadicOutputs = 1;

  NodeMaker(
      OpSchema schema,
      Sample sample,
      int version,
      List<Known> pool,
      SeededRandom random,
      double emptiness,
      boolean mayNegate) {
    this.schema = schema;
    this.version = version;
    this.sample = sample;
    this.pool = pool;
    this.draft = new Draft(schema, random, emptiness, mayNegate);
  }

  /** Whether the schema says enough. */
  static boolean covers(OpSchema schema) {
    boolean tensors =
        schema.inputs().stream()
            .allMatch(f ->
                schema.typeVariables().containsKey(f.type())
                    || (f.arity() == Arity.VARIADIC && schema.sample().contains(GROUPS + "(")));
    boolean graphs =
        schema.attributes().values().stream()
            .anyMatch(a -> a.kind() == OpSchema.AttributeKind.GRAPH);
    boolean made =
        schema.outputs().stream()
            .allMatch(f -> schema.typeVariables().containsKey(f.type()) || f.type().equals("*"));
    boolean said = !schema.sample().isEmpty() || schema.inputs().size() <= 1;
    return tensors
        && made
        && said
        && !graphs
        && !schema.sample().equals("-")
        && schema.tolerance() != OpSchema.Tolerance.RANDOM;
  }

  /** A proposal; {@link Draft.Contradiction} if chance gave what does not fit. */
  Proposal make() {
    if (sample.clauses().stream().anyMatch(c -> c.name().isEmpty() && c.covers(version))) {
      throw new Draft.Contradiction("no sample of this version");
    }
    choosePrimary();
    for (Clause clause : sample.clauses()) {
      clause.value().ifPresent(this::collectNames);
      clause.dims().ifPresent(dims -> dims.forEach(this::collectNames));
    }
    for (Clause clause : sample.clauses()) {
      if (clause.covers(version)) {
        apply(clause);
      }
    }
    for (Formal formal : schema.inputs()) {
      if (!operands.containsKey(formal.name())) {
        boolean said = sample.clauses().stream().anyMatch(c -> c.name().equals(formal.name()));
        boolean optional = formal.arity() == Arity.OPTIONAL;
        if (said || optional) {
          operands.put(formal.name(), List.of(new Operand.Absent()));
        } else {
          input(formal, EVERY_OPERAND.clauses().getFirst().dims(), Optional.empty());
        }
      }
    }
    schema
        .attributes()
        .forEach((name, spec) -> {
          boolean said = sample.clauses().stream().anyMatch(c -> c.name().equals(name));
          if (!said) {
            unsaid(name, spec);
          }
        });
    List<Operand> all = new ArrayList<>();
    schema
        .inputs()
        .forEach(f -> all.addAll(operands.getOrDefault(f.name(), List.of(new Operand.Absent()))));
    return new Proposal(schema, version, attributes, all, outputs());
  }

  private int outputs() {
    Optional<Long> said = draft.known(OUTPUTS);
    if (said.isPresent()) {
      return said.get().intValue();
    }
    int count = 0;
    for (Formal formal : schema.outputs()) {
      if (formal.arity() == Arity.VARIADIC) {
        return count + variadicOutputs;
      }
      if (formal.arity() == Arity.OPTIONAL
          && count > 0
          && (sample.clauses().stream()
                  .anyMatch(c -> c.name().equals(formal.name()) && c.covers(version))
              || !draft.chance(.4))) {
        break;
      }
      count++;
    }
    return count;
  }

  private void choosePrimary() {
    if (schema.inputs().isEmpty() || pool.isEmpty() || !draft.chance(.9)) {
      return;
    }
    Formal first = schema.inputs().getFirst();
    boolean valued =
        sample.clauses().stream()
            .filter(c -> c.name().equals(first.name()) && c.covers(version))
            .anyMatch(c ->
                c.value()
                    .filter(v ->
                        !(v instanceof Expr.Word(String text)
                            && Elements.RANGES.contains(text)
                            && !text.equals("nonzero")))
                    .isPresent());
    List<Known> fitting =
        pool.stream()
            .filter(k -> draft.allowed(first.type()).contains(k.tensor().dtype()))
            .toList();
    if (fitting.isEmpty() || valued) {
      return;
    }
    Known chosen = draft.chance(.6) ? fitting.getLast() : draft.pick(fitting);
    draft.bind(first.type(), chosen.tensor().dtype());
    primary = Optional.of(chosen);
  }

  private void collectNames(Expr expr) {
    switch (expr) {
      case Expr.Word(String name) -> referenced.add(name);
      case Expr.Choice(List<Expr> among) -> among.forEach(this::collectNames);
      case Expr.Range(Expr low, Expr high) -> {
        collectNames(low);
        collectNames(high);
      }
      case Expr.Call(String function, List<Expr> arguments) ->
          arguments.forEach(this::collectNames);
      case Expr.Shape(List<Dim> dims) -> dims.forEach(this::collectNames);
      case Expr.Literal _ -> {}
    }
  }

  private void collectNames(Dim dim) {
    switch (dim) {
      case Dim.One one -> {
        referenced.add(one.name());
        referenced.add(one.factor());
      }
      case Dim.Many many -> referenced.add(many.name());
      case Dim.Length(String list) -> referenced.add(list);
      case Dim.Fixed _ -> {}
    }
  }

  private void apply(Clause clause) {
    Optional<Formal> input =
        schema.inputs().stream().filter(f -> f.name().equals(clause.name())).findFirst();
    OpSchema.AttributeSpec spec = schema.attributes().get(clause.name());
    boolean absent = clause.value().filter(new Expr.Word("-")::equals).isPresent();
    if (schema.typeVariables().containsKey(clause.name())) {
      DType type = DType.of(word(clause.value().orElseThrow()));
      if (!draft.bind(clause.name(), type)) {
        throw new Draft.Contradiction("another type");
      }
      return;
    }
    if (input.isPresent()
        && clause.value().orElse(new Expr.Word("-"))
            instanceof Expr.Call(String function, List<Expr> parts)
        && function.equals(GROUPS)) {
      operands.put(clause.name(), groups(parts));
      return;
    }
    if (input.isPresent() && (clause.operand() || spec == null)) {
      boolean optional = input.get().arity() == Arity.OPTIONAL;
      boolean needed = clause.must() || referenced.contains(clause.name()) || said(clause, "must");
      if (absent || (optional && !needed && !draft.chance(.6))) {
        operands.put(clause.name(), List.of(new Operand.Absent()));
      } else {
        input(input.get(), clause.dims(), clause.value());
      }
    } else if (schema.outputs().stream().anyMatch(f -> f.name().equals(clause.name()))) {
      if (!absent) {
        variadicOutputs = (int) draft.number(clause.value().orElseThrow());
      }
    } else if (spec != null) {
      boolean present =
          clause.must()
              || spec.required()
              || referenced.contains(clause.name())
              || draft.chance(.75);
      if (!absent && present) {
        attribute(clause.name(), spec.kind(), clause.value().orElseThrow());
      }
    } else {
      variable(clause.name(), clause.value().orElseThrow());
    }
  }

  private List<Operand> groups(List<Expr> parts) {
    List<Operand> all = new ArrayList<>();
    long count = draft.known(OPERANDS).orElseGet(() -> draft.random.between(1, 3));
    for (long group = 0; group < count; group++) {
      for (int i = 0; i < parts.size(); i += 2) {
        DType type = draft.type(word(parts.get(i)));
        List<Dim> dims = ((Expr.Shape) parts.get(i + 1)).dims();
        Tensor tensor =
            Elements.of(type, draft.build(dims), type.isFloat() ? "positive" : "", draft.random);
        all.add(new Operand.Fresh(tensor, draft.chance(.5)));
      }
    }
    return all;
  }

  private static boolean said(Clause clause, String word) {
    return clause.value().filter(new Expr.Word(word)::equals).isPresent();
  }

  private void variable(String name, Expr value) {
    Optional<long[]> list = draft.list(value);
    if (list.isPresent()) {
      draft.list(name, list.get());
    } else {
      draft.number(name, (long) draft.number(value));
    }
  }

  private void attribute(String attribute, OpSchema.AttributeKind kind, Expr value) {
    switch (kind) {
      case INT -> {
        long number = (long) draft.number(value);
        draft.number(attribute, number);
        attributes.put(attribute, new Attribute.IntAttr(number));
      }
      case FLOAT -> attributes.put(attribute, new Attribute.FloatAttr((float) draft.number(value)));
      case STRING -> attributes.put(attribute, new Attribute.StringAttr(word(value)));
      case INTS -> {
        long[] list = draft.list(value).orElseThrow(() -> new Draft.Contradiction("no list"));
        draft.list(attribute, list);
        attributes.put(
            attribute, new Attribute.IntsAttr(java.util.Arrays.stream(list).boxed().toList()));
      }
      case FLOATS ->
          attributes.put(
              attribute,
              new Attribute.FloatsAttr(
                  draft.numbers(value).stream().map(Double::floatValue).toList()));
      case STRINGS -> attributes.put(attribute, new Attribute.StringsAttr(words(value)));
      case TENSOR ->
          attributes.put(attribute, new Attribute.TensorAttr(Constant.of(tensor(value))));
      default -> throw new Draft.Contradiction("no attribute of kind " + kind);
    }
  }

  /** One element of a type, or a vector of what is said. */
  private Tensor tensor(Expr value) {
    if (value instanceof Expr.Choice(List<Expr> among)) {
      return tensor(draft.pick(among));
    }
    if (value instanceof Expr.Call(String function, List<Expr> arguments)
        && function.equals(TENSOR)) {
      String name = word(arguments.getFirst());
      DType type = schema.typeVariables().containsKey(name) ? draft.type(name) : DType.of(name);
      return vector(type, draft.numbers(arguments.getLast()));
    }
    return Elements.of(draft.type(word(value)), new long[] {1}, "", draft.random);
  }

  private static Tensor vector(DType type, List<Double> numbers) {
    return Elements.of(type, new long[] {numbers.size()}, numbers.iterator()::next);
  }

  private String word(Expr value) {
    return switch (value) {
      case Expr.Choice(List<Expr> among) -> word(draft.pick(among));
      case Expr.Word(String text) -> text;
      case Expr.Literal _, Expr.Range _, Expr.Call _, Expr.Shape _ ->
          throw new Draft.Contradiction("no word");
    };
  }

  private List<String> words(Expr value) {
    if (value instanceof Expr.Call(String function, List<Expr> arguments)
        && function.equals("words")) {
      return arguments.stream().map(this::word).toList();
    }
    throw new Draft.Contradiction("no words");
  }

  /** An attribute of which the sample says nothing: usual meanings of usual names. */
  private void unsaid(String name, OpSchema.AttributeSpec spec) {
    if (name.equals("consumed_inputs") || !(spec.required() || draft.chance(.6))) {
      return;
    }
    switch (spec.kind()) {
      case INT -> {
        if (name.equals("axis")) {
          attribute(
              name,
              spec.kind(),
              new Expr.Call("axis", List.of(new Expr.Word(schema.inputs().getFirst().name()))));
        } else {
          attributes.put(name, new Attribute.IntAttr(draft.random.between(0, 1)));
        }
      }
      case FLOAT ->
          attributes.put(
              name, new Attribute.FloatAttr(Math.round(draft.random.uniform(.1, 2) * 64) / 64f));
      default -> {
        if (spec.required()) {
          throw new Draft.Contradiction("attribute " + name);
        }
      }
    }
  }

  private void input(Formal formal, Optional<List<Dim>> dims, Optional<Expr> value) {
    int count =
        formal.arity() == Arity.VARIADIC
            ? draft.known(OPERANDS).orElseGet(() -> draft.random.between(1, 3)).intValue()
            : 1;
    List<Operand> list = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      boolean isFirst = i == 0 && formal.equals(schema.inputs().getFirst());
      if (isFirst && primary.isPresent() && dims.isPresent()) {
        long[] shape = primary.get().tensor().shape();
        draft.match(dims.get(), shape);
        draft.shape(formal.name(), shape);
        list.add(new Operand.Existing(primary.get()));
      } else {
        list.add(operand(formal, dims, value));
      }
    }
    operands.put(formal.name(), list);
  }

  private Operand operand(Formal formal, Optional<List<Dim>> dims, Optional<Expr> value) {
    DType type = draft.type(formal.type());
    Optional<String> range =
        value
            .filter(Expr.Word.class::isInstance)
            .map(w -> ((Expr.Word) w).text())
            .filter(Elements.RANGES::contains);
    if (value.isPresent() && range.isEmpty() && !value.get().equals(new Expr.Word("must"))) {
      if (dims.isEmpty()) {
        Optional<long[]> list = draft.list(value.get());
        list.ifPresent(numbers -> draft.list(formal.name(), numbers));
        return new Operand.Fresh(
            list.isPresent()
                ? Elements.list(type, list.get())
                : vector(type, draft.numbers(value.get())),
            true);
      }
      long[] shape = draft.build(dims.get());
      draft.shape(formal.name(), shape);
      Expr of = value.get();
      Tensor tensor = Elements.of(type, shape, () -> draft.number(of));
      if (shape.length == 0) {
        draft.number(formal.name(), (long) tensor.getDouble(0));
      }
      return new Operand.Fresh(tensor, true);
    }
    long[] shape = draft.build(dims.orElseThrow(() -> new Draft.Contradiction("no shape")));
    draft.shape(formal.name(), shape);
    List<Known> same =
        pool.stream()
            .filter(k ->
                k.tensor().dtype() == type && java.util.Arrays.equals(k.tensor().shape(), shape))
            .toList();
    if (range.isEmpty() && !same.isEmpty() && draft.chance(.4)) {
      return new Operand.Existing(draft.pick(same));
    }
    return new Operand.Fresh(
        Elements.of(type, shape, range.orElse(""), draft.random), draft.chance(.3));
  }
}
