package org.tersor.ir.ops;

import java.util.List;
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
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * RotaryEmbedding (23): X [B, heads, S, D] or [B, S, heads * D] with pairs of the first
 * rotary_embedding_dim elements of a head turned: (a, b) becomes (cos a - sin b, sin a + cos b).
 * Pairs are an element and its neighbour (interleaved) or an element of each half. Row s of a
 * sample takes row position_ids[b, s] of the caches [P, R / 2], or without position_ids row [b, s]
 * of caches [B, S, R / 2].
 */
final class RotaryEmbedding extends OpBase {
  private static final int COS = 1;
  private static final int SIN = 2;
  private static final int POSITIONS = 3;

  RotaryEmbedding() {
    super(
        OpSchema.of("", "RotaryEmbedding", 23)
            .sample(
                "d=1..3; e=times(2, d); X[b h s e]; cos_cache[b s d]=unit; sin_cache[b s d]=unit; position_ids=-; interleaved=0|1; num_heads=-; rotary_embedding_dim=- || d=1..3; e=times(2, d); m=3..5; X[b h s e]; position_ids![b s]=below(m); cos_cache[m d]=unit; sin_cache[m d]=unit; interleaved=0|1; num_heads=-; rotary_embedding_dim=- || d=1..3; num_heads=1..2; h=num_heads; e=times(2, d, h); X[b s e]; cos_cache[b s d]=unit; sin_cache[b s d]=unit; position_ids=-; interleaved=0|1; rotary_embedding_dim=-")
            .input("X", "T")
            .input("cos_cache", "T")
            .input("sin_cache", "T")
            .optional("position_ids", "M")
            .output("Y", "T")
            .types("T", Types.FLOATS)
            .types("M", Types.I64)
            .attribute("interleaved", AttributeKind.INT)
            .attribute("num_heads", AttributeKind.INT)
            .attribute("rotary_embedding_dim", AttributeKind.INT)
            .tolerance(OpSchema.Tolerance.ROUNDING));
  }

  /**
   * @param size elements of a head
   * @param turned elements of a head that are turned; even
   */
  private record Plan(
      boolean flat, DimExpr samples, DimExpr heads, DimExpr rows, DimExpr size, DimExpr turned) {}

  private static Plan plan(OpContext c) {
    List<DimExpr> x = c.dims(0);
    if (x.size() != 3 && x.size() != 4) {
      throw c.error("TSR-0303", "X must be [B, heads, S, D] or [B, S, heads * D]");
    }
    boolean flat = x.size() == 3;
    long count = c.intAttr("num_heads", 0);
    if (flat && count < 1) {
      throw c.error("TSR-0304", "num_heads is needed with X of rank 3");
    }
    DimExpr heads = flat ? DimExpr.of(count) : x.get(1);
    DimExpr last = x.getLast();
    if (flat && last.isConst() && last.constValue() % count != 0) {
      throw c.error("TSR-0303", last + " elements do not make " + count + " heads");
    }
    DimExpr size = flat ? last.floorDiv(count) : last;
    long given = c.intAttr("rotary_embedding_dim", 0);
    DimExpr turned = given == 0 ? size : DimExpr.of(given);
    if (turned.isConst() && (turned.constValue() < 0 || turned.constValue() % 2 != 0)) {
      throw c.error("TSR-0304", turned + " elements cannot be turned in pairs");
    }
    if (turned.isConst() && size.isConst() && turned.constValue() > size.constValue()) {
      throw c.error(
          "TSR-0304", "a head has " + size + " elements; " + turned + " cannot be turned");
    }
    checkCaches(c, turned.floorDiv(2));
    return new Plan(flat, x.getFirst(), heads, flat ? x.get(1) : x.get(2), size, turned);
  }

  private static void checkCaches(OpContext c, DimExpr half) {
    int rank = c.hasInput(POSITIONS) ? 2 : 3;
    for (int cache : new int[] {COS, SIN}) {
      DimExpr width = c.rank(cache) == rank ? c.dims(cache).getLast() : DimExpr.ZERO;
      if (c.rank(cache) != rank || (width.isConst() && half.isConst() && !width.equals(half))) {
        throw c.error(
            "TSR-0303",
            "input "
                + cache
                + " must be "
                + (rank == 2 ? "[positions, " : "[B, S, ")
                + half
                + "], not "
                + c.inputType(cache));
      }
    }
    if (c.hasInput(POSITIONS) && c.rank(POSITIONS) != 2) {
      throw c.error("TSR-0303", "position_ids must be [B, S]");
    }
  }

  private static boolean known(OpContext c) {
    return shapes(c, 0, 3).isPresent() && (!c.hasInput(POSITIONS) || c.in(POSITIONS).isRanked());
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    if (known(c)) {
      plan(c);
    }
    return List.of(c.in(0));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Plan plan = plan(c);
    Tensor x = c.input(0);
    Tensor y = Tensor.zeros(x.dtype(), x.shape());
    int size = (int) plan.size.constValue();
    int turned = (int) plan.turned.constValue();
    int heads = (int) plan.heads.constValue();
    int rows = (int) plan.rows.constValue();
    int half = turned / 2;
    boolean interleaved = c.intAttr("interleaved", 0) != 0;
    for (int i = 0; i < x.size(); i++) {
      int element = i % size;
      int row = plan.flat ? i / size / heads : i / size / heads / rows * rows + i / size % rows;
      if (element >= turned) {
        Shapes.copy(x, i, y, i);
        continue;
      }
      int pair = interleaved ? element / 2 : element % half;
      boolean first = interleaved ? element % 2 == 0 : element < half;
      int step = interleaved ? 1 : half;
      long from = row;
      if (c.hasInput(POSITIONS)) {
        from = GatherOperators.checked(c, c.input(POSITIONS).getLong(row), c.input(COS).shape()[0]);
      }
      double cos = c.input(COS).getDouble((int) from * half + pair);
      double sin = c.input(SIN).getDouble((int) from * half + pair);
      double other = x.getDouble(first ? i + step : i - step);
      y.setDouble(i, cos * x.getDouble(i) + (first ? -sin : sin) * other);
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    Plan plan = plan(c);
    KernelBuilder kernel = new KernelBuilder(this, c);
    Axis b = new Axis("b", plan.samples);
    Axis h = new Axis("h", plan.heads);
    Axis s = new Axis("s", plan.rows);
    Axis d = new Axis("d", plan.size);
    List<Axis> axes = plan.flat ? List.of(b, s, h, d) : List.of(b, h, s, d);
    KExpr half = K.dim(plan.turned.floorDiv(2));
    boolean interleaved = c.intAttr("interleaved", 0) != 0;
    KExpr element = K.axis(d);
    KExpr two = K.index(2);
    KExpr first = interleaved ? K.eq(K.floorMod(element, two), K.index(0)) : K.lt(element, half);
    KExpr pair =
        interleaved ? K.floorDiv(element, two) : K.select(first, element, K.sub(element, half));
    KExpr step = interleaved ? K.index(1) : half;
    KExpr partner = K.select(first, K.add(element, step), K.sub(element, step));
    List<KExpr> row = List.of(K.axis(b), K.axis(s), pair);
    if (c.hasInput(POSITIONS)) {
      KExpr position = K.at(kernel.in(POSITIONS), K.axis(b), K.axis(s));
      row = List.of(Moves.position(position, c.dims(COS).getFirst()), pair);
    }
    KExpr x = kernel.value(0, index(plan, b, h, s, element));
    KExpr sine = K.mul(kernel.value(SIN, row), kernel.value(0, index(plan, b, h, s, partner)));
    Scalar type = x.scalar();
    KExpr moved =
        K.add(
            K.mul(kernel.value(COS, row), x),
            K.mul(K.select(first, K.literal(type, -1.0), K.literal(type, 1.0)), sine));
    KExpr value =
        plan.turned.equals(plan.size)
            ? moved
            : K.select(K.lt(element, K.dim(plan.turned)), moved, x);
    kernel.stage(kernel.out(0), axes, index(plan, b, h, s, element), value);
    return kernel.build();
  }

  private static List<KExpr> index(Plan plan, Axis b, Axis h, Axis s, KExpr element) {
    return plan.flat
        ? List.of(K.axis(b), K.axis(s), K.add(K.mul(K.axis(h), K.dim(plan.size)), element))
        : List.of(K.axis(b), K.axis(h), K.axis(s), element);
  }
}
