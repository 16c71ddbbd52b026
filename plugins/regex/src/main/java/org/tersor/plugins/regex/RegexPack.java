package org.tersor.plugins.regex;

import java.util.List;
import org.tersor.runtime.host.HostOp;
import org.tersor.runtime.host.HostPack;

/** The host operation {@code regex.match}. */
public final class RegexPack implements HostPack {
  @Override
  public List<HostOp> ops() {
    return List.of(new RegexMatch());
  }
}
