package org.tersor.plugins.x86;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.tersor.plugins.x86.Operand.Mem;

/**
 * The instructions of a function as they are made: a list in which places before loops stay open,
 * for what a loop's body turns out to need and what does not change in it.
 */
final class Code {
  /** Instructions and parts that may still grow. */
  static final class Chunk {
    private final List<Object> items = new ArrayList<>();

    private void flatten(List<Ins> into) {
      for (Object item : items) {
        if (item instanceof Chunk inner) {
          inner.flatten(into);
        } else if (item instanceof Ins ins) {
          into.add(ins);
        }
      }
    }
  }

  /** A loop under construction, or the function at level 0. */
  static final class Loop {
    final int level;

    /** Before the loop. */
    final Chunk before;

    /** At the end of each turn. */
    final Chunk step = new Chunk();

    /** What has been computed before the loop, by any key that says what. */
    final Map<Object, Object> known = new HashMap<>();

    /** The variable of a counted loop, and what is added to it. */
    Reg variable = Reg.NONE;

    long stride;

    Loop(int level, Chunk before) {
      this.level = level;
      this.before = before;
    }
  }

  final Pool pool;
  final Frame frame;
  private final Chunk all = new Chunk();
  private Chunk out = all;
  private final Deque<Loop> loops = new ArrayDeque<>();

  Code(Pool pool, Frame frame) {
    this.pool = pool;
    this.frame = frame;
    open();
  }

  List<Ins> finish() {
    List<Ins> list = new ArrayList<>();
    all.flatten(list);
    frame.seal();
    return list;
  }

  /** Begins a loop (without code). */
  Loop open() {
    Chunk before = new Chunk();
    out.items.add(before);
    Loop loop = new Loop(loops.size(), before);
    loops.push(loop);
    return loop;
  }

  /** Puts in place what each turn of the innermost loop ends with. */
  void step() {
    out.items.add(loops.element().step);
  }

  void close() {
    loops.pop();
  }

  /** Loops around, the function included. */
  int level() {
    return loops.size() - 1;
  }

  Loop innermost() {
    return loops.element();
  }

  /** Emits before the loop of that level, in the code of the loop outside of it. */
  <T> T before(int level, Supplier<T> code) {
    Deque<Loop> inner = new ArrayDeque<>();
    Loop loop = loops.element();
    while (loop.level > level) {
      inner.push(loops.pop());
      loop = loops.element();
    }
    Chunk saved = out;
    out = loop.before;
    // The function's own place is before everything.
    if (level > 0) {
      inner.push(loops.pop());
    }
    T result = code.get();
    out = saved;
    while (!inner.isEmpty()) {
      loops.push(inner.pop());
    }
    return result;
  }

  /** What was made before the loop of that level under a key, or is made there now. */
  <T> T once(int level, Object key, Class<T> type, Supplier<T> code) {
    Loop loop = loops.stream().filter(l -> l.level == level).findFirst().orElseThrow();
    Object known = loop.known.get(key);
    if (known != null) {
      return type.cast(known);
    }
    T made = before(level, code);
    loop.known.put(key, made);
    return made;
  }

  /** Emits into the end of each turn of the innermost loop. */
  void atStep(Runnable code) {
    Chunk saved = out;
    out = loops.element().step;
    code.run();
    out = saved;
  }

  Ins add(Ins ins) {
    out.items.add(ins);
    return ins;
  }

  static Reg integer() {
    return new Reg(Reg.Kind.INTEGER);
  }

  static Reg vector() {
    return new Reg(Reg.Kind.VECTOR);
  }

  static Reg maskRegister() {
    return new Reg(Reg.Kind.MASK);
  }

  /** {@code target = op(operand)}. */
  Ins two(Op op, int size, Reg target, Operand operand) {
    return add(new Ins(op, size).target(target).operand(operand));
  }

  /** {@code target = op(source, operand)}. */
  Ins three(Op op, int size, Reg target, Reg source, Operand operand) {
    return add(new Ins(op, size).target(target).source(source).operand(operand));
  }

  /** {@code target = op(target, imm)}. */
  Ins change(Op op, int size, Reg target, long imm) {
    return add(new Ins(op, size).target(target).imm(imm));
  }

  /** Stores, or compares: {@code op(source, operand)}. */
  Ins read(Op op, int size, Reg source, Operand operand) {
    return add(new Ins(op, size).source(source).operand(operand));
  }

  void label(Label label) {
    add(new Ins(Op.LABEL, 0).label(label));
  }

  void jump(Label label) {
    add(new Ins(Op.JMP, 0).label(label));
  }

  void jump(int condition, Label label) {
    add(new Ins(Op.JCC, 0).imm(condition).label(label));
  }

  /** A register move of any kind. */
  void move(Reg target, Reg from) {
    if (target == from) {
      return;
    }
    switch (target.kind) {
      case INTEGER -> two(Op.MOV, 8, target, from);
      case VECTOR -> two(Op.VMOVAPS, 64, target, from);
      case MASK -> two(Op.KMOV, 8, target, from);
      case NONE -> throw new IllegalStateException("no register");
    }
  }

  Reg copy(Reg from) {
    Reg target = new Reg(from.kind);
    move(target, from);
    return target;
  }

  /** An integer register with a number. */
  Reg number(long value) {
    Reg target = integer();
    number(target, value);
    return target;
  }

  void number(Reg target, long value) {
    if (value == (int) value) {
      change(Op.MOVI, 8, target, value);
    } else if (value == (value & 0xFFFFFFFFL)) {
      change(Op.MOVIQ, 4, target, value);
    } else {
      change(Op.MOVIQ, 8, target, value);
    }
  }

  /** Constant bytes in a vector register, loaded before the innermost loop. */
  Reg constant(int elementBytes, long... values) {
    int number = pool.add(elementBytes, values);
    int size = Math.clamp(pool.get(number).length, 16, 64);
    if (pool.get(number).length < 16) {
      throw new IllegalStateException("a constant of less than a register");
    }
    return once(
        level(),
        "constant " + number,
        Reg.class,
        () -> {
          Reg target = vector();
          two(Op.VMOVDQU32, size, target, Mem.pool(number));
          return target;
        });
  }

  /** The pool's memory of an element. */
  Mem element(int bytes, long value) {
    return Mem.pool(pool.add(bytes, value));
  }

  /** An element in all lanes of a vector register, loaded before the innermost loop. */
  Reg all(int elementBytes, long value) {
    int number = pool.add(elementBytes, value);
    return once(
        level(),
        "all " + number,
        Reg.class,
        () -> {
          Reg target = vector();
          Op op =
              switch (elementBytes) {
                case 1 -> Op.VPBROADCASTB;
                case 2 -> Op.VPBROADCASTW;
                case 4 -> Op.VPBROADCASTD;
                default -> Op.VPBROADCASTQ;
              };
          two(op, 64, target, Mem.pool(number));
          return target;
        });
  }
}
