package org.tersor.conformance.zoo;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.tersor.conformance.SeededRandom;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Transformers with random weights: BERT-base (Devlin 2018: 12 layers of 768, 12 heads, 3072
 * between) and a decoder of 12 layers of 768 as Llama has them (Touvron 2023: RMS norm, rotary
 * embedding, 12 heads on 4 keys and values, gated SiLU of 2048, 32,000 words).
 */
final class Transformers {
  static final String BERT = "bert-base";
  static final String DECODER = "decoder-768x12";

  private static final int LAYERS = 12;
  private static final int WIDTH = 768;
  private static final int HEADS = 12;
  private static final int SIZE = WIDTH / HEADS;

  /** As published models are initialised. */
  private static final double DEVIATION = .02;

  private static final int BLOCK = 32;

  private final GraphBuilder g = new GraphBuilder(Map.of("", 23, "com.microsoft", 1), 0);
  private final SeededRandom random;
  private final int batch;
  private final Zoo.Text options;

  private Transformers(int batch, long seed, Zoo.Text options) {
    this.random = new SeededRandom(seed);
    this.batch = batch;
    this.options = options;
  }

  static boolean has(String name) {
    return name.equals(BERT) || name.equals(DECODER);
  }

  static Graph build(String name, int batch, long seed, Zoo.Text options) {
    if (options.dynamic() && options.bits() != 0) {
      throw new TersorException("TSR-0905", "weights are either dynamic or in blocks, not both");
    }
    if (options.bits() != 0 && options.bits() != 2 && options.bits() != 4 && options.bits() != 8) {
      throw new TersorException("TSR-0905", "MatMulNBits has 2, 4 or 8 bits");
    }
    if (options.sequence() < 1 || options.past() < 0) {
      throw new TersorException("TSR-0905", "a call has at least one token");
    }
    Transformers builder = new Transformers(batch, seed, options);
    if (name.equals(DECODER)) {
      return builder.decoder();
    }
    if (options.past() != 0 || options.sequence() > 512) {
      throw new TersorException("TSR-0905", BERT + " takes at most 512 tokens and has no past");
    }
    return builder.bert();
  }

  // --- BERT ---

  private Graph bert() {
    int sequence = options.sequence();
    Value ids = g.input("input_ids", TensorType.of(DType.I64, batch, sequence));
    Value kinds = g.input("token_type_ids", TensorType.of(DType.I64, batch, sequence));
    Value mask = g.input("attention_mask", TensorType.of(DType.I64, batch, sequence));
    Value visible =
        g.add(
            "Where",
            g.add("Cast", Map.of("to", new Attribute.IntAttr(9)), mask),
            g.scalar(0),
            g.scalar(-10000));
    Value bias = g.add("Unsqueeze", visible, g.longs(1, 2));
    Value words = g.add("Gather", weight("word_embeddings", 30522, WIDTH), ids);
    Value types = g.add("Gather", weight("token_type_embeddings", 2, WIDTH), kinds);
    Value positions =
        g.add("Slice", weight("position_embeddings", 512, WIDTH), g.longs(0), g.longs(sequence));
    Value x = layerNorm("embeddings.norm", g.add("Add", g.add("Add", words, types), positions));
    for (int n = 0; n < LAYERS; n++) {
      String layer = "layer." + n + ".";
      Operand in = operand(x);
      Value query = heads(biased(layer + "query", in, WIDTH), HEADS);
      Value key = heads(biased(layer + "key", in, WIDTH), HEADS);
      Value value = heads(biased(layer + "value", in, WIDTH), HEADS);
      Value scores = g.add("MatMul", query, transpose(key, 0, 1, 3, 2));
      scores = g.add("Add", g.add("Div", scores, g.scalar((float) Math.sqrt(SIZE))), bias);
      Value context = g.add("MatMul", softmax(scores), value);
      Value joined = reshape(transpose(context, 0, 2, 1, 3), batch, sequence, WIDTH);
      Value attended = biased(layer + "output", operand(joined), WIDTH);
      x = layerNorm(layer + "attention.norm", g.add("Add", attended, x));
      Value wide = gelu(biased(layer + "intermediate", operand(x), 3072));
      Value narrow = biased(layer + "dense", operand(wide), WIDTH);
      x = layerNorm(layer + "norm", g.add("Add", narrow, x));
    }
    return finish(BERT, x, "last_hidden_state", List.of());
  }

  private Value biased(String name, Operand x, int out) {
    return g.add("Add", linear(name, x, out), weight(name + ".bias", out));
  }

  private Value layerNorm(String name, Value x) {
    return g.add(
        "LayerNormalization",
        Map.of("axis", new Attribute.IntAttr(-1), "epsilon", new Attribute.FloatAttr(1e-12f)),
        x,
        ones(name + ".weight"),
        weight(name + ".bias", WIDTH));
  }

  /** x (1 + erf(x / sqrt 2)) / 2, written out as exporters do. */
  private Value gelu(Value x) {
    Value erf = g.add("Erf", g.add("Div", x, g.scalar((float) Math.sqrt(2))));
    return g.add("Mul", g.add("Mul", x, g.add("Add", erf, g.scalar(1))), g.scalar(.5f));
  }

  // --- decoder ---

  private Graph decoder() {
    int sequence = options.sequence();
    int past = options.past();
    int groups = 4;
    Value ids = g.input("input_ids", TensorType.of(DType.I64, batch, sequence));
    Value x = g.add("Gather", weight("embed_tokens", 32000, WIDTH), ids);
    Value cos = angles(past, sequence, true);
    Value sin = angles(past, sequence, false);
    Value mask = g.constant("mask", Constant.of(causal(sequence, past)));
    List<Value> present = new ArrayList<>();
    for (int n = 0; n < LAYERS; n++) {
      String layer = "layer." + n + ".";
      Operand in = operand(rmsNorm(layer + "input_norm", x));
      Value query = rope(heads(linear(layer + "q", in, WIDTH), HEADS), cos, sin);
      Value key = rope(heads(linear(layer + "k", in, groups * SIZE), groups), cos, sin);
      Value value = heads(linear(layer + "v", in, groups * SIZE), groups);
      key = append(n, "key", key, groups);
      value = append(n, "value", value, groups);
      present.add(key);
      present.add(value);
      Value scores = g.add("MatMul", query, transpose(repeated(key, groups), 0, 1, 3, 2));
      scores = g.add("Mul", scores, g.scalar((float) (1 / Math.sqrt(SIZE))));
      Value context = g.add("MatMul", softmax(g.add("Add", scores, mask)), repeated(value, groups));
      Value joined = reshape(transpose(context, 0, 2, 1, 3), batch, sequence, WIDTH);
      x = g.add("Add", x, linear(layer + "o", operand(joined), WIDTH));
      Operand fed = operand(rmsNorm(layer + "post_norm", x));
      Value gate = linear(layer + "gate", fed, 2048);
      Value silu = g.add("Mul", gate, g.add("Sigmoid", gate));
      Value product = g.add("Mul", silu, linear(layer + "up", fed, 2048));
      x = g.add("Add", x, linear(layer + "down", operand(product), WIDTH));
    }
    Value logits = linear("lm_head", operand(rmsNorm("norm", x)), 32000);
    return finish(DECODER, logits, "logits", present);
  }

  /** What the layer has seen before, and the new. */
  private Value append(int layer, String what, Value added, int groups) {
    Value all = g.value("present." + layer + "." + what, ValueType.UNKNOWN);
    List<Value> parts = new ArrayList<>();
    if (options.past() > 0) {
      parts.add(
          g.input(
              "past_key_values." + layer + "." + what,
              TensorType.of(DType.F32, batch, groups, options.past(), SIZE)));
    }
    parts.add(added);
    g.addNode("", "Concat", Map.of("axis", new Attribute.IntAttr(2)), parts, List.of(all));
    return all;
  }

  /** [B, groups, T, D] as [B, heads, T, D]: each for the heads that share it. */
  private Value repeated(Value x, int groups) {
    int total = options.past() + options.sequence();
    Value each = g.add("Unsqueeze", x, g.longs(2));
    Value all = g.add("Expand", each, g.longs(batch, groups, HEADS / groups, total, SIZE));
    return reshape(all, batch, HEADS, total, SIZE);
  }

  private Value rope(Value x, Value cos, Value sin) {
    return g.add("RotaryEmbedding", x, cos, sin);
  }

  private Value angles(int past, int sequence, boolean cosine) {
    float[] values = new float[batch * sequence * SIZE / 2];
    for (int i = 0; i < values.length; i++) {
      int position = past + i / (SIZE / 2) % sequence;
      double angle = position * StrictMath.pow(10000, -2.0 * (i % (SIZE / 2)) / SIZE);
      values[i] = (float) (cosine ? StrictMath.cos(angle) : StrictMath.sin(angle));
    }
    return g.constant(Tensor.of(values, batch, sequence, SIZE / 2));
  }

  private static Tensor causal(int sequence, int past) {
    Tensor mask = Tensor.zeros(DType.F32, sequence, past + sequence);
    for (int i = 0; i < mask.size(); i++) {
      if (i % (past + sequence) > past + i / (past + sequence)) {
        mask.floats()[i] = Float.NEGATIVE_INFINITY;
      }
    }
    return mask;
  }

  private Value rmsNorm(String name, Value x) {
    return g.add(
        "RMSNormalization",
        Map.of("axis", new Attribute.IntAttr(-1), "epsilon", new Attribute.FloatAttr(1e-5f)),
        x,
        ones(name + ".weight"));
  }

  // --- products ---

  /**
   * What products read.
   *
   * @param codes of a dynamic product: codes, scale, zero point; else empty
   */
  private record Operand(Value value, List<Value> codes) {}

  private Operand operand(Value x) {
    if (!options.dynamic()) {
      return new Operand(x, List.of());
    }
    List<Value> codes =
        List.of(
            g.value("", ValueType.UNKNOWN),
            g.value("", ValueType.UNKNOWN),
            g.value("", ValueType.UNKNOWN));
    g.addNode("", "DynamicQuantizeLinear", Map.of(), List.of(x), codes);
    return new Operand(x, codes);
  }

  /** x W with W [in, out]; in is known from the name. */
  private Value linear(String name, Operand x, int out) {
    int in = name.endsWith(".dense") ? 3072 : name.endsWith(".down") ? 2048 : WIDTH;
    if (options.bits() != 0) {
      return blocks(name, x.value(), in, out);
    }
    if (!options.dynamic()) {
      return g.add("MatMul", x.value(), weight(name + ".weight", in, out));
    }
    byte[] codes = new byte[in * out];
    for (int i = 0; i < codes.length; i++) {
      codes[i] = (byte) Math.max(-127, Math.min(127, Math.rint(32 * random.nextGaussian())));
    }
    Value weight =
        g.constant(
            name + ".weight_quantized",
            Constant.of(new Tensor(DType.I8, new long[] {in, out}, codes)));
    Value zero = g.constant(Tensor.zeros(DType.I8));
    Value sum = g.add("MatMulInteger", x.codes().get(0), weight, x.codes().get(2), zero);
    Value scale = g.add("Mul", x.codes().get(1), g.scalar((float) (DEVIATION / 32)));
    return g.add("Mul", g.add("Cast", Map.of("to", new Attribute.IntAttr(1)), sum), scale);
  }

  private Value blocks(String name, Value x, int in, int out) {
    int count = in / BLOCK;
    byte[] codes = new byte[out * count * BLOCK * options.bits() / 8];
    for (int i = 0; i < codes.length; i++) {
      codes[i] = (byte) random.nextLong();
    }
    float[] scales = new float[out * count];
    double half = 1 << (options.bits() - 1);
    for (int i = 0; i < scales.length; i++) {
      scales[i] = (float) (DEVIATION / half * random.uniform(1.2, 2.2));
    }
    return g.add(
        "com.microsoft",
        "MatMulNBits",
        Map.of(
            "K", new Attribute.IntAttr(in),
            "N", new Attribute.IntAttr(out),
            "bits", new Attribute.IntAttr(options.bits()),
            "block_size", new Attribute.IntAttr(BLOCK),
            "accuracy_level", new Attribute.IntAttr(options.accuracy())),
        x,
        g.constant(
            name + ".weight_blocks",
            Constant.of(
                new Tensor(DType.U8, new long[] {out, count, BLOCK * options.bits() / 8}, codes))),
        g.constant(name + ".weight_scales", Constant.of(Tensor.of(scales, (long) out * count))));
  }

  // --- small ones ---

  private Value heads(Value x, int count) {
    return transpose(reshape(x, batch, options.sequence(), count, SIZE), 0, 2, 1, 3);
  }

  private Value softmax(Value x) {
    return g.add("Softmax", Map.of("axis", new Attribute.IntAttr(-1)), x);
  }

  private Value reshape(Value x, long... shape) {
    return g.add("Reshape", x, g.longs(shape));
  }

  private Value transpose(Value x, long... order) {
    List<Long> perm = new ArrayList<>();
    for (long axis : order) {
      perm.add(axis);
    }
    return g.add("Transpose", Map.of("perm", new Attribute.IntsAttr(perm)), x);
  }

  private Value weight(String name, long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) (DEVIATION * random.nextGaussian());
    }
    return g.constant(name, Constant.of(tensor));
  }

  private Value ones(String name) {
    float[] gain = new float[WIDTH];
    for (int i = 0; i < gain.length; i++) {
      gain[i] = (float) (1 + .1 * random.nextGaussian());
    }
    return g.constant(name, Constant.of(Tensor.of(gain, WIDTH)));
  }

  private Graph finish(String name, Value result, String output, List<Value> more) {
    Value named = g.value(output, ValueType.UNKNOWN);
    g.addNode("", "Identity", Map.of(), List.of(result), List.of(named));
    g.output(named);
    more.forEach(g::output);
    return g.build(name, Map.of());
  }
}
