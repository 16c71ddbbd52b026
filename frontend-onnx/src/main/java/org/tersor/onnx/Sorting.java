package org.tersor.onnx;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;

/** Topological order of nodes: the file's own where it is one. */
final class Sorting {
  private Sorting() {}

  static List<Node> sort(List<Node> nodes) {
    Map<Value, Integer> producers = new HashMap<>();
    for (int i = 0; i < nodes.size(); i++) {
      for (Value output : nodes.get(i).outputs()) {
        if (output.isPresent()) {
          producers.put(output, i);
        }
      }
    }
    List<int[]> before = new ArrayList<>(nodes.size());
    boolean sorted = true;
    for (int i = 0; i < nodes.size(); i++) {
      Set<Integer> needed = new HashSet<>();
      for (Value used : Graph.usedValues(nodes.get(i))) {
        Integer producer = producers.get(used);
        if (producer != null) {
          needed.add(producer);
          sorted &= producer < i;
        }
      }
      before.add(needed.stream().mapToInt(Integer::intValue).sorted().toArray());
    }
    return sorted ? nodes : visit(nodes, before);
  }

  private static List<Node> visit(List<Node> nodes, List<int[]> before) {
    List<Node> order = new ArrayList<>(nodes.size());
    int[] next =
        new int[nodes.size()]; // the next predecessor to visit, plus 1; 0 for an unseen node
    Deque<Integer> path = new ArrayDeque<>();
    for (int root = 0; root < nodes.size(); root++) {
      if (next[root] == 0) {
        next[root] = 1;
        path.push(root);
      }
      while (!path.isEmpty()) {
        int at = path.peek();
        int[] needed = before.get(at);
        if (next[at] > needed.length) {
          next[at] = Integer.MAX_VALUE;
          order.add(nodes.get(at));
          path.pop();
          continue;
        }
        int predecessor = needed[next[at]++ - 1];
        if (next[predecessor] == 0) {
          next[predecessor] = 1;
          path.push(predecessor);
        } else if (next[predecessor] != Integer.MAX_VALUE) {
          throw Diag.error(
              Diag.GRAPH,
              "the graph has a cycle: "
                  + Diag.quote(nodes.get(predecessor).label())
                  + " needs a value that is computed from its own");
        }
      }
    }
    return order;
  }
}
