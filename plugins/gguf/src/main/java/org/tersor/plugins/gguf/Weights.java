package org.tersor.plugins.gguf;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import org.tersor.ir.dsl.FormatDef;
import org.tersor.ir.format.DecodeNode;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.op.WeightLayout;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;

/**
 * Tensors of a file as values of a graph. Elements stay in the mapped file; blocks become the
 * encoded constant of a {@code decode} node with the text of the number format that has the type's
 * id, so nothing is widened here.
 */
final class Weights {
  private final GgufFile file;
  private final GraphBuilder graph;
  private final Map<String, Value> constants = new HashMap<>();
  private final Map<GgmlType, String> texts = new HashMap<>();

  Weights(GgufFile file, GraphBuilder graph) {
    this.file = file;
    this.graph = graph;
  }

  GgufFile.TensorInfo require(String name) {
    GgufFile.TensorInfo info = file.tensors().get(name);
    if (info == null) {
      throw Diag.error(
          Diag.MODEL,
          "tensor '"
              + name
              + "' is missing; the file has "
              + file.tensors().size()
              + " tensors, which begin with "
              + file.tensors().keySet().stream().limit(4).map(Diag::quote).toList());
    }
    return info;
  }

  /** Rows of a matrix whose rows have {@code columns} elements. */
  int rows(String name, int columns) {
    long[] shape = require(name).shape();
    if (shape.length != 2 || shape[1] != columns || shape[0] > 1 << 28) {
      throw wrong(name, "[n, " + columns + "]");
    }
    return (int) shape[0];
  }

  /** A vector as float32. */
  Value vector(String name, int size) {
    GgufFile.TensorInfo info = require(name);
    if (info.shape().length != 1 || info.shape()[0] != size) {
      throw wrong(name, "[" + size + "]");
    }
    if (info.type().dtype().isEmpty()) {
      return decode(info, name, WeightLayout.of(0, 1), info.shape());
    }
    return floats(name, constant(info));
  }

  /** Elements of a small optional vector; none if it is missing. */
  float[] floats(String name, int size) {
    GgufFile.TensorInfo info = file.tensors().get(name);
    if (info == null) {
      return new float[0];
    }
    if (info.type() != GgmlType.F32 || info.shape().length != 1 || info.shape()[0] != size) {
      throw wrong(name, "f32 [" + size + "]");
    }
    return new Constant.Mapped(DType.F32, info.shape(), info.bytes()).load().floats();
  }

  /** The stored matrix [rows, columns] as it is, for look-ups of rows. */
  Value table(String name, int rows, int columns) {
    GgufFile.TensorInfo info = matrixInfo(name, rows, columns);
    return info.type().dtype().isEmpty()
        ? decode(info, name, WeightLayout.of(0, 2, 0), info.shape())
        : floats(name, constant(info));
  }

  /** The stored matrix [rows, columns] transposed, as MatMul takes it. */
  Value matrix(String name, int rows, int columns) {
    GgufFile.TensorInfo info = matrixInfo(name, rows, columns);
    if (info.type().dtype().isEmpty()) {
      return decode(info, name, WeightLayout.of(0, 2, 1), new long[] {columns, rows});
    }
    return graph.add(
        "Transpose",
        Map.of("perm", new Attribute.IntsAttr(List.of(1L, 0L))),
        floats(name, constant(info)));
  }

  private GgufFile.TensorInfo matrixInfo(String name, int rows, int columns) {
    GgufFile.TensorInfo info = require(name);
    long[] shape = info.shape();
    if (shape.length != 2 || shape[0] != rows || shape[1] != columns) {
      throw wrong(name, "[" + rows + ", " + columns + "]");
    }
    return info;
  }

  /** The elements of a tensor, each once in the graph however often it is used. */
  private Value constant(GgufFile.TensorInfo info) {
    return constants.computeIfAbsent(
        info.name(),
        name ->
            graph.constant(
                name,
                new Constant.Mapped(
                    info.type().dtype().orElseThrow(), info.shape(), info.bytes())));
  }

  private Value floats(String name, Value stored) {
    DType dtype = require(name).type().dtype().orElseThrow();
    if (dtype == DType.F32) {
      return stored;
    }
    if (!dtype.isFloat()) {
      throw wrong(name, "of floats");
    }
    return graph.add("Cast", Map.of("to", new Attribute.IntAttr(1)), stored);
  }

  private Value decode(GgufFile.TensorInfo info, String name, WeightLayout layout, long[] shape) {
    String text = texts.computeIfAbsent(info.type(), type -> text(type, name));
    long[] stored = layout.encodedShape(shape);
    List<Buf> buffers = FormatDef.parse(text).buffers("W", DimExpr.list(stored));
    long[] packed = buffers.getFirst().shape().stream().mapToLong(DimExpr::constValue).toArray();
    Value encoded =
        constants.computeIfAbsent(
            info.name(),
            n -> graph.constant(n, new Constant.Mapped(DType.U8, packed, info.bytes())));
    return graph.add(
        OpKey.TERSOR, DecodeNode.TYPE, DecodeNode.attributes(text, shape, layout), encoded);
  }

  /** The text of the format of that id, if its blocks are of the type's size. */
  private static String text(GgmlType type, String name) {
    Optional<NumberFormat> format =
        ServiceLoader.load(NumberFormat.class, Weights.class.getClassLoader()).stream()
            .map(ServiceLoader.Provider::get)
            .filter(f -> f.id().equals(type.id()))
            .findFirst();
    FormatDef definition =
        format
            .map(NumberFormat::definition)
            .orElseThrow(() ->
                Diag.error(
                    Diag.UNSUPPORTED,
                    "tensor "
                        + Diag.quote(name)
                        + " is of type "
                        + type.id()
                        + ", and no number format of that id is present"));
    boolean alone =
        definition.sections().stream().allMatch(s -> s.level() == FormatDef.Level.BLOCK)
            && definition.operandTables().isEmpty();
    if (!alone
        || definition.block() != type.block()
        || definition.bytesPerBlock() != type.bytes()) {
      throw Diag.error(
          Diag.UNSUPPORTED,
          "number format "
              + type.id()
              + " does not have blocks of "
              + type.block()
              + " values in "
              + type.bytes()
              + " bytes, as files of that type have");
    }
    return format.orElseThrow().dsl();
  }

  private RuntimeException wrong(String name, String wanted) {
    return Diag.error(
        Diag.MODEL, "tensor '" + name + "' must be " + wanted + ", not " + require(name));
  }
}
