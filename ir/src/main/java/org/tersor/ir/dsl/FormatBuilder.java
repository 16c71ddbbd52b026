package org.tersor.ir.dsl;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.dsl.internal.KernParser.BlockLayoutContext;
import org.tersor.ir.dsl.internal.KernParser.BlockSizeContext;
import org.tersor.ir.dsl.internal.KernParser.DefinitionContext;
import org.tersor.ir.dsl.internal.KernParser.FormatContext;
import org.tersor.ir.dsl.internal.KernParser.FormatItemContext;
import org.tersor.ir.dsl.internal.KernParser.GroupSectionContext;
import org.tersor.ir.dsl.internal.KernParser.LayoutContext;
import org.tersor.ir.dsl.internal.KernParser.LayoutFieldContext;
import org.tersor.ir.dsl.internal.KernParser.LevelSectionContext;
import org.tersor.ir.dsl.internal.KernParser.OperandTableContext;
import org.tersor.ir.dsl.internal.KernParser.PlainFieldContext;
import org.tersor.ir.dsl.internal.KernParser.RegionContext;
import org.tersor.ir.dsl.internal.KernParser.TableContext;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.ScalarSemantics;

/** Builds formats from parse trees and checks their layout. */
final class FormatBuilder {
  private static final int MAX_BYTES = 1 << 16;
  private static final int MAX_TABLE = 256;

  private final KernSyntax syntax = new KernSyntax();
  private final Set<String> names = new HashSet<>();
  private final Map<String, List<Ast>> tables = new LinkedHashMap<>();
  private final Map<String, Integer> operands = new LinkedHashMap<>();
  private final Map<String, FormatDef.Definition> definitions = new LinkedHashMap<>();
  private final List<FormatDef.Section> outer = new ArrayList<>();
  private final SectionLayout block = new SectionLayout();
  private Optional<Integer> blockSize = Optional.empty();

  /** Fields of one section as they are laid out. */
  private static final class SectionLayout {
    final List<FormatField> fields = new ArrayList<>();
    final BitSet taken = new BitSet();
    int bytes;
  }

  FormatDef build(FormatContext context) {
    for (FormatItemContext item : context.formatItem()) {
      item(item);
    }
    Ast.Pos at = KernSyntax.pos(context);
    String name = KernSyntax.text(context.name());
    FormatDef.Definition decode = definitions.get("decode");
    if (decode == null || decode.parameters().size() != 2) {
      throw at.error("TSR-1003", "format " + name + " does not define decode(b, i)");
    }
    int size =
        blockSize.orElseThrow(
            () -> at.error("TSR-1001", "format " + name + " does not state its block size"));
    List<FormatDef.Section> sections = new ArrayList<>();
    if (!block.fields.isEmpty()) {
      sections.add(new FormatDef.Section(FormatDef.Level.BLOCK, 1, block.bytes, block.fields));
    }
    sections.addAll(outer);
    FormatDef format = new FormatDef(name, size, sections, tables, operands, definitions);
    // Every definition of a format is reached from decode or a mistake: types are checked here.
    KExpr value =
        format.decode(
            "W",
            org.tersor.runtime.DimExpr.list(2, 2L * size),
            List.of(K.index(1)),
            K.index(1),
            K.index(0));
    if (value.scalar() != Scalar.F32) {
      throw decode
          .body()
          .at()
          .error("TSR-1004", "decode gives " + value.scalar().text() + ", not f32");
    }
    return format;
  }

  private void item(FormatItemContext item) {
    switch (item) {
      case BlockSizeContext c ->
          blockSize =
              Optional.of(
                  (int) KernSyntax.integer(KernSyntax.pos(c), c.INT().getText(), 1, 1 << 20));
      case BlockLayoutContext c -> layout(c.layout(), block);
      case GroupSectionContext c -> {
        int blocks = (int) KernSyntax.integer(KernSyntax.pos(c), c.INT().getText(), 1, 1 << 20);
        SectionLayout section = new SectionLayout();
        c.layout().forEach(l -> layout(l, section));
        unique(KernSyntax.pos(c), "group" + blocks);
        outer.add(
            new FormatDef.Section(FormatDef.Level.GROUP, blocks, section.bytes, section.fields));
      }
      case LevelSectionContext c -> {
        SectionLayout section = new SectionLayout();
        c.layout().forEach(l -> layout(l, section));
        for (FormatField field : section.fields) {
          String type = field.type().text();
          if (!type.equals("f32") && !type.equals("s32") && !type.equals("i32")) {
            throw KernSyntax.pos(c)
                .error("TSR-1004", "fields of a row or tensor are f32 or i32: " + field.name());
          }
        }
        boolean row = c.level.getText().equals("row");
        outer.add(
            new FormatDef.Section(
                row ? FormatDef.Level.ROW : FormatDef.Level.TENSOR, 1, 0, section.fields));
      }
      case TableContext c -> {
        if (c.literal().size() > MAX_TABLE) {
          throw KernSyntax.pos(c)
              .error(
                  "TSR-1004",
                  "a constant table has at most "
                      + MAX_TABLE
                      + " entries; pass a larger one as operand");
        }
        List<Ast> values = new ArrayList<>();
        c.literal().forEach(l -> values.add(syntax.literal(l)));
        values.forEach(KernNumbers::value);
        tables.put(unique(KernSyntax.pos(c), KernSyntax.text(c.name())), values);
      }
      case OperandTableContext c ->
          operands.put(
              unique(KernSyntax.pos(c), KernSyntax.text(c.name())),
              (int) KernSyntax.integer(KernSyntax.pos(c), c.INT().getText(), 1, 1 << 24));
      case DefinitionContext c -> {
        String name = unique(KernSyntax.pos(c), KernSyntax.text(c.name(0)));
        List<String> parameters = c.name().stream().skip(1).map(KernSyntax::text).toList();
        definitions.put(
            name,
            new FormatDef.Definition(definitions.size(), name, parameters, syntax.visit(c.expr())));
      }
      default -> throw new IllegalStateException(item.getText());
    }
  }

  private String unique(Ast.Pos at, String name) {
    if (!names.add(name)) {
      throw at.error("TSR-1003", "the name " + name + " is used twice");
    }
    return name;
  }

  private void layout(LayoutContext context, SectionLayout section) {
    switch (context) {
      case PlainFieldContext c -> {
        int start = section.bytes;
        field(c.layoutField(), section, start, -1);
      }
      case RegionContext c -> {
        int start = section.bytes;
        int bytes = (int) KernSyntax.integer(KernSyntax.pos(c), c.INT().getText(), 1, MAX_BYTES);
        grow(KernSyntax.pos(c), section, bytes);
        c.layoutField().forEach(f -> field(f, section, start, bytes));
      }
      default -> throw new IllegalStateException(context.getText());
    }
  }

  private static void grow(Ast.Pos at, SectionLayout section, long bytes) {
    if (section.bytes + bytes > MAX_BYTES) {
      throw at.error("TSR-1004", "a section has at most " + MAX_BYTES + " bytes");
    }
    section.bytes += (int) bytes;
  }

  /** Lays out a field of its own, or one of a region of {@code regionBytes}. */
  private void field(LayoutFieldContext c, SectionLayout section, int start, int regionBytes) {
    Ast.Pos at = KernSyntax.pos(c);
    String name = unique(at, KernSyntax.text(c.name(0)));
    FormatField.Type type =
        FormatField.Type.parse(KernSyntax.text(c.name(1)))
            .orElseThrow(() ->
                at.error(
                    "TSR-1004",
                    "no type of a field: "
                        + KernSyntax.text(c.name(1))
                        + "; there are u1..u8, s2..s8, u16, s16, u32, s32, f16, bf16, f32, f8e4m3fn, f8e5m2, f8e8m0, f4e2m1"));
    int count = c.INT() == null ? 1 : (int) KernSyntax.integer(at, c.INT().getText(), 1, MAX_BYTES);
    if (regionBytes < 0) {
      grow(at, section, ((long) count * type.bits() + 7) / 8);
    }
    long end = regionBytes < 0 ? section.bytes * 8L : (start + regionBytes) * 8L;
    Optional<FormatField.Placement> placement =
        Optional.ofNullable(c.expr()).map(e -> new FormatField.Placement(syntax.visit(e)));
    int[] positions = new int[count];
    for (int i = 0; i < count; i++) {
      long offset = placement.isPresent() ? place(at, placement.get(), i) : (long) i * type.bits();
      long first = start * 8L + offset;
      if (offset < 0 || first + type.bits() > end) {
        throw at.error(
            "TSR-1004",
            "element " + i + " of field " + name + " lies outside of its bytes, at bit " + offset);
      }
      positions[i] = (int) first;
      if (section.taken.get(positions[i], positions[i] + type.bits()).cardinality() > 0) {
        throw at.error(
            "TSR-1004",
            "element " + i + " of field " + name + " overlaps another, at bit " + offset);
      }
      section.taken.set(positions[i], positions[i] + type.bits());
      if (type.bits() > 8 && positions[i] % 8 != 0) {
        throw at.error("TSR-1004", "fields wider than 8 bits start at a byte: " + name);
      }
    }
    section.fields.add(new FormatField(name, type, positions, placement, start * 8L));
  }

  private static long place(Ast.Pos at, FormatField.Placement placement, int i) {
    KernScope scope = KernScope.definition(EMPTY, 0);
    scope.values.put("i", K.index(i));
    return evaluate(at, new KernTyper().index(placement.text(), scope));
  }

  private static final FormatDef EMPTY =
      new FormatDef("", 1, List.of(), Map.of(), Map.of(), Map.of());

  /** The value of an expression without axes and loads. */
  private static long evaluate(Ast.Pos at, KExpr expr) {
    return switch (expr) {
      case KExpr.IntLit e -> ScalarSemantics.canon(e.scalar(), e.value());
      case KExpr.Un e -> ScalarSemantics.unary(e.op(), e.scalar()).applyAsLong(evaluate(at, e.a()));
      case KExpr.Bin e -> {
        if (KExprs.operands(e).stream().anyMatch(o -> KernNumbers.isFloat(o.scalar()))) {
          throw at.error("TSR-1004", "a position is computed with integers");
        }
        yield ScalarSemantics.binary(e.op(), e.scalar())
            .applyAsLong(evaluate(at, e.a()), evaluate(at, e.b()));
      }
      case KExpr.Cmp e ->
          ScalarSemantics.compare(e.op(), e.a().scalar())
              .applyAsLong(evaluate(at, e.a()), evaluate(at, e.b()));
      case KExpr.If e ->
          evaluate(at, e.condition()) != 0 ? evaluate(at, e.then()) : evaluate(at, e.otherwise());
      case KExpr.To e ->
          ScalarSemantics.cast(e.scalar(), e.a().scalar(), e.inRange())
              .applyAsLong(evaluate(at, e.a()));
      default -> throw at.error("TSR-1004", "a position depends on i alone");
    };
  }
}
