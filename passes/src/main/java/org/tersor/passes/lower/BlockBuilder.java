package org.tersor.passes.lower;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.Lowering;
import org.tersor.passes.infer.Faults;
import org.tersor.runtime.DType;
import org.tersor.runtime.Plan;
import org.tersor.runtime.Script;
import org.tersor.runtime.TersorException;

/** Makes a block of a script from one graph: the model's, or a body. */
final class BlockBuilder {
  private final ScriptBuilder script;
  private final LoweredModel model;
  private final Stages stages;
  private final Map<Value, Integer> registerOf;
  private final Map<Value, Value> views;

  /**
   * @param outer registers of captured values
   */
  BlockBuilder(ScriptBuilder script, LoweredModel model, Map<Value, Integer> outer) {
    this.script = script;
    this.model = model;
    this.stages = new Stages(model);
    this.registerOf = new HashMap<>(outer);
    this.views = model.views();
  }

  boolean isStraight() {
    return stages.isStraight();
  }

  Script.Block build(List<Value> parameters) {
    Map<Integer, List<LoweredStep>> members = new TreeMap<>();
    for (int i = 0; i < model.steps().size(); i++) {
      members.computeIfAbsent(stages.ofStep(i), s -> new ArrayList<>()).add(model.steps().get(i));
    }
    List<Integer> parameterRegisters = new ArrayList<>();
    for (Value parameter : parameters) {
      parameterRegisters.add(
          registerOf.computeIfAbsent(
              parameter, value -> script.register(value, model.type(value))));
    }
    Set<Value> wanted = wanted();
    List<Script.Step> steps = new ArrayList<>();
    members.forEach((stage, list) -> {
      if (stage >= 0 && stage % 2 == 0) {
        segment(list, wanted).ifPresent(steps::add);
      } else if (stage > 0) {
        list.forEach(step -> steps.add(control((LoweredStep.Control) step)));
      }
    });
    List<Integer> results = model.graph().outputs().stream().map(this::registerFor).toList();
    return new Script.Block(parameterRegisters, steps, results);
  }

  /** Values that must be in registers: read across stages, or results. */
  private Set<Value> wanted() {
    Set<Value> wanted = new LinkedHashSet<>(model.graph().outputs());
    for (int i = 0; i < model.steps().size(); i++) {
      int stage = stages.ofStep(i);
      switch (model.steps().get(i)) {
        case KernelCall call -> {
          for (Value read : call.reads()) {
            Value root = root(read);
            if (stages.stage(root) != stage) {
              wanted.add(root);
            }
          }
          stages.elements(call.symbols()).forEach(e -> wanted.add(e.source()));
        }
        case LoweredStep.View view -> {
          Value root = root(view.value());
          if (stages.stage(root) != stage) {
            wanted.add(root);
          }
          stages
              .elements(GraphLowering.symbols(model.type(view.value())))
              .forEach(e -> wanted.add(e.source()));
        }
        case LoweredStep.Require require -> {
          if (stage >= 0) {
            stages.elements(require.symbols()).forEach(e -> wanted.add(e.source()));
          }
        }
        case LoweredStep.Control control -> wanted.addAll(control.reads());
      }
    }
    return wanted;
  }

  private Value root(Value value) {
    Value current = value;
    for (Value next = views.get(current); next != null; next = views.get(current)) {
      current = next;
    }
    return current;
  }

  private int registerFor(Value value) {
    if (!(model.type(value) instanceof TensorType)) {
      Value root = root(value);
      return registerOf.computeIfAbsent(root, v -> script.register(v, model.type(v)));
    }
    Integer known = registerOf.get(value);
    if (known != null) {
      return known;
    }
    Constant constant = model.constants().get(value);
    if (constant != null) {
      int register = script.constant(constant, value);
      registerOf.put(value, register);
      return register;
    }
    int register = script.register(value, model.type(value));
    registerOf.put(value, register);
    return register;
  }

  private Optional<Script.Step> segment(List<LoweredStep> members, Set<Value> wanted) {
    Set<Value> made = new LinkedHashSet<>();
    Set<Value> read = new LinkedHashSet<>();
    Set<String> symbols = new TreeSet<>();
    List<KernelCall> calls = new ArrayList<>();
    List<Plan.Check> checks = new ArrayList<>();
    for (LoweredStep member : members) {
      switch (member) {
        case KernelCall call -> {
          calls.add(call);
          call.reads().forEach(value -> read.add(root(value)));
          made.addAll(call.writes());
          symbols.addAll(call.symbols());
        }
        case LoweredStep.View view -> {
          made.add(view.value());
          if (wanted.contains(view.value())) {
            read.add(root(view.value()));
            symbols.addAll(GraphLowering.symbols(model.type(view.value())));
          }
        }
        case LoweredStep.Require require -> {
          checks.add(require.check());
          symbols.addAll(require.symbols());
        }
        case LoweredStep.Control _ -> throw new IllegalStateException(member.toString());
      }
    }
    List<Value> outputs = made.stream().filter(wanted::contains).toList();
    if (outputs.isEmpty()
        && checks.isEmpty()
        && calls.stream().allMatch(call -> call.demand().isEmpty())) {
      return Optional.empty();
    }
    List<Value> inputs =
        read.stream().filter(v -> !made.contains(v) && !model.constants().containsKey(v)).toList();
    Map<Value, ValueType> types = new LinkedHashMap<>();
    for (List<Value> ports : List.of(inputs, outputs)) {
      for (Value value : ports) {
        types.put(value, model.type(value));
        symbols.addAll(GraphLowering.symbols(model.type(value)));
      }
    }
    Graph ports =
        new Graph(
            model.graph().name(),
            inputs.stream().map(BlockBuilder::port).toList(),
            outputs.stream().map(BlockBuilder::port).toList(),
            List.of(),
            Map.of(),
            types,
            model.graph().opsets(),
            Map.of());
    int number =
        script.segment(
            new ScriptBuilder.Segment(
                new LoweredGraph(ports, calls, views, model.constants(), checks), symbols));
    List<Script.Element> elements =
        stages.elements(symbols).stream()
            .map(e -> new Script.Element(e.symbol(), registerFor(e.source()), e.index()))
            .toList();
    Set<String> all = stages.expanded(symbols);
    List<Script.Derived> derived = new ArrayList<>();
    model
        .scope()
        .definitions()
        .forEach((symbol, value) -> {
          if (all.contains(symbol)) {
            derived.add(new Script.Derived(symbol, value));
          }
        });
    return Optional.of(
        new Script.Run(
            number,
            inputs.stream().map(this::registerFor).toList(),
            outputs.stream().map(this::registerFor).toList(),
            elements,
            derived));
  }

  private Script.Step control(LoweredStep.Control step) {
    List<Integer> operands =
        step.node().inputs().stream()
            .map(v -> v.isPresent() ? registerFor(v) : Script.ABSENT)
            .toList();
    List<Integer> outputs =
        step.node().outputs().stream()
            .map(v -> v.isPresent() ? registerFor(v) : Script.ABSENT)
            .toList();
    String origin = step.node().label();
    return switch (step.lowering()) {
      case Lowering.Branch branch ->
          new Script.Choose(
              operands.getFirst(),
              body(branch.then(), true, origin),
              body(branch.otherwise(), true, origin),
              outputs,
              origin);
      case Lowering.Iterate iterate -> iterate(iterate, operands, outputs, origin);
      case Lowering.Host host ->
          new Script.Host(host.hostOp(), host.settings(), operands, outputs, origin);
      case Lowering.Compute _, Lowering.View _, Lowering.Decompose _ ->
          throw new IllegalStateException(origin);
    };
  }

  private Script.Step iterate(
      Lowering.Iterate step, List<Integer> operands, List<Integer> outputs, String origin) {
    List<Script.Scanned> scanned =
        step.scanned().stream()
            .map(s -> new Script.Scanned(operands.get(s.input()), s.axis(), s.reverse()))
            .toList();
    List<Script.Stacked> stacked = new ArrayList<>();
    int first = (step.counted() ? 1 : 0) + step.carried().size();
    for (int i = 0; i < step.stacked().size(); i++) {
      Value slice = step.body().outputs().get(first + i);
      ValueType type = step.body().type(slice);
      if (type instanceof ValueType.UnknownType) {
        type = model.scope().type(slice);
      }
      TensorType tensor = type instanceof TensorType t ? t : TensorType.unranked(DType.F32);
      stacked.add(
          new Script.Stacked(
              step.stacked().get(i).axis(),
              step.stacked().get(i).reverse(),
              tensor.dtype(),
              tensor.shape().orElse(List.of())));
    }
    return new Script.Iterate(
        body(step.body(), false, origin),
        step.counted(),
        operand(operands, step.tripCount()),
        operand(operands, step.condition()),
        step.carried().stream().map(operands::get).toList(),
        scanned,
        stacked,
        outputs,
        origin);
  }

  private static int operand(List<Integer> operands, int index) {
    return index < 0 ? Script.ABSENT : operands.get(index);
  }

  /**
   * A body as a block. What it captures becomes inputs, which are in registers already.
   *
   * @param optional whether a body whose types contradict each other may stand where no call comes
   */
  private Script.Block body(Graph body, boolean optional, String origin) {
    Map<Value, Integer> captured = new LinkedHashMap<>();
    Map<Value, Constant> constant = new LinkedHashMap<>();
    for (Value value : body.captured()) {
      Constant known = model.constants().get(value);
      if (known != null) {
        constant.put(value, known);
      } else {
        captured.put(value, registerFor(value));
      }
    }
    Map<Value, ValueType> types = new LinkedHashMap<>();
    captured.keySet().forEach(value -> types.put(value, model.type(value)));
    try {
      Graph prepared = script.prepared(body, types, constant);
      LoweredModel lowered = GraphLowering.lower(prepared, script.operators());
      return new BlockBuilder(script, lowered, captured)
          .build(prepared.inputs().subList(0, body.inputs().size()));
    } catch (TersorException e) {
      if (!optional || !Faults.isOfTypes(e)) {
        throw e;
      }
      return new Script.Block(
          List.of(), List.of(new Script.Fail(e.code(), fault(origin, e))), List.of());
    }
  }

  private static String fault(String origin, TersorException e) {
    return origin
        + " takes a branch that the shapes of this model's inputs do not allow: "
        + e.getMessage()
        + ". Give inputs that choose the other branch, or other shapes";
  }

  /** Names of ports are made here, since those of values may be anything. */
  private static Value port(Value value) {
    return new Value(value.id(), "v" + value.id());
  }
}
