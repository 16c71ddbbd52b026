package org.tersor.cli;

import java.util.Iterator;
import org.tersor.ir.spi.Backend;
import org.tersor.passes.Registry;

/** Names of the backends on the class path, for help and completion. */
final class BackendNames implements Iterable<String> {
  @Override
  public Iterator<String> iterator() {
    return Registry.builtIn().backends().stream()
        .map(provided -> provided.provider())
        .map(Backend::id)
        .iterator();
  }
}
