package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.GraphCopy;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * FlexAttention (ai.onnx.preview 1): prob_mod(softmax(score_mod(scale Q K^T))) V over Q [B, heads,
 * L, E], K [B, kvHeads, S, E], V [B, kvHeads, S, Ev]; heads share keys in groups of neighbours. The
 * bodies take and give the whole tensor [B, heads, L, S], in float32 (float64 for such operands) or
 * softmax_precision.
 */
final class FlexAttention extends OpBase {
  FlexAttention() {
    super(
        OpSchema.of("ai.onnx.preview", "FlexAttention", 1)
            .input("Q", "T")
            .input("K", "T")
            .input("V", "T")
            .output("Y", "T")
            .types("T", Types.FLOATS)
            .attribute("prob_mod", AttributeKind.GRAPH)
            .attribute("scale", AttributeKind.FLOAT)
            .attribute("score_mod", AttributeKind.GRAPH)
            .attribute("softmax_precision", AttributeKind.INT)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  private static List<DimExpr> shape(OpContext c) {
    for (int i = 0; i < 3; i++) {
      if (c.rank(i) != 4) {
        throw c.error("TSR-0303", "input " + i + " must be [B, heads, length, size]");
      }
    }
    List<DimExpr> q = c.dims(0);
    List<DimExpr> k = c.dims(1);
    List<DimExpr> v = c.dims(2);
    Shapes.agree(c, "samples of K", k.get(0), q.get(0));
    Shapes.agree(c, "samples of V", v.get(0), q.get(0));
    Shapes.agree(c, "heads of V", v.get(1), k.get(1));
    Shapes.agree(c, "length of V", v.get(2), k.get(2));
    Shapes.agree(c, "size of a key", k.get(3), q.get(3));
    if (q.get(1).isConst()
        && k.get(1).isConst()
        && (k.get(1).isConst(0) || q.get(1).constValue() % k.get(1).constValue() != 0)) {
      throw c.error(
          "TSR-0303", q.get(1) + " heads of queries cannot share " + k.get(1) + " heads of keys");
    }
    return List.of(q.get(0), q.get(1), q.get(2), v.get(3));
  }

  private static Optional<Graph> body(OpContext c, String name) {
    Optional<Graph> body = c.graphAttr(name);
    if (body.isPresent() && (body.get().inputs().size() != 1 || body.get().outputs().size() != 1)) {
      throw c.error("TSR-0304", name + " must take and give one tensor");
    }
    return body;
  }

  private static DType precision(OpContext c) {
    DType otherwise = c.dtype(0) == DType.F64 ? DType.F64 : DType.F32;
    DType type =
        c.has("softmax_precision") ? OnnxTypes.of(c, c.intAttr("softmax_precision", 1)) : otherwise;
    if (!Types.FLOATS.contains(type)) {
      throw c.error("TSR-0304", "softmax_precision is no float type: " + type.text());
    }
    return type;
  }

  private static double scale(OpContext c) {
    DimExpr size = c.dims(0).get(3);
    if (!c.has("scale") && !size.isConst()) {
      throw notLowered(c, "without scale the size of a head must be known");
    }
    return c.has("scale") ? c.floatAttr("scale", 1) : 1 / Math.sqrt((double) size.constValue());
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    precision(c);
    body(c, "score_mod");
    body(c, "prob_mod");
    return List.of(type(c.dtype(0), shapes(c, 0, 3).map(s -> shape(c))));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    long[] shape = Window.numbers(shape(c));
    Tensor q = c.input(0);
    Tensor k = c.input(1);
    Tensor v = c.input(2);
    int keys = (int) k.shape()[2];
    int size = (int) k.shape()[3];
    int valueSize = (int) shape[3];
    int group = (int) (shape[1] / k.shape()[1]);
    Tensor scores = Shapes.allocate(c, precision(c), shape[0], shape[1], shape[2], keys);
    int rows = (int) shape[2];
    for (int i = 0; i < scores.size(); i++) {
      int query = i / keys;
      int row = query / rows / group * keys + i % keys;
      double sum = 0;
      for (int e = 0; e < size; e++) {
        sum += q.getDouble(query * size + e) * k.getDouble(row * size + e);
      }
      scores.setDouble(i, sum * scale(c));
    }
    Tensor probabilities = softmax(modified(c, "score_mod", scores), keys);
    probabilities = modified(c, "prob_mod", probabilities);
    Tensor y = Shapes.allocate(c, q.dtype(), shape);
    for (int i = 0; i < y.size(); i++) {
      int query = i / valueSize;
      int head = query / rows / group;
      double sum = 0;
      for (int t = 0; t < keys; t++) {
        sum +=
            probabilities.getDouble(query * keys + t)
                * v.getDouble((head * keys + t) * valueSize + i % valueSize);
      }
      y.setDouble(i, sum);
    }
    return List.of(y);
  }

  private static Tensor modified(EvalContext c, String name, Tensor tensor) {
    Optional<Graph> body = body(c, name);
    if (body.isEmpty()) {
      return tensor;
    }
    Tensor result = c.run(body.get(), List.of(tensor)).getFirst().tensor(name);
    if (result.dtype() != tensor.dtype()
        || !java.util.Arrays.equals(result.shape(), tensor.shape())) {
      throw c.error("TSR-0705", name + " gives a tensor of another shape or type");
    }
    return result;
  }

  private static Tensor softmax(Tensor x, int width) {
    Tensor y = Tensor.zeros(x.dtype(), x.shape());
    for (int first = 0; first < x.size(); first += width) {
      double largest = Double.NEGATIVE_INFINITY;
      for (int i = 0; i < width; i++) {
        largest = Math.max(largest, x.getDouble(first + i));
      }
      double total = 0;
      for (int i = 0; i < width; i++) {
        total += Math.exp(x.getDouble(first + i) - largest);
      }
      for (int i = 0; i < width; i++) {
        y.setDouble(first + i, Math.exp(x.getDouble(first + i) - largest) / total);
      }
    }
    return y;
  }

  @Override
  Lowering code(OpContext c) {
    shape(c);
    double scale = scale(c);
    return new Lowering.Decompose(b -> List.of(decompose(c, b, scale)));
  }

  private static Value decompose(OpContext c, GraphBuilder b, double scale) {
    Tensor number = Tensor.zeros(precision(c));
    number.setDouble(0, scale);
    Value factor = b.constant("", Constant.of(number));
    boolean converts = precision(c) != c.dtype(0);
    List<Value> operands = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      Value operand = i == 0 ? c.node().input(0) : heads(c, b, i);
      operands.add(converts ? b.add("CastLike", operand, factor) : operand);
    }
    Map<String, Attribute> last = Map.of("perm", new Attribute.IntsAttr(List.of(0L, 1L, 3L, 2L)));
    Value products = b.add("MatMul", operands.get(0), b.add("Transpose", last, operands.get(1)));
    Value scores = inlined(c, b, "score_mod", b.add("Mul", products, factor));
    Value softmax = b.add("Softmax", Map.of("axis", new Attribute.IntAttr(3)), scores);
    Value y = b.add("MatMul", inlined(c, b, "prob_mod", softmax), operands.get(2));
    return converts ? b.add("CastLike", y, c.node().input(0)) : y;
  }

  private static Value inlined(OpContext c, GraphBuilder b, String name, Value tensor) {
    return body(c, name)
        .map(body -> GraphCopy.inline(b, body, List.of(tensor)).getFirst())
        .orElse(tensor);
  }

  /** Keys or values with each head repeated for its group of queries. */
  private static Value heads(OpContext c, GraphBuilder b, int input) {
    DimExpr wanted = c.dims(0).get(1);
    DimExpr given = c.dims(input).get(1);
    Value value = c.node().input(input);
    if (wanted.equals(given)) {
      return value;
    }
    if (!wanted.isConst() || !given.isConst()) {
      throw notLowered(c, "the numbers of heads must be known");
    }
    List<Long> from = new ArrayList<>();
    for (long h = 0; h < wanted.constValue(); h++) {
      from.add(h / (wanted.constValue() / given.constValue()));
    }
    Value heads = b.longs(from.stream().mapToLong(Long::longValue).toArray());
    return b.add("Gather", Map.of("axis", new Attribute.IntAttr(1)), value, heads);
  }
}
