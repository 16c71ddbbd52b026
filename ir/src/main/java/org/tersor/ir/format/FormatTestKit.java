package org.tersor.ir.format;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.tersor.ir.dsl.FormatDef;
import org.tersor.ir.dsl.FormatField;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * What every number format must keep, whatever it is: nearest codes, awkward groups, its error
 * budget, and packing that loses nothing. For the tests of plugins; needs no test framework.
 */
public final class FormatTestKit {
  /**
   * Error beyond the nearest code's that is allowed, in steps: parameters are rounded when stored.
   */
  private static final double SLACK = 0.02;

  private final NumberFormat format;
  private final List<String> faults = new ArrayList<>();

  private FormatTestKit(NumberFormat format) {
    this.format = format;
  }

  /** Throws an AssertionError that lists every fault. */
  public static void verify(NumberFormat format) {
    List<String> faults = check(format);
    if (!faults.isEmpty()) {
      throw new AssertionError("format " + format.id() + ":\n  " + String.join("\n  ", faults));
    }
  }

  /** Faults, one sentence each; none if the format is sound. */
  public static List<String> check(NumberFormat format) {
    FormatTestKit kit = new FormatTestKit(format);
    try {
      kit.run();
    } catch (TersorException e) {
      kit.faults.add(e.code() + " " + e.getMessage());
    }
    return List.copyOf(kit.faults);
  }

  private void run() {
    FormatCodec codec = new FormatCodec(format);
    FormatDef definition = codec.definition();
    if (!definition.name().equals(format.id())) {
      faults.add("the id is " + format.id() + ", the text defines " + definition.name());
    }
    packing(definition);
    groups(definition.block()).forEach((what, values) -> nearest(codec, what, values));
    budget(codec);
  }

  /** Fields survive packing, alone and beside each other. */
  private void packing(FormatDef definition) {
    Random random = new Random(11);
    for (FormatDef.Section section : definition.sections()) {
      if (section.bytes() == 0) {
        continue;
      }
      for (int round = 0; round < 20; round++) {
        Map<String, double[]> fields = new LinkedHashMap<>();
        for (FormatField field : section.fields()) {
          double[] values = new double[field.count()];
          Arrays.setAll(
              values,
              i ->
                  field.type().kind() == FormatField.Kind.FLOAT
                      ? field
                          .type()
                          .decode(
                              field.type().encode(field.name(), Math.abs(random.nextGaussian())))
                      : field.type().decode(random.nextLong()));
          fields.put(field.name(), values);
        }
        Map<String, double[]> back = definition.unpack(section, definition.pack(section, fields));
        fields.forEach((name, values) -> {
          if (!Arrays.equals(values, back.get(name))) {
            faults.add("field " + name + " is not what was packed");
          }
        });
      }
    }
  }

  private static Map<String, float[]> groups(int block) {
    Random random = new Random(5);
    int n = Math.max(block, 8);
    float[] normal = new float[n];
    for (int i = 0; i < n; i++) {
      normal[i] = (float) random.nextGaussian();
    }
    Map<String, float[]> groups = new LinkedHashMap<>();
    groups.put("normal values", normal);
    groups.put("positive values", map(normal, x -> Math.abs(x) + 0.5f));
    groups.put("negative values", map(normal, x -> -Math.abs(x) - 0.5f));
    groups.put("equal values", map(normal, x -> 0.7f));
    groups.put("equal negative values", map(normal, x -> -0.7f));
    groups.put("zeros", new float[n]);
    groups.put("very small values", map(normal, x -> x * 1e-30f));
    groups.put("large values", map(normal, x -> x * 1000));
    float[] outlier = normal.clone();
    outlier[n / 2] = -50;
    groups.put("an outlier", outlier);
    groups.put("one value", new float[] {0.3f});
    groups.put("one negative value", new float[] {-0.3f});
    return groups;
  }

  private interface FloatMap {
    float of(float x);
  }

  private static float[] map(float[] values, FloatMap map) {
    float[] result = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      result[i] = map.of(values[i]);
    }
    return result;
  }

  /**
   * No code would have given a closer value; so the error is at most half a step inside the grid.
   */
  private void nearest(FormatCodec codec, String what, float[] values) {
    FormatDef definition = codec.definition();
    int block = definition.block();
    float[] ones = new float[values.length];
    Arrays.fill(ones, 1);
    for (float[] importance : List.of(new float[0], ones)) {
      float[] group =
          codec.level() == FormatDef.Level.BLOCK
              ? Arrays.copyOf(values, Math.min(block, values.length))
              : values;
      BlockParameters parameters =
          format.fit(
              group, importance.length == 0 ? importance : Arrays.copyOf(ones, group.length));
      long[] shape = {1, group.length};
      float[] got =
          codec.decode(
              codec.encode(
                  group,
                  shape,
                  importance.length == 0 ? importance : Arrays.copyOf(ones, group.length)),
              shape);
      float[][] grid = grid(codec, parameters);
      for (int i = 0; i < group.length; i++) {
        float[] steps = grid[i % block];
        double best = Double.POSITIVE_INFINITY;
        double low = Double.POSITIVE_INFINITY;
        double high = Double.NEGATIVE_INFINITY;
        for (float step : steps) {
          best = Math.min(best, Math.abs((double) step - group[i]));
          low = Math.min(low, step);
          high = Math.max(high, step);
        }
        double error = Math.abs((double) got[i] - group[i]);
        double step = (high - low) / (steps.length - 1);
        if (!(error <= best + SLACK * step + Math.abs(group[i]) * 1e-6)) {
          faults.add(
              "%s: %s became %s, another code is %s away (parameters %s)"
                  .formatted(what, group[i], got[i], best, parameters));
          return;
        }
        if (group.length == 1 && !(error <= step / 2 * (1 + SLACK) + 1e-3 * Math.abs(group[i]))) {
          faults.add(
              "%s: %s became %s, more than half a step of %s"
                  .formatted(what, group[i], got[i], step));
          return;
        }
      }
    }
  }

  /** Values of every code, by position in the block. */
  private float[][] grid(FormatCodec codec, BlockParameters parameters) {
    FormatDef definition = codec.definition();
    int block = definition.block();
    FormatField field = definition.field(format.codeField()).orElseThrow();
    int codes = 1 << field.type().bits();
    long[] shape = {1, (long) codes * block};
    Map<String, Tensor> buffers = new LinkedHashMap<>();
    definition
        .buffers("W", org.tersor.runtime.DimExpr.list(shape))
        .forEach(b ->
            buffers.put(
                b.name(),
                Tensor.zeros(
                    b.element().dtype(),
                    b.shape().stream()
                        .mapToLong(org.tersor.runtime.DimExpr::constValue)
                        .toArray())));
    if (codec.level() != FormatDef.Level.BLOCK) {
      codec.store(buffers, parameters, 0);
    }
    Tensor blocks = buffers.values().iterator().next();
    for (int c = 0; c < codes; c++) {
      long[] all = new long[block];
      Arrays.fill(all, (long) field.type().decode(c));
      byte[] bytes = codec.pack(parameters, all);
      System.arraycopy(bytes, 0, blocks.bytes(), c * bytes.length, bytes.length);
    }
    float[] values = codec.decode(buffers, shape);
    float[][] grid = new float[block][codes];
    for (int c = 0; c < codes; c++) {
      for (int i = 0; i < block; i++) {
        grid[i][c] = values[c * block + i];
      }
    }
    return grid;
  }

  private void budget(FormatCodec codec) {
    Random random = new Random(17);
    int cols = Math.max(codec.definition().block(), 256);
    long[] shape = {16, cols};
    float[] values = new float[16 * cols];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    float[] got = codec.decode(codec.encode(values, shape, new float[0]), shape);
    double error = 0;
    double size = 0;
    for (int i = 0; i < values.length; i++) {
      error += ((double) got[i] - values[i]) * ((double) got[i] - values[i]);
      size += (double) values[i] * values[i];
    }
    double relative = Math.sqrt(error / size);
    if (!(relative <= format.budget().relativeRms())) {
      faults.add(
          "relative error %.5f of normal values, the budget is %.5f"
              .formatted(relative, format.budget().relativeRms()));
    }
  }
}
