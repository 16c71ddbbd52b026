package org.tersor.passes.quant.method;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.dsl.AffineDecode;
import org.tersor.ir.dsl.FormatDef;
import org.tersor.ir.format.BlockParameters;
import org.tersor.ir.format.FormatCodec;
import org.tersor.ir.format.NumberFormat;
import org.tersor.runtime.Tensor;

/**
 * The grids of some parameters of a format: nearest codes as the format chooses them, values of
 * codes as its text states them.
 */
final class Grids {
  private final NumberFormat format;
  private final FormatCodec codec;
  private final List<BlockParameters> parameters;
  private final boolean affine;
  private final float[] scales;
  private final float[] zeros;
  private final float[][] values;

  Grids(NumberFormat format, FormatCodec codec, List<BlockParameters> parameters) {
    this.format = format;
    this.codec = codec;
    this.parameters = parameters;
    Optional<AffineDecode> decode = AffineDecode.ofAnyZero(codec.definition());
    this.affine = decode.isPresent();
    this.scales = new float[affine ? parameters.size() : 0];
    this.zeros = new float[scales.length];
    this.values = affine ? new float[0][] : codec.values(parameters);
    decode.ifPresent(this::read);
  }

  /** Stored scales and zero points: what decode will see, not what was fitted. */
  private void read(AffineDecode decode) {
    int block = codec.definition().block();
    if (codec.level() == FormatDef.Level.TENSOR) {
      for (int p = 0; p < scales.length; p++) {
        read(decode, List.of(parameters.get(p)), new long[] {1, block}, p);
      }
    } else if (scales.length > 0) {
      read(decode, parameters, new long[] {scales.length, block}, 0);
    }
  }

  private void read(AffineDecode decode, List<BlockParameters> some, long[] shape, int at) {
    long[] codes = new long[some.size() * (int) shape[1]];
    for (int i = 0; i < codes.length; i++) {
      codes[i] = format.code(0, some.get(i / (int) shape[1]), i % (int) shape[1]);
    }
    Map<String, Tensor> buffers = new LinkedHashMap<>(codec.assemble(shape, some, codes));
    List<Tensor> stored = new ArrayList<>(buffers.values());
    Tensor s = decode.scales(stored, shape);
    Tensor z = decode.realZeros(stored, shape);
    for (int p = 0; p < some.size(); p++) {
      scales[at + p] = (float) s.getDouble(s.size() == 1 ? 0 : p);
      zeros[at + p] = (float) z.getDouble(z.size() == 1 ? 0 : p);
    }
  }

  BlockParameters parameters(int p) {
    return parameters.get(p);
  }

  int size() {
    return parameters.size();
  }

  /** The nearest code. */
  long code(int p, double value, int position) {
    return format.code((float) value, parameters.get(p), position);
  }

  /** The value of a code. */
  float value(int p, long code, int position) {
    return affine
        ? ((float) code - zeros[p]) * scales[p]
        : values[p][index(code) * codec.definition().block() + position];
  }

  private int index(long code) {
    return (int) (code & ((1L << codec.codeField().type().bits()) - 1));
  }

  /** The nearest value. */
  float round(int p, double value, int position) {
    return value(p, code(p, value, position), position);
  }

  /**
   * The codes on either side of a number, lower value first; equal where it lies outside of the
   * grid.
   */
  long[] around(int p, double value, int position) {
    long near = code(p, value, position);
    float at = value(p, near, position);
    if (at == value) {
      return new long[] {near, near};
    }
    boolean up = at < value;
    long other = near;
    if (affine) {
      // A code that the format does not use comes back as another.
      long next = near + (up == scales[p] > 0 ? 1 : -1);
      int bits = codec.codeField().type().bits();
      boolean stored = (long) codec.codeField().type().decode(next & ((1L << bits) - 1)) == next;
      if (stored && code(p, value(p, next, position), position) == next) {
        other = next;
      }
    } else {
      double best = Double.POSITIVE_INFINITY;
      for (int c = 0; c < values[p].length / codec.definition().block(); c++) {
        long candidate = (long) codec.codeField().type().decode(c);
        double distance = (value(p, candidate, position) - value) * (up ? 1 : -1);
        if (distance > 0 && distance < best) {
          best = distance;
          other = candidate;
        }
      }
    }
    return up ? new long[] {near, other} : new long[] {other, near};
  }
}
