package org.tersor.ir.op;

import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;

/**
 * Symbols that stand for elements of an integer tensor which is only known when the model runs: a
 * size that depends on data is an expression of them. Unlike dimensions they may be negative.
 */
public final class ElementSymbols {
  /** Longer tensors are data, not shapes. */
  private static final long MAX_ELEMENTS = 64;

  private static final Pattern NAME = Pattern.compile("_v(\\d+)_(\\d+)");

  private static final DimExpr.Algebra<Boolean> MAY_BE_NEGATIVE =
      new DimExpr.Algebra<>() {
        @Override
        public Boolean constant(long value) {
          return value < 0;
        }

        @Override
        public Boolean symbol(String name) {
          return isFromData(name);
        }

        @Override
        public Boolean add(Boolean a, Boolean b) {
          return a || b;
        }

        @Override
        public Boolean multiply(Boolean a, Boolean b) {
          return a || b;
        }

        @Override
        public Boolean opaque(DimExpr.Kind kind, Boolean a, Boolean b) {
          return kind == DimExpr.Kind.MAX ? a && b : a || b;
        }
      };

  private ElementSymbols() {}

  /** An element. */
  public record Element(int value, int index) {}

  /** Whether a symbol stands for an element of a tensor. */
  public static boolean isElement(String symbol) {
    return NAME.matcher(symbol).matches();
  }

  /**
   * Whether only the data of a call, not the shapes of its inputs, tell what a symbol stands for.
   */
  public static boolean isFromData(String symbol) {
    return isElement(symbol) || symbol.startsWith("_d");
  }

  /** One symbol per element, if the type is that of a short integer tensor of rank at most 1. */
  public static Optional<List<DimExpr>> of(Value value, ValueType type) {
    if (!value.isPresent()
        || !(type instanceof TensorType tensor)
        || !tensor.isStatic()
        || tensor.rank() > 1
        || !(tensor.dtype() == DType.I64 || tensor.dtype() == DType.I32)) {
      return Optional.empty();
    }
    DimExpr count = tensor.elements();
    if (count.constValue() > MAX_ELEMENTS) {
      return Optional.empty();
    }
    return Optional.of(
        IntStream.range(0, (int) count.constValue())
            .mapToObj(i -> DimExpr.symbol("_v" + value.id() + "_" + i))
            .toList());
  }

  /** What a symbol stands for, if it is one of these. */
  public static Optional<Element> parse(String symbol) {
    Matcher name = NAME.matcher(symbol);
    return name.matches()
        ? Optional.of(new Element(Integer.parseInt(name.group(1)), Integer.parseInt(name.group(2))))
        : Optional.empty();
  }

  /** The symbol for an expression of elements, see {@link OpContext#abbreviate}. */
  public static String derived(int node, String tag) {
    return "_d" + node + "_" + tag;
  }

  /**
   * Whether the value of an expression may be below zero as far as its form tells: it has a
   * negative number or what data tell in it, and no maximum with what is never negative around
   * that.
   */
  public static boolean mayBeNegative(DimExpr dim) {
    return dim.fold(MAY_BE_NEGATIVE);
  }

  /** 1 where {@code dim} is below zero, else 0. */
  public static DimExpr isNegative(DimExpr dim) {
    return dim.times(-1).max(DimExpr.ZERO).min(DimExpr.ONE);
  }

  /** 1 where both are equal, else 0. */
  public static DimExpr isEqual(DimExpr a, DimExpr b) {
    DimExpr distance = a.minus(b).max(b.minus(a));
    return DimExpr.ONE.minus(distance.min(DimExpr.ONE));
  }

  /** {@code then} where {@code condition} is 1, {@code otherwise} where it is 0. */
  public static DimExpr select(DimExpr condition, DimExpr then, DimExpr otherwise) {
    return condition.times(then).plus(DimExpr.ONE.minus(condition).times(otherwise));
  }
}
