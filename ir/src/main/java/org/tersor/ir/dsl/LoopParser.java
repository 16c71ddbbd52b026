package org.tersor.ir.dsl;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.antlr.v4.runtime.BaseErrorListener;
import org.antlr.v4.runtime.CharStreams;
import org.antlr.v4.runtime.CommonTokenStream;
import org.antlr.v4.runtime.RecognitionException;
import org.antlr.v4.runtime.Recognizer;
import org.antlr.v4.runtime.Token;
import org.antlr.v4.runtime.tree.ParseTree;
import org.jspecify.annotations.Nullable;
import org.tersor.ir.dsl.internal.LoopLexer;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.LoopRoutine;
import org.tersor.runtime.TersorException;

/**
 * Reads the text form that {@code LoopPrinter} writes. For people it also takes comments ({@code #}
 * to the end of the line), hexadecimal numbers, an element type left out of a load ({@code a[i]}),
 * and a number without a type next to an operand that has one.
 *
 * <p>Errors are {@link TersorException}s naming line and column: TSR-1001 syntax, TSR-1002 nested
 * too deep, TSR-1003 unknown name, TSR-1004 types.
 */
public final class LoopParser {
  /** Brackets inside brackets; operators in one expression count as well, {@link #TREE_LIMIT}. */
  private static final int NESTING_LIMIT = 500;

  private static final int TREE_LIMIT = 2 * NESTING_LIMIT;

  private LoopParser() {}

  /** Parses one kernel. */
  public static LoopFunction parse(String text) {
    List<LoopFunction> all = parseAll(text);
    if (all.size() != 1) {
      throw new TersorException("TSR-1001", "one kernel is expected, the text has " + all.size());
    }
    return all.getFirst();
  }

  /** Parses a file of kernels. */
  public static List<LoopFunction> parseAll(String text) {
    var parser = parser(text);
    var tree = parser.kernels();
    checkDepth(tree);
    List<LoopFunction> functions = new ArrayList<>();
    tree.kernel().forEach(k -> functions.add(new LoopBuilder().kernel(k)));
    return functions;
  }

  /** Parses a file of scalar functions such as {@code math.kern}. */
  public static List<LoopRoutine> parseRoutines(String text) {
    var parser = parser(text);
    var tree = parser.functions();
    checkDepth(tree);
    List<LoopRoutine> routines = new ArrayList<>();
    tree.function().forEach(f -> routines.add(new LoopBuilder().routine(f)));
    return routines;
  }

  static TersorException error(String code, int line, int column, String message) {
    return new TersorException(
        code, "loop text, line " + line + " column " + (column + 1) + ": " + message);
  }

  private static org.tersor.ir.dsl.internal.LoopParser parser(String text) {
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
            throw error("TSR-1001", line, column, message);
          }
        };
    LoopLexer lexer = new LoopLexer(CharStreams.fromString(text));
    lexer.removeErrorListeners();
    lexer.addErrorListener(thrower);
    CommonTokenStream tokens = new CommonTokenStream(lexer);
    tokens.fill();
    checkNesting(tokens.getTokens());
    var parser = new org.tersor.ir.dsl.internal.LoopParser(tokens);
    parser.removeErrorListeners();
    parser.addErrorListener(thrower);
    return parser;
  }

  /**
   * The parser recurses per bracket and per sign, so text is refused before it can exhaust the
   * stack.
   */
  private static void checkNesting(List<Token> tokens) {
    int depth = 0;
    int signs = 0;
    for (Token token : tokens) {
      String text = token.getText();
      depth +=
          switch (text) {
            case "(", "[", "{", "do" -> 1;
            case ")", "]", "}", "end" -> -1;
            default -> 0;
          };
      signs = text.equals("-") ? signs + 1 : 0;
      if (depth + signs > NESTING_LIMIT) {
        throw error(
            "TSR-1002",
            token.getLine(),
            token.getCharPositionInLine(),
            "nested deeper than " + NESTING_LIMIT);
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
        Token token = (Token) at.getPayload();
        throw error(
            "TSR-1002",
            token.getLine(),
            token.getCharPositionInLine(),
            "an expression nested deeper than " + TREE_LIMIT + "; name parts of it with let");
      }
      for (int i = 0; i < visit.tree.getChildCount(); i++) {
        open.push(new Visit(visit.tree.getChild(i), visit.depth + 1));
      }
    }
  }
}
