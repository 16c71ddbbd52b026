package org.tersor.codegen.jvm;

import java.util.Map;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.TersorException;

/**
 * Turns a legalised {@link LoopFunction} into a class that implements {@link
 * org.tersor.runtime.KernelCode}. The loops are in one static method over typed arrays and ints,
 * the form that HotSpot's optimising compiler does best with. The class depends on the function and
 * the target alone: the same function gives the same bytes.
 */
public final class JvmEmitter {
  /** HotSpot never compiles methods of more bytes (HugeMethodLimit). */
  public static final int METHOD_LIMIT = 8000;

  /**
   * What ASM may take to compute the stack map frames of a class: its own limits are for classes of
   * strangers, and a dozen unrolled terms with conditions pass them. These mean seconds.
   */
  private static final int FRAME_BYTES = 1 << 28;

  private static final long FRAME_STEPS = 1L << 32;

  private static final String KERNEL_CODE = "org/tersor/runtime/KernelCode";

  private final int vectorBytes;
  private final int budget;

  public JvmEmitter(Target target) {
    this(target, Splitter.BUDGET);
  }

  /**
   * @param budget bytes of a method above which statements move to other methods
   */
  JvmEmitter(Target target, int budget) {
    if (target.kind() != Target.Kind.JVM) {
      throw new IllegalArgumentException(target.name() + " is no JVM target");
    }
    this.vectorBytes = target.vectorBytes();
    this.budget = budget;
  }

  /**
   * A generated class.
   *
   * @param bytes the class file
   * @param methodSizes bytes of bytecode of the methods that hold loops, by name
   */
  public record Emitted(byte[] bytes, Map<String, Integer> methodSizes) {
    /**
     * Size of the largest method; over {@link #METHOD_LIMIT} it would stay interpreted for ever.
     */
    public int largestMethod() {
      return methodSizes.values().stream().mapToInt(Integer::intValue).max().orElse(0);
    }
  }

  /** The class file of a class of that internal name. */
  public byte[] emit(LoopFunction function, String internalClassName) {
    return emitWithSizes(function, internalClassName).bytes();
  }

  public Emitted emitWithSizes(LoopFunction function, String internalClassName) {
    if (2 * function.buffers().size() + function.dims().size() + 2 > 255) {
      throw new TersorException(
          "TSR-0601",
          "kernel "
              + function.name()
              + " has "
              + function.buffers().size()
              + " buffers and "
              + function.dims().size()
              + " dimensions: more than a Java method takes; compile with less fusion");
    }
    ClassWriter writer =
        new ClassWriter(ClassWriter.COMPUTE_FRAMES) {
          @Override
          protected String getCommonSuperClass(String a, String b) {
            return "java/lang/Object";
          }
        };
    writer.setComputeLimits(FRAME_BYTES, FRAME_STEPS);
    writer.visit(
        Opcodes.V25,
        Opcodes.ACC_PUBLIC | Opcodes.ACC_FINAL | Opcodes.ACC_SUPER,
        internalClassName,
        null,
        "java/lang/Object",
        new String[] {KERNEL_CODE});
    try {
      return emit(writer, function, internalClassName);
    } catch (org.objectweb.asm.MethodTooLargeException
        | org.objectweb.asm.LimitExceededException e) {
      throw new TersorException(
          "TSR-0601",
          "kernel "
              + function.name()
              + " is too large for a Java method: "
              + e.getMessage()
              + ". Use smaller tiles",
          e);
    }
  }

  private Emitted emit(ClassWriter writer, LoopFunction function, String internalClassName) {
    ClassCode owner = new ClassCode(internalClassName);
    constructor(writer);
    run(writer, function, internalClassName);
    Map<String, Integer> sizes =
        new FunctionCode(writer, owner, internalClassName, vectorBytes, budget).emit(function);
    owner.emit(writer);
    writer.visitEnd();
    return new Emitted(writer.toByteArray(), sizes);
  }

  private static void constructor(ClassWriter writer) {
    MethodVisitor mv = writer.visitMethod(Opcodes.ACC_PUBLIC, "<init>", "()V", null, null);
    mv.visitCode();
    mv.visitVarInsn(Opcodes.ALOAD, 0);
    mv.visitMethodInsn(Opcodes.INVOKESPECIAL, "java/lang/Object", "<init>", "()V", false);
    mv.visitInsn(Opcodes.RETURN);
    mv.visitMaxs(0, 0);
    mv.visitEnd();
  }

  /** Unpacks the arguments. */
  private static void run(ClassWriter writer, LoopFunction function, String name) {
    MethodVisitor mv =
        writer.visitMethod(Opcodes.ACC_PUBLIC, "run", "([Ljava/lang/Object;[I[III)V", null, null);
    mv.visitCode();
    Code code = new Code(mv, 6);
    int n = function.buffers().size();
    for (int i = 0; i < n; i++) {
      code.var(Opcodes.ALOAD, 1);
      code.pushInt(i);
      code.op(Opcodes.AALOAD);
      code.cast(Kind.of(FunctionCode.stored(function.buffers().get(i))).array());
    }
    for (int i = 0; i < n; i++) {
      code.var(Opcodes.ALOAD, 2);
      code.pushInt(i);
      code.op(Opcodes.IALOAD);
    }
    for (int i = 0; i < function.dims().size(); i++) {
      code.var(Opcodes.ALOAD, 3);
      code.pushInt(i);
      code.op(Opcodes.IALOAD);
    }
    code.var(Opcodes.ILOAD, 4);
    code.var(Opcodes.ILOAD, 5);
    code.invokeStatic(name, FunctionCode.BODY, FunctionCode.descriptor(function));
    code.op(Opcodes.RETURN);
    mv.visitMaxs(0, 0);
    mv.visitEnd();
  }
}
