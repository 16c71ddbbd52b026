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
  private final Map<String, HostPack> plugged = new TreeMap<>();

  public HostOps(Iterable<? extends HostPack> packs) {
    for (HostPack pack : packs) {
      for (HostOp op : pack.ops()) {
        HostOp other = ops.putIfAbsent(op.id(), op);
        if (!(pack instanceof BuiltInPack)) {
          plugged.put(op.id(), pack);
        }
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
    return with(ServiceLoader.load(HostPack.class, loader));
  }

  /** Those of this module and of other packs. */
  public static HostOps with(Iterable<HostPack> others) {
    List<HostPack> packs = new ArrayList<>(List.of(new BuiltInPack()));
    others.forEach(packs::add);
    return new HostOps(packs);
  }

  /** The packs, other than this module's, that have operations of these ids; each once. */
  public List<HostPack> plugged(Collection<String> ids) {
    return ids.stream()
        .flatMap(id -> Optional.ofNullable(plugged.get(id)).stream())
        .distinct()
        .toList();
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
