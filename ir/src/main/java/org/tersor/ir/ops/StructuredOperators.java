package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;

/**
 * Convolutions, matrix products, pools, normalizations, quantization operators: one line per
 * operator or group.
 */
public final class StructuredOperators implements OperatorProvider {
  @Override
  public List<Operator> operators() {
    List<Operator> all = new ArrayList<>();
    all.add(new MatMul());
    all.add(MatMul.fused());
    all.add(new Gemm());
    all.add(Gemm.fused());
    all.add(new Conv());
    all.add(Conv.fused());
    all.add(new MaxPool());
    all.add(new AveragePool());
    all.add(new LpPool());
    all.add(new GlobalPool(GlobalPool.Kind.AVERAGE));
    all.add(new GlobalPool(GlobalPool.Kind.MAX));
    all.add(new GlobalPool(GlobalPool.Kind.LP));
    all.add(QLinearConv.qlinear());
    all.add(QLinearConv.integer());
    all.add(QLinearMatMul.qlinear());
    all.add(QLinearMatMul.integer());
    all.add(QLinearMatMul.gemm());
    all.add(new Softmax(Softmax.Kind.SOFTMAX));
    all.add(new Softmax(Softmax.Kind.LOG_SOFTMAX));
    all.add(new Softmax(Softmax.Kind.HARDMAX));
    all.add(new BatchNormalization());
    all.add(new QuantizeLinear(""));
    all.add(new QuantizeLinear("com.microsoft"));
    all.add(new DequantizeLinear(""));
    all.add(new DequantizeLinear("com.microsoft"));
    all.add(new DynamicQuantizeLinear());
    all.add(new ConvTranspose());
    all.add(QLinearConvTranspose.qlinear());
    all.add(QLinearConvTranspose.integer());
    all.add(new LayerNormalization(LayerNormalization.Kind.LAYER));
    all.add(new LayerNormalization(LayerNormalization.Kind.RMS));
    all.add(new LayerNormalization(LayerNormalization.Kind.SKIP));
    all.add(new ChannelNormalization(false));
    all.add(new ChannelNormalization(true));
    all.add(new Lrn());
    all.add(new LpNormalization());
    all.add(new MeanVarianceNormalization());
    all.add(new QLinearBinary(false));
    all.add(new QLinearBinary(true));
    all.add(new QLinearActivation(QLinearActivation.Kind.SIGMOID));
    all.add(new QLinearActivation(QLinearActivation.Kind.LEAKY_RELU));
    all.add(new QLinearActivation(QLinearActivation.Kind.SOFTMAX));
    all.add(new QLinearPool(false));
    all.add(new QLinearPool(true));
    all.add(new QLinearConcat());
    all.add(new Gelu(Gelu.Kind.GELU));
    all.add(new Gelu(Gelu.Kind.BIAS_GELU));
    all.add(new Gelu(Gelu.Kind.FAST_GELU));
    all.add(new Gelu(Gelu.Kind.QUICK_GELU));
    all.add(Resize.resize());
    all.add(Resize.upsample());
    all.add(Resize.sized());
    all.addAll(ResizeSizes.all());
    all.add(new Recurrent(Recurrent.Kind.RNN));
    all.add(new Recurrent(Recurrent.Kind.GRU));
    all.add(new Recurrent(Recurrent.Kind.LSTM));
    all.add(Recurrent.quantizing());
    all.add(new Attention());
    return List.copyOf(all);
  }
}
