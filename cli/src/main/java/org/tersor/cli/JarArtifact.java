package org.tersor.cli;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.jar.Attributes;
import java.util.jar.JarFile;
import java.util.jar.Manifest;
import org.tersor.runtime.ArtifactInterface;
import org.tersor.runtime.Cancellation;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.RunLimits;
import org.tersor.runtime.StateMemory;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * A compiled jar, run in a class loader of its own. Its runtime is a relocated copy, so values
 * cross by reflection; arrays are shared, not copied.
 */
final class JarArtifact implements Executable {
  private final Object model;
  private final Class<?> dtypeClass;
  private final Class<?> tensorClass;
  private final Class<?> limitsClass;
  private final Class<?> cancellationClass;
  private final Class<?> stateClass;
  private final Class<?> growthClass;
  private final Class<?> stateMemoryClass;
  private final List<Port> inputs;
  private final List<Port> outputs;

  private JarArtifact(Object model, ClassLoader loader, String runtimePackage)
      throws ReflectiveOperationException {
    this.model = model;
    this.dtypeClass = Class.forName(runtimePackage + ".DType", true, loader);
    this.tensorClass = Class.forName(runtimePackage + ".Tensor", true, loader);
    this.limitsClass = Class.forName(runtimePackage + ".RunLimits", true, loader);
    this.cancellationClass = Class.forName(runtimePackage + ".Cancellation", true, loader);
    this.stateClass = Class.forName(runtimePackage + ".Executable$State", true, loader);
    this.growthClass = Class.forName(runtimePackage + ".Executable$Growth", true, loader);
    this.stateMemoryClass = Class.forName(runtimePackage + ".StateMemory", true, loader);
    this.inputs = ports("inputs");
    this.outputs = ports("outputs");
  }

  /** Opens a jar that Tersor wrote. */
  static Executable open(Path file, int threads) throws IOException {
    try (JarFile jar = new JarFile(file.toFile())) {
      Manifest manifest = jar.getManifest();
      String main =
          manifest == null
              ? null
              : manifest.getMainAttributes().getValue(Attributes.Name.MAIN_CLASS);
      if (main == null || !"Tersor".equals(manifest.getMainAttributes().getValue("Created-By"))) {
        throw damaged(file, "it is no jar that Tersor wrote");
      }
      ArtifactInterface.JAR.check(
          file.toString(),
          Optional.ofNullable(manifest.getMainAttributes().getValue(ArtifactInterface.NAME)));
      URI uri = file.toUri();
      ClassLoader loader =
          new URLClassLoader(new URL[] {uri.toURL()}, JarArtifact.class.getClassLoader());
      Object model =
          Class.forName(main, true, loader).getConstructor(int.class).newInstance(threads);
      if (model instanceof Executable executable) {
        return executable;
      }
      return new JarArtifact(model, loader, model.getClass().getSuperclass().getPackageName());
    } catch (InvocationTargetException e) {
      throw translate(e);
    } catch (ReflectiveOperationException | LinkageError e) {
      throw damaged(file, e.toString());
    }
  }

  private static TersorException damaged(Path file, String why) {
    return new TersorException(
        "TSR-0906", file + " cannot be run: " + why + "; compile the model again");
  }

  private static TersorException translate(InvocationTargetException e) {
    Throwable cause = e.getCause() == null ? e : e.getCause();
    if (cause instanceof TersorException known) {
      return known;
    }
    String code = "TSR-0708";
    try {
      code = (String) cause.getClass().getMethod("code").invoke(cause);
    } catch (ReflectiveOperationException unknown) {
      // Not a diagnostic of the jar's runtime: the message says what it is.
    }
    return new TersorException(code, String.valueOf(cause.getMessage()), cause);
  }

  /** What happens in the jar's classes. */
  private interface Crossing<T> {
    T run() throws ReflectiveOperationException;
  }

  /** Does it; its diagnostics are diagnostics here. */
  private static <T> T cross(Crossing<T> crossing) {
    try {
      return crossing.run();
    } catch (InvocationTargetException e) {
      throw translate(e);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  private static Object call(Object target, String method) {
    return cross(() -> target.getClass().getMethod(method).invoke(target));
  }

  @Override
  public List<State> states() {
    List<State> states = new ArrayList<>();
    for (Object state : (List<?>) call(model, "states")) {
      states.add(
          new State(
              (String) call(state, "output"),
              (String) call(state, "input"),
              ((Optional<?>) call(state, "growth"))
                  .map(growth -> Growth.parse((String) call(growth, "text")))));
    }
    return states;
  }

  private List<Port> ports(String method) {
    List<Port> ports = new ArrayList<>();
    for (Object port : (List<?>) call(model, method)) {
      List<DimExpr> shape = new ArrayList<>();
      for (Object dim : (List<?>) call(port, "shape")) {
        shape.add(DimExpr.parse(dim.toString()));
      }
      ports.add(
          new Port(
              (String) call(port, "name"), DType.valueOf(call(port, "dtype").toString()), shape));
    }
    return List.copyOf(ports);
  }

  @Override
  public List<Port> inputs() {
    return inputs;
  }

  @Override
  public List<Port> outputs() {
    return outputs;
  }

  @Override
  public String describe() {
    return (String) call(model, "describe");
  }

  private Map<String, Object> foreign(Map<String, Tensor> tensors)
      throws ReflectiveOperationException {
    Map<String, Object> foreign = new LinkedHashMap<>();
    for (Map.Entry<String, Tensor> entry : tensors.entrySet()) {
      foreign.put(entry.getKey(), foreign(entry.getValue()));
    }
    return foreign;
  }

  private Object foreign(Tensor tensor) throws ReflectiveOperationException {
    Object dtype =
        dtypeClass.getMethod("valueOf", String.class).invoke(null, tensor.dtype().name());
    return tensorClass
        .getConstructor(dtypeClass, long[].class, Object.class)
        .newInstance(dtype, tensor.shape(), tensor.array());
  }

  private static Tensor own(Object tensor) {
    return new Tensor(
        DType.valueOf(call(tensor, "dtype").toString()),
        (long[]) call(tensor, "shape"),
        call(tensor, "array"));
  }

  private static Map<String, Tensor> own(Map<?, ?> foreign) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    foreign.forEach((name, tensor) -> tensors.put((String) name, own(tensor)));
    return tensors;
  }

  /** Runs under the limits of the call in which this thread is. */
  private Object limited(Object target, Method run, Object... arguments)
      throws ReflectiveOperationException {
    if (!Cancellation.isBound()) {
      return run.invoke(target, arguments);
    }
    RunLimits limits = Cancellation.current().limits();
    Object cancellation =
        cancellationClass
            .getConstructor(limitsClass)
            .newInstance(
                limitsClass
                    .getConstructor(long.class, long.class, long.class, Optional.class)
                    .newInstance(limits.elements(), limits.bytes(), limits.trips(), limits.time()));
    Supplier<Object> call = () -> cross(() -> run.invoke(target, arguments));
    try (Watch _ = new Watch(() -> call(cancellation, "cancel"))) {
      return cancellationClass.getMethod("during", Supplier.class).invoke(cancellation, call);
    } catch (InvocationTargetException e) {
      // Ours knows why the other was told to end.
      Cancellation.current().check("the end of the jar's call");
      throw e;
    }
  }

  @Override
  public Map<String, Tensor> run(Map<String, Tensor> inputs, Map<String, Tensor> outputs) {
    return cross(() -> {
      Method run = model.getClass().getMethod("run", Map.class, Map.class);
      return own((Map<?, ?>) limited(model, run, foreign(inputs), foreign(outputs)));
    });
  }

  @Override
  public Optional<StateMemory> stateMemory(List<State> growing, Map<String, Long> dims) {
    List<Object> states = growing.stream().map(state -> cross(() -> foreign(state))).toList();
    Optional<?> memory =
        cross(() ->
            (Optional<?>)
                model
                    .getClass()
                    .getMethod("stateMemory", List.class, Map.class)
                    .invoke(model, states, dims));
    return memory.map(States::new);
  }

  private Object foreign(State state) throws ReflectiveOperationException {
    Optional<Object> growth = Optional.empty();
    if (state.growth().isPresent()) {
      String text = state.growth().get().text();
      growth = Optional.of(growthClass.getMethod("parse", String.class).invoke(null, text));
    }
    return stateClass
        .getConstructor(String.class, String.class, Optional.class)
        .newInstance(state.output(), state.input(), growth);
  }

  /** States that the jar's runtime keeps. */
  private final class States implements StateMemory {
    private final Object memory;

    States(Object memory) {
      this.memory = memory;
    }

    @Override
    public Map<String, Tensor> run(Map<String, Tensor> inputs) {
      return cross(() -> {
        Method run = stateMemoryClass.getMethod("run", Map.class);
        return own((Map<?, ?>) limited(memory, run, foreign(inputs)));
      });
    }

    @Override
    public Tensor get(String input) {
      return cross(
          () -> own(stateMemoryClass.getMethod("get", String.class).invoke(memory, input)));
    }

    @Override
    public void set(String input, Tensor value) {
      cross(() ->
          Optional.ofNullable(
              stateMemoryClass
                  .getMethod("set", String.class, tensorClass)
                  .invoke(memory, input, foreign(value))));
    }
  }
}
