package org.tersor.plugins.x86;

import java.util.Map;
import org.tersor.plugins.x86.Operand.Mem;

/**
 * {@code void work(call rdi, long *counters rsi, const long *tasks rdx, int from ecx, int to r8d,
 * int worker r9d, int workers)}: several threads run it at once. They claim tasks of a step by
 * {@code counters[2 * step]} and go on when {@code counters[2 * step + 1]} says that all are done,
 * so a thread that comes late, or never, holds up nobody. Waiting spins for a while, then yields
 * the processor.
 */
final class WorkLoop {
  private static final int SPINS = 2000;
  private static final int SCHED_YIELD = 24;

  private static final int CALL = 1;
  private static final int COUNTERS = 2;
  private static final int TASKS = 3;
  private static final int STEP = 4;
  private static final int LAST = 5;
  private static final int MEMORY = 6;
  private static final int FIRST = 7;
  private static final int END = 8;
  private static final int CHUNK = 9;
  private static final int WORKERS = 10;
  private static final int WAITED = 11;

  private final Hand hand;
  private final Runnable dispatch;
  private final Map<String, Integer> places;

  WorkLoop(Hand hand, Runnable dispatch, Map<String, Integer> places) {
    this.hand = hand;
    this.dispatch = dispatch;
    this.places = places;
  }

  private static Mem local(int number) {
    return Hand.local(number);
  }

  /** The address of the step's first counter to rsi, its number of tasks to rdx. */
  private void step() {
    hand.load(Reg.RAX, local(STEP));
    hand.load(Reg.RDX, local(TASKS));
    hand.load(Reg.RDX, Mem.of(Reg.RDX, Reg.RAX, 8, 0));
    hand.load(Reg.RSI, local(COUNTERS));
    hand.two(Op.ADD, Reg.RAX, Reg.RAX);
    hand.two(Op.LEA, Reg.RSI, Mem.of(Reg.RSI, Reg.RAX, 8, 0));
  }

  private void add(Reg amount, Mem to) {
    hand.assembler.emit(new Ins(Op.XADD, 8).source(amount).operand(to));
  }

  void emit() {
    hand.assembler.align(16);
    places.put("work", hand.assembler.position());
    hand.enter(8 * WAITED);
    hand.store(Reg.RDI, local(CALL));
    hand.store(Reg.RSI, local(COUNTERS));
    hand.store(Reg.RDX, local(TASKS));
    hand.two(Op.MOVSD, Reg.RAX, Reg.RCX);
    hand.store(Reg.RAX, local(STEP));
    hand.two(Op.MOVSD, Reg.RAX, Hand.R8);
    hand.store(Reg.RAX, local(LAST));
    hand.two(Op.MOVSD, Reg.RAX, Hand.R9);
    hand.two(Op.IMUL, Reg.RAX, Mem.of(Reg.RDI, 56));
    hand.two(Op.ADD, Reg.RAX, Mem.of(Reg.RDI, 48));
    hand.store(Reg.RAX, local(MEMORY));
    hand.two(Op.MOVSD, Reg.RAX, Mem.of(Reg.RBP, 16));
    hand.store(Reg.RAX, local(WORKERS));
    Label next = new Label();
    Label end = new Label();
    hand.label(next);
    hand.load(Reg.RAX, local(STEP));
    hand.compare(Reg.RAX, local(LAST));
    hand.jump(Condition.NOT_LESS, end);
    chunk();
    claim();
    await();
    hand.load(Reg.RDI, local(CALL));
    hand.load(Reg.RAX, Mem.of(Reg.RDI, 80));
    hand.load(Reg.RAX, Mem.of(Reg.RAX, 0));
    hand.compare(Reg.RAX, 0);
    hand.jump(Condition.NOT_ZERO, end);
    hand.load(Reg.RAX, local(STEP));
    hand.change(Op.ADDI, Reg.RAX, 1);
    hand.store(Reg.RAX, local(STEP));
    hand.jump(next);
    hand.label(end);
    hand.leave();
  }

  /** A quarter of a worker's share of the tasks, at least one. */
  private void chunk() {
    step();
    hand.two(Op.MOV, Reg.RAX, Reg.RDX);
    hand.load(Reg.RCX, local(WORKERS));
    hand.change(Op.SHLI, Reg.RCX, 2);
    hand.assembler.emit(new Ins(Op.CDQ, 8));
    hand.assembler.emit(new Ins(Op.IDIV, 8).operand(Reg.RCX));
    Label some = new Label();
    hand.compare(Reg.RAX, 1);
    hand.jump(Condition.NOT_LESS, some);
    hand.number(Reg.RAX, 1);
    hand.label(some);
    hand.store(Reg.RAX, local(CHUNK));
  }

  private void claim() {
    Label again = new Label();
    Label none = new Label();
    Label whole = new Label();
    hand.label(again);
    step();
    hand.compare(Reg.RDX, Mem.of(Reg.RSI, 0));
    hand.jump(Condition.NOT_GREATER, none);
    hand.load(Reg.RAX, local(CHUNK));
    add(Reg.RAX, Mem.of(Reg.RSI, 0));
    hand.compare(Reg.RAX, Reg.RDX);
    hand.jump(Condition.NOT_LESS, none);
    hand.store(Reg.RAX, local(FIRST));
    hand.two(Op.ADD, Reg.RAX, local(CHUNK));
    hand.compare(Reg.RAX, Reg.RDX);
    hand.jump(Condition.NOT_GREATER, whole);
    hand.two(Op.MOV, Reg.RAX, Reg.RDX);
    hand.label(whole);
    hand.store(Reg.RAX, local(END));
    hand.two(Op.MOV, Reg.RDX, Reg.RAX);
    hand.load(Reg.RSI, local(FIRST));
    hand.load(Reg.RDI, local(CALL));
    hand.load(Reg.RCX, local(MEMORY));
    hand.load(Reg.RAX, local(STEP));
    dispatch.run();
    step();
    hand.load(Reg.RAX, local(END));
    hand.two(Op.SUB, Reg.RAX, local(FIRST));
    add(Reg.RAX, Mem.of(Reg.RSI, 8));
    hand.jump(again);
    hand.label(none);
  }

  private void await() {
    Label wait = new Label();
    Label yield = new Label();
    Label done = new Label();
    hand.number(Reg.RAX, 0);
    hand.store(Reg.RAX, local(WAITED));
    hand.label(wait);
    step();
    hand.compare(Reg.RDX, Mem.of(Reg.RSI, 8));
    hand.jump(Condition.NOT_GREATER, done);
    hand.load(Reg.RAX, local(WAITED));
    hand.change(Op.ADDI, Reg.RAX, 1);
    hand.store(Reg.RAX, local(WAITED));
    hand.compare(Reg.RAX, SPINS);
    hand.jump(Condition.GREATER, yield);
    hand.assembler.emit(new Ins(Op.PAUSE, 4));
    hand.jump(wait);
    hand.label(yield);
    hand.number(Reg.RAX, SCHED_YIELD);
    hand.assembler.emit(new Ins(Op.SYSCALL, 4));
    hand.jump(wait);
    hand.label(done);
  }
}
