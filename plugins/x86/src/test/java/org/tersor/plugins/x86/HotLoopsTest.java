package org.tersor.plugins.x86;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tersor.conformance.zoo.Zoo;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.Target;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.plugins.x86.Operand.Mem;

/** The innermost loops of register tiles keep everything in registers: no spills and no copies. */
class HotLoopsTest {
  /** Products in a loop, from which on it is one of a tile. */
  private static final int TILE = 8;

  @ParameterizedTest
  @CsvSource({
    "matmul-98x128x192, false, avx512vnni, VFMADD231PS, 16",
    "matmul-98x128x192, true, avx512vnni, VPDPBUSD, 15",
    "conv-32x15x15-64x3x3-s2, false, avx512vnni, VFMADD231PS, 16",
    "conv-32x15x15-64x3x3-s2, true, avx512vnni, VPDPBUSD, 15",
    "conv-64x14x14-96x1x1, false, avx512, VFMADD231PS, 16",
    "conv-64x14x14-96x1x1, true, avx512, VPMADDWD, 24"
  })
  void tilesStayInRegisters(String name, boolean bytes, String on, Op product, int least) {
    Zoo.Options defaults = Zoo.Options.DEFAULT;
    Graph graph =
        Zoo.build(
            name,
            new Zoo.Options(
                1, 1, defaults.qdq(), bytes, defaults.zeroPoint(), false, defaults.text()));
    Target target = Target.nativeTarget(on);
    Compiler compiler = Compiler.standard();
    CompileOptions options = CompileOptions.defaults();
    List<LoopFunction> kernels =
        compiler
            .model(compiler.prepare(graph, options), target, options)
            .single("a test")
            .kernels();
    long largest = 0;
    List<String> faults = new ArrayList<>();
    for (LoopFunction kernel : kernels) {
      for (List<Ins> loop :
          innermost(Kernel.instructions(kernel, target, new Pool(), new Frame()))) {
        long products = loop.stream().filter(ins -> ins.op == product).count();
        largest = Math.max(largest, products);
        if (products >= TILE) {
          loop.stream()
              .filter(HotLoopsTest::isSpill)
              .forEach(ins -> faults.add(kernel.name() + ": " + ins));
        }
      }
    }
    assertEquals(List.of(), faults);
    assertTrue(largest >= least, "the largest loop has " + largest + " products");
  }

  private static boolean isSpill(Ins ins) {
    boolean frame = ins.operand instanceof Mem m && m.place() == Operand.Place.FRAME;
    boolean copy =
        ins.isMove()
            && ins.target.kind == Reg.Kind.VECTOR
            && ins.operand instanceof Reg from
            && from.number() != ins.target.number();
    return frame || copy;
  }

  private static List<List<Ins>> innermost(List<Ins> code) {
    List<List<Ins>> loops = new ArrayList<>();
    int begin = -1;
    for (int i = 0; i < code.size(); i++) {
      if (code.get(i).op == Op.LOOP) {
        begin = i;
      } else if (code.get(i).op == Op.END && begin >= 0) {
        loops.add(code.subList(begin, i));
        begin = -1;
      }
    }
    return loops;
  }
}
