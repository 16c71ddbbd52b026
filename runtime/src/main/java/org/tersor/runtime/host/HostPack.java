package org.tersor.runtime.host;

import java.util.List;

/** A provider of host operations, found by {@link java.util.ServiceLoader}. */
public interface HostPack {
  List<HostOp> ops();
}
