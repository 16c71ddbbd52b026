package org.tersor.ir.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.tersor.ir.dsl.KernelParser;
import org.tersor.ir.dsl.KernelPrinter;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.KernelInterpreter;
import org.tersor.ir.kernel.RepeatedStages;
import org.tersor.ir.loop.Legalizer;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.op.Operator;
import org.tersor.ir.schedule.Scheduled;
import org.tersor.ir.schedule.Scheduler;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.KernelCode;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * A graph of one node: evaluates it, checks the inferred types against the result, and checks its
 * kernel against the result: as written and scheduled, with constant and with symbolic dimensions.
 */
public final class OperatorTestKit {
  private static final OpRegistry OPERATORS = OpRegistry.standard();

  private final String type;
  private final int version;
  private final List<Optional<Tensor>> inputs = new ArrayList<>();
  private final List<Boolean> constant = new ArrayList<>();
  private final Map<String, Attribute> attributes = new LinkedHashMap<>();
  private final java.util.Set<Integer> fixed = new java.util.HashSet<>();
  private String domain = "";
  private int outputs = 1;
  private double tolerance = 1e-5;

  private OperatorTestKit(String type, int version) {
    this.type = type;
    this.version = version;
  }

  public static OperatorTestKit node(String type, int version) {
    return new OperatorTestKit(type, version);
  }

  /** The operator's domain, if it is not ai.onnx. */
  public OperatorTestKit domain(String name) {
    domain = name;
    return this;
  }

  public OperatorTestKit input(Tensor tensor) {
    inputs.add(Optional.of(tensor));
    constant.add(false);
    return this;
  }

  /** An input whose dimensions are always constant. */
  public OperatorTestKit fixed(Tensor tensor) {
    fixed.add(inputs.size());
    return input(tensor);
  }

  /** An input that is known at compile time. */
  public OperatorTestKit constant(Tensor tensor) {
    inputs.add(Optional.of(tensor));
    constant.add(true);
    return this;
  }

  public OperatorTestKit longs(long... values) {
    return constant(Tensor.of(values, values.length));
  }

  public OperatorTestKit absent() {
    inputs.add(Optional.empty());
    constant.add(false);
    return this;
  }

  public OperatorTestKit attr(String name, long value) {
    attributes.put(name, new Attribute.IntAttr(value));
    return this;
  }

  public OperatorTestKit attr(String name, float value) {
    attributes.put(name, new Attribute.FloatAttr(value));
    return this;
  }

  public OperatorTestKit attr(String name, String value) {
    attributes.put(name, new Attribute.StringAttr(value));
    return this;
  }

  public OperatorTestKit attr(String name, long[] values) {
    attributes.put(name, new Attribute.IntsAttr(java.util.Arrays.stream(values).boxed().toList()));
    return this;
  }

  public OperatorTestKit attr(String name, float[] values) {
    List<Float> list = new ArrayList<>();
    for (float value : values) {
      list.add(value);
    }
    attributes.put(name, new Attribute.FloatsAttr(list));
    return this;
  }

  public OperatorTestKit attr(String name, List<String> values) {
    attributes.put(name, new Attribute.StringsAttr(values));
    return this;
  }

  public OperatorTestKit attr(String name, Tensor value) {
    attributes.put(name, new Attribute.TensorAttr(Constant.of(value)));
    return this;
  }

  public OperatorTestKit outputs(int count) {
    outputs = count;
    return this;
  }

  /** Relative (and, below 1, absolute) difference that is allowed between kernel and evaluation. */
  public OperatorTestKit tolerance(double value) {
    tolerance = value;
    return this;
  }

  /** Random elements: small numbers of both signs, all values of narrow integers. */
  public static Tensor random(DType dtype, long seed, long... shape) {
    Random random = new Random(seed);
    Tensor tensor = Tensor.zeros(dtype, shape);
    for (int i = 0; i < tensor.size(); i++) {
      if (dtype == DType.BOOL) {
        tensor.setLong(i, random.nextInt(2));
      } else if (dtype.isInteger()) {
        tensor.setLong(i, dtype.isUnsigned() ? random.nextInt(20) : random.nextInt(-20, 20));
      } else {
        tensor.setDouble(i, Math.round(random.nextGaussian() * 64) / 32.0);
      }
    }
    return tensor;
  }

  private record Built(Graph graph, Node node) {}

  private Built build(boolean symbolicDims) {
    GraphBuilder builder = new GraphBuilder(Map.of(domain, version), 0);
    List<Value> values = new ArrayList<>();
    for (int i = 0; i < inputs.size(); i++) {
      if (inputs.get(i).isEmpty()) {
        values.add(Value.NONE);
        continue;
      }
      Tensor tensor = inputs.get(i).get();
      values.add(
          constant.get(i)
              ? builder.constant("in" + i, Constant.of(tensor))
              : builder.input(
                  "in" + i,
                  TensorType.of(tensor.dtype(), dims(tensor, symbolicDims && !fixed.contains(i)))));
    }
    List<Value> results = new ArrayList<>();
    for (int i = 0; i < outputs; i++) {
      results.add(builder.value("out" + i, ValueType.UNKNOWN));
    }
    Node node = builder.addNode("node", domain, type, attributes, values, results);
    results.forEach(builder::output);
    return new Built(builder.build("test", Map.of()), node);
  }

  private static List<DimExpr> dims(Tensor tensor, boolean symbolic) {
    return java.util.Arrays.stream(tensor.shape())
        .mapToObj(n -> symbolic && n > 1 ? DimExpr.symbol("n" + n) : DimExpr.of(n))
        .toList();
  }

  private Map<String, Long> symbols() {
    Map<String, Long> values = new TreeMap<>();
    inputs.forEach(t ->
        t.ifPresent(x -> java.util.Arrays.stream(x.shape()).forEach(n -> values.put("n" + n, n))));
    return values;
  }

  private static final class Compile extends OpContext {
    private final OperatorTestKit kit;

    Compile(OperatorTestKit kit, Built built) {
      super(built.graph(), built.node());
      this.kit = kit;
    }

    @Override
    public Optional<List<DimExpr>> symbolic(int index) {
      return index < kit.inputs.size() && kit.constant.get(index)
          ? kit.inputs.get(index).flatMap(OperatorTestKit::elements)
          : Optional.empty();
    }
  }

  private static final class Run extends EvalContext {
    private final OperatorTestKit kit;

    Run(OperatorTestKit kit, Built built) {
      super(built.graph(), built.node());
      this.kit = kit;
    }

    @Override
    public Datum datum(int index) {
      return kit.inputs.get(index).orElseThrow();
    }

    @Override
    public Optional<Tensor> constant(int index) {
      return index < kit.inputs.size() ? kit.inputs.get(index) : Optional.empty();
    }

    @Override
    public Optional<List<DimExpr>> symbolic(int index) {
      return constant(index).flatMap(OperatorTestKit::elements);
    }

    @Override
    public List<Datum> run(Graph body, List<? extends Datum> bodyInputs) {
      throw new UnsupportedOperationException();
    }
  }

  private static Optional<List<DimExpr>> elements(Tensor tensor) {
    return tensor.rank() > 1 || !tensor.dtype().isInteger()
        ? Optional.empty()
        : Optional.of(
            IntStream.range(0, tensor.size())
                .mapToObj(i -> DimExpr.of(tensor.getLong(i)))
                .toList());
  }

  private Operator operator(Built built) {
    return OPERATORS.get(built.node());
  }

  /** The inferred types with constant dimensions. */
  public List<ValueType> infer() {
    Built built = build(false);
    return operator(built).infer(new Compile(this, built));
  }

  /** Evaluates and compares the results' types with the inferred ones. */
  public List<Tensor> eval() {
    Built built = build(false);
    Operator operator = operator(built);
    List<Tensor> results =
        operator.eval(new Run(this, built)).stream().map(d -> d.tensor("a result")).toList();
    for (boolean symbolic : new boolean[] {false, true}) {
      Built typed = build(symbolic);
      List<ValueType> types = operator(typed).infer(new Compile(this, typed));
      for (int i = 0; i < results.size(); i++) {
        TensorType inferred = types.get(i).tensor();
        assertEquals(inferred.dtype(), results.get(i).dtype(), "element type of output " + i);
        if (inferred.isRanked()) {
          assertEquals(
              results.get(i).rank(), inferred.rank(), "rank of output " + i + ": " + inferred);
          for (int d = 0; d < inferred.rank(); d++) {
            DimExpr dim = inferred.dims().get(d);
            if (symbols().keySet().containsAll(dim.symbols())) {
              assertEquals(
                  results.get(i).shape()[d],
                  dim.eval(symbols()),
                  "dimension " + d + " of output " + i + ": " + inferred);
            }
          }
        }
      }
    }
    return results;
  }

  /** Evaluates and compares the kernel with the results. */
  public List<Tensor> check() {
    List<Tensor> expected = eval();
    for (boolean symbolic : new boolean[] {false, true}) {
      compareLowering(expected, symbolic);
    }
    return expected;
  }

  private void compareLowering(List<Tensor> expected, boolean symbolic) {
    Built built = build(symbolic);
    Lowering lowering = operator(built).lower(new Compile(this, built));
    String how = type + "-" + version + (symbolic ? " with symbolic dimensions" : "");
    switch (lowering) {
      case Lowering.View view -> {
        Object array = inputs.get(view.input()).orElseThrow().array();
        same(
            how + " as view",
            expected.getFirst(),
            new Tensor(expected.getFirst().dtype(), expected.getFirst().shape(), array));
      }
      case Lowering.Compute compute -> compare(how, compute.kernel(), expected);
      case Lowering.Host host -> fail(how + " is a host operation: " + host.hostOp());
      case Lowering.Decompose d -> only(built, d).compareLowering(expected, symbolic);
      case Lowering.Branch _, Lowering.Iterate _ -> fail(how + " has bodies");
    }
  }

  /** The one node that a node becomes. */
  private OperatorTestKit only(Built built, Lowering.Decompose decompose) {
    GraphBuilder builder = new GraphBuilder(Map.of(domain, version), built.graph().maxId() + 1);
    List<Value> results = decompose.build().apply(builder);
    assertEquals(built.node().outputs().size(), results.size());
    assertEquals(1, builder.nodes().size(), type + " is several other operators");
    Node node = builder.nodes().getFirst();
    OperatorTestKit kit = new OperatorTestKit(node.op().type(), node.op().version());
    kit.domain(node.op().domain()).outputs(node.outputs().size()).tolerance(tolerance);
    kit.attributes.putAll(node.attributes());
    for (Value input : node.inputs()) {
      int own = built.node().inputs().indexOf(input);
      if (!input.isPresent()) {
        kit.absent();
      } else if (own < 0) {
        kit.constant(Objects.requireNonNull(builder.constants().get(input)).load());
      } else {
        kit.inputs.add(inputs.get(own));
        kit.constant.add(constant.get(own));
        if (fixed.contains(own)) {
          kit.fixed.add(kit.inputs.size() - 1);
        }
      }
    }
    return kit;
  }

  private void compare(String how, Kernel kernel, List<Tensor> expected) {
    if (kernel.program().isEmpty()) {
      assertEquals(kernel, KernelParser.parse(KernelPrinter.print(kernel)), "text form");
    }
    List<Tensor> given =
        kernel.inputs().stream()
            .map(b -> inputs.get(Integer.parseInt(b.name().substring(2))).orElseThrow())
            .toList();
    List<Tensor> results = KernelInterpreter.run(kernel, given, symbols());
    for (int i = 0; i < kernel.outputs().size(); i++) {
      Tensor wanted = expected.get(Integer.parseInt(kernel.outputs().get(i).name().substring(3)));
      same(
          how + " by the kernel interpreter",
          wanted,
          new Tensor(wanted.dtype(), wanted.shape(), results.get(i).array()));
    }
    for (Target target : List.of(Target.jvm(32), Target.jvm(0), Target.cuda())) {
      if (target.kind() == Target.Kind.CUDA && hasUnknownTurns(kernel)) {
        assertEquals(
            "TSR-0501",
            assertThrows(TersorException.class, () -> scheduled(kernel, target, given)).code());
        continue;
      }
      Map<String, Object> arrays = scheduled(kernel, target, given);
      for (Buf output : kernel.outputs()) {
        Tensor wanted = expected.get(Integer.parseInt(output.name().substring(3)));
        same(
            how + " scheduled for " + target.name(),
            wanted,
            new Tensor(
                wanted.dtype(), wanted.shape(), Objects.requireNonNull(arrays.get(output.name()))));
      }
    }
  }

  private static boolean hasUnknownTurns(Kernel kernel) {
    return kernel
        .program()
        .filter(p -> p instanceof RepeatedStages repeated && !repeated.turns().isConst())
        .isPresent();
  }

  private Map<String, Object> scheduled(Kernel kernel, Target target, List<Tensor> given) {
    Map<String, Long> symbols = symbols();
    Map<String, Object> arrays = new HashMap<>();
    for (int i = 0; i < given.size(); i++) {
      arrays.put(kernel.inputs().get(i).name(), given.get(i).array());
    }
    for (Buf output : kernel.outputs()) {
      arrays.put(
          output.name(),
          output.element().dtype().slot().newArray((int) output.elements().eval(symbols)));
    }
    Scheduled scheduled = Scheduler.schedule(kernel, target, Set.of());
    for (Scheduled.Temporary t : scheduled.temporaries()) {
      arrays.put(t.name(), t.element().dtype().slot().newArray((int) t.elements().eval(symbols)));
    }
    for (List<Scheduled.Launch> launches : List.of(scheduled.load(), scheduled.run())) {
      for (Scheduled.Launch launch : launches) {
        KernelCode code = LoopInterpreter.compile(Legalizer.legalize(launch.function(), target));
        Object[] buffers = launch.buffers().stream().map(arrays::get).toArray();
        int[] dims = launch.dims().stream().mapToInt(d -> (int) d.eval(symbols)).toArray();
        code.run(buffers, new int[buffers.length], dims, 0, (int) launch.tasks().eval(symbols));
      }
    }
    return arrays;
  }

  private void same(String how, Tensor expected, Tensor actual) {
    assertArrayEquals(expected.shape(), actual.shape(), how);
    for (int i = 0; i < expected.size(); i++) {
      if (!expected.dtype().isFloat()) {
        assertEquals(expected.getLong(i), actual.getLong(i), how + ", element " + i);
        continue;
      }
      double a = expected.getDouble(i);
      double b = actual.getDouble(i);
      double step =
          switch (expected.dtype()) {
            case F16 -> 1.0 / 1024;
            case BF16 -> 1.0 / 128;
            default -> 0;
          };
      double allowed = Math.max(tolerance, step) * Math.max(1, Math.abs(a));
      assertTrue(
          Double.compare(a, b) == 0 || a == b || Math.abs(a - b) <= allowed,
          how + ", element " + i + ": expected " + a + ", got " + b);
    }
  }
}
