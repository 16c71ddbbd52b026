package org.tersor.plugins.gguf;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.tersor.ir.format.FormatCodec;
import org.tersor.ir.format.NumberFormat;
import org.tersor.plugins.q4.Q4Format;

/**
 * A llama of random weights: as a file, and as the formulas written out in double, without any
 * class of the project between.
 */
final class TinyLlama {
  static final int WIDTH = 32;
  static final int HIDDEN = 64;
  static final int HEADS = 4;
  static final int GROUPS = 2;
  static final int SIZE = WIDTH / HEADS;
  static final int LAYERS = 2;
  static final int VOCABULARY = 40;
  static final float EPSILON = 1e-5f;

  final Map<String, float[]> weights = new LinkedHashMap<>();
  final GgufWriter file = new GgufWriter();

  /**
   * @param stored how matrices are stored: f32, f16, q8_0, q4_0
   */
  TinyLlama(String stored, int seed) {
    Random random = new Random(seed);
    file.text("general.architecture", "llama")
        .u32("llama.embedding_length", WIDTH)
        .u32("llama.feed_forward_length", HIDDEN)
        .u32("llama.attention.head_count", HEADS)
        .u32("llama.attention.head_count_kv", GROUPS)
        .u32("llama.block_count", LAYERS)
        .u32("llama.rope.dimension_count", SIZE)
        .f32("llama.attention.layer_norm_rms_epsilon", EPSILON);
    matrix("token_embd", VOCABULARY, WIDTH, stored, random);
    for (int n = 0; n < LAYERS; n++) {
      String layer = "blk." + n + ".";
      vector(layer + "attn_norm", random);
      vector(layer + "ffn_norm", random);
      matrix(layer + "attn_q", WIDTH, WIDTH, stored, random);
      matrix(layer + "attn_k", GROUPS * SIZE, WIDTH, stored, random);
      matrix(layer + "attn_v", GROUPS * SIZE, WIDTH, stored, random);
      matrix(layer + "attn_output", WIDTH, WIDTH, stored, random);
      matrix(layer + "ffn_gate", HIDDEN, WIDTH, stored, random);
      matrix(layer + "ffn_up", HIDDEN, WIDTH, stored, random);
      matrix(layer + "ffn_down", WIDTH, HIDDEN, stored, random);
    }
    vector("output_norm", random);
  }

  private void vector(String name, Random random) {
    float[] values = new float[WIDTH];
    for (int i = 0; i < WIDTH; i++) {
      values[i] = (float) (1 + 0.3 * random.nextGaussian());
    }
    weights.put(name, values);
    file.tensor(name + ".weight", values, WIDTH);
  }

  private void matrix(String name, int rows, int columns, String stored, Random random) {
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (random.nextGaussian() / Math.sqrt(columns) * 1.5);
    }
    long[] shape = {rows, columns};
    switch (stored) {
      case "f32" -> file.tensor(name + ".weight", values, rows, columns);
      case "f16" -> {
        var out = GgufWriter.little(2 * values.length);
        for (int i = 0; i < values.length; i++) {
          short half = Float.floatToFloat16(values[i]);
          out.putShort(half);
          values[i] = Float.float16ToFloat(half);
        }
        file.tensor(name + ".weight", shape, 1, GgufWriter.bytes(out));
      }
      default -> {
        NumberFormat format = stored.equals("q8_0") ? new Q8Format() : new Q4Format();
        FormatCodec codec = new FormatCodec(format);
        byte[] bytes = codec.encode(values, shape, new float[0]).values().iterator().next().bytes();
        file.tensor(name + ".weight", shape, stored.equals("q8_0") ? 8 : 2, bytes);
        decode(stored, bytes, values);
      }
    }
    weights.put(name, values);
  }

  /** ggml's dequantize_row, written out. */
  private static void decode(String stored, byte[] bytes, float[] values) {
    boolean eight = stored.equals("q8_0");
    int size = eight ? 34 : 18;
    for (int b = 0; b < values.length / 32; b++) {
      int at = b * size;
      float scale = Float.float16ToFloat((short) ((bytes[at] & 255) | (bytes[at + 1] << 8)));
      for (int j = 0; j < 32; j++) {
        int code =
            eight ? bytes[at + 2 + j] : ((bytes[at + 2 + j % 16] >> (j < 16 ? 0 : 4)) & 15) - 8;
        values[b * 32 + j] = code * scale;
      }
    }
  }

  /** Logits of every position. */
  double[][] logits(List<Integer> ids) {
    int length = ids.size();
    double[][] x = new double[length][WIDTH];
    for (int t = 0; t < length; t++) {
      for (int i = 0; i < WIDTH; i++) {
        x[t][i] = weight("token_embd")[ids.get(t) * WIDTH + i];
      }
    }
    for (int n = 0; n < LAYERS; n++) {
      String layer = "blk." + n + ".";
      double[][] q = new double[length][];
      double[][] k = new double[length][];
      double[][] v = new double[length][];
      for (int t = 0; t < length; t++) {
        double[] normed = norm(layer + "attn_norm", x[t]);
        q[t] = turned(product(layer + "attn_q", normed), t);
        k[t] = turned(product(layer + "attn_k", normed), t);
        v[t] = product(layer + "attn_v", normed);
      }
      for (int t = 0; t < length; t++) {
        double[] attended = product(layer + "attn_output", attention(q[t], k, v, t));
        for (int i = 0; i < WIDTH; i++) {
          x[t][i] += attended[i];
        }
        double[] normed = norm(layer + "ffn_norm", x[t]);
        double[] gate = product(layer + "ffn_gate", normed);
        double[] up = product(layer + "ffn_up", normed);
        for (int i = 0; i < HIDDEN; i++) {
          up[i] *= gate[i] / (1 + Math.exp(-gate[i]));
        }
        double[] down = product(layer + "ffn_down", up);
        for (int i = 0; i < WIDTH; i++) {
          x[t][i] += down[i];
        }
      }
    }
    double[][] logits = new double[length][];
    for (int t = 0; t < length; t++) {
      logits[t] = product("token_embd", norm("output_norm", x[t]));
    }
    return logits;
  }

  private static double[] attention(double[] q, double[][] k, double[][] v, int t) {
    double[] result = new double[WIDTH];
    for (int h = 0; h < HEADS; h++) {
      int g = h / (HEADS / GROUPS);
      double[] weight = new double[t + 1];
      double sum = 0;
      for (int s = 0; s <= t; s++) {
        double dot = 0;
        for (int i = 0; i < SIZE; i++) {
          dot += q[h * SIZE + i] * k[s][g * SIZE + i];
        }
        weight[s] = Math.exp(dot / Math.sqrt(SIZE));
        sum += weight[s];
      }
      for (int s = 0; s <= t; s++) {
        for (int i = 0; i < SIZE; i++) {
          result[h * SIZE + i] += weight[s] / sum * v[s][g * SIZE + i];
        }
      }
    }
    return result;
  }

  private static double[] turned(double[] x, int position) {
    double[] y = x.clone();
    for (int i = 0; i < x.length; i += 2) {
      double angle = position * Math.pow(10000, -(double) (i % SIZE) / SIZE);
      y[i] = x[i] * Math.cos(angle) - x[i + 1] * Math.sin(angle);
      y[i + 1] = x[i] * Math.sin(angle) + x[i + 1] * Math.cos(angle);
    }
    return y;
  }

  private double[] norm(String name, double[] x) {
    double squares = 0;
    for (double value : x) {
      squares += value * value;
    }
    double[] y = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      y[i] = x[i] / Math.sqrt(squares / x.length + EPSILON) * weight(name)[i];
    }
    return y;
  }

  private float[] weight(String name) {
    return Objects.requireNonNull(weights.get(name), name);
  }

  private double[] product(String name, double[] x) {
    float[] matrix = weight(name);
    double[] y = new double[matrix.length / x.length];
    for (int r = 0; r < y.length; r++) {
      for (int c = 0; c < x.length; c++) {
        y[r] += matrix[r * x.length + c] * x[c];
      }
    }
    return y;
  }
}
