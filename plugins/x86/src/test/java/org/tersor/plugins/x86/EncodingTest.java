package org.tersor.plugins.x86;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.plugins.x86.Operand.Mem;
import org.tersor.plugins.x86.Reg.Kind;

/** Every instruction over random operands, as objdump reads it. */
class EncodingTest {
  private static final String[] WIDE = {
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15"
  };
  private static final String[] LOW = {
    "al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b",
    "r13b", "r14b", "r15b"
  };
  private static final String[] CONDITIONS = {
    "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"
  };

  /** Names of binutils where a row's name has an ending of its own. */
  private static final Map<String, String> NAMES =
      Map.ofEntries(
          Map.entry("ADDI", "add"),
          Map.entry("SUBI", "sub"),
          Map.entry("ANDI", "and"),
          Map.entry("ORI", "or"),
          Map.entry("XORI", "xor"),
          Map.entry("CMPI", "cmp"),
          Map.entry("IMULI", "imul"),
          Map.entry("SHLI", "shl"),
          Map.entry("SHRI", "shr"),
          Map.entry("SARI", "sar"),
          Map.entry("MOVZB", "movzx"),
          Map.entry("MOVZW", "movzx"),
          Map.entry("MOVSB", "movsx"),
          Map.entry("MOVSW", "movsx"),
          Map.entry("MOVSD", "movsxd"),
          Map.entry("CALLM", "call"),
          Map.entry("STORE", "mov"),
          Map.entry("STOREW", "mov"),
          Map.entry("STOREB", "mov"),
          Map.entry("MOVI", "mov"),
          Map.entry("MOVIQ", "movabs"),
          Map.entry("KMOV", "kmovq"),
          Map.entry("KSTORE", "kmovq"),
          Map.entry("KMOVG", "kmovq"),
          Map.entry("KMOVTOG", "kmovq"),
          Map.entry("KAND", "kandq"),
          Map.entry("KANDN", "kandnq"),
          Map.entry("KOR", "korq"),
          Map.entry("KXNOR", "kxnorq"),
          Map.entry("KXOR", "kxorq"),
          Map.entry("VSTOREDQU8", "vmovdqu8"),
          Map.entry("VSTOREDQU16", "vmovdqu16"),
          Map.entry("VSTOREDQU32", "vmovdqu32"),
          Map.entry("VSTOREDQU64", "vmovdqu64"),
          Map.entry("VMOVDTO", "vmovd"),
          Map.entry("VMOVQTO", "vmovq"),
          Map.entry("VLOADSS", "vmovss"),
          Map.entry("VLOADSD", "vmovsd"),
          Map.entry("VSTORESS", "vmovss"),
          Map.entry("VSTORESD", "vmovsd"),
          Map.entry("VPBROADCASTBG", "vpbroadcastb"),
          Map.entry("VPBROADCASTWG", "vpbroadcastw"),
          Map.entry("VPBROADCASTDG", "vpbroadcastd"),
          Map.entry("VPBROADCASTQG", "vpbroadcastq"));

  /** What binutils call comparisons by their immediate 0. */
  private static String name(Op op, Ins ins) {
    String known = NAMES.get(op.name());
    if (known != null) {
      return known;
    }
    return switch (op) {
      case SETCC -> "set" + CONDITIONS[(int) ins.imm];
      case CMOVCC -> "cmov" + CONDITIONS[(int) ins.imm];
      case CDQ -> ins.size == 8 ? "cqo" : "cdq";
      case VCMPPS -> "vcmpeqps";
      case VCMPPD -> "vcmpeqpd";
      case VCMPSS -> "vcmpeqss";
      case VCMPSD -> "vcmpeqsd";
      case VPCMPB -> "vpcmpeqb";
      case VPCMPUB -> "vpcmpequb";
      case VPCMPW -> "vpcmpeqw";
      case VPCMPUW -> "vpcmpequw";
      case VPCMPD -> "vpcmpeqd";
      case VPCMPUD -> "vpcmpequd";
      case VPCMPQ -> "vpcmpeqq";
      case VPCMPUQ -> "vpcmpequq";
      default -> op.name().toLowerCase(Locale.ROOT);
    };
  }

  private static boolean isComparison(Op op) {
    return op.name().startsWith("VCMP") || op.name().startsWith("VPCMP");
  }

  private static String integer(int number, int size) {
    String wide = WIDE[number];
    return switch (size) {
      case 8 -> wide;
      case 1 -> LOW[number];
      case 2 -> number < 8 ? wide.substring(1) : wide + "w";
      default -> number < 8 ? "e" + wide.substring(1) : wide + "d";
    };
  }

  private static String vector(int number, int bytes) {
    return (bytes > 32 ? "zmm" : bytes > 16 ? "ymm" : "xmm") + number;
  }

  private final Random random = new Random(7);

  private Reg reg(Kind kind) {
    return Reg.fixed(
        kind,
        switch (kind) {
          case INTEGER -> random.nextInt(16);
          case VECTOR -> random.nextInt(32);
          case MASK, NONE -> random.nextInt(8);
        });
  }

  /** Kinds and sizes of an instruction's registers: target, source, operand. */
  private record Shape(
      Kind target, int targetSize, Kind source, int sourceSize, Kind operand, int operandSize) {}

  private static Shape shape(Op op, int size) {
    String name = op.name();
    Kind vector = Kind.VECTOR;
    Kind integer = Kind.INTEGER;
    if (op.encoding == Op.Encoding.VEX) {
      if (!name.startsWith("K")) {
        return new Shape(integer, size, integer, size, integer, size);
      }
      return new Shape(
          op == Op.KMOVTOG ? integer : Kind.MASK,
          8,
          Kind.MASK,
          8,
          op == Op.KMOVG ? integer : Kind.MASK,
          8);
    }
    if (op.encoding == Op.Encoding.LEG) {
      int narrow = op.low ? 1 : op == Op.MOVZW || op == Op.MOVSW ? 2 : op == Op.MOVSD ? 4 : size;
      return new Shape(integer, op == Op.SETCC ? 1 : size, integer, size, integer, narrow);
    }
    if (isComparison(op) || name.startsWith("VPTEST")) {
      return new Shape(Kind.MASK, 8, vector, size, vector, size);
    }
    if (name.startsWith("VPMOVM2")) {
      return new Shape(vector, size, Kind.NONE, 0, Kind.MASK, 8);
    }
    if (name.startsWith("VPMOVB2M") || name.startsWith("VPMOVW2M")) {
      return new Shape(Kind.MASK, 8, Kind.NONE, 0, vector, size);
    }
    if (op.tuple.startsWith("h") || op.tuple.startsWith("q") || op.tuple.startsWith("o")) {
      int part = op.memoryBytes(size, false);
      return op.form.equals("mr")
          ? new Shape(vector, part, vector, size, vector, part)
          : new Shape(vector, size, vector, size, vector, part);
    }
    if (List.of("VCVTPD2PS", "VCVTTPD2DQ", "VCVTTPD2UDQ", "VCVTQQ2PS", "VCVTUQQ2PS")
        .contains(name)) {
      return new Shape(vector, size / 2, vector, size, vector, size);
    }
    if (name.startsWith("VPBROADCAST") && name.endsWith("G")) {
      return new Shape(vector, size, Kind.NONE, 0, integer, op.w == 1 ? 8 : 4);
    }
    if (op == Op.VPGATHERQD) {
      return new Shape(vector, size / 2, Kind.NONE, 0, vector, size);
    }
    if (name.contains("BROADCAST")) {
      return new Shape(vector, size, Kind.NONE, 0, vector, 16);
    }
    if (op == Op.VMOVD || op == Op.VMOVQ) {
      return new Shape(vector, 16, Kind.NONE, 0, integer, op == Op.VMOVQ ? 8 : 4);
    }
    if (op == Op.VMOVDTO || op == Op.VMOVQTO) {
      return new Shape(integer, op == Op.VMOVQTO ? 8 : 4, vector, 16, integer, 8);
    }
    if (name.startsWith("VEXTRACT")) {
      return new Shape(
          vector, name.endsWith("X4") && op.w == 1 ? 32 : 16, vector, size, vector, 16);
    }
    if (name.startsWith("VINSERT")) {
      return new Shape(vector, size, vector, size, vector, op.w == 1 ? 32 : 16);
    }
    return new Shape(vector, size, vector, size, vector, size);
  }

  private static String text(Reg reg, Kind kind, int size) {
    return switch (kind) {
      case INTEGER -> integer(reg.number(), size);
      case VECTOR -> vector(reg.number(), size);
      case MASK, NONE -> "k" + reg.number();
    };
  }

  private Mem memory(Op op, int unit) {
    Reg base = reg(Kind.INTEGER);
    Reg index = Reg.NONE;
    if (op.is("vsib")) {
      index = reg(Kind.VECTOR);
    } else if (random.nextBoolean()) {
      do {
        index = reg(Kind.INTEGER);
      } while (index.number() == 4);
    }
    int displacement =
        switch (random.nextInt(4)) {
          case 0 -> 0;
          case 1 -> random.nextInt(-128, 128);
          case 2 -> random.nextInt(-130, 130) * unit;
          default -> random.nextInt();
        };
    return Mem.of(base, index, 1 << random.nextInt(4), displacement);
  }

  private static String text(Mem m, Op op, int size) {
    StringBuilder text = new StringBuilder("[").append(WIDE[m.base().number()]);
    if (m.index() != Reg.NONE) {
      text.append('+')
          .append(op.is("vsib") ? vector(m.index().number(), size) : WIDE[m.index().number()])
          .append('*')
          .append(m.scale());
    }
    int d = m.displacement();
    if (d != 0) {
      text.append(d < 0 ? "-0x" : "+0x").append(Long.toHexString(Math.abs((long) d)));
    }
    return text.append(']').toString();
  }

  private record Sample(Ins ins, String text) {}

  private List<Sample> samples(Op op) {
    List<Sample> samples = new ArrayList<>();
    List<Integer> sizes =
        op.encoding == Op.Encoding.EVEX
            ? op.tuple.startsWith("s") && !op.name().contains("BROADCAST") && !op.is("vsib")
                ? List.of(16)
                : op.tuple.equals("m32") || op == Op.VEXTRACTI64X4
                    ? List.of(64)
                    : op.tuple.equals("m16") || op == Op.VPERMQ || op == Op.VPERMD
                        ? List.of(32, 64)
                        : List.of(16, 32, 64)
            : op.is("wide") ? List.of(8) : op.low || op == Op.STOREW ? List.of(4) : List.of(4, 8);
    for (int size : sizes) {
      for (int i = 0; i < 6; i++) {
        samples.add(sample(op, size));
      }
    }
    return samples;
  }

  private Sample sample(Op op, int size) {
    Shape shape = shape(op, size);
    Ins ins = new Ins(op, size);
    List<String> operands = new ArrayList<>();
    boolean hasTarget = !op.form.equals("-") && !op.is("flags");
    boolean memory = !op.registersOnly && random.nextBoolean() && op.form.matches("rvm|rm|mr|m|vm");
    memory |= op == Op.LEA || op.is("vsib") || op == Op.PREFETCHT0;
    memory |= op == Op.KSTORE;
    memory |= op.name().matches("VLOADS.|VSTORES.");
    String mask = "";
    if (op.encoding == Op.Encoding.EVEX
        && shape.target == Kind.VECTOR
        && (op.is("vsib") || random.nextInt(3) == 0)
        && !op.name().matches("V(LOAD|STORE)S.|VMOV[DQ](TO)?|VPMOVM2.|VPS[LR]LDQ|VUCOMIS.")) {
      ins.mask = Reg.fixed(Kind.MASK, 1 + random.nextInt(7));
      boolean store = op.form.equals("mr") && memory;
      ins.zeroing = !store && !op.is("vsib") && random.nextBoolean();
      mask = "{k" + ins.mask.number() + "}" + (ins.zeroing ? "{z}" : "");
    }
    Mem m = memory(op, op.encoding == Op.Encoding.EVEX ? op.memoryBytes(size, false) : 1);
    int broadcasts = 0;
    if (memory && op.tuple.matches("fv|hv") && random.nextBoolean()) {
      ins.broadcast = true;
      broadcasts = (op.tuple.equals("hv") ? size / 2 : size) / op.memoryBytes(size, true);
    }
    String place = text(m, op, size) + (broadcasts > 0 ? "{1to" + broadcasts + "}" : "");
    switch (op.form) {
      case "rvm" -> {
        ins.target = reg(shape.target);
        ins.source = reg(shape.source);
        ins.operand = memory ? m : reg(shape.operand);
        operands.add(text(ins.target, shape.target, shape.targetSize) + mask);
        String source = text(ins.source, shape.source, shape.sourceSize);
        String operand = memory ? place : text((Reg) ins.operand, shape.operand, shape.operandSize);
        boolean swapped = op.encoding == Op.Encoding.VEX && shape.source == Kind.INTEGER;
        operands.add(swapped ? operand : source);
        operands.add(swapped ? source : operand);
      }
      case "rm" -> {
        ins.target = reg(shape.target);
        ins.operand = memory ? m : reg(shape.operand);
        operands.add(text(ins.target, shape.target, shape.targetSize) + mask);
        operands.add(memory ? place : text((Reg) ins.operand, shape.operand, shape.operandSize));
      }
      case "mr" -> {
        ins.source = reg(shape.source);
        boolean compares = op.is("flags");
        String source =
            text(ins.source, shape.source, op.low ? 1 : op == Op.STOREW ? 2 : shape.sourceSize);
        if (memory) {
          ins.operand = m;
          operands.add(place + mask);
        } else if (compares) {
          ins.operand = reg(shape.operand);
          operands.add(text((Reg) ins.operand, shape.operand, shape.operandSize));
        } else {
          ins.target = reg(shape.target);
          operands.add(
              text(ins.target, shape.target, op.low ? 1 : op == Op.STOREW ? 2 : shape.targetSize)
                  + mask);
        }
        // A comparison names its register first, but for test.
        operands.add(compares && op != Op.TEST ? 0 : operands.size(), source);
      }
      case "vm" -> {
        ins.target = reg(shape.target);
        ins.operand = memory ? m : reg(shape.operand);
        operands.add(text(ins.target, shape.target, shape.targetSize) + mask);
        operands.add(memory ? place : text((Reg) ins.operand, shape.operand, shape.operandSize));
      }
      case "m" -> {
        if (memory) {
          ins.operand = m;
          operands.add(place);
        } else if (hasTarget) {
          ins.target = reg(shape.target);
          operands.add(text(ins.target, shape.target, shape.targetSize));
        } else {
          ins.operand = reg(shape.operand);
          operands.add(text((Reg) ins.operand, shape.operand, shape.operandSize));
        }
      }
      case "o" -> {
        ins.target = reg(shape.target);
        operands.add(text(ins.target, shape.target, shape.targetSize));
      }
      default -> {}
    }
    if (op.is("cc")) {
      ins.imm = random.nextInt(16);
    } else if (!op.imm.isEmpty() && !isComparison(op)) {
      ins.imm =
          switch (op.imm) {
            case "imm8" -> op.name().matches(".*(X4|VALIGND|VPSHUFD)") ? 1 : random.nextInt(1, 16);
            case "imm64" -> size == 8 ? random.nextLong() : random.nextInt(Integer.MAX_VALUE);
            default -> random.nextBoolean() ? random.nextInt(-128, 128) : random.nextInt();
          };
      long shown =
          op.imm.equals("imm64") || op.imm.equals("imm8") || size == 8
              ? ins.imm
              : ins.imm & 0xFFFFFFFFL;
      operands.add("0x" + Long.toHexString(shown));
    }
    String name = name(op, ins);
    if (op == Op.MOVIQ && size == 4) {
      name = "mov";
    }
    return new Sample(ins, (name + " " + String.join(",", operands)).trim());
  }

  /** Without what objdump adds: the size of memory, and registers that merely repeat. */
  private static String plain(String line) {
    return line.replaceAll("(BYTE|WORD|DWORD|QWORD|XMMWORD|YMMWORD|ZMMWORD) (PTR|BCST) ", "")
        .replaceAll("\\{1to\\d+\\}", "")
        .replaceAll("\\*1(?=[+\\-\\]])", "")
        .replaceAll("\\+0x0(?=\\])", "")
        .replaceAll("\\s+", " ")
        .replace("{evex} ", "")
        .trim();
  }

  @Test
  void everyInstructionIsReadBackAsItWasMeant(@TempDir Path folder) throws IOException {
    assumeTrue(hasObjdump(), "there is no objdump of GNU binutils");
    Assembler assembler = new Assembler();
    List<Sample> all = new ArrayList<>();
    List<Integer> places = new ArrayList<>();
    for (Op op : Op.values()) {
      if (op.encoding == Op.Encoding.NONE || op.is("jump")) {
        continue;
      }
      for (Sample sample : samples(op)) {
        places.add(assembler.position());
        assembler.emit(sample.ins);
        all.add(sample);
      }
    }
    Files.write(folder.resolve("code"), assembler.finish());
    Map<Integer, String> lines = objdump(folder.resolve("code"));
    List<String> wrong = new ArrayList<>();
    for (int i = 0; i < all.size(); i++) {
      String expected = plain(all.get(i).text);
      String actual = plain(lines.getOrDefault(places.get(i), "nothing"));
      if (!same(expected, actual)) {
        wrong.add(all.get(i).ins.op + ": " + expected + " was read as " + actual);
      }
    }
    assertEquals("", wrong.stream().limit(40).collect(Collectors.joining("\n")));
  }

  private static boolean same(String expected, String actual) {
    return expected.equals(actual);
  }

  private static boolean hasObjdump() {
    return Stream.of(System.getenv().getOrDefault("PATH", "").split(":", -1))
        .anyMatch(folder -> Files.isExecutable(Path.of(folder, "objdump")));
  }

  private static Map<Integer, String> objdump(Path file) throws IOException {
    Process process =
        new ProcessBuilder(
                "objdump",
                "-D",
                "-b",
                "binary",
                "-m",
                "i386:x86-64",
                "-M",
                "intel",
                "--no-show-raw-insn",
                "-w",
                file.toString())
            .redirectErrorStream(true)
            .start();
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return text.lines()
        .filter(line -> line.matches("\\s*[0-9a-f]+:\\s.*"))
        .collect(
            Collectors.toMap(
                line -> Integer.parseInt(line.substring(0, line.indexOf(':')).trim(), 16),
                line -> line.substring(line.indexOf(':') + 1).trim()));
  }
}
