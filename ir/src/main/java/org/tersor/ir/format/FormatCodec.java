package org.tersor.ir.format;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.dsl.FormatDef;
import org.tersor.ir.dsl.FormatField;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.KernelInterpreter;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Encodes tensors in any format whose parameters are in one section, by rounding each value to its
 * nearest code; decodes by interpreting the format's text.
 */
public final class FormatCodec {
  private final NumberFormat format;
  private final FormatDef definition;
  private final FormatDef.Level level;
  private final FormatField codes;

  public FormatCodec(NumberFormat format) {
    this.format = format;
    this.definition = format.definition();
    List<FormatDef.Level> levels = new ArrayList<>();
    for (FormatDef.Section section : definition.sections()) {
      boolean shared =
          section.fields().stream().anyMatch(f -> !f.name().equals(format.codeField()));
      if (shared) {
        levels.add(section.level());
      }
    }
    if (levels.size() > 1
        || levels.contains(FormatDef.Level.GROUP)
        || !definition.operandTables().isEmpty()) {
      throw new TersorException(
          "TSR-0410",
          "format '"
              + format.id()
              + "' has parameters on levels "
              + levels
              + " or tables to learn; this codec fits one level only: blocks, rows or the tensor");
    }
    this.codes =
        definition.section(FormatDef.Level.BLOCK).stream()
            .flatMap(s -> s.fields().stream())
            .filter(f -> f.name().equals(format.codeField()))
            .findFirst()
            .orElseThrow(() ->
                new TersorException(
                    "TSR-0411",
                    "format '"
                        + format.id()
                        + "' has no field "
                        + format.codeField()
                        + " in its blocks"));
    if (codes.count() != definition.block() || codes.type().kind() == FormatField.Kind.FLOAT) {
      throw new TersorException(
          "TSR-0411",
          "format '"
              + format.id()
              + "': field "
              + codes
              + " does not hold one integer code for each of "
              + definition.block()
              + " values");
    }
    this.level = levels.isEmpty() ? FormatDef.Level.BLOCK : levels.getFirst();
  }

  public FormatDef definition() {
    return definition;
  }

  /** The section whose fields are fitted. */
  public FormatDef.Level level() {
    return level;
  }

  /**
   * Encodes a tensor.
   *
   * @param values row-major elements of {@code shape}
   * @param importance of each element along the last dimension, or empty
   * @return contents of {@link FormatDef#buffers} of operand {@code "W"}, in order
   */
  public Map<String, Tensor> encode(float[] values, long[] shape, float[] importance) {
    return encode(values, shape, importance, (fitted, row) -> fitted);
  }

  /** Changes what a format fitted. */
  public interface Adjustment {
    /**
     * @param row number of the row that the parameters belong to; 0 for those of the tensor
     * @return parameters that the format can store
     */
    BlockParameters apply(BlockParameters fitted, int row);
  }

  /** As {@link #encode(float[], long[], float[])} with the last word on parameters. */
  public Map<String, Tensor> encode(
      float[] values, long[] shape, float[] importance, Adjustment adjustment) {
    int cols = Math.toIntExact(shape[shape.length - 1]);
    int rows = cols == 0 ? 0 : values.length / cols;
    int block = definition.block();
    int blocks = Math.ceilDiv(cols, block);
    Map<String, Tensor> buffers = empty(shape);
    BlockParameters shared = BlockParameters.none();
    byte[] stored = tensor(buffers, "W").bytes();
    int bytesPerBlock = definition.bytesPerBlock();
    if (level == FormatDef.Level.TENSOR) {
      shared = adjustment.apply(format.fit(values, repeated(importance, rows)), 0);
      store(buffers, shared, 0);
    }
    for (int row = 0; row < rows; row++) {
      float[] line = Arrays.copyOfRange(values, row * cols, (row + 1) * cols);
      if (level == FormatDef.Level.ROW) {
        shared = adjustment.apply(format.fit(line, importance), row);
        store(buffers, shared, row);
      }
      for (int b = 0; b < blocks; b++) {
        int end = Math.min(cols, (b + 1) * block);
        float[] part = Arrays.copyOfRange(line, b * block, end);
        BlockParameters parameters = shared;
        if (level == FormatDef.Level.BLOCK) {
          float[] weights =
              importance.length == 0 ? importance : Arrays.copyOfRange(importance, b * block, end);
          parameters = adjustment.apply(format.fit(part, weights), row);
        }
        int section = (row * blocks + b) * bytesPerBlock;
        if (level == FormatDef.Level.BLOCK) {
          byte[] bytes = pack(parameters, codes(part, parameters));
          System.arraycopy(bytes, 0, stored, section, bytes.length);
        } else {
          long[] codes = codes(part, parameters);
          for (int i = 0; i < codes.length; i++) {
            this.codes.write(stored, section, i, codes[i]);
          }
        }
      }
    }
    return buffers;
  }

  /**
   * Stores parameters and codes that a method chose.
   *
   * @param parameters of the tensor, or of each row, or of each block of each row, by {@link
   *     #level}
   * @param codes one for each element, row-major
   * @return contents of {@link FormatDef#buffers} of operand {@code "W"}, in order
   */
  public Map<String, Tensor> assemble(
      long[] shape, List<BlockParameters> parameters, long[] codes) {
    int cols = Math.toIntExact(shape[shape.length - 1]);
    int rows = cols == 0 ? 0 : codes.length / cols;
    int block = definition.block();
    int blocks = Math.ceilDiv(cols, block);
    Map<String, Tensor> buffers = empty(shape);
    byte[] stored = tensor(buffers, "W").bytes();
    for (int row = 0; row < (level == FormatDef.Level.TENSOR ? 1 : rows); row++) {
      if (level != FormatDef.Level.BLOCK) {
        store(buffers, parameters.get(row), row);
      }
    }
    for (int row = 0; row < rows; row++) {
      for (int b = 0; b < blocks; b++) {
        BlockParameters of =
            parameters.get(
                switch (level) {
                  case TENSOR -> 0;
                  case ROW -> row;
                  case BLOCK, GROUP -> row * blocks + b;
                });
        long[] part = new long[block];
        for (int i = 0; i < block; i++) {
          int col = b * block + i;
          part[i] = col < cols ? codes[row * cols + col] : format.code(0, of, i);
        }
        int section = (row * blocks + b) * definition.bytesPerBlock();
        if (level == FormatDef.Level.BLOCK) {
          byte[] bytes = pack(of, part);
          System.arraycopy(bytes, 0, stored, section, bytes.length);
        } else {
          for (int i = 0; i < block; i++) {
            this.codes.write(stored, section, i, part[i]);
          }
        }
      }
    }
    return buffers;
  }

  private Map<String, Tensor> empty(long[] shape) {
    Map<String, Tensor> buffers = new LinkedHashMap<>();
    for (Buf b : definition.buffers("W", DimExpr.list(shape))) {
      long[] dims = b.shape().stream().mapToLong(DimExpr::constValue).toArray();
      buffers.put(b.name(), Tensor.zeros(b.element().dtype(), dims));
    }
    return buffers;
  }

  /**
   * The values of every code under each of some parameters, as the text states them.
   *
   * @return [parameters][code as stored bits * block + position in the block]
   */
  public float[][] values(List<BlockParameters> parameters) {
    int block = definition.block();
    int count = 1 << codes.type().bits();
    float[][] values = new float[parameters.size()][];
    for (int p = 0; p < values.length; p++) {
      long[] shape = {1, (long) count * block};
      Map<String, Tensor> buffers = empty(shape);
      if (level != FormatDef.Level.BLOCK) {
        store(buffers, parameters.get(p), 0);
      }
      byte[] stored = tensor(buffers, "W").bytes();
      for (int c = 0; c < count; c++) {
        long[] all = new long[block];
        Arrays.fill(all, (long) codes.type().decode(c));
        if (level == FormatDef.Level.BLOCK) {
          byte[] bytes = pack(parameters.get(p), all);
          System.arraycopy(bytes, 0, stored, c * bytes.length, bytes.length);
        } else {
          for (int i = 0; i < block; i++) {
            codes.write(stored, c * definition.bytesPerBlock(), i, all[i]);
          }
        }
      }
      values[p] = decode(buffers, shape);
    }
    return values;
  }

  /** The field of codes. */
  public FormatField codeField() {
    return codes;
  }

  /** The buffers of a tensor with these parameters of the tensor and codes that are all 0. */
  public List<Tensor> blank(BlockParameters parameters, long... shape) {
    Map<String, Tensor> buffers = empty(shape);
    if (level == FormatDef.Level.TENSOR) {
      store(buffers, parameters, 0);
    }
    return List.copyOf(buffers.values());
  }

  private static Tensor tensor(Map<String, Tensor> buffers, String name) {
    Tensor found = buffers.get(name);
    if (found == null) {
      throw new IllegalStateException("no buffer " + name);
    }
    return found;
  }

  private static float[] repeated(float[] importance, int rows) {
    float[] all = new float[importance.length * rows];
    for (int r = 0; r < rows && importance.length > 0; r++) {
      System.arraycopy(importance, 0, all, r * importance.length, importance.length);
    }
    return all;
  }

  /** Nearest codes; those of a short last block are filled up with the code of zero. */
  long[] codes(float[] part, BlockParameters parameters) {
    long[] codes = new long[definition.block()];
    for (int i = 0; i < codes.length; i++) {
      codes[i] = format.code(i < part.length ? part[i] : 0, parameters, i);
    }
    return codes;
  }

  /** Bytes of a block. */
  byte[] pack(BlockParameters parameters, long[] codes) {
    Map<String, double[]> fields = parameters.fields();
    fields.put(format.codeField(), Arrays.stream(codes).asDoubleStream().toArray());
    return definition.pack(definition.section(FormatDef.Level.BLOCK).orElseThrow(), fields);
  }

  /** Stores parameters of a row or of the tensor. */
  void store(Map<String, Tensor> buffers, BlockParameters parameters, int row) {
    for (FormatField field : definition.section(level).orElseThrow().fields()) {
      double[] values = parameters.values(field.name());
      Tensor target = tensor(buffers, "W_" + field.name());
      for (int i = 0; i < field.count(); i++) {
        double stored = field.type().decode(field.type().encode(field.name(), values[i]));
        target.setDouble(row * field.count() + i, stored);
      }
    }
  }

  /** The values that buffers stand for. */
  public float[] decode(Map<String, Tensor> buffers, long[] shape) {
    return KernelInterpreter.run(
            definition.decodeKernel(DimExpr.list(shape)), List.copyOf(buffers.values()), Map.of())
        .getFirst()
        .floats();
  }
}
