package org.tersor.codegen.c;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;

/** C text of expressions: one switch for values, one for vectors of bool. */
final class CExprs {
  private final CUnit unit;
  private final Scope scope;
  private final CScalarOps scalars;
  private final COps ops;
  private final CCasts casts;
  private final CMasks masks;
  private final CMemory memory;

  CExprs(CUnit unit, Scope scope) {
    this.unit = unit;
    this.scope = scope;
    this.scalars = new CScalarOps(unit);
    CLift lift = new CLift(unit);
    this.ops = new COps(unit, scalars, lift);
    this.casts = new CCasts(unit, scalars, lift);
    this.masks = new CMasks(unit);
    this.memory = new CMemory(unit);
  }

  CMasks masks() {
    return masks;
  }

  CMemory memory() {
    return memory;
  }

  static boolean isMask(Type type) {
    return type.scalar() == Scalar.BOOL && type.isVector();
  }

  static String symbol(CompareOp op) {
    return switch (op) {
      case EQ -> " == ";
      case NE -> " != ";
      case LT -> " < ";
      case LE -> " <= ";
      case GT -> " > ";
      case GE -> " >= ";
    };
  }

  /** Type of a variable that holds a value. */
  String typeOf(Type type, int maskWidth) {
    return isMask(type) ? masks.type(type.lanes(), maskWidth) : unit.type(type);
  }

  /** Text of a value; of a bool vector, at {@code width}. */
  String text(Expr e, int width) {
    return isMask(e.type()) ? mask(e, width) : value(e);
  }

  /** An expression that is not a vector of bool. */
  String value(Expr e) {
    Type t = e.type();
    return switch (e) {
      case Expr.IntConst c -> splat(t, CConst.integer(t.scalar(), c.value()));
      case Expr.FloatConst c -> splat(t, CConst.real(t.scalar(), c.value(), scalars));
      case Expr.Var v -> scope.variable(v.name()).c();
      case Expr.Load l -> load(l);
      case Expr.Unary u -> ops.unary(u.op(), t, value(u.a()));
      case Expr.Binary b -> ops.binary(b.op(), t, value(b.a()), value(b.b()), b);
      case Expr.Compare c -> "(" + value(c.a()) + symbol(c.op()) + value(c.b()) + ")";
      case Expr.Fma f -> ops.fma(t, value(f.a()), value(f.b()), value(f.c()));
      case Expr.Select s ->
          t.isVector()
              ? masks.blend(
                  t, mask(s.condition(), t.scalar().bytes()), value(s.then()), value(s.otherwise()))
              : "("
                  + value(s.condition())
                  + " ? "
                  + value(s.then())
                  + " : "
                  + value(s.otherwise())
                  + ")";
      case Expr.Cast c -> cast(c);
      case Expr.Bits b -> bits(b);
      case Expr.Dot2 d -> ops.dot2(t, value(d.acc()), value(d.a()), value(d.b()));
      case Expr.Dot4 d -> ops.dot4(t, value(d.acc()), value(d.a()), value(d.b()));
      case Expr.Reduce r ->
          isMask(r.a().type())
              ? masks.reduce(r.op().combine(), mask(r.a(), 4), r.a().type().lanes(), 4)
              : r.a().type().isVector()
                  ? ops.reduce(r.op().combine(), r.a().type(), value(r.a()))
                  : value(r.a());
      case Expr.Broadcast b -> splat(t, value(b.a()));
      case Expr.Ramp r -> ramp(r);
      case Expr.Shuffle s -> shuffle(s);
      case Expr.LaneLt l -> "(" + value(l.count()) + " > 0)";
    };
  }

  /** A vector of bool whose lanes have {@code width} bytes (which bit masks do not mind). */
  String mask(Expr e, int width) {
    Type t = e.type();
    int lanes = t.lanes();
    if (lanes == 1) {
      return value(e);
    }
    return switch (e) {
      case Expr.IntConst c -> masks.splat(c.value() != 0 ? "1" : "0", lanes, width);
      case Expr.Var v -> {
        Scope.Variable variable = scope.variable(v.name());
        yield masks.convert(variable.c(), lanes, variable.maskWidth(), width);
      }
      case Expr.Load l -> {
        Scope.Memory source = scope.memory(l.buffer());
        if (source.inRegisters()) {
          Scope.Variable variable = register(source, l.index());
          yield masks.convert(variable.c(), lanes, variable.maskWidth(), width);
        }
        Type bytes = new Type(Scalar.U8, lanes);
        yield nonZero(bytes, memoryLoad(bytes, l), width);
      }
      case Expr.Unary u -> masks.not(mask(u.a(), width), lanes);
      case Expr.Binary b -> masks.binary(b.op(), mask(b.a(), width), mask(b.b(), width), lanes);
      case Expr.Compare c -> compare(c, width);
      case Expr.Select s ->
          masks.select(
              mask(s.condition(), width), mask(s.then(), width), mask(s.otherwise(), width), lanes);
      case Expr.Cast c ->
          isMask(c.a().type()) ? mask(c.a(), width) : nonZero(c.a().type(), numeric(c.a()), width);
      case Expr.Bits b ->
          isMask(b.a().type())
              ? mask(b.a(), width)
              : nonZero(
                  new Type(Scalar.U8, lanes),
                  value(new Expr.Bits(new Type(Scalar.U8, lanes), b.a())),
                  width);
      case Expr.Broadcast b -> masks.splat(value(b.a()), lanes, width);
      case Expr.Shuffle s -> {
        int from = s.a().type().lanes();
        if (from == 1) {
          throw Faults.unsupported(
              "a shuffle of scalars to a mask", "the schedule must broadcast or compare instead");
        }
        yield masks.shuffle(mask(s.a(), width), mask(s.b(), width), from, s.lanes(), width);
      }
      case Expr.LaneLt l -> masks.laneLt(value(l.count()), lanes, width);
      case Expr.FloatConst _, Expr.Fma _, Expr.Dot2 _, Expr.Dot4 _, Expr.Reduce _, Expr.Ramp _ ->
          throw new IllegalStateException("not a vector of bool: " + e);
    };
  }

  /** The width at which a bool vector is cheapest to make. */
  int naturalWidth(Expr e) {
    return switch (e) {
      case Expr.Compare c ->
          isMask(c.a().type()) ? naturalWidth(c.a()) : c.a().type().scalar().bytes();
      case Expr.Var v -> scope.variable(v.name()).maskWidth();
      case Expr.Binary b -> Math.max(naturalWidth(b.a()), naturalWidth(b.b()));
      case Expr.Unary u -> naturalWidth(u.a());
      case Expr.Select s -> Math.max(naturalWidth(s.then()), naturalWidth(s.otherwise()));
      case Expr.Cast c ->
          isMask(c.a().type()) ? naturalWidth(c.a()) : c.a().type().scalar().bytes();
      case Expr.Load l -> {
        Scope.Memory source = scope.memory(l.buffer());
        yield source.inRegisters() ? source.registers().getFirst().maskWidth() : 1;
      }
      case Expr.Shuffle s -> naturalWidth(s.a());
      case Expr.Bits _ -> 1;
      case Expr.IntConst _,
          Expr.FloatConst _,
          Expr.Fma _,
          Expr.Dot2 _,
          Expr.Dot4 _,
          Expr.Reduce _,
          Expr.Broadcast _,
          Expr.Ramp _,
          Expr.LaneLt _ ->
          4;
    };
  }

  private String nonZero(Type t, String value, int width) {
    String zero = "(" + unit.type(t) + "){}";
    return masks.convert(
        masks.compare(CompareOp.NE, t, value, zero), t.lanes(), t.scalar().bytes(), width);
  }

  private String compare(Expr.Compare c, int width) {
    Type operand = c.a().type();
    int lanes = operand.lanes();
    if (!isMask(operand)) {
      return masks.convert(
          masks.compare(c.op(), operand, value(c.a()), value(c.b())),
          lanes,
          operand.scalar().bytes(),
          width);
    }
    String a = mask(c.a(), width);
    String b = mask(c.b(), width);
    // 0 < 1 on truth values.
    return switch (c.op()) {
      case EQ -> masks.not(masks.binary(BinaryOp.XOR, a, b, lanes), lanes);
      case NE -> masks.binary(BinaryOp.XOR, a, b, lanes);
      case LT -> masks.binary(BinaryOp.AND, masks.not(a, lanes), b, lanes);
      case LE -> masks.binary(BinaryOp.OR, masks.not(a, lanes), b, lanes);
      case GT -> masks.binary(BinaryOp.AND, a, masks.not(b, lanes), lanes);
      case GE -> masks.binary(BinaryOp.OR, a, masks.not(b, lanes), lanes);
    };
  }

  /** A value with bool vectors as bytes of 0 and 1. */
  String numeric(Expr e) {
    return isMask(e.type()) ? masks.toInteger(mask(e, 1), Scalar.U8, e.type().lanes()) : value(e);
  }

  private String splat(Type t, String value) {
    if (!t.isVector()) {
      return value;
    }
    String type = unit.type(t);
    String name = "tsr_splat_" + type;
    unit.helper(
        name,
        type,
        CUnit.scalar(t.scalar()) + " x",
        () -> "return (%s){%s};".formatted(type, repeat("x", t.lanes())));
    return name + "(" + value + ")";
  }

  private static String repeat(String text, int times) {
    return String.join(", ", java.util.Collections.nCopies(times, text));
  }

  private String ramp(Expr.Ramp r) {
    if (r.lanes() == 1) {
      return value(r.base());
    }
    List<String> steps = new ArrayList<>();
    for (int i = 0; i < r.lanes(); i++) {
      steps.add(Long.toString(i * r.stride()));
    }
    return "("
        + splat(r.type(), value(r.base()))
        + " + ("
        + unit.type(r.type())
        + "){"
        + String.join(", ", steps)
        + "})";
  }

  private String shuffle(Expr.Shuffle s) {
    String a = value(s.a());
    String b = value(s.b());
    int from = s.a().type().lanes();
    if (s.lanes().size() == 1) {
      int i = s.lanes().getFirst();
      String side = i < from ? a : b;
      int lane = i < from ? i : i - from;
      return (i < from ? from : s.b().type().lanes()) == 1 ? side : "(" + side + ")[" + lane + "]";
    }
    if (from == 1) {
      List<String> lanes = new ArrayList<>();
      s.lanes().forEach(i -> lanes.add(i == 0 ? a : b));
      return "((" + unit.type(s.type()) + "){" + String.join(", ", lanes) + "})";
    }
    StringBuilder text = new StringBuilder("__builtin_shufflevector(" + a + ", " + b);
    s.lanes().forEach(i -> text.append(", ").append(i));
    return text.append(')').toString();
  }

  private String cast(Expr.Cast c) {
    Type from = c.a().type();
    Scalar to = c.type().scalar();
    Optional<CCasts.Narrowing> narrowing = CCasts.Narrowing.of(c);
    if (narrowing.isPresent() && casts.narrows(from, to)) {
      return casts.narrow(from, to, narrowing.get().rounds(), value(narrowing.get().value()));
    }
    if (to == Scalar.BOOL) {
      return from.scalar() == Scalar.BOOL
          ? value(c.a())
          : "("
              + (from.scalar() == Scalar.F16 ? castText(from, Scalar.F32, c) : value(c.a()))
              + " != 0)";
    }
    if (isMask(from)) {
      Scalar integer = to.isInteger() ? to : to.bytes() == 8 ? Scalar.I64 : Scalar.I32;
      String lanes = masks.toInteger(mask(c.a(), integer.bytes()), integer, from.lanes());
      return to.isInteger() ? lanes : casts.cast(from.withScalar(integer), to, true, lanes);
    }
    if (from.scalar() == Scalar.BOOL) {
      return casts.cast(Type.of(Scalar.I32), to, true, "(int32_t)(" + value(c.a()) + ")");
    }
    return castText(from, to, c);
  }

  private String castText(Type from, Scalar to, Expr.Cast c) {
    return casts.cast(from, to, c.inRange(), value(c.a()));
  }

  private String bits(Expr.Bits b) {
    Type from = b.a().type();
    Type to = b.type();
    String a = numeric(b.a());
    if (from.isVector() && to.isVector()) {
      return "((" + unit.type(to) + ")" + a + ")";
    }
    if (!from.isVector() && !to.isVector()) {
      if (to.scalar() == Scalar.BOOL) {
        return "(" + a + " != 0)";
      }
      return CUnit.carrier(from.scalar()) == CUnit.carrier(to.scalar())
          ? a
          : scalars.bits(from.scalar(), to.scalar()) + "(" + a + ")";
    }
    String f = unit.type(from);
    String t = unit.type(to);
    return unit.reinterpretation("tsr_bits_" + f + "_" + t, f, t) + "(" + a + ")";
  }

  private String load(Expr.Load l) {
    Scope.Memory source = scope.memory(l.buffer());
    if (source.inRegisters()) {
      Scope.Variable variable = register(source, l.index());
      if (l.mask().isEmpty()) {
        return variable.c();
      }
      Type t = l.type();
      String zero = t.isVector() ? "(" + unit.type(t) + "){}" : "0";
      return t.isVector()
          ? masks.blend(t, mask(l.mask().get(), t.scalar().bytes()), variable.c(), zero)
          : "(" + value(l.mask().get()) + " ? " + variable.c() + " : (" + unit.type(t) + ")0)";
    }
    String text = memoryLoad(l.type(), l);
    return l.type().scalar() == Scalar.BOOL ? "(" + text + " != 0)" : text;
  }

  /** A load from memory, as type {@code t} of the same size as the load's. */
  private String memoryLoad(Type t, Expr.Load l) {
    Scope.Memory source = scope.memory(l.buffer());
    Type index = l.index().type();
    Optional<String> mask = l.mask().map(m -> mask(m, CUnit.carrier(t.scalar()).bytes()));
    if (index.isVector()) {
      return memory.gather(t, source.scalar().bytes(), source.c(), value(l.index()), mask);
    }
    String address = source.c() + " + " + value(l.index());
    if (t.isVector()) {
      return mask.map(m -> memory.loadMasked(t, address, m))
          .orElseGet(() -> memory.load(t, address));
    }
    String element =
        CUnit.carrier(t.scalar()) == CUnit.carrier(source.scalar())
            ? source.at(value(l.index()))
            : scalarLoad(t, address);
    return mask.map(m -> "(" + m + " ? " + element + " : (" + unit.type(t) + ")0)").orElse(element);
  }

  private String scalarLoad(Type t, String address) {
    if (unit.cuda()) {
      String type = unit.type(t);
      String name = "tsr_read_" + CUnit.carrier(t.scalar()).text();
      unit.helper(
          name, type, "const void *p", () -> type + " r; TSR_COPY(&r, p, sizeof r); return r;");
      return name + "(" + address + ")";
    }
    return memory.load(t, address);
  }

  Scope.Variable register(Scope.Memory source, Expr index) {
    if (index instanceof Expr.IntConst c
        && c.value() >= 0
        && c.value() < source.registers().size()) {
      return source.registers().get((int) c.value());
    }
    throw new IllegalStateException(
        "a register buffer needs a constant index below "
            + source.registers().size()
            + ", got "
            + index);
  }
}
