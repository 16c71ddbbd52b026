package org.tersor.ir.ops;

import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * What both support vector machines of ai.onnx.ml have: similarities of a sample and a vector.
 *
 * @param vectors support vectors [V, C], or one row of coefficients per score where there are none
 */
record SvmModel(Kind kind, double gamma, double coef0, double degree, float[][] vectors) {
  /** The number of FLOAT among element types. */
  private static final Attribute FLOAT = new Attribute.IntAttr(1);

  /** How similar two vectors are. */
  enum Kind {
    LINEAR,
    POLY,
    RBF,
    SIGMOID
  }

  static OpSchema.Builder attributes(OpSchema.Builder schema) {
    return schema
        .input("X", "T")
        .types("T", Types.union(Types.FLOATS, Types.INDICES))
        .attribute("coefficients", AttributeKind.FLOATS)
        .attribute("kernel_params", AttributeKind.FLOATS)
        .attribute("kernel_type", AttributeKind.STRING)
        .attribute("post_transform", AttributeKind.STRING)
        .attribute("rho", AttributeKind.FLOATS)
        .attribute("support_vectors", AttributeKind.FLOATS)
        .tolerance(OpSchema.Tolerance.ACCUMULATION);
  }

  /**
   * @param count number of support vectors; 0 means that there are {@code scores} rows of
   *     coefficients instead, which are compared by their product
   */
  static SvmModel of(OpContext c, long count, int scores) {
    float[] flat = floats(c, count > 0 ? "support_vectors" : "coefficients");
    long rows = count > 0 ? count : scores;
    if (rows < 1 || flat.length % rows != 0 || rows > flat.length) {
      throw c.error("TSR-0304", flat.length + " numbers do not make " + rows + " vectors");
    }
    int features = (int) (flat.length / rows);
    if (c.in(0).isRanked()) {
      List<DimExpr> x = c.dims(0);
      if (x.isEmpty() || x.size() > 2) {
        throw c.error("TSR-0303", "X must be [N, C] or [C]");
      }
      Shapes.agree(c, "features of X", x.getLast(), DimExpr.of(features));
    }
    float[][] vectors = new float[(int) rows][features];
    for (int i = 0; i < flat.length; i++) {
      vectors[i / features][i % features] = flat[i];
    }
    float[] parameters = floats(c, "kernel_params");
    if (parameters.length != 0 && parameters.length != 3) {
      throw c.error("TSR-0304", "kernel_params must be gamma, coef0 and degree");
    }
    boolean given = parameters.length > 0;
    return new SvmModel(
        count > 0 ? kind(c) : Kind.LINEAR,
        given ? parameters[0] : 0,
        given ? parameters[1] : 0,
        given ? parameters[2] : 0,
        vectors);
  }

  private static Kind kind(OpContext c) {
    String name = c.stringAttr("kernel_type", "LINEAR");
    for (Kind kind : Kind.values()) {
      if (kind.name().equals(name)) {
        return kind;
      }
    }
    throw c.error("TSR-0304", "kernel_type '" + name + "' is not known");
  }

  static float[] floats(OpContext c, String name) {
    List<Float> values = c.floatsAttr(name).orElse(List.of());
    float[] array = new float[values.size()];
    for (int i = 0; i < array.length; i++) {
      array[i] = values.get(i);
    }
    return array;
  }

  static DimExpr rows(OpContext c) {
    return !c.in(0).isRanked()
        ? OpBase.unknown(c, 0)
        : c.rank(0) == 1 ? DimExpr.ONE : c.dims(0).getFirst();
  }

  int features() {
    return vectors[0].length;
  }

  /** Similarity of row {@code n} of X to each vector. */
  double[] similarities(Tensor x, int n) {
    double[] result = new double[vectors.length];
    for (int v = 0; v < result.length; v++) {
      double product = 0;
      double distance = 0;
      for (int i = 0; i < features(); i++) {
        double element = x.getDouble(n * features() + i);
        product += element * vectors[v][i];
        distance += (element - vectors[v][i]) * (element - vectors[v][i]);
      }
      result[v] =
          switch (kind) {
            case LINEAR -> product;
            case POLY -> Math.pow(gamma * product + coef0, degree);
            case RBF -> Math.exp(-gamma * distance);
            case SIGMOID -> Math.tanh(gamma * product + coef0);
          };
    }
    return result;
  }

  /** X [N, C] in float32 to similarities [N, V]. */
  Value similarities(GraphBuilder b, OpContext c) {
    Value x = b.add("Cast", Map.of("to", FLOAT), c.node().input(0));
    Value rows = b.add("Reshape", x, b.longs(-1, features()));
    float[] flat = new float[vectors.length * features()];
    for (int i = 0; i < flat.length; i++) {
      flat[i] = vectors[i / features()][i % features()];
    }
    if (kind == Kind.RBF) {
      Value all = b.constant(Tensor.of(flat, vectors.length, features()));
      Value apart = b.add("Sub", b.add("Unsqueeze", rows, b.longs(1)), all);
      Value distance =
          b.add("ReduceSumSquare", Map.of("keepdims", new Attribute.IntAttr(0)), apart, b.longs(2));
      return b.add("Exp", b.add("Mul", distance, b.scalar((float) -gamma)));
    }
    Value product = b.add("MatMul", rows, b.constant(transposed(vectors)));
    if (kind == Kind.LINEAR) {
      return product;
    }
    Value line =
        b.add("Add", b.add("Mul", product, b.scalar((float) gamma)), b.scalar((float) coef0));
    return kind == Kind.SIGMOID
        ? b.add("Tanh", line)
        : b.add("Pow", line, b.scalar((float) degree));
  }

  /** Rows as columns. */
  static Tensor transposed(float[][] rows) {
    Tensor result = Tensor.zeros(DType.F32, rows[0].length, rows.length);
    for (int r = 0; r < rows.length; r++) {
      for (int i = 0; i < rows[r].length; i++) {
        result.floats()[i * rows.length + r] = rows[r][i];
      }
    }
    return result;
  }
}
