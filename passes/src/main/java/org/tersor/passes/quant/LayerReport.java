package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.spi.PassContext;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.Pipelines;
import org.tersor.passes.graph.IntegerKernels;
import org.tersor.passes.graph.Names;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** What became of each layer of a quantized model. */
record LayerReport(Compiler compiler, Quantizer.Quantized quantized, CompileOptions options) {

  /** Why an operand in codes is no factor of integers. */
  private static final String STORED = "it is decoded before it is used";

  /** What became of every layer that has weights, in order of the graph. */
  List<Quantizer.Layer> layers() {
    Graph base = quantized.base();
    Graph lowered =
        compiler.run(Pipelines.beforeKernels(), quantized.graph(), Quantizer.quiet(options));
    Map<Integer, IntegerKernels.Choice> choices = new HashMap<>();
    PassContext context =
        new PassContext(compiler.registry().operators(), options.settings(), note -> {});
    for (IntegerKernels.Choice choice : IntegerKernels.choices(lowered, context)) {
      choices.put(choice.layer().id(), choice);
    }
    List<Quantizer.Layer> layers = new ArrayList<>();
    for (Operand operand : Operand.of(base, context.operators())) {
      if (base.constant(operand.value()).isPresent()) {
        layers.add(
            operand.stored()
                ? stored(operand)
                : layer(operand, Optional.ofNullable(choices.get(operand.node().id()))));
      }
    }
    return layers;
  }

  private Quantizer.Layer stored(Operand operand) {
    Optional<String> format = format(operand);
    return new Quantizer.Layer(
        operand.name(),
        operand.node().op().type(),
        format,
        Optional.empty(),
        format.isPresent() ? STORED : left(operand.node()));
  }

  private Quantizer.Layer layer(Operand operand, Optional<IntegerKernels.Choice> found) {
    Optional<IntegerKernels.Choice> choice = found.filter(c -> format(operand).isPresent());
    boolean coded = !quantized.plan().activations().isEmpty();
    return new Quantizer.Layer(
        operand.name(),
        operand.node().op().type(),
        choice.flatMap(c -> format(operand)),
        choice.flatMap(IntegerKernels.Choice::kernel),
        choice
            .map(c -> c.kernel().isPresent() || coded ? c.why() : Quantizer.FLOAT_ACTIVATIONS)
            .orElseGet(() -> left(operand.node())));
  }

  private Optional<String> format(Operand operand) {
    return Optional.ofNullable(quantized.plan().weights().get(operand.name()));
  }

  /** Why a weight has no line in a plan. */
  private String left(Node node) {
    QuantPlan plan = quantized.plan();
    return plan.weights().values().stream()
        .distinct()
        .flatMap(format ->
            Optional.ofNullable(
                Selection.of(
                        quantized.base(),
                        compiler.registry().operators(),
                        compiler.registry().format(format).definition(),
                        !plan.activations().isEmpty(),
                        Keep.NONE)
                    .left()
                    .get(node))
                .stream())
        .findFirst()
        .orElse("the plan leaves it out");
  }

  /**
   * Error of every quantized layer, worst first, over some samples. It is measured in the graph
   * that is executed, integer kernels included: where the layer's result is quantized, after its
   * quantizer, because what is before it does not exist outside of the kernel.
   */
  List<Quantizer.LayerError> errors(Iterable<Map<String, Tensor>> samples, String backend) {
    Graph base = quantized.base();
    Names names = new Names(base);
    Map<Value, Value> executed = new LinkedHashMap<>();
    Map<Value, String> layers = new LinkedHashMap<>();
    for (Operand operand : Operand.of(base, compiler.registry().operators())) {
      if (format(operand).isEmpty()) {
        continue;
      }
      Node node = operand.node();
      Value own = node.outputs().stream().filter(Value::isPresent).findFirst().orElseThrow();
      Value result = operand.stored() ? own : Selection.tail(base, node);
      Optional<Value> quantizer =
          Shadows.quantizer(quantized.graph(), result).map(n -> n.output(0));
      Value output = quantizer.isPresent() ? result : own;
      if (base.type(output) instanceof TensorType type && type.dtype() == DType.F32) {
        layers.put(output, names.of(node));
        executed.put(output, quantizer.orElse(output));
      }
    }
    CompileOptions compile = Quantizer.quiet(options);
    Observed exact = new Observed(compiler, base, layers.keySet(), backend, compile);
    Observed coded = new Observed(compiler, quantized.graph(), executed.values(), backend, compile);
    Map<Value, double[]> sums = new LinkedHashMap<>();
    for (Map<String, Tensor> sample : samples) {
      Map<Value, Tensor> results = coded.run(sample);
      exact
          .run(sample)
          .forEach((value, tensor) -> {
            Tensor actual = results.getOrDefault(executed.getOrDefault(value, value), tensor);
            double[] sum = sums.computeIfAbsent(value, v -> new double[2]);
            for (int i = 0; i < tensor.size(); i++) {
              double x = tensor.getDouble(i);
              double e = x - actual.getDouble(i);
              sum[0] += x * x;
              sum[1] += e * e;
            }
          });
    }
    List<Quantizer.LayerError> errors = new ArrayList<>();
    sums.forEach((value, sum) ->
        errors.add(
            new Quantizer.LayerError(
                names.of(value),
                layers.getOrDefault(value, ""),
                10 * Math.log10(sum[0] / sum[1]))));
    errors.sort(java.util.Comparator.comparingDouble(Quantizer.LayerError::sqnr));
    return errors;
  }
}
