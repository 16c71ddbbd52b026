package org.tersor.ir.spi;

import java.nio.file.Path;

/** Where things are kept that can be made again: compiled libraries, unpacked tools. */
public final class UserCache {
  private UserCache() {}

  /**
   * The folder, which need not exist: {@code -Dtersor.cache}, else {@code TERSOR_CACHE}, else
   * {@code XDG_CACHE_HOME/tersor}, else {@code ~/.cache/tersor}.
   */
  public static Path folder() {
    String property = System.getProperty("tersor.cache", "");
    String own = System.getenv().getOrDefault("TERSOR_CACHE", "");
    String xdg = System.getenv().getOrDefault("XDG_CACHE_HOME", "");
    if (!property.isBlank() || !own.isBlank()) {
      return Path.of(property.isBlank() ? own : property);
    }
    return xdg.isBlank()
        ? Path.of(System.getProperty("user.home"), ".cache", "tersor")
        : Path.of(xdg, "tersor");
  }
}
