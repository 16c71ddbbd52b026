package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.Lowering;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.graph.Bodies;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.Cancellation;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/**
 * What reaches a body when the float graph around it is called: a branch gets the calls that choose
 * it, the body of a loop a call for every iteration. Calls are made while they are asked for, so
 * nothing is kept.
 */
final class BodySamples implements Iterable<Map<String, Tensor>> {
  private final Compiler compiler;
  private final String backend;
  private final CompileOptions options;
  private final Graph around;
  private final Bodies.Body body;
  private final Lowering how;
  private final Iterable<Map<String, Tensor>> samples;

  private BodySamples(
      Compiler compiler,
      String backend,
      CompileOptions options,
      Graph around,
      Bodies.Body body,
      Lowering how,
      Iterable<Map<String, Tensor>> samples) {
    this.compiler = compiler;
    this.backend = backend;
    this.options = options;
    this.around = around;
    this.body = body;
    this.how = how;
    this.samples = samples;
  }

  /**
   * The calls of a body; empty where they cannot be told from the node that has it.
   *
   * @param backend that runs the float graph
   * @param around the float graph
   * @param samples calls of it
   */
  static Optional<Iterable<Map<String, Tensor>>> of(
      Compiler compiler,
      String backend,
      CompileOptions options,
      Graph around,
      Bodies.Body body,
      Iterable<Map<String, Tensor>> samples) {
    TypeInference.Inferred inferred =
        TypeInference.infer(around, compiler.registry().operators(), note -> {});
    Node owner =
        inferred.graph().nodes().stream()
            .filter(n -> n.id() == body.owner().id())
            .findFirst()
            .orElseThrow();
    Lowering how =
        compiler
            .registry()
            .operators()
            .find(owner.op())
            .orElseThrow()
            .lower(inferred.scope().context(owner));
    boolean known =
        switch (how) {
          case Lowering.Branch _ -> true;
          case Lowering.Iterate i -> i.body().inputs().equals(body.open().inputs());
          case Lowering.Decompose _, Lowering.Compute _, Lowering.View _, Lowering.Host _ -> false;
        };
    boolean tensors =
        Stream.concat(owner.inputs().stream().filter(Value::isPresent), body.captured().stream())
            .allMatch(v -> around.type(v) instanceof TensorType);
    return known && tensors
        ? Optional.of(new BodySamples(compiler, backend, options, around, body, how, samples))
        : Optional.empty();
  }

  /** The first calls of a body; none where they cannot be told. */
  static List<Map<String, Tensor>> first(
      Compiler compiler,
      String backend,
      CompileOptions options,
      Graph around,
      Bodies.Body body,
      Iterable<Map<String, Tensor>> samples,
      int most) {
    return of(compiler, backend, options, around, body, samples).stream()
        .flatMap(calls -> StreamSupport.stream(calls.spliterator(), false))
        .limit(most)
        .toList();
  }

  @Override
  public Iterator<Map<String, Tensor>> iterator() {
    Set<Value> wanted = new LinkedHashSet<>(body.captured());
    body.owner().inputs().stream()
        .filter(v -> v.isPresent() && around.constant(v).isEmpty())
        .forEach(wanted::add);
    Observed observed = new Observed(compiler, around, wanted, backend, options, true);
    return switch (how) {
      case Lowering.Branch branch -> {
        boolean then = isSame(branch.then());
        yield calls()
            .map(observed::run)
            .filter(values -> (operand(values, 0).getLong(0) != 0) == then)
            .map(this::captured)
            .iterator();
      }
      case Lowering.Iterate iterate -> {
        Executable step = compiler.link(body.closed(), backend, options);
        yield calls()
            .map(observed::run)
            .<Map<String, Tensor>>mapMulti((values, take) -> iterate(iterate, step, values, take))
            .iterator();
      }
      case Lowering.Decompose _, Lowering.Compute _, Lowering.View _, Lowering.Host _ ->
          throw new IllegalStateException(body.owner().label());
    };
  }

  private Stream<Map<String, Tensor>> calls() {
    return StreamSupport.stream(samples.spliterator(), false);
  }

  /** Inference gives bodies types, and so makes other graphs of them; ids stay. */
  private boolean isSame(Graph other) {
    return other.outputs().equals(body.open().outputs())
        && other.nodes().stream()
            .map(Node::id)
            .toList()
            .equals(body.open().nodes().stream().map(Node::id).toList());
  }

  private Map<String, Tensor> captured(Map<Value, Tensor> values) {
    Map<String, Tensor> call = new LinkedHashMap<>();
    for (int i = 0; i < body.captured().size(); i++) {
      call.put(
          body.ports().get(i).name(), Objects.requireNonNull(values.get(body.captured().get(i))));
    }
    return call;
  }

  /** The value of an input of the node. */
  private Tensor operand(Map<Value, Tensor> values, int index) {
    Value input = body.owner().input(index);
    return around
        .constant(input)
        .map(Constant::load)
        .orElseGet(() -> Objects.requireNonNull(values.get(input)));
  }

  private void iterate(
      Lowering.Iterate how,
      Executable step,
      Map<Value, Tensor> values,
      java.util.function.Consumer<Map<String, Tensor>> take) {
    long trips = how.tripCount() < 0 ? Long.MAX_VALUE : operand(values, how.tripCount()).getLong(0);
    for (Lowering.Scanned scanned : how.scanned()) {
      trips = Math.min(trips, operand(values, scanned.input()).shape()[scanned.axis()]);
    }
    boolean on = how.condition() < 0 || operand(values, how.condition()).getLong(0) != 0;
    List<Tensor> carried = new ArrayList<>();
    how.carried().forEach(input -> carried.add(operand(values, input)));
    List<Value> inputs = body.closed().inputs();
    List<Value> outputs = body.closed().outputs();
    int head = how.counted() ? 2 : 0;
    Cancellation limits = new Cancellation(Cancellation.current().limits());
    for (long trip = 0; trip < trips && on; trip++) {
      limits.trip(body.owner().label());
      Map<String, Tensor> call = captured(values);
      if (how.counted()) {
        Tensor number = Tensor.zeros(DType.I64);
        number.setLong(0, trip);
        Tensor condition = Tensor.zeros(DType.BOOL);
        condition.setLong(0, 1);
        call.put(inputs.get(0).name(), number);
        call.put(inputs.get(1).name(), condition);
      }
      for (int i = 0; i < carried.size(); i++) {
        call.put(inputs.get(head + i).name(), carried.get(i));
      }
      for (int i = 0; i < how.scanned().size(); i++) {
        Lowering.Scanned scanned = how.scanned().get(i);
        Tensor whole = operand(values, scanned.input());
        long at = scanned.reverse() ? trips - 1 - trip : trip;
        call.put(
            inputs.get(head + carried.size() + i).name(), slice(whole, scanned.axis(), (int) at));
      }
      take.accept(call);
      Map<String, Tensor> results = step.run(call);
      int at = how.counted() ? 1 : 0;
      on = !how.counted() || result(results, outputs.get(0)).getLong(0) != 0;
      for (int i = 0; i < carried.size(); i++) {
        carried.set(i, result(results, outputs.get(at + i)));
      }
    }
  }

  private static Tensor result(Map<String, Tensor> results, Value output) {
    return Objects.requireNonNull(results.get(output.name()));
  }

  /** One slice along an axis, which goes away. */
  private static Tensor slice(Tensor whole, int axis, int at) {
    long[] shape = new long[whole.rank() - 1];
    int inner = 1;
    for (int d = 0, to = 0; d < whole.rank(); d++) {
      if (d != axis) {
        shape[to++] = whole.shape()[d];
      }
      inner *= d > axis ? (int) whole.shape()[d] : 1;
    }
    Tensor part = Tensor.zeros(whole.dtype(), shape);
    int step = inner * (int) whole.shape()[axis];
    for (int i = 0; i < part.size(); i++) {
      int from = i / inner * step + at * inner + i % inner;
      if (whole.dtype().isFloat()) {
        part.setDouble(i, whole.getDouble(from));
      } else {
        part.setLong(i, whole.getLong(from));
      }
    }
    return part;
  }
}
