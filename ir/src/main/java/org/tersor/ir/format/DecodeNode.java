package org.tersor.ir.format;

import java.util.Arrays;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.op.WeightLayout;

/**
 * The node that stands for a weight in a number format: its operands are the format's buffers, its
 * attributes say what they mean. Whoever reads or makes encoded weights writes such nodes; the
 * operator itself is defined with the passes.
 */
public final class DecodeNode {
  /** Name of the operator, in {@link OpKey#TERSOR}. */
  public static final String TYPE = "decode";

  private DecodeNode() {}

  /**
   * Attributes.
   *
   * @param format the text that states layout and decode
   * @param shape of the decoded weight
   * @param layout which of its dimensions are rows
   */
  public static Map<String, Attribute> attributes(
      String format, long[] shape, WeightLayout layout) {
    return Map.of(
        "format", new Attribute.StringAttr(format),
        "shape", new Attribute.IntsAttr(Arrays.stream(shape).boxed().toList()),
        "order", new Attribute.IntsAttr(layout.order().stream().map(d -> (long) d).toList()),
        "rows", new Attribute.IntAttr(layout.rows().size()));
  }
}
