package org.tersor.cli;

/** Exit codes of every command. */
public final class Exit {
  public static final int OK = 0;

  /** A check was made and did not pass: verify, conformance. */
  public static final int CHECK_FAILED = 1;

  public static final int USAGE = 2;

  /** bench: slower than --min-ratio. */
  public static final int TOO_SLOW = 3;

  /** The model cannot be read, is not supported, or contradicts itself. */
  public static final int MODEL_REFUSED = 4;

  /** A tool, a backend, a plugin or ONNX Runtime is missing or does not work here. */
  public static final int ENVIRONMENT = 5;

  /** Wrong arguments of a run, or a fault while running. */
  public static final int RUN_FAILED = 6;

  public static final int INTERNAL = 70;

  /** For --help. */
  static final String[] TEXT = {
    "0:done, every check passed",
    "1:a check failed (verify, conformance, demo)",
    "2:wrong usage, or a file that cannot be read or written",
    "3:bench: slower than --min-ratio, or a vector width slower than the plain loops",
    "4:the model was refused: broken, not supported, contradictory",
    "5:the environment lacks something: tool, backend, plugin, ONNX Runtime",
    "6:run-time error: wrong inputs, or the reference failed",
    "70:internal error, please report",
  };

  private Exit() {}

  /** The exit code of a diagnostic. */
  static int of(String code) {
    return switch (code.substring(0, Math.min(6, code.length()))) {
      case "TSR-01", "TSR-06" -> ENVIRONMENT;
      case "TSR-02", "TSR-03", "TSR-04", "TSR-05", "TSR-10" -> MODEL_REFUSED;
      case "TSR-08" -> code.equals("TSR-0801") ? ENVIRONMENT : RUN_FAILED;
      case "TSR-09" -> USAGE;
      default -> RUN_FAILED;
    };
  }
}
