package org.tersor.ir.ops;

import java.nio.ByteBuffer;
import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** BitCast: the same bits as another type of equal size. */
final class BitCastOperator extends OpBase {
  BitCastOperator() {
    super(
        OpSchema.of("", "BitCast", 26)
            .input("input", "T1")
            .output("output", "T2")
            .types("T1", Types.NUMERIC_OR_BOOL)
            .types("T2", Types.NUMERIC_OR_BOOL)
            .required("to", OpSchema.AttributeKind.INT)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  private static DType target(OpContext c) {
    DType to = OnnxTypes.of(c, c.intAttr("to", 0));
    if (to.bits() != c.dtype(0).bits() || to.isComplex()) {
      throw c.error("TSR-0302", c.dtype(0).text() + " and " + to.text() + " differ in size");
    }
    return to;
  }

  @Override
  List<ValueType> types(OpContext c) {
    return List.of(c.in(0).withDtype(target(c)));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor out = Tensor.zeros(target(c), x.shape());
    int bytes = x.dtype().memoryBytes();
    ByteBuffer buffer = ByteBuffer.allocate(Math.multiplyExact(x.size(), bytes));
    switch (x.dtype().slot()) {
      case BYTE -> buffer.put(x.bytes());
      case SHORT -> buffer.asShortBuffer().put(x.shorts());
      case INT -> buffer.asIntBuffer().put(x.ints());
      case LONG -> buffer.asLongBuffer().put(x.longs());
      case FLOAT -> buffer.asFloatBuffer().put(x.floats());
      case DOUBLE -> buffer.asDoubleBuffer().put(x.doubles());
      case STRING -> throw new IllegalStateException("checked by the schema");
    }
    buffer.rewind();
    switch (out.dtype().slot()) {
      case BYTE -> buffer.get(out.bytes());
      case SHORT -> buffer.asShortBuffer().get(out.shorts());
      case INT -> buffer.asIntBuffer().get(out.ints());
      case LONG -> buffer.asLongBuffer().get(out.longs());
      case FLOAT -> buffer.asFloatBuffer().get(out.floats());
      case DOUBLE -> buffer.asDoubleBuffer().get(out.doubles());
      case STRING -> throw new IllegalStateException("checked by the schema");
    }
    return List.of(out);
  }

  @Override
  Lowering code(OpContext c) {
    Buf x = in(c, 0);
    Buf out = out(c, 0, outType(c, 0));
    if (x.element() == out.element()) {
      return new Lowering.View(0);
    }
    List<Axis> axes = Shapes.axes(x.shape());
    KExpr element = K.at(x, Shapes.refs(axes));
    boolean logical = x.element() == Scalar.BOOL || out.element() == Scalar.BOOL;
    KExpr value =
        logical ? K.cast(out.element(), element) : new KExpr.BitsAs(out.element(), element);
    return compute(List.of(x), out, List.of(Stage.of(out, axes, value)));
  }
}
