package org.tersor.passes.lower;

import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.tersor.ir.graph.ModelMetadata;
import org.tersor.ir.graph.Value;
import org.tersor.runtime.Executable;

/** Which outputs may be written into memory of inputs: those that the next call gets there. */
final class StateMemories {
  private StateMemories() {}

  /**
   * Whether an input that an output may share its memory with is read when a kernel writes the
   * output, or later. Then the output is made elsewhere and copied when all has been read.
   */
  static boolean areReadLate(LoweredGraph lowered, Value output) {
    Set<String> names =
        ModelMetadata.states(lowered.graph()).stream()
            .filter(state -> state.output().equals(output.name()))
            .map(Executable.State::input)
            .collect(Collectors.toSet());
    List<Value> inputs =
        lowered.graph().inputs().stream().filter(v -> names.contains(v.name())).toList();
    Value root = lowered.root(output);
    boolean begun = false;
    for (KernelCall call : lowered.calls()) {
      begun |= call.writes().stream().map(lowered::root).anyMatch(root::equals);
      if (begun && call.reads().stream().map(lowered::root).anyMatch(inputs::contains)) {
        return true;
      }
    }
    return lowered.graph().outputs().stream().map(lowered::root).anyMatch(inputs::contains);
  }
}
