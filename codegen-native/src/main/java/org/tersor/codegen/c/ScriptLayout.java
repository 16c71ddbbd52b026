package org.tersor.codegen.c;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.spi.ModelProgram;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Script;
import org.tersor.runtime.TersorException;

/**
 * Element types and sizes of a script's registers, for a library that gets its memory before a
 * call: what has no size then, or needs the host, is refused by name.
 */
final class ScriptLayout {
  private final ModelProgram model;
  private final Script script;
  private final Set<String> known;
  private final Map<Integer, DType> types = new HashMap<>();

  /** Registers with memory of their own. */
  private final Map<Integer, List<DimExpr>> owned = new LinkedHashMap<>();

  /** Parameters of loops that may get each other's values: these pass through a second place. */
  private final Set<Integer> twice = new LinkedHashSet<>();

  /**
   * @param known dimensions of the model's inputs
   */
  ScriptLayout(ModelProgram model, Script script, Set<String> known) {
    this.model = model;
    this.script = script;
    this.known = known;
    for (int i = 0; i < script.inputs().size(); i++) {
      types.put(script.main().parameters().get(i), script.inputs().get(i).dtype());
    }
    for (int i = 0; i < script.constants().size(); i++) {
      types.put(script.constants().get(i), model.constants().get(i).dtype());
    }
    block(script.main());
    // After the steps: an operator of the host that has texts is told by its own name.
    script.inputs().forEach(this::tensor);
    script.outputs().forEach(this::tensor);
    // A result that is an input is kept while outputs are written, which may be the same memory.
    script.main().results().forEach(this::own);
  }

  private void tensor(Port port) {
    if (!port.isTensor() || port.dtype() == DType.STRING) {
      throw refused("'" + port.name() + "' is " + port.wraps() + " of " + port.dtype().text());
    }
  }

  private TersorException refused(String what) {
    return new TersorException(
        "TSR-0508",
        "a library cannot hold the model '"
            + script.name()
            + "': "
            + what
            + ". Compile it to a jar, or make sizes constant (--dim)");
  }

  /** Registers with memory of their own and their shapes, in order. */
  Map<Integer, List<DimExpr>> owned() {
    return owned;
  }

  Set<Integer> twice() {
    return twice;
  }

  DType type(int register) {
    DType type = types.get(register);
    if (type == null) {
      throw refused("nothing tells the type of '" + name(register) + "'");
    }
    return type;
  }

  List<DimExpr> dims(int register) {
    List<DimExpr> dims = script.registers().get(register).dims();
    for (DimExpr dim : dims) {
      if (!known.containsAll(dim.symbols())) {
        throw refused("the size of '" + name(register) + "' " + dims + " depends on data");
      }
    }
    return dims;
  }

  private String name(int register) {
    return script.registers().get(register).name();
  }

  private void own(int register) {
    owned.put(register, dims(register));
  }

  private void set(int register, DType type) {
    if (register != Script.ABSENT) {
      types.put(register, type);
    }
  }

  private void block(Script.Block block) {
    for (Script.Step step : block.steps()) {
      switch (step) {
        case Script.Run run -> {
          var plan = model.segments().get(run.segment()).plan();
          if (!run.elements().isEmpty() || !run.derived().isEmpty()) {
            throw refused("sizes of " + kernels(run) + " depend on data");
          }
          if (!known.containsAll(plan.dims())) {
            throw refused("sizes of " + kernels(run) + " depend on data: " + plan.dims());
          }
          for (int i = 0; i < run.outputs().size(); i++) {
            set(run.outputs().get(i), plan.outputs().get(i).dtype());
            own(run.outputs().get(i));
          }
        }
        case Script.Choose choose -> {
          block(choose.then());
          block(choose.otherwise());
          List<Integer> results =
              choose.then().results().isEmpty()
                  ? choose.otherwise().results()
                  : choose.then().results();
          for (int i = 0; i < Math.min(results.size(), choose.outputs().size()); i++) {
            set(choose.outputs().get(i), type(results.get(i)));
          }
        }
        case Script.Iterate iterate -> iterate(iterate);
        case Script.Host host ->
            throw refused(host.origin() + " runs on the host (" + host.op() + ")");
        case Script.Fail _ -> {}
      }
    }
  }

  private void iterate(Script.Iterate step) {
    List<Integer> parameters = step.body().parameters();
    int head = 0;
    if (step.counted()) {
      set(parameters.get(0), DType.I64);
      set(parameters.get(1), DType.BOOL);
      head = 2;
    }
    for (int i = 0; i < step.initial().size(); i++) {
      set(parameters.get(head + i), type(step.initial().get(i)));
      set(step.outputs().get(i), type(step.initial().get(i)));
    }
    for (int i = 0; i < step.scanned().size(); i++) {
      int register = step.scanned().get(i).register();
      if (step.scanned().get(i).axis() < 0) {
        throw refused(step.origin() + " goes through a sequence");
      }
      set(parameters.get(head + step.initial().size() + i), type(register));
      dims(register);
    }
    parameters.forEach(this::own);
    if (step.initial().size() > 1) {
      twice.addAll(parameters.subList(head, head + step.initial().size()));
    }
    block(step.body());
    for (int i = 0; i < step.stacked().size(); i++) {
      int register = step.outputs().get(step.initial().size() + i);
      if (step.stacked().get(i).axis() < 0) {
        throw refused(step.origin() + " makes a sequence");
      }
      if (register != Script.ABSENT) {
        set(register, step.stacked().get(i).dtype());
        own(register);
      }
    }
  }

  private String kernels(Script.Run run) {
    return model.segments().get(run.segment()).plan().runSteps().stream()
        .findFirst()
        .map(call -> call.origin())
        .orElse("a segment");
  }
}
