package org.tersor.ir.loop;

/** Comparisons; IEEE on floats: with a NaN all are false but NE. */
public enum CompareOp {
  EQ,
  NE,
  LT,
  LE,
  GT,
  GE
}
