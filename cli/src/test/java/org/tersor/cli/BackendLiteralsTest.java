package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.constantpool.PoolEntry;
import java.lang.classfile.constantpool.StringEntry;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.spi.Backend;
import org.tersor.passes.Registry;

/**
 * Backends know loops, not operators or number formats: no string constant of theirs is the name of
 * one, so a new one needs no change there.
 */
class BackendLiteralsTest {
  private static final Registry REGISTRY = Registry.builtIn();

  /** Names of all operators, and ids of all number formats that have plugins or are in tests. */
  private static final Set<String> NAMES =
      Stream.of(
              REGISTRY.operators().all().stream().map(operator -> operator.schema().name()),
              REGISTRY.formats().stream().map(format -> format.provider().id()),
              Stream.of("q4_0", "q4_k", "mxfp4", "nvfp4", "nf4", "tq1_0", "codebook2", "five"))
          .flatMap(names -> names)
          .collect(Collectors.toCollection(TreeSet::new));

  @Test
  void theNamesAreThere() {
    assertTrue(NAMES.containsAll(List.of("Conv", "MatMul", "Relu", "q4_0")));
    assertTrue(REGISTRY.formats().size() >= 2, "the plugins are on the class path");
  }

  @ParameterizedTest
  @ValueSource(strings = {"jvm", "native"})
  void noConstantIsTheNameOfAnOperatorOrFormat(String id) throws IOException, URISyntaxException {
    Class<?> backend =
        ServiceLoader.load(Backend.class).stream()
            .map(ServiceLoader.Provider::get)
            .filter(b -> b.id().equals(id))
            .findFirst()
            .orElseThrow()
            .getClass();
    URI home = backend.getProtectionDomain().getCodeSource().getLocation().toURI();
    Set<String> found = new TreeSet<>();
    if (Files.isDirectory(Path.of(home))) {
      collect(Path.of(home), found);
    } else {
      try (FileSystem jar = FileSystems.newFileSystem(Path.of(home))) {
        collect(jar.getPath("/"), found);
      }
    }
    assertEquals(Set.of(), found);
  }

  private static void collect(Path root, Set<String> found) throws IOException {
    List<Path> classes;
    try (Stream<Path> files = Files.walk(root)) {
      classes = files.filter(f -> f.toString().endsWith(".class")).sorted().toList();
    }
    assertTrue(classes.size() > 5, "classes below " + root);
    for (Path file : classes) {
      for (PoolEntry entry : ClassFile.of().parse(file).constantPool()) {
        if (entry instanceof StringEntry text && NAMES.contains(text.stringValue())) {
          found.add(root.relativize(file) + ": " + text.stringValue());
        }
      }
    }
  }
}
