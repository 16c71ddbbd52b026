package org.tersor.plugins.x86;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.plugins.x86.Operand.Mem;

/**
 * A scalar that is loaded and then spread over lanes is spread by the load itself, which takes no
 * other unit of the processor; the plain load goes away where nothing else reads it.
 */
final class BroadcastLoads {
  private BroadcastLoads() {}

  static void run(List<Ins> code) {
    Map<Reg, Integer> writers = new HashMap<>();
    for (Ins ins : code) {
      if (ins.target.isVirtual()) {
        writers.merge(ins.target, 1, Integer::sum);
      }
    }
    Map<Reg, Ins> loads = new HashMap<>();
    for (Ins ins : code) {
      boolean changesPlaces =
          ins.target.kind == Reg.Kind.INTEGER && writers.getOrDefault(ins.target, 2) > 1;
      if (ins.op.effect || ins.storesToMemory() || changesPlaces) {
        loads.clear();
        continue;
      }
      if (ins.operand instanceof Mem && ins.mask == Reg.NONE && ins.target.isVirtual()) {
        loads.put(ins.target, ins);
      } else if (ins.operand instanceof Reg from) {
        Optional.ofNullable(loads.get(from)).ifPresent(load -> spread(ins, load));
      }
    }
  }

  private static void spread(Ins ins, Ins load) {
    boolean fits =
        switch (ins.op) {
          case VPBROADCASTD -> load.op == Op.VLOADSS;
          case VPBROADCASTQ -> load.op == Op.VLOADSD;
          case VPBROADCASTDG -> load.op == Op.MOV && load.size == 4;
          case VPBROADCASTQG -> load.op == Op.MOV && load.size == 8;
          case VPBROADCASTBG -> load.op == Op.MOVZB || load.op == Op.MOVSB;
          case VPBROADCASTWG -> load.op == Op.MOVZW || load.op == Op.MOVSW;
          default -> false;
        };
    if (fits) {
      ins.op =
          switch (ins.op) {
            case VPBROADCASTDG -> Op.VPBROADCASTD;
            case VPBROADCASTQG -> Op.VPBROADCASTQ;
            case VPBROADCASTBG -> Op.VPBROADCASTB;
            case VPBROADCASTWG -> Op.VPBROADCASTW;
            default -> ins.op;
          };
      ins.operand = load.operand;
    }
  }
}
