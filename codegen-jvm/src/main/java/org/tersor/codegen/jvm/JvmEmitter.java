package org.tersor.codegen.jvm;

import java.util.LinkedHashMap;
import java.util.Map;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.Label;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
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

  private static final String BODY = "body";
  private static final String KERNEL_CODE = "org/tersor/runtime/KernelCode";

  private final int vectorBytes;

  public JvmEmitter(Target target) {
    if (target.kind() != Target.Kind.JVM) {
      throw new IllegalArgumentException(target.name() + " is no JVM target");
    }
    this.vectorBytes = target.vectorBytes();
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
    // The first pass finds out which scratch arrays the body needs.
    Env first = new Env();
    body(new ClassWriter(0), function, first, new ClassCode(internalClassName));
    Env second = new Env();
    second.prepared.putAll(first.prepared);
    Map<String, Integer> sizes = new LinkedHashMap<>();
    sizes.put(BODY, body(writer, function, second, owner));
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

  private static String descriptor(LoopFunction function) {
    StringBuilder descriptor = new StringBuilder("(");
    function.buffers().forEach(b -> descriptor.append(Kind.of(stored(b)).array()));
    descriptor.append("I".repeat(function.buffers().size() + function.dims().size() + 2));
    return descriptor.append(")V").toString();
  }

  /** In tensors an INDEX is an I64. */
  private static Scalar stored(LoopFunction.BufferParam buffer) {
    return buffer.element() == Scalar.INDEX ? Scalar.I64 : buffer.element();
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
      code.cast(Kind.of(stored(function.buffers().get(i))).array());
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
    code.invokeStatic(name, BODY, descriptor(function));
    code.op(Opcodes.RETURN);
    mv.visitMaxs(0, 0);
    mv.visitEnd();
  }

  /** Emits the loops; returns the number of bytes of bytecode. */
  private int body(ClassWriter writer, LoopFunction function, Env env, ClassCode owner) {
    MethodVisitor mv =
        writer.visitMethod(
            Opcodes.ACC_PRIVATE | Opcodes.ACC_STATIC, BODY, descriptor(function), null, null);
    mv.visitCode();
    int n = function.buffers().size();
    int dims = function.dims().size();
    Code code = new Code(mv, 2 * n + dims + 2);
    for (int i = 0; i < n; i++) {
      var buffer = function.buffers().get(i);
      env.bindBuffer(buffer.name(), new Env.Memory(stored(buffer), i, n + i));
    }
    for (int i = 0; i < dims; i++) {
      env.bind(
          function.dims().get(i), new Env.Value(Type.INDEX, 1, Kind.INT, new int[] {2 * n + i}));
    }
    int from = 2 * n + dims;
    int to = from + 1;
    Label end = new Label();
    env.prepared.forEach((key, array) -> {
      int local = code.newLocal(1);
      env.preparedLocals.put(key, local);
      if (array.size() == 0) {
        code.op(Opcodes.ACONST_NULL);
      } else {
        code.pushInt(array.size());
        mv.visitIntInsn(Opcodes.NEWARRAY, array.kind().newArrayCode);
      }
      code.var(Opcodes.ASTORE, local);
    });
    if (!isParallel(function.body())) {
      code.var(Opcodes.ILOAD, from);
      code.jump(Opcodes.IFGT, end);
      code.var(Opcodes.ILOAD, to);
      code.jump(Opcodes.IFLE, end);
    }
    new StmtCode(new ExprCode(code, env, vectorBytes, owner), from, to).emit(function.body());
    code.label(end);
    code.op(Opcodes.RETURN);
    mv.visitMaxs(0, 0);
    mv.visitEnd();
    return end.getOffset() + 1;
  }

  private static boolean isParallel(Stmt statement) {
    return switch (statement) {
      case Stmt.Block b -> b.body().stream().anyMatch(JvmEmitter::isParallel);
      case Stmt.For f -> f.kind() == Stmt.LoopKind.PARALLEL;
      case Stmt.While w -> false;
      case Stmt.Let l -> false;
      case Stmt.Local l -> false;
      case Stmt.Assign a -> false;
      case Stmt.Store s -> false;
      case Stmt.If i -> false;
      case Stmt.Alloc a -> false;
      case Stmt.Prefetch p -> false;
      case Stmt.Barrier b -> false;
    };
  }
}
