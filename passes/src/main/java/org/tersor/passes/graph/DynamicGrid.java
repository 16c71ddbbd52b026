package org.tersor.passes.graph;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.tersor.ir.graph.GraphEdit;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.DType;
import org.tersor.runtime.TersorException;

/**
 * How activations get codes whose grid is chosen when the model runs: needs no calibration.
 *
 * @param rowBits each row of the last dimension (a token) has a symmetric grid of its own, of so
 *     many bits; empty: the tensor has one affine grid of 8 bits, as DynamicQuantizeLinear makes it
 */
public record DynamicGrid(Optional<Integer> rowBits) {
  private static final Pattern ID = Pattern.compile("dynamic_(?:u8_tensor|s(\\d{1,2})_row)");

  /** The grid of an id: {@code dynamic_u8_tensor}, or {@code dynamic_sN_row} of N bits. */
  public static Optional<DynamicGrid> parse(String id) {
    Matcher matcher = ID.matcher(id);
    return matcher.matches()
        ? Optional.of(matcher.group(1) == null ? whole() : rows(Integer.parseInt(matcher.group(1))))
        : Optional.empty();
  }

  /** One grid for the tensor. */
  public static DynamicGrid whole() {
    return new DynamicGrid(Optional.empty());
  }

  /** A grid for each row. */
  public static DynamicGrid rows(int bits) {
    if (bits < 2 || bits > 16) {
      throw new TersorException(
          "TSR-0416", "codes of rows made when the model runs have 2 to 16 bits, not " + bits);
    }
    return new DynamicGrid(Optional.of(bits));
  }

  /** What plans call it. */
  public String id() {
    return rowBits.map(bits -> "dynamic_s" + bits + "_row").orElse("dynamic_u8_tensor");
  }

  /** Whether the first operand of a layer can have it: rows are what matrix products multiply. */
  public boolean fits(Node layer) {
    return rowBits.isEmpty() || layer.op().is("MatMul") || layer.op().is("Gemm");
  }

  /** Nodes that make {@code y}, the numbers that the codes of {@code x} stand for. */
  public List<Node> nodes(GraphEdit edit, int opset, Value x, TensorType type, Value y) {
    if (rowBits.isPresent()) {
      edit.importDomain(OpKey.TERSOR, 1);
      return List.of(
          new Node(
              edit.freshId(),
              "",
              new OpKey(OpKey.TERSOR, DynamicFakeQuant.TYPE, 1),
              List.of(x),
              List.of(y),
              DynamicFakeQuant.attributes(rowBits.get(), opset)));
    }
    List<Value> codes =
        List.of(
            edit.value("", type.withDtype(DType.U8)),
            edit.value("", TensorType.of(DType.F32)),
            edit.value("", TensorType.of(DType.U8)));
    return List.of(
        node(edit, "DynamicQuantizeLinear", opset, List.of(x), codes),
        node(edit, "DequantizeLinear", opset, codes, List.of(y)));
  }

  private static Node node(
      GraphEdit edit, String type, int opset, List<Value> inputs, List<Value> outputs) {
    return new Node(edit.freshId(), "", new OpKey("", type, opset), inputs, outputs, Map.of());
  }
}
