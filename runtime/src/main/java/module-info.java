import org.jspecify.annotations.NullMarked;

/**
 * What a compiled model needs to run: java.base alone. With java.management warming up knows when
 * HotSpot is done.
 */
@NullMarked
module org.tersor.runtime {
  requires static java.management;
  requires static transitive org.jspecify;

  exports org.tersor.runtime;
  exports org.tersor.runtime.host;
  exports org.tersor.runtime.machine;

  uses org.tersor.runtime.host.HostPack;
}
