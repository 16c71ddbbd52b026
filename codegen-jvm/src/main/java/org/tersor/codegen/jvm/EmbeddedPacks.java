package org.tersor.codegen.jvm;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.objectweb.asm.Opcodes;
import org.objectweb.asm.commons.Remapper;
import org.tersor.runtime.host.HostPack;

/**
 * Host operations of plugins inside of a jar: the classes of their packs and every class that these
 * refer to, Java's own and the runtime's excepted, and the resources beside them. Packages with a
 * class that refers to the runtime move under the model's package, for there the runtime is; what
 * is left, such as libraries of a plugin, keeps its names.
 */
final class EmbeddedPacks {
  private static final String SERVICES = "META-INF/services/";
  private static final String LICENSES = "META-INF/licenses/";
  private static final String CLASS = ".class";

  /** Bytes by internal name. */
  private final Map<String, byte[]> classes = new TreeMap<>();

  /** What each class refers to. */
  private final Map<String, Set<String>> references = new TreeMap<>();

  /** Jars and folders that classes came from. */
  private final Set<String> sources = new TreeSet<>();

  private EmbeddedPacks() {}

  /**
   * Entries of the jar, by path.
   *
   * @param model path of the model's package, with a slash at its end
   */
  static Map<String, byte[]> entries(List<HostPack> packs, String model) throws IOException {
    Map<String, byte[]> entries = new TreeMap<>();
    if (packs.isEmpty()) {
      return entries;
    }
    EmbeddedPacks embedded = new EmbeddedPacks();
    for (HostPack pack : packs) {
      embedded.collect(pack.getClass());
    }
    Relocation relocation = new Relocation(model, embedded.movedPackages());
    embedded.classes.forEach(
        (name, bytes) -> entries.put(relocation.path(name) + CLASS, relocation.moved(bytes)));
    embedded.resources(relocation, entries);
    entries.put(
        SERVICES + className(relocation.path(path(HostPack.class))),
        packs.stream()
            .map(pack -> className(relocation.path(path(pack.getClass()))) + "\n")
            .sorted()
            .collect(Collectors.joining())
            .getBytes(UTF_8));
    return entries;
  }

  private static String path(Class<?> type) {
    return type.getName().replace('.', '/');
  }

  private static String className(String path) {
    return path.replace('/', '.');
  }

  private void collect(Class<?> first) throws IOException {
    ClassLoader loader = first.getClassLoader();
    Deque<String> open = new ArrayDeque<>(List.of(path(first)));
    while (!open.isEmpty()) {
      String name = open.removeFirst();
      if (classes.containsKey(name) || name.startsWith(Relocation.RUNTIME) || isJava(name)) {
        continue;
      }
      URL place = loader.getResource(name + CLASS);
      if (place == null) {
        continue; // an optional part of a library that is not there
      }
      byte[] bytes;
      try (InputStream in = place.openStream()) {
        bytes = in.readAllBytes();
      }
      String url = place.toString();
      sources.add(url.substring(0, url.length() - name.length() - CLASS.length()));
      Set<String> found = references(bytes);
      classes.put(name, bytes);
      references.put(name, found);
      open.addAll(found);
    }
  }

  private static boolean isJava(String name) {
    return name.startsWith("java/")
        || name.startsWith("javax/")
        || ClassLoader.getPlatformClassLoader().getResource(name + CLASS) != null;
  }

  private static Set<String> references(byte[] bytes) {
    Set<String> found = new TreeSet<>();
    // Written and dropped: a visitor that writes nothing is not shown the code of methods.
    var _ =
        Relocation.mapped(
            bytes,
            new Remapper(Opcodes.ASM9) {
              @Override
              public String map(String name) {
                found.add(name);
                return name;
              }
            });
    return found;
  }

  /** Packages with a class that refers to the runtime, or to a package that moves. */
  private Set<String> movedPackages() {
    Set<String> moved = new TreeSet<>();
    boolean grows = true;
    while (grows) {
      grows = false;
      for (Map.Entry<String, Set<String>> each : references.entrySet()) {
        boolean moves =
            each.getValue().stream()
                .anyMatch(name ->
                    name.startsWith(Relocation.RUNTIME) || moved.contains(Relocation.folder(name)));
        grows |= moves && moved.add(Relocation.folder(each.getKey()));
      }
    }
    return moved;
  }

  /** Files beside the classes, with the texts of licenses, which go where the code goes. */
  private void resources(Relocation relocation, Map<String, byte[]> entries) throws IOException {
    Set<String> folders =
        classes.keySet().stream().map(Relocation::folder).collect(Collectors.toSet());
    for (String source : sources) {
      try {
        if (source.startsWith("jar:")) {
          String jar = source.substring("jar:".length(), source.lastIndexOf('!'));
          try (FileSystem zip = FileSystems.newFileSystem(Path.of(new URI(jar)))) {
            copy(zip.getPath("/"), folders, relocation, entries);
          }
        } else {
          copy(Path.of(new URI(source)), folders, relocation, entries);
        }
      } catch (URISyntaxException e) {
        throw new IOException(e);
      }
    }
  }

  private static void copy(
      Path root, Set<String> folders, Relocation relocation, Map<String, byte[]> entries)
      throws IOException {
    try (Stream<Path> files = Files.walk(root)) {
      for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
        String path = root.relativize(file).toString().replace('\\', '/');
        boolean isCarried = path.startsWith(LICENSES) || folders.contains(Relocation.folder(path));
        if (isCarried && !path.endsWith(CLASS)) {
          entries.put(relocation.path(path), Files.readAllBytes(file));
        }
      }
    }
  }
}
