package org.tersor.cli;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32;
import org.tersor.cli.HostileCase.Answer;
import org.tersor.ir.graph.Attribute;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Operators of quantized models, transformers, recurrent networks, strings and pictures. */
final class HostileModelOperators extends HostileList {
  HostileModelOperators() {
    quantized();
    transformers();
    texts();
    pictures();
    recurrent();
  }

  private void microsoft(
      Answer answer, String name, String type, Map<String, Attribute> attributes, Tensor... x) {
    add(answer, name, node("com.microsoft", type, attributes, 1), x);
  }

  private void quantized() {
    Tensor codes = ints(DType.U8, new long[] {2, 1, 16}, 1, 2, 3);
    Tensor scales = floats(2);
    Map<String, Attribute> sizes = new LinkedHashMap<>();
    sizes.put("K", integer(32));
    sizes.put("N", integer(2));
    sizes.put("bits", integer(4));
    sizes.put("block_size", integer(32));
    for (Map.Entry<String, long[]> lie :
        Map.of(
                "K", new long[] {FAR, 0, -32, 64},
                "N", new long[] {FAR, -2, 3},
                "bits", new long[] {0, -4, 64},
                "block_size", new long[] {0, -32, FAR, 7})
            .entrySet()
            .stream()
            .sorted(Map.Entry.comparingByKey())
            .toList()) {
      for (long value : lie.getValue()) {
        Map<String, Attribute> lies = new LinkedHashMap<>(sizes);
        lies.put(lie.getKey(), integer(value));
        microsoft(
            Answer.REFUSED,
            "blocks with " + lie.getKey() + " " + value,
            "MatMulNBits",
            lies,
            floats(1, 32),
            codes,
            scales);
      }
    }
    for (int index : new int[] {5, -1, Integer.MIN_VALUE}) {
      microsoft(
          fromEnd(index),
          "groups at " + index,
          "MatMulNBits",
          sizes,
          floats(1, 32),
          codes,
          scales,
          ints(DType.U8, new long[] {2}, 0x88, 0x88),
          ints(DType.I32, new long[] {32}, index));
    }
    microsoft(
        Answer.REFUSED,
        "normal floats far",
        "MatMulBnb4",
        Map.of(
            "K",
            integer(FAR),
            "N",
            integer(2),
            "block_size",
            integer(16),
            "quant_type",
            integer(1)),
        floats(1, 32),
        ints(DType.U8, new long[] {32}),
        floats(4));
    for (long index : new long[] {2, -3, FAR}) {
      microsoft(
          Answer.REFUSED,
          "gathers blocks at " + index,
          "GatherBlockQuantized",
          Map.of("block_size", integer(16), "gather_axis", integer(0), "quantize_axis", integer(1)),
          ints(DType.U4, new long[] {2, 16}, 1, 2),
          longs(index),
          floats(2, 1));
    }
    microsoft(
        Answer.REFUSED,
        "gathers blocks of 0",
        "GatherBlockQuantized",
        Map.of("block_size", integer(0)),
        ints(DType.U4, new long[] {2, 16}, 1, 2),
        longs(0),
        floats(2, 1));
    for (long block : new long[] {-1, 3, FAR}) {
      refused(
          "dequantizes blocks of " + block,
          "DequantizeLinear",
          Map.of("axis", integer(1), "block_size", integer(block)),
          ints(DType.I8, new long[] {2, 16}, 1),
          floats(2, 2));
    }
    refused(
        "dequantizes along no axis",
        "DequantizeLinear",
        Map.of("axis", integer(HUGE)),
        ints(DType.I8, new long[] {2, 16}, 1),
        floats(2));
    Tensor image = ints(DType.U8, new long[] {1, 2, 5, 5}, 1);
    Tensor weight = ints(DType.U8, new long[] {2, 2, 3, 3}, 1);
    refused("integer conv group 0", "ConvInteger", Map.of("group", integer(0)), image, weight);
    refused("integer conv stride 0", "ConvInteger", Map.of("strides", ints(0, 0)), image, weight);
    microsoft(
        Answer.REFUSED,
        "quantized pool stride 0",
        "QLinearAveragePool",
        Map.of("kernel_shape", ints(2, 2), "strides", ints(0, 0)),
        image,
        Tensor.of(new float[] {1}),
        ints(DType.U8, new long[0], 0),
        Tensor.of(new float[] {1}),
        ints(DType.U8, new long[0], 0));
  }

  /** Minus one is the last where an operator stands on Gather; the specification says nothing. */
  private static Answer fromEnd(long index) {
    return index == -1 ? Answer.ANY : Answer.REFUSED;
  }

  private void transformers() {
    Tensor hidden = floats(1, 2, 4);
    for (long heads : new long[] {0, -1, 3, FAR}) {
      microsoft(
          Answer.REFUSED,
          "heads " + heads,
          "MultiHeadAttention",
          Map.of("num_heads", integer(heads)),
          hidden,
          hidden,
          hidden);
      microsoft(
          Answer.REFUSED,
          "packed heads " + heads,
          "Attention",
          Map.of("num_heads", integer(heads)),
          hidden,
          floats(4, 12),
          floats(12));
      refused(
          "query heads " + heads,
          "Attention",
          Map.of("q_num_heads", integer(heads), "kv_num_heads", integer(heads)),
          hidden,
          hidden,
          hidden);
    }
    for (int length : new int[] {99, -5, Integer.MIN_VALUE}) {
      add(
          Answer.REFUSED,
          "cache length " + length,
          node(
              "com.microsoft",
              "GroupQueryAttention",
              Map.of("num_heads", integer(2), "kv_num_heads", integer(2)),
              3),
          floats(1, 1, 4),
          floats(1, 1, 4),
          floats(1, 1, 4),
          floats(1, 2, 4, 2),
          floats(1, 2, 4, 2),
          ints(DType.I32, new long[] {1}, length),
          ints(DType.I32, new long[0], 5));
    }
    for (long position : new long[] {8, -1, FAR}) {
      add(
          fromEnd(position),
          "rotates at " + position,
          node("", "RotaryEmbedding", NONE, 1),
          floats(1, 1, 1, 4),
          floats(8, 2),
          floats(8, 2),
          Tensor.of(new long[] {position}, 1, 1));
      refused(
          "writes cache at " + position,
          "TensorScatter",
          Map.of("axis", integer(2)),
          floats(1, 1, 4, 2),
          floats(1, 1, 1, 2),
          longs(position));
    }
    for (int id : new int[] {5, -1, Integer.MIN_VALUE}) {
      add(
          fromEnd(id),
          "embeds " + id,
          node("com.microsoft", "EmbedLayerNormalization", NONE, 2),
          ints(DType.I32, new long[] {1, 2}, id, 0),
          ints(DType.I32, new long[] {1, 2}, 0, id),
          floats(5, 4),
          floats(3, 4),
          floats(2, 4),
          floats(4),
          floats(4));
    }
  }

  private void texts() {
    any("splits at nothing", "StringSplit", Map.of("delimiter", text("")), strings("a b"));
    add(
        Answer.ANY,
        "splits negatively",
        "StringSplit",
        Map.of("maxsplit", integer(Long.MIN_VALUE)),
        strings("a b"));
    refused(
        "no such locale",
        "StringNormalizer",
        Map.of("case_change_action", text("NONSENSE")),
        strings("a"));
    refused("no such case", "StringNormalizer", Map.of("stopwords", ints(1)), strings("a"));
    add(
        Answer.ANY,
        "regular expression",
        node("", "RegexFullMatch", Map.of("pattern", text("(a+)+$")), 1),
        strings("a".repeat(40) + "b"));
    add(
        Answer.ANY,
        "nested alternatives",
        node("", "RegexFullMatch", Map.of("pattern", text("(a|aa|a?)*".repeat(30) + "c")), 1),
        strings("a".repeat(5000)));
    add(
        Answer.REFUSED,
        "back reference",
        node("", "RegexFullMatch", Map.of("pattern", text("(a*)\\1")), 1),
        strings("aa"));
    add(
        Answer.REFUSED,
        "deep expression",
        node(
            "",
            "RegexFullMatch",
            Map.of("pattern", text("(".repeat(20_000) + ")".repeat(20_000))),
            1),
        strings("aa"));
    add(
        Answer.REFUSED,
        "broken expression",
        node("", "RegexFullMatch", Map.of("pattern", text("(((")), 1),
        strings("a"));
    add(
        Answer.REFUSED,
        "large expression",
        node("", "RegexFullMatch", Map.of("pattern", text("((a{1,1000}){1,1000}){1,1000}")), 1),
        strings("a"));
  }

  /** Files that promise more pixels than there is memory. */
  private void pictures() {
    refused("no picture", "ImageDecoder", Map.of(), bytes(new byte[100]));
    refused("empty picture", "ImageDecoder", Map.of(), bytes(new byte[0]));
    for (int side : new int[] {1 << 15, 1 << 20, Integer.MAX_VALUE, -1}) {
      refused("png of side " + side, "ImageDecoder", Map.of(), bytes(png(side)));
      refused(
          "pnm of side " + side,
          "ImageDecoder",
          Map.of(),
          bytes(("P6 " + side + " " + side + " 255\n").getBytes(StandardCharsets.US_ASCII)));
    }
  }

  private static Tensor bytes(byte[] bytes) {
    return new Tensor(DType.U8, new long[] {bytes.length}, bytes);
  }

  private static byte[] png(int side) {
    ByteBuffer head = ByteBuffer.allocate(33);
    head.put(new byte[] {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 26, '\n'}).putInt(13);
    head.put("IHDR".getBytes(StandardCharsets.US_ASCII)).putInt(side).putInt(side);
    head.put(new byte[] {8, 2, 0, 0, 0});
    CRC32 crc = new CRC32();
    crc.update(head.array(), 12, 17);
    return head.putInt((int) crc.getValue()).array();
  }

  private void recurrent() {
    Tensor x = floats(2, 1, 3);
    for (long hidden : new long[] {FAR, 0, -1, 3}) {
      refused(
          "gated hidden " + hidden,
          "GRU",
          Map.of("hidden_size", integer(hidden)),
          x,
          floats(1, 6, 3),
          floats(1, 6, 2));
    }
    for (int length : new int[] {99, -5}) {
      any(
          "recurrent length " + length,
          "LSTM",
          Map.of("hidden_size", integer(2)),
          x,
          floats(1, 8, 3),
          floats(1, 8, 2),
          floats(1, 16),
          ints(DType.I32, new long[] {1}, length));
    }
    refused("frames of step 0", "STFT", Map.of(), floats(1, 8, 1), scalar(0), floats(4));
    refused("frames of step -1", "STFT", Map.of(), floats(1, 8, 1), scalar(-1), floats(4));
    refused(
        "regions far",
        "RoiAlign",
        Map.of("output_height", integer(HUGE), "output_width", integer(HUGE)),
        floats(1, 1, 4, 4),
        floats(1, 4),
        longs(0));
    refused("grid of theta far", "AffineGrid", Map.of(), floats(1, 2, 3), longs(1, 1, HUGE, HUGE));
    refused("samples far", "Multinomial", Map.of("sample_size", integer(HUGE)), floats(1, 3));
    refused("splits into 0", "Split", Map.of("num_outputs", integer(0)), floats(4));
    refused(
        "deformed group 0",
        "DeformConv",
        Map.of("group", integer(0)),
        floats(1, 2, 5, 5),
        floats(2, 2, 3, 3),
        floats(1, 18, 3, 3));
    refused(
        "deformed offsets of group 0",
        "DeformConv",
        Map.of("offset_group", integer(0)),
        floats(1, 2, 5, 5),
        floats(2, 2, 3, 3),
        floats(1, 18, 3, 3));
    refused("entropy label", "SoftmaxCrossEntropyLoss", Map.of(), floats(1, 3), longs(FAR));
  }
}
