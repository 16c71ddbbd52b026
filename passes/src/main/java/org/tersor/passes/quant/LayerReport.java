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
import org.tersor.ir.op.WeightLayout;
import org.tersor.ir.spi.PassContext;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.Pipelines;
import org.tersor.passes.graph.IntegerKernels;
import org.tersor.passes.graph.Names;
import org.tersor.passes.infer.TypeInference;
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
    TypeInference.Inferred inferred = TypeInference.infer(base, context.operators(), note -> {});
    Names names = new Names(base);
    List<Quantizer.Layer> layers = new ArrayList<>();
    for (Node node : base.nodes()) {
      String name = names.of(node);
      List<WeightLayout> stored =
          context
              .operators()
              .find(node.op())
              .map(o -> o.stored(inferred.scope().context(node)))
              .orElse(List.of());
      for (WeightLayout layout : stored) {
        Optional<String> format =
            Optional.ofNullable(quantized.plan().weights().get(names.of(node, layout.input())));
        if (base.constant(node.input(layout.input())).isPresent()) {
          layers.add(
              new Quantizer.Layer(
                  names.of(node, layout.input()),
                  node.op().type(),
                  format,
                  Optional.empty(),
                  format.isPresent() ? STORED : left(base, node, quantized.plan())));
        }
      }
      boolean weighted =
          context
              .operators()
              .find(node.op())
              .flatMap(o -> o.weights(inferred.scope().context(node)))
              .filter(l -> base.constant(node.input(l.input())).isPresent())
              .isPresent();
      IntegerKernels.Choice choice = choices.get(node.id());
      if (choice != null && quantized.plan().weights().containsKey(name)) {
        Optional<String> format = Optional.ofNullable(quantized.plan().weights().get(name));
        boolean coded = !quantized.plan().activations().isEmpty();
        layers.add(
            new Quantizer.Layer(
                name,
                node.op().type(),
                format,
                choice.kernel(),
                choice.kernel().isPresent() || coded ? choice.why() : Quantizer.FLOAT_ACTIVATIONS));
      } else if (weighted) {
        String why = left(base, node, quantized.plan());
        layers.add(
            new Quantizer.Layer(name, node.op().type(), Optional.empty(), Optional.empty(), why));
      }
    }
    return layers;
  }

  /** Why a weight has no line in a plan. */
  private String left(Graph base, Node node, QuantPlan plan) {
    return plan.weights().values().stream()
        .distinct()
        .flatMap(format ->
            Optional.ofNullable(
                Selection.of(
                        base,
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
    for (Node node : base.nodes()) {
      if (!quantized.plan().weights().containsKey(names.of(node))) {
        continue;
      }
      Value result = Selection.tail(base, node);
      Optional<Value> quantizer =
          Shadows.quantizer(quantized.graph(), result).map(n -> n.output(0));
      Value output = quantizer.isPresent() ? result : node.output(0);
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
