package org.tersor.codegen.c;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Operands;
import org.tersor.ir.loop.Stmt;

/**
 * Finds the shared buffers that no lanes share: every access stands in a loop over lanes l and is
 * at {@code l * each + constant}, with the constant below each. A device keeps them in registers.
 */
final class LaneMemory {
  /** Most threads of a block: a loop over more lanes gives several lanes to one thread. */
  private static final long MOST_LANES = 1024;

  private record Lanes(String variable, long count) {}

  private final Map<String, Stmt.Alloc> candidates = new HashMap<>();
  private final Map<String, Integer> each = new HashMap<>();
  private final Set<String> refused = new HashSet<>();

  private LaneMemory() {}

  /** For each such buffer, the elements of one lane, a power of two. */
  static Map<String, Integer> of(Stmt body) {
    LaneMemory memory = new LaneMemory();
    memory.visit(body, Optional.empty());
    memory.each.keySet().removeAll(memory.refused);
    return memory.each;
  }

  private void visit(Stmt s, Optional<Lanes> lanes) {
    switch (s) {
      case Stmt.Block b -> b.body().forEach(inner -> visit(inner, lanes));
      case Stmt.For f -> {
        visit(f.begin(), lanes);
        visit(f.end(), lanes);
        visit(f.body(), f.kind() == Stmt.LoopKind.LANES ? lanes(f) : lanes);
      }
      case Stmt.While w -> {
        visit(w.condition(), lanes);
        visit(w.body(), lanes);
      }
      case Stmt.Let l -> visit(l.value(), lanes);
      case Stmt.Local l -> visit(l.initial(), lanes);
      case Stmt.Assign a -> visit(a.value(), lanes);
      case Stmt.Store st -> {
        access(st.buffer(), st.index(), st.value().type().bytes(), lanes);
        visit(st.index(), lanes);
        visit(st.value(), lanes);
        st.mask().ifPresent(m -> visit(m, lanes));
      }
      case Stmt.If i -> {
        visit(i.condition(), lanes);
        visit(i.then(), lanes);
        i.otherwise().ifPresent(o -> visit(o, lanes));
      }
      case Stmt.Alloc a -> {
        if (a.space() == Stmt.Space.SHARED && candidates.putIfAbsent(a.buffer(), a) != null) {
          refused.add(a.buffer());
        }
      }
      case Stmt.Prefetch p -> refused.add(p.buffer());
      case Stmt.Barrier _, Stmt.Tile _ -> {}
    }
  }

  private static Optional<Lanes> lanes(Stmt.For f) {
    boolean plain = f.step() == 1 && CEmitter.constant(f.begin()).filter(b -> b == 0).isPresent();
    return CEmitter.constant(f.end())
        .filter(end -> plain && end <= MOST_LANES)
        .map(end -> new Lanes(f.var(), end));
  }

  private void visit(Expr e, Optional<Lanes> lanes) {
    if (e instanceof Expr.Load load) {
      access(load.buffer(), load.index(), load.type().bytes(), lanes);
    }
    Operands.of(e).forEach(o -> visit(o, lanes));
  }

  private void access(String buffer, Expr index, int bytes, Optional<Lanes> lanes) {
    Stmt.Alloc alloc = candidates.get(buffer);
    if (alloc == null) {
      return;
    }
    long count = CEmitter.constant(alloc.count()).orElse(0L);
    long width = lanes.map(l -> count / l.count()).orElse(0L);
    boolean fits =
        width > 0
            && Long.bitCount(width) == 1
            && width * lanes.orElseThrow().count() == count
            && bytes == alloc.element().bytes()
            && isOwn(index, lanes.orElseThrow().variable(), width);
    if (!fits || each.getOrDefault(buffer, (int) width) != width) {
      refused.add(buffer);
    } else {
      each.put(buffer, (int) width);
    }
  }

  private static boolean isOwn(Expr index, String lane, long width) {
    long offset = 0;
    Expr rest = index;
    if (index instanceof Expr.Binary sum
        && sum.op() == BinaryOp.ADD
        && sum.b() instanceof Expr.IntConst c) {
      offset = c.value();
      rest = sum.a();
    }
    boolean first =
        width == 1
            ? isLane(rest, lane)
            : rest instanceof Expr.Binary product
                && product.op() == BinaryOp.MUL
                && isLane(product.a(), lane)
                && product.b() instanceof Expr.IntConst c
                && c.value() == width;
    return first && offset >= 0 && offset < width;
  }

  private static boolean isLane(Expr e, String lane) {
    return e instanceof Expr.Var v && v.name().equals(lane);
  }
}
