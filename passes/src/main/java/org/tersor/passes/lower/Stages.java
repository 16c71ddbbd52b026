package org.tersor.passes.lower;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.ElementSymbols;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.TersorException;

/**
 * Where each step of a graph goes. Stages are numbered: segments of kernels are even, what is
 * between them odd; inputs and constants are there before stage 0. A kernel goes into the earliest
 * segment in which its operands and the symbols of its sizes are there.
 */
final class Stages {
  private static final int BEFORE = -1;

  private final LoweredModel model;
  private final Map<Value, Integer> stageOf = new HashMap<>();
  private final Map<String, Integer> stageOfSymbol = new HashMap<>();
  private final Map<Integer, Value> byId = new HashMap<>();
  private final List<Integer> stageOfStep = new ArrayList<>();
  private int last = BEFORE;
  private boolean readsElements;

  Stages(LoweredModel model) {
    this.model = model;
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

  /** Stage of a step, by its number. */
  int ofStep(int step) {
    return stageOfStep.get(step);
  }

  private void place(LoweredStep step) {
    int stage =
        switch (step) {
          case KernelCall call -> {
            int earliest = segment(call.reads(), call.symbols(), call.origin());
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
          case LoweredStep.Require require -> {
            if (!areKnown(require.symbols())) {
              yield BEFORE;
            }
            yield segment(List.of(), require.symbols(), require.check().origin());
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

  /** Whether something says what each of them is by now. */
  private boolean areKnown(Set<String> symbols) {
    return expanded(symbols).stream()
        .allMatch(symbol ->
            model.scope().definitions().containsKey(symbol)
                || stageOfSymbol.containsKey(symbol)
                || ElementSymbols.parse(symbol)
                    .filter(e -> byId.containsKey(e.value()))
                    .isPresent());
  }

  private void made(Value value, int stage) {
    stageOf.put(value, stage);
    byId.put(value.id(), value);
  }

  /** Stage in which a value is made. */
  int stage(Value value) {
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

  /** With the symbols that derived ones are made of. */
  Set<String> expanded(Set<String> symbols) {
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

  /** A symbol that is an element of a tensor. */
  record ElementUse(String symbol, Value source, int index) {}

  List<ElementUse> elements(Set<String> symbols) {
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
}
