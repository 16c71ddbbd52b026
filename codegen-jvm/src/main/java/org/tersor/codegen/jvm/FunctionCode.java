package org.tersor.codegen.jvm;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.Label;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;

/**
 * The methods that hold a function's loops: one, or several where one would be too long to be
 * compiled.
 */
final class FunctionCode {
  static final String BODY = "body";

  /** Of 255 slots that a method's parameters may take. */
  private static final int MAX_SLOTS = 250;

  private final ClassWriter writer;
  private final ClassCode owner;
  private final String className;
  private final int vectorBytes;
  private final int budget;
  private final Map<String, Integer> sizes = new LinkedHashMap<>();
  private final ArrayDeque<Part> parts = new ArrayDeque<>();
  private IdentityHashMap<Stmt.Block, List<Splitter.Run>> runs = new IdentityHashMap<>();
  private int partCount;

  /** Statements that were moved, with what they use from outside. */
  private record Part(String name, String descriptor, int slots, Env env, List<Stmt> body) {}

  FunctionCode(ClassWriter writer, ClassCode owner, String className, int vectorBytes, int budget) {
    this.writer = writer;
    this.owner = owner;
    this.className = className;
    this.vectorBytes = vectorBytes;
    this.budget = budget;
  }

  /** Emits all methods; returns their sizes. */
  Map<String, Integer> emit(LoopFunction function) {
    int n = function.buffers().size();
    int dims = function.dims().size();
    int from = 2 * n + dims;
    String descriptor = descriptor(function);
    Consumer<Env> parameters =
        env -> {
          for (int i = 0; i < n; i++) {
            var buffer = function.buffers().get(i);
            env.bindBuffer(buffer.name(), new Env.Memory(stored(buffer), i, n + i));
          }
          for (int i = 0; i < dims; i++) {
            env.bind(
                function.dims().get(i),
                new Env.Value(Type.INDEX, 1, Kind.INT, new int[] {2 * n + i}));
          }
        };
    Body body =
        new Body(
            BODY,
            descriptor,
            from + 2,
            parameters,
            List.of(function.body()),
            from,
            !isParallel(function.body()));
    IdentityHashMap<Stmt, Integer> statementSizes = new IdentityHashMap<>();
    Env env = body.dry(statementSizes);
    runs = Splitter.choose(function.body(), statementSizes, budget);
    if (!runs.isEmpty()) {
      env = body.dry(new IdentityHashMap<>());
    }
    body.real(env);
    while (!parts.isEmpty()) {
      Part part = parts.removeFirst();
      Body moved =
          new Body(
              part.name,
              part.descriptor,
              part.slots,
              e -> e.bindAll(part.env),
              part.body,
              -1,
              false);
      moved.real(moved.dry(new IdentityHashMap<>()));
    }
    return sizes;
  }

  /** In tensors an INDEX is an I64. */
  static Scalar stored(LoopFunction.BufferParam buffer) {
    return buffer.element() == Scalar.INDEX ? Scalar.I64 : buffer.element();
  }

  static String descriptor(LoopFunction function) {
    StringBuilder descriptor = new StringBuilder("(");
    function.buffers().forEach(b -> descriptor.append(Kind.of(stored(b)).array()));
    descriptor.append("I".repeat(function.buffers().size() + function.dims().size() + 2));
    return descriptor.append(")V").toString();
  }

  private static boolean isParallel(Stmt statement) {
    return LoopNames.of(List.of(statement)).parallel;
  }

  /** One method. */
  private final class Body {
    private final String name;
    private final String descriptor;
    private final int firstLocal;
    private final Consumer<Env> parameters;
    private final List<Stmt> statements;
    private final int from;
    private final boolean oneTask;

    /**
     * @param from local with the first task, before that with their end
     * @param oneTask do nothing unless task 0 is among the tasks
     */
    Body(
        String name,
        String descriptor,
        int firstLocal,
        Consumer<Env> parameters,
        List<Stmt> statements,
        int from,
        boolean oneTask) {
      this.name = name;
      this.descriptor = descriptor;
      this.firstLocal = firstLocal;
      this.parameters = parameters;
      this.statements = statements;
      this.from = from;
      this.oneTask = oneTask;
    }

    /** Finds out the arrays that the method prepares, and the sizes of its statements. */
    Env dry(IdentityHashMap<Stmt, Integer> statementSizes) {
      Env env = new Env();
      IdentityHashMap<Stmt, Label[]> labels = new IdentityHashMap<>();
      write(new ClassWriter(0), env, new ClassCode(className), labels, false);
      labels.forEach((statement, ends) ->
          statementSizes.put(statement, ends[1].getOffset() - ends[0].getOffset()));
      return env;
    }

    void real(Env dry) {
      Env env = new Env();
      env.prepared.putAll(dry.prepared);
      sizes.put(name, write(writer, env, owner, new IdentityHashMap<>(), true));
    }

    private int write(
        ClassVisitor to,
        Env env,
        ClassCode constants,
        IdentityHashMap<Stmt, Label[]> labels,
        boolean enqueue) {
      MethodVisitor mv =
          to.visitMethod(Opcodes.ACC_PRIVATE | Opcodes.ACC_STATIC, name, descriptor, null, null);
      mv.visitCode();
      Code code = new Code(mv, firstLocal);
      parameters.accept(env);
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
      Label end = new Label();
      if (oneTask) {
        code.var(Opcodes.ILOAD, from);
        code.jump(Opcodes.IFGT, end);
        code.var(Opcodes.ILOAD, from + 1);
        code.jump(Opcodes.IFLE, end);
      }
      ExprCode expr = new ExprCode(code, env, vectorBytes, constants);
      StmtCode statementCode =
          new StmtCode(expr, from, runs, labels, run -> call(code, env, run, enqueue));
      statements.forEach(statementCode::emit);
      code.label(end);
      code.op(Opcodes.RETURN);
      mv.visitMaxs(0, 0);
      mv.visitEnd();
      return end.getOffset() + 1;
    }
  }

  /** Calls a method made of the statements; false if it would need too many parameters. */
  private boolean call(Code code, Env env, List<Stmt> run, boolean enqueue) {
    Env inside = new Env();
    List<Runnable> pushes = new ArrayList<>();
    StringBuilder descriptor = new StringBuilder("(");
    int slots = 0;
    for (String used : new TreeSet<>(LoopNames.of(run).used)) {
      for (boolean isBuffer : new boolean[] {false, true}) {
        Env.Binding binding = env.find(used, isBuffer).orElse(null);
        if (binding == null) {
          continue;
        }
        Env.Binding moved =
            switch (binding) {
              case Env.Value value -> {
                Env.Value copy = moved(value, slots, pushes, descriptor, code);
                slots += slots(value);
                yield copy;
              }
              case Env.LaneCount count -> {
                pushes.add(() -> code.var(Opcodes.ILOAD, count.local()));
                descriptor.append('I');
                yield new Env.LaneCount(slots++);
              }
              case Env.Memory memory -> {
                pushes.add(() -> code.var(Opcodes.ALOAD, memory.array()));
                descriptor.append(Kind.of(memory.element()).array());
                int array = slots++;
                if (memory.offset() < 0) {
                  yield new Env.Memory(memory.element(), array, -1);
                }
                pushes.add(() -> code.var(Opcodes.ILOAD, memory.offset()));
                descriptor.append('I');
                yield new Env.Memory(memory.element(), array, slots++);
              }
              case Env.Registers registers -> {
                Env.Value[] elements = new Env.Value[registers.elements().length];
                for (int i = 0; i < elements.length; i++) {
                  elements[i] = moved(registers.elements()[i], slots, pushes, descriptor, code);
                  slots += slots(elements[i]);
                }
                yield new Env.Registers(elements);
              }
            };
        if (isBuffer) {
          inside.bindBuffer(used, moved);
        } else {
          inside.bind(used, moved);
        }
      }
    }
    if (slots > MAX_SLOTS) {
      return false;
    }
    pushes.forEach(Runnable::run);
    String name = enqueue ? "part" + partCount++ : "part";
    code.invokeStatic(className, name, descriptor.append(")V").toString());
    if (enqueue) {
      parts.add(
          new Part(name, descriptor.toString(), slots, inside, Collections.unmodifiableList(run)));
    }
    return true;
  }

  private static int slots(Env.Value value) {
    return value.locals().length * (value.chunk() == 1 ? value.kind().slots() : 1);
  }

  private static Env.Value moved(
      Env.Value value, int slot, List<Runnable> pushes, StringBuilder descriptor, Code code) {
    int[] locals = new int[value.locals().length];
    boolean scalar = value.chunk() == 1;
    boolean mask = value.type().scalar() == Scalar.BOOL;
    for (int i = 0; i < locals.length; i++) {
      int local = value.locals()[i];
      pushes.add(() -> code.var(scalar ? value.kind().localLoad() : Opcodes.ALOAD, local));
      descriptor.append(
          scalar
              ? ScalarCode.stack(value.kind())
              : mask ? "L" + Code.MASK + ";" : value.kind().vectorDescriptor());
      locals[i] = slot;
      slot += scalar ? value.kind().slots() : 1;
    }
    return new Env.Value(value.type(), value.chunk(), value.kind(), locals);
  }
}
