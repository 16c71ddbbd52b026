package org.tersor.passes.equalize;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphEdit;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Changes of constant operands of a graph, in double, applied at once. A matrix is seen as {@code x
 * W} with W [in, out] however it is stored; constants that several nodes share get a copy for each
 * node that changes them.
 */
final class WeightEdits {
  private final Graph graph;
  private final Map<Node, Matrix> matrices = new LinkedHashMap<>();
  private final Map<Node, Value> newInputs = new LinkedHashMap<>();
  private final List<Consumer<GraphEdit>> additions = new ArrayList<>();

  WeightEdits(Graph graph) {
    this.graph = graph;
  }

  Graph graph() {
    return graph;
  }

  /** A constant operand seen as a matrix [in, out]. */
  static final class Matrix {
    private final int operand;
    private final boolean transposed;
    private final long[] shape;
    private final int in;
    private final int out;
    private final double[] values;

    private Matrix(int operand, boolean transposed, Tensor stored, int in, int out) {
      this.operand = operand;
      this.transposed = transposed;
      this.shape = stored.shape();
      this.in = in;
      this.out = out;
      this.values = new double[in * out];
      for (int i = 0; i < values.length; i++) {
        values[i] = stored.getDouble(stored(i));
      }
    }

    private int stored(int i) {
      return transposed ? i % out * in + i / out : i;
    }

    int in() {
      return in;
    }

    int out() {
      return out;
    }

    double value(int row, int column) {
      return values[row * out + column];
    }

    void set(int row, int column, double value) {
      values[row * out + column] = value;
    }

    void scaleIn(int row, double factor) {
      for (int j = 0; j < out; j++) {
        values[row * out + j] *= factor;
      }
    }

    void scaleOut(int column, double factor) {
      for (int i = 0; i < in; i++) {
        values[i * out + column] *= factor;
      }
    }

    /** What reads x Q instead of x: Q^T W, on blocks of rows. */
    void rotateIn(int block, Consumer<double[]> rotation) {
      double[] part = new double[block];
      for (int from = 0; from < in; from += block) {
        for (int j = 0; j < out; j++) {
          for (int i = 0; i < block; i++) {
            part[i] = values[(from + i) * out + j];
          }
          rotation.accept(part);
          for (int i = 0; i < block; i++) {
            values[(from + i) * out + j] = part[i];
          }
        }
      }
    }

    /** What gives y Q instead of y: W Q, on blocks of columns. */
    void rotateOut(int block, Consumer<double[]> rotation) {
      double[] part = new double[block];
      for (int i = 0; i < in; i++) {
        for (int from = 0; from < out; from += block) {
          System.arraycopy(values, i * out + from, part, 0, block);
          rotation.accept(part);
          System.arraycopy(part, 0, values, i * out + from, block);
        }
      }
    }

    private Tensor tensor() {
      Tensor tensor = Tensor.zeros(DType.F32, shape);
      for (int i = 0; i < values.length; i++) {
        tensor.setDouble(stored(i), values[i]);
      }
      return tensor;
    }
  }

  /** Whether a node multiplies rows of its first operand with a constant float32 matrix. */
  static boolean isLinear(Graph graph, Node node) {
    if (!node.op().domain().isEmpty() || graph.constant(node.input(0)).isPresent()) {
      return false;
    }
    return switch (node.op().type()) {
      case "MatMul" -> isMatrix(graph, node.input(1), 2);
      case "Gemm" ->
          isMatrix(graph, node.input(1), 2)
              && number(node, "transA") == 0
              && !node.attributes().containsKey("alpha")
              && !node.attributes().containsKey("beta")
              && (!node.input(2).isPresent() || isMatrix(graph, node.input(2), 1));
      default -> false;
    };
  }

  /** Whether a node looks up rows of a constant float32 matrix. */
  static boolean isTable(Graph graph, Node node) {
    return node.op().is("Gather") && number(node, "axis") == 0 && isMatrix(graph, node.input(0), 2);
  }

  static boolean isMatrix(Graph graph, Value value, int rank) {
    return graph
        .constant(value)
        .filter(c -> c.dtype() == DType.F32 && c.shape().length == rank)
        .isPresent();
  }

  private static long number(Node node, String attribute) {
    return node.attributes().get(attribute) instanceof Attribute.IntAttr a ? a.value() : 0;
  }

  /** The matrix of a linear node or of a table ([rows, out]); changes of it are kept. */
  Matrix matrix(Node node) {
    return matrices.computeIfAbsent(
        node,
        n -> {
          boolean table = isTable(graph, n);
          Tensor stored = graph.constant(n.input(table ? 0 : 1)).orElseThrow().load();
          boolean transposed = !table && n.op().is("Gemm") && number(n, "transB") != 0;
          int first = (int) stored.shape()[0];
          int second = (int) stored.shape()[1];
          return transposed
              ? new Matrix(1, true, stored, second, first)
              : new Matrix(table ? 0 : 1, false, stored, first, second);
        });
  }

  /** A constant vector as a matrix of one row: a bias, or the gains of a norm. */
  Matrix vector(Node node, int operand) {
    return matrices.computeIfAbsent(
        node,
        n -> {
          Tensor stored = graph.constant(n.input(operand)).orElseThrow().load();
          return new Matrix(operand, false, stored, 1, stored.size());
        });
  }

  /** Puts a node between a value and one node that reads it as its first operand. */
  void insertBefore(Node reader, java.util.function.BiFunction<GraphEdit, Value, Value> make) {
    additions.add(edit -> newInputs.put(reader, make.apply(edit, reader.input(0))));
  }

  /** The graph with all changes. */
  Graph apply() {
    if (matrices.isEmpty() && additions.isEmpty()) {
      return graph;
    }
    GraphEdit edit = new GraphEdit(graph);
    additions.forEach(addition -> addition.accept(edit));
    Map<Node, Node> changed = new LinkedHashMap<>();
    matrices.forEach((node, matrix) -> {
      List<Value> inputs = new ArrayList<>(node.inputs());
      Value old = node.input(matrix.operand);
      inputs.set(matrix.operand, edit.constant(old.name(), Constant.of(matrix.tensor())));
      changed.put(node, node.withInputs(inputs));
    });
    newInputs.forEach((node, value) -> {
      List<Value> inputs = new ArrayList<>(changed.getOrDefault(node, node).inputs());
      inputs.set(0, value);
      changed.put(node, node.withInputs(inputs));
    });
    changed.forEach((node, instead) -> edit.replace(node, List.of(instead)));
    return edit.apply();
  }
}
