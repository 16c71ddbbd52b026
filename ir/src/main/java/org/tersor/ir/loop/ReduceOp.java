package org.tersor.ir.loop;

/** Associative combination of lanes or of iterations. */
public enum ReduceOp {
  SUM(BinaryOp.ADD),
  PROD(BinaryOp.MUL),
  MIN(BinaryOp.MIN),
  MAX(BinaryOp.MAX),
  AND(BinaryOp.AND),
  OR(BinaryOp.OR),
  XOR(BinaryOp.XOR);

  private final BinaryOp combine;

  ReduceOp(BinaryOp combine) {
    this.combine = combine;
  }

  public BinaryOp combine() {
    return combine;
  }
}
