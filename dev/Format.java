import com.google.googlejavaformat.java.Formatter;
import com.google.googlejavaformat.java.FormatterException;
import com.google.googlejavaformat.java.ImportOrderer;
import com.google.googlejavaformat.java.JavaFormatterOptions.Style;
import com.google.googlejavaformat.java.RemoveUnusedImports;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Checks ({@code --check}) or rewrites ({@code --write}) the given Java files, or all of the
 * project's; {@code --classpath} leaves the class path for dev/format. Files seen clean before, by
 * path, time and size, are not read again.
 */
public final class Format {
  private static final Path CLEAN = Path.of("target", "format-clean.txt");

  public static void main(String[] args) throws IOException {
    if (args[0].equals("--classpath")) {
      Files.createDirectories(CLEAN.getParent());
      Files.writeString(
          CLEAN.resolveSibling("format-classpath.txt"), System.getProperty("java.class.path"));
      return;
    }
    boolean write = args[0].equals("--write");
    List<Path> files = new ArrayList<>();
    for (int i = 1; i < args.length; i++) {
      collect(Path.of(args[i]), files);
    }
    boolean all = args.length == 1;
    if (all) {
      collect(Path.of(""), files);
    }
    Set<String> clean =
        Files.exists(CLEAN) ? new HashSet<>(Files.readAllLines(CLEAN)) : new HashSet<>();
    Set<Path> bad =
        files.parallelStream()
            .filter(file -> !clean.contains(key(file)) && !format(file, write))
            .collect(Collectors.toSet());
    Set<String> nowClean = all ? new HashSet<>() : clean;
    files.stream().filter(file -> !bad.contains(file)).map(Format::key).forEach(nowClean::add);
    Files.createDirectories(CLEAN.getParent());
    Files.write(CLEAN, nowClean.stream().sorted().toList());
    if (!bad.isEmpty()) {
      System.err.println(bad.size() + " files; to rewrite them: dev/format");
      System.exit(1);
    }
  }

  /** Returns whether the file is now as it should be. */
  private static boolean format(Path file, boolean write) {
    try {
      String text = Files.readString(file);
      String imports =
          ImportOrderer.reorderImports(RemoveUnusedImports.removeUnusedImports(text), Style.GOOGLE);
      String formatted = new Formatter().formatSource(imports);
      if (formatted.equals(text)) {
        return true;
      }
      if (write) {
        Files.writeString(file, formatted);
        System.err.println("formatted " + file);
        return true;
      }
      System.err.println("not formatted: " + file);
    } catch (FormatterException e) {
      System.err.println(file + ": " + e.getMessage());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return false;
  }

  private static void collect(Path root, List<Path> files) throws IOException {
    try (Stream<Path> walk = Files.walk(root)) {
      walk.filter(p -> p.toString().endsWith(".java"))
          .filter(p -> !p.toString().contains("target/"))
          .sorted()
          .forEach(files::add);
    }
  }

  private static String key(Path file) {
    try {
      return file.toAbsolutePath().normalize()
          + " "
          + Files.getLastModifiedTime(file).toMillis()
          + " "
          + Files.size(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
