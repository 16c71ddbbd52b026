package org.tersor.ir.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.tersor.ir.ops.OperatorTestKit.node;
import static org.tersor.ir.ops.OperatorTestKit.random;

import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

class ElementwiseTest {

  private static Stream<DType> kernelTypes(Set<DType> types) {
    return types.stream().filter(t -> Types.NUMERIC_OR_BOOL.contains(t));
  }

  /** Every row of the table, every type, its kernel against its evaluation. */
  @TestFactory
  Stream<DynamicTest> everyRow() {
    return ElementwiseOperators.all().stream().flatMap(ElementwiseTest::row);
  }

  private static Stream<DynamicTest> row(Operator operator) {
    OpSchema schema = operator.schema();
    int version = schema.versions().getLast();
    String main = schema.inputs().getLast().type();
    return kernelTypes(Objects.requireNonNull(schema.typeVariables().get(main)))
        .map(dtype ->
            DynamicTest.dynamicTest(
                schema.name() + " " + dtype.text(),
                () -> {
                  OperatorTestKit kit = node(schema.name(), version);
                  // The first operand of PRelu cannot be broadcast.
                  long[] first = {3, schema.name().equals("PRelu") ? 4 : 1, 5};
                  long[][] shapes = {first, {4, 1}, {3, 4, 5}};
                  int n =
                      schema.inputs().getFirst().arity() == OpSchema.Arity.VARIADIC
                          ? 3
                          : (int)
                              schema.inputs().stream()
                                  .filter(f -> f.arity() == OpSchema.Arity.SINGLE)
                                  .count();
                  for (int i = 0; i < n; i++) {
                    boolean condition =
                        i < schema.inputs().size() && schema.inputs().get(i).type().equals("B");
                    Tensor tensor = random(condition ? DType.BOOL : dtype, 17 + i, shapes[i % 3]);
                    if (schema.name().equals("Pow")) {
                      // Powers of small positive numbers stay in the range of every type.
                      for (int e = 0; e < tensor.size(); e++) {
                        tensor.setLong(e, 1 + e % 2);
                      }
                    }
                    kit.input(tensor);
                  }
                  if (schema.name().equals("BitShift")) {
                    kit.attr("direction", "RIGHT");
                  }
                  if (schema.name().equals("Mod") && dtype.isFloat()) {
                    kit.attr("fmod", 1);
                  }
                  if (schema.name().equals("Div") && !dtype.isFloat()) {
                    return;
                  }
                  kit.check();
                }));
  }

  @Test
  void integerDivisionTruncates() {
    Tensor a = Tensor.of(new int[] {7, -7, 7, -7, Integer.MIN_VALUE}, 5);
    Tensor b = Tensor.of(new int[] {2, 2, -2, -2, -1}, 5);
    assertArrayEquals(
        new int[] {3, -3, -3, 3, Integer.MIN_VALUE},
        node("Div", 14).input(a).input(b).check().getFirst().ints());
    Tensor m = Tensor.of(new int[] {3, 3, -3, -3, 5}, 5);
    assertArrayEquals(
        new int[] {1, 2, -2, -1, 2}, node("Mod", 13).input(a).input(m).check().getFirst().ints());
    assertArrayEquals(
        new int[] {1, -1, 1, -1, -3},
        node("Mod", 13).input(a).input(m).attr("fmod", 1).check().getFirst().ints());
  }

  @Test
  void narrowIntegersWrap() {
    Tensor a = new Tensor(DType.U8, new long[] {2}, new byte[] {(byte) 250, 3});
    Tensor b = new Tensor(DType.U8, new long[] {2}, new byte[] {10, 5});
    assertArrayEquals(
        new byte[] {4, 8}, node("Add", 14).input(a).input(b).check().getFirst().bytes());
    assertArrayEquals(
        new byte[] {(byte) 240, (byte) 254},
        node("Sub", 14).input(a).input(b).check().getFirst().bytes());
    assertArrayEquals(
        new byte[] {25, 0}, node("Div", 14).input(a).input(b).check().getFirst().bytes());
  }

  @Test
  void unsigned64() {
    Tensor a = new Tensor(DType.U64, new long[] {2}, new long[] {-1, 5});
    Tensor b = new Tensor(DType.U64, new long[] {2}, new long[] {2, -3});
    assertArrayEquals(
        new long[] {Long.MAX_VALUE, 0},
        node("Div", 14).input(a).input(b).check().getFirst().longs());
    assertArrayEquals(
        new byte[] {0, 1}, node("Less", 13).input(a).input(b).check().getFirst().bytes());
    assertArrayEquals(
        new long[] {-1, -3}, node("Max", 13).input(a).input(b).check().getFirst().longs());
  }

  @Test
  void oldBroadcasting() {
    Tensor a = random(DType.F32, 1, 2, 3, 4);
    Tensor b = random(DType.F32, 2, 3);
    Tensor sum =
        node("Add", 6).input(a).input(b).attr("broadcast", 1).attr("axis", 1).check().getFirst();
    assertEquals(a.floats()[23] + b.floats()[2], sum.floats()[23]);
    Tensor tail = random(DType.F32, 3, 3, 4);
    Tensor suffix = node("Mul", 1).input(a).input(tail).attr("broadcast", 1).check().getFirst();
    assertEquals(a.floats()[13] * tail.floats()[1], suffix.floats()[13]);
    Tensor channel = node("PRelu", 6).input(a).input(b).check().getFirst();
    assertEquals(
        a.floats()[5] < 0 ? a.floats()[5] * b.floats()[1] : a.floats()[5], channel.floats()[5]);
  }

  @Test
  void clipOfAllVersions() {
    Tensor x = Tensor.of(new float[] {-3, -1, 0, 1, 3}, 5);
    assertArrayEquals(
        new float[] {-1, -1, 0, 1, 2},
        node("Clip", 6).input(x).attr("min", -1f).attr("max", 2f).check().getFirst().floats());
    assertArrayEquals(
        new float[] {-3, -1, 0, 1, 2},
        node("Clip", 6).input(x).attr("max", 2f).check().getFirst().floats());
    assertArrayEquals(
        new float[] {-1, -1, 0, 1, 2},
        node("Clip", 13)
            .input(x)
            .constant(Tensor.of(new float[] {-1}))
            .constant(Tensor.of(new float[] {2}))
            .check()
            .getFirst()
            .floats());
    assertArrayEquals(
        new float[] {-3, -1, 0, 1, 2},
        node("Clip", 13)
            .input(x)
            .absent()
            .constant(Tensor.of(new float[] {2}))
            .check()
            .getFirst()
            .floats());
    assertArrayEquals(x.floats(), node("Clip", 13).input(x).check().getFirst().floats());
  }

  @Test
  void specialValues() {
    Tensor x =
        Tensor.of(
            new float[] {
              Float.NaN,
              Float.POSITIVE_INFINITY,
              Float.NEGATIVE_INFINITY,
              -0f,
              0.5f,
              1.5f,
              2.5f,
              -0.5f
            },
            8);
    assertArrayEquals(
        new byte[] {1, 0, 0, 0, 0, 0, 0, 0}, node("IsNaN", 20).input(x).check().getFirst().bytes());
    assertArrayEquals(
        new byte[] {0, 1, 1, 0, 0, 0, 0, 0}, node("IsInf", 20).input(x).check().getFirst().bytes());
    assertArrayEquals(
        new byte[] {0, 0, 1, 0, 0, 0, 0, 0},
        node("IsInf", 20).input(x).attr("detect_positive", 0).check().getFirst().bytes());
    float[] rounded = node("Round", 22).input(x).check().getFirst().floats();
    assertArrayEquals(new float[] {0, 2, 2, -0f}, java.util.Arrays.copyOfRange(rounded, 4, 8));
    for (String name :
        List.of(
            "Softplus",
            "Mish",
            "Gelu",
            "Sigmoid",
            "Tanh",
            "Erf",
            "Exp",
            "Elu",
            "Selu",
            "HardSwish")) {
      node(name, 22).input(x).check();
    }
  }

  @Test
  void powers() {
    Tensor x = Tensor.of(new float[] {-2, 0, 3}, 3);
    assertArrayEquals(
        new float[] {4, 0, 9},
        node("Pow", 15).input(x).constant(Tensor.of(new float[] {2})).check().getFirst().floats());
    assertArrayEquals(
        new float[] {-8, 0, 27},
        node("Pow", 15).input(x).input(Tensor.of(new long[] {3})).check().getFirst().floats());
    Tensor i = Tensor.of(new int[] {-2, 0, 3}, 3);
    assertArrayEquals(
        new int[] {-8, 0, 27},
        node("Pow", 15).input(i).input(Tensor.of(new int[] {3})).check().getFirst().ints());
  }

  @Test
  void strings() {
    Tensor a = new Tensor(DType.STRING, new long[] {2}, new String[] {"x", "y"});
    Tensor b = new Tensor(DType.STRING, new long[] {1}, new String[] {"y"});
    assertArrayEquals(
        new byte[] {0, 1}, node("Equal", 19).input(a).input(b).eval().getFirst().bytes());
  }

  @Test
  void diagnosticsNameTheNode() {
    TersorException wrongType =
        assertThrows(
            TersorException.class,
            () ->
                node("Add", 14)
                    .input(random(DType.F32, 1, 2))
                    .input(random(DType.I32, 1, 2))
                    .infer());
    assertEquals("TSR-0302", wrongType.code());
    TersorException wrongShape =
        assertThrows(
            TersorException.class,
            () ->
                node("Add", 14)
                    .input(random(DType.F32, 1, 2))
                    .input(random(DType.F32, 1, 3))
                    .infer());
    assertEquals("TSR-0303", wrongShape.code());
  }

  @TestFactory
  Stream<DynamicTest> castsOfAllPairs() {
    List<DType> types =
        Stream.of(DType.values()).filter(t -> !t.isComplex() && t != DType.STRING).toList();
    return types.stream()
        .flatMap(from ->
            types.stream()
                .map(to ->
                    DynamicTest.dynamicTest(
                        from.text() + " to " + to.text(), () -> cast(from, to))));
  }

  private static void cast(DType from, DType to) {
    Tensor x = random(from, 5, 3, 7);
    if (from.isFloat() && from.bits() >= 16) {
      x.setDouble(0, Double.NaN);
      x.setDouble(1, Double.POSITIVE_INFINITY);
      x.setDouble(2, -1e5);
      x.setDouble(3, 3e38);
      x.setDouble(4, 2.5);
      x.setDouble(5, 1e-8);
    }
    for (long saturate = 0; saturate < 2; saturate++) {
      Tensor like = Tensor.zeros(to, 1);
      node("CastLike", 24).input(x).input(like).attr("saturate", saturate).tolerance(0).check();
    }
  }

  @Test
  void slopesDoNotWiden() {
    TersorException refused =
        assertThrows(
            TersorException.class,
            () ->
                node("PRelu", 16)
                    .input(random(DType.F32, 1, 3, 1, 5))
                    .input(random(DType.F32, 2, 4, 1))
                    .check());
    assertEquals("TSR-0303", refused.code());
  }

  /** The function body casts lambd and bias to the type of x. */
  @Test
  void shrinkOfIntegers() {
    Tensor signed = Tensor.of(new long[] {-3, -2, 0, 2, 3, (1L << 60) + 1}, 6);
    OperatorTestKit shrink =
        node("Shrink", 9).input(signed).attr("lambd", 2.75f).attr("bias", 1.5f);
    assertArrayEquals(new long[] {-2, 0, 0, 0, 2, 1L << 60}, shrink.check().getFirst().longs());
    Tensor bytes = Tensor.zeros(DType.U8, 3);
    bytes.setLong(1, 2);
    bytes.setLong(2, 255);
    Tensor unsigned =
        node("Shrink", 9).input(bytes).attr("lambd", 2f).attr("bias", 1f).check().getFirst();
    assertArrayEquals(new byte[] {0, 0, (byte) 254}, unsigned.bytes());
  }
}
