package org.tersor.passes;

import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.function.Function;
import java.util.stream.Stream;
import org.tersor.ir.format.FormatFamily;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.op.OperatorProvider;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.Frontend;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PluginPass;
import org.tersor.runtime.TersorException;
import org.tersor.runtime.host.HostOps;
import org.tersor.runtime.host.HostPack;

/**
 * Everything that can be plugged in: operators, backends, frontends, number formats, passes, from
 * the class path and from plugin jars. Each plugin jar has its own class loader; what it would
 * inherit from the application is not counted twice. Two providers of one id are an error that
 * names both jars.
 */
public final class Registry {
  /** A provider and where it comes from: a jar, or "built in". */
  public record Provided<T>(T provider, String origin) {}

  /**
   * A plugin jar with its loader; the loader stays open as long as the process may use its classes.
   */
  private record Plugin(Path jar, ClassLoader loader) {}

  private static final String BUILT_IN = "built in";

  private final List<Plugin> plugins;
  private final OpRegistry operators;
  private final HostOps hostOps;
  private final Map<String, Provided<Backend>> backends;
  private final Map<String, Provided<Frontend>> frontends;
  private final Map<String, Provided<NumberFormat>> formats;
  private final List<Provided<FormatFamily>> families;
  private final Map<String, Provided<PluginPass>> passes;

  private Registry(List<Plugin> plugins) {
    this.plugins = plugins;
    List<Provided<OperatorProvider>> packs = providers(OperatorProvider.class);
    Map<String, String> origins = new LinkedHashMap<>();
    for (Provided<OperatorProvider> pack : packs) {
      pack.provider()
          .operators()
          .forEach(o ->
              unique(
                  "operator",
                  o.schema().domain() + ":" + o.schema().name(),
                  pack.origin(),
                  origins));
    }
    this.operators = new OpRegistry(packs.stream().map(Provided::provider).toList());
    this.hostOps =
        HostOps.with(providers(HostPack.class).stream().map(Provided::provider).toList());
    this.backends = byId("backend", providers(Backend.class), Backend::id);
    this.frontends = byId("frontend", providers(Frontend.class), Frontend::id);
    this.families = providers(FormatFamily.class);
    this.passes = byId("pass", providers(PluginPass.class), Pass::id);
    Map<String, String> taken = new LinkedHashMap<>();
    Pipelines.ids().forEach(id -> taken.put(id, BUILT_IN));
    passes.forEach((id, pass) -> unique("pass", id, pass.origin(), taken));
    List<Provided<NumberFormat>> all = new ArrayList<>(providers(NumberFormat.class));
    families.forEach(family ->
        family
            .provider()
            .listed()
            .forEach(format -> all.add(new Provided<>(format, family.origin()))));
    this.formats = byId("number format", all, NumberFormat::id);
  }

  /** What is on the class path. */
  public static Registry builtIn() {
    return new Registry(List.of());
  }

  /** What is on the class path and in plugin jars. */
  public static Registry withPlugins(List<Path> jars) {
    List<Plugin> plugins = new ArrayList<>();
    for (Path jar : jars) {
      if (!Files.isReadable(jar)) {
        throw new TersorException("TSR-0102", "plugin '" + jar + "' cannot be read");
      }
      try {
        URL[] urls = {jar.toUri().toURL()};
        plugins.add(
            new Plugin(
                jar,
                new URLClassLoader(
                    jar.getFileName().toString(), urls, Registry.class.getClassLoader())));
      } catch (MalformedURLException e) {
        throw new TersorException("TSR-0102", "plugin '" + jar + "' has no URL", e);
      }
    }
    return new Registry(List.copyOf(plugins));
  }

  /** All providers of a service, the built-in ones first, then those of each plugin in order. */
  public <T> List<Provided<T>> providers(Class<T> service) {
    return providers(service, loader -> ServiceLoader.load(service, loader));
  }

  /**
   * As {@link #providers(Class)} for a service that only the caller's module uses: the caller makes
   * the ServiceLoader.
   */
  public <T> List<Provided<T>> providers(
      Class<T> service, Function<ClassLoader, ServiceLoader<T>> load) {
    List<Provided<T>> found = new ArrayList<>();
    ClassLoader application = Registry.class.getClassLoader();
    collect(load.apply(application), BUILT_IN, Optional.empty(), found);
    for (Plugin plugin : plugins) {
      collect(
          load.apply(plugin.loader()),
          plugin.jar().toString(),
          Optional.of(plugin.loader()),
          found);
    }
    return found;
  }

  @SuppressWarnings("ReferenceEquality") // loaders have no other identity
  private static <T> void collect(
      ServiceLoader<T> loader, String origin, Optional<ClassLoader> only, List<Provided<T>> found) {
    try {
      loader.stream()
          .filter(provider -> only.isEmpty() || provider.type().getClassLoader() == only.get())
          .forEach(provider -> found.add(new Provided<>(provider.get(), origin)));
    } catch (ServiceConfigurationError | LinkageError e) {
      throw new TersorException(
          "TSR-0103", "a plugin cannot be loaded (" + origin + "): " + e.getMessage(), e);
    }
  }

  private static void unique(String what, String id, String origin, Map<String, String> origins) {
    String other = origins.putIfAbsent(id, origin);
    if (other != null) {
      throw new TersorException(
          "TSR-0101",
          what
              + " '"
              + id
              + "' is provided twice: by "
              + other
              + " and by "
              + origin
              + "; remove one");
    }
  }

  private static <T> Map<String, Provided<T>> byId(
      String what, List<Provided<T>> all, Function<T, String> id) {
    Map<String, String> origins = new LinkedHashMap<>();
    Map<String, Provided<T>> byId = new LinkedHashMap<>();
    for (Provided<T> provided : all) {
      unique(what, id.apply(provided.provider()), provided.origin(), origins);
      byId.put(id.apply(provided.provider()), provided);
    }
    return byId;
  }

  public OpRegistry operators() {
    return operators;
  }

  /** Operations of the host: those of the runtime and those of plugins. */
  public HostOps hostOps() {
    return hostOps;
  }

  public List<Provided<Backend>> backends() {
    return List.copyOf(backends.values());
  }

  public List<Provided<Frontend>> frontends() {
    return List.copyOf(frontends.values());
  }

  /** Passes of plugins. */
  public List<Provided<PluginPass>> passes() {
    return List.copyOf(passes.values());
  }

  /** Passes of plugins that run at a point, in their order. */
  public List<Pass> passes(PluginPass.Point point) {
    return passes.values().stream()
        .<Pass>map(Provided::provider)
        .filter(pass -> pass instanceof PluginPass plugged && plugged.point() == point)
        .toList();
  }

  /** Families of number formats. */
  public List<Provided<FormatFamily>> families() {
    return families;
  }

  /** The recipe of a name, whatever its case; empty if no plugin has one. */
  public Optional<FormatFamily.Scheme> scheme(String name) {
    return families.stream()
        .flatMap(family ->
            Optional.ofNullable(family.provider().schemes().get(name.toLowerCase(Locale.ROOT)))
                .stream())
        .findFirst();
  }

  /** Number formats that have names of their own, or are listed by their families. */
  public List<Provided<NumberFormat>> formats() {
    return List.copyOf(formats.values());
  }

  /** The number format of that id or alias; a diagnostic that lists the ids if there is none. */
  public NumberFormat format(String id) {
    Provided<NumberFormat> found = formats.get(id);
    if (found != null) {
      return found.provider();
    }
    List<NumberFormat> named =
        Stream.concat(
                formats.values().stream()
                    .map(Provided::provider)
                    .filter(f -> f.aliases().contains(id)),
                families.stream().flatMap(family -> family.provider().find(id).stream()))
            .toList();
    if (named.size() == 1) {
      return named.getFirst();
    }
    throw new TersorException(
        "TSR-0105",
        named.isEmpty()
            ? "there is no number format '"
                + id
                + "'; there are "
                + formats.keySet()
                + families.stream().map(f -> " and " + f.provider().grammar()).toList()
            : "'" + id + "' may be any of " + named.stream().map(NumberFormat::id).toList());
  }

  /**
   * The backend of that id; a diagnostic that lists the ids if there is none, or that says why it
   * cannot work here.
   */
  public Backend backend(String id) {
    Provided<Backend> found = backends.get(id);
    if (found == null) {
      throw new TersorException(
          "TSR-0104", "there is no backend '" + id + "'; there are " + backends.keySet());
    }
    Optional<String> why = found.provider().unavailable();
    if (why.isPresent()) {
      throw new TersorException(
          "TSR-0601", "backend '" + id + "' cannot be used here: " + why.get());
    }
    return found.provider();
  }

  /** The frontend for a file, by its suffix. */
  public Frontend frontend(Path file) {
    String name = String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT);
    return frontends.values().stream()
        .map(Provided::provider)
        .filter(frontend ->
            frontend.suffixes().stream().anyMatch(suffix -> name.endsWith("." + suffix)))
        .findFirst()
        .orElseThrow(() ->
            new TersorException(
                "TSR-0901",
                "'"
                    + file
                    + "' is of no known kind; files that can be read end in "
                    + frontends.values().stream()
                        .flatMap(f -> f.provider().suffixes().stream())
                        .map(s -> "." + s)
                        .toList()));
  }
}
