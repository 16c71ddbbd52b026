package org.tersor.codegen.c;

import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;

/**
 * Matrix registers of a function as AMX's tile registers. All of them are configured when the
 * function begins, so a register keeps its size to the end; then they are given back, since the
 * system saves and restores what is in use.
 */
final class CTiles {
  private static final int WORD = 4;

  /** Names in scope and their registers. */
  record Live(Map<String, Integer> registers) {}

  private final int[] rows = new int[Stmt.Tile.REGISTERS];
  private final int[] words = new int[Stmt.Tile.REGISTERS];
  private Live live = new Live(Map.of());
  private boolean used;

  Live live() {
    return live;
  }

  /** Leaves a block: the registers of its names are free again. */
  void back(Live outer) {
    live = outer;
  }

  private int declare(String name, int tileRows, int tileWords) {
    used = true;
    int unused = -1;
    for (int i = 0; i < rows.length; i++) {
      if (live.registers.containsValue(i)) {
        continue;
      }
      if (rows[i] == tileRows && words[i] == tileWords) {
        return bind(name, i);
      }
      unused = unused < 0 && rows[i] == 0 ? i : unused;
    }
    if (unused < 0) {
      throw Faults.unsupported(
          "more matrix registers than there are",
          "the schedule must use at most " + Stmt.Tile.REGISTERS + ", each of one size");
    }
    rows[unused] = tileRows;
    words[unused] = tileWords;
    return bind(name, unused);
  }

  private int bind(String name, int register) {
    Map<String, Integer> more = new HashMap<>(live.registers);
    more.put(name, register);
    live = new Live(Map.copyOf(more));
    return register;
  }

  private int register(String name) {
    return Objects.requireNonNull(live.registers.get(name), name);
  }

  String zero(Stmt.Tile.Zero t) {
    return "__asm__ volatile(\"tilezero %%tmm"
        + declare(t.name(), t.rows(), t.words())
        + "\" : : );";
  }

  String load(Stmt.Tile.Load t, String address, String stride) {
    return "__asm__ volatile(\"tileloadd (%0,%1,1), %%tmm"
        + declare(t.name(), t.rows(), t.words())
        + access(address, stride);
  }

  String store(Stmt.Tile.Store t, String address, String stride) {
    return "__asm__ volatile(\"tilestored %%tmm"
        + register(t.name())
        + ", (%0,%1,1)"
        + access(address, "(" + stride + ") * " + WORD);
  }

  private static String access(String address, String stride) {
    return "\" : : \"r\"(" + address + "), \"r\"((int64_t)(" + stride + ")) : \"memory\");";
  }

  String dot(Stmt.Tile.Dot t) {
    return "__asm__ volatile(\"tdpb%s%sd %%%%tmm%d, %%%%tmm%d, %%%%tmm%d\" : : );"
        .formatted(
            letter(t.aBytes()),
            letter(t.bBytes()),
            register(t.b()),
            register(t.a()),
            register(t.sum()));
  }

  private static String letter(Scalar bytes) {
    return bytes == Scalar.U8 ? "u" : "s";
  }

  /** What stands before the function's statements. */
  String begin() {
    if (!used) {
      return "";
    }
    // Palette 1, then bytes of a row of each register from byte 16 on and rows from byte 48 on.
    byte[] table = new byte[64];
    table[0] = 1;
    for (int i = 0; i < rows.length; i++) {
      table[16 + 2 * i] = (byte) (words[i] * WORD);
      table[48 + i] = (byte) rows[i];
    }
    StringBuilder text = new StringBuilder("  static const unsigned char tsr_tiles[64] = {");
    for (byte b : table) {
      text.append(b).append(", ");
    }
    return text + "};\n  __asm__ volatile(\"ldtilecfg %0\" : : \"m\"(tsr_tiles));\n";
  }

  /** What stands behind them. */
  String end() {
    return used ? "  __asm__ volatile(\"tilerelease\" : : );\n" : "";
  }
}
