package org.tersor.passes.infer;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;

/**
 * Types that enter the bodies of Loop and Scan; bodies of other operators take what their inputs
 * declare.
 */
final class BodyTypes {
  private BodyTypes() {}

  static List<ValueType> inputs(Node node, Graph body, Scope scope) {
    List<ValueType> types = new ArrayList<>(body.inputs().stream().map(body::type).toList());
    if (node.op().is("Loop")) {
      set(types, 0, TensorType.of(DType.I64));
      set(types, 1, TensorType.of(DType.BOOL));
      for (int i = 2; i < node.inputs().size(); i++) {
        set(types, i, scope.type(node.input(i)));
      }
    } else if (isScan(node)) {
      int scanned = scanInputs(node);
      int states = node.inputs().size() - scanned;
      List<Long> axes =
          node.attributes().get("scan_input_axes") instanceof Attribute.IntsAttr a
              ? a.values()
              : List.of();
      for (int i = 0; i < node.inputs().size(); i++) {
        ValueType type = scope.type(node.input(i));
        if (i < states) {
          set(types, i, type);
        } else {
          long axis = i - states < axes.size() ? axes.get(i - states) : 0;
          set(types, i, type instanceof TensorType tensor ? slice(tensor, axis) : type);
        }
      }
    }
    return types;
  }

  /** Index of the first body input that an earlier iteration supplies; -1 if there is none. */
  static int firstCarriedInput(Node node) {
    return node.op().is("Loop") ? 2 : isScan(node) ? 0 : -1;
  }

  static int firstCarriedOutput(Node node) {
    return node.op().is("Loop") ? 1 : 0;
  }

  static int carried(Node node) {
    return node.op().is("Loop")
        ? Math.max(0, node.inputs().size() - 2)
        : node.inputs().size() - scanInputs(node);
  }

  /** A type that covers both: dimensions that differ become symbols made from {@code tag}. */
  static ValueType join(ValueType a, ValueType b, String tag) {
    if (a instanceof ValueType.UnknownType) {
      return b;
    }
    if (a.equals(b) || !(a instanceof TensorType x && b instanceof TensorType y) || !x.isRanked()) {
      return a;
    }
    if (!y.isRanked() || x.rank() != y.rank()) {
      return TensorType.unranked(x.dtype());
    }
    List<DimExpr> dims = new ArrayList<>();
    for (int d = 0; d < x.rank(); d++) {
      DimExpr dim = x.dims().get(d);
      dims.add(dim.equals(y.dims().get(d)) ? dim : DimExpr.symbol("_carried" + tag + "_" + d));
    }
    return TensorType.of(x.dtype(), dims);
  }

  /** Scan-8 has a batch axis and sequence lengths; its body keeps the types that it declares. */
  private static boolean isScan(Node node) {
    return node.op().is("Scan") && node.op().version() >= 9;
  }

  private static int scanInputs(Node node) {
    long count =
        node.attributes().get("num_scan_inputs") instanceof Attribute.IntAttr n ? n.value() : 0;
    return (int) Math.max(0, Math.min(count, node.inputs().size()));
  }

  private static TensorType slice(TensorType type, long axis) {
    if (!type.isRanked() || axis < -type.rank() || axis >= type.rank()) {
      return TensorType.unranked(type.dtype());
    }
    List<DimExpr> dims = new ArrayList<>(type.dims());
    dims.remove((int) (axis < 0 ? axis + type.rank() : axis));
    return TensorType.of(type.dtype(), dims);
  }

  private static void set(List<ValueType> types, int index, ValueType type) {
    if (index < types.size() && !(type instanceof ValueType.UnknownType)) {
      types.set(index, type);
    }
  }
}
