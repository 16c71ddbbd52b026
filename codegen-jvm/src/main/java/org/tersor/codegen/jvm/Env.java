package org.tersor.codegen.jvm;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;

/** Names in scope while a method body is emitted, and the arrays its prologue prepares. */
final class Env {

  /** What a name of the loop IR is on the JVM. */
  sealed interface Binding {}

  /**
   * A value in locals, {@code chunk} lanes each.
   *
   * @param kind of the lanes; of a BOOL vector, of its masks
   */
  record Value(Type type, int chunk, Kind kind, int[] locals) implements Binding {}

  /** A tail mask, kept as its count in an int local and made where it is used. */
  record LaneCount(int local) implements Binding {}

  /** An array in a local; {@code offset} is the local with its first slot, or -1. */
  record Memory(Scalar element, int array, int offset) implements Binding {}

  /** Elements in locals. */
  record Registers(Value[] elements) implements Binding {}

  /**
   * An array local made in the prologue.
   *
   * @param size elements; 0: null, allocated where it is declared
   */
  record Prepared(Kind kind, int size) {}

  private Map<String, Binding> variables = new HashMap<>();
  private Map<String, Binding> buffers = new HashMap<>();

  /** Arrays asked for, by key. */
  final Map<String, Prepared> prepared = new LinkedHashMap<>();

  /** Their locals, in the second pass; empty in the first, which finds out what is needed. */
  final Map<String, Integer> preparedLocals = new HashMap<>();

  int allocs;

  private record Scope(Map<String, Binding> variables, Map<String, Binding> buffers) {}

  Object open() {
    Scope scope = new Scope(variables, buffers);
    variables = new HashMap<>(variables);
    buffers = new HashMap<>(buffers);
    return scope;
  }

  void close(Object opened) {
    Scope scope = (Scope) opened;
    variables = scope.variables;
    buffers = scope.buffers;
  }

  void bind(String name, Binding value) {
    variables.put(name, value);
  }

  void bindBuffer(String name, Binding buffer) {
    buffers.put(name, buffer);
  }

  void bindAll(Env other) {
    variables.putAll(other.variables);
    buffers.putAll(other.buffers);
  }

  Optional<Binding> find(String name, boolean buffer) {
    return Optional.ofNullable((buffer ? buffers : variables).get(name));
  }

  Binding variable(String name) {
    Binding binding = variables.get(name);
    if (binding == null) {
      throw new IllegalArgumentException("no variable " + name);
    }
    return binding;
  }

  Binding buffer(String name) {
    Binding binding = buffers.get(name);
    if (binding == null) {
      throw new IllegalArgumentException("no buffer " + name);
    }
    return binding;
  }

  /** The local of a prepared array; in the first pass any number. */
  int preparedLocal(String key, Kind kind, int size) {
    prepared.merge(
        key, new Prepared(kind, size), (a, b) -> new Prepared(kind, Math.max(a.size, b.size)));
    return preparedLocals.getOrDefault(key, 0);
  }

  /** A scratch array of at least {@code size} elements, with room for a vector beyond. */
  int scratch(Kind kind, int slot, int size) {
    return preparedLocal("scratch " + kind + slot, kind, Math.max(64, size) + 64);
  }

  /** Largest numbers of lanes that expressions can be evaluated in at once. */
  static final class Chunks {
    private final Env env;
    private final int vectorBytes;

    Chunks(Env env, int vectorBytes) {
      this.env = env;
      this.vectorBytes = vectorBytes;
    }

    /** Whether vectors of this size come with masks of one bit a lane (AVX-512). */
    boolean hasMaskRegisters() {
      return vectorBytes >= 64;
    }

    /** Lanes of {@code e} evaluated at once; 1: as a scalar. */
    int of(Expr e) {
      return Math.min(e.type().lanes(), e.type().isVector() ? limit(e) : 1);
    }

    int ofType(Type type) {
      return Math.min(type.lanes(), cap(type.scalar()));
    }

    private int cap(Scalar scalar) {
      return vectorBytes == 0 ? 1 : vectorBytes / Kind.of(scalar).bytes;
    }

    private int limit(Expr e) {
      if (!e.type().isVector()) {
        return Integer.MAX_VALUE;
      }
      int operands =
          switch (e) {
            case Expr.Var v ->
                env.variable(v.name()) instanceof Value value ? value.chunk() : Integer.MAX_VALUE;
            case Expr.Load l ->
                Math.min(limit(l.index()), l.mask().map(this::limit).orElse(Integer.MAX_VALUE));
            case Expr.Unary u -> limit(u.a());
            case Expr.Binary b -> Math.min(limit(b.a()), limit(b.b()));
            case Expr.Compare c -> Math.min(limit(c.a()), limit(c.b()));
            case Expr.Fma f -> Math.min(limit(f.a()), Math.min(limit(f.b()), limit(f.c())));
            case Expr.Select s ->
                Math.min(limit(s.condition()), Math.min(limit(s.then()), limit(s.otherwise())));
            case Expr.Cast c ->
                Math.min(
                    limit(c.a()),
                    vectorBytes == 0
                        ? 1
                        : vectorBytes
                            / VectorCode.castBytes(c.a().type().scalar(), c.type().scalar()));
            case Expr.Dot2 d -> Math.min(limit(d.acc()), Math.min(limit(d.a()), limit(d.b())));
            case Expr.Dot4 d -> Math.min(limit(d.acc()), Math.min(limit(d.a()), limit(d.b())));
            case Expr.IntConst c -> Integer.MAX_VALUE;
            case Expr.FloatConst c -> Integer.MAX_VALUE;
            case Expr.Bits b -> Integer.MAX_VALUE;
            case Expr.Reduce r -> Integer.MAX_VALUE;
            case Expr.Broadcast b -> Integer.MAX_VALUE;
            case Expr.Ramp r -> Integer.MAX_VALUE;
            case Expr.Shuffle s -> Integer.MAX_VALUE;
            case Expr.LaneLt l -> Integer.MAX_VALUE;
          };
      return Math.min(cap(e.type().scalar()), operands);
    }
  }
}
