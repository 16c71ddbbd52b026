package org.tersor.codegen.jvm;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.KernelCode;
import org.tersor.runtime.TersorException;

/**
 * Compiles functions into this process, as hidden classes that are collected with their last use.
 */
public final class HiddenKernels {
  static final String CLASS_NAME = "org/tersor/codegen/jvm/Kernel";
  private static final MethodHandles.Lookup LOOKUP = MethodHandles.lookup();

  private HiddenKernels() {}

  /** The function's name is in its class's, so that profilers and HotSpot's logs show it. */
  static String className(LoopFunction function) {
    return CLASS_NAME + "_" + function.name();
  }

  /** The kernel of a legalised function. */
  public static KernelCode load(LoopFunction function, Target target) {
    byte[] bytes = new JvmEmitter(target).emit(function, className(function));
    return define(function.name(), bytes);
  }

  static KernelCode define(String name, byte[] bytes) {
    try {
      MethodHandles.Lookup hidden = LOOKUP.defineHiddenClass(bytes, true);
      return (KernelCode)
          hidden.findConstructor(hidden.lookupClass(), MethodType.methodType(void.class)).invoke();
    } catch (Throwable e) {
      throw new TersorException("TSR-0602", "kernel " + name + " cannot be loaded: " + e, e);
    }
  }
}
