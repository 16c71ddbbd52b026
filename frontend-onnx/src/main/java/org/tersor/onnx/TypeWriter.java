package org.tersor.onnx;

import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.onnx.proto.TensorShapeProto;
import org.tersor.onnx.proto.TypeProto;
import org.tersor.runtime.DimExpr;

/** Value type to TypeProto. */
final class TypeWriter {
  private final Map<String, String> metadata;

  /**
   * @param metadata tells what the file called each symbol
   */
  TypeWriter(Map<String, String> metadata) {
    this.metadata = metadata;
  }

  /** Empty where the type, or a part of it, is not known. */
  Optional<TypeProto> write(ValueType type) {
    return switch (type) {
      case ValueType.TensorType t -> {
        TypeProto.Tensor.Builder tensor =
            TypeProto.Tensor.newBuilder().setElemType(OnnxTypes.code(t.dtype()));
        if (t.isRanked()) {
          TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
          t.dims().forEach(dim -> shape.addDim(dim(dim)));
          tensor.setShape(shape);
        }
        yield Optional.of(TypeProto.newBuilder().setTensorType(tensor).build());
      }
      case ValueType.SequenceType s ->
          write(s.element())
              .map(e ->
                  TypeProto.newBuilder()
                      .setSequenceType(TypeProto.Sequence.newBuilder().setElemType(e))
                      .build());
      case ValueType.OptionalType o ->
          write(o.element())
              .map(e ->
                  TypeProto.newBuilder()
                      .setOptionalType(TypeProto.Optional.newBuilder().setElemType(e))
                      .build());
      case ValueType.MapType m ->
          write(m.value())
              .map(v ->
                  TypeProto.newBuilder()
                      .setMapType(
                          TypeProto.Map.newBuilder()
                              .setKeyType(OnnxTypes.code(m.key()))
                              .setValueType(v))
                      .build());
      case ValueType.UnknownType u -> Optional.empty();
    };
  }

  private TensorShapeProto.Dimension dim(DimExpr dim) {
    TensorShapeProto.Dimension.Builder proto = TensorShapeProto.Dimension.newBuilder();
    if (dim.isConst()) {
      proto.setDimValue(dim.constValue());
    } else if (dim.symbols().size() == 1
        && dim.equals(DimExpr.symbol(dim.symbols().iterator().next()))) {
      String original = metadata.getOrDefault(Metadata.DIM + dim, dim.toString());
      if (!original.isEmpty()) {
        proto.setDimParam(original);
      }
    }
    // Any other expression is left open: readers would take it for a name of its own.
    return proto.build();
  }
}
