package org.tersor.conformance.demo;

import org.tersor.conformance.SeededRandom;

/**
 * A small convolutional network with its training by plain back propagation: conv 3x3 (8) - batch
 * norm - ReLU - max pool - conv 3x3 (16) - batch norm - ReLU - max pool - linear (10). Images are
 * 28 x 28. Sums run in a fixed order, so that the same seed gives the same weights bit for bit.
 */
final class DigitNet {
  static final int CLASSES = 10;
  static final float EPSILON = 1e-5f;

  final Block first;
  final Block second;
  final Parameter weight;
  final Parameter bias;

  private final int batch;
  private final float[] logits;
  private final float[] dLogits;

  DigitNet(int batch, SeededRandom random) {
    this.batch = batch;
    first = new Block(batch, 1, 8, 28, random);
    second = new Block(batch, 8, 16, 14, random);
    weight =
        Parameter.normal(
            CLASSES * second.pooledSize(), Math.sqrt(1.0 / second.pooledSize()), random);
    bias = new Parameter(CLASSES);
    logits = new float[batch * CLASSES];
    dLogits = new float[batch * CLASSES];
  }

  /**
   * Class scores of a batch, [batch, 10]; with {@code training} the batch norms use the batch and
   * update their averages.
   */
  float[] forward(float[] images, boolean training) {
    float[] features = second.forward(first.forward(images, training), training);
    int n = second.pooledSize();
    for (int b = 0; b < batch; b++) {
      for (int c = 0; c < CLASSES; c++) {
        float sum = bias.value[c];
        for (int i = 0; i < n; i++) {
          sum += features[b * n + i] * weight.value[c * n + i];
        }
        logits[b * CLASSES + c] = sum;
      }
    }
    return logits;
  }

  /** One Adam step on the cross entropy of a batch; returns the mean loss. */
  double step(float[] images, int[] labels, double rate, int time) {
    forward(images, true);
    double loss = 0;
    for (int b = 0; b < batch; b++) {
      double max = Double.NEGATIVE_INFINITY;
      for (int c = 0; c < CLASSES; c++) {
        max = Math.max(max, logits[b * CLASSES + c]);
      }
      double sum = 0;
      for (int c = 0; c < CLASSES; c++) {
        sum += StrictMath.exp(logits[b * CLASSES + c] - max);
      }
      for (int c = 0; c < CLASSES; c++) {
        double p = StrictMath.exp(logits[b * CLASSES + c] - max) / sum;
        dLogits[b * CLASSES + c] = (float) ((p - (c == labels[b] ? 1 : 0)) / batch);
        loss -= c == labels[b] ? StrictMath.log(p + 1e-30) / batch : 0;
      }
    }
    int n = second.pooledSize();
    float[] features = second.pooled;
    float[] dFeatures = new float[batch * n];
    for (int b = 0; b < batch; b++) {
      for (int c = 0; c < CLASSES; c++) {
        float d = dLogits[b * CLASSES + c];
        bias.gradient[c] += d;
        for (int i = 0; i < n; i++) {
          dFeatures[b * n + i] += d * weight.value[c * n + i];
          weight.gradient[c * n + i] += d * features[b * n + i];
        }
      }
    }
    float[] dFirst = new float[batch * first.pooledSize()];
    second.backward(dFeatures, dFirst);
    first.backward(dFirst, new float[0]);
    for (Parameter p :
        new Parameter[] {
          first.kernel,
          first.gain,
          first.offset,
          second.kernel,
          second.gain,
          second.offset,
          weight,
          bias
        }) {
      p.adam(rate, time);
    }
    return loss;
  }

  /** Weights with their gradient and Adam's moments. */
  static final class Parameter {
    final float[] value;
    final float[] gradient;
    private final float[] mean;
    private final float[] square;

    Parameter(int n) {
      value = new float[n];
      gradient = new float[n];
      mean = new float[n];
      square = new float[n];
    }

    static Parameter normal(int n, double deviation, SeededRandom random) {
      Parameter p = new Parameter(n);
      for (int i = 0; i < n; i++) {
        p.value[i] = (float) (deviation * random.nextGaussian());
      }
      return p;
    }

    void adam(double rate, int time) {
      double c1 = 1 - StrictMath.pow(.9, time);
      double c2 = 1 - StrictMath.pow(.999, time);
      for (int i = 0; i < value.length; i++) {
        float g = gradient[i];
        mean[i] = .9f * mean[i] + .1f * g;
        square[i] = .999f * square[i] + .001f * g * g;
        value[i] -= (float) (rate * (mean[i] / c1) / (Math.sqrt(square[i] / c2) + 1e-8));
        gradient[i] = 0;
      }
    }
  }

  /**
   * conv 3x3 with padding 1, batch norm, ReLU, max pool 2x2; activations are [batch, channels,
   * size, size].
   */
  static final class Block {
    final int in;
    final int out;
    final Parameter kernel;
    final Parameter gain;
    final Parameter offset;
    final float[] runningMean;
    final float[] runningVariance;
    private final int batch;
    private final int size;
    private final float[] padded;
    private final float[] convolved;
    private final float[] normalized;
    private final float[] deviation;
    private final float[] pooled;
    private final int[] winner;

    Block(int batch, int in, int out, int size, SeededRandom random) {
      this.batch = batch;
      this.in = in;
      this.out = out;
      this.size = size;
      kernel = Parameter.normal(out * in * 9, Math.sqrt(2.0 / (in * 9)), random);
      gain = new Parameter(out);
      offset = new Parameter(out);
      java.util.Arrays.fill(gain.value, 1);
      runningMean = new float[out];
      runningVariance = new float[out];
      java.util.Arrays.fill(runningVariance, 1);
      padded = new float[batch * in * (size + 2) * (size + 2)];
      convolved = new float[batch * out * size * size];
      normalized = new float[convolved.length];
      deviation = new float[out];
      pooled = new float[convolved.length / 4];
      winner = new int[pooled.length];
    }

    /** Values of one image after the pool. */
    int pooledSize() {
      return out * size * size / 4;
    }

    float[] forward(float[] input, boolean training) {
      int wide = size + 2;
      for (int plane = 0; plane < batch * in; plane++) {
        for (int y = 0; y < size; y++) {
          System.arraycopy(
              input, (plane * size + y) * size, padded, (plane * wide + y + 1) * wide + 1, size);
        }
      }
      java.util.Arrays.fill(convolved, 0);
      for (int b = 0; b < batch; b++) {
        for (int o = 0; o < out; o++) {
          for (int i = 0; i < in; i++) {
            for (int k = 0; k < 9; k++) {
              float w = kernel.value[(o * in + i) * 9 + k];
              for (int y = 0; y < size; y++) {
                int from = ((b * in + i) * wide + y + k / 3) * wide + k % 3;
                int to = ((b * out + o) * size + y) * size;
                for (int x = 0; x < size; x++) {
                  convolved[to + x] += w * padded[from + x];
                }
              }
            }
          }
        }
      }
      for (int o = 0; o < out; o++) {
        normalize(o, training);
      }
      pool();
      return pooled;
    }

    private void normalize(int o, boolean training) {
      int plane = size * size;
      double mean = runningMean[o];
      double variance = runningVariance[o];
      if (training) {
        double sum = 0;
        double squares = 0;
        for (int b = 0; b < batch; b++) {
          for (int i = (b * out + o) * plane; i < (b * out + o + 1) * plane; i++) {
            sum += convolved[i];
            squares += (double) convolved[i] * convolved[i];
          }
        }
        mean = sum / (batch * plane);
        variance = squares / (batch * plane) - mean * mean;
        runningMean[o] += .05f * ((float) mean - runningMean[o]);
        runningVariance[o] += .05f * ((float) variance - runningVariance[o]);
      }
      deviation[o] = (float) Math.sqrt(variance + EPSILON);
      float scale = 1 / deviation[o];
      float shift = (float) mean;
      for (int b = 0; b < batch; b++) {
        for (int i = (b * out + o) * plane; i < (b * out + o + 1) * plane; i++) {
          normalized[i] = (convolved[i] - shift) * scale;
        }
      }
    }

    private void pool() {
      int half = size / 2;
      for (int p = 0; p < batch * out; p++) {
        float g = gain.value[p % out];
        float c = offset.value[p % out];
        for (int y = 0; y < half; y++) {
          for (int x = 0; x < half; x++) {
            int at = (p * size + 2 * y) * size + 2 * x;
            int best = at;
            float max = Float.NEGATIVE_INFINITY;
            for (int k = 0; k < 4; k++) {
              int i = at + k / 2 * size + k % 2;
              float v = normalized[i] * g + c;
              if (v > max) {
                max = v;
                best = i;
              }
            }
            int to = (p * half + y) * half + x;
            pooled[to] = Math.max(0, max);
            winner[to] = max > 0 ? best : -1;
          }
        }
      }
    }

    /** Adds to the parameters' gradients, and to {@code dInput} unless it is empty. */
    void backward(float[] dPooled, float[] dInput) {
      float[] d = new float[convolved.length];
      for (int i = 0; i < dPooled.length; i++) {
        if (winner[i] >= 0) {
          d[winner[i]] = dPooled[i];
        }
      }
      for (int o = 0; o < out; o++) {
        backwardNormalize(d, o);
      }
      int wide = size + 2;
      float[] dPadded = dInput.length == 0 ? dInput : new float[padded.length];
      for (int b = 0; b < batch; b++) {
        for (int o = 0; o < out; o++) {
          for (int i = 0; i < in; i++) {
            for (int k = 0; k < 9; k++) {
              float w = kernel.value[(o * in + i) * 9 + k];
              float sum = 0;
              for (int y = 0; y < size; y++) {
                int from = ((b * in + i) * wide + y + k / 3) * wide + k % 3;
                int to = ((b * out + o) * size + y) * size;
                float even = 0;
                float odd = 0;
                for (int x = 0; x < size; x += 2) {
                  even += d[to + x] * padded[from + x];
                  odd += d[to + x + 1] * padded[from + x + 1];
                }
                sum += even + odd;
                if (dPadded.length > 0) {
                  for (int x = 0; x < size; x++) {
                    dPadded[from + x] += w * d[to + x];
                  }
                }
              }
              kernel.gradient[(o * in + i) * 9 + k] += sum;
            }
          }
        }
      }
      if (dInput.length > 0) {
        for (int plane = 0; plane < batch * in; plane++) {
          for (int y = 0; y < size; y++) {
            System.arraycopy(
                dPadded,
                (plane * wide + y + 1) * wide + 1,
                dInput,
                (plane * size + y) * size,
                size);
          }
        }
      }
    }

    /** Through y = gain * normalized + offset and the batch statistics, in place. */
    private void backwardNormalize(float[] d, int o) {
      int plane = size * size;
      double sum = 0;
      double product = 0;
      for (int b = 0; b < batch; b++) {
        for (int i = (b * out + o) * plane; i < (b * out + o + 1) * plane; i++) {
          sum += d[i];
          product += (double) d[i] * normalized[i];
        }
      }
      offset.gradient[o] += (float) sum;
      gain.gradient[o] += (float) product;
      float meanD = (float) (sum / (batch * plane));
      float meanProduct = (float) (product / (batch * plane));
      float factor = gain.value[o] / deviation[o];
      for (int b = 0; b < batch; b++) {
        for (int i = (b * out + o) * plane; i < (b * out + o + 1) * plane; i++) {
          d[i] = factor * (d[i] - meanD - normalized[i] * meanProduct);
        }
      }
    }
  }
}
