package org.tersor.cli;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.tersor.cli.HostileCase.Answer;
import org.tersor.ir.graph.Attribute;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Numbers that are none or too large, attributes without a meaning, much work for few bytes. */
final class HostileExtremes extends HostileList {
  private static final float INFINITE = Float.POSITIVE_INFINITY;

  HostileExtremes() {
    reals();
    sizes();
    windows();
    attributes();
    work();
    training();
    pictures();
  }

  private static Tensor reals(float... values) {
    return Tensor.of(values, values.length);
  }

  private static Tensor real(float value) {
    return new Tensor(DType.F32, new long[0], new float[] {value});
  }

  private static Tensor real(double value) {
    return new Tensor(DType.F64, new long[0], new double[] {value});
  }

  /** Sizes that follow from real numbers. */
  private void reals() {
    Tensor picture = floats(1, 1, 2, 2);
    for (float scale : new float[] {INFINITE, Float.MAX_VALUE, -1, -INFINITE}) {
      refused("resize by " + scale, "Resize", NONE, picture, floats(0), reals(1, 1, scale, scale));
    }
    refused(
        "resize to nothing by -0",
        "Resize",
        NONE,
        picture,
        floats(0),
        floats(0),
        longs(1, 1, -1, 2));
    any(
        "resize regions far",
        "Resize",
        Map.of("coordinate_transformation_mode", text("tf_crop_and_resize")),
        picture,
        reals(0, 0, -1e30f, Float.NaN, 1, 1, 1e30f, INFINITE),
        floats(0),
        longs(1, 1, 3, 3));
    // The specification does not say how many numbers these are: generated code makes none.
    any("range of nan", "Range", NONE, real(Float.NaN), real(1f), real(1f));
    any("range by nan", "Range", NONE, real(0f), real(1f), real(Float.NaN));
    refused("range to infinity", "Range", NONE, real(0f), real(INFINITE), real(1f));
    refused("range by almost nothing", "Range", NONE, real(0.0), real(1.0), real(1e-300));
    any("range backwards", "Range", NONE, scalar(Long.MIN_VALUE), scalar(0), scalar(-1));
    refused("range of all", "Range", NONE, scalar(Long.MIN_VALUE), scalar(FAR), scalar(1));
    any("dropout of all", "Dropout", NONE, floats(2), real(Float.NaN));
    add(
        Answer.REFUSED,
        "regions of image 99",
        "MaxRoiPool",
        Map.of("pooled_shape", ints(2, 2)),
        floats(1, 1, 4, 4),
        Tensor.of(new float[] {99, 0, 0, 1, 1}, 1, 5));
    any(
        "pooled region far",
        "MaxRoiPool",
        Map.of("pooled_shape", ints(2, 2)),
        floats(1, 1, 4, 4),
        Tensor.of(new float[] {0, -1e30f, Float.NaN, 1e30f, INFINITE}, 1, 5));
    any(
        "deformed by nan",
        "DeformConv",
        NONE,
        floats(1, 1, 3, 3),
        floats(1, 1, 1, 1),
        Tensor.of(
            new float[] {
              Float.NaN, 1e30f, -1e30f, 0, 0, INFINITE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
            },
            1,
            2,
            3,
            3));
    any("quantized by 0", "QuantizeLinear", NONE, floats(4), real(0f));
    any("quantized by nan", "QuantizeLinear", NONE, floats(4), real(Float.NaN));
  }

  private void sizes() {
    refused("tile memory", "Tile", NONE, floats(2, 2), longs(1 << 16, 1 << 16));
    refused("tile far and nothing", "Tile", NONE, floats(2, 2), longs(FAR));
    any("pad least", "Pad", NONE, floats(2), longs(Long.MIN_VALUE, Long.MAX_VALUE));
    refused("pad most", "Pad", NONE, floats(2), longs(Long.MAX_VALUE, Long.MAX_VALUE));
    refused("expand 2^62", "Expand", NONE, floats(1), longs(FAR));
    refused("one-hot memory", "OneHot", NONE, longs(1, 2), scalar(1 << 30), longs(0, 1));
    refused("split wraps", "Split", NONE, floats(4), longs(FAR, FAR, FAR, FAR, 4));
    refused("pads a sequence axis", "CenterCropPad", NONE, floats(2), longs(-5));
    refused("window of -1", "HannWindow", NONE, scalar(Long.MIN_VALUE));
    refused("frames far", "STFT", NONE, floats(1, 8, 1), scalar(1), floats(0), scalar(FAR));
    refused("dft of -1", "DFT", NONE, floats(1, 4, 1), scalar(-1), scalar(1));
    refused("grid of -1", "AffineGrid", NONE, floats(1, 2, 3), longs(1, 1, -1, 2));
    refused(
        "blocks of no columns",
        "Col2Im",
        Map.of("strides", ints(0, 0)),
        floats(1, 4, 4),
        longs(3, 3),
        longs(2, 2));
    any("many axes", "Reshape", NONE, floats(1), ones(200));
    any("expands to many axes", "Expand", NONE, floats(1), ones(200));
    any(
        "adds many axes",
        "Unsqueeze",
        NONE,
        floats(1),
        longs(IntStream.range(0, 100).asLongStream().toArray()));
    any("eye far", "EyeLike", Map.of("k", integer(FAR)), floats(2, 2));
    any(
        "shape far",
        "Shape",
        Map.of("start", integer(Long.MIN_VALUE), "end", integer(FAR)),
        floats(2));
    // Axes that are data: generated code finds none with that number.
    any("reduces no axis", "ReduceSum", NONE, floats(2), longs(FAR));
    refused("joins no axis", "Concat", Map.of("axis", integer(FAR)), floats(2), floats(2));
    refused("unique along no axis", "Unique", Map.of("axis", integer(-3)), floats(2, 2));
    refused(
        "compress along no axis",
        "Compress",
        Map.of("axis", integer(FAR)),
        floats(2),
        new Tensor(DType.BOOL, new long[] {1}, new byte[] {1}));
    refused(
        "tuples of no batch",
        "GatherND",
        Map.of("batch_dims", integer(FAR)),
        floats(2, 2),
        Tensor.of(new long[] {0, 0}, 2, 1));
    refused("blocks of -1", "DepthToSpace", Map.of("blocksize", integer(-1)), floats(1, 4, 2, 2));
  }

  private static Tensor ones(int count) {
    return longs(IntStream.range(0, count).mapToLong(i -> 1).toArray());
  }

  private void windows() {
    Tensor x = floats(1, 2, 5, 5);
    Tensor w = floats(2, 2, 3, 3);
    String transposed = "ConvTranspose";
    refused("transposed to far", transposed, Map.of("output_shape", ints(HUGE, HUGE)), x, w);
    refused("transposed to wraps", transposed, Map.of("output_shape", ints(WRAPS, WRAPS)), x, w);
    refused("transposed to -1", transposed, Map.of("output_shape", ints(-1, -1)), x, w);
    refused("transposed padding far", transposed, Map.of("output_padding", ints(FAR, FAR)), x, w);
    refused("transposed group 0", transposed, Map.of("group", integer(0)), x, w);
    refused("transposed pads far", transposed, Map.of("pads", ints(FAR, FAR, FAR, FAR)), x, w);
    refused("transposed dilation far", transposed, Map.of("dilations", ints(HUGE, HUGE)), x, w);
    Attribute two = ints(2, 2);
    refused(
        "pool dilation far",
        "MaxPool",
        Map.of("kernel_shape", two, "dilations", ints(FAR, FAR)),
        x);
    refused("pool dilation 0", "MaxPool", Map.of("kernel_shape", two, "dilations", ints(0, 0)), x);
    refused(
        "pool pads -1", "MaxPool", Map.of("kernel_shape", two, "pads", ints(-9, -9, -9, -9)), x);
    refused(
        "pooled regions far",
        "MaxRoiPool",
        Map.of("pooled_shape", ints(HUGE, HUGE)),
        x,
        floats(1, 5));
    any("norm of 0", "LpPool", Map.of("kernel_shape", two, "p", integer(0)), x);
    any("norm of -1", "GlobalLpPool", Map.of("p", integer(-1)), x);
    refused("norm of 3", "LpNormalization", Map.of("p", integer(3)), x);
    any("response size 0", "LRN", Map.of("size", integer(0)), x);
    refused("no padding of that name", "Conv", Map.of("auto_pad", text("SOMEHOW")), x, w);
  }

  /** Words and numbers that name nothing. */
  private void attributes() {
    Tensor x = floats(2, 1, 3);
    Map<String, Attribute> gates = new LinkedHashMap<>();
    gates.put("hidden_size", integer(2));
    for (Map.Entry<String, Attribute> lie :
        List.of(
            Map.entry("direction", text("sideways")),
            Map.entry("activations", texts("Nothing", "Tanh")),
            Map.entry("layout", integer(99)))) {
      Map<String, Attribute> lies = new LinkedHashMap<>(gates);
      lies.put(lie.getKey(), lie.getValue());
      refused("recurrent " + lie.getKey(), "GRU", lies, x, floats(1, 6, 3), floats(1, 6, 2));
    }
    refused(
        "resize how", "Resize", Map.of("mode", text("?")), floats(1, 2), floats(0), reals(1, 2));
    refused("pad how", "Pad", Map.of("mode", text("?")), floats(2), longs(1, 1));
    refused(
        "scatter how",
        "ScatterElements",
        Map.of("reduction", text("?")),
        floats(2),
        longs(0),
        floats(1));
    refused(
        "blocks how",
        "DepthToSpace",
        Map.of("blocksize", integer(1), "mode", text("?")),
        floats(1, 1, 2, 2));
    refused(
        "attends how",
        "Attention",
        Map.of("qk_matmul_output_mode", integer(99)),
        floats(1, 1, 2, 4),
        floats(1, 1, 2, 4),
        floats(1, 1, 2, 4));
    refused(
        "shift where",
        "BitShift",
        Map.of("direction", text("UP")),
        ints(DType.U8, new long[] {1}, 1),
        ints(DType.U8, new long[] {1}, 1));
    refused(
        "loss how",
        "NegativeLogLikelihoodLoss",
        Map.of("reduction", text("?")),
        floats(1, 3),
        longs(0));
    refused("casts to 0", "Cast", Map.of("to", integer(0)), floats(1));
    refused("eye of no type", "EyeLike", Map.of("dtype", integer(-1)), floats(2, 2));
  }

  /** Few bytes that ask for much work. */
  private void work() {
    any(
        "samples without end",
        "RoiAlign",
        Map.of("sampling_ratio", integer(1 << 30)),
        floats(1, 1, 4, 4),
        Tensor.of(new float[] {0, 0, 3, 3}, 1, 4),
        longs(0));
    refused(
        "samples far",
        "RoiAlign",
        Map.of("sampling_ratio", integer(FAR)),
        floats(1, 1, 4, 4),
        Tensor.of(new float[] {0, 0, 3, 3}, 1, 4),
        longs(0));
    add(
        Answer.ANY,
        "text of a number",
        "Cast",
        Map.of("to", integer(1)),
        strings("1e999999999", "9".repeat(1 << 20)));
    add(
        Answer.ANY,
        "text of digits",
        "Cast",
        Map.of("to", integer(7)),
        strings("9".repeat(1 << 20)));
    any(
        "splits often",
        "StringSplit",
        Map.of("delimiter", text("a")),
        strings("a".repeat(1 << 18)));
    any("splits blanks", "StringSplit", NONE, strings(" ".repeat(1 << 20)));
    add(
        Answer.ANY,
        "nested repeats",
        node("", "RegexFullMatch", Map.of("pattern", text("(x+x+)+y")), 1),
        strings("x".repeat(1 << 16)));
    add(
        Answer.ANY,
        "repeats of many states",
        node(
            "",
            "RegexFullMatch",
            Map.of("pattern", text("(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)[^a]")),
            1),
        strings("a".repeat(1 << 16)));
    refused(
        "summed over letters",
        "Einsum",
        Map.of("equation", text("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p->")),
        IntStream.range(0, 16).mapToObj(i -> floats(10)).toArray(Tensor[]::new));
    refused(
        "product of letters",
        "Einsum",
        Map.of("equation", text("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p->abcdefghijklmnop")),
        IntStream.range(0, 16).mapToObj(i -> floats(10)).toArray(Tensor[]::new));
  }

  private void training() {
    String domain = "ai.onnx.preview.training";
    add(
        Answer.REFUSED,
        "gradient by nothing",
        node(domain, "Gradient", Map.of("xs", texts("nobody"), "y", text("none")), 1),
        floats(2));
    add(
        Answer.REFUSED,
        "gradient by too many",
        node(domain, "Gradient", Map.of("xs", texts("a", "b"), "y", text("a")), 1),
        floats(2));
    add(
        Answer.REFUSED,
        "step of another shape",
        node(domain, "Adagrad", NONE, 2),
        real(1f),
        scalar(0),
        floats(2),
        floats(3),
        floats(2));
    add(
        Answer.REFUSED,
        "step of half a tensor",
        node(domain, "Adam", NONE, 1),
        real(1f),
        scalar(0),
        floats(2),
        floats(2));
  }

  /** Heads of formats that promise more pixels than there is memory, and nothing behind them. */
  private void pictures() {
    for (int side : new int[] {1 << 15, 65535}) {
      refused("jpeg of side " + side, "ImageDecoder", NONE, picture(jpeg(side)));
    }
    for (int side : new int[] {1 << 20, Integer.MAX_VALUE, Integer.MIN_VALUE, -1}) {
      refused("bmp of side " + side, "ImageDecoder", NONE, picture(bmp(side)));
      refused("tiff of side " + side, "ImageDecoder", NONE, picture(tiff(side)));
      refused("jpeg 2000 of side " + side, "ImageDecoder", NONE, picture(codestream(side)));
    }
    refused("webp of side 16383", "ImageDecoder", NONE, picture(webp()));
  }

  private static Tensor picture(byte[] bytes) {
    return new Tensor(DType.U8, new long[] {bytes.length}, bytes);
  }

  private static byte[] jpeg(int side) {
    return ByteBuffer.allocate(23)
        .putShort((short) 0xFFD8)
        .putShort((short) 0xFFC0)
        .putShort((short) 17)
        .put((byte) 8)
        .putShort((short) side)
        .putShort((short) side)
        .put(new byte[] {3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0})
        .array();
  }

  private static byte[] bmp(int side) {
    ByteBuffer head = ByteBuffer.allocate(54).order(ByteOrder.LITTLE_ENDIAN);
    head.put((byte) 'B').put((byte) 'M').putInt(54).putInt(0).putInt(54);
    head.putInt(40).putInt(side).putInt(side).putShort((short) 1).putShort((short) 24);
    return head.array();
  }

  private static byte[] tiff(int side) {
    int[][] entries = {
      {256, side}, {257, side}, {258, 8}, {259, 1}, {262, 1}, {273, 8}, {278, side}, {279, side}
    };
    ByteBuffer file = ByteBuffer.allocate(14 + 12 * entries.length).order(ByteOrder.LITTLE_ENDIAN);
    file.put((byte) 'I').put((byte) 'I').putShort((short) 42).putInt(8);
    file.putShort((short) entries.length);
    for (int[] entry : entries) {
      file.putShort((short) entry[0]).putShort((short) 4).putInt(1).putInt(entry[1]);
    }
    return file.array();
  }

  /** The marker of sizes of JPEG 2000. */
  private static byte[] codestream(int side) {
    ByteBuffer head = ByteBuffer.allocate(51);
    head.putShort((short) 0xFF4F).putShort((short) 0xFF51).putShort((short) 47).putShort((short) 0);
    head.putInt(side).putInt(side).putInt(0).putInt(0);
    head.putInt(side).putInt(side).putInt(0).putInt(0).putShort((short) 3);
    for (int i = 0; i < 3; i++) {
      head.put(new byte[] {7, 1, 1});
    }
    return head.array();
  }

  /** A lossless one of the largest size. */
  private static byte[] webp() {
    ByteBuffer file = ByteBuffer.allocate(32).order(ByteOrder.LITTLE_ENDIAN);
    file.put("RIFF".getBytes(StandardCharsets.US_ASCII)).putInt(24);
    file.put("WEBPVP8L".getBytes(StandardCharsets.US_ASCII)).putInt(10).put((byte) 0x2F);
    file.putInt(16382 | 16382 << 14);
    return file.array();
  }
}
