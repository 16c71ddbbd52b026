package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Path;
import org.tersor.runtime.Executable;
import org.tersor.runtime.TersorException;

/** A compiled jar. */
final class JarArtifact {
  private JarArtifact() {}

  static Executable open(Path file, int threads) throws IOException {
    throw new TersorException("TSR-0906", file + ": jars cannot be opened by this command yet");
  }
}
