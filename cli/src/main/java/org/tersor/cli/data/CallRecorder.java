package org.tersor.cli.data;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Npy;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import org.tersor.runtime.WholeFile;

/**
 * A model that keeps some of its calls, state included: samples for calibration where a call's
 * inputs are what the calls before it made. They are spread evenly over all calls: whenever there
 * are twice as many as wanted, every other one goes.
 */
public final class CallRecorder implements Executable {
  private final Executable model;
  private final int count;
  private final List<Map<String, Tensor>> kept = new ArrayList<>();
  private long calls;
  private long step = 1;

  /**
   * @param count calls that are kept at most
   */
  public CallRecorder(Executable model, int count) {
    if (count < 1) {
      throw new TersorException("TSR-0906", "at least one call must be kept, not " + count);
    }
    this.model = model;
    this.count = count;
  }

  @Override
  public List<Port> inputs() {
    return model.inputs();
  }

  @Override
  public List<Port> outputs() {
    return model.outputs();
  }

  @Override
  public List<State> states() {
    return model.states();
  }

  @Override
  public Map<String, Tensor> run(Map<String, Tensor> inputs, Map<String, Tensor> outputs) {
    if (calls++ % step == 0) {
      Map<String, Tensor> copy = new LinkedHashMap<>();
      inputs.forEach((name, tensor) -> copy.put(name, copy(tensor)));
      kept.add(copy);
      if (kept.size() == 2 * count) {
        for (int i = 1; i < kept.size(); i++) {
          kept.remove(i);
        }
        step *= 2;
      }
    }
    return model.run(inputs, outputs);
  }

  /** State may be written in place by the call. */
  private static Tensor copy(Tensor tensor) {
    Tensor copy = Tensor.zeros(tensor.dtype(), tensor.shape());
    System.arraycopy(tensor.array(), 0, copy.array(), 0, tensor.size() * tensor.dtype().slots());
    return copy;
  }

  /** Writes the calls as arrays [calls, ...] by input name; a diagnostic if their shapes differ. */
  public void write(Path file) throws IOException {
    Map<String, Tensor> arrays = new LinkedHashMap<>();
    int n = Math.min(count, kept.size());
    for (Port port : inputs()) {
      for (int i = 0; i < n; i++) {
        // What is more than wanted is left out evenly, too.
        Tensor one = kept.get((int) ((long) i * kept.size() / n)).get(port.name());
        if (one == null) {
          throw new IllegalStateException("no input " + port.name());
        }
        Tensor all = arrays.get(port.name());
        if (all == null) {
          long[] shape = new long[one.rank() + 1];
          shape[0] = n;
          System.arraycopy(one.shape(), 0, shape, 1, one.rank());
          all = Tensor.zeros(one.dtype(), shape);
          arrays.put(port.name(), all);
        }
        if (!Arrays.equals(one.shape(), Arrays.copyOfRange(all.shape(), 1, all.rank()))) {
          throw new TersorException(
              "TSR-0906",
              "calls of input '"
                  + port.name()
                  + "' have different shapes: one array cannot hold them");
        }
        int size = one.size() * one.dtype().slots();
        System.arraycopy(one.array(), 0, all.array(), i * size, size);
      }
    }
    WholeFile.write(file, f -> Npy.writeAll(arrays, f));
  }
}
