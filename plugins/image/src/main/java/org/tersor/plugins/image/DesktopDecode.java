package org.tersor.plugins.image;

import java.util.List;
import org.tersor.runtime.Datum;
import org.tersor.runtime.host.HostCall;
import org.tersor.runtime.host.HostOp;

/**
 * {@code image.decode} where Java has its module java.desktop, and a diagnostic where it has not:
 * without it {@link ImageDecode} cannot even be loaded.
 *
 * @param hasDesktop whether the module is there
 */
record DesktopDecode(boolean hasDesktop) implements HostOp {
  static DesktopDecode ofThisJava() {
    return new DesktopDecode(ModuleLayer.boot().findModule("java.desktop").isPresent());
  }

  @Override
  public String id() {
    return "image.decode";
  }

  @Override
  public List<Datum> run(HostCall call) {
    if (!hasDesktop) {
      throw call.error(
          "TSR-0703", "pictures are decoded by the module java.desktop, which this Java lacks");
    }
    return ImageDecode.run(call);
  }
}
