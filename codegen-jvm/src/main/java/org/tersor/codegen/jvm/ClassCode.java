package org.tersor.codegen.jvm;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;

/** Constants of the generated class: lane orders, and views of byte arrays as wider elements. */
final class ClassCode {
  private static final String SHUFFLE = "Ljdk/incubator/vector/VectorShuffle;";
  private static final String HANDLE = "Ljava/lang/invoke/VarHandle;";

  private final String name;
  private final Map<Object, String> fields = new LinkedHashMap<>();

  private record Shuffle(Kind kind, List<Integer> lanes) {}

  ClassCode(String name) {
    this.name = name;
  }

  void pushShuffle(Code code, Kind kind, List<Integer> lanes) {
    String field = fields.computeIfAbsent(new Shuffle(kind, lanes), k -> "shuffle" + fields.size());
    code.mv.visitFieldInsn(Opcodes.GETSTATIC, name, field, SHUFFLE);
  }

  /** A VarHandle of (byte[], int) for little-endian elements of that kind. */
  void pushView(Code code, Kind kind) {
    String field = fields.computeIfAbsent(kind, k -> "view" + fields.size());
    code.mv.visitFieldInsn(Opcodes.GETSTATIC, name, field, HANDLE);
  }

  void emit(ClassVisitor visitor) {
    if (fields.isEmpty()) {
      return;
    }
    int access = Opcodes.ACC_PRIVATE | Opcodes.ACC_STATIC | Opcodes.ACC_FINAL;
    fields.forEach((key, field) ->
        visitor
            .visitField(access, field, key instanceof Kind ? HANDLE : SHUFFLE, null, null)
            .visitEnd());
    MethodVisitor mv = visitor.visitMethod(Opcodes.ACC_STATIC, "<clinit>", "()V", null, null);
    mv.visitCode();
    Code code = new Code(mv, 0);
    fields.forEach((key, field) -> {
      if (key instanceof Shuffle shuffle) {
        code.species(shuffle.kind, shuffle.lanes.size());
        code.pushInt(shuffle.lanes.size());
        mv.visitIntInsn(Opcodes.NEWARRAY, Opcodes.T_INT);
        for (int i = 0; i < shuffle.lanes.size(); i++) {
          code.op(Opcodes.DUP);
          code.pushInt(i);
          code.pushInt(shuffle.lanes.get(i));
          code.op(Opcodes.IASTORE);
        }
        code.invokeInterface(Code.SPECIES, "shuffleFromValues", "([I)" + SHUFFLE);
        mv.visitFieldInsn(Opcodes.PUTSTATIC, name, field, SHUFFLE);
      } else if (key instanceof Kind kind) {
        mv.visitLdcInsn(org.objectweb.asm.Type.getType(kind.array()));
        mv.visitFieldInsn(
            Opcodes.GETSTATIC, "java/nio/ByteOrder", "LITTLE_ENDIAN", "Ljava/nio/ByteOrder;");
        code.invokeStatic(
            "java/lang/invoke/MethodHandles",
            "byteArrayViewVarHandle",
            "(Ljava/lang/Class;Ljava/nio/ByteOrder;)" + HANDLE);
        mv.visitFieldInsn(Opcodes.PUTSTATIC, name, field, HANDLE);
      }
    });
    code.op(Opcodes.RETURN);
    mv.visitMaxs(0, 0);
    mv.visitEnd();
  }
}
