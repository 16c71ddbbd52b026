package org.tersor.plugins.image;

import java.util.List;
import org.tersor.runtime.host.HostOp;
import org.tersor.runtime.host.HostPack;

/** The host operation {@code image.decode}. */
public final class ImagePack implements HostPack {
  @Override
  public List<HostOp> ops() {
    return List.of(DesktopDecode.ofThisJava());
  }
}
