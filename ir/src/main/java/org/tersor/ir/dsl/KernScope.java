package org.tersor.ir.dsl;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.KExpr;
import org.tersor.runtime.DimExpr;

/** What names mean while an expression is typed. */
final class KernScope {
  /** An operand stored in a number format: logical shape, buffers by the names of the format. */
  record Encoded(FormatDef format, List<DimExpr> shape, Map<String, Buf> buffers) {}

  /** One block of an operand. */
  record Block(Encoded operand, List<KExpr> row, KExpr block) {}

  final Map<String, KExpr> values;
  final Map<String, Buf> buffers;
  final Map<String, Encoded> encoded;
  final Map<String, Block> blocks;

  /** The format whose definition is expanded; definitions from this number on are not visible. */
  final Optional<FormatDef> format;

  final int visibleDefinitions;

  private KernScope(
      Map<String, KExpr> values,
      Map<String, Buf> buffers,
      Map<String, Encoded> encoded,
      Map<String, Block> blocks,
      Optional<FormatDef> format,
      int visibleDefinitions) {
    this.values = values;
    this.buffers = buffers;
    this.encoded = encoded;
    this.blocks = blocks;
    this.format = format;
    this.visibleDefinitions = visibleDefinitions;
  }

  static KernScope kernel() {
    return new KernScope(
        new HashMap<>(), new HashMap<>(), new HashMap<>(), new HashMap<>(), Optional.empty(), 0);
  }

  static KernScope definition(FormatDef format, int visibleDefinitions) {
    return new KernScope(
        new HashMap<>(),
        Map.of(),
        Map.of(),
        new HashMap<>(),
        Optional.of(format),
        visibleDefinitions);
  }

  /** A scope that adds or hides values. */
  KernScope inner() {
    return new KernScope(
        new HashMap<>(values), buffers, encoded, blocks, format, visibleDefinitions);
  }
}
