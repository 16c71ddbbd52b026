package org.tersor.onnx;

import com.google.protobuf.ByteString;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.RawData;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.onnx.proto.SparseTensorProto;
import org.tersor.onnx.proto.TensorProto;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * TensorProto to constant. Sizes are checked against the data that is there before anything is
 * allocated.
 */
final class TensorReader {
  /** Raw data up to this many bytes is decoded at once; more stays in the mapped file. */
  static final int SMALL = 4096;

  private static final int MAX_RANK = 64;

  /** Bytes in memory that all sparse tensors of a model may take together once they are dense. */
  private static final long SPARSE_BUDGET = 512L << 20;

  private final ExternalData external;
  private final IdentityHashMap<TensorProto, MemorySegment> large;
  private final IdentityHashMap<TensorProto, Constant> read = new IdentityHashMap<>();
  private final IdentityHashMap<SparseTensorProto, Constant> dense = new IdentityHashMap<>();
  private long sparseBytes;

  /**
   * @param large raw_data that was left out of tensors, by their identity
   */
  TensorReader(ExternalData external, IdentityHashMap<TensorProto, MemorySegment> large) {
    this.external = external;
    this.large = large;
  }

  /**
   * The constant, the same one each time for a tensor that functions use many times.
   *
   * @param where names the tensor in messages
   */
  Constant read(TensorProto proto, String where) {
    Constant known = read.get(proto);
    if (known == null) {
      known = readNew(proto, where);
      read.put(proto, known);
    }
    return known;
  }

  private Constant readNew(TensorProto proto, String where) {
    DType dtype =
        OnnxTypes.dtype(proto.getDataType())
            .orElseThrow(() -> error(where, "unknown element type " + proto.getDataType()));
    if (proto.hasSegment()) {
      throw error(where, "tensors in segments are not supported");
    }
    long[] shape = shape(proto.getDimsList(), where);
    long elements = count(dtype, shape, where);
    if (proto.getDataLocation() != 0 && proto.getDataLocation() != 1) {
      throw error(where, "unknown data location " + proto.getDataLocation());
    }
    boolean isExternal = proto.getDataLocation() == 1;
    Field given = given(proto, where);
    if (isExternal || proto.getExternalDataCount() > 0) {
      if (!isExternal || given != Field.NONE || dtype == DType.STRING) {
        throw error(
            where,
            "external data together with other data, or without data_location, or of strings");
      }
      return ofRaw(
          dtype,
          shape,
          external.map(proto.getExternalDataList(), RawData.byteSize(dtype, elements), where),
          where);
    }
    if (given == Field.RAW || (given == Field.NONE && dtype != DType.STRING && elements == 0)) {
      if (dtype == DType.STRING) {
        throw error(where, "strings cannot be in raw_data");
      }
      long needed = RawData.byteSize(dtype, elements);
      if (size(proto, Field.RAW) != needed) {
        throw error(
            where,
            dtype.text()
                + Arrays.toString(shape)
                + " needs "
                + needed
                + " bytes, raw_data has "
                + size(proto, Field.RAW));
      }
      return ofRaw(dtype, shape, raw(proto), where);
    }
    Field expected = field(dtype);
    if (given != Field.NONE && given != expected) {
      throw error(where, "data of type " + dtype.text() + " cannot be in " + given.label);
    }
    long needed =
        expected == Field.INT32
            ? packedCount(dtype, elements)
            : Math.multiplyExact(elements, (long) dtype.slots());
    long actual = size(proto, expected);
    if (actual != needed) {
      throw error(
          where,
          dtype.text()
              + Arrays.toString(shape)
              + " needs "
              + needed
              + " values in "
              + expected.label
              + ", it has "
              + actual);
    }
    return Constant.of(typed(proto, dtype, shape, where));
  }

  private static Constant ofRaw(DType dtype, long[] shape, MemorySegment data, String where) {
    if (data.byteSize() <= SMALL || (dtype == DType.BOOL && !isBoolean(data))) {
      if (data.byteSize() > Integer.MAX_VALUE - 8) {
        throw error(where, "boolean data other than 0 and 1");
      }
      Tensor tensor = RawData.decode(dtype, shape, data);
      if (dtype == DType.BOOL) {
        normalise(tensor.bytes());
      }
      return Constant.of(tensor);
    }
    return new Constant.Mapped(dtype, shape, data);
  }

  private static boolean isBoolean(MemorySegment data) {
    for (long i = 0; i < data.byteSize(); i++) {
      if ((data.get(ValueLayout.JAVA_BYTE, i) & ~1) != 0) {
        return false;
      }
    }
    return true;
  }

  private static void normalise(byte[] booleans) {
    for (int i = 0; i < booleans.length; i++) {
      booleans[i] = (byte) (booleans[i] != 0 ? 1 : 0);
    }
  }

  private static long[] shape(List<Long> dims, String where) {
    if (dims.size() > MAX_RANK) {
      throw error(where, "rank " + dims.size() + "; at most " + MAX_RANK + " is supported");
    }
    return dims.stream().mapToLong(Long::longValue).toArray();
  }

  /** Elements, after checking that they and their bytes fit a long. */
  private static long count(DType dtype, long[] shape, String where) {
    try {
      long elements = Tensor.count(shape);
      if (Math.multiplyExact(elements, 16L) < 0) {
        throw new ArithmeticException("bytes");
      }
      return elements;
    } catch (ArithmeticException e) {
      throw error(
          where,
          "the size of "
              + dtype.text()
              + Arrays.toString(shape)
              + " is negative or beyond 64 bits");
    }
  }

  private enum Field {
    NONE("nothing"),
    RAW("raw_data"),
    FLOAT("float_data"),
    INT32("int32_data"),
    STRING("string_data"),
    INT64("int64_data"),
    DOUBLE("double_data"),
    UINT64("uint64_data");

    private final String label;

    Field(String label) {
      this.label = label;
    }
  }

  private Field given(TensorProto proto, String where) {
    Field given = Field.NONE;
    for (Field field : Field.values()) {
      if (size(proto, field) > 0) {
        if (given != Field.NONE) {
          throw error(where, "both " + given.label + " and " + field.label + " are given");
        }
        given = field;
      }
    }
    return given;
  }

  private long size(TensorProto proto, Field field) {
    return switch (field) {
      case NONE -> 0;
      case RAW -> raw(proto).byteSize();
      case FLOAT -> proto.getFloatDataCount();
      case INT32 -> proto.getInt32DataCount();
      case STRING -> proto.getStringDataCount();
      case INT64 -> proto.getInt64DataCount();
      case DOUBLE -> proto.getDoubleDataCount();
      case UINT64 -> proto.getUint64DataCount();
    };
  }

  private MemorySegment raw(TensorProto proto) {
    MemorySegment segment = large.get(proto);
    return segment != null
        ? segment
        : MemorySegment.ofBuffer(proto.getRawData().asReadOnlyByteBuffer());
  }

  private static Field field(DType dtype) {
    return switch (dtype) {
      case F32, C64 -> Field.FLOAT;
      case F64, C128 -> Field.DOUBLE;
      case I64 -> Field.INT64;
      case U32, U64 -> Field.UINT64;
      case STRING -> Field.STRING;
      case BOOL,
          I2,
          U2,
          I4,
          U4,
          I8,
          U8,
          I16,
          U16,
          I32,
          F4E2M1,
          F8E4M3FN,
          F8E4M3FNUZ,
          F8E5M2,
          F8E5M2FNUZ,
          F8E8M0,
          F16,
          BF16 ->
          Field.INT32;
    };
  }

  /** Entries of int32_data: codes under 8 bits are packed into bytes, one byte an entry. */
  private static long packedCount(DType dtype, long elements) {
    return dtype.bits() < 8 ? RawData.byteSize(dtype, elements) : elements;
  }

  private static Tensor typed(TensorProto proto, DType dtype, long[] shape, String where) {
    if (dtype.bits() < 8 && dtype != DType.STRING) {
      byte[] packed = new byte[proto.getInt32DataCount()];
      for (int i = 0; i < packed.length; i++) {
        packed[i] = (byte) proto.getInt32Data(i);
      }
      return RawData.decode(dtype, shape, MemorySegment.ofArray(packed));
    }
    Tensor tensor = Tensor.zeros(dtype, shape);
    int n = tensor.size() * dtype.slots();
    switch (dtype.slot()) {
      case FLOAT -> {
        for (int i = 0; i < n; i++) {
          tensor.floats()[i] = proto.getFloatData(i);
        }
      }
      case DOUBLE -> {
        for (int i = 0; i < n; i++) {
          tensor.doubles()[i] = proto.getDoubleData(i);
        }
      }
      case LONG -> {
        for (int i = 0; i < n; i++) {
          tensor.longs()[i] = dtype == DType.I64 ? proto.getInt64Data(i) : proto.getUint64Data(i);
        }
      }
      case INT -> {
        for (int i = 0; i < n; i++) {
          tensor.ints()[i] =
              dtype == DType.I32 ? proto.getInt32Data(i) : (int) proto.getUint64Data(i);
        }
      }
      case SHORT -> {
        for (int i = 0; i < n; i++) {
          tensor.shorts()[i] = (short) proto.getInt32Data(i);
        }
      }
      case BYTE -> {
        for (int i = 0; i < n; i++) {
          int value = proto.getInt32Data(i);
          tensor.bytes()[i] = (byte) (dtype == DType.BOOL ? (value != 0 ? 1 : 0) : value);
        }
      }
      case STRING -> {
        for (int i = 0; i < n; i++) {
          tensor.strings()[i] = utf8(proto.getStringData(i), where);
        }
      }
    }
    return tensor;
  }

  /** Text of a bytes field that must be UTF-8. */
  static String utf8(ByteString bytes, String where) {
    try {
      ByteBuffer buffer = bytes.asReadOnlyByteBuffer();
      return StandardCharsets.UTF_8.newDecoder().decode(buffer).toString();
    } catch (CharacterCodingException e) {
      throw error(where, "a string is not UTF-8");
    }
  }

  /** A sparse tensor as a dense one; {@code where} names it in messages. */
  Constant densify(SparseTensorProto proto, String where) {
    Constant known = dense.get(proto);
    if (known == null) {
      known = densifyNew(proto, where);
      dense.put(proto, known);
    }
    return known;
  }

  private Constant densifyNew(SparseTensorProto proto, String where) {
    Tensor values = read(proto.getValues(), where + ", values").load();
    Tensor indices = read(proto.getIndices(), where + ", indices").load();
    long[] shape = shape(proto.getDimsList(), where);
    long elements = count(values.dtype(), shape, where);
    sparseBytes +=
        Math.min(SPARSE_BUDGET + 1, elements * Math.max(1, values.dtype().memoryBytes()));
    if (sparseBytes > SPARSE_BUDGET || elements > Integer.MAX_VALUE - 8) {
      throw Diag.error(
          Diag.LIMIT,
          where
              + ": sparse tensors take more than "
              + (SPARSE_BUDGET >> 20)
              + " MiB when made dense");
    }
    return Constant.of(SparseTensors.dense(values, indices, shape, where));
  }

  private static TersorException error(String where, String why) {
    return Diag.error(Diag.TENSOR, where + ": " + why);
  }
}
