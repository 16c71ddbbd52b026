package org.tersor.codegen.jvm;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.Handle;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;
import org.objectweb.asm.Type;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Plan;

/**
 * The class of a compiled model: constructors, {@code main}, and a typed {@code run} with one
 * parameter per symbolic dimension, one array per input and one per output.
 */
final class ModelClass {
  private static final String BASE = "org/tersor/runtime/CompiledModel";
  private static final String MAIN = "org/tersor/runtime/JarMain";

  private final Optional<Plan> plan;
  private final String name;

  /**
   * @param plan of a model whose outputs are as large as its inputs say: it gets the typed method
   */
  ModelClass(Optional<Plan> plan, String internalName) {
    this.plan = plan;
    this.name = internalName;
  }

  byte[] emit() {
    ClassWriter writer = new ClassWriter(ClassWriter.COMPUTE_MAXS);
    writer.visit(
        Opcodes.V25,
        Opcodes.ACC_PUBLIC | Opcodes.ACC_FINAL | Opcodes.ACC_SUPER,
        name,
        null,
        BASE,
        null);
    constructor(writer, "()V");
    constructor(writer, "(I)V");
    main(writer);
    plan.ifPresent(p -> typedRun(p, writer));
    writer.visitEnd();
    return writer.toByteArray();
  }

  private void constructor(ClassWriter writer, String descriptor) {
    MethodVisitor code = writer.visitMethod(Opcodes.ACC_PUBLIC, "<init>", descriptor, null, null);
    boolean threads = descriptor.equals("(I)V");
    if (threads) {
      code.visitParameter("threads", 0);
    }
    code.visitCode();
    code.visitVarInsn(Opcodes.ALOAD, 0);
    code.visitLdcInsn(Type.getObjectType(name));
    if (threads) {
      code.visitVarInsn(Opcodes.ILOAD, 1);
    } else {
      code.visitInsn(Opcodes.ICONST_1);
    }
    code.visitMethodInsn(Opcodes.INVOKESPECIAL, BASE, "<init>", "(Ljava/lang/Class;I)V", false);
    code.visitInsn(Opcodes.RETURN);
    code.visitMaxs(0, 0);
    code.visitEnd();
  }

  private void main(ClassWriter writer) {
    MethodVisitor code =
        writer.visitMethod(
            Opcodes.ACC_PUBLIC | Opcodes.ACC_STATIC,
            "main",
            "([Ljava/lang/String;)V",
            null,
            new String[] {"java/io/IOException", "java/lang/InterruptedException"});
    code.visitParameter("args", 0);
    code.visitCode();
    code.visitLdcInsn(Type.getObjectType(name));
    Handle metafactory =
        new Handle(
            Opcodes.H_INVOKESTATIC,
            "java/lang/invoke/LambdaMetafactory",
            "metafactory",
            "(Ljava/lang/invoke/MethodHandles$Lookup;Ljava/lang/String;Ljava/lang/invoke/MethodType;Ljava/lang/invoke/MethodType;"
                + "Ljava/lang/invoke/MethodHandle;Ljava/lang/invoke/MethodType;)Ljava/lang/invoke/CallSite;",
            false);
    code.visitInvokeDynamicInsn(
        "get",
        "()Ljava/util/function/Supplier;",
        metafactory,
        Type.getMethodType("()Ljava/lang/Object;"),
        new Handle(Opcodes.H_NEWINVOKESPECIAL, name, "<init>", "()V", false),
        Type.getMethodType("()L" + name + ";"));
    code.visitVarInsn(Opcodes.ALOAD, 0);
    code.visitMethodInsn(
        Opcodes.INVOKESTATIC,
        MAIN,
        "main",
        "(Ljava/lang/Class;Ljava/util/function/Supplier;[Ljava/lang/String;)V",
        false);
    code.visitInsn(Opcodes.RETURN);
    code.visitMaxs(0, 0);
    code.visitEnd();
  }

  private void typedRun(Plan plan, ClassWriter writer) {
    List<String> dims = dims(plan);
    StringBuilder descriptor = new StringBuilder("(");
    dims.forEach(d -> descriptor.append('J'));
    List<Port> ports = new ArrayList<>(plan.inputs());
    ports.addAll(plan.outputs());
    if (2 * dims.size() + ports.size() > 250
        || ports.stream().anyMatch(p -> p.dtype() == DType.STRING)) {
      return;
    }
    ports.forEach(p -> descriptor.append(arrayType(p)));
    MethodVisitor code =
        writer.visitMethod(
            Opcodes.ACC_PUBLIC, "run", descriptor.append(")V").toString(), null, null);
    Set<String> taken = new HashSet<>();
    dims.forEach(d -> code.visitParameter(identifier(d, taken), 0));
    ports.forEach(p -> code.visitParameter(identifier(p.name(), taken), 0));
    code.visitCode();
    code.visitVarInsn(Opcodes.ALOAD, 0);
    push(code, dims.size());
    code.visitIntInsn(Opcodes.NEWARRAY, Opcodes.T_LONG);
    int local = 1;
    for (int i = 0; i < dims.size(); i++, local += 2) {
      code.visitInsn(Opcodes.DUP);
      push(code, i);
      code.visitVarInsn(Opcodes.LLOAD, local);
      code.visitInsn(Opcodes.LASTORE);
    }
    for (List<Port> side : List.of(plan.inputs(), plan.outputs())) {
      push(code, side.size());
      code.visitTypeInsn(Opcodes.ANEWARRAY, "java/lang/Object");
      for (int i = 0; i < side.size(); i++, local++) {
        code.visitInsn(Opcodes.DUP);
        push(code, i);
        code.visitVarInsn(Opcodes.ALOAD, local);
        code.visitInsn(Opcodes.AASTORE);
      }
    }
    code.visitMethodInsn(
        Opcodes.INVOKEVIRTUAL,
        name,
        "runArrays",
        "([J[Ljava/lang/Object;[Ljava/lang/Object;)V",
        false);
    code.visitInsn(Opcodes.RETURN);
    code.visitMaxs(0, 0);
    code.visitEnd();
  }

  private static void push(MethodVisitor code, int value) {
    code.visitIntInsn(Opcodes.SIPUSH, value);
  }

  private static List<String> dims(Plan plan) {
    Set<String> dims = new TreeSet<>();
    plan.inputs().forEach(port -> port.shape().forEach(dim -> dims.addAll(dim.symbols())));
    return List.copyOf(dims);
  }

  private static String arrayType(Port port) {
    return switch (port.dtype().slot()) {
      case BYTE -> "[B";
      case SHORT -> "[S";
      case INT -> "[I";
      case LONG -> "[J";
      case FLOAT -> "[F";
      case DOUBLE -> "[D";
      case STRING -> "[Ljava/lang/String;";
    };
  }

  /** A Java name from a name in a model, which may be any text. */
  private static String identifier(String text, Set<String> taken) {
    String safe = text.replaceAll("[^A-Za-z0-9_]", "_");
    if (safe.isEmpty() || Character.isDigit(safe.charAt(0))) {
      safe = "v" + safe;
    }
    String unique = safe;
    for (int n = 2; !taken.add(unique); n++) {
      unique = safe + "_" + n;
    }
    return unique;
  }
}
