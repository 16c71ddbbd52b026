package org.tersor.runtime.host;

import java.util.List;

/** The host operations that need nothing but java.base: one line each. */
final class BuiltInPack implements HostPack {
  @Override
  public List<HostOp> ops() {
    return List.of();
  }
}
