package org.tersor.codegen.c;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.Plan;
import org.tersor.runtime.machine.PackedWeights;

/**
 * The C files of a program for one target. Kernels are spread over files, so that they compile side
 * by side; {@code steps.c} has the plan:
 *
 * <pre>
 * int64_t P_layout(const int64_t *d, int64_t *offsets)   fills offsets of the slots, gives the bytes of the arena or -1 (too large)
 * int64_t P_scratch(const int64_t *d)                    bytes that one worker needs beside the arena
 * void P_tasks(const int64_t *d, int64_t *tasks)         extent of each step's parallel loop
 * void P_step(const tsr_call *c, int32_t step, int64_t from, int64_t to, int32_t worker)
 * void P_steps(const tsr_call *c, int32_t from, int32_t to)
 * void P_direct(const tsr_call *c, int32_t from, int32_t to, void *input0, ..., void *output0, ...)
 * void P_work(const tsr_call *c, int64_t *counters, int64_t row, const int64_t *tasks, int64_t base, int32_t from, int32_t to, int32_t worker, int32_t workers)
 * </pre>
 *
 * Steps are numbered through: first those of the load, then those of a call.
 */
final class ProgramC implements LibraryCode {
  /**
   * Kernels in one file: a constant, so that the files depend on nothing but the program. Each file
   * costs a start of the compiler and a reading of its header.
   */
  private static final int KERNELS_PER_FILE = 18;

  /**
   * What a step works on; the same text in the library's own main file and in {@link
   * org.tersor.runtime.machine.NativeExecutable}.
   */
  static final String CALL_TYPE =
      """
      typedef struct {
        const void *const *inputs;
        void *const *outputs;
        const void *const *constants;
        unsigned char *packed;
        unsigned char *arena;
        const int64_t *offsets;
        unsigned char *scratch;
        int64_t scratch_bytes;
        const int64_t *d;
        const int32_t *cancel;
        int64_t *fault;
      } tsr_call;
      #define TSR_FAULT(c) __atomic_load_n((c)->fault, __ATOMIC_RELAXED)
      #define TSR_CANCELLED(c) ((c)->cancel && __atomic_load_n((c)->cancel, __ATOMIC_RELAXED))
      """;

  private final Program program;
  private final Plan plan;
  private final String prefix;
  private final boolean cuda;
  private final Isa isa;
  private final PackedWeights packed;

  ProgramC(Program program, String prefix) {
    this.program = program;
    this.plan = program.plan();
    this.prefix = prefix;
    this.cuda = program.target().kind() == Target.Kind.CUDA;
    // The emulation is plain C: any level gives the same bits.
    this.isa = cuda ? (Cpu.supports(Isa.AVX2) ? Isa.AVX2 : Isa.SCALAR) : Isa.of(program.target());
    this.packed = PackedWeights.of(plan);
  }

  @Override
  public Isa isa() {
    return isa;
  }

  @Override
  public String prefix() {
    return prefix;
  }

  /** Bytes of the packed weights, a constant of the program. */
  @Override
  public long packedBytes() {
    return packed.bytes();
  }

  @Override
  public int slots() {
    return plan.arenaSlots();
  }

  @Override
  public int loadSteps() {
    return plan.loadSteps().size();
  }

  @Override
  public int runSteps() {
    return plan.runSteps().size();
  }

  /** Names and texts of the files, in a fixed order. */
  @Override
  public Map<String, String> files() {
    Map<String, String> files = new LinkedHashMap<>();
    String linkage = cuda ? "TSR_KERNEL" : "__attribute__((visibility(\"hidden\")))";
    if (cuda) {
      files.put("tersor_device.h", CRuntime.resource("tersor_device.h"));
    }
    List<LoopFunction> kernels = program.kernels();
    for (int first = 0, file = 0; first < kernels.size(); first += KERNELS_PER_FILE, file++) {
      CUnit unit = new CUnit(cuda ? Isa.SCALAR : isa, cuda);
      for (int k = first; k < Math.min(kernels.size(), first + KERNELS_PER_FILE); k++) {
        CEmitter.emit(unit, kernels.get(k), kernel(k), linkage);
        ScratchSize.emit(unit, kernels.get(k), kernel(k), linkage);
      }
      files.put(prefix + "_kernels" + file + ".c", unit.prelude() + unit.text());
    }
    files.put(prefix + "_steps.c", new StepsC(program, prefix, packed).text());
    return files;
  }

  private String kernel(int k) {
    return kernel(prefix, k);
  }

  /** Name of the function of kernel {@code k}. */
  static String kernel(String prefix, int k) {
    return prefix + "_k" + k;
  }
}
