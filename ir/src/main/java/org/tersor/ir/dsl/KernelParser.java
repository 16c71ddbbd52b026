package org.tersor.ir.dsl;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.antlr.v4.runtime.tree.ParseTree;
import org.tersor.ir.dsl.internal.KernParser.FormatContext;
import org.tersor.ir.dsl.internal.KernParser.HintContext;
import org.tersor.ir.dsl.internal.KernParser.InitContext;
import org.tersor.ir.dsl.internal.KernParser.KernelContext;
import org.tersor.ir.dsl.internal.KernParser.OrderContext;
import org.tersor.ir.dsl.internal.KernParser.PackContext;
import org.tersor.ir.dsl.internal.KernParser.ParallelContext;
import org.tersor.ir.dsl.internal.KernParser.ScheduleContext;
import org.tersor.ir.dsl.internal.KernParser.TileContext;
import org.tersor.ir.kernel.Kernel;
import org.tersor.runtime.TersorException;

/**
 * Reads the kernel language: what {@link KernelPrinter} writes and the short form for people,
 * {@code kernel gemm(A: f32[M,K], B: f32[K,N]) -> C[m,n] = sum(k) A[m,k]*B[k,n]}.
 *
 * <p>In the short form extents follow from indices that are an axis alone, and the result has the
 * type of its value. A number without a type takes that of the other operand; conversions are
 * written ({@code f32(x)}, {@code f32!(x)} where the value is known to fit), functions have the
 * names of the operations; {@code /} and {@code %} of indices round down; a fold reaches as far as
 * products do.
 *
 * <p>Errors are {@link TersorException}s naming line and column: TSR-1001 syntax, TSR-1002 too deep
 * or too large, TSR-1003 unknown name, TSR-1004 types and extents, TSR-1005 values that a format
 * cannot store.
 */
public final class KernelParser {
  private KernelParser() {}

  /** Parses one kernel. */
  public static Kernel parse(String text) {
    List<Kernel> kernels = parseFile(text, Map.of()).kernels();
    if (kernels.size() != 1) {
      throw new TersorException(
          "TSR-1001", "one kernel is expected, the text has " + kernels.size());
    }
    return kernels.getFirst();
  }

  /**
   * Parses a file.
   *
   * @param formats formats of elsewhere that operands may have, by the name they have in the text
   */
  public static KernFile parseFile(String text, Map<String, FormatDef> formats) {
    Map<String, FormatDef> visible = new LinkedHashMap<>(formats);
    Map<String, FormatDef> own = new LinkedHashMap<>();
    List<Kernel> kernels = new ArrayList<>();
    List<ScheduleHint> schedules = new ArrayList<>();
    for (ParseTree item : KernSyntax.file(text).children) {
      switch (item) {
        case KernelContext c -> kernels.add(new KernelBuilder(visible).build(c));
        case FormatContext c -> {
          FormatDef format = new FormatBuilder().build(c);
          if (own.put(format.name(), format) != null) {
            throw KernSyntax.pos(c)
                .error("TSR-1003", "format " + format.name() + " is defined twice");
          }
          visible.put(format.name(), format);
        }
        case ScheduleContext c -> schedules.add(schedule(c));
        default -> {}
      }
    }
    return new KernFile(kernels, own, schedules);
  }

  private static ScheduleHint schedule(ScheduleContext context) {
    List<ScheduleHint.Directive> directives = new ArrayList<>();
    List<ScheduleHint.Place> places = new ArrayList<>();
    for (HintContext hint : context.hint()) {
      Ast.Pos pos = KernSyntax.pos(hint);
      places.add(new ScheduleHint.Place(pos.line(), pos.column()));
      directives.add(
          switch (hint) {
            case TileContext c -> {
              Optional<Integer> vector =
                  c.INT().size() > 1 ? Optional.of(size(c, 1)) : Optional.empty();
              yield new ScheduleHint.Tile(KernSyntax.text(c.name()), size(c, 0), vector);
            }
            case PackContext c ->
                new ScheduleHint.Pack(
                    KernSyntax.text(c.name()),
                    c.list().stream()
                        .map(l -> l.getText().substring(1, l.getText().length() - 1))
                        .toList());
            case OrderContext c ->
                new ScheduleHint.Order(c.name().stream().map(KernSyntax::text).toList());
            case ParallelContext c -> new ScheduleHint.Parallel(KernSyntax.text(c.name()));
            case InitContext c -> new ScheduleHint.Init(KernSyntax.text(c.name()));
            default -> throw new IllegalStateException(hint.getText());
          });
    }
    return new ScheduleHint(KernSyntax.text(context.name()), directives, places);
  }

  private static int size(TileContext c, int i) {
    return (int) KernSyntax.integer(KernSyntax.pos(c), c.INT(i).getText(), 1, 1 << 20);
  }
}
