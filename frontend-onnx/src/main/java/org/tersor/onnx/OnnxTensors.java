package org.tersor.onnx;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.ValueType;
import org.tersor.onnx.proto.MapProto;
import org.tersor.onnx.proto.OptionalProto;
import org.tersor.onnx.proto.SequenceProto;
import org.tersor.onnx.proto.SparseTensorProto;
import org.tersor.onnx.proto.TensorProto;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Files of test data: serialized TensorProto, SequenceProto and OptionalProto messages, always with
 * the data inside.
 */
public final class OnnxTensors {
  private final TensorReader tensors;
  private final String where;

  private OnnxTensors(IdentityHashMap<TensorProto, MemorySegment> raw, String where) {
    this.tensors = new TensorReader(ExternalData.none(), raw);
    this.where = where;
  }

  /** A TensorProto file. */
  public static Tensor read(Path file) {
    var parsed = ProtoFile.read(file, TensorProto.getDefaultInstance());
    return new TensorReader(ExternalData.none(), parsed.raw())
        .read(parsed.message(), file.toString())
        .load();
  }

  /** A file whose message the type tells; tensors of a type that is not known are assumed. */
  public static OnnxValue read(Path file, ValueType type) {
    return switch (type) {
      case ValueType.SequenceType s -> {
        var parsed = ProtoFile.read(file, SequenceProto.getDefaultInstance());
        yield new OnnxTensors(parsed.raw(), file.toString()).sequence(parsed.message());
      }
      case ValueType.OptionalType o -> {
        var parsed = ProtoFile.read(file, OptionalProto.getDefaultInstance());
        yield new OnnxTensors(parsed.raw(), file.toString()).optional(parsed.message());
      }
      case ValueType.MapType m -> {
        var parsed = ProtoFile.read(file, MapProto.getDefaultInstance());
        yield new OnnxTensors(parsed.raw(), file.toString()).map(parsed.message());
      }
      case ValueType.TensorType t -> new OnnxValue.OfTensor(read(file));
      case ValueType.UnknownType u -> new OnnxValue.OfTensor(read(file));
    };
  }

  /** A serialized TensorProto. */
  public static Tensor fromBytes(byte[] bytes) {
    var parsed =
        ProtoFile.parse(ByteBuffer.wrap(bytes), TensorProto.getDefaultInstance(), "tensor");
    return new TensorReader(ExternalData.none(), parsed.raw())
        .read(parsed.message(), "tensor")
        .load();
  }

  /** A serialized TensorProto. */
  public static byte[] toBytes(Tensor tensor, String name) {
    return TensorWriter.inline(Constant.of(tensor), name).toByteArray();
  }

  /** Writes a TensorProto file. */
  public static void write(Tensor tensor, String name, Path file) {
    try {
      Files.write(file, toBytes(tensor, name));
    } catch (IOException e) {
      throw Diag.error(Diag.FILE, file + " cannot be written", e);
    }
  }

  private OnnxValue tensor(TensorProto proto) {
    return new OnnxValue.OfTensor(tensors.read(proto, where).load());
  }

  private OnnxValue dense(SparseTensorProto proto) {
    return new OnnxValue.OfTensor(tensors.densify(proto, where).load());
  }

  private OnnxValue sequence(SequenceProto proto) {
    List<OnnxValue> elements = new ArrayList<>();
    proto.getTensorValuesList().forEach(t -> elements.add(tensor(t)));
    proto.getSparseTensorValuesList().forEach(t -> elements.add(dense(t)));
    proto.getSequenceValuesList().forEach(s -> elements.add(sequence(s)));
    proto.getMapValuesList().forEach(m -> elements.add(map(m)));
    proto.getOptionalValuesList().forEach(o -> elements.add(optional(o)));
    return new OnnxValue.OfSequence(List.copyOf(elements));
  }

  private OnnxValue optional(OptionalProto proto) {
    Optional<OnnxValue> value = Optional.empty();
    if (proto.hasTensorValue()) {
      value = Optional.of(tensor(proto.getTensorValue()));
    } else if (proto.hasSparseTensorValue()) {
      value = Optional.of(dense(proto.getSparseTensorValue()));
    } else if (proto.hasSequenceValue()) {
      value = Optional.of(sequence(proto.getSequenceValue()));
    } else if (proto.hasMapValue()) {
      value = Optional.of(map(proto.getMapValue()));
    } else if (proto.hasOptionalValue()) {
      value = Optional.of(optional(proto.getOptionalValue()));
    }
    return new OnnxValue.OfOptional(value);
  }

  private OnnxValue map(MapProto proto) {
    DType key =
        OnnxTypes.dtype(proto.getKeyType())
            .orElseThrow(
                () -> Diag.error(Diag.TENSOR, where + ": unknown key type " + proto.getKeyType()));
    boolean strings = key == DType.STRING;
    int n = strings ? proto.getStringKeysCount() : proto.getKeysCount();
    if (!(strings || key.isInteger()) || proto.getKeysCount() + proto.getStringKeysCount() != n) {
      throw Diag.error(
          Diag.TENSOR, where + ": keys of a map must be integers or strings, of one kind");
    }
    Tensor keys = Tensor.zeros(key, n);
    for (int i = 0; i < n; i++) {
      if (strings) {
        keys.strings()[i] = TensorReader.utf8(proto.getStringKeys(i), where);
      } else {
        keys.setLong(i, proto.getKeys(i));
      }
    }
    List<OnnxValue> values = ((OnnxValue.OfSequence) sequence(proto.getValues())).elements();
    if (values.size() != n) {
      throw Diag.error(
          Diag.TENSOR, where + ": a map of " + n + " keys has " + values.size() + " values");
    }
    return new OnnxValue.OfMap(keys, values);
  }
}
