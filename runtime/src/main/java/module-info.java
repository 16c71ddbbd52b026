import org.jspecify.annotations.NullMarked;

/** What a compiled model needs to run. Depends on java.base alone. */
@NullMarked
module org.tersor.runtime {
  requires static transitive org.jspecify;

  exports org.tersor.runtime;
  exports org.tersor.runtime.host;
  exports org.tersor.runtime.machine;

  uses org.tersor.runtime.host.HostPack;
}
