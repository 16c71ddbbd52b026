package org.tersor.ir.dsl;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.TersorException;

/**
 * A number format as its text states it: which bytes hold what, and how a value is computed from
 * them. An operand {@code W: name[N, K]} becomes these buffers, in this order:
 *
 * <ul>
 *   <li>{@code W}: U8 [N, ceil(K / block), bytes of a block];
 *   <li>{@code W_group<n>} for each {@code group n}: U8 [ceil(N * ceil(K / block) / n), bytes]: one
 *       section for n blocks, counted through the whole tensor;
 *   <li>{@code W_<field>} for each field of {@code row}: F32 or I32 [N, count];
 *   <li>{@code W_<field>} for each field of {@code tensor}: F32 or I32 [count];
 *   <li>{@code W_<name>} for each {@code operand} table: F32 [size].
 * </ul>
 */
public final class FormatDef {

  /** How many values share a section. */
  public enum Level {
    BLOCK,
    GROUP,
    ROW,
    TENSOR
  }

  /**
   * Fields that are stored together.
   *
   * @param blocks blocks that share a section of level GROUP, else 1
   * @param bytes size; 0 for levels ROW and TENSOR, whose fields have buffers of their own
   */
  public record Section(Level level, int blocks, int bytes, List<FormatField> fields) {
    public Section {
      fields = List.copyOf(fields);
    }

    String suffix() {
      return level == Level.GROUP ? "_group" + blocks : "";
    }
  }

  /** {@code decode(b, i) = ...} or a function that it uses; sees the definitions before it. */
  record Definition(int number, String name, List<String> parameters, Ast body) {}

  private final String name;
  private final int block;
  private final List<Section> sections;
  private final Map<String, List<Ast>> tables;
  private final Map<String, Integer> operandTables;
  private final Map<String, Definition> definitions;

  FormatDef(
      String name,
      int block,
      List<Section> sections,
      Map<String, List<Ast>> tables,
      Map<String, Integer> operandTables,
      Map<String, Definition> definitions) {
    this.name = name;
    this.block = block;
    this.sections = List.copyOf(sections);
    this.tables = tables;
    this.operandTables = operandTables;
    this.definitions = definitions;
  }

  /** Parses the text of one format. */
  public static FormatDef parse(String text) {
    Collection<FormatDef> formats = KernelParser.parseFile(text, Map.of()).formats().values();
    if (formats.size() != 1) {
      throw new TersorException(
          "TSR-1001", "one format is expected, the text has " + formats.size());
    }
    return formats.iterator().next();
  }

  public String name() {
    return name;
  }

  /** Values of a block. */
  public int block() {
    return block;
  }

  /** Bytes of a block, without its share of outer sections. */
  public int bytesPerBlock() {
    return section(Level.BLOCK).map(Section::bytes).orElse(0);
  }

  /** The block's fields first, then outer levels as written. */
  public List<Section> sections() {
    return sections;
  }

  public Optional<Section> section(Level level) {
    return sections.stream().filter(s -> s.level() == level).findFirst();
  }

  /** Sizes of operand tables, by name. */
  public Map<String, Integer> operandTables() {
    return operandTables;
  }

  /** A field of any section. */
  public Optional<FormatField> field(String field) {
    return sections.stream()
        .flatMap(s -> s.fields().stream())
        .filter(f -> f.name().equals(field))
        .findFirst();
  }

  /** Bits per value of a large tensor; sections of level ROW and TENSOR are not counted. */
  public double bitsPerValue() {
    double bytes = 0;
    for (Section s : sections) {
      bytes += (double) s.bytes() / s.blocks();
    }
    return bytes * 8 / block;
  }

  Optional<Definition> definition(String definition, int before) {
    return Optional.ofNullable(definitions.get(definition)).filter(d -> d.number() < before);
  }

  /**
   * Bytes of one section.
   *
   * @param values elements of each of its fields; integers must fit, floats are rounded
   */
  public byte[] pack(Section section, Map<String, double[]> values) {
    byte[] bytes = new byte[section.bytes()];
    for (FormatField field : section.fields()) {
      double[] of = values.get(field.name());
      if (of == null || of.length != field.count()) {
        throw new TersorException(
            "TSR-1005",
            "format "
                + name
                + ": field "
                + field.name()
                + " needs "
                + field.count()
                + " values, given "
                + (of == null ? "none" : of.length));
      }
      for (int i = 0; i < of.length; i++) {
        field.put(bytes, i, field.type().encode(field.name(), of[i]));
      }
    }
    return bytes;
  }

  /** Inverse of {@link #pack}. */
  public Map<String, double[]> unpack(Section section, byte[] bytes) {
    if (bytes.length != section.bytes()) {
      throw new TersorException(
          "TSR-1005",
          "format " + name + ": " + bytes.length + " bytes, a section has " + section.bytes());
    }
    Map<String, double[]> values = new LinkedHashMap<>();
    for (FormatField field : section.fields()) {
      double[] of = new double[field.count()];
      for (int i = 0; i < of.length; i++) {
        of[i] = field.type().decode(field.bits(bytes, i));
      }
      values.put(field.name(), of);
    }
    return values;
  }

  /** Buffers of an operand, see the class comment. */
  public List<Buf> buffers(String operand, List<DimExpr> shape) {
    if (shape.isEmpty()) {
      throw new TersorException(
          "TSR-1004", "operand " + operand + " of format " + name + " needs a dimension");
    }
    List<DimExpr> rows = shape.subList(0, shape.size() - 1);
    DimExpr blocks = shape.getLast().ceilDiv(block);
    List<Buf> result = new ArrayList<>();
    for (Section s : sections) {
      switch (s.level()) {
        case BLOCK -> {
          List<DimExpr> dims = new ArrayList<>(rows);
          dims.add(blocks);
          dims.add(DimExpr.of(s.bytes()));
          result.add(new Buf(operand, Scalar.U8, dims));
        }
        case GROUP ->
            result.add(
                new Buf(
                    operand + s.suffix(),
                    Scalar.U8,
                    List.of(
                        DimExpr.product(rows).times(blocks).ceilDiv(s.blocks()),
                        DimExpr.of(s.bytes()))));
        case ROW, TENSOR -> {
          for (FormatField f : s.fields()) {
            List<DimExpr> dims = new ArrayList<>(s.level() == Level.ROW ? rows : List.of());
            dims.add(DimExpr.of(f.count()));
            result.add(new Buf(operand + "_" + f.name(), f.type().scalar(), dims));
          }
        }
      }
    }
    operandTables.forEach((table, size) ->
        result.add(new Buf(operand + "_" + table, Scalar.F32, DimExpr.list(size))));
    return result;
  }

  KernScope.Encoded operand(String operand, List<DimExpr> shape) {
    Map<String, Buf> byName = new LinkedHashMap<>();
    buffers(operand, shape).forEach(b -> byName.put(b.name().substring(operand.length()), b));
    return new KernScope.Encoded(this, shape, byName);
  }

  /**
   * The value of one element.
   *
   * @param operand name of the operand whose {@link #buffers} are read
   * @param shape its logical shape
   * @param row an INDEX expression for every dimension but the last
   * @param blockIndex the block within the row, INDEX
   * @param element position in the block, INDEX
   */
  public KExpr decode(
      String operand, List<DimExpr> shape, List<KExpr> row, KExpr blockIndex, KExpr element) {
    Definition definition = definitions.get("decode");
    if (definition == null || definition.parameters().size() != 2) {
      throw new TersorException("TSR-1003", "format " + name + " does not define decode(b, i)");
    }
    KernScope scope = KernScope.definition(this, definition.number());
    scope.blocks.put(
        definition.parameters().get(0),
        new KernScope.Block(operand(operand, shape), row, blockIndex));
    scope.values.put(definition.parameters().get(1), element);
    return new KernTyper().type(definition.body(), scope, Optional.empty());
  }

  /** {@code y[n, k] = decode(W[n], k / block, k % block)} for W of a shape. */
  public Kernel decodeKernel(List<DimExpr> shape) {
    StringBuilder dims = new StringBuilder();
    StringBuilder row = new StringBuilder();
    StringBuilder all = new StringBuilder();
    for (int d = 0; d < shape.size(); d++) {
      dims.append(d == 0 ? "" : ", ").append(KernelPrinter.dim(shape.get(d)));
      all.append(d == 0 ? "" : ", ").append("i").append(d);
      if (d < shape.size() - 1) {
        row.append(d == 0 ? "" : ", ").append("i").append(d);
      }
    }
    String last = "i" + (shape.size() - 1);
    String text =
        "kernel decode(W: %s[%s]) -> y[%s] = decode(W%s, %s / %d, %s %% %d)"
            .formatted(
                KernelPrinter.name(name),
                dims,
                all,
                row.isEmpty() ? "" : "[" + row + "]",
                last,
                block,
                last,
                block);
    return KernelParser.parseFile(text, Map.of(name, this)).kernels().getFirst();
  }

  /** {@code b.field[i]}. */
  KExpr read(KernTyper typer, Ast.Field e, KernScope.Block at, KernScope scope) {
    for (Section section : sections) {
      for (FormatField field : section.fields()) {
        if (field.name().equals(e.field())) {
          return read(typer, e, at, scope, section, field);
        }
      }
    }
    throw e.at().error("TSR-1003", "format " + name + " has no field " + e.field());
  }

  private KExpr read(
      KernTyper typer,
      Ast.Field e,
      KernScope.Block at,
      KernScope scope,
      Section section,
      FormatField field) {
    List<Ast> index = e.index().orElse(List.of());
    if (index.size() > 1 || (index.isEmpty() && field.count() > 1)) {
      throw e.at().error("TSR-1004", "field " + field + " takes one index");
    }
    KExpr i = index.isEmpty() ? K.index(0) : typer.index(index.getFirst(), scope);
    Map<String, Buf> buffers = at.operand().buffers();
    return switch (section.level()) {
      case BLOCK -> {
        List<KExpr> outer = new ArrayList<>(at.row());
        outer.add(at.block());
        yield field.read(buffer(buffers, ""), outer, position(typer, field, i));
      }
      case GROUP ->
          field.read(
              buffer(buffers, section.suffix()),
              List.of(K.floorDiv(linear(at), K.index(section.blocks()))),
              position(typer, field, i));
      case ROW -> {
        List<KExpr> outer = new ArrayList<>(at.row());
        outer.add(i);
        yield new KExpr.At(buffer(buffers, "_" + field.name()), outer);
      }
      case TENSOR -> new KExpr.At(buffer(buffers, "_" + field.name()), List.of(i));
    };
  }

  private static Buf buffer(Map<String, Buf> buffers, String suffix) {
    Buf found = buffers.get(suffix);
    if (found == null) {
      throw new IllegalStateException("no buffer " + suffix);
    }
    return found;
  }

  private static KExpr linear(KernScope.Block at) {
    KExpr linear = K.index(0);
    List<DimExpr> shape = at.operand().shape();
    for (int d = 0; d < at.row().size(); d++) {
      linear = K.add(K.mul(linear, K.dim(shape.get(d))), at.row().get(d));
    }
    DimExpr blocks = shape.getLast().ceilDiv(at.operand().format().block);
    return K.add(K.mul(linear, K.dim(blocks)), at.block());
  }

  private KExpr position(KernTyper typer, FormatField field, KExpr i) {
    if (i instanceof KExpr.IntLit literal
        && literal.value() >= 0
        && literal.value() < field.count()) {
      return K.index(field.positions()[(int) literal.value()]);
    }
    if (field.placement().isEmpty()) {
      return K.add(K.index(field.base()), K.mul(i, K.index(field.type().bits())));
    }
    return K.add(K.index(field.base()), place(typer, this, field.placement().get().text(), i));
  }

  /** The bit that {@code at} names, for an element. */
  static KExpr place(KernTyper typer, FormatDef format, Ast text, KExpr i) {
    KernScope scope = KernScope.definition(format, 0);
    scope.values.put("i", i);
    return typer.index(text, scope);
  }

  /** {@code table[i]}: a constant table as a tree of choices, an operand table as a load. */
  KExpr lookup(KernTyper typer, Ast.Load e, KernScope scope) {
    List<Ast> constant = tables.get(e.name());
    Integer size = operandTables.get(e.name());
    if ((constant == null && size == null) || e.index().size() != 1) {
      throw e.at()
          .error("TSR-1003", "format " + name + " has no table " + e.name() + " with one index");
    }
    if (constant == null) {
      KernScope.Block any =
          scope.blocks.values().stream()
              .findFirst()
              .orElseThrow(() ->
                  e.at()
                      .error(
                          "TSR-1003",
                          "table " + e.name() + " is read outside of a block: pass the block"));
      return typer.at(e, buffer(any.operand().buffers(), "_" + e.name()), e.index(), scope);
    }
    KExpr i = typer.type(e.index().getFirst(), scope, Optional.of(Scalar.I32));
    if (!i.scalar().isInteger()) {
      throw e.at().error("TSR-1004", "a table is indexed by an integer, not " + i.scalar().text());
    }
    boolean whole = constant.stream().allMatch(a -> a instanceof Ast.Num n && n.whole());
    List<KExpr> values = new ArrayList<>();
    for (Ast literal : constant) {
      values.add(K.literal(whole ? Scalar.I32 : Scalar.F32, KernNumbers.value(literal)));
    }
    return choose(values, 0, values.size(), i);
  }

  private static KExpr choose(List<KExpr> values, int from, int to, KExpr i) {
    if (to - from == 1) {
      return values.get(from);
    }
    int middle = (from + to) >>> 1;
    return new KExpr.If(
        new KExpr.Cmp(CompareOp.LT, i, new KExpr.IntLit(i.scalar(), middle)),
        choose(values, from, middle, i),
        choose(values, middle, to, i));
  }

  @Override
  public String toString() {
    return "format " + name + " (" + block + " values in " + bytesPerBlock() + " bytes)";
  }
}
