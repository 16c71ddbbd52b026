package org.tersor.ir.dsl;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.runtime.DimExpr;

/**
 * Gives an expression its types. A number without a type takes that of its context; definitions of
 * formats are expanded. The result has the shape that was written, nothing is folded, except inside
 * definitions.
 */
final class KernTyper {
  /** Nodes of one expression, definitions expanded. */
  private static final int SIZE_LIMIT = 50_000;

  private final IdentityHashMap<KExpr, Integer> sizes = new IdentityHashMap<>();

  KExpr type(Ast ast, KernScope scope, Optional<Scalar> wanted) {
    KExpr expr = build(ast, scope, wanted);
    return sized(ast, expr);
  }

  private KExpr sized(Ast ast, KExpr expr) {
    if (!sizes.containsKey(expr)) {
      sizes.put(expr, size(expr));
    }
    if (sizes.getOrDefault(expr, 0) > SIZE_LIMIT) {
      throw ast.at()
          .error(
              "TSR-1002", "more than " + SIZE_LIMIT + " operations once definitions are expanded");
    }
    return expr;
  }

  private int size(KExpr expr) {
    Integer known = sizes.get(expr);
    if (known != null) {
      return known;
    }
    long sum = 1;
    for (KExpr operand : KExprs.operands(expr)) {
      sum += size(operand);
    }
    int size = (int) Math.min(sum, Integer.MAX_VALUE / 2);
    sizes.put(expr, size);
    return size;
  }

  KExpr index(Ast ast, KernScope scope) {
    KExpr expr = type(ast, scope, Optional.of(Scalar.INDEX));
    if (expr.scalar() == Scalar.INDEX) {
      return expr;
    }
    if (!expr.scalar().isInteger()) {
      throw ast.at().error("TSR-1004", "an index is an integer, not " + expr.scalar().text());
    }
    return new KExpr.To(Scalar.INDEX, expr, true);
  }

  private KExpr build(Ast ast, KernScope scope, Optional<Scalar> wanted) {
    return switch (ast) {
      case Ast.Num e -> KernNumbers.number(e, wanted);
      case Ast.Truth e -> K.bool(e.value());
      case Ast.Name e -> name(e, scope, wanted);
      case Ast.Call e -> call(e, scope, wanted);
      case Ast.Load e -> load(e, scope);
      case Ast.View e -> {
        Buf declared = scope.buffers.get(e.name());
        if (declared == null) {
          throw e.at().error("TSR-1003", "no buffer named " + e.name());
        }
        Scalar element =
            KernSyntax.scalar(e.type())
                .orElseThrow(() -> e.at().error("TSR-1004", "no such type: " + e.type()));
        yield at(e, new Buf(e.name(), element, dims(e.shape())), e.index(), scope);
      }
      case Ast.Field e -> {
        KernScope.Block block = scope.blocks.get(e.block());
        if (block == null) {
          throw e.at().error("TSR-1003", "no block named " + e.block());
        }
        yield block.operand().format().read(this, e, block, scope);
      }
      case Ast.Neg e -> {
        KExpr a = type(e.a(), scope, wanted);
        boolean infinity = e.a() instanceof Ast.Name && a instanceof KExpr.FloatLit;
        yield infinity
            ? new KExpr.FloatLit(a.scalar(), -((KExpr.FloatLit) a).value())
            : new KExpr.Un(UnaryOp.NEG, a);
      }
      case Ast.Bin e -> {
        Optional<CompareOp> compare = KernNumbers.compare(e.op());
        if (compare.isPresent()) {
          List<KExpr> x = alike(List.of(e.a(), e.b()), scope, Optional.empty(), e);
          yield new KExpr.Cmp(compare.get(), x.get(0), x.get(1));
        }
        boolean shift = e.op().equals("<<") || e.op().equals(">>");
        List<KExpr> x =
            shift ? shifted(e, scope, wanted) : alike(List.of(e.a(), e.b()), scope, wanted, e);
        try {
          yield binary(
              KernNumbers.binary(e.op(), x.getFirst().scalar()), x.get(0), x.get(1), scope);
        } catch (ArithmeticException fault) {
          throw e.at().error("TSR-1004", "there is no such number: " + fault.getMessage());
        }
      }
      case Ast.Fold e -> {
        KernScope inner = scope.inner();
        List<Axis> axes = new ArrayList<>();
        for (Ast.AxisDecl decl : e.axes()) {
          Axis axis = axis(decl);
          axes.add(axis);
          inner.values.put(decl.name(), new KExpr.AxisRef(axis));
        }
        yield new KExpr.Fold(e.op(), axes, type(e.body(), inner, wanted));
      }
    };
  }

  /** An axis whose extent is written; inference has filled in the others before. */
  Axis axis(Ast.AxisDecl decl) {
    Ast extent =
        decl.extent()
            .orElseThrow(() ->
                decl.at()
                    .error(
                        "TSR-1004",
                        "the extent of axis "
                            + decl.name()
                            + " cannot be inferred: write "
                            + decl.name()
                            + " < EXTENT, or use it as an index of its own"));
    return new Axis(decl.name(), KernNumbers.dim(extent));
  }

  static List<DimExpr> dims(List<Ast> asts) {
    return asts.stream().map(KernNumbers::dim).toList();
  }

  private KExpr name(Ast.Name e, KernScope scope, Optional<Scalar> wanted) {
    if (!e.quoted()) {
      Optional<KExpr> special = KernNumbers.special(e, wanted);
      if (special.isPresent()) {
        return special.get();
      }
    }
    KExpr value = scope.values.get(e.name());
    if (value != null) {
      return value;
    }
    Buf buffer = scope.buffers.get(e.name());
    if (buffer != null && buffer.shape().isEmpty()) {
      return new KExpr.At(buffer, List.of());
    }
    throw e.at()
        .error(
            "TSR-1003",
            buffer != null
                ? e.name() + " has " + buffer.shape().size() + " dimensions and needs indices"
                : "no axis, dimension or buffer named " + e.name());
  }

  private KExpr load(Ast.Load e, KernScope scope) {
    Buf buffer = scope.buffers.get(e.name());
    if (buffer != null) {
      return at(e, buffer, e.index(), scope);
    }
    if (scope.format.isPresent()) {
      return scope.format.get().lookup(this, e, scope);
    }
    throw e.at()
        .error(
            "TSR-1003",
            scope.encoded.containsKey(e.name())
                ? e.name() + " is stored in a number format: read it with decode(...)"
                : "no buffer named " + e.name());
  }

  KExpr at(Ast ast, Buf buffer, List<Ast> index, KernScope scope) {
    if (index.size() != buffer.shape().size()) {
      throw ast.at()
          .error(
              "TSR-1004",
              index.size() + " indices into " + buffer.name() + ", which has " + buffer.shape());
    }
    return new KExpr.At(buffer, index.stream().map(i -> index(i, scope)).toList());
  }

  private static KExpr binary(BinaryOp op, KExpr a, KExpr b, KernScope scope) {
    if (scope.format.isPresent() && a.scalar() == Scalar.INDEX) {
      return switch (op) {
        case ADD -> K.add(a, b);
        case SUB -> K.sub(a, b);
        case MUL -> K.mul(a, b);
        case FLOORDIV -> K.floorDiv(a, b);
        case FLOORMOD -> K.floorMod(a, b);
        default -> new KExpr.Bin(op, a, b);
      };
    }
    return new KExpr.Bin(op, a, b);
  }

  /** A shift may count with an index. */
  private List<KExpr> shifted(Ast.Bin e, KernScope scope, Optional<Scalar> wanted) {
    if (flexible(e.a()) || flexible(e.b())) {
      return alike(List.of(e.a(), e.b()), scope, wanted, e);
    }
    KExpr a = type(e.a(), scope, wanted);
    KExpr b = type(e.b(), scope, Optional.empty());
    return same(
        e,
        List.of(
            a,
            b.scalar() == Scalar.INDEX && a.scalar() != Scalar.INDEX
                ? new KExpr.To(a.scalar(), b, true)
                : b));
  }

  /** Whether the type of an expression is the context's. */
  private static boolean flexible(Ast ast) {
    return switch (ast) {
      case Ast.Num e -> e.text().indexOf('_') < 0;
      case Ast.Name e -> !e.quoted() && (e.name().equals("inf") || e.name().equals("nan"));
      case Ast.Neg e -> flexible(e.a());
      case Ast.Bin e -> KernNumbers.compare(e.op()).isEmpty() && flexible(e.a()) && flexible(e.b());
      default -> false;
    };
  }

  /** Operands of one type: numbers without a type take that of the first other operand. */
  private List<KExpr> alike(List<Ast> asts, KernScope scope, Optional<Scalar> wanted, Ast at) {
    Optional<Scalar> type = Optional.empty();
    IdentityHashMap<Ast, KExpr> built = new IdentityHashMap<>();
    for (Ast a : asts) {
      if (!flexible(a)) {
        KExpr expr = type(a, scope, type.or(() -> wanted));
        type = type.or(() -> Optional.of(expr.scalar()));
        built.put(a, expr);
      }
    }
    List<KExpr> result = new ArrayList<>();
    for (Ast a : asts) {
      KExpr done = built.get(a);
      Optional<Scalar> use = type.or(() -> wanted);
      result.add(done != null ? done : type(a, scope, use));
    }
    return same(at, result);
  }

  private static List<KExpr> same(Ast at, List<KExpr> exprs) {
    Scalar first = exprs.getFirst().scalar();
    for (KExpr expr : exprs) {
      if (expr.scalar() != first) {
        throw at.at()
            .error(
                "TSR-1004",
                "operands of types "
                    + first.text()
                    + " and "
                    + expr.scalar().text()
                    + "; convert one, e.g. "
                    + first.text()
                    + "(...)");
      }
    }
    return exprs;
  }

  private KExpr call(Ast.Call e, KernScope scope, Optional<Scalar> wanted) {
    Optional<KExpr> expanded = expand(e, scope);
    if (expanded.isPresent()) {
      return expanded.get();
    }
    Optional<Scalar> cast = KernSyntax.scalar(e.name());
    if (cast.isPresent()) {
      return new KExpr.To(
          cast.get(), type(arguments(e, 1).getFirst(), scope, Optional.empty()), e.bang());
    }
    if (e.bang()) {
      throw e.at().error("TSR-1003", "only conversions take a '!': " + e.name());
    }
    Optional<UnaryOp> unary = KernSyntax.named(UnaryOp.class, e.name());
    if (unary.isPresent()) {
      return new KExpr.Un(unary.get(), type(arguments(e, 1).getFirst(), scope, wanted));
    }
    Optional<BinaryOp> binary = KernSyntax.named(BinaryOp.class, e.name());
    if (binary.isPresent()) {
      List<KExpr> x = alike(arguments(e, 2), scope, wanted, e);
      return new KExpr.Bin(binary.get(), x.get(0), x.get(1));
    }
    return switch (e.name()) {
      case "select" -> {
        List<Ast> args = arguments(e, 3);
        KExpr condition = type(args.getFirst(), scope, Optional.of(Scalar.BOOL));
        if (condition.scalar() != Scalar.BOOL) {
          throw e.at()
              .error("TSR-1004", "select chooses by a bool, not " + condition.scalar().text());
        }
        List<KExpr> sides = alike(args.subList(1, 3), scope, wanted, e);
        yield new KExpr.If(condition, sides.get(0), sides.get(1));
      }
      case "bits" -> {
        List<Ast> args = arguments(e, 2);
        if (args.getFirst() instanceof Ast.Name type
            && KernSyntax.scalar(type.name()).isPresent()) {
          yield new KExpr.BitsAs(
              KernSyntax.scalar(type.name()).get(), type(args.get(1), scope, Optional.empty()));
        }
        throw e.at().error("TSR-1004", "bits(TYPE, value) needs the name of a type");
      }
      case "within" -> {
        List<Ast> args = arguments(e, 3);
        yield new KExpr.Within(
            type(args.getFirst(), scope, Optional.empty()),
            KernNumbers.dim(args.get(1)),
            KernNumbers.dim(args.get(2)));
      }
      case "dim" -> new KExpr.Dim(KernNumbers.dim(arguments(e, 1).getFirst()));
      case "relu" -> {
        KExpr a = type(arguments(e, 1).getFirst(), scope, wanted);
        yield K.max(a, K.literal(a.scalar(), 0L));
      }
      default -> throw e.at().error("TSR-1003", "no function " + e.name());
    };
  }

  private static List<Ast> arguments(Ast.Call e, int count) {
    if (e.args().size() != count) {
      throw e.at()
          .error("TSR-1001", e.name() + " takes " + count + " arguments, not " + e.args().size());
    }
    return e.args();
  }

  /**
   * A definition of a format: {@code decode(W[n], k/32, k%32)}, or {@code scale(b, i)} inside one.
   */
  private Optional<KExpr> expand(Ast.Call e, KernScope scope) {
    if (e.bang()) {
      return Optional.empty();
    }
    if (scope.format.isPresent()) {
      FormatDef format = scope.format.get();
      return format
          .definition(e.name(), scope.visibleDefinitions)
          .map(definition -> expand(e, scope, format, definition, e.args(), Optional.empty()));
    }
    if (e.args().size() < 2) {
      return Optional.empty();
    }
    Ast first = e.args().getFirst();
    String name =
        switch (first) {
          case Ast.Load load -> load.name();
          case Ast.Name plain -> plain.name();
          default -> "";
        };
    KernScope.Encoded operand = scope.encoded.get(name);
    if (operand == null) {
      return Optional.empty();
    }
    FormatDef format = operand.format();
    FormatDef.Definition definition =
        format
            .definition(e.name(), Integer.MAX_VALUE)
            .orElseThrow(() ->
                e.at()
                    .error("TSR-1003", "format " + format.name() + " does not define " + e.name()));
    List<Ast> rows = first instanceof Ast.Load load ? load.index() : List.of();
    if (rows.size() != operand.shape().size() - 1) {
      throw e.at()
          .error(
              "TSR-1004",
              name
                  + " of shape "
                  + operand.shape()
                  + " needs "
                  + (operand.shape().size() - 1)
                  + " indices before the block");
    }
    KernScope.Block block =
        new KernScope.Block(
            operand,
            rows.stream().map(r -> index(r, scope)).toList(),
            index(e.args().get(1), scope));
    return Optional.of(
        expand(
            e,
            scope,
            format,
            definition,
            e.args().subList(1, e.args().size()),
            Optional.of(block)));
  }

  private KExpr expand(
      Ast.Call e,
      KernScope scope,
      FormatDef format,
      FormatDef.Definition definition,
      List<Ast> args,
      Optional<KernScope.Block> firstBlock) {
    List<String> parameters = definition.parameters();
    if (args.size() != parameters.size()) {
      throw e.at()
          .error(
              "TSR-1001",
              e.name() + " takes " + parameters.size() + " arguments, not " + args.size());
    }
    KernScope inner = KernScope.definition(format, definition.number());
    for (int i = 0; i < args.size(); i++) {
      Ast arg = args.get(i);
      if (i == 0 && firstBlock.isPresent()) {
        inner.blocks.put(parameters.get(0), firstBlock.get());
      } else if (arg instanceof Ast.Name name && scope.blocks.containsKey(name.name())) {
        inner.blocks.put(parameters.get(i), scope.blocks.get(name.name()));
      } else {
        inner.values.put(parameters.get(i), type(arg, scope, Optional.of(Scalar.INDEX)));
      }
    }
    return type(definition.body(), inner, Optional.empty());
  }
}
