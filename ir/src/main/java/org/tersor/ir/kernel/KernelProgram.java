package org.tersor.ir.kernel;

/** The body of a kernel that is no plain list of stages. Passes leave such kernels whole. */
public sealed interface KernelProgram permits LoopProgram, RepeatedStages {}
