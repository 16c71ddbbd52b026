package org.tersor.runtime;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class NpyTest {
  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {
        "BOOL", "I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64", "F16", "F32", "F64", "C64",
        "C128"
      })
  void everyTypeRoundTrips(DType dtype) throws IOException {
    Tensor tensor = Tensor.zeros(dtype, 2, 3);
    for (int i = 0; i < 6; i++) {
      tensor.setDouble(i, i - 1);
    }
    Path file = folder.resolve("x.npy");
    Npy.write(tensor, file);
    assertEquals(tensor, Npy.read(file));
    assertEquals(
        0,
        (Files.size(file) - (long) tensor.size() * dtype.memoryBytes()) % 64,
        "the data is aligned");
  }

  @Test
  void archivesKeepNamesOrderAndTexts() throws IOException {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    tensors.put("z/scalar", Tensor.of(new float[] {2.5f}));
    tensors.put("a", new Tensor(DType.STRING, new long[] {2}, new String[] {"ü", "two"}));
    Path file = folder.resolve("x.npz");
    Npy.writeAll(tensors, file);
    assertEquals(tensors, Npy.readAll(file));
    byte[] first = Files.readAllBytes(file);
    Npy.writeAll(tensors, file);
    assertArrayEquals(first, Files.readAllBytes(file));
  }

  @Test
  void columnMajorIsTurned() throws IOException {
    String header = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\n";
    byte[] bytes = new byte[10 + header.length() + 12];
    System.arraycopy(
        new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (byte) header.length(), 0},
        0,
        bytes,
        0,
        10);
    System.arraycopy(
        header.getBytes(java.nio.charset.StandardCharsets.ISO_8859_1),
        0,
        bytes,
        10,
        header.length());
    for (int i = 0; i < 6; i++) {
      bytes[10 + header.length() + 2 * i + 1] = (byte) i; // columns: (0, 1), (2, 3), (4, 5)
    }
    Path file = Files.write(folder.resolve("f.npy"), bytes);
    assertArrayEquals(new short[] {0, 2, 4, 1, 3, 5}, Npy.read(file).shorts());
  }

  @Test
  void brokenFilesAreDiagnostics() throws IOException {
    Path file = folder.resolve("x.npy");
    Npy.write(Tensor.of(new float[1000], 1000), file);
    byte[] good = Files.readAllBytes(file);
    for (int cut : new int[] {0, 5, 9, 40, 200, good.length - 1}) {
      Path broken = Files.write(folder.resolve("b.npy"), java.util.Arrays.copyOf(good, cut));
      assertEquals(
          "TSR-0903",
          assertThrows(TersorException.class, () -> Npy.read(broken)).code(),
          "cut at " + cut);
    }
    String huge =
        new String(good, java.nio.charset.StandardCharsets.ISO_8859_1)
            .replace("(1000,)", "(9999999999999999999,)");
    Path overflow =
        Files.write(
            folder.resolve("h.npy"), huge.getBytes(java.nio.charset.StandardCharsets.ISO_8859_1));
    assertThrows(TersorException.class, () -> Npy.read(overflow));
  }
}
