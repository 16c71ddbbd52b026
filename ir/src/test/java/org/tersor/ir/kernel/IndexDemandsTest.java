package org.tersor.ir.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** The kernels that look at a kernel's indices, by the number that they give. */
class IndexDemandsTest {
  private static final DimExpr ROWS = DimExpr.of(5);
  private static final DimExpr COUNT = DimExpr.of(4);
  private static final Buf TABLE = new Buf("in0", Scalar.F32, List.of(ROWS));
  private static final Buf INDICES = new Buf("in1", Scalar.I64, List.of(COUNT));
  private static final Buf OUT = new Buf("out0", Scalar.F32, List.of(COUNT));
  private static final Axis I = new Axis("i", COUNT);

  private static KExpr within(KExpr index, long least, long most) {
    return new KExpr.Within(index, DimExpr.of(least), DimExpr.of(most));
  }

  private static Kernel kernel(KExpr value) {
    return new Kernel(
        "test", List.of(TABLE, INDICES), List.of(OUT), List.of(Stage.of(OUT, List.of(I), value)));
  }

  /** What the range kernel writes, as an index above {@code least}: negative if one is below. */
  private static long largest(IndexDemands.Demand demand, long... indices) {
    Tensor given = Tensor.of(indices, indices.length);
    long raw =
        KernelInterpreter.run(demand.kernel(), List.of(given), Map.of()).getFirst().getLong(0);
    return raw - Long.MIN_VALUE;
  }

  private static KExpr read(KExpr index) {
    return K.at(TABLE, index);
  }

  @Test
  void givesTheLargestIndex() {
    List<IndexDemands.Demand> demands =
        IndexDemands.of(kernel(read(within(K.at(INDICES, K.axis(I)), 0, 4))));
    assertEquals(1, demands.size());
    IndexDemands.Demand demand = demands.getFirst();
    assertEquals(List.of("in1"), demand.kernel().inputs().stream().map(Buf::name).toList());
    assertEquals(DimExpr.ZERO, demand.least());
    assertEquals(DimExpr.of(4), demand.most());
    assertEquals(COUNT, demand.count());
    assertEquals(4, largest(demand, 0, 4, 1, 2));
    assertEquals(5, largest(demand, 0, 5, 1, 2));
    assertEquals(Integer.MAX_VALUE + 1L, largest(demand, 0, Integer.MAX_VALUE + 1L, 1, 2));
  }

  /** Below the least an index is far above the most: one number tells of both ends. */
  @Test
  void anIndexBelowTheLeastIsTheLargest() {
    IndexDemands.Demand demand =
        IndexDemands.of(kernel(read(K.max(within(K.at(INDICES, K.axis(I)), -5, 4), K.index(0)))))
            .getFirst();
    assertEquals(9, largest(demand, -5, 4, 0, 0));
    assertTrue(largest(demand, -6, 4, 0, 0) < 0, "as an unsigned number above all");
    assertTrue(largest(demand, 4, Long.MIN_VALUE, 0, 0) < 0);
  }

  /** An index that is not read is not looked at. */
  @Test
  void choicesAreMadeFirst() {
    KExpr index = K.at(INDICES, K.axis(I));
    KExpr value =
        K.select(
            K.lt(K.axis(I), K.index(2)),
            read(within(index, 0, 4)),
            K.select(K.lt(index, K.literal(Scalar.I64, 100L)), K.f32(1), K.f32(2)));
    List<IndexDemands.Demand> demands = IndexDemands.of(kernel(value));
    assertEquals(1, demands.size());
    assertEquals(3, largest(demands.getFirst(), 3, 1, 99, -7));
    assertEquals(7, largest(demands.getFirst(), 3, 7, 99, -7));
    KExpr other = K.select(K.lt(K.axis(I), K.index(2)), K.f32(0), read(within(index, 0, 4)));
    assertEquals(4, largest(IndexDemands.of(kernel(other)).getFirst(), 99, -7, 4, 0));
  }

  /** Equal indices are one demand, an index of an index is two. */
  @Test
  void eachIndexOnce() {
    KExpr index = within(K.at(INDICES, K.axis(I)), 0, 4);
    assertEquals(1, IndexDemands.of(kernel(K.add(read(index), read(index)))).size());
    KExpr second = within(K.at(INDICES, within(K.at(INDICES, K.axis(I)), 0, 3)), 0, 4);
    List<IndexDemands.Demand> nested = IndexDemands.of(kernel(read(second)));
    assertEquals(2, nested.size());
    assertEquals(3, largest(nested.get(0), 3, 0, 1, 2));
    assertEquals(2, largest(nested.get(1), 1, 0, 2, 1));
    assertEquals(List.of(), IndexDemands.of(kernel(read(K.axis(I)))));
  }

  /** Indices that a stage of the kernel computes come with that stage. */
  @Test
  void stagesBeforeComeAlong() {
    Buf doubled = new Buf("doubled", Scalar.I64, List.of(COUNT));
    KExpr twice = K.mul(K.at(INDICES, K.axis(I)), K.literal(Scalar.I64, 2L));
    Buf unused = new Buf("unused", Scalar.F32, List.of(COUNT));
    Kernel kernel =
        new Kernel(
            "test",
            List.of(TABLE, INDICES),
            List.of(OUT),
            List.of(
                Stage.of(unused, List.of(I), read(K.axis(I))),
                Stage.of(doubled, List.of(I), twice),
                Stage.of(OUT, List.of(I), read(within(K.at(doubled, K.axis(I)), 0, 4)))));
    IndexDemands.Demand demand = IndexDemands.of(kernel).getFirst();
    assertEquals(2, demand.kernel().stages().size());
    assertEquals(8, largest(demand, 1, 4, 2, 3));
  }
}
