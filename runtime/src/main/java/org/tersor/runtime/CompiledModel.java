package org.tersor.runtime;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.runtime.host.HostOps;
import org.tersor.runtime.machine.CarriedCode;

/**
 * A model in a jar: the generated class of a model extends this. Its resources, beside the class:
 * {@code model.txt} (name, constants, variants), one plan per variant, {@code weights.bin}, and
 * {@code machine.so} where machine code was wanted, which runs if it can. Else the variant with the
 * widest vectors that this processor has is used; without the module jdk.incubator.vector it is the
 * one of plain loops.
 */
public abstract class CompiledModel implements Executable {
  private final Executable executable;

  /**
   * Loads the model.
   *
   * @param anchor the generated class, beside which the resources are
   * @param threads tasks run at once, the caller's thread included
   */
  protected CompiledModel(Class<?> anchor, int threads) {
    try {
      this.executable = load(anchor, threads);
    } catch (IOException | ReflectiveOperationException e) {
      throw new TersorException(
          "TSR-0710", "the jar of model " + anchor.getSimpleName() + " is damaged: " + e, e);
    }
  }

  /**
   * @param kernels class names, per segment
   */
  private record Variant(String name, int vectorBytes, List<List<String>> kernels) {}

  private static Executable load(Class<?> anchor, int threads)
      throws IOException, ReflectiveOperationException {
    List<Variant> variants = new ArrayList<>();
    List<Tensor> constants = new ArrayList<>();
    List<List<Tensor>> segments = new ArrayList<>();
    Optional<List<Tensor>> script = Optional.empty();
    Map<String, String> facts = new LinkedHashMap<>();
    List<State> states = new ArrayList<>();
    Map<String, List<List<Tensor>>> machine = new LinkedHashMap<>();
    try (DataInputStream weights = new DataInputStream(resource(anchor, "weights.bin"));
        BufferedReader index =
            new BufferedReader(new InputStreamReader(resource(anchor, "model.txt"), UTF_8))) {
      for (String line = index.readLine(); line != null; line = index.readLine()) {
        String[] fields = line.split("\t", -1);
        switch (fields[0]) {
          case "fact" -> facts.put(fields[1], fields[2]);
          case "state" ->
              states.add(
                  new State(
                      fields[1],
                      fields[2],
                      fields.length > 3 ? Optional.of(Growth.parse(fields[3])) : Optional.empty()));
          case "constant" -> constants.add(constant(fields, weights));
          case "segment" -> segments.add(numbered(fields, 1, constants));
          case "script" -> script = Optional.of(numbered(fields, 1, constants));
          case "variant" -> {
            int segment = Integer.parseInt(fields[3]);
            if (segment == 0) {
              variants.add(new Variant(fields[1], Integer.parseInt(fields[2]), new ArrayList<>()));
            }
            variants.getLast().kernels.add(List.of(fields).subList(4, fields.length));
          }
          case "machine" ->
              machine
                  .computeIfAbsent(fields[1], target -> new ArrayList<>())
                  .add(numbered(fields, 2, constants));
          default -> throw new IOException("unknown line '" + fields[0] + "'");
        }
      }
    }
    List<Executable> executables = new ArrayList<>();
    if (!machine.isEmpty()) {
      Map<String, String> own = script.isPresent() ? Map.of() : facts;
      CarriedCode.Loaded loaded = machineCode(anchor, machine, threads, own);
      facts.put("machine code", loaded.note());
      executables.addAll(loaded.executables());
    }
    if (!segments.isEmpty() && executables.isEmpty()) {
      Variant variant = choose(variants);
      facts.put("variant", variant.name + ", of " + variants.stream().map(Variant::name).toList());
      Map<String, String> own = script.isPresent() ? Map.of() : facts;
      for (int i = 0; i < segments.size(); i++) {
        executables.add(segment(anchor, variant, i, segments.get(i), threads, own));
      }
    }
    if (script.isEmpty()) {
      return StatefulExecutable.of(executables.getFirst(), states);
    }
    return StatefulExecutable.of(
        new ScriptExecutable(
            ScriptCodec.read(text(anchor, "script.txt")),
            executables,
            script.get(),
            HostOps.standard(anchor.getClassLoader()),
            facts),
        states);
  }

  /**
   * The constants of a jar as they are stored, without running it.
   *
   * @param model the resource {@code model.txt}
   * @param weights the resource {@code weights.bin}
   */
  public static List<Tensor> constants(InputStream model, InputStream weights) throws IOException {
    List<Tensor> constants = new ArrayList<>();
    DataInputStream data = new DataInputStream(weights);
    BufferedReader index = new BufferedReader(new InputStreamReader(model, UTF_8));
    for (String line = index.readLine(); line != null; line = index.readLine()) {
      String[] fields = line.split("\t", -1);
      if (fields[0].equals("constant")) {
        constants.add(constant(fields, data));
      }
    }
    return constants;
  }

  private static List<Tensor> numbered(String[] fields, int from, List<Tensor> constants) {
    List<Tensor> own = new ArrayList<>();
    for (int i = from; i < fields.length; i++) {
      own.add(constants.get(Integer.parseInt(fields[i])));
    }
    return own;
  }

  private static CarriedCode.Loaded machineCode(
      Class<?> anchor,
      Map<String, List<List<Tensor>>> machine,
      int threads,
      Map<String, String> facts)
      throws IOException {
    try (InputStream library = resource(anchor, "machine.so")) {
      return CarriedCode.load(
          library,
          List.copyOf(machine.keySet()),
          target -> {
            List<CarriedCode.Segment> segments = new ArrayList<>();
            for (List<Tensor> own : machine.getOrDefault(target, List.of())) {
              segments.add(new CarriedCode.Segment(plan(anchor, target, segments.size()), own));
            }
            return segments;
          },
          threads,
          facts);
    }
  }

  private static Plan plan(Class<?> anchor, String variant, int segment) throws IOException {
    return PlanCodec.read(text(anchor, "plan-" + variant + "-" + segment + ".txt"));
  }

  private static PlanExecutable segment(
      Class<?> anchor,
      Variant variant,
      int number,
      List<Tensor> constants,
      int threads,
      Map<String, String> facts)
      throws IOException, ReflectiveOperationException {
    Plan plan = plan(anchor, variant.name, number);
    List<KernelCode> kernels = new ArrayList<>();
    String prefix = anchor.getPackageName().isEmpty() ? "" : anchor.getPackageName() + ".";
    for (String kernel : variant.kernels.get(number)) {
      Class<?> code = Class.forName(prefix + kernel, true, anchor.getClassLoader());
      kernels.add((KernelCode) code.getDeclaredConstructor().newInstance());
    }
    return new PlanExecutable(plan, kernels, constants, threads, facts);
  }

  private static String text(Class<?> anchor, String name) throws IOException {
    try (InputStream in = resource(anchor, name)) {
      return new String(in.readAllBytes(), UTF_8);
    }
  }

  private static InputStream resource(Class<?> anchor, String name) throws IOException {
    InputStream in = anchor.getResourceAsStream(name);
    if (in == null) {
      throw new IOException("resource " + name + " is missing");
    }
    return in;
  }

  private static Tensor constant(String[] fields, DataInputStream weights) throws IOException {
    DType dtype = DType.of(fields[1]);
    long[] shape = new long[fields.length - 2];
    for (int i = 0; i < shape.length; i++) {
      shape[i] = Long.parseLong(fields[i + 2]);
    }
    Tensor tensor = Tensor.zeros(dtype, shape);
    int slots = tensor.size() * dtype.slots();
    int slotBytes = dtype.slot().bytes();
    byte[] chunk = new byte[Math.min(1 << 16, Math.max(8, slots * slotBytes))];
    for (int done = 0; done < slots; ) {
      int count = Math.min(chunk.length / slotBytes, slots - done);
      weights.readFully(chunk, 0, count * slotBytes);
      ByteBuffer bytes = ByteBuffer.wrap(chunk).order(ByteOrder.LITTLE_ENDIAN);
      switch (dtype.slot()) {
        case BYTE -> bytes.get(tensor.bytes(), done, count);
        case SHORT -> bytes.asShortBuffer().get(tensor.shorts(), done, count);
        case INT -> bytes.asIntBuffer().get(tensor.ints(), done, count);
        case LONG -> bytes.asLongBuffer().get(tensor.longs(), done, count);
        case FLOAT -> bytes.asFloatBuffer().get(tensor.floats(), done, count);
        case DOUBLE -> bytes.asDoubleBuffer().get(tensor.doubles(), done, count);
        case STRING -> throw new IOException("a constant of strings");
      }
      done += count;
    }
    return tensor;
  }

  /** The widest variant that fits; the narrowest if none does. */
  private static Variant choose(List<Variant> variants) {
    int available = vectorBytes();
    Variant best = variants.getLast();
    for (Variant variant : variants) {
      if (variant.vectorBytes <= available
          && (best.vectorBytes > available || variant.vectorBytes > best.vectorBytes)) {
        best = variant;
      }
    }
    return best;
  }

  /** Bytes of this processor's vectors; 0 if the module is not there. */
  static int vectorBytes() {
    if (ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()) {
      return 0;
    }
    try {
      // By reflection, so that this class loads without the module.
      Class<?> vector = Class.forName("jdk.incubator.vector.FloatVector");
      Object species = vector.getField("SPECIES_PREFERRED").get(null);
      Class<?> type = Class.forName("jdk.incubator.vector.VectorSpecies");
      return (int) type.getMethod("vectorByteSize").invoke(species);
    } catch (ReflectiveOperationException e) {
      return 0;
    }
  }

  @Override
  public final List<Port> inputs() {
    return executable.inputs();
  }

  @Override
  public final List<Port> outputs() {
    return executable.outputs();
  }

  @Override
  public final Map<String, Tensor> run(Map<String, Tensor> inputs, Map<String, Tensor> outputs) {
    return executable.run(inputs, outputs);
  }

  @Override
  public final Optional<StateMemory> stateMemory(List<State> growing, Map<String, Long> dims) {
    return executable.stateMemory(growing, dims);
  }

  @Override
  public final Map<String, Datum> call(Map<String, ? extends Datum> inputs) {
    return executable.call(inputs);
  }

  @Override
  public final List<State> states() {
    return executable.states();
  }

  @Override
  public final String describe() {
    return executable.describe();
  }

  /** Runs over plain arrays; what the typed method of the generated class calls. */
  protected final void runArrays(long[] dims, Object[] inputArrays, Object[] outputArrays) {
    Map<String, Long> values = new LinkedHashMap<>();
    int next = 0;
    for (String symbol : symbols()) {
      values.put(symbol, dims[next++]);
    }
    executable.run(
        tensors(inputs(), inputArrays, values), tensors(outputs(), outputArrays, values));
  }

  private Set<String> symbols() {
    Set<String> symbols = new java.util.TreeSet<>();
    inputs().forEach(port -> port.shape().forEach(dim -> symbols.addAll(dim.symbols())));
    return symbols;
  }

  private static Map<String, Tensor> tensors(
      List<Port> ports, Object[] arrays, Map<String, Long> dims) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (int i = 0; i < arrays.length; i++) {
      Port port = ports.get(i);
      long[] shape = port.shape().stream().mapToLong(dim -> dim.eval(dims)).toArray();
      try {
        tensors.put(port.name(), new Tensor(port.dtype(), shape, arrays[i]));
      } catch (IllegalArgumentException | ArithmeticException e) {
        throw new TersorException(
            "TSR-0711", "array of '" + port.name() + "': " + e.getMessage(), e);
      }
    }
    return tensors;
  }
}
