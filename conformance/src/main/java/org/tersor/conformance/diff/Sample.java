package org.tersor.conformance.diff;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.tersor.ir.op.OpSchema;

/** The parsed form of {@link OpSchema#sample}. */
record Sample(List<Clause> clauses) {
  /**
   * What is said about one name.
   *
   * @param name empty if these versions have no sample
   * @param operand whether it is surely an input, not an attribute of the same name
   * @param must whether it may not be left out
   * @param dims shape of an input; empty if its value tells it
   * @param value of an attribute, an input's elements or a name for later clauses
   */
  record Clause(
      int fromVersion,
      int toVersion,
      String name,
      boolean operand,
      boolean must,
      Optional<List<Dim>> dims,
      Optional<Expr> value) {
    boolean covers(int version) {
      return version >= fromVersion && version <= toVersion;
    }
  }

  /** A part of a shape. */
  sealed interface Dim {
    record Fixed(long value) implements Dim {}

    /**
     * @param factor name of a number that multiplies it, or empty
     * @param fresh drawn anew in every place
     * @param broadcast may be 1
     */
    record One(String name, String factor, boolean fresh, boolean broadcast) implements Dim {}

    record Many(String name, int least, int most, boolean broadcast) implements Dim {}

    record Length(String list) implements Dim {}
  }

  /** A value. */
  sealed interface Expr {
    record Literal(double value, boolean whole) implements Expr {}

    record Word(String text) implements Expr {}

    record Range(Expr low, Expr high) implements Expr {}

    record Choice(List<Expr> among) implements Expr {}

    record Call(String function, List<Expr> arguments) implements Expr {}

    record Shape(List<Dim> dims) implements Expr {}
  }

  private static final int MAX_RANK = 4;
  private static final Pattern VERSIONS = Pattern.compile("(\\d*)-(\\d*):\\s*(.*)");
  private static final Pattern TARGET =
      Pattern.compile("(\\w+)(!?)\\s*(?:\\[([^\\]]*)\\])?\\s*(?:=\\s*(.*))?");
  private static final Pattern MANY = Pattern.compile("(\\w+)\\*(?:(\\d+)(?:-(\\d+))?)?(~?)");
  private static final Pattern ONE = Pattern.compile("(\\^?)(?:(\\w+)\\.)?([A-Za-z]\\w*)(~?)");

  /** The alternatives of a text, which two bars separate. */
  static List<Sample> all(String text) {
    return java.util.Arrays.stream(text.split("\\|\\|")).map(Sample::parse).toList();
  }

  static Sample parse(String text) {
    List<Clause> clauses = new ArrayList<>();
    for (String part : text.split(";", -1)) {
      String clause = part.strip();
      if (!clause.isEmpty()) {
        clauses.add(clause(clause));
      }
    }
    return new Sample(List.copyOf(clauses));
  }

  private static Clause clause(String text) {
    int from = 1;
    int to = Integer.MAX_VALUE;
    String rest = text;
    Matcher versions = VERSIONS.matcher(text);
    if (versions.matches()) {
      from = versions.group(1).isEmpty() ? from : Integer.parseInt(versions.group(1));
      to = versions.group(2).isEmpty() ? to : Integer.parseInt(versions.group(2));
      rest = versions.group(3);
    }
    if (rest.equals("-")) {
      return new Clause(from, to, "", false, false, Optional.empty(), Optional.empty());
    }
    Matcher target = TARGET.matcher(rest);
    if (!target.matches()) {
      throw new IllegalArgumentException("not a clause: " + text);
    }
    return new Clause(
        from,
        to,
        target.group(1),
        target.group(3) != null,
        !target.group(2).isEmpty(),
        Optional.ofNullable(target.group(3)).filter(t -> !t.equals("*")).map(Sample::dims),
        Optional.ofNullable(target.group(4)).map(value -> new Parser(value).whole()));
  }

  private static List<Dim> dims(String text) {
    List<Dim> dims = new ArrayList<>();
    for (String token : text.isBlank() ? new String[0] : text.strip().split("\\s+", -1)) {
      Matcher many = MANY.matcher(token);
      Matcher one = ONE.matcher(token);
      if (token.startsWith("#")) {
        dims.add(new Dim.Length(token.substring(1)));
      } else if (many.matches()) {
        int least = many.group(2) == null ? 0 : Integer.parseInt(many.group(2));
        int most = many.group(3) != null ? Integer.parseInt(many.group(3)) : least;
        dims.add(
            new Dim.Many(
                many.group(1),
                least,
                many.group(2) == null ? MAX_RANK : most,
                !many.group(4).isEmpty()));
      } else if (one.matches()) {
        String factor = one.group(2);
        dims.add(
            new Dim.One(
                one.group(3),
                factor == null ? "" : factor,
                !one.group(1).isEmpty(),
                !one.group(4).isEmpty()));
      } else {
        dims.add(new Dim.Fixed(Long.parseLong(token)));
      }
    }
    return List.copyOf(dims);
  }

  /** Recursive descent over a value. */
  private static final class Parser {
    private static final Pattern TOKEN =
        Pattern.compile("\\s*(\\.\\.|-?\\d+\\.\\d+|-?\\d+|[A-Za-z_][\\w]*|'[^']*'|[(),|-])");
    private final String text;
    private final Matcher matcher;
    private String token = "";

    Parser(String text) {
      this.text = text;
      this.matcher = TOKEN.matcher(text);
      next();
    }

    private void next() {
      int at = matcher.regionStart();
      if (text.substring(at).isBlank()) {
        token = "";
        return;
      }
      if (!matcher.lookingAt()) {
        throw new IllegalArgumentException("not a value: " + text + " at " + text.substring(at));
      }
      token = matcher.group(1);
      matcher.region(matcher.end(), text.length());
    }

    Expr whole() {
      Expr expr = choice();
      if (!token.isEmpty()) {
        throw new IllegalArgumentException("not a value: " + text + " at " + token);
      }
      return expr;
    }

    private Expr choice() {
      List<Expr> among = new ArrayList<>(List.of(range()));
      while (token.equals("|")) {
        next();
        among.add(range());
      }
      return among.size() == 1 ? among.getFirst() : new Expr.Choice(List.copyOf(among));
    }

    private Expr range() {
      Expr low = atom();
      if (token.equals("..")) {
        next();
        return new Expr.Range(low, atom());
      }
      return low;
    }

    private Expr atom() {
      String first = token;
      if (first.equals("dims")) {
        int close = text.indexOf(')', matcher.regionStart());
        String inside = text.substring(text.indexOf('(', matcher.regionStart()) + 1, close);
        matcher.region(close + 1, text.length());
        next();
        return new Expr.Shape(dims(inside));
      }
      next();
      if (first.matches("-?\\d+(\\.\\d+)?")) {
        return new Expr.Literal(Double.parseDouble(first), !first.contains("."));
      }
      if (!token.equals("(")) {
        return new Expr.Word(
            first.startsWith("'") ? first.substring(1, first.length() - 1) : first);
      }
      next();
      List<Expr> arguments = new ArrayList<>();
      while (!token.equals(")")) {
        arguments.add(choice());
        if (token.equals(",")) {
          next();
        }
      }
      next();
      return new Expr.Call(first, List.copyOf(arguments));
    }
  }
}
