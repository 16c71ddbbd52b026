package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.cli.text.LanguageModel;
import org.tersor.cli.text.Perplexity;
import org.tersor.cli.text.TextProtocol;
import org.tersor.cli.text.Tokenizers;
import org.tersor.conformance.LoadedModel;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.spi.Tokenizer;
import org.tersor.passes.Compiler;
import org.tersor.passes.eval.Ports;
import org.tersor.passes.quant.SampleSet;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** {@code tersor eval --task perplexity}. */
record PerplexityTask(
    ModelOptions options,
    Compiler compiler,
    Path data,
    TextProtocol protocol,
    Optional<Recipe> recipe,
    TextProtocol calibration,
    Optional<Path> save) {

  /**
   * @param tokenizer a model that carries one; empty: the evaluated model does
   * @param reference runs on the same backend; an artifact's or ONNX Runtime's on {@code jvm}
   */
  int run(Optional<Path> tokenizer, Optional<Path> reference) throws IOException {
    LoadedModel loaded = recipe.isPresent() ? quantized(recipe.get()) : options.load(compiler);
    Optional<Executable> other = reference.map(this::reference);
    Path carrier =
        tokenizer.or(() -> reference.filter(r -> options.isArtifact())).orElse(options.model);
    Tokenizer cuts =
        Tokenizers.of(
            compiler.registry(),
            carrier.equals(options.model)
                ? loaded.graph().metadata()
                : options.read(compiler, carrier).metadata(),
            carrier.toString());
    return report(loaded, other, protocol.tokens(data, cuts));
  }

  /** Quantizes the model before it is measured; calibration texts are cut by its own tokenizer. */
  private LoadedModel quantized(Recipe recipe) throws IOException {
    if (options.isArtifact() || options.backend.equals("ort")) {
      throw new TersorException(
          "TSR-0906", "--recipe needs a model file and a backend of Tersor, to quantize it");
    }
    Graph imported = options.read(compiler);
    List<Map<String, Tensor>> samples = new ArrayList<>();
    if (recipe.needsData()) {
      Graph prepared = compiler.prepare(imported, options.compileOptions());
      LanguageModel calls = LanguageModel.of(Ports.inputs(prepared), Ports.outputs(prepared));
      Tokenizer cuts =
          Tokenizers.of(compiler.registry(), imported.metadata(), options.model.toString());
      calibration.tokens(data, cuts).forEach(ids -> samples.add(calls.inputs(ids)));
    }
    Graph graph =
        recipe.apply(compiler, imported, samples, options.backend, options.compileOptions());
    options.common.notes(options.notes());
    if (save.isPresent()) {
      compiler.write(compiler.exportable(graph, options.compileOptions()), save.get(), Map.of());
    }
    return LoadedModel.prepared(compiler, graph, options.backend, options.compileOptions());
  }

  private Executable reference(Path file) {
    boolean foreign = options.isArtifact() || options.backend.equals("ort");
    return LoadedModel.of(
            compiler,
            options.read(compiler, file),
            foreign ? "jvm" : options.backend,
            options.compileOptions())
        .executable();
  }

  private int report(LoadedModel loaded, Optional<Executable> other, List<int[]> texts) {
    List<Perplexity> results = new ArrayList<>();
    long start = System.nanoTime();
    options.common.withProgress(
        "evaluating",
        texts.size(),
        step -> results.add(Perplexity.measure(loaded.executable(), other, texts, step)));
    Perplexity result = results.getFirst();
    SampleSet used = new SampleSet();
    LanguageModel calls = LanguageModel.of(loaded.executable());
    texts.forEach(ids -> used.add(calls.inputs(ids)));
    Map<String, Object> json = new LinkedHashMap<>(result.json());
    json.put("samples", Calibrated.warn(options, loaded, used));
    json.put("protocol", protocol.text());
    if (recipe.isPresent()) {
      json.put("calibration", calibration.text());
      json.put("notes", options.notes());
    }
    json.put("backend", loaded.backend());
    json.put("seconds", (System.nanoTime() - start) / 1e9);
    options.common.sayJson(json);
    options.common.say(
        "%s on %s: perplexity %.5f of %d tokens in %d texts%s",
        options.model.getFileName(),
        loaded.backend(),
        result.perplexity(),
        result.tokens(),
        result.texts(),
        result.reference().isPresent() ? "" : spread(result));
    result
        .reference()
        .ifPresent(r ->
            options.common.say(
                "  reference %.5f, difference %+.5f%s, KL %.6f nats, top-1 agreement %.2f %%,"
                    + " ln p changes by at most %.2g",
                r.perplexity(),
                result.perplexity() - r.perplexity(),
                spread(result),
                r.kl(),
                100 * r.agreement(),
                r.largestChange()));
    return Exit.OK;
  }

  /** One text has no spread. */
  private static String spread(Perplexity result) {
    return result.texts() < 2
        ? ""
        : String.format(java.util.Locale.ROOT, " ± %.5f", result.error());
  }
}
