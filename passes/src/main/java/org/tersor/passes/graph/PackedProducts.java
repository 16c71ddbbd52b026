package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.dsl.AffineDecode;
import org.tersor.ir.dsl.FormatDef;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Products with decoded weights as com.microsoft MatMulNBits: codes of 2, 4 or 8 bits, packed from
 * the low bits on, in blocks of K that share a scale and a zero point. Codes of 3 bits travel in 4,
 * those of 5 and 6 in 8. That operator knows codes without sign: half of the range is added to
 * signed codes and to their zero points, which leaves the values.
 *
 * @param decode the node that decodes the weights
 * @param users products, all of them
 */
record PackedProducts(
    Node decode, AffineDecode affine, DecodeOperator.Scheme scheme, List<Node> users) {
  /** The domain of the operator. */
  static final String DOMAIN = "com.microsoft";

  private static final int LARGEST_BLOCK = 256;

  /** Either what can be packed, or why not. */
  sealed interface Found {
    record Packed(PackedProducts products) implements Found {}

    record Not(String why) implements Found {}
  }

  static Found of(Graph graph, Node decode, DecodeOperator.Scheme scheme) {
    Optional<AffineDecode> affine = AffineDecode.ofAnyZero(scheme.format());
    if (affine.isEmpty() || affine.get().codeType().bits() > 8) {
      return new Found.Not(
          "its values are not (code - zero) * scale with codes of 8 bits or fewer");
    }
    if (scheme.shape().length != 2 || scheme.layout().rows().size() != 1) {
      return new Found.Not("it is no matrix");
    }
    if (affine.get().level() == FormatDef.Level.TENSOR) {
      return new Found.Not("one scale of all rows would have to be written for each");
    }
    long[] encoded = scheme.encodedShape();
    long block = block(affine.get(), scheme);
    if (block < 16 || block > LARGEST_BLOCK || Long.bitCount(block) != 1 || encoded[0] == 0) {
      return new Found.Not(
          "its rows share scales in blocks of " + block + ", not of a power of two from 16 to 256");
    }
    List<Node> users = graph.consumers(decode.output(0));
    for (Node user : users) {
      if (!isProduct(graph, decode.output(0), user, encoded[0])) {
        return new Found.Not("'" + user.name() + "' is no plain product with it");
      }
    }
    return users.isEmpty() || graph.isOutput(decode.output(0))
        ? new Found.Not("it is a result of the model")
        : new Found.Packed(new PackedProducts(decode, affine.get(), scheme, users));
  }

  /** A block of a format with a scale for each row is the whole row. */
  private static long block(AffineDecode affine, DecodeOperator.Scheme scheme) {
    long columns = scheme.encodedShape()[1];
    return affine.level() == FormatDef.Level.BLOCK
        ? scheme.format().block()
        : Math.max(16, Long.highestOneBit(Math.max(1, 2 * columns - 1)));
  }

  private static boolean isProduct(Graph graph, Value weight, Node user, long rows) {
    if (!user.op().domain().isEmpty()
        || user.inputs().stream().filter(weight::equals).count() != 1) {
      return false;
    }
    return switch (user.op().type()) {
      case "MatMul" -> user.input(1).equals(weight);
      case "Gemm" ->
          user.input(1).equals(weight)
              && isOne(user, "alpha")
              && isOne(user, "beta")
              && !(user.attributes().get("transA") instanceof Attribute.IntAttr a && a.value() != 0)
              && (!user.input(2).isPresent()
                  || (graph.type(user.input(2)) instanceof TensorType type
                      && type.isStatic()
                      && java.util.Arrays.equals(type.staticShape(), new long[] {rows})));
      default -> false;
    };
  }

  private static boolean isOne(Node node, String attribute) {
    return !(node.attributes().get(attribute) instanceof Attribute.FloatAttr a) || a.value() == 1;
  }

  /** Bits that a code takes: 2, 4 or 8. */
  private int bits() {
    int bits = affine.codeBits();
    return bits <= 2 ? 2 : bits <= 4 ? 4 : 8;
  }

  void write(Rewrite rewrite) {
    List<Tensor> buffers = new ArrayList<>();
    decode.inputs().forEach(i -> rewrite.constant(i).ifPresent(buffers::add));
    long[] encoded = scheme.encodedShape();
    int rows = Math.toIntExact(encoded[0]);
    int columns = Math.toIntExact(encoded[1]);
    int block = Math.toIntExact(block(affine, scheme));
    int blocks = Math.ceilDiv(columns, block);
    int bits = bits();
    int half = affine.codeType().isSigned() ? 1 << (bits - 1) : 0;
    Tensor codes = affine.codes(buffers, encoded);
    Tensor packed = Tensor.zeros(DType.U8, rows, blocks, (long) block * bits / 8);
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < columns; c++) {
        set(packed, (long) r * blocks * block + c, bits, codes.getLong(r * columns + c) + half);
      }
    }
    Value b = rewrite.edit().constant(decode.name(), Constant.of(packed));
    Value scales =
        rewrite
            .edit()
            .constant(
                "", Constant.of(affine.scales(buffers, encoded).reshaped((long) rows * blocks)));
    Value zeros = zeros(rewrite, buffers, rows, blocks, half);
    rewrite.edit().importDomain(DOMAIN, 1);
    for (Node user : users) {
      Map<String, Attribute> attributes = new LinkedHashMap<>();
      attributes.put("K", new Attribute.IntAttr(columns));
      attributes.put("N", new Attribute.IntAttr(rows));
      attributes.put("bits", new Attribute.IntAttr(bits));
      attributes.put("block_size", new Attribute.IntAttr(block));
      // 1: the products are computed in float32
      attributes.put("accuracy_level", new Attribute.IntAttr(1));
      List<Value> inputs = new ArrayList<>(List.of(user.input(0), b, scales, zeros));
      if (user.op().is("Gemm") && user.input(2).isPresent()) {
        inputs.addAll(List.of(Value.NONE, user.input(2)));
      } else if (!zeros.isPresent()) {
        inputs.removeLast();
      }
      rewrite
          .edit()
          .replace(
              user,
              List.of(
                  new Node(
                      user.id(),
                      user.name(),
                      new OpKey(DOMAIN, "MatMulNBits", 1),
                      inputs,
                      user.outputs(),
                      attributes)));
    }
  }

  /** None where all are what the operator takes without: half of the range. */
  private Value zeros(Rewrite rewrite, List<Tensor> buffers, int rows, int blocks, int half) {
    long[] encoded = scheme.encodedShape();
    int bits = bits();
    Tensor real = affine.realZeros(buffers, encoded);
    boolean whole = AffineDecode.of(scheme.format()).isPresent();
    boolean usual = half != 0;
    for (int i = 0; i < real.size(); i++) {
      double zero = real.getDouble(i) + half;
      usual &= zero == 1 << (bits - 1);
      whole &= zero == Math.rint(zero) && zero >= 0 && zero < 1 << bits;
    }
    if (usual) {
      return Value.NONE;
    }
    Tensor written;
    if (whole) {
      long bytes = Math.ceilDiv((long) blocks * bits, 8);
      written = Tensor.zeros(DType.U8, rows * bytes);
      for (int r = 0; r < rows; r++) {
        for (int k = 0; k < blocks; k++) {
          set(
              written,
              r * bytes * 8 / bits + k,
              bits,
              (long) real.getDouble(r * blocks + k) + half);
        }
      }
    } else {
      written = Tensor.zeros(DType.F32, (long) rows * blocks);
      for (int i = 0; i < written.size(); i++) {
        written.setDouble(i, real.getDouble(i) + half);
      }
    }
    return rewrite.edit().constant("", Constant.of(written));
  }

  /** Puts a code of some bits at a place that counts codes, the first in the low bits of a byte. */
  private static void set(Tensor bytes, long at, int bits, long code) {
    int perByte = 8 / bits;
    int index = Math.toIntExact(at / perByte);
    long before = bytes.getLong(index);
    bytes.setLong(index, before | code << (int) (at % perByte * bits));
  }
}
