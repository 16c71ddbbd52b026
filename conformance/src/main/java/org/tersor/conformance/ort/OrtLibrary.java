package org.tersor.conformance.ort;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.JarURLConnection;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.tersor.ir.spi.UserCache;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import org.tersor.runtime.WholeFile;

/**
 * Where ONNX Runtime is on this machine. Its Java library unpacks its native code into a new
 * temporary folder at every start and leaves the folder behind; so the native code is unpacked once
 * into the user's cache, and the worker is pointed there. Nothing here loads a class of ONNX
 * Runtime.
 */
final class OrtLibrary {
  private static final String MARKER = "ai/onnxruntime/OrtEnvironment.class";

  private OrtLibrary() {}

  /** Class path of the worker: this module, the runtime's classes, ONNX Runtime. */
  static String classPath() {
    URL marker = OrtLibrary.class.getClassLoader().getResource(MARKER);
    if (marker == null) {
      throw new TersorException(
          "TSR-0801",
          "ONNX Runtime is not on the class path (onnxruntime.jar): it is needed to verify and to bench");
    }
    return String.join(
        java.io.File.pathSeparator,
        List.of(
            home(OrtLibrary.class).toString(),
            home(Tensor.class).toString(),
            place(marker).toString()));
  }

  private static Path home(Class<?> type) {
    try {
      return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  /** The jar or folder that holds {@link #MARKER}, found there. */
  static Path place(URL resource) {
    String text = resource.toString(); // jar:file:/.../x.jar!/ai/... or file:/.../classes/ai/...
    if (text.startsWith("jar:file:")) {
      return Path.of(URI.create(text.substring("jar:".length(), text.indexOf("!/"))));
    }
    if (text.startsWith("file:")) {
      return Path.of(URI.create(text.substring(0, text.length() - MARKER.length())));
    }
    throw new TersorException(
        "TSR-0801", "ONNX Runtime is neither in a jar nor in a folder, but at " + resource);
  }

  /**
   * The folder with the unpacked native code; empty where ONNX Runtime has none for this machine
   * under the expected name.
   */
  static Optional<Path> nativeFolder() {
    String os = System.getProperty("os.name", "").toLowerCase(Locale.ROOT);
    String arch = System.getProperty("os.arch", "").equals("aarch64") ? "aarch64" : "x64";
    boolean mac = os.contains("mac");
    if (!mac && !os.contains("linux")) {
      return Optional.empty();
    }
    String prefix = "ai/onnxruntime/native/" + (mac ? "osx" : "linux") + "-" + arch + "/";
    String suffix = mac ? ".dylib" : ".so";
    try {
      URL main = OrtLibrary.class.getClassLoader().getResource(prefix + "libonnxruntime" + suffix);
      if (main == null || !(main.openConnection() instanceof JarURLConnection connection)) {
        return Optional.empty();
      }
      String version = Long.toHexString(connection.getJarEntry().getCrc());
      Path folder = UserCache.folder().resolve("onnxruntime-" + version);
      Files.createDirectories(folder);
      for (String name : List.of("libonnxruntime" + suffix, "libonnxruntime4j_jni" + suffix)) {
        unpack(prefix + name, folder.resolve(name));
      }
      return Optional.of(folder);
    } catch (IOException e) {
      throw new UncheckedIOException(
          "cannot unpack ONNX Runtime's native code into " + UserCache.folder(), e);
    }
  }

  private static void unpack(String resource, Path file) throws IOException {
    URL url = OrtLibrary.class.getClassLoader().getResource(resource);
    if (url == null) {
      throw new IOException(resource + " is missing in ONNX Runtime's jar");
    }
    if (Files.exists(file) && Files.size(file) == url.openConnection().getContentLengthLong()) {
      return;
    }
    WholeFile.write(
        file,
        part -> {
          try (InputStream in = url.openStream()) {
            Files.copy(in, part, StandardCopyOption.REPLACE_EXISTING);
          }
        });
  }
}
