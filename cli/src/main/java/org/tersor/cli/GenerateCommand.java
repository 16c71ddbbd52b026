package org.tersor.cli;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import org.tersor.cli.text.LanguageModel;
import org.tersor.cli.text.Sampler;
import org.tersor.cli.text.Tokenizers;
import org.tersor.conformance.LoadedModel;
import org.tersor.ir.spi.Tokenizer;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Session;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code tersor generate}: text from a language model, token by token. */
@Command(
    name = "generate",
    description = {
      "Continues a text with a language model: a .gguf, or an .onnx that takes tokens and, for a cache, past_key_values.* and gives present.*.",
      "The tokenizer is the one that the model carries; models exported by Tersor keep it."
    })
final class GenerateCommand implements Callable<Integer> {
  @Mixin ModelOptions options;

  @Option(names = "--prompt", description = "The text to continue (default: none).")
  String prompt = "";

  @Option(
      names = "--tokens",
      paramLabel = "N",
      defaultValue = "200",
      description = "Tokens to add at most (default: ${DEFAULT-VALUE}).")
  int tokens;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      defaultValue = "0",
      description =
          "0: always the most likely token; else they are drawn, by --seed (default: ${DEFAULT-VALUE}).")
  double temperature;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      defaultValue = "1",
      description =
          "Draw among the most likely tokens that together have probability P (default: ${DEFAULT-VALUE}).")
  double topP;

  @Option(
      names = "--tokenizer",
      paramLabel = "MODEL",
      description = "A model that carries the tokenizer, where MODEL does not.")
  Optional<Path> tokenizer = Optional.empty();

  @Override
  public Integer call() {
    if (tokens < 0 || !(temperature >= 0) || !(topP > 0 && topP <= 1)) {
      throw new TersorException(
          "TSR-0906", "--tokens and --temperature are not negative, --top-p is above 0 up to 1");
    }
    Compiler compiler = options.common.compiler();
    Tokenizer cuts =
        Tokenizers.of(
            compiler.registry(),
            tokenizer.isPresent() || !options.isArtifact()
                ? options.read(compiler, tokenizer.orElse(options.model)).metadata()
                : Map.of(),
            tokenizer.orElse(options.model).toString());
    List<Integer> ids = new ArrayList<>(cuts.begin().stream().toList());
    for (int id : cuts.encode(prompt)) {
      ids.add(id);
    }
    if (ids.isEmpty()) {
      throw new TersorException(
          "TSR-0906", "the tokenizer has no token to begin with: give a --prompt");
    }
    int given = ids.size();
    LoadedModel loaded = load(compiler, given + tokens);
    LanguageModel calls = LanguageModel.of(loaded.executable());
    Sampler sampler = new Sampler(temperature, topP, new SplittableRandom(options.seed));
    Printer printer = new Printer(cuts);
    for (int i = cuts.begin().isPresent() ? 1 : 0; i < given; i++) {
      printer.add(ids.get(i));
    }
    long start = System.nanoTime();
    long afterFirst = start;
    Session session = calls.session(loaded.executable());
    int past = 0;
    String end = "length";
    for (int n = 0; n < tokens; n++) {
      int from = calls.cache().isEmpty() ? 0 : past;
      int[] call = ids.subList(from, ids.size()).stream().mapToInt(id -> id).toArray();
      Map<String, Tensor> outputs = session.run(calls.inputs(call, from, Map.of()));
      past = ids.size();
      Tensor logits = outputs.get(calls.logits().name());
      if (logits == null) {
        throw new TersorException("TSR-0909", "the model gave no logits");
      }
      int next = sampler.next(logits);
      if (n == 0) {
        afterFirst = System.nanoTime();
      }
      if (cuts.ends().contains(next) || cuts.begin().equals(Optional.of(next))) {
        end = "end token";
        break;
      }
      ids.add(next);
      printer.add(next);
    }
    double seconds = (System.nanoTime() - afterFirst) / 1e9;
    printer.finish();
    report(loaded, printer, ids, given, end, (afterFirst - start) / 1e9, seconds);
    return Exit.OK;
  }

  /** With a cache that is updated in place, if the model's can be. */
  private LoadedModel load(Compiler compiler, int entries) {
    if (options.isArtifact()
        || options.stateCapacity.isPresent()
        || options.targets(compiler).isEmpty()) {
      return options.load(compiler);
    }
    try {
      options.stateCapacity = Optional.of(entries);
      return options.load(compiler);
    } catch (TersorException e) {
      if (!e.code().equals("TSR-0512")) {
        throw e;
      }
      options.stateCapacity = Optional.empty();
      options.note(String.valueOf(e.getMessage()));
      return options.load(compiler);
    }
  }

  private void report(
      LoadedModel loaded,
      Printer printer,
      List<Integer> ids,
      int given,
      String end,
      double first,
      double seconds) {
    int added = ids.size() - given;
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("prompt", prompt);
    json.put("text", printer.text.toString());
    json.put("promptTokens", ids.subList(0, given));
    json.put("tokens", ids.subList(given, ids.size()));
    json.put("end", end);
    json.put("seed", options.seed);
    json.put("temperature", temperature);
    json.put("backend", loaded.backend());
    json.put("firstTokenSeconds", first);
    json.put("tokensPerSecond", added > 1 && seconds > 0 ? (added - 1) / seconds : 0);
    options.common.sayJson(json);
  }

  /** Prints characters as soon as all of their bytes are there. */
  private final class Printer {
    private final Tokenizer cuts;
    private final ByteArrayOutputStream waiting = new ByteArrayOutputStream();
    private final StringBuilder text = new StringBuilder();
    private boolean first = true;

    Printer(Tokenizer cuts) {
      this.cuts = cuts;
    }

    void add(int id) {
      if (id >= cuts.size()) {
        throw new TersorException(
            "TSR-0908", "the model gave token " + id + "; its tokenizer has " + cuts.size());
      }
      waiting.writeBytes(cuts.bytes(id, first));
      first = false;
      byte[] bytes = waiting.toByteArray();
      int whole = wholeCharacters(bytes);
      print(new String(bytes, 0, whole, StandardCharsets.UTF_8));
      waiting.reset();
      waiting.write(bytes, whole, bytes.length - whole);
    }

    void finish() {
      print(waiting.toString(StandardCharsets.UTF_8));
      if (!options.common.json) {
        options.common.out().println();
        options.common.out().flush();
      }
    }

    private void print(String part) {
      text.append(part);
      if (!options.common.json) {
        options.common.out().print(part);
        options.common.out().flush();
      }
    }

    /** Bytes before a character at the end of which some are missing. */
    private static int wholeCharacters(byte[] bytes) {
      for (int back = 1; back <= Math.min(3, bytes.length); back++) {
        int b = bytes[bytes.length - back] & 255;
        int needed = b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : b >= 0xc0 ? 2 : 1;
        if (b >= 0xc0) {
          return needed > back ? bytes.length - back : bytes.length;
        }
        if (b < 0x80) {
          return bytes.length;
        }
      }
      return bytes.length;
    }
  }
}
