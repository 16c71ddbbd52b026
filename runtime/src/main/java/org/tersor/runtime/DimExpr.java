package org.tersor.runtime;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * A tensor dimension or size: an integer polynomial over symbols and over opaque quotients,
 * remainders, minima and maxima. The representation is canonical, so {@code equals} is algebraic
 * equality of the polynomial part. Evaluation is exact: overflow of a long throws.
 */
public final class DimExpr implements Comparable<DimExpr> {

  /** An indivisible factor. */
  public sealed interface Atom extends Comparable<Atom> {
    @Override
    default int compareTo(Atom other) {
      return toString().compareTo(other.toString());
    }
  }

  /** A free symbol, e.g. the batch size. */
  public record Symbol(String name) implements Atom {
    @Override
    public String toString() {
      return name;
    }
  }

  /** An operation that does not distribute over sums. */
  public record Opaque(Kind kind, DimExpr left, DimExpr right) implements Atom {
    @Override
    public String toString() {
      return kind.text + "(" + left + ", " + right + ")";
    }
  }

  /**
   * Kinds of {@link Opaque}; division rounds toward minus infinity ({@code floordiv}) or plus
   * infinity ({@code ceildiv}).
   */
  public enum Kind {
    FLOORDIV("floordiv"),
    CEILDIV("ceildiv"),
    MOD("mod"),
    MIN("min"),
    MAX("max");

    private final String text;

    Kind(String text) {
      this.text = text;
    }

    public String text() {
      return text;
    }

    long apply(long a, long b) {
      return switch (this) {
        case FLOORDIV -> Math.floorDiv(a, b);
        case CEILDIV -> Math.ceilDiv(a, b);
        case MOD -> Math.floorMod(a, b);
        case MIN -> Math.min(a, b);
        case MAX -> Math.max(a, b);
      };
    }
  }

  /** A product of atoms, sorted; the empty product is 1. */
  private record Monomial(List<Atom> atoms) implements Comparable<Monomial> {
    @Override
    public int compareTo(Monomial other) {
      int bySize = Integer.compare(other.atoms.size(), atoms.size());
      if (bySize != 0 || atoms.isEmpty()) {
        return bySize;
      }
      return atoms.toString().compareTo(other.atoms.toString());
    }
  }

  private static final Monomial UNIT = new Monomial(List.of());

  /** What most dimensions are; every evaluation of a node makes some. */
  private static final List<DimExpr> SMALL =
      LongStream.range(0, 256).mapToObj(DimExpr::constant).toList();

  public static final DimExpr ZERO = of(0);
  public static final DimExpr ONE = of(1);

  /** Empty for a constant. */
  private final TreeMap<Monomial, Long> terms;

  /** Of a constant, its value. */
  private final long constant;

  /** Made when it is asked for: a compilation computes with hundreds of thousands of sizes. */
  private @Nullable String text;

  private DimExpr(TreeMap<Monomial, Long> terms, long constant) {
    this.terms = terms;
    this.constant = constant;
  }

  public static DimExpr of(long value) {
    return value >= 0 && value < SMALL.size() ? SMALL.get((int) value) : constant(value);
  }

  private static DimExpr constant(long value) {
    return new DimExpr(new TreeMap<>(), value);
  }

  private static DimExpr of(TreeMap<Monomial, Long> terms) {
    boolean constant = terms.isEmpty() || (terms.size() == 1 && terms.containsKey(UNIT));
    return constant ? of(terms.getOrDefault(UNIT, 0L)) : new DimExpr(terms, 0);
  }

  private TreeMap<Monomial, Long> terms() {
    if (isConst() && constant != 0) {
      return new TreeMap<>(Map.of(UNIT, constant));
    }
    return terms;
  }

  public static DimExpr symbol(String name) {
    return ofAtom(new Symbol(name));
  }

  private static DimExpr ofAtom(Atom atom) {
    TreeMap<Monomial, Long> terms = new TreeMap<>();
    terms.put(new Monomial(List.of(atom)), 1L);
    return new DimExpr(terms, 0);
  }

  public static List<DimExpr> list(long... values) {
    List<DimExpr> list = new ArrayList<>();
    for (long value : values) {
      list.add(of(value));
    }
    return List.copyOf(list);
  }

  /** Product of all; 1 for none. */
  public static DimExpr product(List<DimExpr> factors) {
    DimExpr result = ONE;
    for (DimExpr factor : factors) {
      result = result.times(factor);
    }
    return result;
  }

  public boolean isConst() {
    return terms.isEmpty();
  }

  /** Whether it is one symbol and nothing else; its name is then the text form. */
  public boolean isSymbol() {
    return terms.size() == 1
        && terms.firstEntry().getValue() == 1
        && terms.firstKey().atoms.size() == 1
        && terms.firstKey().atoms.getFirst() instanceof Symbol;
  }

  public boolean isConst(long value) {
    return isConst() && constant == value;
  }

  /** The value of a constant; throws if symbolic. */
  public long constValue() {
    if (!isConst()) {
      throw new IllegalStateException("dimension " + this + " is not constant");
    }
    return constant;
  }

  public DimExpr plus(DimExpr other) {
    if (isConst() && other.isConst()) {
      return of(Math.addExact(constant, other.constant));
    }
    TreeMap<Monomial, Long> sum = new TreeMap<>(terms());
    other.terms().forEach((m, c) -> add(sum, m, c));
    return of(sum);
  }

  public DimExpr plus(long other) {
    return plus(of(other));
  }

  public DimExpr minus(DimExpr other) {
    return plus(other.times(-1));
  }

  public DimExpr minus(long other) {
    return plus(of(-other));
  }

  public DimExpr times(long factor) {
    return times(of(factor));
  }

  public DimExpr times(DimExpr other) {
    if (isConst() && other.isConst()) {
      return of(Math.multiplyExact(constant, other.constant));
    }
    TreeMap<Monomial, Long> product = new TreeMap<>();
    for (var a : terms().entrySet()) {
      for (var b : other.terms().entrySet()) {
        List<Atom> atoms = new ArrayList<>(a.getKey().atoms);
        atoms.addAll(b.getKey().atoms);
        atoms.sort(null);
        add(
            product,
            new Monomial(List.copyOf(atoms)),
            Math.multiplyExact(a.getValue(), b.getValue()));
      }
    }
    return of(product);
  }

  private static void add(TreeMap<Monomial, Long> terms, Monomial monomial, long coefficient) {
    long sum = Math.addExact(terms.getOrDefault(monomial, 0L), coefficient);
    if (sum == 0) {
      terms.remove(monomial);
    } else {
      terms.put(monomial, sum);
    }
  }

  public DimExpr floorDiv(DimExpr divisor) {
    return divide(Kind.FLOORDIV, divisor);
  }

  public DimExpr floorDiv(long divisor) {
    return floorDiv(of(divisor));
  }

  public DimExpr ceilDiv(DimExpr divisor) {
    return divide(Kind.CEILDIV, divisor);
  }

  public DimExpr ceilDiv(long divisor) {
    return ceilDiv(of(divisor));
  }

  public DimExpr mod(DimExpr divisor) {
    if (exactQuotient(divisor) != null) {
      return ZERO;
    }
    return opaque(Kind.MOD, divisor);
  }

  public DimExpr min(DimExpr other) {
    return equals(other) ? this : opaque(Kind.MIN, other);
  }

  public DimExpr max(DimExpr other) {
    return equals(other) ? this : opaque(Kind.MAX, other);
  }

  private DimExpr divide(Kind kind, DimExpr divisor) {
    DimExpr exact = exactQuotient(divisor);
    return exact != null ? exact : opaque(kind, divisor);
  }

  private DimExpr opaque(Kind kind, DimExpr other) {
    if (isConst()
        && other.isConst()
        && !((kind == Kind.FLOORDIV || kind == Kind.CEILDIV || kind == Kind.MOD)
            && other.isConst(0))) {
      return of(kind.apply(constValue(), other.constValue()));
    }
    return ofAtom(new Opaque(kind, this, other));
  }

  /**
   * {@code this / divisor} if the division is exact for every value of the symbols (the divisor
   * being one term), else null.
   */
  private @Nullable DimExpr exactQuotient(DimExpr divisor) {
    if (isConst() && divisor.isConst() && divisor.constant != 0) {
      return constant % divisor.constant == 0 ? of(constant / divisor.constant) : null;
    }
    TreeMap<Monomial, Long> divisors = divisor.terms();
    if (divisors.size() != 1) {
      return equals(divisor) && !isConst(0) ? ONE : null;
    }
    var d = divisors.firstEntry();
    TreeMap<Monomial, Long> quotient = new TreeMap<>();
    for (var term : terms().entrySet()) {
      if (term.getValue() % d.getValue() != 0) {
        return null;
      }
      List<Atom> atoms = new ArrayList<>(term.getKey().atoms);
      for (Atom atom : d.getKey().atoms) {
        if (!atoms.remove(atom)) {
          return null;
        }
      }
      quotient.put(new Monomial(List.copyOf(atoms)), term.getValue() / d.getValue());
    }
    return of(quotient);
  }

  /** Value under the given symbol values. */
  public long eval(Map<String, Long> values) {
    return fold(
        new Algebra<Long>() {
          @Override
          public Long constant(long value) {
            return value;
          }

          @Override
          public Long symbol(String name) {
            Long value = values.get(name);
            if (value == null) {
              throw new IllegalArgumentException("dimension " + name + " has no value");
            }
            return value;
          }

          @Override
          public Long add(Long a, Long b) {
            return Math.addExact(a, b);
          }

          @Override
          public Long multiply(Long a, Long b) {
            return Math.multiplyExact(a, b);
          }

          @Override
          public Long opaque(Kind kind, Long a, Long b) {
            return kind.apply(a, b);
          }
        });
  }

  /** Replaces every symbol. */
  public DimExpr substitute(Function<String, DimExpr> replacement) {
    return fold(
        new Algebra<DimExpr>() {
          @Override
          public DimExpr constant(long value) {
            return of(value);
          }

          @Override
          public DimExpr symbol(String name) {
            return replacement.apply(name);
          }

          @Override
          public DimExpr add(DimExpr a, DimExpr b) {
            return a.plus(b);
          }

          @Override
          public DimExpr multiply(DimExpr a, DimExpr b) {
            return a.times(b);
          }

          @Override
          public DimExpr opaque(Kind kind, DimExpr a, DimExpr b) {
            return switch (kind) {
              case FLOORDIV -> a.floorDiv(b);
              case CEILDIV -> a.ceilDiv(b);
              case MOD -> a.mod(b);
              case MIN -> a.min(b);
              case MAX -> a.max(b);
            };
          }
        });
  }

  /** What {@link #fold} builds. */
  public interface Algebra<T> {
    T constant(long value);

    T symbol(String name);

    T add(T a, T b);

    T multiply(T a, T b);

    T opaque(Kind kind, T a, T b);
  }

  /** Rebuilds the expression in another algebra (loop IR, C text, a number). */
  public <T> T fold(Algebra<T> algebra) {
    T sum = null;
    for (var term : terms().entrySet()) {
      T product = null;
      for (Atom atom : term.getKey().atoms) {
        T factor =
            switch (atom) {
              case Symbol s -> algebra.symbol(s.name());
              case Opaque o ->
                  algebra.opaque(o.kind(), o.left().fold(algebra), o.right().fold(algebra));
            };
        product = product == null ? factor : algebra.multiply(product, factor);
      }
      if (product == null) {
        product = algebra.constant(term.getValue());
      } else if (term.getValue() != 1) {
        product = algebra.multiply(product, algebra.constant(term.getValue()));
      }
      sum = sum == null ? product : algebra.add(sum, product);
    }
    return sum == null ? algebra.constant(0) : sum;
  }

  /** Names of all symbols, sorted. */
  public Set<String> symbols() {
    Set<String> names = new TreeSet<>();
    substitute(name -> {
      names.add(name);
      return symbol(name);
    });
    return names;
  }

  private String print() {
    if (isConst()) {
      return Long.toString(constant);
    }
    StringBuilder out = new StringBuilder();
    for (var term : terms.entrySet()) {
      long coefficient = term.getValue();
      String sign = coefficient < 0 ? "-" : "+";
      if (out.length() > 0) {
        out.append(' ').append(sign).append(' ');
      } else if (coefficient < 0) {
        out.append('-');
      }
      String magnitude =
          coefficient == Long.MIN_VALUE
              ? "9223372036854775808"
              : Long.toString(Math.abs(coefficient));
      List<String> factors = new ArrayList<>();
      if (term.getKey().atoms.isEmpty() || !magnitude.equals("1")) {
        factors.add(magnitude);
      }
      term.getKey().atoms.forEach(atom -> factors.add(atom.toString()));
      out.append(String.join("*", factors));
    }
    return out.toString();
  }

  /** Text form, read back by {@link #parse}. */
  @Override
  public String toString() {
    String made = text;
    if (made == null) {
      made = print();
      text = made;
    }
    return made;
  }

  /**
   * Reads the text form: sums and products of integers, names and {@code floordiv(a, b)} and its
   * like.
   */
  public static DimExpr parse(String text) {
    return new DimParser(text).parse();
  }

  @Override
  public boolean equals(Object other) {
    if (!(other instanceof DimExpr dim)) {
      return false;
    }
    if (isConst() || dim.isConst()) {
      return isConst() == dim.isConst() && constant == dim.constant;
    }
    return toString().equals(dim.toString());
  }

  @Override
  public int hashCode() {
    return toString().hashCode();
  }

  @Override
  public int compareTo(DimExpr other) {
    return toString().compareTo(other.toString());
  }
}
