package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** DepthToSpace and SpaceToDepth on [N, C, H, W]. */
final class BlockOperator extends OpBase implements Moving {
  private final boolean toSpace;

  private BlockOperator(String name, boolean toSpace, int... versions) {
    super(
        OpSchema.of("", name, versions)
            .sample(
                toSpace
                    ? "blocksize=2; square=4; input[n square.c h w]; 11-: mode=DCR|CRD"
                    : "blocksize=1|2|3; input[n c blocksize.h blocksize.w]; mode=-")
            .input("input", "T")
            .output("output", "T")
            .types("T", Types.ALL)
            .required("blocksize", OpSchema.AttributeKind.INT)
            .attribute("mode", OpSchema.AttributeKind.STRING)
            .tolerance(OpSchema.Tolerance.EXACT));
    this.toSpace = toSpace;
  }

  static List<OpBase> all() {
    return List.of(
        new BlockOperator("DepthToSpace", true, 1, 11, 13),
        new BlockOperator("SpaceToDepth", false, 1, 13));
  }

  private static long block(OpContext c) {
    long block = c.intAttr("blocksize", 0);
    if (block < 1 || block > 1 << 20) {
      throw c.error("TSR-0304", "blocksize " + block + " is not possible");
    }
    if (c.in(0).isRanked() && c.rank(0) != 4) {
      throw c.error("TSR-0303", "the input must have rank 4");
    }
    return block;
  }

  /** Whether channels are ordered (channel, row, column) instead of (row, column, channel). */
  private static boolean channelFirst(OpContext c) {
    return switch (c.stringAttr("mode", "DCR")) {
      case "DCR" -> false;
      case "CRD" -> true;
      default -> throw c.error("TSR-0304", "mode must be DCR or CRD");
    };
  }

  @Override
  List<ValueType> types(OpContext c) {
    long b = block(c);
    if (!c.in(0).isRanked()) {
      return List.of(c.in(0));
    }
    List<DimExpr> d = c.dims(0);
    if (toSpace) {
      divides(c, d.get(1), b * b);
      return List.of(
          TensorType.of(
              c.dtype(0),
              List.of(d.get(0), d.get(1).floorDiv(b * b), d.get(2).times(b), d.get(3).times(b))));
    }
    divides(c, d.get(2), b);
    divides(c, d.get(3), b);
    return List.of(
        TensorType.of(
            c.dtype(0),
            List.of(d.get(0), d.get(1).times(b * b), d.get(2).floorDiv(b), d.get(3).floorDiv(b))));
  }

  private static void divides(OpContext c, DimExpr dim, long by) {
    if (dim.isConst() && dim.constValue() % by != 0) {
      throw c.error("TSR-0303", dim + " positions are no multiple of " + by);
    }
  }

  @Override
  List<Tensor> values(EvalContext c) {
    long b = block(c);
    boolean channelFirst = channelFirst(c);
    Tensor x = c.input(0);
    Tensor out = Tensor.zeros(x.dtype(), outType(c, 0).staticShape());
    Tensor deep = toSpace ? x : out;
    Tensor wide = toSpace ? out : x;
    long channels = wide.shape()[1];
    long[] index = new long[4];
    for (int i = 0; i < wide.size(); i++) {
      long row = index[2] % b;
      long column = index[3] % b;
      long channel =
          toSpace && channelFirst
              ? (index[1] * b + row) * b + column
              : (row * b + column) * channels + index[1];
      int at =
          Shapes.ravel(new long[] {index[0], channel, index[2] / b, index[3] / b}, deep.shape());
      if (toSpace) {
        Shapes.copy(x, at, out, i);
      } else {
        Shapes.copy(x, i, out, at);
      }
      Shapes.next(index, wide.shape());
    }
    return List.of(out);
  }

  @Override
  Lowering code(OpContext c) {
    DimExpr b = DimExpr.of(block(c));
    Buf x = in(c, 0);
    Buf out = out(c, 0, outType(c, 0));
    Buf deep = toSpace ? x : out;
    Buf wide = toSpace ? out : x;
    Axis n = new Axis("n", deep.shape().get(0));
    Axis ch = new Axis("c", wide.shape().get(1));
    Axis h = new Axis("h", deep.shape().get(2));
    Axis bh = new Axis("bh", b);
    Axis w = new Axis("w", deep.shape().get(3));
    Axis bw = new Axis("bw", b);
    KExpr size = K.dim(b);
    KExpr channel =
        toSpace && channelFirst(c)
            ? K.add(K.mul(K.add(K.mul(K.axis(ch), size), K.axis(bh)), size), K.axis(bw))
            : K.add(
                K.mul(K.add(K.mul(K.axis(bh), size), K.axis(bw)), K.dim(ch.extent())), K.axis(ch));
    List<KExpr> inDeep = List.of(K.axis(n), channel, K.axis(h), K.axis(w));
    List<KExpr> inWide =
        List.of(
            K.axis(n),
            K.axis(ch),
            K.add(K.mul(K.axis(h), size), K.axis(bh)),
            K.add(K.mul(K.axis(w), size), K.axis(bw)));
    List<Axis> axes = toSpace ? List.of(n, ch, h, bh, w, bw) : List.of(n, bh, bw, ch, h, w);
    return compute(
        List.of(x),
        out,
        List.of(
            new Stage(out, axes, toSpace ? inWide : inDeep, K.at(x, toSpace ? inDeep : inWide))));
  }
}
