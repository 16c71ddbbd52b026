package org.tersor.ir.loop;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;

/**
 * Checks what the loop IR's Javadoc demands of a function, beyond what the records check
 * themselves: names are defined before use and not shadowed, types fit, loops and barriers stand
 * where they may, registers have constant indices, stored parameters are marked written.
 */
public final class LoopVerifier {
  /** Loops around a statement, as far as placement rules care. */
  private enum Place {
    /** Where a PARALLEL loop may stand. */
    OUTERMOST,
    /** Inside PARALLEL through blocks and serial loops: where LANES loops and barriers stand. */
    TASK,
    OTHER
  }

  /** A variable; {@code laneDepth} tells whether it was defined inside a LANES loop. */
  private record Name(Type type, boolean local, int laneDepth) {}

  /** A buffer; {@code count} of a register tile, -1 of others. */
  private record Buffer(
      Type element, boolean writable, Optional<Stmt.Space> space, long count, int laneDepth) {}

  /** A matrix register; {@code sum}: of I32 sums. */
  private record Register(int rows, int words, boolean sum) {}

  private final List<String> problems = new ArrayList<>();
  private final Deque<String> path = new ArrayDeque<>();
  private Map<String, Name> names = new HashMap<>();
  private Map<String, Buffer> buffers = new HashMap<>();
  private Map<String, Register> tiles = new HashMap<>();
  private int laneDepth;

  private LoopVerifier() {}

  /**
   * Problems, each with the path of statements and operands that leads to it; empty if the function
   * is well formed.
   */
  public static List<String> verify(LoopFunction function) {
    LoopVerifier verifier = new LoopVerifier();
    verifier.path.push(function.name());
    for (LoopFunction.BufferParam b : function.buffers()) {
      verifier.defineBuffer(
          b.name(), new Buffer(Type.of(b.element()), b.written(), Optional.empty(), -1, 0));
    }
    function.dims().forEach(d -> verifier.define(d, Type.INDEX, false));
    verifier.statement(function.body(), Place.OUTERMOST);
    return verifier.problems;
  }

  /** Throws if there are problems. */
  public static void check(LoopFunction function) {
    List<String> problems = verify(function);
    if (!problems.isEmpty()) {
      throw new IllegalStateException(
          String.join("\n", problems) + "\nin\n" + LoopPrinter.print(function));
    }
  }

  private void problem(String message) {
    String where =
        StreamSupport.stream(((Iterable<String>) path::descendingIterator).spliterator(), false)
            .collect(Collectors.joining("/"));
    problems.add(where + ": " + message);
  }

  private void require(boolean condition, String message) {
    if (!condition) {
      problem(message);
    }
  }

  private void at(String step, Runnable inner) {
    path.push(step);
    inner.run();
    path.pop();
  }

  private void define(String name, Type type, boolean local) {
    fresh(name);
    names.put(name, new Name(type, local, laneDepth));
  }

  private void defineBuffer(String name, Buffer buffer) {
    fresh(name);
    buffers.put(name, buffer);
  }

  private void fresh(String name) {
    require(
        !names.containsKey(name) && !buffers.containsKey(name) && !tiles.containsKey(name),
        "the name " + name + " is already in use");
  }

  private void scoped(Runnable inner) {
    Map<String, Name> outerNames = names;
    Map<String, Buffer> outerBuffers = buffers;
    names = new HashMap<>(names);
    Map<String, Register> outerTiles = tiles;
    buffers = new HashMap<>(buffers);
    tiles = new HashMap<>(tiles);
    inner.run();
    names = outerNames;
    buffers = outerBuffers;
    tiles = outerTiles;
  }

  private void statement(Stmt statement, Place place) {
    switch (statement) {
      case Stmt.Block block ->
          scoped(() -> {
            for (int i = 0; i < block.body().size(); i++) {
              Stmt s = block.body().get(i);
              at(Integer.toString(i), () -> statement(s, place));
              if (i + 1 < block.body().size() && containsParallel(s)) {
                problem("statements follow the parallel loop");
              } else if (place == Place.OUTERMOST
                  && !(s instanceof Stmt.Let)
                  && containsParallel(block)
                  && !containsParallel(s)) {
                problem("only let may stand before the parallel loop");
              }
            }
          });
      case Stmt.For loop -> at("for " + loop.var(), () -> loop(loop, place));
      case Stmt.While loop ->
          at(
              "while",
              () -> {
                operand("condition", loop.condition(), Type.BOOL);
                scoped(() -> statement(loop.body(), Place.OTHER));
              });
      case Stmt.Let let ->
          at(
              "let " + let.name(),
              () -> type(let.value()).ifPresent(type -> define(let.name(), type, false)));
      case Stmt.Local local ->
          at(
              "local " + local.name(),
              () -> type(local.initial()).ifPresent(type -> define(local.name(), type, true)));
      case Stmt.Assign assign -> at(assign.name() + " =", () -> assign(assign));
      case Stmt.Store store -> at("store " + store.buffer(), () -> store(store));
      case Stmt.If branch ->
          at(
              "if",
              () -> {
                operand("condition", branch.condition(), Type.BOOL);
                at("then", () -> scoped(() -> statement(branch.then(), Place.OTHER)));
                branch
                    .otherwise()
                    .ifPresent(s -> at("else", () -> scoped(() -> statement(s, Place.OTHER))));
              });
      case Stmt.Alloc alloc -> at("alloc " + alloc.buffer(), () -> alloc(alloc));
      case Stmt.Prefetch prefetch ->
          at(
              "prefetch " + prefetch.buffer(),
              () -> {
                buffer(prefetch.buffer())
                    .ifPresent(b -> require(b.count < 0, "a register cannot be prefetched"));
                operand("index", prefetch.index(), Type.INDEX);
              });
      case Stmt.Barrier barrier ->
          at(
              "barrier",
              () -> require(place == Place.TASK, "a barrier stands directly inside parallel"));
      case Stmt.Tile tile -> at("tile", () -> tile(tile));
    }
  }

  private void tile(Stmt.Tile tile) {
    require(laneDepth == 0, "a matrix register stands outside of lanes loops");
    switch (tile) {
      case Stmt.Tile.Zero t -> register(t.name(), new Register(t.rows(), t.words(), true));
      case Stmt.Tile.Load t -> {
        rows(t.buffer(), 1, t.index(), t.stride());
        register(t.name(), new Register(t.rows(), t.words(), false));
      }
      case Stmt.Tile.Dot t -> {
        Optional<Register> a = register(t.a());
        Optional<Register> b = register(t.b());
        require(isByte(t.aBytes()) && isByte(t.bBytes()), "products of u8 and i8 only");
        register(t.sum())
            .ifPresent(sum -> {
              require(sum.sum, "the register " + t.sum() + " holds no sums");
              boolean fits =
                  a.isPresent()
                      && b.isPresent()
                      && a.get().rows == sum.rows
                      && a.get().words == b.get().rows
                      && b.get().words == sum.words;
              require(fits, "sizes of " + t.a() + " and " + t.b() + " do not fit " + t.sum());
            });
      }
      case Stmt.Tile.Store t -> {
        register(t.name())
            .ifPresent(sum -> require(sum.sum, "the register " + t.name() + " holds no sums"));
        rows(t.buffer(), 4, t.index(), t.stride())
            .ifPresent(b -> require(b.writable, "the parameter is not marked written"));
      }
    }
  }

  private static boolean isByte(Scalar scalar) {
    return scalar == Scalar.U8 || scalar == Scalar.I8;
  }

  private void register(String name, Register register) {
    fresh(name);
    int most = Stmt.Tile.MOST;
    require(
        register.rows >= 1
            && register.rows <= most
            && register.words >= 1
            && register.words <= most,
        name + " is of " + register.rows + " rows and " + register.words + " words");
    tiles.put(name, register);
    require(tiles.size() <= Stmt.Tile.REGISTERS, "more than " + Stmt.Tile.REGISTERS + " registers");
  }

  private Optional<Register> register(String name) {
    Optional<Register> register = Optional.ofNullable(tiles.get(name));
    require(register.isPresent(), "no matrix register named " + name);
    return register;
  }

  private Optional<Buffer> rows(String name, int bytes, Expr index, Expr stride) {
    operand("index", index, Type.INDEX);
    operand("stride", stride, Type.INDEX);
    Optional<Buffer> buffer = buffer(name);
    buffer.ifPresent(b -> {
      Scalar element = b.element.scalar();
      require(b.count < 0, "a register has no address");
      require(
          bytes == 1 ? isByte(element) : element == Scalar.I32,
          "rows of " + element.text() + " in " + name);
    });
    return buffer;
  }

  private static boolean containsParallel(Stmt s) {
    return switch (s) {
      case Stmt.For loop -> loop.kind() == Stmt.LoopKind.PARALLEL;
      case Stmt.Block block -> block.body().stream().anyMatch(LoopVerifier::containsParallel);
      default -> false;
    };
  }

  private void loop(Stmt.For loop, Place place) {
    operand("begin", loop.begin(), Type.INDEX);
    operand("end", loop.end(), Type.INDEX);
    require(loop.step() > 0, "the step is " + loop.step());
    switch (loop.kind()) {
      case SERIAL -> {}
      case PARALLEL -> {
        require(place == Place.OUTERMOST, "a parallel loop is the outermost loop");
        require(
            loop.begin() instanceof Expr.IntConst c && c.value() == 0,
            "a parallel loop begins at 0");
        require(loop.step() == 1, "a parallel loop has step 1");
      }
      case LANES -> require(place == Place.TASK, "a lanes loop stands directly inside parallel");
    }
    boolean lanes = loop.kind() == Stmt.LoopKind.LANES;
    laneDepth += lanes ? 1 : 0;
    scoped(() -> {
      define(loop.var(), Type.INDEX, false);
      boolean task =
          loop.kind() == Stmt.LoopKind.PARALLEL
              || (loop.kind() == Stmt.LoopKind.SERIAL && place == Place.TASK);
      statement(loop.body(), task ? Place.TASK : Place.OTHER);
    });
    laneDepth -= lanes ? 1 : 0;
  }

  private void assign(Stmt.Assign assign) {
    Name name = names.get(assign.name());
    if (name == null || !name.local) {
      problem("no local of that name");
      Optional<Type> _ = type(assign.value());
      return;
    }
    operand("value", assign.value(), name.type);
    require(
        name.laneDepth == laneDepth,
        "a local from outside the lanes loop would be shared by its iterations");
  }

  private void store(Stmt.Store store) {
    Optional<Type> value = at("value", store.value());
    Optional<Buffer> buffer = buffer(store.buffer());
    if (value.isEmpty() || buffer.isEmpty()) {
      return;
    }
    access(buffer.get(), value.get(), store.index(), store.mask());
    Scalar stored = value.get().scalar();
    Scalar element = buffer.get().element.scalar();
    require(
        stored == element || stored.bytes() != element.bytes(),
        "stores " + stored.text() + " into a buffer of " + element.text());
    require(buffer.get().writable, "the parameter is not marked written");
    boolean shared = buffer.get().space.map(s -> s == Stmt.Space.SHARED).orElse(true);
    require(
        shared || buffer.get().laneDepth == laneDepth,
        "private memory from outside the lanes loop would be shared by its iterations");
  }

  private void alloc(Stmt.Alloc alloc) {
    operand("count", alloc.count(), Type.INDEX);
    boolean register = alloc.space() == Stmt.Space.REGISTER;
    long count = -1;
    if (register && alloc.count() instanceof Expr.IntConst c && c.value() > 0) {
      count = c.value();
    } else {
      require(!register, "a register tile has a constant positive count");
    }
    require(register || !alloc.element().isVector(), "only registers hold vectors");
    defineBuffer(
        alloc.buffer(),
        new Buffer(alloc.element(), true, Optional.of(alloc.space()), count, laneDepth));
  }

  private Optional<Buffer> buffer(String name) {
    Optional<Buffer> buffer = Optional.ofNullable(buffers.get(name));
    require(buffer.isPresent(), "no buffer named " + name);
    return buffer;
  }

  private void access(Buffer buffer, Type type, Expr index, Optional<Expr> mask) {
    if (buffer.count >= 0) {
      boolean inside =
          index instanceof Expr.IntConst c && c.value() >= 0 && c.value() < buffer.count;
      require(
          inside,
          "a register index is a constant below "
              + buffer.count
              + ", not "
              + LoopPrinter.print(index));
      require(
          type.equals(buffer.element),
          "a register of " + buffer.element + " is accessed as " + type);
      require(mask.isEmpty(), "a register access has no mask");
    }
    at("index", index)
        .ifPresent(t ->
            require(
                t.scalar() == Scalar.INDEX && (t.lanes() == 1 || t.lanes() == type.lanes()),
                "an index of type " + t + " for " + type));
    mask.ifPresent(m -> operand("mask", m, type.withScalar(Scalar.BOOL)));
  }

  private void operand(String step, Expr e, Type wanted) {
    at(step, e)
        .ifPresent(type ->
            at(step, () -> require(type.equals(wanted), wanted + " is needed, not " + type)));
  }

  private Optional<Type> at(String step, Expr e) {
    path.push(step);
    Optional<Type> type = type(e);
    path.pop();
    return type;
  }

  /** Checks an expression; empty if its type cannot be told. */
  private Optional<Type> type(Expr e) {
    switch (e) {
      case Expr.IntConst c -> {
        Scalar s = c.type().scalar();
        require(s.isInteger() || s == Scalar.BOOL, "an integer constant of type " + c.type());
        require(
            InterpreterOps.canon(s, c.value()) == c.value(),
            c.value() + " is no value of " + s.text());
      }
      case Expr.FloatConst c -> {
        Scalar s = c.type().scalar();
        require(s.isFloat(), "a float constant of type " + c.type());
        require(
            s != Scalar.F32 || Double.isNaN(c.value()) || (float) c.value() == c.value(),
            c.value() + " is no value of " + s.text());
      }
      case Expr.Var v -> {
        Name name = names.get(v.name());
        require(name != null, "no variable named " + v.name());
        require(
            name == null || name.type.equals(v.type()),
            v.name() + " is of type " + (name == null ? "?" : name.type) + ", not " + v.type());
      }
      case Expr.Load load ->
          at(
              "load " + load.buffer(),
              () ->
                  buffer(load.buffer())
                      .ifPresent(b -> access(b, load.type(), load.index(), load.mask())));
      case Expr.Unary u ->
          at(lower(u.op()), u.a())
              .ifPresent(t -> require(defined(u.op(), t.scalar()), u.op() + " of " + t));
      case Expr.Binary b -> {
        at(lower(b.op()), b.a())
            .ifPresent(t -> require(defined(b.op(), t.scalar()), b.op() + " of " + t));
        Optional<Type> _ = at(lower(b.op()), b.b());
      }
      case Expr.Compare c -> {
        at(lower(c.op()), c.a())
            .ifPresent(t -> require(!t.scalar().isSmallFloat(), c.op() + " of " + t));
        Optional<Type> _ = at(lower(c.op()), c.b());
      }
      case Expr.Fma f -> same("fma", f.a(), List.of(f.b(), f.c()), f.a().type().scalar().isFloat());
      case Expr.Select s -> {
        operand("select", s.condition(), s.then().type().withScalar(Scalar.BOOL));
        Optional<Type> _ = at("select", s.then());
        Optional<Type> _ = at("select", s.otherwise());
      }
      case Expr.Cast c ->
          at("cast", c.a())
              .ifPresent(t ->
                  require(t.lanes() == c.type().lanes(), "a cast of " + t + " to " + c.type()));
      case Expr.Bits b ->
          at("bits", b.a())
              .ifPresent(t -> {
                require(t.bytes() == b.type().bytes(), "bits of " + t + " as " + b.type());
                require(hasBits(t) && hasBits(b.type()), "bool and index have no defined bits");
              });
      case Expr.Dot2 d -> dot2(d);
      case Expr.Dot4 d ->
          same("dot4", d.acc(), List.of(d.a(), d.b()), d.acc().type().scalar() == Scalar.I32);
      case Expr.Reduce r ->
          at("reduce", r.a())
              .ifPresent(t -> require(defined(r.op().combine(), t.scalar()), r.op() + " of " + t));
      case Expr.Broadcast b ->
          at("broadcast", b.a()).ifPresent(t -> require(!t.isVector(), "broadcast of " + t));
      case Expr.Ramp r -> operand("ramp", r.base(), Type.INDEX);
      case Expr.Shuffle s -> shuffle(s);
      case Expr.LaneLt l -> operand("lanelt", l.count(), Type.INDEX);
    }
    try {
      return Optional.of(e.type());
    } catch (IllegalArgumentException bad) {
      problem(String.valueOf(bad.getMessage()));
      return Optional.empty();
    }
  }

  private static boolean hasBits(Type type) {
    return type.scalar() != Scalar.BOOL && type.scalar() != Scalar.INDEX;
  }

  private void same(String what, Expr first, List<Expr> others, boolean defined) {
    Optional<Type> type = at(what, first);
    require(defined, what + " of " + first.type());
    others.forEach(o -> type.ifPresent(t -> operand(what, o, t)));
  }

  private void dot2(Expr.Dot2 d) {
    Optional<Type> type = at("dot2", d.acc());
    require(d.acc().type().scalar() == Scalar.F32, "dot2 of " + d.acc().type());
    type.ifPresent(t -> {
      operand("dot2", d.a(), t.withScalar(Scalar.I32));
      operand("dot2", d.b(), t.withScalar(Scalar.I32));
    });
  }

  private void shuffle(Expr.Shuffle s) {
    Optional<Type> a = at("shuffle", s.a());
    Optional<Type> b = at("shuffle", s.b());
    if (a.isPresent() && b.isPresent()) {
      require(a.get().scalar() == b.get().scalar(), "shuffle of " + a.get() + " and " + b.get());
      int count = a.get().lanes() + b.get().lanes();
      require(
          s.lanes().stream().allMatch(i -> i >= 0 && i < count),
          "shuffle picks " + s.lanes() + " of " + count + " lanes");
    }
  }

  private static String lower(Enum<?> op) {
    return op.name().toLowerCase(Locale.ROOT);
  }

  private static boolean defined(UnaryOp op, Scalar type) {
    return switch (op) {
      case NEG, ABS -> type.isFloat() || type.isInteger();
      case NOT -> type.isInteger() || type == Scalar.BOOL;
      case POPCOUNT -> type.isInteger();
      default -> type.isFloat();
    };
  }

  private static boolean defined(BinaryOp op, Scalar type) {
    return switch (op) {
      case ADD, SUB, MUL, DIV, MIN, MAX -> type.isFloat() || type.isInteger();
      case REM, SHL, SHR -> type.isInteger();
      case FLOORDIV, FLOORMOD -> type == Scalar.INDEX;
      case AND, OR, XOR -> type.isInteger() || type == Scalar.BOOL;
      case FMOD, POW, ATAN2 -> type.isFloat();
    };
  }
}
