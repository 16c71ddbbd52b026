package org.tersor.runtime;

import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Where a call of a script writes its results: into tensors of the caller, as far as nothing else
 * reads or writes these in the call. Other results are copied at its end.
 */
final class ScriptTargets {
  private final Map<Integer, Tensor> byRegister = new HashMap<>();

  /**
   * @param inputs of the call
   * @param targets by name of the output
   * @param symbols values of dimensions that the inputs tell
   */
  ScriptTargets(
      Script script,
      Collection<Tensor> inputs,
      Map<String, Tensor> targets,
      Map<String, Long> symbols) {
    for (int i = 0; i < script.outputs().size(); i++) {
      Executable.Port port = script.outputs().get(i);
      Tensor target = targets.get(port.name());
      if (target != null
          && target.dtype() == port.dtype()
          && !Arguments.isAmong(target, inputs)
          && !Arguments.isAmong(target, byRegister.values())
          && fits(target, port, symbols)) {
        byRegister.putIfAbsent(script.main().results().get(i), target);
      }
    }
  }

  /** A size that only data tell is looked at when the result is there. */
  private static boolean fits(Tensor target, Executable.Port port, Map<String, Long> symbols) {
    for (DimExpr dim : port.shape()) {
      if (!symbols.keySet().containsAll(dim.symbols())) {
        return false;
      }
    }
    return Arrays.equals(target.shape(), Binding.shape(port, symbols));
  }

  /** What stands for a step's outputs are the results of a block that is about to run. */
  void hand(List<Integer> outputs, Script.Block block) {
    for (int i = 0; i < Math.min(outputs.size(), block.results().size()); i++) {
      Tensor target = byRegister.get(outputs.get(i));
      if (target != null) {
        byRegister.putIfAbsent(block.results().get(i), target);
      }
    }
  }

  /** Targets of a segment, by its outputs. */
  Map<String, Tensor> of(Script.Run run, Executable segment) {
    Map<String, Tensor> targets = new LinkedHashMap<>();
    for (int i = 0; i < run.outputs().size(); i++) {
      Tensor target = byRegister.get(run.outputs().get(i));
      if (target != null) {
        targets.put(segment.outputs().get(i).name(), target);
      }
    }
    return targets;
  }
}
