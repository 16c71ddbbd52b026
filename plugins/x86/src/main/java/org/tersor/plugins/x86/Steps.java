package org.tersor.plugins.x86;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.Target;
import org.tersor.plugins.x86.Operand.Mem;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Plan;
import org.tersor.runtime.machine.PackedWeights;

/**
 * The plan of a program as code: {@code step}, {@code steps} and {@code direct} as {@link
 * org.tersor.runtime.machine.NativeExecutable} calls them. A step is a function over the call
 * (rdi), its first task (rsi), the end (rdx; -1 for all) and scratch memory (rcx).
 */
final class Steps {
  // Fields of the call.
  private static final int INPUTS = 0;
  private static final int OUTPUTS = 8;
  private static final int CONSTANTS = 16;
  private static final int PACKED = 24;
  private static final int ARENA = 32;
  private static final int OFFSETS = 40;
  private static final int SCRATCH = 48;
  private static final int SCRATCH_BYTES = 56;
  private static final int SYMBOLS = 64;
  private static final int FAULT = 80;

  private final Plan plan;
  private final Target target;
  private final List<Label> kernels;
  private final Assembler assembler;
  private final Hand hand;
  private final PackedWeights packed;
  private final Map<List<DimExpr>, Label> sizes = new HashMap<>();
  private final Label table = new Label();
  private final Map<String, Integer> places = new LinkedHashMap<>();

  private Steps(Plan plan, Target target, List<Label> kernels, Assembler assembler) {
    this.plan = plan;
    this.target = target;
    this.kernels = kernels;
    this.assembler = assembler;
    this.hand = new Hand(assembler);
    this.packed = PackedWeights.of(plan);
  }

  /** Emits everything; where the functions are. */
  static Map<String, Integer> emit(
      Plan plan, Target target, List<Label> kernels, Assembler assembler) {
    Steps steps = new Steps(plan, target, kernels, assembler);
    steps.emit();
    return steps.places;
  }

  private void emit() {
    List<Plan.Call> calls = new ArrayList<>(plan.loadSteps());
    calls.addAll(plan.runSteps());
    List<Label> labels = new ArrayList<>();
    for (int i = 0; i < calls.size(); i++) {
      labels.add(step(calls.get(i), i));
    }
    assembler.align(4);
    hand.label(table);
    for (Label label : labels) {
      assembler.data(label.position() - table.position(), 4);
    }
    oneStep();
    Label all = steps();
    direct(all);
  }

  private void begin(String name) {
    assembler.align(16);
    places.put(name, assembler.position());
  }

  private static Mem field(Reg call, int offset) {
    return Mem.of(call, offset);
  }

  /** Calls the step whose number is in rax. */
  private void dispatch() {
    Reg address = Reg.fixed(Reg.Kind.INTEGER, 11);
    Reg start = Reg.fixed(Reg.Kind.INTEGER, 10);
    hand.two(Op.LEA, start, Mem.at(table));
    hand.two(Op.MOVSD, address, Mem.of(start, Reg.RAX, 4, 0));
    hand.two(Op.ADD, address, start);
    hand.call(address);
  }

  /** What a step needs to know that is not a constant. */
  private static List<DimExpr> unknown(Plan.Call call) {
    List<DimExpr> list = new ArrayList<>();
    call.dims().stream().filter(d -> !d.isConst()).forEach(list::add);
    if (!call.tasks().isConst()) {
      list.add(call.tasks());
    }
    call.demand().map(Steps::range).filter(r -> !r.isConst()).ifPresent(list::add);
    return list.stream().distinct().toList();
  }

  private static DimExpr range(Plan.Demand demand) {
    return demand.most().minus(demand.least());
  }

  private Label step(Plan.Call call, int number) {
    List<DimExpr> unknown = unknown(call);
    Optional<Label> evaluate =
        unknown.isEmpty()
            ? Optional.empty()
            : Optional.of(sizes.computeIfAbsent(unknown, this::sizesFunction));
    int buffers = call.buffers().size();
    int arguments = Math.max(5, Stmts.BUFFERS + buffers + call.dims().size());
    Label begin = new Label();
    assembler.align(16);
    hand.label(begin);
    // Under rbp: the call, from, to, scratch, then the values.
    hand.frame(8 * (4 + unknown.size() + arguments + 1));
    hand.store(Reg.RDI, Mem.of(Reg.RBP, -8));
    hand.store(Reg.RSI, Mem.of(Reg.RBP, -16));
    hand.store(Reg.RDX, Mem.of(Reg.RBP, -24));
    hand.store(Reg.RCX, Mem.of(Reg.RBP, -32));
    int values = -8 * (4 + unknown.size());
    if (evaluate.isPresent()) {
      hand.number(Reg.RAX, 0);
      hand.store(Reg.RAX, argument(Stmts.FROM));
      hand.store(Reg.RCX, argument(Stmts.SCRATCH));
      hand.number(Reg.RAX, 1);
      hand.store(Reg.RAX, argument(Stmts.TO));
      hand.load(Reg.RAX, field(Reg.RDI, SYMBOLS));
      hand.store(Reg.RAX, argument(Stmts.BUFFERS));
      hand.two(Op.LEA, Reg.RAX, Mem.of(Reg.RBP, values));
      hand.store(Reg.RAX, argument(Stmts.BUFFERS + 1));
      hand.call(evaluate.get());
      hand.load(Reg.RDI, Mem.of(Reg.RBP, -8));
    }
    hand.load(Reg.RSI, Mem.of(Reg.RBP, -16));
    hand.load(Reg.RDX, Mem.of(Reg.RBP, -24));
    hand.load(Reg.RCX, Mem.of(Reg.RBP, -32));
    Label some = new Label();
    hand.compare(Reg.RDX, 0);
    hand.jump(Condition.NOT_LESS, some);
    value(Reg.RDX, call.tasks(), unknown, values);
    hand.label(some);
    hand.store(Reg.RSI, argument(Stmts.FROM));
    hand.store(Reg.RDX, argument(Stmts.TO));
    hand.store(Reg.RCX, argument(Stmts.SCRATCH));
    for (int b = 0; b < buffers; b++) {
      pointer(Reg.RAX, plan.buffers().get(call.buffers().get(b)));
      hand.store(Reg.RAX, argument(Stmts.BUFFERS + b));
    }
    for (int d = 0; d < call.dims().size(); d++) {
      value(Reg.RAX, call.dims().get(d), unknown, values);
      hand.store(Reg.RAX, argument(Stmts.BUFFERS + buffers + d));
    }
    Label end = new Label();
    if (call.carries()) {
      hand.load(Reg.RAX, argument(Stmts.BUFFERS));
      hand.compare(Reg.RAX, argument(Stmts.BUFFERS + 1));
      hand.jump(Condition.ZERO, end);
    }
    hand.call(kernels.get(call.kernel()));
    call.demand().ifPresent(demand -> demand(demand, number, unknown, values, end));
    hand.label(end);
    hand.unframe();
    return begin;
  }

  private static Mem argument(int number) {
    return Mem.of(Reg.RSP, 8 * number);
  }

  private Label sizesFunction(List<DimExpr> list) {
    LoopFunction function = Sizes.function(list, plan.dims());
    return Kernel.emit(function, target, assembler);
  }

  private void value(Reg to, DimExpr size, List<DimExpr> unknown, int values) {
    if (size.isConst()) {
      hand.number(to, size.constValue());
    } else {
      hand.load(to, Mem.of(Reg.RBP, values + 8 * unknown.indexOf(size)));
    }
  }

  /** The call is in rdi. */
  private void pointer(Reg to, Plan.Buffer b) {
    switch (b.storage()) {
      case INPUT, OUTPUT, CONSTANT -> {
        int list =
            switch (b.storage()) {
              case INPUT -> INPUTS;
              case OUTPUT -> OUTPUTS;
              default -> CONSTANTS;
            };
        hand.load(to, field(Reg.RDI, list));
        hand.load(to, Mem.of(to, 8 * b.index()));
      }
      case PACKED -> {
        hand.number(to, packed.offsets().get(b.index()));
        hand.two(Op.ADD, to, field(Reg.RDI, PACKED));
      }
      case ARENA -> {
        hand.load(to, field(Reg.RDI, OFFSETS));
        hand.load(to, Mem.of(to, 8 * b.index()));
        hand.two(Op.ADD, to, field(Reg.RDI, ARENA));
      }
    }
  }

  /** Notes a step whose number is out of its range, and the number. */
  private void demand(
      Plan.Demand demand, int number, List<DimExpr> unknown, int values, Label end) {
    hand.load(Reg.RDI, Mem.of(Reg.RBP, -8));
    pointer(Reg.RAX, plan.buffers().get(demand.buffer()));
    hand.load(Reg.RAX, Mem.of(Reg.RAX, 0));
    value(Reg.RCX, range(demand), unknown, values);
    hand.number(Reg.RDX, Long.MIN_VALUE);
    hand.two(Op.ADD, Reg.RCX, Reg.RDX);
    hand.compare(Reg.RAX, Reg.RCX);
    hand.jump(Condition.NOT_GREATER, end);
    hand.load(Reg.RDX, field(Reg.RDI, FAULT));
    hand.store(Reg.RAX, Mem.of(Reg.RDX, 8));
    hand.number(Reg.RAX, number + 1);
    hand.store(Reg.RAX, Mem.of(Reg.RDX, 0));
  }

  /** void step(call rdi, int step esi, long from rdx, long to rcx, int worker r8d). */
  private void oneStep() {
    begin("step");
    hand.enter(0);
    hand.two(Op.MOVSD, Reg.RAX, Reg.RSI);
    hand.two(Op.MOV, Reg.RSI, Reg.RDX);
    hand.two(Op.MOV, Reg.RDX, Reg.RCX);
    hand.two(Op.MOVSD, Reg.RCX, Hand.R8);
    hand.two(Op.IMUL, Reg.RCX, field(Reg.RDI, SCRATCH_BYTES));
    hand.two(Op.ADD, Reg.RCX, field(Reg.RDI, SCRATCH));
    dispatch();
    hand.leave();
  }

  /** void steps(call rdi, int from esi, int to edx). */
  private Label steps() {
    begin("steps");
    Label label = new Label();
    hand.label(label);
    hand.enter(24);
    hand.store(Reg.RDI, Hand.local(1));
    hand.two(Op.MOVSD, Reg.RAX, Reg.RSI);
    hand.store(Reg.RAX, Hand.local(2));
    hand.two(Op.MOVSD, Reg.RAX, Reg.RDX);
    hand.store(Reg.RAX, Hand.local(3));
    Label next = new Label();
    Label end = new Label();
    hand.label(next);
    hand.load(Reg.RAX, Hand.local(2));
    hand.compare(Reg.RAX, Hand.local(3));
    hand.jump(Condition.NOT_LESS, end);
    hand.load(Reg.RDI, Hand.local(1));
    hand.number(Reg.RSI, 0);
    hand.number(Reg.RDX, -1);
    hand.load(Reg.RCX, field(Reg.RDI, SCRATCH));
    dispatch();
    hand.load(Reg.RDI, Hand.local(1));
    hand.load(Reg.RAX, field(Reg.RDI, FAULT));
    hand.load(Reg.RAX, Mem.of(Reg.RAX, 0));
    hand.compare(Reg.RAX, 0);
    hand.jump(Condition.NOT_ZERO, end);
    hand.load(Reg.RAX, Hand.local(2));
    hand.change(Op.ADDI, Reg.RAX, 1);
    hand.store(Reg.RAX, Hand.local(2));
    hand.jump(next);
    hand.label(end);
    hand.leave();
    return label;
  }

  /** void direct(call, int from, int to, input 0, ..., output 0, ...). */
  private void direct(Label steps) {
    begin("direct");
    Reg[] inRegisters = {Reg.RCX, Hand.R8, Hand.R9};
    int inputs = plan.inputs().size();
    for (int i = 0; i < inputs + plan.outputs().size(); i++) {
      Reg from = Reg.RAX;
      if (i < inRegisters.length) {
        from = inRegisters[i];
      } else {
        hand.load(from, Mem.of(Reg.RSP, 8 * (1 + i - inRegisters.length)));
      }
      Reg list = Reg.fixed(Reg.Kind.INTEGER, 10);
      hand.load(list, field(Reg.RDI, i < inputs ? INPUTS : OUTPUTS));
      hand.store(from, Mem.of(list, 8 * (i < inputs ? i : i - inputs)));
    }
    hand.jump(steps);
  }
}
