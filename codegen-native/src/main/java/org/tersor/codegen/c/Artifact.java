package org.tersor.codegen.c;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.spi.ModelProgram;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Plan;
import org.tersor.runtime.WholeFile;
import org.tersor.runtime.machine.HeapSegments;

/**
 * A shared library with a C header: programs of one model for one or more instruction sets, chosen
 * when it runs.
 */
final class Artifact {
  private static final String WEIGHTS =
      """
        .section .rodata,"a",%progbits
        .balign 64
        .globl tsr_weights
        .hidden tsr_weights
      tsr_weights:
        .incbin "weights.bin"
        .byte 0
        .section .note.GNU-stack,"",%progbits
      """;

  /** Name of the header with threads, behind that of the library. */
  private static final String THREADS = "threads.h";

  private final List<Program> programs = new ArrayList<>();
  private final List<Executable.State> states;
  private final List<LibraryCode> codes = new ArrayList<>();
  private final String prefix;
  private final IdentityHashMap<Constant, Long> weightOffsets = new IdentityHashMap<>();
  private final List<Constant> weights = new ArrayList<>();
  private final Architecture architecture;
  private long weightBytes;

  /**
   * @param models the same for several instruction sets
   */
  Artifact(List<ModelProgram> models, String prefix) {
    this.states = models.getFirst().states();
    this.architecture = Architecture.of(models);
    this.prefix = prefix;
    for (ModelProgram model : Isa.best(models)) {
      String name = prefix + "_" + Isa.of(model.target()).name().toLowerCase(Locale.ROOT);
      codes.add(
          model.script().isPresent()
              ? new ScriptC(model, model.script().get(), name)
              : new ProgramC(model.segments().getFirst(), name));
      Program program =
          model.script().isPresent()
              ? ScriptC.facade(model, model.script().get())
              : model.segments().getFirst();
      programs.add(program);
      for (Constant constant : program.constants()) {
        if (weightOffsets.putIfAbsent(constant, weightBytes) == null) {
          weights.add(constant);
          long bytes =
              Math.multiplyExact(constant.elements(), (long) constant.dtype().memoryBytes());
          weightBytes = Math.addExact(weightBytes, Math.addExact(bytes, 127L) / 64 * 64);
        }
      }
    }
  }

  /** A C identifier from a model's name. */
  static String identifier(String name) {
    String text =
        name.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]+", "_").replaceAll("^_+|_+$", "");
    if (text.length() > 40) {
      text = text.substring(0, 40);
    }
    return text.isEmpty() ? "model" : Character.isDigit(text.charAt(0)) ? "m" + text : text;
  }

  String header() {
    return new ArtifactHeader(programs, states, prefix).text();
  }

  /** Everything that the library is made from, but the weights. */
  Map<String, NativeBuild.Source> sources() {
    Map<String, NativeBuild.Source> sources = new LinkedHashMap<>();
    for (LibraryCode code : codes) {
      code.files()
          .forEach((name, text) ->
              sources.put(
                  name,
                  new NativeBuild.Source(
                      text, name.endsWith("_steps.c") ? List.of() : code.isa().flags())));
    }
    sources.put(prefix + ".c", new NativeBuild.Source(main(), List.of()));
    sources.put("weights.S", new NativeBuild.Source(WEIGHTS, List.of()));
    return sources;
  }

  void writeWeights(Path file) throws IOException {
    try (Arena arena = Arena.ofConfined();
        FileChannel channel =
            FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      MemorySegment chunk = arena.allocate(1 << 20);
      long position = 0;
      for (Constant constant : weights) {
        MemorySegment elements =
            constant.dtype().bits() >= 8 && constant.raw().isPresent()
                ? constant.raw().get()
                : HeapSegments.of(constant.load());
        position = weightOffsets.getOrDefault(constant, 0L);
        for (long at = 0; at < elements.byteSize(); ) {
          long n = Math.min(chunk.byteSize(), elements.byteSize() - at);
          ByteBuffer bytes = chunk.asSlice(0, n).copyFrom(elements.asSlice(at, n)).asByteBuffer();
          while (bytes.hasRemaining()) {
            at += channel.write(bytes, position + at);
          }
        }
        position += elements.byteSize();
      }
      if (weightBytes > position) {
        channel.write(arena.allocate(1).asByteBuffer(), weightBytes - 1);
      }
    }
  }

  private String main() {
    Plan plan = programs.getFirst().plan();
    String upper = prefix.toUpperCase(Locale.ROOT);
    StringBuilder out =
        new StringBuilder(
            "#include \""
                + prefix
                + ".h\"\n#define API __attribute__((visibility(\"default\")))\n");
    out.append("#define FN(name) ").append(prefix).append("_##name\n");
    for (String name :
        List.of(
            "OK",
            "ERROR_NULL",
            "ERROR_DIMS",
            "ERROR_ARENA",
            "ERROR_CPU",
            "ERROR_PACKED",
            "ERROR_BRANCH",
            "ERROR_CANCELLED",
            "ERROR_INDEX")) {
      out.append("#define ")
          .append(name)
          .append(' ')
          .append(upper)
          .append('_')
          .append(name)
          .append('\n');
    }
    out.append(Isa.constants())
        .append("#define LEVELS ")
        .append(codes.size())
        .append("\n#define DIMS ")
        .append(plan.dims().size());
    out.append("\n#define INPUTS ")
        .append(plan.inputs().size())
        .append("\n#define OUTPUTS ")
        .append(plan.outputs().size());
    out.append("\n#define SLOTS ")
        .append(codes.stream().mapToInt(LibraryCode::slots).max().orElse(0));
    out.append("\n\n");
    out.append(CRuntime.MEMORY_FUNCTIONS).append(ProgramC.CALL_TYPE);
    out.append(
        """
        typedef struct {
          int32_t isa, slots, load, run;
          int64_t packed;
          const void *const *constants;
          int64_t (*layout)(const int64_t *, int64_t *);
          int64_t (*scratch)(const int64_t *);
          void (*tasks)(const int64_t *, int64_t *);
          void (*steps)(const tsr_call *, int32_t, int32_t);
          void (*work)(const tsr_call *, int64_t *, int64_t, const int64_t *, int64_t, int32_t, int32_t, int32_t, int32_t);
          int64_t (*status)(const tsr_call *);
        } tsr_level;
        extern const unsigned char tsr_weights[] __attribute__((visibility("hidden")));
        """);
    StringBuilder table = new StringBuilder("static const tsr_level levels[LEVELS] = {\n");
    for (int i = 0; i < codes.size(); i++) {
      String p = codes.get(i).prefix();
      Program program = programs.get(i);
      out.append("int64_t ")
          .append(p)
          .append("_layout(const int64_t *, int64_t *);\nint64_t ")
          .append(p)
          .append("_scratch(const int64_t *);\n");
      out.append("void ").append(p).append("_tasks(const int64_t *, int64_t *);\n");
      out.append("void ").append(p).append("_steps(const tsr_call *, int32_t, int32_t);\n");
      out.append("static const void *const constants").append(i).append("[] = {");
      program
          .constants()
          .forEach(c -> out.append("tsr_weights + ").append(weightOffsets.get(c)).append(", "));
      out.append("0};\n");
      table
          .append("  {")
          .append("LEVEL_")
          .append(codes.get(i).isa().name())
          .append(", ")
          .append(codes.get(i).slots())
          .append(", ")
          .append(codes.get(i).loadSteps());
      table
          .append(", ")
          .append(codes.get(i).runSteps())
          .append(", ")
          .append(codes.get(i).packedBytes())
          .append(", constants")
          .append(i);
      for (String function : List.of("layout", "scratch", "tasks", "steps")) {
        table.append(", ").append(p).append('_').append(function);
      }
      if (codes.get(i) instanceof ScriptC) {
        out.append("int64_t ").append(p).append("_status(const tsr_call *);\n");
        table.append(", 0, ").append(p).append("_status},\n");
      } else {
        out.append("void ")
            .append(p)
            .append("_work(const tsr_call *, int64_t *, int64_t, const int64_t *, int64_t, ");
        out.append("int32_t, int32_t, int32_t, int32_t);\n");
        table.append(", ").append(p).append("_work, 0},\n");
      }
    }
    out.append(table).append("};\nstatic const char description[] = {");
    // As numbers: no text of the model is read by the compiler.
    for (byte b :
        new ArtifactHeader(programs, states, prefix)
            .description()
            .getBytes(StandardCharsets.UTF_8)) {
      out.append(b).append(',');
    }
    return out.append("0};\n\n")
        .append(CRuntime.resource("cpu.c"))
        .append(CRuntime.resource("library.c"))
        .toString();
  }

  /**
   * Builds and moves into place, the headers first; {@code keepSource}: the C files stay in a
   * folder beside. The cache makes it faster, not different.
   */
  void write(Path file, boolean keepSource, BuildCache cache) {
    Toolchain.inFolder(folder -> {
      Map<String, NativeBuild.Source> sources = sources();
      Files.writeString(folder.resolve(prefix + ".h"), header(), StandardCharsets.UTF_8);
      Files.writeString(folder.resolve(THREADS), ArtifactHeader.threads(prefix));
      writeWeights(folder.resolve("weights.bin"));
      Map<String, NativeBuild.Source> faster =
          architecture == Architecture.HOST ? PrecompiledHeader.with(sources, cache) : sources;
      Path built = NativeBuild.build(folder, architecture, faster, "library.so");
      Path parent = folderOf(file);
      String base = base(file);
      try {
        Files.createDirectories(parent);
        place(folder.resolve(prefix + ".h"), parent.resolve(base + ".h"));
        place(folder.resolve(THREADS), parent.resolve(base + "_" + THREADS));
        place(built, file.toAbsolutePath());
        if (keepSource) {
          Path kept = Files.createDirectories(parent.resolve(base + ".src"));
          for (String name : sources.keySet()) {
            place(folder.resolve(name), kept.resolve(name));
          }
        }
      } catch (IOException e) {
        throw new UncheckedIOException("cannot write " + file, e);
      }
      return file;
    });
  }

  private static Path folderOf(Path file) {
    Path parent = file.toAbsolutePath().getParent();
    return parent == null ? file.toAbsolutePath() : parent;
  }

  private static String base(Path file) {
    Path last = file.getFileName();
    String name = last == null ? "model.so" : last.toString();
    return name.endsWith(".so") ? name.substring(0, name.length() - 3) : name;
  }

  private static void place(Path from, Path to) throws IOException {
    WholeFile.write(
        to, beside -> Files.copy(from, beside, java.nio.file.StandardCopyOption.REPLACE_EXISTING));
  }
}
