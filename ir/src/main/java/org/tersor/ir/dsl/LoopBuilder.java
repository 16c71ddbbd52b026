package org.tersor.ir.dsl;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.antlr.v4.runtime.ParserRuleContext;
import org.antlr.v4.runtime.Token;
import org.antlr.v4.runtime.tree.TerminalNode;
import org.tersor.ir.dsl.internal.LoopBaseVisitor;
import org.tersor.ir.dsl.internal.LoopParser.AllocContext;
import org.tersor.ir.dsl.internal.LoopParser.ArgumentContext;
import org.tersor.ir.dsl.internal.LoopParser.AssignContext;
import org.tersor.ir.dsl.internal.LoopParser.BarrierContext;
import org.tersor.ir.dsl.internal.LoopParser.BlockContext;
import org.tersor.ir.dsl.internal.LoopParser.BodyContext;
import org.tersor.ir.dsl.internal.LoopParser.BranchContext;
import org.tersor.ir.dsl.internal.LoopParser.ForLoopContext;
import org.tersor.ir.dsl.internal.LoopParser.FunctionContext;
import org.tersor.ir.dsl.internal.LoopParser.KernelContext;
import org.tersor.ir.dsl.internal.LoopParser.LetContext;
import org.tersor.ir.dsl.internal.LoopParser.LocalContext;
import org.tersor.ir.dsl.internal.LoopParser.NameContext;
import org.tersor.ir.dsl.internal.LoopParser.NestedContext;
import org.tersor.ir.dsl.internal.LoopParser.ParameterContext;
import org.tersor.ir.dsl.internal.LoopParser.PrefetchContext;
import org.tersor.ir.dsl.internal.LoopParser.StatementContext;
import org.tersor.ir.dsl.internal.LoopParser.StoreContext;
import org.tersor.ir.dsl.internal.LoopParser.StridedContext;
import org.tersor.ir.dsl.internal.LoopParser.TileDotContext;
import org.tersor.ir.dsl.internal.LoopParser.TileLoadContext;
import org.tersor.ir.dsl.internal.LoopParser.TileStoreContext;
import org.tersor.ir.dsl.internal.LoopParser.TileZeroContext;
import org.tersor.ir.dsl.internal.LoopParser.WhileLoopContext;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.LoopRoutine;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.runtime.TersorException;

/** Builds statements from parse trees, keeping track of the types of names. */
final class LoopBuilder extends LoopBaseVisitor<Stmt> {
  private Map<String, Type> names = new HashMap<>();
  private Map<String, Type> buffers = new HashMap<>();
  private final LoopExprBuilder exprs = new LoopExprBuilder(this);

  LoopFunction kernel(KernelContext context) {
    List<LoopFunction.BufferParam> parameters = new ArrayList<>();
    for (ParameterContext p : context.parameter()) {
      boolean written = p.getChild(2) instanceof TerminalNode;
      Type type = type(p.name(1));
      if (type.isVector()) {
        throw at("TSR-1004", p, "a buffer has scalar elements, not " + type);
      }
      parameters.add(new LoopFunction.BufferParam(text(p.name(0)), type.scalar(), written));
      buffers.put(text(p.name(0)), type);
    }
    List<String> dims = new ArrayList<>();
    for (NameContext dim : context.name().subList(1, context.name().size())) {
      dims.add(text(dim));
      names.put(text(dim), Type.INDEX);
    }
    return new LoopFunction(text(context.name(0)), parameters, dims, body(context.body()));
  }

  LoopRoutine routine(FunctionContext context) {
    List<LoopRoutine.Parameter> parameters = new ArrayList<>();
    for (ArgumentContext a : context.argument()) {
      parameters.add(new LoopRoutine.Parameter(text(a.name(0)), type(a.name(1))));
      names.put(text(a.name(0)), type(a.name(1)));
    }
    List<Stmt> body = context.statement().stream().map(this::visit).toList();
    Expr result = exprs.typed(context.expr(), type(context.name(1)));
    if (!result.type().equals(type(context.name(1)))) {
      throw at(
          "TSR-1004",
          context.expr(),
          "returns " + result.type() + ", declared " + type(context.name(1)));
    }
    return new LoopRoutine(text(context.name(0)), parameters, body, result);
  }

  Type type(NameContext context) {
    return Type.parse(text(context))
        .orElseThrow(() -> at("TSR-1004", context, "no such type: " + text(context)));
  }

  Optional<Type> lookup(String name) {
    return Optional.ofNullable(names.get(name));
  }

  Type buffer(NameContext context) {
    Type type = buffers.get(text(context));
    if (type == null) {
      throw at("TSR-1003", context, "no buffer named " + text(context));
    }
    return type;
  }

  static String text(NameContext context) {
    String text = context.getText();
    return text.startsWith("`") ? text.substring(1, text.length() - 1) : text;
  }

  static TersorException at(String code, ParserRuleContext context, String message) {
    Token token = context.getStart();
    return LoopParser.error(code, token.getLine(), token.getCharPositionInLine(), message);
  }

  private Stmt body(BodyContext context) {
    return context.block() != null
        ? visit(context.block())
        : scoped(() -> visit(context.statement()));
  }

  private Stmt scoped(Supplier<Stmt> inner) {
    Map<String, Type> outerNames = names;
    Map<String, Type> outerBuffers = buffers;
    names = new HashMap<>(names);
    buffers = new HashMap<>(buffers);
    Stmt result = inner.get();
    names = outerNames;
    buffers = outerBuffers;
    return result;
  }

  @Override
  public Stmt visitBlock(BlockContext context) {
    return scoped(() -> {
      List<Stmt> body = new ArrayList<>();
      for (StatementContext s : context.statement()) {
        body.add(visit(s));
      }
      return new Stmt.Block(body);
    });
  }

  @Override
  public Stmt visitNested(NestedContext context) {
    return visit(context.block());
  }

  @Override
  public Stmt visitForLoop(ForLoopContext context) {
    Stmt.LoopKind kind =
        context.kind == null
            ? Stmt.LoopKind.SERIAL
            : Stmt.LoopKind.valueOf(context.kind.getText().toUpperCase(Locale.ROOT));
    String variable = text(context.name());
    Expr begin = exprs.visit(context.expr(0));
    Expr end = exprs.visit(context.expr(1));
    long step = context.INT() == null ? 1 : exprs.integer(context, context.INT().getText());
    if (step < 1 || step > Integer.MAX_VALUE) {
      throw at("TSR-1001", context, "step out of range: " + step);
    }
    Stmt body =
        scoped(() -> {
          names.put(variable, Type.INDEX);
          return body(context.body());
        });
    return new Stmt.For(kind, variable, begin, end, (int) step, body);
  }

  @Override
  public Stmt visitWhileLoop(WhileLoopContext context) {
    return new Stmt.While(exprs.visit(context.expr()), body(context.body()));
  }

  @Override
  public Stmt visitLet(LetContext context) {
    Expr value = exprs.visit(context.expr());
    names.put(text(context.name()), value.type());
    return new Stmt.Let(text(context.name()), value);
  }

  @Override
  public Stmt visitLocal(LocalContext context) {
    Expr value = exprs.visit(context.expr());
    names.put(text(context.name()), value.type());
    return new Stmt.Local(text(context.name()), value);
  }

  @Override
  public Stmt visitAssign(AssignContext context) {
    String name = text(context.name());
    Type type = lookup(name).orElseThrow(() -> at("TSR-1003", context, "no local named " + name));
    return new Stmt.Assign(name, exprs.typed(context.expr(), type));
  }

  @Override
  public Stmt visitStore(StoreContext context) {
    Type element = buffer(context.name());
    boolean masked = context.IF() != null;
    Expr index = exprs.visit(context.expr(0));
    Optional<Expr> mask = masked ? Optional.of(exprs.visit(context.expr(1))) : Optional.empty();
    Expr value = exprs.typed(context.expr(masked ? 2 : 1), element);
    return new Stmt.Store(text(context.name()), index, value, mask);
  }

  @Override
  public Stmt visitBranch(BranchContext context) {
    Expr condition = exprs.visit(context.expr());
    Stmt then = body(context.body(0));
    Optional<Stmt> otherwise =
        context.ELSE() == null ? Optional.empty() : Optional.of(body(context.body(1)));
    return new Stmt.If(condition, then, otherwise);
  }

  @Override
  public Stmt visitAlloc(AllocContext context) {
    Stmt.Space space =
        LoopExprBuilder.named(Stmt.Space.class, context.space().getText())
            .orElseThrow(() ->
                at("TSR-1001", context.space(), "unknown word: " + context.space().getText()));
    Type element = type(context.name(1));
    Expr count = exprs.visit(context.expr());
    String name = text(context.name(0));
    buffers.put(name, element);
    return new Stmt.Alloc(name, element, count, space);
  }

  @Override
  public Stmt visitPrefetch(PrefetchContext context) {
    Type _ = buffer(context.name());
    return new Stmt.Prefetch(text(context.name()), exprs.visit(context.expr()));
  }

  @Override
  public Stmt visitBarrier(BarrierContext context) {
    return new Stmt.Barrier();
  }

  @Override
  public Stmt visitTileZero(TileZeroContext context) {
    return new Stmt.Tile.Zero(
        text(context.name()), size(context, context.INT(0)), size(context, context.INT(1)));
  }

  @Override
  public Stmt visitTileLoad(TileLoadContext context) {
    StridedContext from = context.strided();
    Type _ = buffer(from.name());
    return new Stmt.Tile.Load(
        text(context.name()),
        size(context, context.INT(0)),
        size(context, context.INT(1)),
        text(from.name()),
        exprs.visit(from.expr(0)),
        exprs.visit(from.expr(1)));
  }

  @Override
  public Stmt visitTileDot(TileDotContext context) {
    return new Stmt.Tile.Dot(
        text(context.name(0)),
        type(context.name(1)).scalar(),
        text(context.name(2)),
        type(context.name(3)).scalar(),
        text(context.name(4)));
  }

  @Override
  public Stmt visitTileStore(TileStoreContext context) {
    StridedContext to = context.strided();
    Type _ = buffer(to.name());
    return new Stmt.Tile.Store(
        text(to.name()), exprs.visit(to.expr(0)), exprs.visit(to.expr(1)), text(context.name()));
  }

  private int size(ParserRuleContext context, TerminalNode number) {
    long size = exprs.integer(context, number.getText());
    if (size < 1 || size > Stmt.Tile.MOST) {
      throw at("TSR-1001", context, "size of a tile out of range: " + size);
    }
    return (int) size;
  }
}
