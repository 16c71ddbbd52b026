package org.tersor.plugins.gguf;

import java.util.Arrays;
import java.util.Optional;
import org.tersor.runtime.DType;

/**
 * How a tensor's elements are stored, by the number that files use (ggml.h). Those without a {@link
 * #dtype} come in blocks, and are read where a number format of that {@link #id} and of blocks of
 * that size is present.
 */
enum GgmlType {
  F32(0, "f32", 1, 4, DType.F32),
  F16(1, "f16", 1, 2, DType.F16),
  Q4_0(2, "q4_0", 32, 18),
  Q4_1(3, "q4_1", 32, 20),
  Q5_0(6, "q5_0", 32, 22),
  Q5_1(7, "q5_1", 32, 24),
  Q8_0(8, "q8_0", 32, 34),
  Q2_K(10, "q2_K", 256, 84),
  Q3_K(11, "q3_K", 256, 110),
  Q4_K(12, "q4_K", 256, 144),
  Q5_K(13, "q5_K", 256, 176),
  Q6_K(14, "q6_K", 256, 210),
  IQ2_XXS(16, "iq2_xxs", 256, 66),
  IQ2_XS(17, "iq2_xs", 256, 74),
  IQ3_XXS(18, "iq3_xxs", 256, 98),
  IQ1_S(19, "iq1_s", 256, 50),
  IQ4_NL(20, "iq4_nl", 32, 18),
  IQ3_S(21, "iq3_s", 256, 110),
  IQ2_S(22, "iq2_s", 256, 82),
  IQ4_XS(23, "iq4_xs", 256, 136),
  I8(24, "i8", 1, 1, DType.I8),
  I16(25, "i16", 1, 2, DType.I16),
  I32(26, "i32", 1, 4, DType.I32),
  I64(27, "i64", 1, 8, DType.I64),
  F64(28, "f64", 1, 8, DType.F64),
  IQ1_M(29, "iq1_m", 256, 56),
  BF16(30, "bf16", 1, 2, DType.BF16),
  TQ1_0(34, "tq1_0", 256, 54),
  TQ2_0(35, "tq2_0", 256, 66),
  MXFP4(39, "mxfp4", 32, 17);

  private final int number;
  private final String id;
  private final int block;
  private final int bytes;
  private final Optional<DType> dtype;

  GgmlType(int number, String id, int block, int bytes) {
    this.number = number;
    this.id = id;
    this.block = block;
    this.bytes = bytes;
    this.dtype = Optional.empty();
  }

  GgmlType(int number, String id, int block, int bytes, DType dtype) {
    this.number = number;
    this.id = id;
    this.block = block;
    this.bytes = bytes;
    this.dtype = Optional.of(dtype);
  }

  static Optional<GgmlType> of(long number) {
    return Arrays.stream(values()).filter(type -> type.number == number).findFirst();
  }

  int number() {
    return number;
  }

  /** Id of the number format that says what the blocks mean. */
  String id() {
    return id;
  }

  /** Elements of a block. */
  int block() {
    return block;
  }

  /** Bytes of a block. */
  int bytes() {
    return bytes;
  }

  /** The element type, where elements are stored one by one. */
  Optional<DType> dtype() {
    return dtype;
  }
}
