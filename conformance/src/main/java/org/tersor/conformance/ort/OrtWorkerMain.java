package org.tersor.conformance.ort;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxMap;
import ai.onnxruntime.OnnxSequence;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.OrtSession.SessionOptions;
import ai.onnxruntime.TensorInfo;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.conformance.Reference.Optimization;
import org.tersor.conformance.Reference.Port;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;

/**
 * The worker: reads {@link Wire} messages from its standard input until it ends, answers on its
 * standard output.
 */
final class OrtWorkerMain {
  /** The accuracy_level of MatMulNBits that a DequantizeLinear and a MatMul become. */
  private static final String PRODUCTS = "session.qdq_matmulnbits_accuracy_level";

  private static final String FLOAT32 = "1";

  private final OrtEnvironment environment =
      OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
  private final Map<Integer, Loaded> sessions = new LinkedHashMap<>();
  private int nextSession;

  /** A session and the inputs kept for timing. */
  private static final class Loaded {
    final OrtSession session;
    Map<String, OnnxTensor> prepared = Map.of();

    Loaded(OrtSession session) {
      this.session = session;
    }
  }

  public static void main(String[] args) throws IOException {
    DataOutputStream out =
        new DataOutputStream(
            new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 1 << 16));
    System.setOut(System.err); // whatever prints must not get between the messages
    DataInputStream in = new DataInputStream(new BufferedInputStream(System.in, 1 << 16));
    OrtWorkerMain worker = new OrtWorkerMain();
    Wire.writeText(out, worker.environment.getVersion());
    out.flush();
    while (true) {
      try {
        worker.answer(in, out);
      } catch (EOFException e) {
        System.exit(0); // the parent is done, or gone
      }
      out.flush();
    }
  }

  private void answer(DataInputStream in, DataOutputStream out) throws IOException {
    int command = in.readByte();
    try {
      switch (command) {
        case Wire.OPEN -> open(in, out);
        case Wire.RUN -> run(in, out);
        case Wire.PREPARE -> prepare(in, out);
        case Wire.TIME -> time(in, out);
        case Wire.CLOSE -> close(in, out);
        default -> throw new IOException("unknown command " + command);
      }
    } catch (OrtException | IllegalArgumentException | IllegalStateException e) {
      out.writeByte(Wire.REFUSED);
      Wire.writeText(out, String.valueOf(e.getMessage()));
    }
  }

  private void open(DataInputStream in, DataOutputStream out) throws IOException, OrtException {
    String path = Wire.readText(in);
    Optimization optimization = Optimization.valueOf(Wire.readText(in));
    int threads = in.readInt();
    OrtSession session;
    try (SessionOptions options = new SessionOptions()) {
      options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
      options.setExecutionMode(SessionOptions.ExecutionMode.SEQUENTIAL);
      options.setInterOpNumThreads(1);
      options.setIntraOpNumThreads(threads);
      // Its threads would spin for tens of milliseconds more, on the cores of what comes next.
      options.addConfigEntry("session.force_spinning_stop", "1");
      options.setOptimizationLevel(
          switch (optimization) {
            case NONE -> SessionOptions.OptLevel.NO_OPT;
            case BASIC -> SessionOptions.OptLevel.BASIC_OPT;
            case FLOAT, ALL -> SessionOptions.OptLevel.ALL_OPT;
          });
      if (optimization == Optimization.FLOAT) {
        options.addConfigEntry(PRODUCTS, FLOAT32);
      }
      session = environment.createSession(path, options);
    }
    int id = nextSession++;
    sessions.put(id, new Loaded(session));
    List<Port> inputs = ports(session.getInputInfo());
    List<Port> outputs = ports(session.getOutputInfo());
    out.writeByte(Wire.OK);
    out.writeInt(id);
    Wire.writePorts(out, inputs);
    Wire.writePorts(out, outputs);
  }

  private static List<Port> ports(Map<String, NodeInfo> infos) {
    List<Port> ports = new ArrayList<>();
    infos.forEach((name, info) -> {
      boolean known = info.getInfo() instanceof TensorInfo;
      TensorInfo tensor = known ? (TensorInfo) info.getInfo() : null;
      DType dtype = tensor == null ? DType.BOOL : dtype(tensor.onnxType);
      List<Long> shape = new ArrayList<>();
      if (tensor != null) {
        for (long dim : tensor.getShape()) {
          shape.add(dim);
        }
      }
      ports.add(new Port(name, dtype, shape));
    });
    return ports;
  }

  private Loaded session(int id) {
    Loaded loaded = sessions.get(id);
    if (loaded == null) {
      throw new IllegalStateException("session " + id + " is closed");
    }
    return loaded;
  }

  private void run(DataInputStream in, DataOutputStream out) throws IOException, OrtException {
    int id = in.readInt();
    Map<String, Datum> data = Wire.readData(in);
    Loaded loaded = session(id);
    Map<String, OnnxTensor> inputs = feed(data);
    Map<String, Datum> outputs = new LinkedHashMap<>();
    try (OrtSession.Result result = loaded.session.run(inputs)) {
      for (Map.Entry<String, OnnxValue> entry : result) {
        outputs.put(entry.getKey(), datum(entry.getValue()));
      }
    } finally {
      inputs.values().forEach(OnnxTensor::close);
    }
    out.writeByte(Wire.OK);
    Wire.writeData(out, outputs);
  }

  private void prepare(DataInputStream in, DataOutputStream out) throws IOException, OrtException {
    int id = in.readInt();
    Map<String, Datum> data = Wire.readData(in);
    Loaded loaded = session(id);
    loaded.prepared.values().forEach(OnnxTensor::close);
    loaded.prepared = feed(data);
    out.writeByte(Wire.OK);
  }

  private void time(DataInputStream in, DataOutputStream out) throws IOException, OrtException {
    int id = in.readInt();
    long[] times = new long[in.readInt()];
    Loaded loaded = session(id);
    for (int i = 0; i < times.length; i++) {
      long start = System.nanoTime();
      OrtSession.Result result = loaded.session.run(loaded.prepared);
      times[i] = System.nanoTime() - start;
      result.close();
    }
    out.writeByte(Wire.OK);
    Wire.writeTimes(out, times);
  }

  private void close(DataInputStream in, DataOutputStream out) throws IOException, OrtException {
    Loaded loaded = sessions.remove(in.readInt());
    if (loaded != null) {
      loaded.prepared.values().forEach(OnnxTensor::close);
      loaded.session.close();
    }
    out.writeByte(Wire.OK);
  }

  private Map<String, OnnxTensor> feed(Map<String, Datum> data) throws OrtException {
    Map<String, OnnxTensor> inputs = new LinkedHashMap<>();
    for (Map.Entry<String, Datum> entry : data.entrySet()) {
      Datum given =
          entry.getValue() instanceof Datum.Maybe(Optional<Datum> value) && value.isPresent()
              ? value.get()
              : entry.getValue();
      String name = entry.getKey();
      inputs.put(
          name,
          switch (given) {
            case Tensor tensor -> feed(name, tensor);
            case Datum.Dictionary map -> feed(name, map);
            case Datum.Sequence sequence -> feed(name, sequence);
            case Datum.Maybe _ ->
                throw new IllegalArgumentException(
                    "the Java API of ONNX Runtime cannot feed nothing to input '" + name + "'");
          });
    }
    return inputs;
  }

  private OnnxTensor feed(String name, Datum.Dictionary map) throws OrtException {
    try (OnnxTensor keys = feed(name, map.keys());
        OnnxTensor values = feed(name, map.values())) {
      return OrtValues.map(keys, values);
    }
  }

  private OnnxTensor feed(String name, Datum.Sequence sequence) throws OrtException {
    List<OnnxTensor> elements = new ArrayList<>();
    try {
      for (Datum element : sequence.elements()) {
        elements.add(
            switch (element) {
              case Tensor tensor -> feed(name, tensor);
              case Datum.Dictionary map -> feed(name, map);
              default ->
                  throw new IllegalArgumentException(
                      "ONNX Runtime has no sequences of sequences or optionals: '" + name + "'");
            });
      }
      return OrtValues.sequence(elements);
    } finally {
      elements.forEach(OnnxTensor::close);
    }
  }

  private OnnxTensor feed(String name, Tensor tensor) throws OrtException {
    if (tensor.dtype() == DType.STRING) {
      return OnnxTensor.createTensor(environment, tensor.strings(), tensor.shape());
    }
    OnnxJavaType type =
        switch (tensor.dtype()) {
          case F32 -> OnnxJavaType.FLOAT;
          case F64 -> OnnxJavaType.DOUBLE;
          case F16 -> OnnxJavaType.FLOAT16;
          case BF16 -> OnnxJavaType.BFLOAT16;
          case I8 -> OnnxJavaType.INT8;
          case I16 -> OnnxJavaType.INT16;
          case I32 -> OnnxJavaType.INT32;
          case I64 -> OnnxJavaType.INT64;
          case U8 -> OnnxJavaType.UINT8;
          case BOOL -> OnnxJavaType.BOOL;
          default ->
              throw new IllegalArgumentException(
                  "the Java API of ONNX Runtime cannot feed input '"
                      + name
                      + "' of type "
                      + tensor.dtype().text());
        };
    ByteBuffer bytes =
        ByteBuffer.allocateDirect(Math.multiplyExact(tensor.size(), tensor.dtype().memoryBytes()))
            .order(ByteOrder.nativeOrder());
    Wire.copyOut(tensor, bytes);
    bytes.rewind();
    return OnnxTensor.createTensor(environment, bytes, tensor.shape(), type);
  }

  private static DType dtype(TensorInfo.OnnxTensorType type) {
    return switch (type) {
      case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT -> DType.F32;
      case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE -> DType.F64;
      case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16 -> DType.F16;
      case ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16 -> DType.BF16;
      case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8 -> DType.I8;
      case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16 -> DType.I16;
      case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32 -> DType.I32;
      case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 -> DType.I64;
      case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 -> DType.U8;
      case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16 -> DType.U16;
      case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32 -> DType.U32;
      case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64 -> DType.U64;
      case ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL -> DType.BOOL;
      case ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING -> DType.STRING;
      default ->
          throw new IllegalArgumentException(
              "the Java API of ONNX Runtime cannot read values of type " + type);
    };
  }

  private static Datum datum(OnnxValue value) throws OrtException {
    return switch (value) {
      case OnnxTensor tensor -> tensor(tensor);
      case OnnxSequence sequence -> {
        List<Datum> elements = new ArrayList<>();
        for (OnnxValue element : sequence.getValue()) {
          try (element) {
            elements.add(datum(element));
          }
        }
        yield new Datum.Sequence(elements);
      }
      case OnnxMap map -> dictionary(map.getValue());
      default ->
          throw new IllegalArgumentException(
              "the Java API of ONNX Runtime cannot read a value of type " + value.getType());
    };
  }

  private static Tensor tensor(OnnxTensor tensor) throws OrtException {
    TensorInfo info = tensor.getInfo();
    DType dtype = dtype(info.onnxType);
    if (dtype == DType.STRING) {
      List<String> texts = new ArrayList<>();
      flatten(tensor.getValue(), texts);
      return new Tensor(dtype, info.getShape(), texts.toArray(String[]::new));
    }
    if (Tensor.count(info.getShape()) == 0) {
      return Tensor.zeros(dtype, info.getShape());
    }
    return Wire.copyIn(
        dtype, info.getShape(), tensor.getByteBuffer().order(ByteOrder.nativeOrder()));
  }

  private static void flatten(Object value, List<String> texts) {
    if (value instanceof Object[] array) {
      for (Object element : array) {
        flatten(element, texts);
      }
    } else {
      texts.add((String) value);
    }
  }

  private static Datum dictionary(Map<?, ?> map) {
    int n = map.size();
    boolean named = map.keySet().stream().allMatch(String.class::isInstance);
    Tensor keys = Tensor.zeros(named ? DType.STRING : DType.I64, n);
    Object sample = n == 0 ? 0f : map.values().iterator().next();
    Tensor values =
        Tensor.zeros(
            switch (sample) {
              case Long _ -> DType.I64;
              case Double _ -> DType.F64;
              case String _ -> DType.STRING;
              default -> DType.F32;
            },
            n);
    int i = 0;
    for (Map.Entry<?, ?> entry : map.entrySet()) {
      if (named) {
        keys.strings()[i] = (String) entry.getKey();
      } else {
        keys.longs()[i] = (Long) entry.getKey();
      }
      switch (entry.getValue()) {
        case String text -> values.strings()[i] = text;
        case Long number -> values.longs()[i] = number;
        case Number number -> values.setDouble(i, number.doubleValue());
        case Object other -> throw new IllegalArgumentException("map value " + other);
      }
      i++;
    }
    return new Datum.Dictionary(keys, values);
  }
}
