package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/** Random products of few rows with weights in codes, for {@link KernelTestKit}. */
final class RandomCodes {
  private final Random random;
  private final List<Buf> inputs = new ArrayList<>();
  private final Set<String> weights = new HashSet<>();
  private final Axis n;
  private final Axis k;
  private final int block;

  private RandomCodes(Random random) {
    this.random = random;
    this.block = 16 << random.nextInt(3);
    this.n = new Axis("n", DimExpr.of((long) random.nextInt(1, 6) * random.nextInt(5, 40)));
    this.k = new Axis("k", DimExpr.of((long) block * random.nextInt(1, 5)));
  }

  static KernelTestKit kit(Random random) {
    return new RandomCodes(random).kit();
  }

  private KernelTestKit kit() {
    int kind = random.nextInt(4);
    DimExpr rows =
        kind == 0
            ? DimExpr.ONE
            : kind == 1 ? DimExpr.symbol("M") : DimExpr.of(random.nextInt(2, 9));
    Axis m = new Axis("m", rows);
    boolean rowCodes = random.nextBoolean();
    KExpr row =
        rowCodes
            ? rowCode(m)
            : K.at(input("x", Scalar.F32, rows, k.extent()), K.axis(m), K.axis(k));
    KExpr weight = K.cast(Scalar.F32, code());
    weight = zero(weight);
    weight = scale(weight);
    KExpr sum = K.sum(List.of(k), K.mul(row, weight));
    KExpr value = sum;
    if (random.nextBoolean()) {
      Buf bias = new Buf("bias", Scalar.F32, List.of(n.extent()));
      inputs.add(bias);
      value = K.add(sum, K.at(bias, K.axis(n)));
    }
    if (random.nextBoolean()) {
      value = K.max(value, K.f32(0));
    }
    Buf y = new Buf("y", Scalar.F32, List.of(rows, n.extent()));
    Kernel kernel =
        new Kernel("codes", inputs, List.of(y), List.of(Stage.of(y, List.of(m, n), value)));
    Scheduler.Codes expected = rowCodes ? Scheduler.Codes.BOTH : Scheduler.Codes.WEIGHTS;
    if (Scheduler.codes(kernel, weights, false) != expected) {
      throw new IllegalStateException("decoded at load: " + kernel);
    }
    return KernelTestKit.of(kernel, Map.of("M", (long) random.nextInt(0, 20)), weights, random);
  }

  private Buf input(String name, Scalar element, DimExpr... shape) {
    Buf buffer = new Buf(name, element, List.of(shape));
    inputs.add(buffer);
    return buffer;
  }

  /** Rows as codes of 8 bits, with or without scales of their blocks. */
  private KExpr rowCode(Axis m) {
    Buf x = input("x", Scalar.I8, m.extent(), k.extent());
    KExpr number = K.cast(Scalar.F32, K.at(x, K.axis(m), K.axis(k)));
    return random.nextInt(3) == 0
        ? number
        : K.mul(number, K.at(input("sx", Scalar.F32, m.extent(), blocks()), K.axis(m), blockOf()));
  }

  private Buf weight(String name, Scalar element, DimExpr... shape) {
    weights.add(name);
    return input(name, element, shape);
  }

  /** An integer code: of 8 bits, or one of two or four in a byte. */
  private KExpr code() {
    return switch (random.nextInt(4)) {
      case 0 -> K.at(weight("w", Scalar.I8, n.extent(), k.extent()), K.axis(n), K.axis(k));
      case 1 -> K.at(weight("w", Scalar.U8, k.extent(), n.extent()), K.axis(k), K.axis(n));
      default -> packed(random.nextBoolean() ? 4 : 2);
    };
  }

  private KExpr packed(int bits) {
    KExpr per = K.index(8 / bits);
    Buf w = weight("w", Scalar.U8, n.extent(), DimExpr.of(k.extent().constValue() * bits / 8));
    KExpr bytes = K.cast(Scalar.I32, K.at(w, K.axis(n), K.floorDiv(K.axis(k), per)));
    KExpr place = K.mul(K.cast(Scalar.I32, K.floorMod(K.axis(k), per)), K.i32(bits));
    KExpr shifted = K.binary(BinaryOp.SHR, bytes, place);
    KExpr code = K.binary(BinaryOp.AND, shifted, K.i32((1 << bits) - 1));
    // With a sign: the form (code ^ half) - half.
    long half = 1L << (bits - 1);
    return random.nextBoolean()
        ? code
        : K.sub(K.binary(BinaryOp.XOR, code, K.i32(half)), K.i32(half));
  }

  private KExpr blockOf() {
    return K.floorDiv(K.axis(k), K.index(block));
  }

  private DimExpr blocks() {
    return DimExpr.of(k.extent().constValue() / block);
  }

  private KExpr zero(KExpr weight) {
    return switch (random.nextInt(4)) {
      case 0 -> weight;
      case 1 -> K.sub(weight, K.f32(random.nextInt(-9, 10)));
      case 2 ->
          K.sub(
              weight,
              K.cast(
                  Scalar.F32,
                  K.at(weight("z", Scalar.U8, n.extent(), blocks()), K.axis(n), blockOf())));
      default -> K.sub(weight, K.at(weight("z", Scalar.F32, n.extent()), K.axis(n)));
    };
  }

  private KExpr scale(KExpr weight) {
    return switch (random.nextInt(4)) {
      case 0 -> weight;
      case 1 -> K.mul(K.at(weight("s", Scalar.F32, n.extent()), K.axis(n)), weight);
      default ->
          K.mul(weight, K.at(weight("s", Scalar.F32, blocks(), n.extent()), blockOf(), K.axis(n)));
    };
  }
}
