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
import java.util.function.UnaryOperator;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.ElementSymbols;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpRegistry;
import org.tersor.passes.eval.Ports;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Script;
import org.tersor.runtime.TersorException;

/**
 * Cuts a model into segments of kernels and what is between them: bodies, operations of the host,
 * and places where sizes become known. A kernel goes into the earliest segment in which its
 * operands and the symbols of its sizes are there.
 *
 * <p>Stages are numbered: segments are even, what is between them odd; inputs and constants are
 * there before stage 0.
 */
public final class ScriptBuilder {
  private static final int BEFORE = -1;

  private final OpRegistry operators;
  private final UnaryOperator<Graph> prepareBody;
  private final List<Script.Register> registers = new ArrayList<>();
  private final Map<Constant, Integer> constants = new LinkedHashMap<>();
  private final List<Segment> segments = new ArrayList<>();
  private int nextId;

  private ScriptBuilder(OpRegistry operators, UnaryOperator<Graph> prepareBody, int nextId) {
    this.operators = operators;
    this.prepareBody = prepareBody;
    this.nextId = nextId;
  }

  /**
   * A line of kernels.
   *
   * @param symbols that the caller of the segment binds
   */
  public record Segment(LoweredGraph lowered, Set<String> symbols) {}

  /**
   * A model cut up.
   *
   * @param script how segments are run; empty if there is just one, with the model's own inputs and
   *     outputs
   * @param constants of the script itself
   */
  public record Cut(Optional<Script> script, List<Segment> segments, List<Constant> constants) {}

  /**
   * @param graph one whose decomposable nodes have been expanded
   * @param prepareBody makes the same of a body whose captured values have become inputs
   */
  public static Cut cut(Graph graph, OpRegistry operators, UnaryOperator<Graph> prepareBody) {
    LoweredModel model = GraphLowering.lower(graph, operators);
    ScriptBuilder builder = new ScriptBuilder(operators, prepareBody, graph.maxId() + 1);
    BlockBuilder main = builder.new BlockBuilder(model, Map.of());
    if (main.isStraight()) {
      LoweredGraph straight = model.straight();
      return new Cut(Optional.empty(), List.of(new Segment(straight, Set.of())), List.of());
    }
    Script.Block block = main.build(graph.inputs());
    Script script =
        new Script(
            graph.name(),
            Ports.inputs(graph),
            Ports.outputs(graph),
            List.copyOf(builder.registers),
            List.copyOf(builder.constants.values()),
            block);
    return new Cut(
        Optional.of(script),
        List.copyOf(builder.segments),
        List.copyOf(builder.constants.keySet()));
  }

  private int register(Value value, ValueType type) {
    boolean shaped = type instanceof TensorType tensor && tensor.isRanked();
    registers.add(
        new Script.Register(
            value.name().isEmpty() ? value.toString() : value.name(),
            shaped ? type.tensor().dims() : List.of()));
    return registers.size() - 1;
  }

  /** One graph: the model's, or a body. */
  private final class BlockBuilder {
    private final LoweredModel model;
    private final Map<Value, Integer> registerOf;
    private final Map<Value, Value> views;
    private final Map<Value, Integer> stageOf = new HashMap<>();
    private final Map<String, Integer> stageOfSymbol = new HashMap<>();
    private final Map<Integer, Value> byId = new HashMap<>();
    private final List<Integer> stageOfStep = new ArrayList<>();
    private int last = BEFORE;
    private boolean readsElements;

    /**
     * @param outer registers of captured values
     */
    BlockBuilder(LoweredModel model, Map<Value, Integer> outer) {
      this.model = model;
      this.registerOf = new HashMap<>(outer);
      this.views = model.views();
      for (Value input : model.graph().inputs()) {
        stageOf.put(input, BEFORE);
        byId.put(input.id(), input);
        GraphLowering.symbols(model.type(input)).forEach(s -> stageOfSymbol.put(s, BEFORE));
      }
      model.constants().keySet().forEach(value -> stageOf.put(value, BEFORE));
      model.steps().forEach(this::place);
    }

    /** Whether it is one line of kernels whose sizes follow from the inputs' shapes. */
    boolean isStraight() {
      return last <= 0 && !readsElements;
    }

    private void place(LoweredStep step) {
      int stage =
          switch (step) {
            case KernelCall call -> {
              int earliest = segment(call.reads(), KernelSymbols.of(call.kernel()), call.origin());
              call.writes().forEach(value -> made(value, earliest));
              yield earliest;
            }
            case LoweredStep.View view -> {
              if (!(model.type(view.value()) instanceof TensorType)) {
                made(view.value(), stage(view.source()));
                yield BEFORE;
              }
              int earliest =
                  segment(
                      List.of(view.source()),
                      GraphLowering.symbols(model.type(view.value())),
                      view.value().name());
              made(view.value(), earliest);
              yield earliest;
            }
            case LoweredStep.Control control -> {
              int earliest = 1;
              for (Value read : control.reads()) {
                earliest = Math.max(earliest, (stage(read) + 1) / 2 * 2 + 1);
              }
              for (Value output : control.node().outputs()) {
                if (output.isPresent()) {
                  made(output, earliest);
                  if (model.type(output) instanceof TensorType type && type.isRanked()) {
                    int from = earliest;
                    type.dims().stream()
                        .filter(dim -> dim.isSymbol())
                        .forEach(dim -> stageOfSymbol.putIfAbsent(dim.toString(), from));
                  }
                }
              }
              yield earliest;
            }
          };
      stageOfStep.add(stage);
      last = Math.max(last, stage);
    }

    private void made(Value value, int stage) {
      stageOf.put(value, stage);
      byId.put(value.id(), value);
    }

    private int stage(Value value) {
      Integer stage = stageOf.get(value);
      if (stage == null) {
        throw new TersorException(
            "TSR-0507", "value " + value + " '" + value.name() + "' is read before it is made");
      }
      return stage;
    }

    /** The earliest segment in which all is there. */
    private int segment(List<Value> reads, Set<String> symbols, String origin) {
      int earliest = 0;
      for (Value read : reads) {
        int at = stage(read);
        earliest = Math.max(earliest, at % 2 == 0 ? at : at + 1);
      }
      for (String symbol : expanded(symbols)) {
        Optional<ElementSymbols.Element> element = ElementSymbols.parse(symbol);
        if (model.scope().definitions().containsKey(symbol)) {
          readsElements = true;
          continue;
        }
        Integer known = stageOfSymbol.get(symbol);
        readsElements |= element.isPresent();
        if (known == null && element.isPresent()) {
          Value source = byId.get(element.get().value());
          known = source == null ? null : Integer.valueOf(stage(source));
        }
        if (known == null) {
          throw new TersorException(
              "TSR-0503",
              origin
                  + " has a size that depends on data: nothing says what "
                  + symbol
                  + " is. The interpreter backend runs such models; or make the size constant.");
        }
        earliest = Math.max(earliest, known % 2 == 0 ? known + 2 : known + 1);
      }
      return earliest;
    }

    Script.Block build(List<Value> parameters) {
      Map<Integer, List<LoweredStep>> stages = new TreeMap<>();
      for (int i = 0; i < model.steps().size(); i++) {
        stages
            .computeIfAbsent(stageOfStep.get(i), s -> new ArrayList<>())
            .add(model.steps().get(i));
      }
      List<Integer> parameterRegisters = new ArrayList<>();
      for (Value parameter : parameters) {
        parameterRegisters.add(
            registerOf.computeIfAbsent(parameter, value -> register(value, model.type(value))));
      }
      Set<Value> wanted = wanted();
      List<Script.Step> steps = new ArrayList<>();
      stages.forEach((stage, members) -> {
        if (stage >= 0 && stage % 2 == 0) {
          segment(members, wanted).ifPresent(steps::add);
        } else if (stage > 0) {
          members.forEach(step -> steps.add(control((LoweredStep.Control) step)));
        }
      });
      List<Integer> results = model.graph().outputs().stream().map(this::registerFor).toList();
      return new Script.Block(parameterRegisters, steps, results);
    }

    /** Values that must be in registers: read across stages, or results. */
    private Set<Value> wanted() {
      Set<Value> wanted = new LinkedHashSet<>(model.graph().outputs());
      for (int i = 0; i < model.steps().size(); i++) {
        int stage = stageOfStep.get(i);
        switch (model.steps().get(i)) {
          case KernelCall call -> {
            for (Value read : call.reads()) {
              Value root = root(read);
              if (stage(root) != stage) {
                wanted.add(root);
              }
            }
            elements(KernelSymbols.of(call.kernel())).forEach(e -> wanted.add(e.source));
          }
          case LoweredStep.View view -> {
            Value root = root(view.value());
            if (stage(root) != stage) {
              wanted.add(root);
            }
            elements(GraphLowering.symbols(model.type(view.value())))
                .forEach(e -> wanted.add(e.source));
          }
          case LoweredStep.Control control -> wanted.addAll(control.reads());
        }
      }
      return wanted;
    }

    /** With the symbols that derived ones are made of. */
    private Set<String> expanded(Set<String> symbols) {
      Set<String> all = new TreeSet<>();
      symbols.forEach(symbol -> expand(symbol, all));
      return all;
    }

    private void expand(String symbol, Set<String> all) {
      if (all.add(symbol)) {
        DimExpr definition = model.scope().definitions().get(symbol);
        if (definition != null) {
          definition.symbols().forEach(part -> expand(part, all));
        }
      }
    }

    private record ElementUse(String symbol, Value source, int index) {}

    private List<ElementUse> elements(Set<String> symbols) {
      List<ElementUse> uses = new ArrayList<>();
      for (String symbol : expanded(symbols)) {
        Optional<ElementSymbols.Element> element = ElementSymbols.parse(symbol);
        if (element.isPresent() && byId.containsKey(element.get().value())) {
          Value source = byId.get(element.get().value());
          uses.add(new ElementUse(symbol, source, element.get().index()));
        }
      }
      return uses;
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
        return registerOf.computeIfAbsent(root, v -> register(v, model.type(v)));
      }
      Integer known = registerOf.get(value);
      if (known != null) {
        return known;
      }
      Constant constant = model.constants().get(value);
      if (constant != null) {
        int register = constants.computeIfAbsent(constant, c -> register(value, constant.type()));
        registerOf.put(value, register);
        return register;
      }
      int register = register(value, model.type(value));
      registerOf.put(value, register);
      return register;
    }

    private Optional<Script.Step> segment(List<LoweredStep> members, Set<Value> wanted) {
      Set<Value> made = new LinkedHashSet<>();
      Set<Value> read = new LinkedHashSet<>();
      Set<String> symbols = new TreeSet<>();
      List<KernelCall> calls = new ArrayList<>();
      for (LoweredStep member : members) {
        switch (member) {
          case KernelCall call -> {
            calls.add(call);
            call.reads().forEach(value -> read.add(root(value)));
            made.addAll(call.writes());
            symbols.addAll(KernelSymbols.of(call.kernel()));
          }
          case LoweredStep.View view -> {
            made.add(view.value());
            if (wanted.contains(view.value())) {
              read.add(root(view.value()));
              symbols.addAll(GraphLowering.symbols(model.type(view.value())));
            }
          }
          case LoweredStep.Control _ -> throw new IllegalStateException(member.toString());
        }
      }
      List<Value> outputs = made.stream().filter(wanted::contains).toList();
      if (outputs.isEmpty()) {
        return Optional.empty();
      }
      List<Value> inputs =
          read.stream()
              .filter(v -> !made.contains(v) && !model.constants().containsKey(v))
              .toList();
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
              inputs.stream().map(ScriptBuilder::port).toList(),
              outputs.stream().map(ScriptBuilder::port).toList(),
              List.of(),
              Map.of(),
              types,
              model.graph().opsets(),
              Map.of());
      segments.add(new Segment(new LoweredGraph(ports, calls, views, model.constants()), symbols));
      List<Script.Element> elements =
          elements(symbols).stream()
              .map(e -> new Script.Element(e.symbol, registerFor(e.source), e.index))
              .toList();
      Set<String> all = expanded(symbols);
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
              segments.size() - 1,
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
                body(branch.then()),
                body(branch.otherwise()),
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
          body(step.body()),
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

    /** A body as a block. What it captures becomes inputs, which are in registers already. */
    private Script.Block body(Graph body) {
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
      CloseBody closed = new CloseBody(body, types, constant, nextId);
      Graph prepared = prepareBody.apply(closed.graph());
      nextId = Math.max(closed.nextId(), prepared.maxId() + 1);
      BlockBuilder inner = new BlockBuilder(GraphLowering.lower(prepared, operators), captured);
      return inner.build(prepared.inputs().subList(0, body.inputs().size()));
    }
  }

  /** Names of ports are made here, since those of values may be anything. */
  private static Value port(Value value) {
    return new Value(value.id(), "v" + value.id());
  }
}
