package org.tersor.cli.fuzz;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.ir.dsl.KernelParser;
import org.tersor.ir.dsl.LoopParser;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphParser;
import org.tersor.ir.graph.GraphPrinter;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.QuantPlan;
import org.tersor.runtime.Cancellation;
import org.tersor.runtime.Npy;
import org.tersor.runtime.PlanCodec;
import org.tersor.runtime.RunLimits;
import org.tersor.runtime.ScriptCodec;
import org.tersor.runtime.TersorException;

/**
 * Everything that reads what others wrote: any bytes give a value or a diagnostic, never another
 * exception, and soon. A normal test run only looks at the kept inputs, in the folder of resources
 * {@code ReadersFuzzTestInputs/METHOD}; {@code dev/fuzz METHOD SECONDS} looks for more.
 */
@Timeout(60)
class ReadersFuzzTest {
  private static final Compiler COMPILER = Compiler.standard();
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  /** Longest time of one input: of the processor, so that a busy machine does not count. */
  private static final long NANOS = 5_000_000_000L;

  /** What a model of a few bytes may ask for while it is compiled. */
  private static final RunLimits LIMITS =
      RunLimits.standard().withTime(Duration.ofSeconds(4)).withBytes(64 << 20);

  @TempDir static Path folder;

  /** Something that reads a whole input. */
  private interface Reader {
    void read() throws IOException;
  }

  private static void bounded(Reader reader) {
    long start = THREADS.getCurrentThreadCpuTime();
    try {
      reader.read();
    } catch (TersorException e) {
      if (!e.code().matches("TSR-\\d{4}") || String.valueOf(e.getMessage()).length() > 10_000) {
        throw new AssertionError("no good diagnostic", e);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    long nanos = THREADS.getCurrentThreadCpuTime() - start;
    if (nanos > NANOS) {
      throw new AssertionError("took " + nanos / 1_000_000 + " ms");
    }
  }

  private static Graph prepared(Graph graph) {
    return new Cancellation(LIMITS)
        .during(() -> COMPILER.prepare(graph, CompileOptions.defaults()));
  }

  /** A model up to the shapes that compilation infers. */
  @FuzzTest
  void onnx(byte[] bytes) {
    bounded(() -> {
      Path file = Files.write(folder.resolve("model.onnx"), bytes);
      Graph _ = prepared(COMPILER.read(file, Map.of("max-nodes", "10000")));
    });
  }

  @FuzzTest
  void gguf(byte[] bytes) {
    bounded(() -> COMPILER.read(Files.write(folder.resolve("model.gguf"), bytes), Map.of()));
  }

  /** What was read prints to a text that gives it again. */
  @FuzzTest
  void graph(byte[] bytes) {
    bounded(() -> {
      Graph graph = GraphParser.parse(new String(bytes, UTF_8));
      String text = GraphPrinter.print(graph);
      var kept = GraphPrinter.references(graph);
      String again =
          GraphPrinter.print(
              GraphParser.parse(text, name -> java.util.Optional.ofNullable(kept.get(name))));
      if (!again.equals(text)) {
        throw new AssertionError(text + "\nbecomes\n" + again);
      }
      Graph _ = prepared(graph);
    });
  }

  @FuzzTest
  void kernel(byte[] bytes) {
    bounded(() -> KernelParser.parseFile(new String(bytes, UTF_8), Map.of()));
  }

  @FuzzTest
  void loop(byte[] bytes) {
    String text = new String(bytes, UTF_8);
    bounded(() -> LoopParser.parseAll(text));
    bounded(() -> LoopParser.parseRoutines(text));
  }

  /** A quantization plan. */
  @FuzzTest
  void plan(byte[] bytes) {
    bounded(() -> {
      String text = QuantPlan.parse(new String(bytes, UTF_8)).text();
      if (!QuantPlan.parse(text).text().equals(text)) {
        throw new AssertionError(text);
      }
    });
  }

  /** What a compiled jar holds: the plan of its kernels, and the script. */
  @FuzzTest
  void artifact(byte[] bytes) {
    String text = new String(bytes, UTF_8);
    bounded(() -> {
      String plan = PlanCodec.write(PlanCodec.read(text));
      if (!PlanCodec.write(PlanCodec.read(plan)).equals(plan)) {
        throw new AssertionError(plan);
      }
    });
    bounded(() -> {
      String script = ScriptCodec.write(ScriptCodec.read(text));
      if (!ScriptCodec.write(ScriptCodec.read(script)).equals(script)) {
        throw new AssertionError(script);
      }
    });
  }

  /** Arrays of NumPy, one or an archive of them. A broken archive is an IOException. */
  @FuzzTest
  void array(byte[] bytes) {
    bounded(() -> {
      Path file = Files.write(folder.resolve("array"), bytes);
      try {
        if (bytes.length > 1 && bytes[0] == 'P' && bytes[1] == 'K') {
          Npy.readAll(file);
        } else {
          Npy.read(file);
        }
      } catch (java.util.zip.ZipException | java.io.EOFException e) {
        // java.util.zip says what is broken.
      }
    });
  }
}
