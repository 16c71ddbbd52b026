package org.tersor.ir.loop;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Expressions of one function as closures over a {@link Frame}. Lanes are longs as {@link
 * InterpreterOps} describes them.
 */
final class InterpreterExprs {
  /** One run: values of variables and temporaries. A closure refers to its places by number. */
  static final class Frame {
    final long[] scalars;
    final long[][] vectors;
    final InterpreterMemory[] memory;
    final long[][][] registers;
    final long from;
    final long to;

    Frame(InterpreterExprs of, long from, long to) {
      this.scalars = new long[of.scalarCount];
      this.vectors = new long[of.vectorLanes.length][];
      for (int i = 0; i < of.vectorCount; i++) {
        vectors[i] = new long[of.vectorLanes[i]];
      }
      this.memory = new InterpreterMemory[of.memoryCount];
      this.registers = new long[of.registerCount][][];
      this.from = from;
      this.to = to;
    }
  }

  /** A scalar expression. */
  interface Scalars {
    long get(Frame frame);
  }

  /**
   * A vector expression; the array belongs to the expression and is overwritten when it is
   * evaluated again.
   */
  interface Vectors {
    long[] get(Frame frame);
  }

  /** Where a name is kept. */
  record Place(Type type, int number) {}

  /** Where a buffer is kept; {@code register} is its element type if it is a register tile. */
  record BufferPlace(Scalar element, Optional<Type> register, int number) {}

  private final String function;
  private int scalarCount;
  private int vectorCount;
  private int[] vectorLanes = new int[16];
  private int memoryCount;
  private int registerCount;
  Map<String, Place> names = new HashMap<>();
  Map<String, BufferPlace> buffers = new HashMap<>();

  InterpreterExprs(String function) {
    this.function = function;
  }

  Place define(String name, Type type) {
    Place place = new Place(type, type.isVector() ? temporary(type.lanes()) : scalarCount++);
    names.put(name, place);
    return place;
  }

  BufferPlace defineBuffer(String name, Scalar element, Optional<Type> register) {
    BufferPlace place =
        new BufferPlace(element, register, register.isPresent() ? registerCount++ : memoryCount++);
    buffers.put(name, place);
    return place;
  }

  BufferPlace buffer(String name) {
    BufferPlace place = buffers.get(name);
    if (place == null) {
      throw fault("no buffer named " + name);
    }
    return place;
  }

  IllegalStateException fault(String message) {
    return new IllegalStateException(function + ": " + message);
  }

  private int temporary(int lanes) {
    if (vectorCount == vectorLanes.length) {
      vectorLanes = Arrays.copyOf(vectorLanes, 2 * vectorCount);
    }
    vectorLanes[vectorCount] = lanes;
    return vectorCount++;
  }

  private Place lookup(Expr.Var var) {
    Place place = names.get(var.name());
    if (place == null) {
      throw fault("no variable named " + var.name());
    }
    if (!place.type().equals(var.type())) {
      throw fault("variable " + var.name() + " of type " + place.type() + " used as " + var.type());
    }
    return place;
  }

  /** A scalar expression that must be a constant. */
  long constant(Expr e) {
    if (e instanceof Expr.IntConst c) {
      return c.value();
    }
    throw fault("a constant is needed, not " + e);
  }

  private static long constantBits(Expr.FloatConst c) {
    return c.type().scalar() == Scalar.F32
        ? InterpreterOps.bits((float) c.value())
        : InterpreterOps.bits(c.value());
  }

  Scalars scalar(Expr e) {
    if (e.type().isVector()) {
      throw fault("a scalar is needed, not " + e.type());
    }
    return switch (e) {
      case Expr.IntConst c -> {
        long value = InterpreterOps.canon(c.type().scalar(), c.value());
        yield frame -> value;
      }
      case Expr.FloatConst c -> {
        long value = constantBits(c);
        yield frame -> value;
      }
      case Expr.Var v -> {
        int number = lookup(v).number();
        yield frame -> frame.scalars[number];
      }
      case Expr.Load load -> scalarLoad(load);
      case Expr.Unary u -> {
        InterpreterOps.One op = InterpreterOps.unary(u.op(), u.type().scalar());
        Scalars a = scalar(u.a());
        yield frame -> op.apply(a.get(frame));
      }
      case Expr.Binary b -> two(InterpreterOps.binary(b.op(), b.type().scalar()), b.a(), b.b());
      case Expr.Compare c ->
          two(InterpreterOps.compare(c.op(), c.a().type().scalar()), c.a(), c.b());
      case Expr.Fma fma -> {
        Three op = fma(fma.type().scalar());
        Scalars a = scalar(fma.a());
        Scalars b = scalar(fma.b());
        Scalars c = scalar(fma.c());
        yield frame -> op.apply(a.get(frame), b.get(frame), c.get(frame));
      }
      case Expr.Select s -> {
        Scalars condition = scalar(s.condition());
        Scalars then = scalar(s.then());
        Scalars otherwise = scalar(s.otherwise());
        yield frame -> {
          long x = then.get(frame);
          long y = otherwise.get(frame);
          return condition.get(frame) != 0 ? x : y;
        };
      }
      case Expr.Cast c -> {
        InterpreterOps.One op =
            InterpreterOps.cast(c.type().scalar(), c.a().type().scalar(), c.inRange());
        Scalars a = scalar(c.a());
        yield frame -> op.apply(a.get(frame));
      }
      case Expr.Bits b -> {
        Scalar type = b.type().scalar();
        if (b.a().type().isVector()) {
          Vectors a = vector(b.a());
          int bytes = b.a().type().scalar().bytes();
          yield frame -> InterpreterOps.canon(type, gather(a.get(frame), bytes, 0, type.bytes()));
        }
        Scalars a = scalar(b.a());
        yield frame -> InterpreterOps.canon(type, a.get(frame));
      }
      case Expr.Dot2 d -> three(InterpreterOps::dot2, d.acc(), d.a(), d.b());
      case Expr.Dot4 d -> three(InterpreterOps::dot4, d.acc(), d.a(), d.b());
      case Expr.Reduce r -> reduce(r);
      case Expr.Broadcast b -> scalar(b.a());
      case Expr.Ramp r -> scalar(r.base());
      case Expr.Shuffle s -> {
        Vectors picked = shuffle(s);
        yield frame -> picked.get(frame)[0];
      }
      case Expr.LaneLt l -> {
        Scalars count = scalar(l.count());
        yield frame -> 0 < count.get(frame) ? 1 : 0;
      }
    };
  }

  private Scalars three(Three op, Expr first, Expr second, Expr third) {
    Scalars a = scalar(first);
    Scalars b = scalar(second);
    Scalars c = scalar(third);
    return frame -> op.apply(a.get(frame), b.get(frame), c.get(frame));
  }

  private Scalars two(InterpreterOps.Two op, Expr left, Expr right) {
    Scalars a = scalar(left);
    Scalars b = scalar(right);
    return frame -> op.apply(a.get(frame), b.get(frame));
  }

  Vectors vector(Expr e) {
    int lanes = e.type().lanes();
    if (lanes == 1) {
      Scalars a = scalar(e);
      int own = temporary(1);
      return frame -> {
        frame.vectors[own][0] = a.get(frame);
        return frame.vectors[own];
      };
    }
    int own = e instanceof Expr.Var ? -1 : temporary(lanes);
    return switch (e) {
      case Expr.IntConst c ->
          filled(own, frame -> InterpreterOps.canon(c.type().scalar(), c.value()));
      case Expr.FloatConst c -> filled(own, frame -> constantBits(c));
      case Expr.Var v -> {
        int number = lookup(v).number();
        yield frame -> frame.vectors[number];
      }
      case Expr.Load load -> vectorLoad(load, own);
      case Expr.Unary u -> one(own, InterpreterOps.unary(u.op(), u.type().scalar()), u.a());
      case Expr.Binary b ->
          two(own, InterpreterOps.binary(b.op(), b.type().scalar()), b.a(), b.b());
      case Expr.Compare c ->
          two(own, InterpreterOps.compare(c.op(), c.a().type().scalar()), c.a(), c.b());
      case Expr.Fma fma -> three(own, fma(fma.type().scalar()), fma.a(), fma.b(), fma.c());
      case Expr.Select s ->
          three(own, (c, x, y) -> c != 0 ? x : y, s.condition(), s.then(), s.otherwise());
      case Expr.Cast c ->
          one(
              own,
              InterpreterOps.cast(c.type().scalar(), c.a().type().scalar(), c.inRange()),
              c.a());
      case Expr.Bits b -> {
        Scalar type = b.type().scalar();
        int from = b.a().type().scalar().bytes();
        int to = type.bytes();
        Vectors a = vector(b.a());
        yield frame -> {
          long[] x = a.get(frame);
          long[] out = frame.vectors[own];
          for (int i = 0; i < out.length; i++) {
            out[i] = InterpreterOps.canon(type, gather(x, from, i * to, to));
          }
          return out;
        };
      }
      case Expr.Dot2 d -> three(own, InterpreterOps::dot2, d.acc(), d.a(), d.b());
      case Expr.Dot4 d -> three(own, InterpreterOps::dot4, d.acc(), d.a(), d.b());
      case Expr.Reduce r -> throw fault("reduce to a vector: " + r);
      case Expr.Broadcast b -> filled(own, scalar(b.a()));
      case Expr.Ramp r -> {
        Scalars base = scalar(r.base());
        long stride = r.stride();
        yield frame -> {
          long x = base.get(frame);
          long[] out = frame.vectors[own];
          for (int i = 0; i < out.length; i++) {
            out[i] = x + i * stride;
          }
          return out;
        };
      }
      case Expr.Shuffle s -> shuffle(s);
      case Expr.LaneLt l -> {
        Scalars count = scalar(l.count());
        yield frame -> {
          long n = count.get(frame);
          long[] out = frame.vectors[own];
          for (int i = 0; i < out.length; i++) {
            out[i] = i < n ? 1 : 0;
          }
          return out;
        };
      }
    };
  }

  private interface Three {
    long apply(long a, long b, long c);
  }

  private Three fma(Scalar type) {
    return switch (type) {
      case F32 ->
          (a, b, c) ->
              InterpreterOps.bits(
                  Math.fma(InterpreterOps.f32(a), InterpreterOps.f32(b), InterpreterOps.f32(c)));
      case F64 ->
          (a, b, c) ->
              InterpreterOps.bits(
                  Math.fma(InterpreterOps.f64(a), InterpreterOps.f64(b), InterpreterOps.f64(c)));
      default -> throw fault("fma of " + type.text());
    };
  }

  private static Vectors filled(int own, Scalars value) {
    return frame -> {
      long[] out = frame.vectors[own];
      Arrays.fill(out, value.get(frame));
      return out;
    };
  }

  private Vectors one(int own, InterpreterOps.One op, Expr operand) {
    Vectors a = vector(operand);
    return frame -> {
      long[] x = a.get(frame);
      long[] out = frame.vectors[own];
      for (int i = 0; i < out.length; i++) {
        out[i] = op.apply(x[i]);
      }
      return out;
    };
  }

  private Vectors two(int own, InterpreterOps.Two op, Expr left, Expr right) {
    Vectors a = vector(left);
    Vectors b = vector(right);
    return frame -> {
      long[] x = a.get(frame);
      long[] y = b.get(frame);
      long[] out = frame.vectors[own];
      for (int i = 0; i < out.length; i++) {
        out[i] = op.apply(x[i], y[i]);
      }
      return out;
    };
  }

  private Vectors three(int own, Three op, Expr first, Expr second, Expr third) {
    Vectors a = vector(first);
    Vectors b = vector(second);
    Vectors c = vector(third);
    return frame -> {
      long[] x = a.get(frame);
      long[] y = b.get(frame);
      long[] z = c.get(frame);
      long[] out = frame.vectors[own];
      for (int i = 0; i < out.length; i++) {
        out[i] = op.apply(x[i], y[i], z[i]);
      }
      return out;
    };
  }

  /** {@code count} bytes at byte {@code at} of lanes of {@code bytes} each, first byte lowest. */
  private static long gather(long[] lanes, int bytes, int at, int count) {
    long value = 0;
    for (int i = 0; i < count; i++) {
      long lane = lanes[(at + i) / bytes] >>> (8 * ((at + i) % bytes));
      value |= (lane & 0xFF) << (8 * i);
    }
    return value;
  }

  private Scalars reduce(Expr.Reduce r) {
    InterpreterOps.Two op = InterpreterOps.binary(r.op().combine(), r.type().scalar());
    Vectors a = vector(r.a());
    int own = temporary(r.a().type().lanes());
    return frame -> {
      long[] work = frame.vectors[own];
      System.arraycopy(a.get(frame), 0, work, 0, work.length);
      for (int n = work.length / 2; n > 0; n /= 2) {
        for (int i = 0; i < n; i++) {
          work[i] = op.apply(work[i], work[i + n]);
        }
      }
      return work[0];
    };
  }

  private Vectors shuffle(Expr.Shuffle s) {
    Vectors a = vector(s.a());
    Vectors b = vector(s.b());
    int first = s.a().type().lanes();
    int[] picks = s.lanes().stream().mapToInt(i -> i).toArray();
    int own = temporary(picks.length);
    return frame -> {
      long[] x = a.get(frame);
      long[] y = b.get(frame);
      long[] out = frame.vectors[own];
      for (int i = 0; i < out.length; i++) {
        out[i] = picks[i] < first ? x[picks[i]] : y[picks[i] - first];
      }
      return out;
    };
  }

  private Scalars scalarLoad(Expr.Load load) {
    BufferPlace place = buffer(load.buffer());
    int number = place.number();
    if (place.register().isPresent()) {
      int index =
          register(load.buffer(), place.register().get(), load.type(), load.index(), load.mask());
      return frame -> frame.registers[number][index][0];
    }
    Scalar type = load.type().scalar();
    int bytes = type.bytes();
    Scalars index = scalar(load.index());
    if (load.mask().isPresent()) {
      Scalars mask = scalar(load.mask().get());
      return frame ->
          mask.get(frame) != 0 ? frame.memory[number].read(type, bytes, index.get(frame), 0) : 0;
    }
    return frame -> frame.memory[number].read(type, bytes, index.get(frame), 0);
  }

  private Vectors vectorLoad(Expr.Load load, int own) {
    BufferPlace place = buffer(load.buffer());
    int number = place.number();
    if (place.register().isPresent()) {
      int index =
          register(load.buffer(), place.register().get(), load.type(), load.index(), load.mask());
      return frame -> {
        System.arraycopy(
            frame.registers[number][index], 0, frame.vectors[own], 0, load.type().lanes());
        return frame.vectors[own];
      };
    }
    Scalar type = load.type().scalar();
    int bytes = type.bytes();
    Vectors mask = load.mask().map(this::vector).orElse(frame -> NO_MASK);
    if (load.index().type().isVector()) {
      Vectors index = vector(load.index());
      return frame -> {
        long[] at = index.get(frame);
        long[] on = mask.get(frame);
        long[] out = frame.vectors[own];
        for (int i = 0; i < out.length; i++) {
          out[i] =
              on.length == 0 || on[i] != 0 ? frame.memory[number].read(type, bytes, at[i], 0) : 0;
        }
        return out;
      };
    }
    Scalars index = scalar(load.index());
    return frame -> {
      long at = index.get(frame);
      long[] on = mask.get(frame);
      long[] out = frame.vectors[own];
      for (int i = 0; i < out.length; i++) {
        out[i] =
            on.length == 0 || on[i] != 0
                ? frame.memory[number].read(type, bytes, at, i * bytes)
                : 0;
      }
      return out;
    };
  }

  static final long[] NO_MASK = {};

  /** Checks an access to a register tile and returns its constant index. */
  int register(String buffer, Type element, Type accessed, Expr index, Optional<Expr> mask) {
    if (!element.equals(accessed) || mask.isPresent()) {
      throw fault(
          "register "
              + buffer
              + " of "
              + element
              + " accessed as "
              + accessed
              + (mask.isPresent() ? " with a mask" : ""));
    }
    return Math.toIntExact(constant(index));
  }
}
