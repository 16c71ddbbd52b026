package org.tersor.conformance;

import java.nio.file.Path;
import java.util.Map;
import java.util.ServiceLoader;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.spi.Frontend;
import org.tersor.runtime.TersorException;

/** Model files by suffix, through whichever frontends are present. */
public final class Frontends {
  private Frontends() {}

  public static Graph read(Path file, Map<String, String> options) {
    return of(file).read(file, options);
  }

  public static void write(Graph graph, Path file) {
    of(file).write(graph, file, Map.of());
  }

  private static Frontend of(Path file) {
    String name = file.getFileName().toString();
    String suffix = name.substring(name.lastIndexOf('.') + 1);
    for (Frontend frontend : ServiceLoader.load(Frontend.class, Frontends.class.getClassLoader())) {
      if (frontend.suffixes().contains(suffix)) {
        return frontend;
      }
    }
    throw new TersorException("TSR-0102", "no frontend is present for files ending in ." + suffix);
  }
}
