package org.tersor.runtime;

import java.io.IOException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermission;
import java.util.EnumSet;
import java.util.Set;

/**
 * Writes a file whole or not at all: into a temporary file beside it, which is then moved into
 * place. Whoever reads meanwhile sees the old file or the new one, and a failure leaves the old.
 */
public final class WholeFile {
  private static final Set<PosixFilePermission> READABLE =
      EnumSet.of(
          PosixFilePermission.OWNER_READ,
          PosixFilePermission.OWNER_WRITE,
          PosixFilePermission.GROUP_READ,
          PosixFilePermission.OTHERS_READ);

  private WholeFile() {}

  /** Writes to the path that it is given, which exists and is empty. */
  @FunctionalInterface
  public interface Content {
    void writeTo(Path temporary) throws IOException;
  }

  /** Links are followed; what is no file (a pipe, a terminal) is written to as it is. */
  public static void write(Path named, Content content) throws IOException {
    if (Files.exists(named) && !Files.isRegularFile(named)) {
      content.writeTo(named);
      return;
    }
    Path file = Files.exists(named) ? named.toRealPath() : named.toAbsolutePath();
    Path parent = file.getParent();
    if (parent == null) {
      throw new IOException(named + " is no file that can be written");
    }
    Path temporary = Files.createTempFile(parent, ".tersor", ".tmp");
    try {
      content.writeTo(temporary);
      // Temporary files are private; what users ask for is not.
      if (Files.getFileStore(temporary).supportsFileAttributeView("posix")) {
        Files.setPosixFilePermissions(temporary, READABLE);
      }
      move(temporary, file);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  /** Replaces a file by another of the same folder, in one step where the file system can. */
  public static void move(Path from, Path to) throws IOException {
    try {
      Files.move(from, to, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (AtomicMoveNotSupportedException e) {
      Files.move(from, to, StandardCopyOption.REPLACE_EXISTING);
    }
  }
}
