package org.tersor.runtime.host;

import java.util.List;

/**
 * A provider of host operations, found by {@link java.util.ServiceLoader}. A compiled jar carries
 * the packs that its model uses: their classes and every class that these refer to, other than
 * Java's own, with the files beside these; what a pack loads by name it would lack.
 */
public interface HostPack {
  List<HostOp> ops();
}
