package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The order of a tile's packets (B.12). Precincts are sorted instead of looking for one at each
 * place of the grid: the grid is as large as the file says, precincts are no more than bytes.
 */
final class PacketOrder {
  private static final Comparator<Precinct> BY_INDEX = Comparator.comparingInt(p -> p.index);
  private static final Comparator<Precinct> BY_COMPONENT =
      Comparator.comparingInt(p -> p.resolution.component);
  private static final Comparator<Precinct> BY_RESOLUTION =
      Comparator.comparingInt(p -> p.resolution.index);
  private static final Comparator<Precinct> BY_POSITION =
      Comparator.<Precinct>comparingLong(p -> p.y).thenComparingLong(p -> p.x);

  private PacketOrder() {}

  /** What is done with each packet, the one of {@code precinct.nextLayer}. */
  interface Visitor {
    void visit(Precinct precinct) throws IOException;
  }

  /** Visits the packets of a progression that no earlier one had. */
  static void visit(
      Progression progression, int layers, List<Precinct> all, Work work, Visitor visitor)
      throws IOException {
    work.spend(all.size());
    List<Precinct> precincts = new ArrayList<>();
    for (Precinct p : all) {
      if (p.resolution.index >= progression.fromResolution()
          && p.resolution.index < progression.toResolution()
          && p.resolution.component >= progression.fromComponent()
          && p.resolution.component < progression.toComponent()) {
        precincts.add(p);
      }
    }
    precincts.sort(comparator(progression.order()));
    int toLayer = Math.min(layers, progression.toLayer());
    for (int from = 0; from < precincts.size(); ) {
      int to = from + groupSize(progression.order(), precincts, from);
      visit(precincts.subList(from, to), toLayer, work, visitor);
      from = to;
    }
  }

  private static void visit(List<Precinct> group, int toLayer, Work work, Visitor visitor)
      throws IOException {
    int fromLayer = toLayer;
    for (Precinct p : group) {
      fromLayer = Math.min(fromLayer, p.nextLayer);
    }
    for (int layer = fromLayer; layer < toLayer; layer++) {
      work.spend(group.size());
      for (Precinct p : group) {
        if (p.nextLayer == layer) {
          visitor.visit(p);
          p.nextLayer++;
        }
      }
    }
  }

  private static Comparator<Precinct> comparator(Progression.Order order) {
    return switch (order) {
      case LRCP, RLCP -> BY_RESOLUTION.thenComparing(BY_COMPONENT).thenComparing(BY_INDEX);
      case RPCL ->
          BY_RESOLUTION
              .thenComparing(BY_POSITION)
              .thenComparing(BY_COMPONENT)
              .thenComparing(BY_INDEX);
      case PCRL ->
          BY_POSITION
              .thenComparing(BY_COMPONENT)
              .thenComparing(BY_RESOLUTION)
              .thenComparing(BY_INDEX);
      case CPRL ->
          BY_COMPONENT
              .thenComparing(BY_POSITION)
              .thenComparing(BY_RESOLUTION)
              .thenComparing(BY_INDEX);
    };
  }

  /** How many precincts from here on bring a layer each before any brings its next. */
  private static int groupSize(Progression.Order order, List<Precinct> sorted, int from) {
    return switch (order) {
      case LRCP -> sorted.size() - from;
      case RLCP -> {
        int to = from;
        while (to < sorted.size()
            && sorted.get(to).resolution.index == sorted.get(from).resolution.index) {
          to++;
        }
        yield to - from;
      }
      case RPCL, PCRL, CPRL -> 1;
    };
  }
}
