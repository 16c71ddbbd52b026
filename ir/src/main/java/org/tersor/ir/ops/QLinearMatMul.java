package org.tersor.ir.ops;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Matrix products of 8-bit integers with int32 sums. MatMulInteger (10): the sum itself.
 * QLinearMatMul (10, 21): Y = saturate(rint(sum * (sa * sb / sy)) + zy). com.microsoft QGemm: with
 * transposition, alpha and an int32 C, and float32 output where y_zero_point is absent. Scales and
 * zero points are one number, one per row of A (or of Y) or per column of B, or broadcast where of
 * higher rank.
 */
final class QLinearMatMul extends OpBase {

  /**
   * Positions of operands; -1: there is none.
   *
   * @param aScale of A, and so on
   * @param bias int32 addend
   */
  private record Operands(
      int a,
      int aScale,
      int aZero,
      int b,
      int bScale,
      int bZero,
      int yScale,
      int yZero,
      int bias) {}

  private static final java.util.Set<DType> BYTES = Types.set(DType.U8, DType.I8);
  private final Operands at;

  private QLinearMatMul(OpSchema.Builder schema, Operands at) {
    super(schema);
    this.at = at;
  }

  static QLinearMatMul integer() {
    return new QLinearMatMul(
        OpSchema.of("", "MatMulInteger", 10)
            .sample("A[b*0-1 m k]; B[b*0-1 k n]; a_zero_point[]; b_zero_point[]")
            .input("A", "T1")
            .input("B", "T2")
            .optional("a_zero_point", "T1")
            .optional("b_zero_point", "T2")
            .output("Y", "T3")
            .types("T1", BYTES)
            .types("T2", BYTES)
            .types("T3", Types.set(DType.I32))
            .tolerance(OpSchema.Tolerance.EXACT),
        new Operands(0, -1, 2, 1, -1, 3, -1, -1, -1));
  }

  static QLinearMatMul qlinear() {
    return new QLinearMatMul(
        OpSchema.of("", "QLinearMatMul", 10, 21)
            .sample(
                "a[b*0-1 m k]; a_scale[]=positive; a_zero_point[]; b[b*0-1 k n]; b_scale[]=positive; b_zero_point[]; y_scale[]=positive; y_zero_point[]")
            .input("a", "T1")
            .input("a_scale", "TS")
            .input("a_zero_point", "T1")
            .input("b", "T2")
            .input("b_scale", "TS")
            .input("b_zero_point", "T2")
            .input("y_scale", "TS")
            .input("y_zero_point", "T3")
            .output("y", "T3")
            .types("TS", Types.set(DType.F32, DType.F16, DType.BF16))
            .types("T1", BYTES)
            .types("T2", BYTES)
            .types("T3", BYTES),
        new Operands(0, 1, 2, 3, 4, 5, 6, 7, -1));
  }

  static QLinearMatMul gemm() {
    return new QLinearMatMul(
        OpSchema.of("com.microsoft", "QGemm", 1)
            .sample(
                "A[m k]; a_scale[]=positive; a_zero_point[]; B[k n]; b_scale[]=positive; b_zero_point[]; C[n]; y_scale![]=positive; y_zero_point![]; transA=0; transB=0; alpha=0.5..2.0 || transB=1; A[m k]; a_scale[]=positive; a_zero_point[]; B[n k]; b_scale[n]=positive; b_zero_point[n]; C[n]; y_scale=-; y_zero_point=-; transA=-; alpha=-")
            .input("A", "TA")
            .input("a_scale", "T")
            .input("a_zero_point", "TA")
            .input("B", "TB")
            .input("b_scale", "T")
            .input("b_zero_point", "TB")
            .optional("C", "TC")
            .optional("y_scale", "T")
            .optional("y_zero_point", "TYZ")
            .output("Y", "TY")
            .attribute("alpha", AttributeKind.FLOAT)
            .attribute("transA", AttributeKind.INT)
            .attribute("transB", AttributeKind.INT)
            .types("T", Types.set(DType.F32))
            .types("TA", BYTES)
            .types("TB", BYTES)
            .types("TC", Types.set(DType.I32))
            .types("TYZ", BYTES)
            .types("TY", Types.set(DType.F32, DType.U8, DType.I8)),
        new Operands(0, 1, 2, 3, 4, 5, 7, 8, 6));
  }

  private static boolean trans(OpContext c, String name) {
    return c.intAttr(name, 0) != 0;
  }

  private Product product(OpContext c) {
    return Product.of(c, c.dims(at.a), c.dims(at.b), trans(c, "transA"), trans(c, "transB"));
  }

  private DType outputType(OpContext c) {
    if (at.aScale < 0) {
      return DType.I32;
    }
    return c.hasInput(at.yZero) ? c.dtype(at.yZero) : DType.F32;
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    boolean known = c.in(at.a).isRanked() && c.in(at.b).isRanked();
    return List.of(type(outputType(c), known ? Optional.of(product(c).out()) : Optional.empty()));
  }

  /**
   * Dimensions of a parameter of A (rows), B (columns) or Y (rows), so that they broadcast to the
   * result.
   */
  private static List<DimExpr> aligned(
      OpContext c, int index, boolean rows, Product p, boolean aIsMatrix) {
    List<DimExpr> dims = c.dims(index);
    if (Quant.isScalar(c, index)) {
      return List.of();
    }
    if (dims.size() == 1 && rows) {
      if (!aIsMatrix) {
        throw c.error("TSR-0303", "input " + index + " must be one number, as A is a vector");
      }
      boolean column = p.out().size() < 2 || !p.axes().getLast().name().equals("n");
      return column ? dims : List.of(dims.getFirst(), DimExpr.ONE);
    }
    if (dims.size() > p.out().size()) {
      throw c.error("TSR-0303", "input " + index + " has more dimensions than the result");
    }
    return dims;
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Product p = product(c);
    Tensor y = Shapes.allocate(c, outputType(c), Window.numbers(p.out()));
    long[] a = Shapes.longs(c.input(at.a));
    long[] b = Shapes.longs(c.input(at.b));
    long[] out = y.shape();
    float alpha = c.floatAttr("alpha", 1);
    boolean matrix = c.rank(at.a) > 1;
    Product.forEach(
        c.input(at.a).shape(),
        c.input(at.b).shape(),
        trans(c, "transA"),
        trans(c, "transB"),
        (pos, pa, sa, pb, sb, n, row, column) -> {
          long[] index = Shapes.unravel(pos, out);
          long za = (long) parameter(c, at.aZero, true, p, matrix, index, 0);
          long zb = (long) parameter(c, at.bZero, false, p, matrix, index, 0);
          int sum = 0;
          for (int k = 0; k < n; k++) {
            sum += (int) ((a[pa + k * sa] - za) * (b[pb + k * sb] - zb));
          }
          if (at.aScale < 0) {
            y.setLong(pos, sum);
            return;
          }
          sum += (int) parameter(c, at.bias, false, p, matrix, index, 0);
          float scale =
              (float) parameter(c, at.aScale, true, p, matrix, index, 1)
                  * (float) parameter(c, at.bScale, false, p, matrix, index, 1);
          scale = alpha == 1 ? scale : alpha * scale;
          if (y.dtype() == DType.F32) {
            y.setDouble(pos, (float) sum * scale);
            return;
          }
          float ratio = scale / (float) parameter(c, at.yScale, true, p, matrix, index, 1);
          y.setLong(
              pos,
              Quant.saturate(
                  y.dtype(),
                  (float) sum * ratio,
                  (long) parameter(c, at.yZero, true, p, matrix, index, 0)));
        });
    return List.of(y);
  }

  private static double parameter(
      EvalContext c,
      int operand,
      boolean rows,
      Product p,
      boolean matrix,
      long[] index,
      double otherwise) {
    if (operand < 0 || !c.hasInput(operand)) {
      return otherwise;
    }
    long[] strides =
        Shapes.broadcastStrides(Window.numbers(aligned(c, operand, rows, p, matrix)), index.length);
    int position = 0;
    for (int d = 0; d < index.length; d++) {
      position += (int) (index[d] * strides[d]);
    }
    return c.input(operand).getDouble(position);
  }

  /** Element of a parameter at the current point of the result, with the parameter's own rank. */
  private List<KExpr> index(OpContext c, int operand, boolean rows, Product p) {
    List<DimExpr> aligned = aligned(c, operand, rows, p, c.rank(at.a) > 1);
    List<Axis> axes = p.axes();
    List<KExpr> index = Shapes.index(aligned, p.out(), axes);
    if (aligned.isEmpty()) {
      return c.dims(operand).stream().<KExpr>map(d -> K.index(0)).toList();
    }
    return index.subList(0, c.rank(operand));
  }

  private KExpr zero(KernelBuilder kernel, OpContext c, int operand, boolean rows, Product p) {
    return Quant.isZero(c, operand)
        ? K.i32(0)
        : Quant.zero(kernel, c, operand, index(c, operand, rows, p));
  }

  @Override
  Lowering code(OpContext c) {
    Product p = product(c);
    KernelBuilder kernel = new KernelBuilder(this, c);
    KExpr a = Quant.centered(K.at(kernel.in(at.a), p.a()), zero(kernel, c, at.aZero, true, p));
    KExpr b = Quant.centered(K.at(kernel.in(at.b), p.b()), zero(kernel, c, at.bZero, false, p));
    KExpr sum = K.sum(List.of(p.k()), K.mul(a, b));
    if (at.aScale < 0) {
      kernel.stage(kernel.out(0), p.axes(), sum);
      return kernel.build();
    }
    if (at.bias >= 0 && c.hasInput(at.bias)) {
      sum = K.add(sum, K.at(kernel.in(at.bias), index(c, at.bias, false, p)));
    }
    KExpr scale =
        K.mul(
            Quant.scale(kernel, at.aScale, index(c, at.aScale, true, p)),
            Quant.scale(kernel, at.bScale, index(c, at.bScale, false, p)));
    scale = MatMul.scaled(scale, c.floatAttr("alpha", 1));
    KExpr value = K.cast(Scalar.F32, sum);
    if (outputType(c) == DType.F32) {
      kernel.stage(kernel.out(0), p.axes(), K.mul(value, scale));
      return kernel.build();
    }
    KExpr ratio = K.div(scale, Quant.scale(kernel, at.yScale, index(c, at.yScale, true, p)));
    kernel.stage(
        kernel.out(0),
        p.axes(),
        Quant.saturated(outputType(c), K.mul(value, ratio), zero(kernel, c, at.yZero, true, p)));
    return kernel.build();
  }
}
