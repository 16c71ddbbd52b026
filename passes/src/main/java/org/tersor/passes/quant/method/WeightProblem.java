package org.tersor.passes.quant.method;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.tersor.ir.dsl.FormatDef;
import org.tersor.ir.format.BlockParameters;
import org.tersor.ir.format.FormatCodec;
import org.tersor.ir.format.NumberFormat;

/**
 * A weight to be coded: a matrix [rows, columns] in encoding order, its format, and what its rows
 * are multiplied with.
 */
public final class WeightProblem {
  /** Shrink factors of the grid search: 1.00, 0.99, ... 0.21. */
  private static final int SHRINKS = 80;

  private static final double NORM = 2.4;

  private final NumberFormat format;
  private final FormatCodec codec;
  private final FormatCodec.Adjustment adjustment;
  private final float[] weights;
  private final int rows;
  private final int columns;
  private final List<LayerInputs> inputs;
  private final Consumer<String> report;

  /**
   * A problem.
   *
   * @param weights row-major
   * @param inputs of each group of rows; empty if they are not known
   * @param report takes what a method could not do
   */
  public WeightProblem(
      NumberFormat format,
      FormatCodec.Adjustment adjustment,
      float[] weights,
      int rows,
      int columns,
      List<LayerInputs> inputs,
      Consumer<String> report) {
    this.format = format;
    this.codec = new FormatCodec(format);
    this.adjustment = adjustment;
    this.weights = weights;
    this.rows = rows;
    this.columns = columns;
    this.inputs = List.copyOf(inputs);
    this.report = report;
  }

  /**
   * What a method chose.
   *
   * @param parameters of the tensor, each row, or each block of each row, by the format's level
   * @param codes row-major
   */
  public record Coded(List<BlockParameters> parameters, long[] codes) {}

  /** The same problem of other weights. */
  public WeightProblem withWeights(float[] others) {
    return new WeightProblem(format, adjustment, others, rows, columns, inputs, report);
  }

  public NumberFormat format() {
    return format;
  }

  public FormatCodec codec() {
    return codec;
  }

  public int rows() {
    return rows;
  }

  public int columns() {
    return columns;
  }

  public double weight(int row, int column) {
    return weights[row * columns + column];
  }

  /** Whether inputs are known. */
  public boolean hasInputs() {
    return inputs.stream().anyMatch(i -> i.count() > 0);
  }

  /** The inputs of a row's group. */
  public LayerInputs inputs(int row) {
    return inputs.get(row / (rows / inputs.size()));
  }

  /** The row's number among those of its group. */
  public int rowInGroup(int row) {
    return row % (rows / inputs.size());
  }

  int groups() {
    return inputs.size();
  }

  void report(String text) {
    report.accept(text);
  }

  /** Values that share parameters, along a row; all columns where rows or the tensor share them. */
  int span() {
    return codec.level() == FormatDef.Level.BLOCK ? codec.definition().block() : columns;
  }

  int spans() {
    return Math.ceilDiv(columns, span());
  }

  /** Index of the parameters of an element. */
  int parametersOf(int row, int column) {
    return codec.level() == FormatDef.Level.TENSOR ? 0 : row * spans() + column / span();
  }

  /** Position of a column in its block. */
  int position(int column) {
    return column % codec.definition().block();
  }

  Grids grids(List<BlockParameters> parameters) {
    return new Grids(format, codec, parameters);
  }

  BlockParameters fit(float[] values, int row) {
    return adjustment.apply(format.fit(values, new float[0]), row);
  }

  /** Groups of values that share parameters, in order of {@link #parametersOf}. */
  List<float[]> groupsOf(float[] of) {
    if (codec.level() == FormatDef.Level.TENSOR) {
      return List.of(of);
    }
    List<float[]> groups = new ArrayList<>();
    for (int row = 0; row < rows; row++) {
      for (int from = 0; from < columns; from += span()) {
        int to = Math.min(columns, from + span());
        groups.add(java.util.Arrays.copyOfRange(of, row * columns + from, row * columns + to));
      }
    }
    return groups;
  }

  /** The row of a group of {@link #groupsOf}; 0 where the tensor is one. */
  int rowOfGroup(int group) {
    return codec.level() == FormatDef.Level.TENSOR ? 0 : group / spans();
  }

  /** Mean square of what an element of a group is multiplied with. */
  double meanSquare(int group, int element) {
    if (codec.level() == FormatDef.Level.TENSOR) {
      return inputs(element / columns).meanSquare(element % columns);
    }
    return inputs(rowOfGroup(group)).meanSquare(group % spans() * span() + element);
  }

  float[] weights() {
    return weights;
  }

  /** Parameters of every group of the weights as they are given. */
  List<BlockParameters> fitAll(boolean search) {
    List<float[]> groups = groupsOf(weights);
    int[] rowOf = new int[groups.size()];
    for (int g = 0; g < rowOf.length; g++) {
      rowOf[g] = rowOfGroup(g);
    }
    return fit(groups, rowOf, search);
  }

  /**
   * Parameters of groups of values.
   *
   * @param search shrink each group's range as far as the error to the power 2.4 falls
   */
  List<BlockParameters> fit(List<float[]> groups, int[] rowOf, boolean search) {
    List<BlockParameters> best = new ArrayList<>();
    for (int g = 0; g < groups.size(); g++) {
      best.add(fit(groups.get(g), rowOf[g]));
    }
    if (!search) {
      return best;
    }
    double[] least = errors(groups, best);
    for (int step = 1; step < SHRINKS; step++) {
      double shrink = 1 - step / 100.0;
      List<BlockParameters> tried = new ArrayList<>();
      for (int g = 0; g < groups.size(); g++) {
        tried.add(fit(scaled(groups.get(g), shrink), rowOf[g]));
      }
      double[] errors = errors(groups, tried);
      for (int g = 0; g < errors.length; g++) {
        if (errors[g] < least[g]) {
          least[g] = errors[g];
          best.set(g, tried.get(g));
        }
      }
    }
    return best;
  }

  static float[] scaled(float[] values, double factor) {
    float[] result = new float[values.length];
    for (int i = 0; i < result.length; i++) {
      result[i] = (float) (values[i] * factor);
    }
    return result;
  }

  private double[] errors(List<float[]> groups, List<BlockParameters> parameters) {
    Grids grids = grids(parameters);
    double[] errors = new double[parameters.size()];
    for (int g = 0; g < errors.length; g++) {
      float[] values = groups.get(g);
      for (int i = 0; i < values.length; i++) {
        double e = Math.abs((double) grids.round(g, values[i], position(i)) - values[i]);
        errors[g] += Math.pow(e, NORM);
      }
    }
    return errors;
  }

  /** The nearest codes of the given weights. */
  Coded rounded(List<BlockParameters> parameters) {
    Grids grids = grids(parameters);
    long[] codes = new long[weights.length];
    for (int row = 0; row < rows; row++) {
      for (int c = 0; c < columns; c++) {
        codes[row * columns + c] =
            grids.code(parametersOf(row, c), weights[row * columns + c], position(c));
      }
    }
    return new Coded(parameters, codes);
  }

  /** Values of a row's codes. */
  public double[] values(Coded coded, int row) {
    return values(coded, grids(coded.parameters()), row);
  }

  private double[] values(Coded coded, Grids grids, int row) {
    double[] values = new double[columns];
    for (int c = 0; c < columns; c++) {
      values[c] = grids.value(parametersOf(row, c), coded.codes()[row * columns + c], position(c));
    }
    return values;
  }

  /**
   * Mean squared error of a layer's results, per row: against the targets where there are some,
   * else against the given weights.
   */
  public double[] errors(Coded coded) {
    Grids grids = grids(coded.parameters());
    double[] errors = new double[rows];
    for (int row = 0; row < rows; row++) {
      double[] values = values(coded, grids, row);
      LayerInputs in = inputs(row);
      if (in.hasTargets()) {
        errors[row] = in.error(values, rowInGroup(row));
      } else {
        for (int c = 0; c < columns; c++) {
          values[c] -= weight(row, c);
        }
        errors[row] = in.energy(values);
      }
    }
    return errors;
  }
}
