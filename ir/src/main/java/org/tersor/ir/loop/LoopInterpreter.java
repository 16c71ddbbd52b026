package org.tersor.ir.loop;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.loop.InterpreterExprs.BufferPlace;
import org.tersor.ir.loop.InterpreterExprs.Frame;
import org.tersor.ir.loop.InterpreterExprs.Place;
import org.tersor.ir.loop.InterpreterExprs.Scalars;
import org.tersor.ir.loop.InterpreterExprs.Vectors;
import org.tersor.runtime.KernelCode;

/**
 * The definition of the loop IR: runs a function as its Javadoc says, checking every access. A
 * function is turned into closures once; the object is stateless and may run in several threads.
 *
 * <p>Undefined contents (fresh allocations, broken {@code inRange} promises) are a poison pattern:
 * NaN in floats, 0xA5 bytes in integers. An index beyond the array is an {@link
 * IndexOutOfBoundsException} that names function, buffer and index; an INDEX that overflows is an
 * {@link ArithmeticException}; a malformed function is an {@link IllegalStateException} when it is
 * compiled.
 */
public final class LoopInterpreter {
  private interface Step {
    void run(Frame frame);
  }

  private final LoopFunction function;
  private final InterpreterExprs exprs;
  private final Step body;
  private final int[] buffers;
  private final int[] dims;
  private boolean parallel;

  private LoopInterpreter(LoopFunction function) {
    this.function = function;
    this.exprs = new InterpreterExprs(function.name());
    this.dims =
        function.dims().stream().mapToInt(d -> exprs.define(d, Type.INDEX).number()).toArray();
    this.buffers =
        function.buffers().stream()
            .mapToInt(b -> exprs.defineBuffer(b.name(), b.element(), Optional.empty()).number())
            .toArray();
    this.body = step(function.body(), true);
  }

  /** Makes a function runnable. */
  public static LoopInterpreter of(LoopFunction function) {
    return new LoopInterpreter(function);
  }

  /** The function as the code of a kernel. */
  public static KernelCode compile(LoopFunction function) {
    LoopInterpreter interpreter = of(function);
    return (arrays, offsets, dims, from, to) ->
        interpreter.run(arrays, offsets, Arrays.stream(dims).asLongStream().toArray(), from, to);
  }

  /** Runs all tasks of a function; arguments as for {@link KernelCode#run}. */
  public static void run(LoopFunction function, Object[] arrays, int[] offsets, long[] dims) {
    of(function).run(arrays, offsets, dims);
  }

  /** Runs all tasks. */
  public void run(Object[] arrays, int[] offsets, long[] dimensions) {
    execute(arrays, offsets, dimensions, 0, -1);
  }

  /**
   * Runs tasks {@code from} (inclusive) to {@code to} (exclusive); a function without a parallel
   * loop is the one task 0.
   */
  public void run(Object[] arrays, int[] offsets, long[] dimensions, long from, long to) {
    if (from < 0 || to < from || (!parallel && to > 1)) {
      throw new IllegalArgumentException(function.name() + ": tasks " + from + " to " + to);
    }
    if (from < to) {
      execute(arrays, offsets, dimensions, from, to);
    }
  }

  private void execute(Object[] arrays, int[] offsets, long[] dimensions, long from, long to) {
    if (arrays.length != buffers.length
        || offsets.length != buffers.length
        || dimensions.length != dims.length) {
      throw new IllegalArgumentException(
          function.name()
              + " takes "
              + buffers.length
              + " buffers and "
              + dims.length
              + " dimensions; got "
              + arrays.length
              + " arrays, "
              + offsets.length
              + " offsets and "
              + dimensions.length
              + " dimensions");
    }
    Frame frame = new Frame(exprs, from, to);
    for (int i = 0; i < dims.length; i++) {
      frame.scalars[dims[i]] = dimensions[i];
    }
    for (int i = 0; i < buffers.length; i++) {
      LoopFunction.BufferParam buffer = function.buffers().get(i);
      frame.memory[buffers[i]] =
          new InterpreterMemory(
              function.name(), buffer.name(), buffer.element(), arrays[i], offsets[i]);
    }
    body.run(frame);
  }

  private Step step(Stmt stmt, boolean outermost) {
    return switch (stmt) {
      case Stmt.Block block -> block(block, outermost);
      case Stmt.For loop -> scoped(() -> loop(loop, outermost));
      case Stmt.While loop -> {
        Scalars condition = exprs.scalar(loop.condition());
        Step inner = scoped(() -> step(loop.body(), false));
        yield frame -> {
          while (condition.get(frame) != 0) {
            inner.run(frame);
          }
        };
      }
      case Stmt.Let let -> bind(let.name(), let.value());
      case Stmt.Local local -> bind(local.name(), local.initial());
      case Stmt.Assign assign -> assign(assign);
      case Stmt.Store store -> store(store);
      case Stmt.If branch -> {
        Scalars condition = exprs.scalar(branch.condition());
        Step then = scoped(() -> step(branch.then(), false));
        Step otherwise =
            branch.otherwise().map(s -> scoped(() -> step(s, false))).orElse(frame -> {});
        yield frame -> (condition.get(frame) != 0 ? then : otherwise).run(frame);
      }
      case Stmt.Alloc alloc -> alloc(alloc);
      case Stmt.Prefetch prefetch -> {
        exprs.buffer(prefetch.buffer());
        yield frame -> {};
      }
      case Stmt.Barrier barrier -> frame -> {};
      case Stmt.Tile tile -> InterpreterTiles.of(exprs, tile)::accept;
    };
  }

  /** Names defined inside are forgotten after. */
  private Step scoped(java.util.function.Supplier<Step> inner) {
    Map<String, Place> names = exprs.names;
    Map<String, BufferPlace> memory = exprs.buffers;
    exprs.names = new HashMap<>(names);
    exprs.buffers = new HashMap<>(memory);
    Step step = inner.get();
    exprs.names = names;
    exprs.buffers = memory;
    return step;
  }

  private Step block(Stmt.Block block, boolean outermost) {
    return scoped(() -> {
      List<Step> steps = new ArrayList<>();
      for (Stmt s : block.body()) {
        steps.add(step(s, outermost));
      }
      Step[] all = steps.toArray(new Step[0]);
      return frame -> {
        for (Step s : all) {
          s.run(frame);
        }
      };
    });
  }

  private Step loop(Stmt.For loop, boolean outermost) {
    Scalars begin = exprs.scalar(loop.begin());
    Scalars end = exprs.scalar(loop.end());
    int step = loop.step();
    if (step < 1) {
      throw exprs.fault("step " + step + " of loop " + loop.var());
    }
    boolean tasks = loop.kind() == Stmt.LoopKind.PARALLEL;
    if (tasks && (!outermost || parallel || step != 1)) {
      throw exprs.fault(
          "parallel loop " + loop.var() + " is not the one outermost loop with step 1");
    }
    int variable = exprs.define(loop.var(), Type.INDEX).number();
    parallel |= tasks;
    Step inner = scoped(() -> step(loop.body(), false));
    if (!tasks) {
      return frame -> {
        long last = end.get(frame);
        for (long i = begin.get(frame); i < last; i += step) {
          frame.scalars[variable] = i;
          inner.run(frame);
        }
      };
    }
    return frame -> {
      long first = begin.get(frame);
      long last = end.get(frame);
      if (first != 0 || frame.to > last) {
        throw new IllegalArgumentException(
            function.name()
                + ": tasks "
                + frame.from
                + " to "
                + frame.to
                + " of the loop "
                + first
                + " to "
                + last);
      }
      long stop = frame.to < 0 ? last : frame.to;
      for (long i = frame.from; i < stop; i++) {
        frame.scalars[variable] = i;
        inner.run(frame);
      }
    };
  }

  private Step bind(String name, Expr value) {
    if (value.type().isVector()) {
      Vectors vector = exprs.vector(value);
      int number = exprs.define(name, value.type()).number();
      return frame -> copy(vector, frame, number);
    }
    Scalars scalar = exprs.scalar(value);
    int number = exprs.define(name, value.type()).number();
    return frame -> frame.scalars[number] = scalar.get(frame);
  }

  private static void copy(Vectors vector, Frame frame, int number) {
    long[] value = vector.get(frame);
    System.arraycopy(value, 0, frame.vectors[number], 0, value.length);
  }

  private Step assign(Stmt.Assign assign) {
    Place place = exprs.names.get(assign.name());
    if (place == null || !place.type().equals(assign.value().type())) {
      throw exprs.fault(
          "assignment of " + assign.value().type() + " to " + assign.name() + " " + place);
    }
    int number = place.number();
    if (place.type().isVector()) {
      Vectors vector = exprs.vector(assign.value());
      return frame -> copy(vector, frame, number);
    }
    Scalars scalar = exprs.scalar(assign.value());
    return frame -> frame.scalars[number] = scalar.get(frame);
  }

  private Step store(Stmt.Store store) {
    BufferPlace place = exprs.buffer(store.buffer());
    int number = place.number();
    Type type = store.value().type();
    Vectors value = exprs.vector(store.value());
    if (place.register().isPresent()) {
      int at =
          exprs.register(store.buffer(), place.register().get(), type, store.index(), store.mask());
      return frame ->
          System.arraycopy(value.get(frame), 0, frame.registers[number][at], 0, type.lanes());
    }
    int bytes = type.scalar().bytes();
    Vectors mask = store.mask().map(exprs::vector).orElse(frame -> InterpreterExprs.NO_MASK);
    if (store.index().type().isVector()) {
      Vectors index = exprs.vector(store.index());
      return frame -> {
        long[] lanes = value.get(frame);
        long[] at = index.get(frame);
        long[] on = mask.get(frame);
        for (int i = 0; i < lanes.length; i++) {
          if (on.length == 0 || on[i] != 0) {
            frame.memory[number].write(bytes, at[i], 0, lanes[i]);
          }
        }
      };
    }
    Scalars index = exprs.scalar(store.index());
    return frame -> {
      long[] lanes = value.get(frame);
      long at = index.get(frame);
      long[] on = mask.get(frame);
      for (int i = 0; i < lanes.length; i++) {
        if (on.length == 0 || on[i] != 0) {
          frame.memory[number].write(bytes, at, i * bytes, lanes[i]);
        }
      }
    };
  }

  private Step alloc(Stmt.Alloc alloc) {
    Type element = alloc.element();
    if (alloc.space() == Stmt.Space.REGISTER) {
      int count = Math.toIntExact(exprs.constant(alloc.count()));
      int number =
          exprs.defineBuffer(alloc.buffer(), element.scalar(), Optional.of(element)).number();
      long poison = InterpreterMemory.poison(element.scalar());
      return frame -> {
        long[][] tile = new long[count][element.lanes()];
        for (long[] lanes : tile) {
          Arrays.fill(lanes, poison);
        }
        frame.registers[number] = tile;
      };
    }
    if (element.isVector()) {
      throw exprs.fault("allocation " + alloc.buffer() + " of " + element + " outside registers");
    }
    Scalars count = exprs.scalar(alloc.count());
    int number = exprs.defineBuffer(alloc.buffer(), element.scalar(), Optional.empty()).number();
    return frame ->
        frame.memory[number] =
            InterpreterMemory.poisoned(
                function.name(), alloc.buffer(), element.scalar(), count.get(frame));
  }
}
