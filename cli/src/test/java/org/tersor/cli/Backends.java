package org.tersor.cli;

import java.util.Optional;
import org.junit.jupiter.api.Assumptions;
import org.tersor.passes.Compiler;

/** What tests ask of a backend. */
final class Backends {
  private Backends() {}

  /** Skips the test, with the reason, where this machine lacks what the backend needs. */
  static void assume(Compiler compiler, String backend) {
    Optional<String> why = compiler.registry().backend(backend).unavailable();
    Assumptions.assumeTrue(why.isEmpty(), () -> backend + " is not available: " + why.orElse(""));
  }
}
