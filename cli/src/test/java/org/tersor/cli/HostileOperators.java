package org.tersor.cli;

import java.util.List;
import java.util.Map;
import org.tersor.cli.HostileCase.Answer;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Standard operators that ask for what cannot be: sizes, indices, divisors. */
final class HostileOperators extends HostileList {
  HostileOperators() {
    sizes();
    indices();
    windows();
    arithmetic();
    others();
  }

  private void sizes() {
    refused("expand wraps", "Expand", NONE, floats(1), longs(WRAPS, WRAPS));
    refused("expand far", "Expand", NONE, floats(1), longs(FAR, 8));
    refused("expand large", "Expand", NONE, floats(1), longs(1 << 20, 1 << 20));
    refused("expand memory", "Expand", NONE, floats(1), longs(1 << 15, 1 << 15));
    refused("constant of shape wraps", "ConstantOfShape", NONE, longs(WRAPS, WRAPS));
    refused("constant of shape negative", "ConstantOfShape", NONE, longs(-1, 3));
    refused("constant of shape memory", "ConstantOfShape", NONE, longs(1 << 15, 1 << 14));
    refused("tile wraps", "Tile", NONE, floats(2, 2), longs(FAR, FAR));
    refused("tile negative", "Tile", NONE, floats(2), longs(-1));
    refused("range far", "Range", NONE, scalar(0), scalar(FAR), scalar(1));
    refused("range without step", "Range", NONE, scalar(0), scalar(5), scalar(0));
    refused("reshape wraps", "Reshape", NONE, floats(4), longs(WRAPS, WRAPS));
    refused("reshape two unknown", "Reshape", NONE, floats(4), longs(-1, -1));
    refused("reshape negative", "Reshape", NONE, floats(4), longs(-2, -2));
    refused("reshape other size", "Reshape", NONE, floats(4), longs(3));
    refused("pad far", "Pad", NONE, floats(2), longs(FAR, FAR));
    refused("pad memory", "Pad", NONE, floats(2), longs(1 << 30, 1 << 30));
    refused("pad too negative", "Pad", NONE, floats(2), longs(-3, -3));
    refused("one-hot far", "OneHot", NONE, longs(1), scalar(FAR), longs(0, 1));
    any("one-hot negative", "OneHot", NONE, longs(1), scalar(-1), longs(0, 1));
    refused(
        "resize far",
        "Resize",
        NONE,
        floats(1, 1, 2, 2),
        floats(0),
        floats(0),
        longs(1, 1, HUGE, HUGE));
    refused(
        "resize wraps",
        "Resize",
        NONE,
        floats(1, 1, 2, 2),
        floats(0),
        Tensor.of(new float[] {1, 1, 1e30f, 1e30f}, 4));
    any(
        "resize nothing",
        "Resize",
        NONE,
        floats(1, 1, 2, 2),
        floats(0),
        Tensor.of(new float[] {1, 1, 0, Float.NaN}, 4));
    refused("window far", "HannWindow", NONE, scalar(HUGE));
    refused("random far", "RandomNormal", Map.of("shape", ints(WRAPS, WRAPS)));
    refused("split negative", "Split", NONE, floats(4), longs(-1, 5));
    refused("top-k far", "TopK", NONE, floats(4), longs(FAR));
    refused("top-k negative", "TopK", NONE, floats(4), longs(-1));
    refused("center crop far", "CenterCropPad", NONE, floats(2), longs(HUGE));
    refused("dft far", "DFT", NONE, floats(1, 4, 1), scalar(HUGE), scalar(1));
    refused("unsqueeze axis", "Unsqueeze", NONE, floats(4), longs(HUGE));
    refused("squeeze axis", "Squeeze", NONE, floats(4), longs(0));
    refused(
        "mel far",
        "MelWeightMatrix",
        NONE,
        scalar(HUGE),
        scalar(HUGE),
        scalar(8000),
        Tensor.of(new float[] {0}),
        Tensor.of(new float[] {4000}));
  }

  private void indices() {
    for (long index : new long[] {2, -3, 1_000_000_000L, FAR, Long.MIN_VALUE}) {
      refused("gather " + index, "Gather", NONE, floats(2, 3), longs(index));
      refused(
          "gather elements " + index,
          "GatherElements",
          NONE,
          floats(2, 3),
          Tensor.of(new long[] {index}, 1, 1));
      refused(
          "gather tuples " + index,
          "GatherND",
          NONE,
          floats(2, 3),
          Tensor.of(new long[] {index}, 1, 1));
      refused(
          "scatter elements " + index,
          "ScatterElements",
          NONE,
          floats(2, 3),
          Tensor.of(new long[] {index}, 1, 1),
          floats(1, 1));
      refused(
          "scatter tuples " + index,
          "ScatterND",
          NONE,
          floats(2, 3),
          Tensor.of(new long[] {index}, 1, 1),
          floats(1, 3));
    }
    refused("axis", "Softmax", Map.of("axis", integer(HUGE)), floats(2, 2));
    refused("cumulate axis", "CumSum", NONE, floats(2, 2), scalar(5));
    refused("permutation", "Transpose", Map.of("perm", ints(0, 0)), floats(2, 2));
    refused("permutation far", "Transpose", Map.of("perm", ints(HUGE, 0)), floats(2, 2));
    any(
        "slice far",
        "Slice",
        NONE,
        floats(4),
        longs(Long.MIN_VALUE),
        longs(Long.MAX_VALUE),
        longs(0),
        longs(Long.MAX_VALUE));
    any(
        "slice backwards",
        "Slice",
        NONE,
        floats(4),
        longs(Long.MAX_VALUE),
        longs(Long.MIN_VALUE),
        longs(0),
        longs(Long.MIN_VALUE));
    refused("slice without step", "Slice", NONE, floats(4), longs(0), longs(4), longs(0), longs(0));
    any("triangle", "Trilu", NONE, floats(3, 3), scalar(Long.MIN_VALUE));
    refused(
        "reversed lengths",
        "ReverseSequence",
        Map.of("batch_axis", integer(0), "time_axis", integer(1)),
        floats(2, 3),
        longs(99, -5));
    refused("region of no image", "RoiAlign", NONE, floats(1, 1, 4, 4), floats(1, 4), longs(99));
    refused("loss label", "NegativeLogLikelihoodLoss", NONE, floats(1, 3), longs(1_000_000_000L));
    add(
        Answer.REFUSED,
        "feature -10",
        node("ai.onnx.ml", "ArrayFeatureExtractor", NONE, 1),
        floats(1, 3),
        longs(-10));
    refused(
        "unpooled",
        "MaxUnpool",
        Map.of("kernel_shape", ints(2, 2), "strides", ints(2, 2)),
        floats(1, 1, 1, 1),
        Tensor.of(new long[] {1_000_000}, 1, 1, 1, 1));
  }

  private void windows() {
    Tensor x = floats(1, 2, 5, 5);
    Tensor w = floats(2, 2, 3, 3);
    refused("conv stride 0", "Conv", Map.of("strides", ints(0, 1)), x, w);
    refused("conv stride negative", "Conv", Map.of("strides", ints(-1, 1)), x, w);
    refused("conv dilation 0", "Conv", Map.of("dilations", ints(0, 1)), x, w);
    refused("conv dilation far", "Conv", Map.of("dilations", ints(FAR, FAR)), x, w);
    refused("conv group 0", "Conv", Map.of("group", integer(0)), x, w);
    refused("conv group -1", "Conv", Map.of("group", integer(-1)), x, w);
    refused("conv group 3", "Conv", Map.of("group", integer(3)), x, w);
    refused("conv pads far", "Conv", Map.of("pads", ints(FAR, FAR, FAR, FAR)), x, w);
    refused("conv pads few", "Conv", Map.of("pads", ints(1)), x, w);
    refused("conv kernel lies", "Conv", Map.of("kernel_shape", ints(7, 7)), x, w);
    refused("conv weight of rank 2", "Conv", NONE, x, floats(2, 2));
    refused("transposed stride far", "ConvTranspose", Map.of("strides", ints(FAR, FAR)), x, w);
    refused(
        "pool stride 0", "MaxPool", Map.of("kernel_shape", ints(2, 2), "strides", ints(0, 0)), x);
    refused("pool kernel 0", "MaxPool", Map.of("kernel_shape", ints(0, 2)), x);
    refused("pool kernel far", "AveragePool", Map.of("kernel_shape", ints(FAR, FAR)), x);
    refused(
        "pool pads far",
        "AveragePool",
        Map.of("kernel_shape", ints(2, 2), "pads", ints(HUGE, 0, 0, HUGE)),
        x);
    refused("blocks of 0", "DepthToSpace", Map.of("blocksize", integer(0)), x);
    refused("blocks far", "SpaceToDepth", Map.of("blocksize", integer(FAR)), x);
    refused("column image", "Col2Im", NONE, floats(1, 5, 5), longs(WRAPS, WRAPS), longs(1, 5));
    refused(
        "normalization groups",
        "GroupNormalization",
        Map.of("num_groups", integer(0)),
        x,
        floats(2),
        floats(2));
    any("response size", "LRN", Map.of("size", integer(FAR)), x);
  }

  private void arithmetic() {
    long[] least = {Long.MIN_VALUE, 5, -5};
    for (String type : List.of("Div", "Mod")) {
      any(type + " I64 0", type, NONE, longs(least), longs(0, 0, 0));
      any(type + " I64 -1", type, NONE, longs(least), longs(-1, -1, -1));
      Tensor small = Tensor.of(new int[] {Integer.MIN_VALUE, 5, -5}, 3);
      any(type + " I32 0", type, NONE, small, Tensor.of(new int[] {0, 0, 0}, 3));
      any(type + " I32 -1", type, NONE, small, Tensor.of(new int[] {-1, -1, -1}, 3));
      Tensor bytes = new Tensor(DType.I8, new long[] {3}, new byte[] {-128, 5, -5});
      any(
          type + " I8 -1",
          type,
          NONE,
          bytes,
          new Tensor(DType.I8, new long[] {3}, new byte[] {-1, 0, -1}));
      any(
          type + " U8 0",
          type,
          NONE,
          new Tensor(DType.U8, new long[] {1}, new byte[] {5}),
          new Tensor(DType.U8, new long[] {1}, new byte[] {0}));
    }
    any(
        "shift",
        "BitShift",
        Map.of("direction", text("LEFT")),
        new Tensor(DType.U32, new long[] {1}, new int[] {5}),
        new Tensor(DType.U32, new long[] {1}, new int[] {-1}));
    any("power", "Pow", NONE, longs(0, -2), longs(-1, Long.MIN_VALUE));
    any(
        "cast of infinity",
        "Cast",
        Map.of("to", integer(7)),
        Tensor.of(new float[] {Float.NaN, Float.POSITIVE_INFINITY, -1e30f}, 3));
    refused("cast to nothing", "Cast", Map.of("to", integer(999)), floats(1));
    refused("no broadcast", "Add", NONE, floats(2, 3), floats(2, 4));
    refused("product", "MatMul", NONE, floats(2, 3), floats(2, 3));
    refused(
        "equation", "Einsum", Map.of("equation", text("ij,jk->zz")), floats(2, 2), floats(2, 2));
    any("many letters", "Einsum", Map.of("equation", text("i".repeat(5000))), floats(1));
  }

  private void others() {
    any(
        "overlaps",
        "NonMaxSuppression",
        NONE,
        floats(1, 3, 4),
        floats(1, 1, 3),
        scalar(FAR),
        Tensor.of(new float[] {Float.NaN}),
        Tensor.of(new float[] {-1}));
    refused(
        "grid", "GridSample", Map.of("mode", text("none")), floats(1, 1, 2, 2), floats(1, 2, 2, 2));
    any(
        "grid far",
        "GridSample",
        NONE,
        floats(1, 1, 2, 2),
        Tensor.of(new float[] {1e30f, Float.NaN, Float.NEGATIVE_INFINITY, -1e30f}, 1, 1, 2, 2));
    refused(
        "hidden",
        "LSTM",
        Map.of("hidden_size", integer(FAR)),
        floats(2, 1, 3),
        floats(1, 8, 3),
        floats(1, 8, 2));
    any(
        "region",
        "RoiAlign",
        Map.of("sampling_ratio", integer(0)),
        floats(1, 1, 4, 4),
        Tensor.of(new float[] {-1e30f, -1e30f, 1e30f, 1e30f}, 1, 4),
        longs(0));
  }
}
