package org.tersor.passes.quant;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.passes.Compiler;
import org.tersor.passes.graph.Names;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Finds the ranges of activations: runs the float model on samples, counts, and decides. */
final class Calibration {
  private final Compiler compiler;
  private final Graph base;
  private final Selection selection;
  private final Quantizer.Options options;
  private final List<String> reports;

  Calibration(
      Compiler compiler,
      Graph base,
      Selection selection,
      Quantizer.Options options,
      List<String> reports) {
    this.compiler = compiler;
    this.base = base;
    this.selection = selection;
    this.options = options;
    this.reports = reports;
  }

  private static String report(
      String name, NumberFormat format, Calibrator.Range range, Histogram seen) {
    return String.format(
        java.util.Locale.ROOT,
        "%s: %s over %.5g..%.5g of %.5g..%.5g, %.4f %% of %d numbers clipped",
        name,
        format.id(),
        range.min(),
        range.max(),
        seen.min(),
        seen.max(),
        100 * seen.outside(range.min(), range.max()),
        seen.total());
  }

  /**
   * Runs the samples.
   *
   * @param header takes facts
   */
  Map<String, QuantPlan.Activation> run(
      NumberFormat format,
      Iterable<Map<String, Tensor>> samples,
      Optional<CalibrationCache> before,
      Consumer<CalibrationCache> keep,
      Map<String, String> header) {
    List<Value> observed =
        selection.activations().stream().filter(v -> !selection.sharing().containsKey(v)).toList();
    CalibrationCache cache = CalibrationCache.of(hash(base));
    before.ifPresent(cache::join);
    Names names = new Names(base);
    for (Value value : observed) {
      if (!cache.samples().isEmpty() && !cache.values().containsKey(names.of(value))) {
        throw new TersorException(
            "TSR-0421",
            "the calibration file has seen nothing of '"
                + names.of(value)
                + "': it is of other formats or options; calibrate again");
      }
    }
    Set<String> known = Set.copyOf(cache.samples());
    Observed executable =
        new Observed(compiler, base, observed, options.backend(), Quantizer.quiet(options));
    int count = known.size();
    for (Map<String, Tensor> sample : samples) {
      String hash = SampleSet.hash(sample, 0, 1);
      if (known.contains(hash)) {
        continue;
      }
      executable.run(sample).forEach((value, tensor) -> cache.value(names.of(value)).add(tensor));
      cache.samples().add(hash);
      count++;
    }
    if (count == 0) {
      throw new TersorException(
          "TSR-0413", "calibration needs at least one sample; none was given");
    }
    keep.accept(cache);
    Calibrator.Codes codes = ActivationGrid.codes(format);
    Map<String, QuantPlan.Activation> activations = new TreeMap<>();
    for (Value value : selection.activations()) {
      Value source = value;
      while (selection.sharing().containsKey(source)) {
        source = selection.sharing().get(source);
      }
      Histogram histogram = cache.values().get(names.of(source));
      if (histogram == null) {
        continue;
      }
      if (histogram.notFinite() > 0 && source.equals(value)) {
        options
            .compile()
            .note()
            .accept(
                "calibration: "
                    + histogram.notFinite()
                    + " infinities or NaNs in '"
                    + names.of(value)
                    + "' are left out of its range");
      }
      Calibrator.Range range = options.calibrator().range(histogram, codes);
      reports.add(report(names.of(value), format, range, histogram));
      activations.put(names.of(value), ActivationGrid.fit(format, range.min(), range.max()));
    }
    header.put("calibrator", options.calibrator().text());
    return activations;
  }

  /** What the histograms depend on: names and constants of the float graph. */
  static String hash(Graph base) {
    MessageDigest digest = Checksums.sha256();
    Names names = new Names(base);
    base.nodes()
        .forEach(
            node -> digest.update((node.op() + names.of(node)).getBytes(StandardCharsets.UTF_8)));
    for (Map.Entry<Value, Constant> entry : base.constants().entrySet()) {
      if (entry.getValue().dtype().isFloat()) {
        digest.update(Checksums.of(entry.getValue().load()).getBytes(StandardCharsets.UTF_8));
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }
}
