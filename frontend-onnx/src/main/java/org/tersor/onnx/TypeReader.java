package org.tersor.onnx;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.onnx.proto.TensorShapeProto;
import org.tersor.onnx.proto.TypeProto;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;

/**
 * TypeProto to value type. Names of dimensions become symbols {@code [A-Za-z_][A-Za-z0-9_]*},
 * unique within a model.
 */
final class TypeReader {
  private static final int MAX_RANK = 64;
  private static final int MAX_NAME = 64;

  private final Map<String, String> symbols = new HashMap<>();
  private final Set<String> taken = new HashSet<>();
  private final Map<String, Integer> suffixes = new HashMap<>();
  private final Map<String, String> originals;
  private int fresh;

  /**
   * @param metadata takes what the file calls each symbol, where the symbol is another text: see
   *     {@link Metadata#DIM}
   */
  TypeReader(Map<String, String> metadata) {
    this.originals = metadata;
  }

  ValueType read(TypeProto proto, String where) {
    return switch (proto.getValueCase()) {
      case TENSOR_TYPE -> {
        DType dtype = dtype(proto.getTensorType().getElemType(), where);
        yield proto.getTensorType().hasShape()
            ? ValueType.TensorType.of(dtype, dims(proto.getTensorType().getShape(), where))
            : ValueType.TensorType.unranked(dtype);
      }
      case SEQUENCE_TYPE ->
          new ValueType.SequenceType(read(proto.getSequenceType().getElemType(), where));
      case OPTIONAL_TYPE ->
          new ValueType.OptionalType(read(proto.getOptionalType().getElemType(), where));
      case MAP_TYPE ->
          new ValueType.MapType(
              dtype(proto.getMapType().getKeyType(), where),
              read(proto.getMapType().getValueType(), where));
      case SPARSE_TENSOR_TYPE, OPAQUE_TYPE ->
          throw Diag.error(Diag.TYPE, where + ": sparse and opaque types are not supported");
      case VALUE_NOT_SET -> throw Diag.error(Diag.TYPE, where + ": a type is missing");
    };
  }

  private static DType dtype(int code, String where) {
    return OnnxTypes.dtype(code)
        .orElseThrow(() -> Diag.error(Diag.TYPE, where + ": unknown element type " + code));
  }

  private List<DimExpr> dims(TensorShapeProto shape, String where) {
    if (shape.getDimCount() > MAX_RANK) {
      throw Diag.error(
          Diag.TYPE,
          where + ": rank " + shape.getDimCount() + "; at most " + MAX_RANK + " is supported");
    }
    List<DimExpr> dims = new ArrayList<>();
    for (TensorShapeProto.Dimension dim : shape.getDimList()) {
      // Some writers mean "unknown" by -1.
      if (dim.hasDimValue() && dim.getDimValue() >= 0) {
        dims.add(DimExpr.of(dim.getDimValue()));
      } else if (isName(dim.getDimParam())) {
        dims.add(DimExpr.symbol(symbols.computeIfAbsent(dim.getDimParam(), this::name)));
      } else {
        dims.add(DimExpr.symbol(name("")));
      }
    }
    return dims;
  }

  /** Some writers call every unknown dimension "?": they need not be equal. */
  private static boolean isName(String param) {
    return param.chars().anyMatch(Character::isLetterOrDigit) && !param.equals("-1");
  }

  private String name(String original) {
    StringBuilder clean = new StringBuilder();
    for (int i = 0; i < Math.min(original.length(), MAX_NAME); i++) {
      char c = original.charAt(i);
      boolean letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
      boolean digit = c >= '0' && c <= '9';
      if (digit && i == 0) {
        clean.append('_');
      }
      clean.append(letter || digit ? c : '_');
    }
    String base = original.isEmpty() ? "d" : clean.toString();
    String name = original.isEmpty() ? base + fresh++ : base;
    while (!taken.add(name)) {
      name =
          original.isEmpty() ? base + fresh++ : base + "_" + suffixes.merge(base, 1, Integer::sum);
    }
    if (!name.equals(original)) {
      originals.put(Metadata.DIM + name, original);
    }
    return name;
  }
}
