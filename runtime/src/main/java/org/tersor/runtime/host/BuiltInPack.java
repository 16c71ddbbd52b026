package org.tersor.runtime.host;

import java.util.List;
import java.util.stream.Stream;

/** The host operations that need nothing but java.base. */
final class BuiltInPack implements HostPack {
  @Override
  public List<HostOp> ops() {
    return Stream.of(SequenceOps.all(), StringOps.all(), MapOps.all())
        .flatMap(List::stream)
        .toList();
  }
}
