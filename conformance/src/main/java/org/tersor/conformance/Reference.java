package org.tersor.conformance;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;

/**
 * Another runtime that results and times are compared with. Not thread-safe: one call at a time.
 */
public interface Reference extends AutoCloseable {

  /** How hard the other runtime optimises the graph. */
  enum Optimization {
    NONE,
    BASIC,
    /**
     * All, but products with decoded weights of few bits stay products of float32: else ONNX
     * Runtime rounds the other factor to 8 bits, as MatMulNBits of accuracy_level 4 does, without
     * being asked by the model.
     */
    FLOAT,
    ALL
  }

  /**
   * How a model is loaded.
   *
   * @param threads threads inside an operator; operators run one after another
   */
  record Options(Optimization optimization, int threads) {
    public static final Options DEFAULT = new Options(Optimization.ALL, 1);
  }

  /** A named input or output as the other runtime sees it; unknown dimensions are -1. */
  record Port(String name, DType dtype, List<Long> shape) {}

  /** A loaded model. */
  interface Session extends AutoCloseable {
    List<Port> inputs();

    List<Port> outputs();

    /** All outputs, in order. */
    Map<String, Datum> run(Map<String, ? extends Datum> inputs);

    /** Keeps inputs for {@link #time}. */
    void prepare(Map<String, ? extends Datum> inputs);

    /**
     * Runs with the prepared inputs so many times; nanoseconds of each run, measured around the run
     * itself.
     */
    long[] time(int runs);

    @Override
    void close();
  }

  /** Name and version. */
  String name();

  /**
   * Loads a model; TersorException TSR-08xx if the other runtime refuses it, crashes or takes too
   * long.
   */
  Session open(Path model, Options options);

  @Override
  void close();

  /** Loads, runs once, unloads. */
  default Map<String, Datum> call(
      Path model, Map<String, ? extends Datum> inputs, Options options) {
    try (Session session = open(model, options)) {
      return session.run(inputs);
    }
  }

  /** Loads, runs once with tensors only, unloads. */
  default Map<String, Tensor> run(Path model, Map<String, Tensor> inputs, Options options) {
    try (Session session = open(model, options)) {
      return tensors(session.run(inputs));
    }
  }

  /** Those that are tensors. */
  static Map<String, Tensor> tensors(Map<String, ? extends Datum> data) {
    Map<String, Tensor> tensors = new java.util.LinkedHashMap<>();
    data.forEach((name, datum) -> {
      if (datum instanceof Tensor tensor) {
        tensors.put(name, tensor);
      }
    });
    return tensors;
  }
}
