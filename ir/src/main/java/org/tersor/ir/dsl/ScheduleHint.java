package org.tersor.ir.dsl;

import java.util.List;
import java.util.Optional;
import org.tersor.runtime.TersorException;

/**
 * A {@code schedule} line: what a person asks of the scheduler for one kernel. What it does not say
 * the scheduler chooses by its own rules.
 *
 * @param places where each directive stands, in the same order
 */
public record ScheduleHint(String kernel, List<Directive> directives, List<Place> places) {
  public ScheduleHint {
    directives = List.copyOf(directives);
    places = List.copyOf(places);
  }

  /** A position in the text, from 1. */
  public record Place(int line, int column) {
    public TersorException error(String code, String message) {
      return new Ast.Pos(line, column).error(code, message);
    }
  }

  /** One part of a line. */
  public sealed interface Directive {}

  /** {@code tile n 64 vec 16}. */
  public record Tile(String axis, int size, Optional<Integer> vector) implements Directive {}

  /** {@code pack B [n/64][k][n%64]}: the texts between the brackets. */
  public record Pack(String buffer, List<String> layout) implements Directive {
    public Pack {
      layout = List.copyOf(layout);
    }
  }

  /** {@code order n m}, outermost first. */
  public record Order(List<String> axes) implements Directive {
    public Order {
      axes = List.copyOf(axes);
    }
  }

  /** {@code parallel m}. */
  public record Parallel(String axis) implements Directive {}

  /** {@code init bias}: the term that accumulators start from. */
  public record Init(String buffer) implements Directive {}

  @Override
  public String toString() {
    StringBuilder out =
        new StringBuilder("schedule ").append(KernelPrinter.name(kernel)).append(" {");
    for (Directive d : directives) {
      out.append(' ')
          .append(
              switch (d) {
                case Tile t ->
                    "tile "
                        + KernelPrinter.name(t.axis)
                        + " "
                        + t.size
                        + t.vector.map(v -> " vec " + v).orElse("");
                case Pack p ->
                    "pack "
                        + KernelPrinter.name(p.buffer)
                        + " ["
                        + String.join("][", p.layout)
                        + "]";
                case Order o ->
                    "order " + String.join(" ", o.axes.stream().map(KernelPrinter::name).toList());
                case Parallel p -> "parallel " + KernelPrinter.name(p.axis);
                case Init i -> "init " + KernelPrinter.name(i.buffer);
              })
          .append(';');
    }
    return out.append(" }").toString();
  }
}
