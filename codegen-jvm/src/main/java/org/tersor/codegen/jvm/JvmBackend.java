package org.tersor.codegen.jvm;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import jdk.incubator.vector.IntVector;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.Executable;
import org.tersor.runtime.KernelCode;
import org.tersor.runtime.PlanExecutable;

/** Kernels as Java bytecode: needs nothing but the JVM. */
public final class JvmBackend implements Backend.OfProgram {
  /** Asked apart, so that the rest works where the Vector API's module is not resolved. */
  private static final class Species {
    static int preferredBytes() {
      return IntVector.SPECIES_PREFERRED.vectorByteSize();
    }
  }

  @Override
  public String id() {
    return "jvm";
  }

  /** Bytes of the machine's preferred vector; 0 without the module jdk.incubator.vector. */
  static int vectorBytes() {
    try {
      return Species.preferredBytes();
    } catch (LinkageError e) {
      return 0;
    }
  }

  @Override
  public List<Target> targets() {
    List<Target> targets = new ArrayList<>();
    for (int bytes = Math.min(64, vectorBytes()); bytes >= 16; bytes /= 2) {
      targets.add(Target.jvm(bytes));
    }
    targets.add(Target.jvm(0));
    return targets;
  }

  @Override
  public Executable load(Program program, Options options) {
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put("backend", id());
    facts.put("target", program.target().name() + targetNote(program.target()));
    facts.putAll(program.facts());
    JvmEmitter emitter = new JvmEmitter(program.target());
    List<KernelCode> kernels = new ArrayList<>();
    for (LoopFunction function : program.kernels()) {
      JvmEmitter.Emitted emitted = emitter.emitWithSizes(function, HiddenKernels.CLASS_NAME);
      if (emitted.largestMethod() > JvmEmitter.METHOD_LIMIT) {
        facts.put(
            "slow kernel " + function.name(),
            "a method of "
                + emitted.largestMethod()
                + " bytes; HotSpot interprets those over "
                + JvmEmitter.METHOD_LIMIT);
      }
      kernels.add(HiddenKernels.define(function.name(), emitted.bytes()));
    }
    return new PlanExecutable(
        program.plan(),
        kernels,
        program.constants().stream().map(Constant::load).toList(),
        options.threads(),
        facts);
  }

  private static String targetNote(Target target) {
    if (target.vectorBytes() > vectorBytes()) {
      return ", wider than this machine's vectors of "
          + vectorBytes() * 8
          + " bits: correct but very slow";
    }
    return target.vectorBytes() == 0 && vectorBytes() == 0
        ? " (start java with --add-modules jdk.incubator.vector for vector code)"
        : "";
  }
}
