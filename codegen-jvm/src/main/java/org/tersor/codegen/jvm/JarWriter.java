package org.tersor.codegen.jvm;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.objectweb.asm.Opcodes;
import org.objectweb.asm.commons.Remapper;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.ModelProgram;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.ArtifactInterface;
import org.tersor.runtime.Executable;
import org.tersor.runtime.PlanCodec;
import org.tersor.runtime.ScriptCodec;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import org.tersor.runtime.WholeFile;

/**
 * Writes a model as one self-contained jar: kernels once per target (equal ones once), plans,
 * weights as one stored entry, a generated class, and the runtime under the model's package, so
 * that two models of two builds live in one application. Equal inputs give equal bytes.
 */
final class JarWriter {
  private static final LocalDateTime TIME = LocalDateTime.of(1980, 1, 1, 0, 0);

  private final List<ModelProgram> models;
  private final Optional<Backend.MachineCode> machine;
  private final String packagePath;
  private final String className;
  private final boolean embedRuntime;
  private final Relocation relocation;
  private final Map<String, byte[]> entries = new TreeMap<>();

  /**
   * @param machine code that runs instead of the bytecode where it can
   * @param packageName Java package of the model's class
   * @param className simple name of the model's class
   * @param embedRuntime false leaves the runtime out: it must then be on the class path
   */
  JarWriter(
      List<ModelProgram> models,
      Optional<Backend.MachineCode> machine,
      String packageName,
      String className,
      boolean embedRuntime) {
    this.models = models;
    this.machine = machine;
    this.packagePath = packageName.replace('.', '/') + "/";
    this.className = className;
    this.embedRuntime = embedRuntime;
    this.relocation = new Relocation(packagePath, Set.of());
  }

  void write(Path file) {
    try {
      ModelProgram model = models.getFirst();
      StringBuilder index = new StringBuilder();
      model
          .facts()
          .forEach((key, value) ->
              index
                  .append("fact\t")
                  .append(line(key))
                  .append('\t')
                  .append(line(value))
                  .append('\n'));
      for (Executable.State state : model.states()) {
        index.append("state\t").append(line(state.output())).append('\t');
        index.append(line(state.input()));
        state.growth().ifPresent(growth -> index.append('\t').append(line(growth.text())));
        index.append('\n');
      }
      Map<Constant, Integer> numbers = new LinkedHashMap<>();
      for (ModelProgram each : all()) {
        for (Program segment : each.segments()) {
          segment.constants().forEach(c -> numbers.putIfAbsent(c, numbers.size()));
        }
      }
      model.constants().forEach(c -> numbers.putIfAbsent(c, numbers.size()));
      List<Constant> constants = List.copyOf(numbers.keySet());
      constants.forEach(
          c -> index.append("constant\t").append(c.dtype().text()).append(shape(c)).append('\n'));
      for (Program segment : model.segments()) {
        index.append("segment").append(numbers(segment.constants(), numbers)).append('\n');
      }
      model
          .script()
          .ifPresent(script -> {
            index.append("script").append(numbers(model.constants(), numbers)).append('\n');
            entries.put(packagePath + "script.txt", ScriptCodec.write(script).getBytes(UTF_8));
          });
      for (ModelProgram other : models) {
        for (int i = 0; i < model.segments().size(); i++) {
          if (!other.segments().get(i).constants().equals(model.segments().get(i).constants())) {
            throw new TersorException(
                "TSR-0605",
                "the targets of one jar must share their constants: a bug of the compiler");
          }
          index.append(variant(other.segments().get(i), i)).append('\n');
        }
      }
      machine.ifPresent(code -> {
        entries.put(packagePath + "machine.so", code.library());
        for (ModelProgram other : code.models()) {
          for (int i = 0; i < other.segments().size(); i++) {
            Program segment = other.segments().get(i);
            plan(segment, i);
            index.append("machine\t").append(segment.target().name());
            index.append(numbers(segment.constants(), numbers)).append('\n');
          }
        }
      });
      entries.put(packagePath + "model.txt", index.toString().getBytes(UTF_8));
      entries.put(
          packagePath + className + ".class",
          relocate(
              new ModelClass(
                      model.script().isPresent()
                          ? Optional.empty()
                          : Optional.of(model.segments().getFirst().plan()),
                      packagePath + className)
                  .emit()));
      if (embedRuntime) {
        runtimeClasses();
        entries.putAll(EmbeddedPacks.entries(model.hostPacks(), packagePath));
      }
      save(file, constants);
    } catch (IOException e) {
      throw new TersorException("TSR-0903", "cannot write " + file + ": " + e.getMessage(), e);
    }
  }

  private List<ModelProgram> all() {
    List<ModelProgram> all = new ArrayList<>(models);
    machine.ifPresent(code -> all.addAll(code.models()));
    return all;
  }

  private void plan(Program program, int segment) {
    entries.put(
        packagePath + "plan-" + program.target().name() + "-" + segment + ".txt",
        PlanCodec.write(program.plan()).getBytes(UTF_8));
  }

  private static String numbers(List<Constant> own, Map<Constant, Integer> all) {
    return own.stream().map(c -> "\t" + all.get(c)).collect(Collectors.joining());
  }

  private static String shape(Constant constant) {
    return java.util.Arrays.stream(constant.shape())
        .mapToObj(d -> "\t" + d)
        .collect(Collectors.joining());
  }

  private static String line(String text) {
    return text.replaceAll("\\s+", " ");
  }

  private String variant(Program program, int segment) {
    String name = program.target().name();
    plan(program, segment);
    JvmEmitter emitter = new JvmEmitter(program.target());
    StringBuilder line =
        new StringBuilder(
            "variant\t" + name + "\t" + program.target().vectorBytes() + "\t" + segment);
    String nameless = packagePath + "K";
    List<byte[]> classes =
        program.kernels().parallelStream().map(f -> emitter.emit(f, nameless)).toList();
    for (byte[] kernelClass : classes) {
      String kernel = "K" + hash(kernelClass);
      entries.computeIfAbsent(
          packagePath + kernel + ".class",
          path -> named(kernelClass, nameless, packagePath + kernel));
      line.append('\t').append(kernel);
    }
    return line.toString();
  }

  private byte[] named(byte[] kernelClass, String from, String to) {
    return Relocation.mapped(
        kernelClass,
        new Remapper(Opcodes.ASM9) {
          @Override
          public String map(String name) {
            return name.equals(from) ? to : embedRuntime ? relocation.path(name) : name;
          }
        });
  }

  private static String hash(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes), 0, 10);
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  private byte[] relocate(byte[] bytes) {
    return embedRuntime ? relocation.moved(bytes) : bytes;
  }

  private void runtimeClasses() throws IOException {
    for (String name : runtimeClassNames()) {
      try (InputStream in = Tensor.class.getResourceAsStream(name)) {
        if (in == null) {
          throw new IOException("class " + name + " of the runtime is missing");
        }
        entries.put(relocation.path(Relocation.RUNTIME + name), relocate(in.readAllBytes()));
      }
    }
  }

  private static List<String> runtimeClassNames() throws IOException {
    Path source;
    try {
      source = Path.of(Tensor.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    } catch (java.net.URISyntaxException e) {
      throw new IOException(e);
    }
    if (Files.isDirectory(source)) {
      Path root = source.resolve(Relocation.RUNTIME);
      try (Stream<Path> files = Files.walk(root)) {
        return files
            .filter(Files::isRegularFile)
            .map(f -> root.relativize(f).toString().replace('\\', '/'))
            .filter(JarWriter::isRuntimeClass)
            .sorted()
            .toList();
      }
    }
    try (java.util.zip.ZipFile jar = new java.util.zip.ZipFile(source.toFile())) {
      return jar.stream()
          .map(ZipEntry::getName)
          .filter(n -> n.startsWith(Relocation.RUNTIME))
          .map(n -> n.substring(Relocation.RUNTIME.length()))
          .filter(JarWriter::isRuntimeClass)
          .sorted()
          .toList();
    }
  }

  private static boolean isRuntimeClass(String name) {
    return name.endsWith(".class") && !name.endsWith("package-info.class");
  }

  private void save(Path file, List<Constant> constants) throws IOException {
    WholeFile.write(
        file,
        temporary -> {
          try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(temporary));
              ZipOutputStream zip = new ZipOutputStream(out)) {
            String manifest =
                "Manifest-Version: 1.0\r\nMain-Class: "
                    + (packagePath + className).replace('/', '.')
                    + "\r\nEnable-Native-Access: ALL-UNNAMED\r\nCreated-By: Tersor\r\n"
                    + ArtifactInterface.NAME
                    + ": "
                    + ArtifactInterface.JAR.number()
                    + "\r\n\r\n";
            entry(zip, "META-INF/MANIFEST.MF", manifest.getBytes(UTF_8), false);
            for (Map.Entry<String, byte[]> e : entries.entrySet()) {
              entry(zip, e.getKey(), e.getValue(), false);
            }
            entry(zip, packagePath + "weights.bin", weights(constants), true);
          }
        });
  }

  private static void entry(ZipOutputStream zip, String name, byte[] bytes, boolean stored)
      throws IOException {
    ZipEntry entry = new ZipEntry(name);
    entry.setTimeLocal(TIME);
    if (stored) {
      CRC32 crc = new CRC32();
      crc.update(bytes);
      entry.setMethod(ZipEntry.STORED);
      entry.setSize(bytes.length);
      entry.setCrc(crc.getValue());
    }
    zip.putNextEntry(entry);
    zip.write(bytes);
    zip.closeEntry();
  }

  /** Slots of all constants, little-endian, one after the other. */
  private static byte[] weights(List<Constant> constants) {
    long size = 0;
    for (Constant c : constants) {
      size += c.elements() * c.dtype().memoryBytes();
    }
    if (size > Integer.MAX_VALUE - 64) {
      throw new TersorException(
          "TSR-0606",
          "weights of "
              + size
              + " bytes do not fit into a jar (2 GiB); compile to a shared library instead");
    }
    ByteBuffer out = ByteBuffer.allocate((int) size).order(ByteOrder.LITTLE_ENDIAN);
    List<Constant> all = new ArrayList<>(constants);
    for (Constant c : all) {
      Tensor t = c.load();
      int bytes = t.size() * t.dtype().memoryBytes();
      ByteBuffer slice = out.slice(out.position(), bytes).order(ByteOrder.LITTLE_ENDIAN);
      switch (t.dtype().slot()) {
        case BYTE -> slice.put(t.bytes());
        case SHORT -> slice.asShortBuffer().put(t.shorts());
        case INT -> slice.asIntBuffer().put(t.ints());
        case LONG -> slice.asLongBuffer().put(t.longs());
        case FLOAT -> slice.asFloatBuffer().put(t.floats());
        case DOUBLE -> slice.asDoubleBuffer().put(t.doubles());
        case STRING ->
            throw new TersorException("TSR-0607", "a constant of strings cannot be compiled");
      }
      out.position(out.position() + bytes);
    }
    return out.array();
  }
}
