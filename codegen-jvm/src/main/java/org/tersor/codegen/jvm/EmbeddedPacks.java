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
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.Opcodes;
import org.objectweb.asm.commons.ClassRemapper;
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

  private final String runtime;
  private final String newRuntime;
  private final String newPackages;

  /** Bytes by internal name. */
  private final Map<String, byte[]> classes = new TreeMap<>();

  /** What each class refers to. */
  private final Map<String, Set<String>> references = new TreeMap<>();

  private final Set<String> sources = new TreeSet<>();

  /**
   * @param runtime path of the runtime's package as it is compiled, with a slash at its end
   * @param newRuntime path of the runtime's package in the jar
   * @param newPackages path below which packages move
   */
  EmbeddedPacks(String runtime, String newRuntime, String newPackages) {
    this.runtime = runtime;
    this.newRuntime = newRuntime;
    this.newPackages = newPackages;
  }

  /** Entries of the jar, by path. */
  Map<String, byte[]> entries(List<HostPack> packs) throws IOException {
    Map<String, byte[]> entries = new TreeMap<>();
    if (packs.isEmpty()) {
      return entries;
    }
    for (HostPack pack : packs) {
      collect(pack.getClass());
    }
    Set<String> moved = movedPackages();
    Remapper names =
        new Remapper(Opcodes.ASM9) {
          @Override
          public String map(String name) {
            return renamed(name, moved);
          }
        };
    classes.forEach(
        (name, bytes) -> entries.put(renamed(name, moved) + CLASS, remapped(bytes, names)));
    for (String source : sources) {
      resources(source, moved, entries);
    }
    String service = renamed(HostPack.class.getName().replace('.', '/'), moved).replace('/', '.');
    entries.put(
        SERVICES + service,
        packs.stream()
            .map(pack -> renamed(pack.getClass().getName().replace('.', '/'), moved))
            .map(name -> name.replace('/', '.') + "\n")
            .sorted()
            .collect(Collectors.joining())
            .getBytes(UTF_8));
    return entries;
  }

  private String renamed(String name, Set<String> moved) {
    if (name.startsWith(runtime)) {
      return newRuntime + name.substring(runtime.length());
    }
    return moved.contains(folder(name)) ? newPackages + name : name;
  }

  private static String folder(String path) {
    return path.substring(0, Math.max(0, path.lastIndexOf('/')));
  }

  private static byte[] remapped(byte[] bytes, Remapper names) {
    ClassWriter writer = new ClassWriter(0);
    new ClassReader(bytes).accept(new ClassRemapper(writer, names), 0);
    return writer.toByteArray();
  }

  private void collect(Class<?> first) throws IOException {
    ClassLoader loader = first.getClassLoader();
    Deque<String> open = new ArrayDeque<>(List.of(first.getName().replace('.', '/')));
    while (!open.isEmpty()) {
      String name = open.removeFirst();
      if (classes.containsKey(name) || name.startsWith(runtime) || isJava(name)) {
        continue;
      }
      URL place = loader.getResource(name + CLASS);
      if (place == null) {
        continue; // an optional part of a library that is not there
      }
      try (InputStream in = place.openStream()) {
        classes.put(name, in.readAllBytes());
      }
      sources.add(
          place
              .toString()
              .substring(0, place.toString().length() - name.length() - CLASS.length()));
      Set<String> found = references(classes.get(name));
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
    Remapper collecting =
        new Remapper(Opcodes.ASM9) {
          @Override
          public String map(String name) {
            found.add(name);
            return name;
          }
        };
    // Written and dropped: a visitor that writes nothing is not shown the code of methods.
    var _ = remapped(bytes, collecting);
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
                .anyMatch(name -> name.startsWith(runtime) || moved.contains(folder(name)));
        grows |= moves && moved.add(folder(each.getKey()));
      }
    }
    return moved;
  }

  /** What is no class, with the texts of licenses, which go where the code goes. */
  private void resources(String source, Set<String> moved, Map<String, byte[]> entries)
      throws IOException {
    try {
      if (!source.startsWith("jar:")) {
        copy(Path.of(new URI(source)), moved, entries);
        return;
      }
      URI jar = new URI(source.substring(0, source.lastIndexOf('!')));
      try (FileSystem zip = FileSystems.newFileSystem(jar, Map.of())) {
        copy(zip.getPath("/"), moved, entries);
      }
    } catch (URISyntaxException e) {
      throw new IOException(e);
    }
  }

  private void copy(Path root, Set<String> moved, Map<String, byte[]> entries) throws IOException {
    try (Stream<Path> files = Files.walk(root)) {
      for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
        String path = root.relativize(file).toString().replace('\\', '/');
        boolean isCarried = path.startsWith(LICENSES) || !path.startsWith("META-INF/");
        if (isCarried && !path.endsWith(CLASS)) {
          entries.put(renamed(path, moved), Files.readAllBytes(file));
        }
      }
    }
  }
}
