package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DimExpr;

/**
 * Windows that slide over spatial dimensions, as convolutions and pools have them. All lists have
 * one element per spatial dimension.
 *
 * @param input extents of the input
 * @param kernel taps
 * @param stride steps between windows
 * @param dilation steps between taps
 * @param padBegin positions before the input
 * @param padEnd positions after it
 * @param output number of windows
 */
record Window(
    List<DimExpr> input,
    List<DimExpr> kernel,
    long[] stride,
    long[] dilation,
    List<DimExpr> padBegin,
    List<DimExpr> padEnd,
    List<DimExpr> output) {

  /** From the attributes auto_pad, ceil_mode, dilations, pads and strides. */
  static Window of(OpContext c, List<DimExpr> input, List<DimExpr> kernel) {
    int rank = input.size();
    if (kernel.size() != rank) {
      throw c.error(
          "TSR-0303",
          "the kernel has " + kernel.size() + " spatial dimensions and the input " + rank);
    }
    long[] stride = positive(c, "strides", rank);
    long[] dilation = positive(c, "dilations", rank);
    long[] pads = longs(c, "pads", 2 * rank, 0);
    String autoPad = c.stringAttr("auto_pad", "NOTSET");
    boolean ceil = c.intAttr("ceil_mode", 0) != 0;
    List<DimExpr> begin = new ArrayList<>();
    List<DimExpr> end = new ArrayList<>();
    List<DimExpr> output = new ArrayList<>();
    for (int d = 0; d < rank; d++) {
      DimExpr extent = kernel.get(d).minus(1).times(dilation[d]).plus(1);
      DimExpr in = input.get(d);
      if (kernel.get(d).isConst() && kernel.get(d).constValue() < 1) {
        throw c.error("TSR-0303", "kernel dimension " + d + " is " + kernel.get(d));
      }
      DimExpr out;
      switch (autoPad) {
        case "SAME_UPPER", "SAME_LOWER" -> {
          out = in.ceilDiv(stride[d]);
          DimExpr total = out.minus(1).times(stride[d]).plus(extent).minus(in).max(DimExpr.ZERO);
          DimExpr half = total.floorDiv(2);
          DimExpr rest = total.minus(half);
          begin.add(autoPad.equals("SAME_UPPER") ? half : rest);
          end.add(autoPad.equals("SAME_UPPER") ? rest : half);
        }
        case "NOTSET", "VALID" -> {
          boolean explicit = autoPad.equals("NOTSET");
          begin.add(DimExpr.of(explicit ? pads[d] : 0));
          end.add(DimExpr.of(explicit ? pads[rank + d] : 0));
          DimExpr room = in.plus(begin.get(d)).plus(end.get(d)).minus(extent);
          // The last window must start inside the input or the padding before it.
          out =
              ceil
                  ? room.ceilDiv(stride[d])
                      .plus(1)
                      .min(in.plus(begin.get(d)).minus(1).floorDiv(stride[d]).plus(1))
                  : room.floorDiv(stride[d]).plus(1);
        }
        default -> throw c.error("TSR-0304", "auto_pad '" + autoPad + "' is not known");
      }
      if (out.isConst() && out.constValue() < 0) {
        throw c.error(
            "TSR-0303", "the kernel does not fit into spatial dimension " + d + " of " + in);
      }
      output.add(out);
    }
    return new Window(
        List.copyOf(input),
        List.copyOf(kernel),
        stride,
        dilation,
        List.copyOf(begin),
        List.copyOf(end),
        List.copyOf(output));
  }

  /** An attribute of one number per spatial dimension, 1 unless given. */
  static long[] positive(OpContext c, String name, int rank) {
    long[] values = longs(c, name, rank, 1);
    if (Arrays.stream(values).anyMatch(v -> v < 1 || v > Integer.MAX_VALUE)) {
      throw c.error(
          "TSR-0304", "attribute '" + name + "' must be positive: " + Arrays.toString(values));
    }
    return values;
  }

  static long[] longs(OpContext c, String name, int count, long otherwise) {
    long[] values =
        c.intsAttr(name)
            .orElseGet(() -> {
              long[] same = new long[count];
              Arrays.fill(same, otherwise);
              return same;
            });
    if (values.length != count) {
      throw c.error(
          "TSR-0304",
          "attribute '" + name + "' must have " + count + " numbers: " + Arrays.toString(values));
    }
    if (Arrays.stream(values).anyMatch(v -> Math.abs(v) > Integer.MAX_VALUE)) {
      throw c.error(
          "TSR-0304", "attribute '" + name + "' is too large: " + Arrays.toString(values));
    }
    return values;
  }

  int rank() {
    return input.size();
  }

  List<Axis> outputAxes() {
    return Shapes.axes("o", output);
  }

  List<Axis> kernelAxes() {
    return Shapes.axes("k", kernel);
  }

  /** Input position of a tap in dimension {@code d}; may lie in the padding. */
  KExpr position(int d, Axis out, Axis tap) {
    KExpr sum =
        K.add(K.mul(K.axis(out), K.index(stride[d])), K.mul(K.axis(tap), K.index(dilation[d])));
    return K.sub(sum, K.dim(padBegin.get(d)));
  }

  List<KExpr> positions(List<Axis> outputs, List<Axis> taps) {
    List<KExpr> positions = new ArrayList<>();
    for (int d = 0; d < rank(); d++) {
      positions.add(position(d, outputs.get(d), taps.get(d)));
    }
    return positions;
  }

  /** Whether all positions are inside the input; empty where that is certain. */
  Optional<KExpr> inside(List<KExpr> positions) {
    KExpr all = K.bool(true);
    for (int d = 0; d < rank(); d++) {
      all = K.and(all, inside(d, positions.get(d)));
    }
    return all instanceof KExpr.IntLit ? Optional.empty() : Optional.of(all);
  }

  /**
   * Whether a position is inside the input in dimension {@code d}: only the comparisons that can
   * fail.
   */
  KExpr inside(int d, KExpr position) {
    KExpr result = K.bool(true);
    if (reachesBefore(d)) {
      result = K.and(result, K.ge(position, K.index(0)));
    }
    if (reachesBeyond(d)) {
      result = K.and(result, K.lt(position, K.dim(input.get(d))));
    }
    return result;
  }

  private boolean reachesBefore(int d) {
    return !padBegin.get(d).isConst() || padBegin.get(d).constValue() > 0;
  }

  private boolean reachesBeyond(int d) {
    DimExpr room = input.get(d).plus(padBegin.get(d)).plus(padEnd.get(d)).minus(extent(d));
    if (padEnd.get(d).isConst()
        && padEnd.get(d).constValue() <= 0
        && output.get(d).equals(room.floorDiv(stride[d]).plus(1))) {
      return false;
    }
    DimExpr beyond =
        output
            .get(d)
            .minus(1)
            .times(stride[d])
            .minus(padBegin.get(d))
            .plus(extent(d))
            .minus(input.get(d));
    return !beyond.isConst() || beyond.constValue() > 0;
  }

  /** Positions that a window spans in dimension {@code d}. */
  DimExpr extent(int d) {
    return kernel.get(d).minus(1).times(dilation[d]).plus(1);
  }

  /** Whether some window takes in positions outside the input. */
  boolean reachesOutside() {
    for (int d = 0; d < rank(); d++) {
      if (reachesBefore(d) || reachesBeyond(d)) {
        return true;
      }
    }
    return false;
  }

  /** Whether some window takes in positions beyond the padding after the input (ceil_mode). */
  boolean reachesBeyondPadding(int d) {
    DimExpr beyond =
        output
            .get(d)
            .minus(1)
            .times(stride[d])
            .plus(extent(d))
            .minus(input.get(d))
            .minus(padBegin.get(d))
            .minus(padEnd.get(d));
    DimExpr room = input.get(d).plus(padBegin.get(d)).plus(padEnd.get(d)).minus(extent(d));
    return !output.get(d).equals(room.floorDiv(stride[d]).plus(1))
        && (!beyond.isConst() || beyond.constValue() > 0);
  }

  /** What {@link #forEach} calls for each window. */
  interface Visitor {
    /**
     * @param window row-major position of the window
     * @param taps number of taps inside the input
     * @param kernelAt their row-major positions in the kernel
     * @param inputAt their row-major positions in the input
     * @param padded number of taps inside input and padding
     */
    void window(int window, int taps, int[] kernelAt, int[] inputAt, int padded);
  }

  /** Visits all windows; every dimension must be constant. */
  void forEach(Visitor visitor) {
    int rank = rank();
    long[] in = numbers(input);
    long[] k = numbers(kernel);
    long[] out = numbers(output);
    long[] begin = numbers(padBegin);
    long[] end = numbers(padEnd);
    int windows = Math.toIntExact(org.tersor.runtime.Tensor.count(out));
    int taps = Math.toIntExact(org.tersor.runtime.Tensor.count(k));
    int[] kernelAt = new int[taps];
    int[] inputAt = new int[taps];
    for (int w = 0; w < windows; w++) {
      long[] o = Shapes.unravel(w, out);
      int count = 0;
      int padded = 0;
      for (int t = 0; t < taps; t++) {
        long[] tap = Shapes.unravel(t, k);
        boolean inside = true;
        boolean inPadding = true;
        long at = 0;
        for (int d = 0; d < rank; d++) {
          long position = o[d] * stride[d] + tap[d] * dilation[d] - begin[d];
          inside &= position >= 0 && position < in[d];
          inPadding &= position < in[d] + end[d];
          at = at * in[d] + position;
        }
        padded += inPadding ? 1 : 0;
        if (inside) {
          kernelAt[count] = t;
          inputAt[count++] = (int) at;
        }
      }
      visitor.window(w, count, kernelAt, inputAt, padded);
    }
  }

  static long[] numbers(List<DimExpr> dims) {
    return dims.stream().mapToLong(DimExpr::constValue).toArray();
  }
}
