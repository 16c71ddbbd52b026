package org.tersor.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.format.FormatFamily;
import org.tersor.ir.format.NumberFormat;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.graph.IntegerKernels;
import org.tersor.passes.graph.LowerDecode;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.ChannelFactors;
import org.tersor.passes.quant.Keep;
import org.tersor.passes.quant.Quantizer;
import org.tersor.passes.quant.method.WeightMethod;
import picocli.CommandLine.Option;

/** How a model is quantized, on the command line. */
final class QuantizeOptions {
  @Option(
      names = "--scheme",
      paramLabel = "FORMAT|WxAy",
      description = {
        "Number format of the weights; activations take the one that goes with it, or stay float.",
        "int8: u8 activations per tensor, s8 weights per channel. 'tersor plugins' lists formats.",
        "W8A8, W8A16, W6A6, W4A16, W4A8, W4A4, W3A16, W2A16: bits of weights and activations; A16 leaves them float."
      })
  Optional<String> scheme = Optional.empty();

  @Option(
      names = "--weights",
      paramLabel = "FORMAT",
      description = "Number format of the weights, where it is not that of --scheme.")
  Optional<String> weights = Optional.empty();

  @Option(
      names = "--activations",
      paramLabel = "FORMAT|none|dynamic_u8_tensor|dynamic_sN_row",
      description = {
        "Number format of the activations, or none: they stay float. dynamic: the grid of what a layer reads is chosen when the model",
        "runs, for the tensor or (matrix products) for each row, with N bits; it needs no calibration."
      })
  Optional<String> activations = Optional.empty();

  @Option(
      names = "--decode-floats",
      description =
          "In .onnx: write weights as decoded floats where ONNX cannot express their format.")
  boolean decodeFloats;

  @Option(
      names = "--matmul-nbits",
      description = {
        "In .onnx: products with weights in blocks of 16 to 256 (or rows of at most 256) as com.microsoft MatMulNBits",
        "of 2, 4 or 8 bits. ONNX Runtime knows it; codes, scales and zero points are the plan's."
      })
  boolean matMulNBits;

  @Option(
      names = "--qoperator",
      description = {
        "In .onnx: integer operators (QLinearConv, QLinearMatMul, com.microsoft QGemm, QLinearAdd, ...) instead of quantizers",
        "around layers, where there are some; the rest keeps its quantizers."
      })
  boolean qOperator;

  @Option(
      names = "--int2",
      description =
          "In .onnx: codes of 2 bits as INT2 or UINT2 (opset 25), else they travel in 4 bits.")
  boolean int2;

  @Option(names = "--explain", description = "List every layer: what computes it, and why.")
  boolean explain;

  @Option(
      names = "--calibrate",
      paramLabel = "DIR|FILE.npz",
      description =
          "Calibration data: .npz with arrays [samples, ...] by input name, or a folder of .npz, .npy, pictures, .wav, .txt or IDX files; or the word random.")
  Optional<Path> calibrate = Optional.empty();

  @Option(
      names = "--calibrator",
      description = {
        "minmax, average (moving), percentile:P (99.99), mse, or entropy:P, which clips at most",
        "P (0.1) percent of the numbers (default: ${DEFAULT-VALUE})."
      })
  String calibrator = "minmax";

  @Option(
      names = "--calibration-cache",
      paramLabel = "FILE",
      split = ",",
      description = {
        "Go on from what these files have seen, and write the first: calibration can stop and resume,",
        "and shards that were calibrated apart are joined. Needs no --calibrate if they hold samples."
      })
  List<Path> calibrationCache = new ArrayList<>();

  @Option(
      names = "--method",
      paramLabel = "METHOD[:option=value,...]",
      description = {
        "How codes of weights are chosen: rtn (nearest), mse (clipped range), clip (by the error of results, as AWQ does), gptq, hqq, kquant (weighted squares, as ggml searches), seqmse, adaround (default: rtn).",
        "gptq: damping=0.01, order=natural|act, groups=current|static, grid=minmax|mse; adaround: iterations=1000, grid;",
        "kquant: steps=20, importance=weights|inputs."
      })
  String method = "rtn";

  @Option(
      names = "--equalize",
      paramLabel = "none|awq|smooth[:ALPHA|:search]|cle[:absorb]",
      description =
          "Factors between channels, before weights are coded, that leave the float model as it is; cle:absorb moves high biases to the next layer, too (default: none).")
  String equalize = "none";

  @Option(
      names = "--bias-correction",
      paramLabel = "none|fast|full",
      description = {
        "Take the mean error of each channel out of the biases: fast measures each layer alone, full in the coded model,",
        "layer by layer. Where errors on the samples would grow the old biases stay (default: none)."
      })
  String biasCorrection = "none";

  @Option(
      names = "--keep",
      paramLabel = "REGEX|name:NAME|type:OPERATOR|value:REGEX",
      description = {
        "What stays float: layers whose names an expression finds, a layer or value of a name, all nodes of an operator,",
        "or values (activations) whose names an expression finds. Can be given more than once; names as --explain has them."
      })
  List<String> keep = new ArrayList<>();

  @Option(
      names = "--repair",
      paramLabel = "sqnr=DB[,as=FORMAT]",
      description = {
        "Take the codes of those activations away that cost the most, until the worst output has this signal to noise in dB",
        "on calibration samples; they stay float, or take FORMAT (e.g. u16_affine_tensor)."
      })
  Optional<String> repair = Optional.empty();

  @Option(
      names = "--calibration-samples",
      paramLabel = "N",
      defaultValue = "100",
      description = "Use at most the last N samples (default: ${DEFAULT-VALUE}).")
  int calibrationSamples;

  @Option(
      names = "--task",
      description =
          "mnist or images: what the calibration data is. mnist implies mean .1307, std .3081.")
  Optional<String> task = Optional.empty();

  @Option(
      names = "--plan",
      paramLabel = "FILE",
      description = "Apply this plan instead of calibrating.")
  Optional<Path> plan = Optional.empty();

  @Option(
      names = "--save-plan",
      paramLabel = "FILE",
      description = "Write every decision as a text that can be read, edited and given to --plan.")
  Optional<Path> savePlan = Optional.empty();

  @Option(
      names = "--report",
      paramLabel = "FILE.html",
      description =
          "Write a page that shows each layer's noise, alone and accumulated, its distributions, and the likely causes. Needs --calibrate.")
  Optional<Path> report = Optional.empty();

  @Option(
      names = "--culprits",
      paramLabel = "DIR",
      description =
          "With --report: write each layer that it blames as a small .onnx with its quantizers, and its tensors as .npz.")
  Optional<Path> culprits = Optional.empty();

  @Option(
      names = "--data",
      paramLabel = "DIR|FILE.npz",
      description =
          "Other samples than those of --calibrate, to judge the result by: labelled with --task. Without it the calibration samples tell how far it agrees with the float model.")
  Optional<Path> data = Optional.empty();

  @Option(
      names = "--limit",
      paramLabel = "N",
      defaultValue = "1000",
      description = "Of --data the first N samples (default: ${DEFAULT-VALUE}).")
  int limit;

  @Option(
      names = "--no-timing",
      description = "Do not run the float and the quantized model, and ONNX Runtime, to time them.")
  boolean noTiming;

  boolean wanted() {
    return scheme.isPresent() || weights.isPresent() || plan.isPresent();
  }

  /** Settings of compilation that these options make. */
  CompileOptions compileOptions(CompileOptions options) {
    CompileOptions result = options;
    for (Map.Entry<String, Boolean> setting :
        Map.of(
                LowerDecode.FLOATS, decodeFloats,
                LowerDecode.PACKED, matMulNBits,
                IntegerKernels.EXPORTED, qOperator,
                LowerDecode.INT2, int2)
            .entrySet()) {
      result = setting.getValue() ? result.withSetting(setting.getKey(), "true") : result;
    }
    return result;
  }

  Quantizer.Options options(Compiler compiler, ModelOptions model, CompileOptions compile) {
    Optional<FormatFamily.Scheme> named = scheme.flatMap(compiler.registry()::scheme);
    NumberFormat format =
        compiler
            .registry()
            .format(
                weights
                    .or(() -> named.map(FormatFamily.Scheme::weights))
                    .or(() -> scheme)
                    .orElse("int8"));
    Optional<String> coded =
        activations.isPresent()
            ? activations.filter(n -> !n.equals("none"))
            : named.isPresent() ? named.get().activations() : format.activation();
    return new Quantizer.Options(
        format.id(),
        coded,
        Calibrator.parse(calibrator),
        model.backend,
        compile,
        WeightMethod.parse(method),
        ChannelFactors.parse(equalize),
        Keep.parse(keep));
  }
}
