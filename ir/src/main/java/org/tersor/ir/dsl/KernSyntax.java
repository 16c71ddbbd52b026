package org.tersor.ir.dsl;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.antlr.v4.runtime.BaseErrorListener;
import org.antlr.v4.runtime.CharStreams;
import org.antlr.v4.runtime.CommonTokenStream;
import org.antlr.v4.runtime.ParserRuleContext;
import org.antlr.v4.runtime.RecognitionException;
import org.antlr.v4.runtime.Recognizer;
import org.antlr.v4.runtime.Token;
import org.antlr.v4.runtime.tree.ParseTree;
import org.jspecify.annotations.Nullable;
import org.tersor.ir.dsl.internal.KernBaseVisitor;
import org.tersor.ir.dsl.internal.KernLexer;
import org.tersor.ir.dsl.internal.KernParser;
import org.tersor.ir.dsl.internal.KernParser.AxisContext;
import org.tersor.ir.dsl.internal.KernParser.BinaryContext;
import org.tersor.ir.dsl.internal.KernParser.CallContext;
import org.tersor.ir.dsl.internal.KernParser.ConstantContext;
import org.tersor.ir.dsl.internal.KernParser.ExprContext;
import org.tersor.ir.dsl.internal.KernParser.FieldContext;
import org.tersor.ir.dsl.internal.KernParser.FileContext;
import org.tersor.ir.dsl.internal.KernParser.GroupContext;
import org.tersor.ir.dsl.internal.KernParser.ListContext;
import org.tersor.ir.dsl.internal.KernParser.LiteralContext;
import org.tersor.ir.dsl.internal.KernParser.LoadContext;
import org.tersor.ir.dsl.internal.KernParser.NameContext;
import org.tersor.ir.dsl.internal.KernParser.NegateContext;
import org.tersor.ir.dsl.internal.KernParser.ReductionContext;
import org.tersor.ir.dsl.internal.KernParser.VariableContext;
import org.tersor.ir.dsl.internal.KernParser.ViewContext;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.TersorException;

/** From text to {@link Ast}; bounded depth, errors with line and column. */
final class KernSyntax extends KernBaseVisitor<Ast> {
  private static final int NESTING_LIMIT = 500;
  private static final int TREE_LIMIT = 2 * NESTING_LIMIT;

  static FileContext file(String text) {
    BaseErrorListener thrower =
        new BaseErrorListener() {
          @Override
          public void syntaxError(
              Recognizer<?, ?> recognizer,
              @Nullable Object offending,
              int line,
              int column,
              String message,
              @Nullable RecognitionException cause) {
            throw new Ast.Pos(line, column + 1).error("TSR-1001", message);
          }
        };
    KernLexer lexer = new KernLexer(CharStreams.fromString(text));
    lexer.removeErrorListeners();
    lexer.addErrorListener(thrower);
    CommonTokenStream tokens = new CommonTokenStream(lexer);
    tokens.fill();
    checkNesting(tokens.getTokens());
    KernParser parser = new KernParser(tokens);
    parser.removeErrorListeners();
    parser.addErrorListener(thrower);
    FileContext tree = parser.file();
    checkDepth(tree);
    return tree;
  }

  /** The parser recurses per bracket, sign and fold: refuse text before it exhausts the stack. */
  private static void checkNesting(List<Token> tokens) {
    int depth = 0;
    int folds = 0;
    int signs = 0;
    for (Token token : tokens) {
      signs = token.getText().equals("-") ? signs + 1 : 0;
      switch (token.getText()) {
        case "(", "[", "{" -> depth++;
        case ")", "]", "}" -> depth--;
        case ";" -> folds = 0;
        case "sum", "prod", "reduce" -> folds++;
        default -> {}
      }
      if (depth + folds + signs > NESTING_LIMIT) {
        throw pos(token).error("TSR-1002", "nested deeper than " + NESTING_LIMIT);
      }
    }
  }

  private static void checkDepth(ParseTree root) {
    record Visit(ParseTree tree, int depth) {}
    Deque<Visit> open = new ArrayDeque<>();
    open.push(new Visit(root, 0));
    while (!open.isEmpty()) {
      Visit visit = open.pop();
      if (visit.depth > TREE_LIMIT) {
        ParseTree at = visit.tree;
        while (at.getChildCount() > 0) {
          at = at.getChild(0);
        }
        throw pos((Token) at.getPayload())
            .error("TSR-1002", "an expression nested deeper than " + TREE_LIMIT);
      }
      for (int i = 0; i < visit.tree.getChildCount(); i++) {
        open.push(new Visit(visit.tree.getChild(i), visit.depth + 1));
      }
    }
  }

  private static Ast.Pos pos(Token token) {
    return new Ast.Pos(token.getLine(), token.getCharPositionInLine() + 1);
  }

  static Ast.Pos pos(ParserRuleContext context) {
    return pos(context.getStart());
  }

  static String text(NameContext context) {
    String text = context.getText();
    return text.startsWith("`") ? unescape(text.substring(1, text.length() - 1)) : text;
  }

  /** Undoes {@link KernelPrinter#name}: backslash u and four hexadecimal digits. */
  private static String unescape(String text) {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      if (text.startsWith("\\u", i) && i + 6 <= text.length()) {
        try {
          out.append((char) Integer.parseInt(text, i + 2, i + 6, 16));
          i += 5;
          continue;
        } catch (NumberFormatException e) {
          // Not written by the printer: taken literally.
        }
      }
      out.append(text.charAt(i));
    }
    return out.toString();
  }

  /** An integer of the grammar, such as a count. */
  static long integer(Ast.Pos at, String text, long from, long to) {
    long value;
    try {
      value = Long.parseLong(text);
    } catch (NumberFormatException e) {
      throw at.error("TSR-1001", "a plain number is expected, not " + text);
    }
    if (value < from || value > to) {
      throw at.error("TSR-1001", value + " is not in " + from + ".." + to);
    }
    return value;
  }

  static Scalar scalar(NameContext context) {
    return scalar(text(context))
        .orElseThrow(() -> pos(context).error("TSR-1004", "no such type: " + text(context)));
  }

  static Optional<Scalar> scalar(String text) {
    return named(Scalar.class, text);
  }

  /** The constant of that name in lower case. */
  static <E extends Enum<E>> Optional<E> named(Class<E> type, String text) {
    for (E constant : type.getEnumConstants()) {
      if (constant.name().toLowerCase(Locale.ROOT).equals(text)) {
        return Optional.of(constant);
      }
    }
    return Optional.empty();
  }

  List<Ast> list(ListContext context) {
    return all(context.expr());
  }

  List<Ast> all(List<ExprContext> contexts) {
    List<Ast> result = new ArrayList<>();
    contexts.forEach(c -> result.add(visit(c)));
    return List.copyOf(result);
  }

  List<Ast.AxisDecl> axes(List<AxisContext> contexts) {
    List<Ast.AxisDecl> result = new ArrayList<>();
    for (AxisContext c : contexts) {
      result.add(
          new Ast.AxisDecl(pos(c), text(c.name()), Optional.ofNullable(c.expr()).map(this::visit)));
    }
    return List.copyOf(result);
  }

  @Override
  public Ast visitGroup(GroupContext context) {
    return visit(context.expr());
  }

  @Override
  public Ast visitConstant(ConstantContext context) {
    return literal(context.literal());
  }

  Ast literal(LiteralContext context) {
    return context.TRUE() != null || context.FALSE() != null
        ? new Ast.Truth(pos(context), context.TRUE() != null)
        : new Ast.Num(
            pos(context), context.getText(), context.INT() != null || context.HEX() != null);
  }

  @Override
  public Ast visitCall(CallContext context) {
    boolean bang = context.getChild(1).getText().equals("!");
    return new Ast.Call(pos(context), text(context.name()), bang, all(context.expr()));
  }

  @Override
  public Ast visitField(FieldContext context) {
    return new Ast.Field(
        pos(context),
        text(context.name(0)),
        text(context.name(1)),
        Optional.ofNullable(context.list()).map(this::list));
  }

  @Override
  public Ast visitLoad(LoadContext context) {
    return new Ast.Load(pos(context), text(context.name()), list(context.list()));
  }

  @Override
  public Ast visitView(ViewContext context) {
    return new Ast.View(
        pos(context),
        text(context.name(0)),
        text(context.name(1)),
        list(context.list(0)),
        list(context.list(1)));
  }

  @Override
  public Ast visitVariable(VariableContext context) {
    return new Ast.Name(pos(context), text(context.name()), context.getText().startsWith("`"));
  }

  @Override
  public Ast visitNegate(NegateContext context) {
    return new Ast.Neg(pos(context), visit(context.expr()));
  }

  @Override
  public Ast visitBinary(BinaryContext context) {
    return new Ast.Bin(
        pos(context), context.op.getText(), visit(context.expr(0)), visit(context.expr(1)));
  }

  @Override
  public Ast visitReduction(ReductionContext context) {
    var fold = context.fold();
    ReduceOp op = ReduceOp.SUM;
    if (fold.PROD() != null) {
      op = ReduceOp.PROD;
    } else if (fold.name() != null) {
      String name = text(fold.name());
      op = named(ReduceOp.class, name).orElseThrow(() -> unknown(fold.name(), name));
    }
    return new Ast.Fold(pos(context), op, axes(context.axis()), visit(context.expr()));
  }

  private static TersorException unknown(NameContext context, String name) {
    return pos(context).error("TSR-1003", "no reduction " + name + "; there are min, max, and, ..");
  }
}
