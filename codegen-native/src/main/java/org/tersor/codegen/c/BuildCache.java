package org.tersor.codegen.c;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.UserCache;
import org.tersor.runtime.WholeFile;

/**
 * Compiled forms of equal sources are kept in a folder.
 *
 * @param folder where; empty to keep none
 */
record BuildCache(Optional<Path> folder) {
  static final BuildCache NONE = new BuildCache(Optional.empty());

  /** As the setting {@code cache} says: {@code on}, {@code off}, or the folder. */
  static BuildCache of(Backend.Options options) {
    String setting = options.settings().getOrDefault("cache", "on");
    return switch (setting) {
      case "on" -> new BuildCache(Optional.of(UserCache.folder().resolve("native")));
      case "off" -> NONE;
      default -> new BuildCache(Optional.of(Path.of(setting)));
    };
  }

  /**
   * Where the compiled form of these sources is kept, which need not exist yet; empty if nothing is
   * kept or the folder cannot be made private to this user.
   *
   * @param compiler all else that the compiled form depends on
   */
  Optional<Path> file(String compiler, Map<String, NativeBuild.Source> sources, String suffix) {
    return folder.flatMap(into -> {
      try {
        Files.createDirectories(into);
        Files.setPosixFilePermissions(into, PosixFilePermissions.fromString("rwx------"));
        return Optional.of(into.resolve(hash(compiler, sources) + suffix));
      } catch (IOException | UnsupportedOperationException e) {
        return Optional.empty();
      }
    });
  }

  private static String hash(String compiler, Map<String, NativeBuild.Source> sources) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      Map<String, String> parts = new LinkedHashMap<>();
      parts.put("compiler", compiler);
      sources.forEach((name, source) -> parts.put(name, source.flags() + "\n" + source.text()));
      parts.forEach((name, text) -> {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        digest.update((name + "\0" + bytes.length + "\0").getBytes(StandardCharsets.UTF_8));
        digest.update(bytes);
      });
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Copies beside the target and renames, so that another process never sees half a file. A full
   * disk only costs the cache.
   */
  static void keep(Path built, Path file) {
    try {
      WholeFile.write(
          file, beside -> Files.copy(built, beside, StandardCopyOption.REPLACE_EXISTING));
    } catch (IOException e) {
      // What was built in the temporary folder is used instead.
    }
  }
}
