package org.tersor.conformance;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.function.Consumer;
import org.tersor.onnx.Declarations;
import org.tersor.runtime.TersorException;

/**
 * Opens models in the reference although what their files declare about shapes contradicts their
 * nodes: the reference then gets a copy that declares nothing, and a note says so.
 */
public final class ReferenceModels {
  private static final String REFUSED = "TSR-0804";

  private ReferenceModels() {}

  /**
   * A session of the model, or of its copy without declared shapes where the reference refuses the
   * file or the file is known to contradict itself. If the reference refuses the copy too, its
   * first diagnostic is thrown.
   *
   * @param contradictory whether the file declares shapes that its nodes contradict
   * @param note takes one line if the copy is used
   */
  public static Reference.Session open(
      Reference reference,
      Path model,
      Reference.Options options,
      boolean contradictory,
      Consumer<String> note) {
    if (contradictory) {
      return copy(reference, model, options, "the file contradicts itself", note);
    }
    try {
      return reference.open(model, options);
    } catch (TersorException refused) {
      if (!refused.code().equals(REFUSED)
          || !model.toString().toLowerCase(Locale.ROOT).endsWith(".onnx")) {
        throw refused;
      }
      try {
        return copy(reference, model, options, "it refuses the file", note);
      } catch (TersorException again) {
        refused.addSuppressed(again);
        throw refused;
      }
    }
  }

  private static Reference.Session copy(
      Reference reference,
      Path model,
      Reference.Options options,
      String why,
      Consumer<String> note) {
    try {
      Path folder = Files.createTempDirectory("tersor-reference");
      Path file = folder.resolve("undeclared.onnx");
      try {
        Declarations.strip(model, file);
        Reference.Session session = reference.open(file, options);
        note.accept(
            reference.name()
                + " runs a copy of "
                + model.getFileName()
                + " without value_info and output shapes, because "
                + why);
        return session;
      } finally {
        Files.deleteIfExists(file);
        Files.deleteIfExists(folder);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
