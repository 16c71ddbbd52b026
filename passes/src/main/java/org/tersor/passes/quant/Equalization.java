package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.spi.Pass;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.equalize.Rotate;
import org.tersor.passes.equalize.SplitOutliers;
import org.tersor.passes.graph.ChannelScales;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** A change of a float graph before it is quantized; its function stays. */
public sealed interface Equalization {
  /** As {@link #parse} reads it. */
  String text();

  /** Whether calibration samples are needed. */
  boolean needsData();

  /**
   * What equalizations work with.
   *
   * @param samples for calibration, each one call of the model
   * @param backend runs the float model during calibration
   * @param kept layers that will not be quantized
   */
  record Context(
      Compiler compiler,
      Iterable<Map<String, Tensor>> samples,
      String backend,
      CompileOptions options,
      Predicate<Node> kept) {

    private ChannelRanges ranges(Graph base, Collection<Value> values) {
      return ChannelRanges.measure(compiler, base, values, samples, backend, options);
    }

    private void note(String text) {
      options.note().accept(text);
    }

    /** Where factors between channels can be placed, layers to keep left out. */
    List<ChannelScales> places(Graph base) {
      return base.nodes().stream()
          .filter(n -> n.op().is("MatMul") || n.op().is("Gemm"))
          .map(n -> n.input(0))
          .distinct()
          .flatMap(value -> ChannelScales.at(base, value).stream())
          .filter(place -> place.readers().stream().noneMatch(kept))
          .toList();
    }

    private Graph scaled(Graph base, Map<Value, double[]> factors) {
      Graph current = base;
      for (Map.Entry<Value, double[]> entry : factors.entrySet()) {
        current =
            ChannelScales.at(current, entry.getKey())
                .orElseThrow()
                .apply(current, entry.getValue());
      }
      return compiler.run(List.of(new TypeInference()), current, options);
    }

    private Graph run(Graph base, Pass pass) {
      return compiler.run(List.of(new TypeInference(), pass, new TypeInference()), base, options);
    }
  }

  /**
   * Changes a graph.
   *
   * @param base prepared
   */
  Graph apply(Graph base, Context context);

  /** {@link Rotate}. */
  record Rotation(long seed, Rotate.Parts parts) implements Equalization {
    @Override
    public String text() {
      List<String> names = new ArrayList<>();
      if (parts.residual()) {
        names.add("residual");
      }
      if (parts.heads()) {
        names.add("heads");
      }
      if (parts.online()) {
        names.add("online");
      }
      return "rotate:seed=" + seed + ",parts=" + String.join("+", names);
    }

    @Override
    public boolean needsData() {
      return false;
    }

    @Override
    public Graph apply(Graph base, Context context) {
      return context.run(base, new Rotate(seed, parts));
    }
  }

  /**
   * SmoothQuant (Xiao et al., arXiv 2211.10438) into norms, and where asked for into a layer whose
   * result is a factor of what others read.
   */
  record Smoothing(double alpha, boolean products) implements Equalization {
    @Override
    public String text() {
      return "smooth:alpha=" + alpha + ",products=" + products;
    }

    @Override
    public boolean needsData() {
      return true;
    }

    @Override
    public Graph apply(Graph base, Context context) {
      List<ChannelScales> places =
          context.places(base).stream().filter(p -> products || p.ofGains()).toList();
      ChannelRanges ranges =
          context.ranges(base, places.stream().map(ChannelScales::value).toList());
      Map<Value, double[]> factors = new LinkedHashMap<>();
      for (ChannelScales place : places) {
        double[] peaks = ranges.largest().get(place.value());
        if (peaks != null) {
          factors.put(place.value(), FactorSearch.smoothing(peaks, place.readerPeaks(base), alpha));
        }
      }
      long gains = places.stream().filter(ChannelScales::ofGains).count();
      context.note(
          "smooth: "
              + gains
              + " norms and "
              + (places.size() - gains)
              + " products are smoothed with alpha "
              + alpha);
      return context.scaled(base, factors);
    }
  }

  /** {@link SplitOutliers}. */
  record Outliers(double threshold) implements Equalization {
    @Override
    public String text() {
      return "outliers:threshold=" + threshold;
    }

    @Override
    public boolean needsData() {
      return true;
    }

    @Override
    public Graph apply(Graph base, Context context) {
      ChannelRanges ranges = context.ranges(base, SplitOutliers.inputs(base));
      return context.run(base, new SplitOutliers(threshold, ranges.largest()));
    }
  }

  /** {@link AwqSearch}. */
  record Awq(String format, int samples) implements Equalization {
    @Override
    public String text() {
      return "awq:format=" + format + ",samples=" + samples;
    }

    @Override
    public boolean needsData() {
      return true;
    }

    @Override
    public Graph apply(Graph base, Context context) {
      Map<Value, double[]> scales =
          new AwqSearch(context, base, context.compiler().registry().format(format))
              .search(samples);
      context.note("awq: the inputs of " + scales.size() + " groups of layers are scaled");
      return context.scaled(base, scales);
    }
  }

  /**
   * Reads {@code rotate[:seed=N,parts=residual+heads+online]}, {@code
   * smooth[:alpha=A,products=true|false]}, {@code outliers[:threshold=T]} and {@code
   * awq:format=FORMAT[,samples=N]}.
   */
  static Equalization parse(String text) {
    int colon = text.indexOf(':');
    String name = colon < 0 ? text : text.substring(0, colon);
    Map<String, String> options = new TreeMap<>();
    for (String part : colon < 0 ? new String[0] : text.substring(colon + 1).split(",", -1)) {
      String[] sides = part.split("=", 2);
      if (sides.length != 2 || options.put(sides[0], sides[1]) != null) {
        throw wrong(text);
      }
    }
    try {
      Equalization result =
          switch (name) {
            case "rotate" -> {
              String parts = options.getOrDefault("parts", "residual+heads+online");
              List<String> wanted = List.of(parts.split("\\+", -1));
              if (!List.of("residual", "heads", "online").containsAll(wanted)) {
                throw wrong(text);
              }
              yield new Rotation(
                  Long.parseLong(options.getOrDefault("seed", "1")),
                  new Rotate.Parts(
                      wanted.contains("residual"),
                      wanted.contains("heads"),
                      wanted.contains("online")));
            }
            case "smooth" -> {
              double alpha = Double.parseDouble(options.getOrDefault("alpha", "0.5"));
              if (!(alpha >= 0 && alpha <= 1)) {
                throw wrong(text);
              }
              yield new Smoothing(
                  alpha, Boolean.parseBoolean(options.getOrDefault("products", "false")));
            }
            case "outliers" -> {
              double threshold = Double.parseDouble(options.getOrDefault("threshold", "6"));
              if (!(threshold > 0)) {
                throw wrong(text);
              }
              yield new Outliers(threshold);
            }
            case "awq" ->
                new Awq(
                    Optional.ofNullable(options.get("format")).orElseThrow(() -> wrong(text)),
                    Integer.parseInt(options.getOrDefault("samples", "16")));
            default -> throw wrong(text);
          };
      List<String> known =
          switch (result) {
            case Rotation r -> List.of("seed", "parts");
            case Smoothing s -> List.of("alpha", "products");
            case Outliers o -> List.of("threshold");
            case Awq a -> List.of("format", "samples");
          };
      if (!known.containsAll(options.keySet())) {
        throw wrong(text);
      }
      return result;
    } catch (NumberFormatException e) {
      throw wrong(text);
    }
  }

  private static TersorException wrong(String text) {
    return new TersorException(
        "TSR-0430",
        "unknown equalization '"
            + text
            + "'; there are rotate:seed=N,parts=residual+heads+online,"
            + " smooth:alpha=A,products=true|false, outliers:threshold=T and"
            + " awq:format=FORMAT,samples=N");
  }
}
