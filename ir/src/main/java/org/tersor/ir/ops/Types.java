package org.tersor.ir.ops;

import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;
import org.tersor.runtime.DType;

/** Sets of element types that operator schemas name. */
final class Types {
  static final Set<DType> ALL = Collections.unmodifiableSet(EnumSet.allOf(DType.class));
  static final Set<DType> FLOATS = set(DType.F16, DType.BF16, DType.F32, DType.F64);
  static final Set<DType> SIGNED = set(DType.I8, DType.I16, DType.I32, DType.I64);
  static final Set<DType> UNSIGNED = set(DType.U8, DType.U16, DType.U32, DType.U64);
  static final Set<DType> INTEGERS = union(SIGNED, UNSIGNED);
  static final Set<DType> NUMERIC = union(FLOATS, INTEGERS);
  static final Set<DType> SIGNED_NUMERIC = union(FLOATS, SIGNED);
  static final Set<DType> BOOL = set(DType.BOOL);
  static final Set<DType> NUMERIC_OR_BOOL = union(NUMERIC, BOOL);

  /** What has an order that kernels know. */
  static final Set<DType> COMPARABLE =
      Collections.unmodifiableSet(
          EnumSet.complementOf(EnumSet.of(DType.STRING, DType.C64, DType.C128)));

  static final Set<DType> I64 = set(DType.I64);
  static final Set<DType> INDICES = set(DType.I32, DType.I64);

  private Types() {}

  static Set<DType> set(DType... types) {
    EnumSet<DType> set = EnumSet.noneOf(DType.class);
    Collections.addAll(set, types);
    return Collections.unmodifiableSet(set);
  }

  static Set<DType> union(Set<DType> a, Set<DType> b) {
    EnumSet<DType> set = EnumSet.copyOf(a);
    set.addAll(b);
    return Collections.unmodifiableSet(set);
  }
}
