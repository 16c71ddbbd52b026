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
import org.tersor.ir.op.OnnxTypes;
import org.tersor.onnx.proto.MapProto;
import org.tersor.onnx.proto.OptionalProto;
import org.tersor.onnx.proto.SequenceProto;
import org.tersor.onnx.proto.SparseTensorProto;
import org.tersor.onnx.proto.TensorProto;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
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
  public static Datum read(Path file, ValueType type) {
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
      case ValueType.TensorType t -> read(file);
      case ValueType.UnknownType u -> read(file);
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

  private Tensor tensor(TensorProto proto) {
    return tensors.read(proto, where).load();
  }

  private Tensor dense(SparseTensorProto proto) {
    return tensors.densify(proto, where).load();
  }

  private Datum.Sequence sequence(SequenceProto proto) {
    List<Datum> elements = new ArrayList<>();
    proto.getTensorValuesList().forEach(t -> elements.add(tensor(t)));
    proto.getSparseTensorValuesList().forEach(t -> elements.add(dense(t)));
    proto.getSequenceValuesList().forEach(s -> elements.add(sequence(s)));
    proto.getMapValuesList().forEach(m -> elements.add(map(m)));
    proto.getOptionalValuesList().forEach(o -> elements.add(optional(o)));
    return new Datum.Sequence(elements);
  }

  private Datum optional(OptionalProto proto) {
    Optional<Datum> value = Optional.empty();
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
    return new Datum.Maybe(value);
  }

  private Datum map(MapProto proto) {
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
    Tensor keys = Tensor.zeros(strings ? DType.STRING : DType.I64, n);
    for (int i = 0; i < n; i++) {
      if (strings) {
        keys.strings()[i] = TensorReader.utf8(proto.getStringKeys(i), where);
      } else {
        keys.setLong(i, proto.getKeys(i));
      }
    }
    return new Datum.Dictionary(keys, values(sequence(proto.getValues()).elements(), n));
  }

  /** The values of a map, single elements, as one vector. */
  private Tensor values(List<Datum> values, int n) {
    if (values.size() != n) {
      throw Diag.error(
          Diag.TENSOR, where + ": a map of " + n + " keys has " + values.size() + " values");
    }
    DType dtype = n > 0 && values.getFirst() instanceof Tensor first ? first.dtype() : DType.F32;
    Tensor vector = Tensor.zeros(dtype, n);
    for (int i = 0; i < n; i++) {
      if (!(values.get(i) instanceof Tensor value) || value.size() != 1 || value.dtype() != dtype) {
        throw Diag.error(
            Diag.TENSOR,
            where + ": value " + i + " of a map is not one element of " + dtype.text());
      }
      System.arraycopy(value.array(), 0, vector.array(), i * dtype.slots(), dtype.slots());
    }
    return vector;
  }
}
