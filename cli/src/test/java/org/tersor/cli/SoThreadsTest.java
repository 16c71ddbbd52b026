package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** A library whose tasks the command line runs on several threads. */
class SoThreadsTest {
  private static final int N = 192;

  @TempDir Path folder;

  /** A product, its rows' softmax, another product: steps of many tasks, with memory of tasks. */
  private Path library() {
    Compiler compiler = Compiler.standard();
    assumeTrue(compiler.registry().backend("native").unavailable().isEmpty(), "no C compiler");
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, N, N));
    Value y = b.add("MatMul", b.add("Softmax", b.add("MatMul", x, x)), x);
    b.output(y);
    Path file = folder.resolve("products.so");
    Graph graph = compiler.prepare(b.build("products", Map.of()), CompileOptions.defaults());
    compiler.artifact(graph, "native", List.of(), file, CompileOptions.defaults());
    return file;
  }

  private static Map<String, Tensor> input(int seed) {
    Random random = new Random(seed);
    Tensor x = Tensor.zeros(DType.F32, N, N);
    for (int i = 0; i < x.size(); i++) {
      x.setDouble(i, random.nextFloat() - .5);
    }
    return Map.of("x", x);
  }

  private static float[] run(SoArtifact artifact, int seed) {
    return artifact.run(input(seed)).values().iterator().next().floats().clone();
  }

  @Test
  void threadsGiveTheSameBits() throws Exception {
    Path file = library();
    SoArtifact alone = new SoArtifact(file);
    SoArtifact three = new SoArtifact(file, 3);
    Set<Thread> before = Set.copyOf(Thread.getAllStackTraces().keySet());
    Set<Thread> started = ConcurrentHashMap.newKeySet();
    for (int seed = 0; seed < 20; seed++) {
      assertArrayEquals(run(alone, seed), run(three, seed), "seed " + seed);
      started.addAll(Thread.getAllStackTraces().keySet());
    }
    started.removeAll(before);
    assertTrue(started.size() >= 2, "threads beside the caller: " + started);
  }

  /** One of them has the threads, the others run alone. */
  @Test
  void callsAtOnce() throws Exception {
    Path file = library();
    SoArtifact alone = new SoArtifact(file);
    SoArtifact two = new SoArtifact(file, 2);
    try (ExecutorService callers = Executors.newFixedThreadPool(4)) {
      List<Callable<float[]>> calls = new ArrayList<>();
      for (int seed = 0; seed < 40; seed++) {
        int s = seed;
        calls.add(() -> run(two, s));
      }
      List<Future<float[]>> results = callers.invokeAll(calls);
      for (int seed = 0; seed < results.size(); seed++) {
        assertArrayEquals(run(alone, seed), results.get(seed).get(), "seed " + seed);
      }
    }
  }
}
