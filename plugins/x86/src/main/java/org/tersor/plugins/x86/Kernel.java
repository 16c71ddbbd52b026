package org.tersor.plugins.x86;

import java.util.List;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.Target;
import org.tersor.plugins.x86.Operand.Mem;

/**
 * One loop function as machine code. The caller pushes 64-bit arguments, the first one last: first
 * task, end of the tasks, scratch memory, buffers, dimensions. All registers but rsp and rbp may be
 * changed.
 */
final class Kernel {
  private Kernel() {}

  /** The body in registers of the processor, over memory of the frame. */
  static List<Ins> instructions(LoopFunction function, Target target, Pool pool, Frame frame) {
    Code code = new Code(pool, frame);
    new Stmts(code, function, target);
    List<Ins> list = code.finish();
    BroadcastLoads.run(list);
    return Allocator.allocate(list, frame);
  }

  /** Emits the code; the place where it begins. */
  static Label emit(LoopFunction function, Target target, Assembler assembler) {
    Frame frame = new Frame();
    List<Ins> list = instructions(function, target, assembler.pool, frame);
    assembler.align(64);
    Label begin = new Label();
    assembler.emit(new Ins(Op.LABEL, 0).label(begin));
    assembler.emit(new Ins(Op.PUSH, 8).target(Reg.RBP));
    assembler.emit(new Ins(Op.MOV, 8).target(Reg.RBP).operand(Reg.RSP));
    assembler.emit(new Ins(Op.LEA, 8).target(Reg.RSP).operand(Mem.of(Reg.RSP, -frame.size())));
    assembler.emit(new Ins(Op.ANDI, 8).target(Reg.RSP).imm(-64));
    for (Ins ins : list) {
      boolean nothing =
          ins.isMove() && ins.operand instanceof Reg from && from.number() == ins.target.number();
      if (!nothing) {
        assembler.emit(ins);
      }
    }
    assembler.emit(new Ins(Op.MOV, 8).target(Reg.RSP).operand(Reg.RBP));
    assembler.emit(new Ins(Op.POP, 8).target(Reg.RBP));
    assembler.emit(new Ins(Op.RET, 8));
    return begin;
  }
}
