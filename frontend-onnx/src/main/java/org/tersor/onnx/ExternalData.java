package org.tersor.onnx;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import org.tersor.onnx.proto.StringStringEntryProto;
import org.tersor.runtime.TersorException;

/**
 * Tensor data in files beside the model. A model is untrusted: only regular files inside its folder
 * (after all symbolic links are followed) are read, none that has another hard link, and only
 * ranges inside the file are mapped.
 */
final class ExternalData {
  private static final Pattern NUMBER = Pattern.compile("[0-9]{1,19}");

  private final Optional<Path> folder;
  private final List<Path> roots = new ArrayList<>();
  private final boolean allowHardLinks;
  private final Map<Path, MemorySegment> mapped = new HashMap<>();

  private ExternalData(Optional<Path> folder, boolean allowHardLinks) {
    this.folder = folder;
    this.allowHardLinks = allowHardLinks;
  }

  /** For values that are not in a file. */
  static ExternalData none() {
    return new ExternalData(Optional.empty(), false);
  }

  /**
   * @param options {@code external-data-root}: a further folder that links may lead to; {@code
   *     allow-hard-links}: true or false
   */
  static ExternalData of(Path model, Map<String, String> options) {
    boolean hardLinks =
        options.containsKey("allow-hard-links") && !"false".equals(options.get("allow-hard-links"));
    try {
      Path absolute = model.toAbsolutePath().normalize();
      Path folder = Optional.ofNullable(absolute.getParent()).orElse(absolute).toRealPath();
      ExternalData data = new ExternalData(Optional.of(folder), hardLinks);
      data.roots.add(folder);
      String root = options.get("external-data-root");
      if (root != null) {
        data.roots.add(Path.of(root).toRealPath());
      }
      return data;
    } catch (IOException | InvalidPathException e) {
      throw Diag.error(
          Diag.FILE, "the folder of " + model + " or --external-data-root cannot be resolved", e);
    }
  }

  /** The bytes that the entries name; {@code needed} of them. */
  MemorySegment map(List<StringStringEntryProto> entries, long needed, String where) {
    Map<String, String> fields = new HashMap<>();
    for (StringStringEntryProto entry : entries) {
      if (!List.of("location", "offset", "length", "checksum").contains(entry.getKey())) {
        throw error(where, "unknown key " + Diag.quote(entry.getKey()) + " of external data");
      }
      if (fields.put(entry.getKey(), entry.getValue()) != null) {
        throw error(where, "key " + entry.getKey() + " of external data is given twice");
      }
    }
    String location = fields.getOrDefault("location", "");
    Path file = resolve(location, where);
    long offset = number(fields, "offset", 0, where);
    MemorySegment whole = mapped.get(file);
    if (whole == null) {
      whole = open(file, location, where);
      mapped.put(file, whole);
    }
    long size = whole.byteSize();
    // No sums: offset + length may wrap.
    if (offset > size) {
      throw error(
          where,
          "offset "
              + offset
              + " is past the end of "
              + Diag.quote(location)
              + " ("
              + size
              + " bytes)");
    }
    long length = number(fields, "length", needed, where);
    if (length != needed) {
      throw error(where, "type and shape need " + needed + " bytes, but length is " + length);
    }
    if (length > size - offset) {
      throw error(
          where,
          "offset "
              + offset
              + " with length "
              + length
              + " reaches past the end of "
              + Diag.quote(location)
              + " ("
              + size
              + " bytes)");
    }
    return whole.asSlice(offset, length);
  }

  private static long number(Map<String, String> fields, String key, long otherwise, String where) {
    String text = fields.get(key);
    if (text == null) {
      return otherwise;
    }
    try {
      if (NUMBER.matcher(text).matches()) {
        return Long.parseLong(text);
      }
    } catch (NumberFormatException e) {
      // Above 2^63 - 1: the same message.
    }
    throw error(
        where, key + " of external data must be a number of bytes, not " + Diag.quote(text));
  }

  private Path resolve(String location, String where) {
    if (location.isEmpty()) {
      throw error(where, "external data without a location");
    }
    if (location.contains("_ORT_MEM_ADDR_")) {
      throw error(
          where,
          "location " + Diag.quote(location) + " is an address in the memory of another program");
    }
    Path base =
        folder.orElseThrow(
            () -> error(where, "a value that is not in a model file cannot have external data"));
    boolean drive = location.length() > 1 && location.charAt(1) == ':';
    if (location.startsWith("/")
        || location.startsWith("\\")
        || drive
        || location.indexOf(0) >= 0) {
      throw error(
          where, "location " + Diag.quote(location) + " must be relative to the model's folder");
    }
    if (List.of(location.split("[/\\\\]", -1)).contains("..")) {
      throw error(where, "location " + Diag.quote(location) + " must not contain '..'");
    }
    try {
      Path real = base.resolve(location).toRealPath();
      if (roots.stream().noneMatch(real::startsWith)) {
        throw error(
            where,
            "location "
                + Diag.quote(location)
                + " leads out of the model's folder through a symbolic link; if this is meant, name the "
                + "folder it leads to: --external-data-root DIR");
      }
      if (!Files.isRegularFile(real, LinkOption.NOFOLLOW_LINKS)) {
        throw error(where, "location " + Diag.quote(location) + " is not a regular file");
      }
      return real;
    } catch (IOException | InvalidPathException e) {
      throw Diag.error(
          Diag.EXTERNAL,
          where + ": the file " + Diag.quote(location) + " of external data cannot be found",
          e);
    }
  }

  private MemorySegment open(Path file, String location, String where) {
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS)) {
      if (!allowHardLinks && hardLinks(file) > 1) {
        throw error(
            where,
            "location "
                + Diag.quote(location)
                + " has more than one hard link, so it may be a file of somebody else; if this is meant: "
                + "--allow-hard-links");
      }
      return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), Arena.ofAuto());
    } catch (IOException e) {
      throw Diag.error(
          Diag.EXTERNAL,
          where + ": the file " + Diag.quote(location) + " of external data cannot be read",
          e);
    }
  }

  private static int hardLinks(Path file) throws IOException {
    try {
      return Files.getAttribute(file, "unix:nlink", LinkOption.NOFOLLOW_LINKS) instanceof Integer n
          ? n
          : 1;
    } catch (UnsupportedOperationException | IllegalArgumentException e) {
      return 1; // a file system that does not count them
    }
  }

  private static TersorException error(String where, String why) {
    return Diag.error(Diag.EXTERNAL, where + ": " + why);
  }
}
