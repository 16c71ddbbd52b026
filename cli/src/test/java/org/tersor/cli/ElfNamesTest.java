package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** Names of a library's functions, and files that have none. */
class ElfNamesTest {
  @TempDir Path folder;

  private byte[] library() throws IOException {
    Path model = folder.resolve("digits.onnx");
    try (InputStream in = ElfNamesTest.class.getResourceAsStream("demo/digits.onnx")) {
      Files.copy(in, model);
    }
    Path library = folder.resolve("digits.so");
    CommandLine line = Main.commandLine();
    StringWriter err = new StringWriter();
    line.setOut(new PrintWriter(new StringWriter()));
    line.setErr(new PrintWriter(err));
    assertEquals(
        Exit.OK,
        line.execute("compile", model.toString(), "-o", library.toString()),
        err::toString);
    return Files.readAllBytes(library);
  }

  private String names(byte[] bytes) throws IOException {
    return ElfNames.of(Files.write(folder.resolve("file"), bytes));
  }

  @Test
  void aLibraryHasItsFunctionsAndWhatIsBrokenHasNone() throws IOException {
    byte[] library = library();
    assertTrue(names(library).contains("\0digits_describe\0"));
    for (int length : new int[] {0, 1, 63, 64, 4096, library.length - 1}) {
      assertEquals("", names(Arrays.copyOf(library, length)), length + " bytes");
    }
    byte[] farAway = library.clone();
    Arrays.fill(farAway, 0x28, 0x30, (byte) 0x7f);
    assertEquals("", names(farAway));
    byte[] before = library.clone();
    Arrays.fill(before, 0x28, 0x30, (byte) 0xff);
    assertEquals("", names(before));
    byte[] other = library.clone();
    other[5] = 2;
    assertEquals("", names(other));
    assertEquals("", names(new byte[library.length]));
  }
}
