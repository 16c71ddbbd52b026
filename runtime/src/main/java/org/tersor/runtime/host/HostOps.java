package org.tersor.runtime.host;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.TreeMap;
import org.tersor.runtime.TersorException;

/** Host operations by id. */
public final class HostOps {
  private final Map<String, HostOp> ops = new TreeMap<>();

  public HostOps(Iterable<? extends HostPack> packs) {
    for (HostPack pack : packs) {
      for (HostOp op : pack.ops()) {
        HostOp other = ops.putIfAbsent(op.id(), op);
        if (other != null) {
          throw new TersorException(
              "TSR-0105",
              "host operation '"
                  + op.id()
                  + "' is defined twice: by "
                  + other.getClass().getName()
                  + " and "
                  + op.getClass().getName()
                  + "; remove one of the two packs");
        }
      }
    }
  }

  /** Those of this module, without any look-up. */
  public static HostOps builtIn() {
    return new HostOps(List.of(new BuiltInPack()));
  }

  /** Those of this module and those that ServiceLoader finds from {@code loader}. */
  public static HostOps standard(ClassLoader loader) {
    List<HostPack> packs = new ArrayList<>(List.of(new BuiltInPack()));
    ServiceLoader.load(HostPack.class, loader).forEach(packs::add);
    return new HostOps(packs);
  }

  public Optional<HostOp> find(String id) {
    return Optional.ofNullable(ops.get(id));
  }

  /** The operation of that id; a diagnostic if there is none. */
  public HostOp get(String id) {
    return find(id)
        .orElseThrow(() ->
            new TersorException(
                "TSR-0106",
                "host operation '"
                    + id
                    + "' is not known; put the plugin that has it on the class path"));
  }

  /** In the order of their ids. */
  public Collection<HostOp> all() {
    return Collections.unmodifiableCollection(ops.values());
  }
}
