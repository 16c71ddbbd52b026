package org.tersor.codegen.jvm;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Stmt;

/**
 * Chooses statements that move to methods of their own. Runs of statements of a block can move if
 * nothing after them uses their names and they assign no variable or register from before.
 *
 * <p>Two reasons to move: HotSpot counts calls, so the body of every innermost loop nest is a
 * method that is called often; in one large method the first seconds pass in the interpreter, where
 * each vector is an object (a small convolution model: 7 ms instead of 0.04 ms after two seconds).
 * The same goes for the code before and after such a nest in the loop around it. And a method
 * longer than HotSpot compiles must become shorter.
 */
final class Splitter {
  /** Some room below {@link JvmEmitter#METHOD_LIMIT}. */
  static final int BUDGET = 7000;

  /** Guess of the bytes of a call. */
  private static final int CALL = 60;

  /**
   * Bytes of straight code that are worth a method: more than HotSpot inlines at a hot call (325,
   * FreqInlineSize), so that it compiles the method by itself.
   */
  private static final int WORTH = 350;

  /**
   * Most bytes of straight code in one method: HotSpot's first compiler runs out of registers at
   * some 3,500 bytes of vector code.
   */
  private static final int STRAIGHT = 1500;

  private final IdentityHashMap<Stmt, Integer> sizes;
  private final int budget;
  private final IdentityHashMap<Stmt.Block, List<Run>> runs = new IdentityHashMap<>();
  private final IdentityHashMap<Stmt, LoopNames> names = new IdentityHashMap<>();

  /**
   * Statements {@code from} to {@code to} of a block.
   *
   * @param body these statements, which may have runs of their own
   */
  record Run(int from, int to, Stmt.Block body) {
    static Run of(List<Stmt> block, int from, int to) {
      return new Run(from, to, new Stmt.Block(block.subList(from, to)));
    }
  }

  /**
   * Names of locals and register buffers of the function: assigned in the method that declares them
   * only.
   */
  private final Set<String> mutable = new HashSet<>();

  /** Names of vectors: as arguments of a method they would become objects. */
  private final Set<String> vectors = new HashSet<>();

  private Splitter(IdentityHashMap<Stmt, Integer> sizes, int budget) {
    this.sizes = sizes;
    this.budget = budget;
  }

  private void collectNames(Stmt statement) {
    if (statement instanceof Stmt.Local l) {
      mutable.add(l.name());
      addVector(l.name(), l.initial());
    } else if (statement instanceof Stmt.Let l) {
      addVector(l.name(), l.value());
    } else if (statement instanceof Stmt.Alloc a && a.space() == Stmt.Space.REGISTER) {
      mutable.add(a.buffer());
    }
    LoopNames.inner(statement).forEach(this::collectNames);
  }

  private void addVector(String name, Expr value) {
    if (value.type().lanes() > 1) {
      vectors.add(name);
    }
  }

  /**
   * @param sizes bytes of bytecode of each statement
   * @param budget bytes that a method should not exceed
   * @return the runs that move, by block, in order
   */
  static IdentityHashMap<Stmt.Block, List<Run>> choose(
      Stmt body, IdentityHashMap<Stmt, Integer> sizes, int budget) {
    Splitter splitter = new Splitter(sizes, budget);
    splitter.collectNames(body);
    if (splitter.hasLoop(body)) {
      splitter.outline(body);
    }
    splitter.reduce(body);
    return splitter.runs;
  }

  /** Moves bodies of innermost loop nests inside; returns whether any moved. */
  private boolean outline(Stmt statement) {
    if (statement instanceof Stmt.Block block) {
      return outlineParts(block, false);
    }
    boolean nest = statement instanceof Stmt.For f && hasLoop(f.body());
    boolean moved = false;
    for (Stmt inner : LoopNames.inner(statement)) {
      if (nest && inner instanceof Stmt.Block body) {
        moved |= outlineParts(body, true);
      } else {
        moved |= outline(inner);
      }
    }
    return moved;
  }

  /**
   * @param nest whether the block is the body of a loop: then its own loops move too, together with
   *     the statements around them
   */
  private boolean outlineParts(Stmt.Block block, boolean nest) {
    List<Stmt> body = block.body();
    List<Run> chosen = new ArrayList<>();
    Moves moves = new Moves(body);
    boolean moved = false;
    int from = 0;
    for (int i = 0; i <= body.size(); i++) {
      boolean ends = i == body.size();
      if (ends || outline(body.get(i))) {
        moved |= !ends;
        if (nest) {
          movable(body, moves, from, i).ifPresent(chosen::add);
        }
        from = i + 1;
      }
    }
    if (nest && moved) {
      straight(body, moves, chosen);
    }
    if (!chosen.isEmpty()) {
      runs.put(block, chosen);
      moved = true;
    }
    return moved;
  }

  /**
   * Adds runs of straight code around loops that moved, in whole or in part: the start and the end
   * of a tile run once for thousands of steps of its sums, so the method that holds the loops would
   * stay interpreted for hundreds of calls of a model.
   */
  private void straight(List<Stmt> body, Moves moves, List<Run> chosen) {
    int n = body.size();
    boolean[] taken = new boolean[n];
    chosen.forEach(r -> Arrays.fill(taken, r.from(), r.to(), true));
    for (int from = 0; from < n; from++) {
      int best = from;
      int size = 0;
      Moves.Growing run = moves.from(from);
      for (int to = from;
          to < n && !taken[to] && !hasLoop(body.get(to)) && size <= STRAIGHT;
          to++) {
        size += size(body.get(to));
        run.add();
        if (size >= WORTH && size <= STRAIGHT && run.isPossible() && !run.takesVectors()) {
          best = to + 1;
        }
      }
      if (best > from) {
        chosen.add(Run.of(body, from, best));
        from = best - 1;
      }
    }
    chosen.sort(Comparator.comparingInt(Run::from));
  }

  /** The longest run that ends at {@code to}, holds a loop and can move. */
  private Optional<Run> movable(List<Stmt> body, Moves moves, int begin, int to) {
    for (int from = begin; from < to; from++) {
      if (body.subList(from, to).stream().noneMatch(this::hasLoop)) {
        return Optional.empty();
      }
      if (moves.possible(from, to)) {
        return Optional.of(Run.of(body, from, to));
      }
    }
    return Optional.empty();
  }

  private LoopNames names(Stmt statement) {
    LoopNames known = names.get(statement);
    if (known == null) {
      known = LoopNames.of(statement, this::names);
      names.put(statement, known);
    }
    return known;
  }

  private boolean hasLoop(Stmt statement) {
    return names(statement).loop;
  }

  private int size(Stmt statement) {
    return sizes.getOrDefault(statement, 0);
  }

  /** Moves what is needed for the statement to fit; returns the size that stays. */
  private int reduce(Stmt statement) {
    int size = size(statement);
    if (size <= budget) {
      return size;
    }
    if (statement instanceof Stmt.Block block) {
      return reduce(block);
    }
    for (Stmt inner : LoopNames.inner(statement)) {
      size += reduce(inner) - size(inner);
    }
    return size;
  }

  private int reduce(Stmt.Block block) {
    List<Stmt> body = block.body();
    if (runs.containsKey(block)) {
      int total = 0;
      int at = 0;
      for (Run run : runs.getOrDefault(block, List.of())) {
        for (int i = at; i < run.from(); i++) {
          total += reduce(body.get(i));
        }
        reduce(run.body());
        total += CALL;
        at = run.to();
      }
      for (int i = at; i < body.size(); i++) {
        total += reduce(body.get(i));
      }
      return total;
    }
    int n = body.size();
    int[] left = body.stream().mapToInt(this::reduce).toArray();
    Moves moves = new Moves(body);
    List<Run> chosen = new ArrayList<>();
    int total = Arrays.stream(left).sum();
    while (total > budget) {
      int bestFrom = 0;
      int bestTo = 0;
      int bestSize = 2 * CALL;
      for (int from = 0; from < n; from++) {
        int size = 0;
        Moves.Growing run = moves.from(from);
        for (int to = from + 1; to <= n; to++) {
          size += left[to - 1];
          int last = to - 1;
          if (size > budget || chosen.stream().anyMatch(r -> r.from <= last && last < r.to)) {
            break;
          }
          run.add();
          if (size > bestSize && run.isPossible()) {
            bestFrom = from;
            bestTo = to;
            bestSize = size;
          }
        }
      }
      if (bestTo == 0) {
        break;
      }
      chosen.add(Run.of(body, bestFrom, bestTo));
      total += CALL - bestSize;
    }
    if (!chosen.isEmpty()) {
      chosen.sort(Comparator.comparingInt(Run::from));
      runs.put(block, chosen);
    }
    return total;
  }

  /** Which runs of a block can become a method of their own. */
  private final class Moves {
    private final List<LoopNames> parts;

    /** For each statement the last one that uses what it declares. */
    private final int[] lastUse;

    Moves(List<Stmt> body) {
      this.parts = body.stream().map(Splitter.this::names).toList();
      Map<String, Integer> last = new HashMap<>();
      for (int i = 0; i < parts.size(); i++) {
        for (String name : parts.get(i).used) {
          last.put(name, i);
        }
      }
      this.lastUse = new int[body.size()];
      for (int i = 0; i < lastUse.length; i++) {
        for (String name : LoopNames.declares(body.get(i))) {
          lastUse[i] = Math.max(lastUse[i], last.getOrDefault(name, 0));
        }
      }
    }

    boolean possible(int from, int to) {
      Growing run = from(from);
      while (run.to < to) {
        run.add();
      }
      return run.isPossible();
    }

    Growing from(int from) {
      return new Growing(from);
    }

    /** A run that gets one more statement at a time. */
    private final class Growing {
      private final Set<String> declared = new HashSet<>();
      private final Set<String> foreign = new HashSet<>();
      private int to;
      private int used;
      private boolean parallel;
      private boolean takesVectors;

      Growing(int from) {
        this.to = from;
      }

      void add() {
        LoopNames next = parts.get(to);
        parallel |= next.parallel;
        used = Math.max(used, lastUse[to]);
        declared.addAll(next.declared);
        takesVectors |=
            next.used.stream().anyMatch(name -> vectors.contains(name) && !declared.contains(name));
        foreign.removeAll(next.declared);
        for (String name : next.assigned) {
          if (mutable.contains(name) && !declared.contains(name)) {
            foreign.add(name);
          }
        }
        to++;
      }

      /** Nothing after it sees its locals, and it assigns no others. */
      boolean isPossible() {
        return !parallel && used < to && foreign.isEmpty();
      }

      boolean takesVectors() {
        return takesVectors;
      }
    }
  }
}
