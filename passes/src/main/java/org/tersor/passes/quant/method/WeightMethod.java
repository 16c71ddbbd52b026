package org.tersor.passes.quant.method;

import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.tersor.runtime.TersorException;

/**
 * How codes and grids of a weight are chosen. A method sees a matrix, a number format by its fit
 * and code, and where it needs them the inputs of the layer.
 */
public sealed interface WeightMethod permits Rounding, Gptq, Hqq, KQuant, SequentialMse, AdaRound {
  /** The method with its options, as {@link #parse} reads it. */
  String text();

  /** Whether it learns from inputs of the layer. */
  boolean needsInputs();

  /** Whether it compares with the results of the float layer on the inputs of the float model. */
  default boolean needsTargets() {
    return false;
  }

  WeightProblem.Coded choose(WeightProblem problem);

  /**
   * Reads {@code NAME} or {@code NAME:option=value,...}: {@code rtn} (grid), {@code mse}, {@code
   * gptq} (damping, order, groups, grid), {@code hqq}, {@code kquant} (steps, importance), {@code
   * seqmse} (candidates, least), {@code clip} (seqmse as AWQ does it), {@code adaround}
   * (iterations, grid).
   */
  static WeightMethod parse(String text) {
    int colon = text.indexOf(':');
    String name = (colon < 0 ? text : text.substring(0, colon)).strip().toLowerCase(Locale.ROOT);
    Settings settings = new Settings(text, colon < 0 ? "" : text.substring(colon + 1));
    WeightMethod method =
        switch (name) {
          case "rtn" -> new Rounding(settings.search("minmax"));
          case "mse" -> new Rounding(true);
          case "gptq" ->
              new Gptq(
                  settings.number("damping", 0.01, 0, 1e6),
                  settings.choice("order", "natural", "act").equals("act"),
                  settings.choice("groups", "current", "static").equals("static"),
                  settings.search("minmax"));
          case "hqq" -> new Hqq();
          case "kquant" ->
              new KQuant(
                  (int) settings.number("steps", 20, 1, 1000),
                  settings.choice("importance", "weights", "inputs").equals("inputs"));
          case "seqmse" ->
              new SequentialMse(
                  (int) settings.number("candidates", 20, 1, 1000),
                  settings.number("least", 0, 0, 1));
          case "clip" -> new SequentialMse(20, 0.5);
          case "adaround" ->
              new AdaRound(
                  (int) settings.number("iterations", 1000, 1, 1e6), settings.search("minmax"));
          default ->
              throw new TersorException(
                  "TSR-0419",
                  "unknown method '"
                      + text
                      + "'; there are rtn, mse, clip, gptq, hqq, kquant, seqmse and adaround, with options as in"
                      + " gptq:damping=0.01,order=act,grid=mse");
        };
    settings.checkUsed();
    return method;
  }

  /** Options of a method while they are read. */
  final class Settings {
    private final String text;
    private final Map<String, String> left = new TreeMap<>();

    private Settings(String text, String options) {
      this.text = text;
      for (String option : options.isBlank() ? new String[0] : options.split(",", -1)) {
        String[] parts = option.split("=", 2);
        if (parts.length != 2 || left.put(parts[0].strip(), parts[1].strip()) != null) {
          throw bad("'" + option + "' is no name=value, or is given twice");
        }
      }
    }

    private TersorException bad(String why) {
      return new TersorException("TSR-0419", "method '" + text + "': " + why);
    }

    private double number(String name, double otherwise, double least, double largest) {
      String given = left.remove(name);
      if (given == null) {
        return otherwise;
      }
      try {
        double value = Double.parseDouble(given);
        if (value >= least && value <= largest) {
          return value;
        }
      } catch (NumberFormatException e) {
        throw bad(name + " must be a number, not '" + given + "'");
      }
      throw bad(name + " must lie in " + least + ".." + largest);
    }

    private String choice(String name, String... allowed) {
      String given = left.remove(name);
      if (given == null) {
        return allowed[0];
      }
      if (!java.util.List.of(allowed).contains(given)) {
        throw bad(name + " must be one of " + String.join(", ", allowed));
      }
      return given;
    }

    private boolean search(String otherwise) {
      String other = otherwise.equals("mse") ? "minmax" : "mse";
      return choice("grid", otherwise, other).equals("mse");
    }

    private void checkUsed() {
      if (!left.isEmpty()) {
        throw bad("it has no option " + left.keySet());
      }
    }
  }
}
