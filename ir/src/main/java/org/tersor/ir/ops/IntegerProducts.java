package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;

/**
 * Products of dynamically quantized operands: com.microsoft MatMulIntegerToFloat,
 * DynamicQuantizeMatMul, DynamicQuantizeLSTM.
 */
final class IntegerProducts {
  private static final Set<DType> BYTES = Types.set(DType.U8, DType.I8);
  private static final Set<DType> F32 = Types.set(DType.F32);

  private IntegerProducts() {}

  static List<Operator> all() {
    return List.of(
        new MatMulIntegerToFloat(), new DynamicQuantizeMatMul(), new DynamicQuantizeLstm());
  }

  private static List<ValueType> product(OpContext c, DType result) {
    boolean known = c.in(0).isRanked() && c.in(1).isRanked();
    return List.of(
        OpBase.type(
            result,
            known
                ? Optional.of(Product.of(c, c.dims(0), c.dims(1), false, false).out())
                : Optional.empty()));
  }

  /** (A - a_zero_point) x (B - b_zero_point) * a_scale * b_scale + bias. */
  private static final class MatMulIntegerToFloat extends FunctionOperator {
    MatMulIntegerToFloat() {
      super(
          OpSchema.of(MICROSOFT, "MatMulIntegerToFloat", 1)
              .sample(
                  "A[b*0-1 m k]; B[k n]; a_scale[]=positive; b_scale[]=positive; a_zero_point[]; b_zero_point[]; bias[n]")
              .input("A", "T1")
              .input("B", "T2")
              .input("a_scale", "T3")
              .input("b_scale", "T3")
              .optional("a_zero_point", "T1")
              .optional("b_zero_point", "T2")
              .optional("bias", "T3")
              .output("Y", "T3")
              .types("T1", BYTES)
              .types("T2", BYTES)
              .types("T3", Types.set(DType.F32, DType.F16)));
    }

    @Override
    List<ValueType> types(OpContext c) {
      return product(c, c.dtype(2));
    }

    /** In float32, whatever the type of the scales is. */
    @Override
    List<Value> build(OpContext c, Parts b) {
      Value sum = b.add("MatMulInteger", b.in(0), b.in(1), b.in(4), b.in(5));
      Value scale = b.add("Mul", real(c, b, 2), real(c, b, 3));
      Value y = b.add("Mul", b.cast(sum, DType.F32), scale);
      y = c.hasInput(6) ? b.add("Add", y, real(c, b, 6)) : y;
      return List.of(c.dtype(2) == DType.F32 ? y : b.cast(y, c.dtype(2)));
    }

    private static Value real(OpContext c, Parts b, int at) {
      return c.dtype(at) == DType.F32 ? b.in(at) : b.cast(b.in(at), DType.F32);
    }
  }

  /** A is quantized to U8 as DynamicQuantizeLinear does. */
  private static final class DynamicQuantizeMatMul extends FunctionOperator {
    DynamicQuantizeMatMul() {
      super(
          OpSchema.of(MICROSOFT, "DynamicQuantizeMatMul", 1)
              .sample(
                  "A[m k]; B[k n]; b_scale[]=positive; b_zero_point[]; bias[n] || A[m k]; B[k n]; b_scale[n]=positive; b_zero_point[n]; bias[n]")
              .input("A", "T1")
              .input("B", "T2")
              .input("b_scale", "T1")
              .optional("b_zero_point", "T2")
              .optional("bias", "T1")
              .output("Y", "T1")
              .types("T1", F32)
              .types("T2", BYTES));
    }

    @Override
    List<ValueType> types(OpContext c) {
      return product(c, DType.F32);
    }

    @Override
    List<Value> build(OpContext c, Parts b) {
      List<Value> a = b.all("DynamicQuantizeLinear", Map.of(), 3, b.in(0));
      return List.of(
          b.microsoft(
              "MatMulIntegerToFloat",
              Map.of(),
              a.get(0),
              b.in(1),
              a.get(1),
              b.in(2),
              a.get(2),
              b.in(3),
              b.in(4)));
    }
  }

  /**
   * An LSTM with W [directions, input, 4 * hidden] and R [directions, hidden, 4 * hidden] as bytes,
   * one scale and zero point per direction or per column. X is quantized to U8 as a whole, and
   * before each step so is the hidden state of all samples. The operator's documentation leaves
   * both open; this is what ONNX Runtime does ({@code ComputeGemm} of its recurrent kernels).
   */
  private static final class DynamicQuantizeLstm extends FunctionOperator {
    DynamicQuantizeLstm() {
      super(
          OpSchema.of(MICROSOFT, "DynamicQuantizeLSTM", 1)
              .sample(
                  "h=1..3; hidden_size=h; g=times(4, h); e=times(8, h); X[s b i]; W[1 i g]; R[1 h g]; B[1 e]; sequence_lens=-; initial_h=-; initial_c=-; P=-; W_scale[1]=positive; W_zero_point[1]; R_scale[1]=positive; R_zero_point[1]; direction=forward|reverse; activations=-; activation_alpha=-; activation_beta=-; clip=-; input_forget=-")
              .input("X", "T")
              .input("W", "T2")
              .input("R", "T2")
              .optional("B", "T")
              .optional("sequence_lens", "T1")
              .optional("initial_h", "T")
              .optional("initial_c", "T")
              .optional("P", "T")
              .input("W_scale", "T")
              .input("W_zero_point", "T2")
              .input("R_scale", "T")
              .input("R_zero_point", "T2")
              .optionalOutput("Y", "T")
              .optionalOutput("Y_h", "T")
              .optionalOutput("Y_c", "T")
              .types("T", F32)
              .types("T1", Types.set(DType.I32))
              .types("T2", BYTES)
              .required("hidden_size", AttributeKind.INT)
              .attribute("direction", AttributeKind.STRING)
              .attribute("activations", AttributeKind.STRINGS)
              .attribute("activation_alpha", AttributeKind.FLOATS)
              .attribute("activation_beta", AttributeKind.FLOATS)
              .attribute("clip", AttributeKind.FLOAT)
              .attribute("input_forget", AttributeKind.INT)
              .tolerance(OpSchema.Tolerance.ACCUMULATION));
    }

    @Override
    List<ValueType> types(OpContext c) {
      DimExpr directions =
          DimExpr.of(c.stringAttr("direction", "forward").equals("bidirectional") ? 2 : 1);
      DimExpr hidden = DimExpr.of(c.intAttr("hidden_size", 1));
      DimExpr length = c.dims(0).get(0);
      DimExpr batch = c.dims(0).get(1);
      TensorType state = TensorType.of(DType.F32, List.of(directions, batch, hidden));
      return List.of(
          TensorType.of(DType.F32, List.of(length, directions, batch, hidden)), state, state);
    }

    @Override
    List<Value> build(OpContext c, Parts b) {
      List<Value> x = b.all("DynamicQuantizeLinear", Map.of(), 3, b.in(0));
      Value values = b.add("DequantizeLinear", x.get(0), x.get(1), x.get(2));
      Map<String, Attribute> attributes = c.node().attributes();
      List<Value> outputs =
          b.all(
              OpKey.TERSOR,
              "LSTM",
              attributes,
              3,
              values,
              weights(c, b, 1, 8),
              weights(c, b, 2, 10),
              b.in(3),
              b.in(4),
              b.in(5),
              b.in(6),
              b.in(7));
      return outputs.subList(0, c.outputCount());
    }

    /** [directions, 4 * hidden, k] as the standard's LSTM has it. */
    private static Value weights(OpContext c, Parts b, int at, int scale) {
      Value real =
          b.add(
              "Mul",
              b.add("Sub", b.cast(b.in(at), DType.F32), wide(c, b, scale + 1, true)),
              wide(c, b, scale, false));
      return b.transpose(real, 0, 2, 1);
    }

    /**
     * [directions] or [directions, 4 * hidden] so that it goes with [directions, k, 4 * hidden].
     */
    private static Value wide(OpContext c, Parts b, int at, boolean cast) {
      Value x = cast ? b.cast(b.in(at), DType.F32) : b.in(at);
      List<Long> axes = new ArrayList<>(List.of(1L));
      if (c.rank(at) == 1) {
        axes.add(2L);
      }
      return b.unsqueeze(x, axes.stream().mapToLong(Long::longValue).toArray());
    }
  }
}
