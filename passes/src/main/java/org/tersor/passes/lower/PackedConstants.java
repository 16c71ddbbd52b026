package org.tersor.passes.lower;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.RawData;
import org.tersor.ir.graph.Value;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Constants of elements of less than a byte, which have a byte each in memory, stay packed in the
 * artifact: each becomes the bytes of {@link RawData} and a kernel that unpacks them, which runs at
 * load or moves into what reads it there.
 */
public final class PackedConstants {
  /** Fewer bytes are not worth a kernel. */
  private static final long SAVED = 1024;

  /** A constant that several segments read is packed once. */
  private final Map<Constant, Constant> packed = new LinkedHashMap<>();

  /** The same graph with its constants packed. */
  public LoweredGraph apply(LoweredGraph lowered) {
    Map<Value, Constant> constants = new LinkedHashMap<>(lowered.constants());
    List<KernelCall> calls = new ArrayList<>();
    int next = nextId(lowered);
    for (Map.Entry<Value, Constant> each : lowered.constants().entrySet()) {
      Constant constant = each.getValue();
      if (isWorthIt(constant)) {
        Value bytes = new Value(next++, each.getKey().name());
        constants.remove(each.getKey());
        constants.put(bytes, packed.computeIfAbsent(constant, PackedConstants::pack));
        calls.add(
            new KernelCall(
                unpack(constant),
                Map.of("in0", bytes, "out0", each.getKey()),
                "unpacking of " + constant.dtype().text(),
                true));
      }
    }
    calls.addAll(lowered.calls());
    return new LoweredGraph(lowered.graph(), calls, lowered.views(), constants, lowered.checks());
  }

  private static int nextId(LoweredGraph lowered) {
    int next = lowered.graph().maxId() + 1;
    for (Value value : lowered.constants().keySet()) {
      next = Math.max(next, value.id() + 1);
    }
    for (KernelCall call : lowered.calls()) {
      for (Value value : call.operands().values()) {
        next = Math.max(next, value.id() + 1);
      }
    }
    return next;
  }

  private static boolean isWorthIt(Constant constant) {
    DType dtype = constant.dtype();
    return dtype.bits() < Byte.SIZE
        && dtype.memoryBytes() == 1
        && constant.elements() - RawData.byteSize(dtype, constant.elements()) >= SAVED;
  }

  private static Constant pack(Constant constant) {
    if (constant.raw().isPresent()) {
      java.lang.foreign.MemorySegment raw = constant.raw().get();
      return new Constant.Mapped(DType.U8, new long[] {raw.byteSize()}, raw);
    }
    Tensor bytes = Tensor.zeros(DType.U8, RawData.byteSize(constant.dtype(), constant.elements()));
    byte[] raw = RawData.encode(constant.load());
    System.arraycopy(raw, 0, bytes.bytes(), 0, raw.length);
    return Constant.of(bytes);
  }

  /**
   * The inverse of {@link RawData#encode}: the element at i lies in the low bits of a byte first.
   */
  private static Kernel unpack(Constant constant) {
    int bits = constant.dtype().bits();
    int perByte = Byte.SIZE / bits;
    Scalar element = Scalar.of(constant.dtype());
    Buf in =
        new Buf(
            "in0",
            Scalar.U8,
            DimExpr.list(RawData.byteSize(constant.dtype(), constant.elements())));
    Buf out = new Buf("out0", element, DimExpr.list(constant.shape()));
    List<Axis> axes = new ArrayList<>();
    KExpr i = K.index(0);
    for (DimExpr dim : out.shape()) {
      axes.add(new Axis("i" + axes.size(), dim));
      i = K.add(K.mul(i, K.dim(dim)), K.axis(axes.getLast()));
    }
    KExpr stored = K.cast(Scalar.I32, K.at(in, K.floorDiv(i, K.index(perByte))));
    KExpr place = K.cast(Scalar.I32, K.floorMod(i, K.index(perByte)));
    KExpr code =
        K.binary(
            BinaryOp.AND,
            K.binary(BinaryOp.SHR, stored, K.mul(place, K.i32(bits))),
            K.i32((1L << bits) - 1));
    if (element.isSigned()) {
      KExpr sign = K.i32(1L << (bits - 1));
      code = K.sub(K.binary(BinaryOp.XOR, code, sign), sign);
    }
    KExpr value =
        element.isInteger()
            ? K.castInRange(element, code)
            : new KExpr.BitsAs(element, K.castInRange(Scalar.U8, code));
    return new Kernel("unpack", List.of(in), List.of(out), List.of(Stage.of(out, axes, value)));
  }
}
