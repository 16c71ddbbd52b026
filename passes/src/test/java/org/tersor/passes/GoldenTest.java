package org.tersor.passes;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphParser;
import org.tersor.ir.graph.GraphPrinter;
import org.tersor.ir.op.GraphVerifier;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.passes.graph.CommuteQdq;
import org.tersor.passes.graph.Cse;
import org.tersor.passes.graph.DeadCode;
import org.tersor.passes.graph.Decompose;
import org.tersor.passes.graph.FoldBatchNorm;
import org.tersor.passes.graph.FoldConstants;
import org.tersor.passes.graph.InlineBranches;
import org.tersor.passes.graph.IntegerKernels;
import org.tersor.passes.graph.LowerFakeQuant;
import org.tersor.passes.graph.RaiseQdq;
import org.tersor.passes.graph.ShareRepeated;
import org.tersor.passes.graph.Simplify;
import org.tersor.passes.graph.SinkIntoBranches;
import org.tersor.passes.graph.UpgradeOpset;
import org.tersor.passes.graph.WidenFloat16;
import org.tersor.passes.infer.TypeInference;

/**
 * One case per file {@code golden/<pass>/*.tir}: a line RUN with passes and options, a line WHY,
 * the graph before, a line EXPECT, the graph after. Both graphs also run on seeded inputs. {@code
 * -Dgolden.update=true} rewrites what is expected.
 */
class GoldenTest {
  private static final Path FOLDER = Path.of("src/test/resources/golden");
  private static final String EXPECT = "EXPECT\n";

  private static final List<Pass> PASSES =
      List.of(
          new FoldConstants(),
          new InlineBranches(),
          new Cse(),
          new DeadCode(),
          new Decompose(),
          new Simplify(),
          new ShareRepeated(),
          new RaiseQdq(),
          new LowerFakeQuant(),
          new CommuteQdq(),
          new IntegerKernels(),
          new FoldBatchNorm(),
          new SinkIntoBranches(),
          new WidenFloat16(),
          UpgradeOpset.forChannels());

  @TestFactory
  List<DynamicTest> cases() throws IOException {
    List<Path> files;
    try (Stream<Path> walk = Files.walk(FOLDER)) {
      files = walk.filter(file -> file.toString().endsWith(".tir")).sorted().toList();
    }
    assertFalse(files.isEmpty(), "no cases in " + FOLDER.toAbsolutePath());
    return files.stream()
        .map(file -> DynamicTest.dynamicTest(FOLDER.relativize(file).toString(), () -> run(file)))
        .toList();
  }

  private static void run(Path file) throws IOException {
    String text = Files.readString(file);
    String[] lines = text.split("\n", 3);
    assertEquals("RUN ", lines[0].substring(0, 4), "the first line says what to run");
    assertEquals("WHY ", lines[1].substring(0, 4), "the second line says why");
    int expect = lines[2].indexOf(EXPECT);
    String before = expect < 0 ? lines[2] : lines[2].substring(0, expect);
    List<Pass> passes = new ArrayList<>(List.of(new TypeInference()));
    Map<String, String> options = new HashMap<>();
    for (String word : lines[0].substring(4).split(" ", -1)) {
      if (word.startsWith("--")) {
        options.put(word.substring(2), "");
      } else {
        passes.add(
            PASSES.stream().filter(pass -> pass.id().equals(word)).findFirst().orElseThrow());
        passes.add(new TypeInference());
      }
    }
    OpRegistry operators = OpRegistry.standard();
    PassManager.Debug debug =
        PassManager.Debug.OFF
            .withVerifyNumerics()
            .withVerifier(
                graph -> GraphVerifier.verify(graph, Optional.of(operators), "after a pass"));
    Graph after =
        new PassManager(new PassContext(operators, options, note -> {}), debug)
            .run(passes, GraphParser.parse(before));
    String actual = lines[0] + "\n" + lines[1] + "\n" + before + EXPECT + GraphPrinter.print(after);
    if (Boolean.getBoolean("golden.update")) {
      Files.writeString(file, actual);
    } else {
      assertEquals(text, actual);
    }
  }
}
