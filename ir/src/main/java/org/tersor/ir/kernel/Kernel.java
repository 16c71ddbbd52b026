package org.tersor.ir.kernel;

import java.util.List;
import java.util.Optional;

/**
 * A kernel before scheduling: stages run in order; a stage may read what earlier ones wrote.
 * Buffers that are neither inputs nor outputs are temporaries. This is the one source of every
 * backend's code.
 *
 * @param name an identifier made by the compiler, e.g. "conv"
 * @param program instead of stages: the kernel in the loop IR, or stages that are repeated
 */
public record Kernel(
    String name,
    List<Buf> inputs,
    List<Buf> outputs,
    List<Stage> stages,
    Optional<KernelProgram> program) {

  /** A kernel of stages. */
  public Kernel(String name, List<Buf> inputs, List<Buf> outputs, List<Stage> stages) {
    this(name, inputs, outputs, stages, Optional.empty());
  }

  public Kernel {
    inputs = List.copyOf(inputs);
    outputs = List.copyOf(outputs);
    stages = List.copyOf(stages);
  }
}
