package org.tersor.plugins.gguf;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.ModelMetadata;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/**
 * The llama architecture in operators of ONNX 23. Inputs: {@code input_ids} i64 [1, sequence] and
 * for each layer {@code past_key_values.N.key} and {@code .value} f32 [1, kv heads, past, head
 * size]. Outputs: {@code logits} f32 [1, sequence, vocabulary] and {@code present.N.key}, {@code
 * .value}: the past with what the call added. Positions go on from the length of the past.
 *
 * <p>A layer is x + O(attention(rope(Q n), rope(K n), V n)) with n = RMS norm of x, then x +
 * down(silu(gate m) * up m) with m = RMS norm of x (Touvron et al., arXiv 2302.13971; grouped
 * queries: arXiv 2305.13245; rotary embedding on neighbouring pairs: arXiv 2104.09864).
 */
final class LlamaGraph {
  private static final int OPSET = 23;
  private static final String PREFIX = "llama.";

  private final GgufFile file;
  private final GraphBuilder graph = new GraphBuilder(Map.of("", OPSET, "org.tersor", 1), 0);
  private final Weights weights;
  private final int width;
  private final int heads;
  private final int groups;
  private final int keySize;
  private final int valueSize;
  private final int turned;
  private final float epsilon;

  LlamaGraph(GgufFile file) {
    this.file = file;
    this.weights = new Weights(file, graph);
    this.width = file.size(PREFIX + "embedding_length");
    this.heads = file.size(PREFIX + "attention.head_count");
    this.groups = file.optionalSize(PREFIX + "attention.head_count_kv").orElse(heads);
    Optional<Integer> keys = file.optionalSize(PREFIX + "attention.key_length");
    Optional<Integer> values = file.optionalSize(PREFIX + "attention.value_length");
    if (heads % groups != 0) {
      throw Diag.error(
          Diag.MODEL, heads + " heads cannot share " + groups + " keys and values evenly");
    }
    if (width % heads != 0 && (keys.isEmpty() || values.isEmpty())) {
      throw Diag.error(
          Diag.MODEL, "a width of " + width + " cannot be divided into " + heads + " heads");
    }
    this.keySize = keys.orElse(width / heads);
    this.valueSize = values.orElse(width / heads);
    this.turned = file.optionalSize(PREFIX + "rope.dimension_count").orElse(keySize);
    if (turned % 2 != 0 || turned > keySize) {
      throw Diag.error(
          Diag.MODEL, turned + " elements of a head of " + keySize + " cannot be turned in pairs");
    }
    this.epsilon =
        file.real(PREFIX + "attention.layer_norm_rms_epsilon")
            .orElseThrow(() ->
                Diag.error(
                    Diag.MODEL,
                    "metadata '" + PREFIX + "attention.layer_norm_rms_epsilon' is missing"))
            .floatValue();
    refuse();
  }

  /** What would change the function and is not built here. */
  private void refuse() {
    if (file.metadata().containsKey(PREFIX + "expert_count")
        && file.optionalSize(PREFIX + "expert_count").isPresent()) {
      throw Diag.error(Diag.UNSUPPORTED, "a mixture of experts is not supported");
    }
    Optional<String> scaling =
        file.text(PREFIX + "rope.scaling.type").filter(t -> !t.equals("none"));
    if (scaling.isPresent()
        || file.real(PREFIX + "rope.scale_linear").filter(s -> s != 1).isPresent()) {
      throw Diag.error(
          Diag.UNSUPPORTED,
          "scaled rotary embeddings ("
              + Diag.quote(scaling.orElse("linear"))
              + ") are not supported");
    }
  }

  Graph build() {
    int layers = file.size(PREFIX + "block_count");
    DimExpr sequence = DimExpr.symbol("sequence");
    DimExpr past = DimExpr.symbol("past");
    Value ids = graph.input("input_ids", TensorType.of(DType.I64, List.of(DimExpr.ONE, sequence)));
    List<Value> pastKeys = new ArrayList<>();
    List<Value> pastValues = new ArrayList<>();
    for (int n = 0; n < layers; n++) {
      weights.require("blk." + n + ".attn_q.weight"); // before inputs are made of a wrong count
      pastKeys.add(cache("past_key_values." + n + ".key", past, keySize));
      pastValues.add(cache("past_key_values." + n + ".value", past, valueSize));
    }
    int vocabulary = weights.rows("token_embd.weight", width);
    Value x =
        node(
            "token_embd",
            "Gather",
            Map.of(),
            weights.table("token_embd.weight", vocabulary, width),
            ids);
    Positions positions = positions(ids, pastKeys.getFirst());
    List<Value> present = new ArrayList<>();
    for (int n = 0; n < layers; n++) {
      String layer = "blk." + n + ".";
      Value normed = norm(layer + "attn_norm", x);
      Value query = heads(linear(layer + "attn_q", normed, heads * keySize), heads, keySize);
      Value keys = heads(linear(layer + "attn_k", normed, groups * keySize), groups, keySize);
      Value values = heads(linear(layer + "attn_v", normed, groups * valueSize), groups, valueSize);
      Value allKeys =
          append("present." + n + ".key", pastKeys.get(n), rope(layer + "rope_k", keys, positions));
      Value allValues = append("present." + n + ".value", pastValues.get(n), values);
      present.add(allKeys);
      present.add(allValues);
      Value attended =
          node(
              layer + "attn",
              "Attention",
              Map.of("scale", new Attribute.FloatAttr((float) (1 / Math.sqrt(keySize)))),
              rope(layer + "rope_q", query, positions),
              allKeys,
              allValues,
              positions.mask());
      Value joined = reshape(transpose(attended, 0, 2, 1, 3), 0, 0, (long) heads * valueSize);
      x = add(layer + "attn_residual", x, linear(layer + "attn_output", joined, width));
      Value fed = norm(layer + "ffn_norm", x);
      int hidden = weights.rows(layer + "ffn_gate.weight", width);
      Value gate = linear(layer + "ffn_gate", fed, hidden);
      Value silu = node(layer + "ffn_silu", "Mul", Map.of(), gate, graph.add("Sigmoid", gate));
      Value product =
          node(layer + "ffn_act", "Mul", Map.of(), silu, linear(layer + "ffn_up", fed, hidden));
      x = add(layer + "ffn_residual", x, linear(layer + "ffn_down", product, width));
    }
    Value last = norm("output_norm", x);
    boolean tied = !file.tensors().containsKey("output.weight");
    Value logits = graph.value("logits", ValueType.UNKNOWN);
    graph.addNode(
        "output",
        "",
        "MatMul",
        Map.of(),
        List.of(
            last, weights.matrix(tied ? "token_embd.weight" : "output.weight", vocabulary, width)),
        List.of(logits));
    graph.output(logits);
    present.forEach(graph::output);
    return ModelMetadata.withStates(
        graph.build(file.text("general.name").orElse("llama"), metadata(vocabulary)),
        states(layers));
  }

  /** The cache: what a call gives, the next one takes. */
  private static List<Executable.State> states(int layers) {
    List<Executable.State> states = new ArrayList<>();
    for (int n = 0; n < layers; n++) {
      for (String part : List.of("key", "value")) {
        states.add(
            new Executable.State("present." + n + "." + part, "past_key_values." + n + "." + part));
      }
    }
    return states;
  }

  private Value cache(String name, DimExpr past, int size) {
    return graph.input(
        name,
        TensorType.of(DType.F32, List.of(DimExpr.ONE, DimExpr.of(groups), past, DimExpr.of(size))));
  }

  /**
   * What depends on the positions of the call's tokens.
   *
   * @param cos f32 [1, sequence, turned / 2]
   * @param mask f32 [sequence, past + sequence]: 0 where a token sees another, else -infinity
   */
  private record Positions(Value cos, Value sin, Value mask) {}

  private Positions positions(Value ids, Value pastKey) {
    Value sequence = dimension(ids, 1);
    Value past = dimension(pastKey, 2);
    Value total = graph.add("Add", past, sequence);
    Value one = graph.constant(Tensor.of(new long[] {1}));
    Value here = graph.add("Range", past, total, one);
    Value all = graph.add("Range", graph.constant(Tensor.of(new long[] {0})), total, one);
    Value rows = graph.add("Unsqueeze", here, graph.longs(1));
    Value visible = graph.add("LessOrEqual", graph.add("Unsqueeze", all, graph.longs(0)), rows);
    Value mask =
        graph.add("Where", visible, graph.scalar(0), graph.scalar(Float.NEGATIVE_INFINITY));
    Value angles =
        graph.add(
            "Mul",
            graph.add(
                "Cast",
                Map.of("to", new Attribute.IntAttr(1)),
                graph.add("Unsqueeze", rows, graph.longs(0))),
            graph.constant(frequencies()));
    return new Positions(graph.add("Cos", angles), graph.add("Sin", angles), mask);
  }

  /** Angles of position 1, f32 [1, 1, turned / 2]; a file may divide them by factors of its own. */
  private Tensor frequencies() {
    double base = file.real(PREFIX + "rope.freq_base").orElse(10000.0);
    float[] factors = weights.floats("rope_freqs.weight", turned / 2);
    float[] frequencies = new float[turned / 2];
    for (int i = 0; i < frequencies.length; i++) {
      double factor = factors.length == 0 ? 1 : factors[i];
      frequencies[i] = (float) (Math.pow(base, -2.0 * i / turned) / factor);
    }
    return Tensor.of(frequencies, 1, 1, turned / 2);
  }

  /** A dimension as a scalar. */
  private Value dimension(Value of, long axis) {
    return graph.add(
        "Gather", graph.add("Shape", of), graph.constant(Tensor.of(new long[] {axis})));
  }

  private Value norm(String name, Value x) {
    Value gain = weights.vector(name + ".weight", width);
    return node(
        name,
        "RMSNormalization",
        Map.of("axis", new Attribute.IntAttr(-1), "epsilon", new Attribute.FloatAttr(epsilon)),
        x,
        gain);
  }

  /** x W^T, and a bias if the file has one. */
  private Value linear(String name, Value x, int out) {
    int in =
        name.endsWith("attn_output")
            ? heads * valueSize
            : name.endsWith("ffn_down")
                ? weights.rows(name.replace("ffn_down", "ffn_gate") + ".weight", width)
                : width;
    Value y = node(name, "MatMul", Map.of(), x, weights.matrix(name + ".weight", out, in));
    return file.tensors().containsKey(name + ".bias")
        ? add(name + "_bias", y, weights.vector(name + ".bias", out))
        : y;
  }

  /** [1, S, heads * size] as [1, heads, S, size]. */
  private Value heads(Value x, int count, int size) {
    return transpose(reshape(x, 0, 0, count, size), 0, 2, 1, 3);
  }

  private Value rope(String name, Value x, Positions positions) {
    return node(
        name,
        "RotaryEmbedding",
        turned == keySize
            ? Map.of("interleaved", new Attribute.IntAttr(1))
            : Map.of(
                "interleaved",
                new Attribute.IntAttr(1),
                "rotary_embedding_dim",
                new Attribute.IntAttr(turned)),
        x,
        positions.cos(),
        positions.sin());
  }

  private Value append(String name, Value past, Value added) {
    Value all = graph.value(name, ValueType.UNKNOWN);
    graph.addNode(
        "",
        "",
        "Concat",
        Map.of("axis", new Attribute.IntAttr(2)),
        List.of(past, added),
        List.of(all));
    return all;
  }

  private Value reshape(Value x, long... shape) {
    return graph.add("Reshape", x, graph.longs(shape));
  }

  private Value transpose(Value x, long... order) {
    return graph.add(
        "Transpose",
        Map.of("perm", new Attribute.IntsAttr(Arrays.stream(order).boxed().toList())),
        x);
  }

  private Value add(String name, Value a, Value b) {
    return node(name, "Add", Map.of(), a, b);
  }

  private Value node(String name, String type, Map<String, Attribute> attributes, Value... inputs) {
    Value output = graph.value(name, ValueType.UNKNOWN);
    graph.addNode(name, "", type, attributes, List.of(inputs), List.of(output));
    return output;
  }

  /** What the file says about itself, and its tokenizer. */
  private Map<String, String> metadata(int vocabulary) {
    Map<String, String> metadata = new LinkedHashMap<>();
    file.metadata()
        .forEach((key, value) -> {
          switch (value) {
            case GgufValue.Text text -> metadata.put(key, text.value());
            case GgufValue.Whole whole -> metadata.put(key, Long.toString(whole.value()));
            case GgufValue.Real real -> metadata.put(key, Double.toString(real.value()));
            case GgufValue.Truth truth -> metadata.put(key, Boolean.toString(truth.value()));
            case GgufValue.Wholes w -> {}
            case GgufValue.Reals r -> {}
            case GgufValue.Texts t -> {}
            case GgufValue.Nested n -> {}
          }
        });
    metadata.putAll(Vocabulary.metadata(file, vocabulary));
    return metadata;
  }
}
