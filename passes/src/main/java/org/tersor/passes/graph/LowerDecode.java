package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.dsl.AffineDecode;
import org.tersor.ir.dsl.FormatDef;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Writes decoded weights as DequantizeLinear where the format's text has the form {@code (code -
 * zero) * scale}; codes, scales and zero points go over unchanged. Before kernels are chosen only
 * grids that integer kernels know are written so (8-bit codes, a scale per tensor or row), and
 * every other decode stays; for export all are written, with blocks and 4-bit codes from opset 21
 * on, and what ONNX cannot say is refused by name or, if that is wanted, decoded to floats.
 */
public final class LowerDecode implements Pass {
  /** From this version on there are blocks and 4-bit codes. */
  static final int BLOCKED = 21;

  /** From this version on there are 2-bit codes. */
  static final int TWO_BITS = 25;

  /**
   * The setting that asks for com.microsoft MatMulNBits where weights and products have its form.
   */
  public static final String PACKED = "matmul-nbits";

  /** The setting that asks for 2-bit codes as INT2 or UINT2, else they travel in 4 bits. */
  public static final String INT2 = "int2";

  /** The setting that asks for floats where ONNX has no form. */
  public static final String FLOATS = "decode-floats";

  private final boolean export;

  private LowerDecode(boolean export) {
    this.export = export;
  }

  /** For models that other tools read. */
  public static LowerDecode forExport() {
    return new LowerDecode(true);
  }

  /** Before integer kernels are chosen. */
  public static LowerDecode forKernels() {
    return new LowerDecode(false);
  }

  @Override
  public String id() {
    return "lower-decode";
  }

  @Override
  public Set<String> needs() {
    return Set.of("types");
  }

  @Override
  public Set<String> gives() {
    return Set.of("types");
  }

  /** The opset that the export of a graph takes; 0 if any does. */
  static int opsetForExport(Graph graph, PassContext context) {
    int needed = 0;
    if (graph.nodes().stream().noneMatch(DecodeOperator::isDecode)) {
      return needed;
    }
    TypeInference.Inferred inferred = TypeInference.infer(graph, context.operators(), note -> {});
    for (Node node : graph.nodes()) {
      if (DecodeOperator.isDecode(node)) {
        OpContext types = inferred.scope().context(node);
        Optional<Affine> affine = Affine.of(graph, node, types);
        boolean blocked =
            affine
                .filter(a ->
                    a.decode.level() == FormatDef.Level.BLOCK || a.decode.codeType().bits() != 8)
                .isPresent();
        int wanted =
            isOn(context, PACKED)
                    && PackedProducts.of(graph, node, DecodeOperator.scheme(types))
                        instanceof PackedProducts.Found.Packed
                ? 0
                : isOn(context, INT2) && affine.filter(a -> a.decode.codeBits() <= 2).isPresent()
                    ? TWO_BITS
                    : blocked ? BLOCKED : UpgradeOpset.SUFFICIENT;
        needed = Math.max(needed, wanted);
      }
    }
    return needed;
  }

  private static boolean isOn(PassContext context, String setting) {
    return Boolean.parseBoolean(context.options().getOrDefault(setting, "false"));
  }

  /** Whether the products with a weight were written packed; else a note says why not. */
  private static boolean packed(Rewrite rewrite, Node node, OpContext types, PassContext context) {
    return switch (PackedProducts.of(rewrite.graph(), node, DecodeOperator.scheme(types))) {
      case PackedProducts.Found.Packed found -> {
        found.products().write(rewrite);
        yield true;
      }
      case PackedProducts.Found.Not not -> {
        context
            .note()
            .accept("lower-decode: weights '" + node.name() + "' are not packed: " + not.why());
        yield false;
      }
    };
  }

  /** A decode node of constants whose format is affine. */
  private record Affine(DecodeOperator.Scheme scheme, AffineDecode decode, List<Tensor> buffers) {
    static Optional<Affine> of(Graph graph, Node node, OpContext types) {
      List<Tensor> buffers = new ArrayList<>();
      for (Value input : node.inputs()) {
        graph.constant(input).map(Constant::load).ifPresent(buffers::add);
      }
      if (buffers.size() != node.inputs().size()) {
        return Optional.empty();
      }
      DecodeOperator.Scheme scheme = DecodeOperator.scheme(types);
      return AffineDecode.of(scheme.format()).map(decode -> new Affine(scheme, decode, buffers));
    }
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    if (graph.nodes().stream().noneMatch(DecodeOperator::isDecode)) {
      return graph;
    }
    TypeInference.Inferred inferred = TypeInference.infer(graph, context.operators(), note -> {});
    Rewrite rewrite = new Rewrite(graph);
    for (Node node : graph.nodes()) {
      if (!DecodeOperator.isDecode(node)) {
        continue;
      }
      OpContext types = inferred.scope().context(node);
      if (export && isOn(context, PACKED) && packed(rewrite, node, types, context)) {
        continue;
      }
      Optional<Affine> affine = Affine.of(graph, node, types);
      boolean asInteger =
          affine
              .filter(a ->
                  (a.decode.codeType().bits() == 8 || meetsCodes(graph, node))
                      && a.decode.level() != FormatDef.Level.BLOCK
                      && (a.decode.level() == FormatDef.Level.TENSOR
                          || a.scheme.layout().rows().size() == 1))
              .isPresent();
      Optional<Tensor> zeros = affine.flatMap(LowerDecode::zeros);
      if (zeros.isPresent()
          && (asInteger || export)
          && graph.opset("") >= UpgradeOpset.SUFFICIENT) {
        boolean two = isOn(context, INT2) && graph.opset("") >= TWO_BITS;
        int version =
            export || affine.orElseThrow().decode.codeType().bits() == 8
                ? graph.opset("")
                : Math.max(graph.opset(""), BLOCKED);
        new Writer(rewrite, node, affine.orElseThrow(), zeros.get(), two, version).write();
      } else if (export) {
        floats(rewrite, node, types, context);
      }
    }
    return export ? LowerFakeQuant.withoutDomain(rewrite.apply()) : rewrite.apply();
  }

  /**
   * Whether weights are multiplied with codes: then fewer bits than 8 are for integer kernels, too.
   */
  private static boolean meetsCodes(Graph graph, Node node) {
    return graph.consumers(node.output(0)).stream()
        .flatMap(user -> graph.producer(user.input(0)).stream())
        .anyMatch(n ->
            n.op().is(OpKey.TERSOR, FakeQuant.TYPE)
                || n.op().is(OpKey.TERSOR, DynamicFakeQuant.TYPE)
                || QuantParams.isDequantize(n));
  }

  private static void floats(Rewrite rewrite, Node node, OpContext types, PassContext context) {
    DecodeOperator.Scheme scheme = DecodeOperator.scheme(types);
    String name = scheme.format().name();
    if (!isOn(context, FLOATS)) {
      throw new TersorException(
          "TSR-0417",
          "weights '"
              + node.name()
              + "' "
              + java.util.Arrays.toString(scheme.shape())
              + " are in format '"
              + name
              + "', whose values are not (code - zero) * scale with an integer zero: ONNX cannot say"
              + " it. Compile to .jar or .so, choose another format, or ask for decoded floats");
    }
    List<Tensor> buffers = new ArrayList<>();
    node.inputs().forEach(i -> rewrite.constant(i).ifPresent(buffers::add));
    Tensor values =
        new DecodeOperator()
            .eval(
                new org.tersor.passes.eval.KnownEval(
                    rewrite.graph(), node, buffers.stream().map(Optional::of).toList()))
            .getFirst();
    context
        .note()
        .accept(
            "lower-decode: weights '"
                + node.name()
                + "' of format '"
                + name
                + "' are written as floats: rounded, but not smaller");
    Value constant = rewrite.edit().constant(node.output(0).name(), Constant.of(values));
    if (!rewrite.bypass(node, constant)) {
      throw new TersorException("TSR-0417", "weights '" + node.name() + "' are a result as well");
    }
  }

  /** Zero points in the type of the codes, if they fit. */
  private static Optional<Tensor> zeros(Affine affine) {
    Tensor wide = affine.decode.zeros(affine.buffers, affine.scheme.encodedShape());
    DType type = affine.decode.codeType();
    Tensor zeros = Tensor.zeros(type, wide.shape());
    for (int i = 0; i < wide.size(); i++) {
      long zero = wide.getLong(i);
      if (zero < type.minValue() || zero > type.maxValue()) {
        return Optional.empty();
      }
      zeros.setLong(i, zero);
    }
    return Optional.of(zeros);
  }

  /** DequantizeLinear of one weight: in its own shape if it can be, else of rows and columns. */
  private static final class Writer {
    private final Rewrite rewrite;
    private final Node node;
    private final Affine affine;
    private final Tensor zeros;
    private final int version;
    private final boolean two;

    /**
     * @param two write codes of 2 bits as such
     * @param version of the operators that are written
     */
    Writer(Rewrite rewrite, Node node, Affine affine, Tensor zeros, boolean two, int version) {
      this.rewrite = rewrite;
      this.node = node;
      this.affine = affine;
      this.two = two && affine.decode.codeBits() <= 2 && fits(zeros);
      this.zeros = this.two ? narrow(zeros) : zeros;
      this.version = version;
    }

    void write() {
      long[] encoded = affine.scheme.encodedShape();
      long[] shape = affine.scheme.shape();
      Tensor wide = affine.decode.codes(affine.buffers, encoded);
      Tensor codes = two ? narrow(wide) : wide;
      Tensor scales = affine.decode.scales(affine.buffers, encoded);
      List<Integer> rows = affine.scheme.layout().rows();
      List<Integer> columns = affine.scheme.layout().columns();
      FormatDef.Level level = affine.decode.level();
      boolean perRow = level == FormatDef.Level.ROW;
      boolean blocked = level == FormatDef.Level.BLOCK;
      if (level == FormatDef.Level.TENSOR || (perRow && rows.size() == 1)) {
        Map<String, Attribute> attributes =
            perRow ? Map.of("axis", new Attribute.IntAttr(rows.getFirst())) : Map.of();
        replace(
            List.of(dequantize(moved(codes, shape), scales, zeros, attributes, node.output(0))));
      } else if (blocked && columns.size() == 1) {
        // Blocks along one dimension: scales take its place, the others keep theirs.
        long[] blocks = shape.clone();
        blocks[columns.getFirst()] = scales.shape()[scales.rank() - 1];
        Map<String, Attribute> attributes =
            Map.of(
                "axis", new Attribute.IntAttr(columns.getFirst()),
                "block_size", new Attribute.IntAttr(affine.scheme.format().block()));
        replace(
            List.of(
                dequantize(
                    moved(codes, shape),
                    moved(scales, blocks),
                    moved(zeros, blocks),
                    attributes,
                    node.output(0))));
      } else {
        flat(codes, scales, blocked);
      }
    }

    private static boolean fits(Tensor zeros) {
      DType type = zeros.dtype().isSigned() ? DType.I2 : DType.U2;
      for (int i = 0; i < zeros.size(); i++) {
        if (zeros.getLong(i) < type.minValue() || zeros.getLong(i) > type.maxValue()) {
          return false;
        }
      }
      return true;
    }

    private static Tensor narrow(Tensor codes) {
      Tensor result = Tensor.zeros(codes.dtype().isSigned() ? DType.I2 : DType.U2, codes.shape());
      for (int i = 0; i < result.size(); i++) {
        result.setLong(i, codes.getLong(i));
      }
      return result;
    }

    /** Codes as [rows, columns], then the shape and order of the weight. */
    private void flat(Tensor codes, Tensor scales, boolean blocked) {
      long[] encoded = affine.scheme.encodedShape();
      long[] shape = affine.scheme.shape();
      long columns = encoded[encoded.length - 1];
      long rows = columns == 0 ? 0 : codes.size() / columns;
      long[] parameters =
          blocked ? new long[] {rows, scales.shape()[scales.rank() - 1]} : new long[] {rows};
      Map<String, Attribute> attributes =
          blocked
              ? Map.of(
                  "axis", new Attribute.IntAttr(1),
                  "block_size", new Attribute.IntAttr(affine.scheme.format().block()))
              : Map.of("axis", new Attribute.IntAttr(0));
      List<Integer> order = affine.scheme.layout().order();
      long[] ordered = order.stream().mapToLong(d -> shape[d]).toArray();
      boolean transposes = !order.equals(order.stream().sorted().toList());
      Value matrix = rewrite.edit().value("", TensorType.of(DType.F32, new long[] {rows, columns}));
      Value reshaped =
          transposes ? rewrite.edit().value("", TensorType.of(DType.F32, ordered)) : node.output(0);
      List<Node> nodes = new ArrayList<>();
      nodes.add(
          dequantize(
              codes.reshaped(rows, columns),
              scales.reshaped(parameters),
              zeros.reshaped(parameters),
              attributes,
              matrix));
      Value target = rewrite.edit().constant("", Constant.of(Tensor.of(ordered, ordered.length)));
      nodes.add(
          new Node(
              rewrite.edit().freshId(),
              "",
              new OpKey("", "Reshape", version),
              List.of(matrix, target),
              List.of(reshaped),
              Map.of()));
      if (transposes) {
        List<Long> back = new ArrayList<>();
        for (int d = 0; d < shape.length; d++) {
          back.add((long) order.indexOf(d));
        }
        nodes.add(
            new Node(
                rewrite.edit().freshId(),
                "",
                new OpKey("", "Transpose", version),
                List.of(reshaped),
                node.outputs(),
                Map.of("perm", new Attribute.IntsAttr(back))));
      }
      replace(nodes);
    }

    /** Elements in encoding order put where a tensor of {@code shape} has them. */
    private Tensor moved(Tensor encoded, long[] shape) {
      Tensor result = Tensor.zeros(encoded.dtype(), shape);
      int[] offsets = affine.scheme.layout().offsets(shape);
      for (int e = 0; e < offsets.length; e++) {
        if (encoded.dtype().isFloat()) {
          result.setDouble(offsets[e], encoded.getDouble(e));
        } else {
          result.setLong(offsets[e], encoded.getLong(e));
        }
      }
      return result;
    }

    private Node dequantize(
        Tensor codes,
        Tensor scales,
        Tensor zeroPoints,
        Map<String, Attribute> attributes,
        Value output) {
      return new Node(
          node.id(),
          node.name(),
          new OpKey("", "DequantizeLinear", version),
          List.of(
              rewrite.edit().constant(name(), Constant.of(codes)),
              rewrite.edit().constant("", Constant.of(scales)),
              rewrite.edit().constant("", Constant.of(zeroPoints))),
          List.of(output),
          attributes);
    }

    /** The name that the file gave to the weight. */
    private String name() {
      return node.name();
    }

    private void replace(List<Node> nodes) {
      rewrite.edit().replace(node, nodes);
    }
  }
}
