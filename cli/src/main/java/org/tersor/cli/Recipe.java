package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.ModelMetadata;
import org.tersor.ir.graph.Node;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.equalize.SplitOutliers;
import org.tersor.passes.graph.DynamicActivations;
import org.tersor.passes.graph.DynamicGrid;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.ChannelFactors;
import org.tersor.passes.quant.Equalization;
import org.tersor.passes.quant.QuantPlan;
import org.tersor.passes.quant.Quantizer;
import org.tersor.passes.quant.SampleSet;
import org.tersor.passes.quant.method.WeightMethod;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * How a float model becomes a quantized one, as words {@code name=value} in a text or a file.
 *
 * @param equalizations made first, in order
 * @param weights number format of weights; empty: they stay float
 * @param method that chooses codes of weights
 * @param activations static number format of what layers read; empty: float or dynamic
 * @param dynamic bits of what layers read, on a grid for each row; empty: float or static
 * @param keep layers whose names this finds stay as they are
 */
record Recipe(
    List<Equalization> equalizations,
    Optional<String> weights,
    WeightMethod method,
    Optional<String> activations,
    Calibrator calibrator,
    Optional<Integer> dynamic,
    Optional<Pattern> keep) {

  /** Reads a file of that name, else the text itself. {@code #} begins a comment in a file. */
  static Recipe read(String text) throws IOException {
    boolean file = !text.contains("=") || Files.isRegularFile(Path.of(text));
    if (file && !Files.isRegularFile(Path.of(text))) {
      throw new TersorException("TSR-0902", "there is no recipe file " + text);
    }
    return parse(file ? Files.readString(Path.of(text)) : text);
  }

  static Recipe parse(String text) {
    List<Equalization> equalizations = new ArrayList<>();
    Map<String, String> words = new TreeMap<>();
    for (String line : text.split("\r?\n", -1)) {
      String plain = line.replaceFirst("(^|\\s)#.*", "").strip();
      for (String word : plain.isEmpty() ? new String[0] : plain.split("\\s+", -1)) {
        int equals = word.indexOf('=');
        String name = equals < 1 ? "" : word.substring(0, equals);
        String value = word.substring(equals + 1);
        if (name.equals("equalize")) {
          equalizations.add(Equalization.parse(value));
        } else if (!List.of("weights", "method", "activations", "calibrator", "dynamic", "keep")
                .contains(name)
            || words.put(name, value) != null) {
          throw wrong(word);
        }
      }
    }
    if (words.containsKey("activations") && words.containsKey("dynamic")) {
      throw wrong("dynamic=" + words.get("dynamic"));
    }
    try {
      return new Recipe(
          List.copyOf(equalizations),
          Optional.ofNullable(words.get("weights")),
          WeightMethod.parse(words.getOrDefault("method", "rtn")),
          Optional.ofNullable(words.get("activations")),
          Calibrator.parse(words.getOrDefault("calibrator", "minmax")),
          Optional.ofNullable(words.get("dynamic"))
              .map(Integer::parseInt)
              .filter(bits -> bits >= 2 && bits <= 16),
          Optional.ofNullable(words.get("keep")).map(Pattern::compile));
    } catch (NumberFormatException | PatternSyntaxException e) {
      throw wrong(String.valueOf(e.getMessage()));
    }
  }

  private static TersorException wrong(String word) {
    return new TersorException(
        "TSR-0431",
        "a recipe has words equalize=HOW (any number), weights=FORMAT, method=HOW,"
            + " activations=FORMAT, calibrator=HOW, dynamic=BITS and keep=REGEX, each once and activations or dynamic;"
            + " not '"
            + word
            + "'");
  }

  boolean needsData() {
    return activations.isPresent()
        || method.needsInputs()
        || equalizations.stream().anyMatch(Equalization::needsData);
  }

  /**
   * The quantized graph; its metadata tell which samples were used.
   *
   * @param data for calibration
   */
  Graph apply(
      Compiler compiler,
      Graph imported,
      Iterable<Map<String, Tensor>> data,
      String backend,
      CompileOptions compile) {
    SampleSet used = new SampleSet();
    Iterable<Map<String, Tensor>> samples = used.watching(data);
    Quantizer quantizer = new Quantizer(compiler);
    Graph base = quantizer.base(imported, compile);
    for (Equalization equalization : equalizations) {
      base =
          equalization.apply(
              base, new Equalization.Context(compiler, samples, backend, compile, this::isKept));
    }
    Graph result = base;
    if (weights.isPresent()) {
      Quantizer.Options options =
          new Quantizer.Options(
              compiler.registry().format(weights.get()).id(),
              activations,
              calibrator,
              backend,
              compile,
              method,
              ChannelFactors.parse("none"));
      Quantizer.Decisions decisions = kept(base, quantizer.decide(base, samples, options), compile);
      decisions.reports().forEach(report -> compile.note().accept("method: " + report));
      result = quantizer.apply(base, decisions, compile);
    }
    if (dynamic.isPresent()) {
      Graph layers = base;
      result =
          compiler.run(
              List.of(
                  new org.tersor.passes.infer.TypeInference(),
                  new DynamicActivations(
                      DynamicGrid.rows(dynamic.get()),
                      node -> isLayer(layers, node) && !isKept(node))),
              result,
              compile);
    }
    Map<String, String> facts = new TreeMap<>();
    used.header().forEach((key, value) -> facts.put(ModelMetadata.TERSOR + key, value));
    return ModelMetadata.with(result, facts);
  }

  private boolean isKept(Node node) {
    return isKept(node.name());
  }

  private boolean isKept(String name) {
    return name.endsWith(SplitOutliers.SUFFIX)
        || keep.filter(k -> k.matcher(name).find()).isPresent();
  }

  /** A product of something computed with constant weights, as the float graph has it. */
  private static boolean isLayer(Graph base, Node node) {
    return (node.op().is("MatMul") || node.op().is("Gemm"))
        && base.constant(node.input(0)).isEmpty()
        && base.nodes().stream()
            .filter(n -> n.id() == node.id())
            .anyMatch(n -> base.constant(n.input(1)).isPresent());
  }

  /** Leaves out the layers to keep, and of activations all but what the other layers read. */
  private Quantizer.Decisions kept(
      Graph base, Quantizer.Decisions decisions, CompileOptions compile) {
    QuantPlan plan = decisions.plan();
    Map<String, String> chosen = new TreeMap<>(plan.weights());
    List<String> left = chosen.keySet().stream().filter(this::isKept).toList();
    chosen.keySet().removeAll(left);
    Map<String, QuantPlan.Activation> read = new TreeMap<>();
    for (Node node : base.nodes()) {
      if (isLayer(base, node) && !isKept(node)) {
        QuantPlan.Activation activation =
            plan.activations().get(Quantizer.name(base, node.input(0)));
        if (activation != null) {
          read.put(Quantizer.name(base, node.input(0)), activation);
        }
      }
    }
    compile
        .note()
        .accept(
            "recipe: "
                + chosen.size()
                + " weights and "
                + read.size()
                + " activations are quantized; kept as they are: "
                + left);
    Map<String, QuantPlan.Choice> choices = new TreeMap<>(plan.choices());
    choices.keySet().removeAll(left);
    return new Quantizer.Decisions(
        new QuantPlan(plan.header(), read, chosen, choices, plan.scales()),
        decisions.codes(),
        decisions.factors(),
        decisions.reports().stream()
            .filter(report ->
                java.util.stream.Stream.concat(chosen.keySet().stream(), read.keySet().stream())
                    .anyMatch(name -> report.startsWith(name + ":")))
            .toList());
  }
}
