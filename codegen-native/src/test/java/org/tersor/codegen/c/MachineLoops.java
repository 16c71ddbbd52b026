package org.tersor.codegen.c;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The loops of a function of x86-64 machine code, from what objdump prints in Intel's syntax:
 * blocks between jumps, dominators, and for every edge back to a dominator the blocks that reach
 * it.
 */
final class MachineLoops {
  private static final Pattern LABEL = Pattern.compile("^[0-9a-f]+ <([^>]+)>:$");
  private static final Pattern LINE = Pattern.compile("^\\s*([0-9a-f]+):\\s+(\\S.*)$");
  private static final Pattern TARGET = Pattern.compile("^([0-9a-f]+)( <.*>)?$");

  /** An instruction: prefixes are part of the mnemonic. */
  record Instruction(long address, String mnemonic, String operands) {
    @Override
    public String toString() {
      return "%x: %s %s".formatted(address, mnemonic, operands);
    }

    boolean isCall() {
      return mnemonic.equals("call") || mnemonic.startsWith("call ");
    }

    private boolean isJump() {
      return mnemonic.startsWith("j") || mnemonic.contains(" j");
    }

    /** After it the next instruction does not follow. */
    private boolean ends() {
      return mnemonic.matches(".*\\b(jmp|ret|ud2|hlt)");
    }

    private Optional<Long> target() {
      Matcher matcher = TARGET.matcher(operands);
      return isJump() && matcher.matches()
          ? Optional.of(Long.parseLong(matcher.group(1), 16))
          : Optional.empty();
    }
  }

  /**
   * Instructions of a natural loop, those of loops in it included.
   *
   * @param isInnermost whether there is none
   */
  record Loop(long header, List<Instruction> body, boolean isInnermost) {
    long count(String mnemonic, String register) {
      return body.stream()
          .filter(i -> i.mnemonic().equals(mnemonic) && i.operands().contains(register))
          .count();
    }
  }

  private final String name;
  private static final Pattern MEMORY = Pattern.compile("\\[([^\\]]*)\\]");

  private final List<Instruction> code;
  private final boolean frame;
  private final List<int[]> blocks = new ArrayList<>();
  private final List<List<Integer>> successors = new ArrayList<>();
  private final List<Loop> loops;

  private MachineLoops(String name, List<Instruction> code) {
    this.name = name;
    this.code = code;
    this.frame =
        code.stream().anyMatch(i -> i.mnemonic.equals("mov") && i.operands.equals("rbp,rsp"));
    split();
    this.loops = find();
  }

  /** Functions by name, in the order of the text. */
  static Map<String, MachineLoops> parse(List<String> objdump) {
    Map<String, List<Instruction>> functions = new LinkedHashMap<>();
    List<Instruction> current = new ArrayList<>();
    for (String line : objdump) {
      Matcher label = LABEL.matcher(line);
      if (label.matches()) {
        current = functions.computeIfAbsent(label.group(1), n -> new ArrayList<>());
        continue;
      }
      Matcher matcher = LINE.matcher(line);
      if (matcher.matches()) {
        String text = matcher.group(2).replaceAll("\\s*#.*", "").strip();
        String[] words = text.split("\\s+", 2);
        boolean prefix = words[0].matches("bnd|rep|repz|repnz|lock|notrack");
        if (prefix && words.length == 2) {
          String[] rest = words[1].split("\\s+", 2);
          words = new String[] {words[0] + " " + rest[0], rest.length == 2 ? rest[1] : ""};
        }
        current.add(
            new Instruction(
                Long.parseLong(matcher.group(1), 16), words[0], words.length == 2 ? words[1] : ""));
      }
    }
    Map<String, MachineLoops> result = new LinkedHashMap<>();
    functions.forEach((name, code) -> result.put(name, new MachineLoops(name, code)));
    return result;
  }

  String name() {
    return name;
  }

  /** All loops, outer ones too. */
  List<Loop> loops() {
    return loops;
  }

  /** Loops without a loop in them. */
  List<Loop> innermost() {
    return loops.stream().filter(Loop::isInnermost).toList();
  }

  /**
   * Whether an instruction moves a value to or from a fixed place on the stack, as spilled
   * registers are: an address from the stack pointer (or from rbp, where that holds the frame)
   * without an index.
   */
  boolean isSpill(Instruction instruction) {
    Matcher memory = MEMORY.matcher(instruction.operands);
    return memory.find()
        && !List.of("lea", "cmp").contains(instruction.mnemonic)
        && memory.group(1).matches(frame ? "r[sb]p([+-]0x[0-9a-f]+)?" : "rsp([+-]0x[0-9a-f]+)?");
  }

  private void split() {
    Map<Long, Integer> positions = new TreeMap<>();
    for (int i = 0; i < code.size(); i++) {
      positions.put(code.get(i).address, i);
    }
    BitSet leaders = new BitSet();
    leaders.set(0);
    for (int i = 0; i < code.size(); i++) {
      Instruction instruction = code.get(i);
      instruction.target().flatMap(at -> find(positions, at)).ifPresent(leaders::set);
      if (instruction.isJump() || instruction.ends()) {
        leaders.set(i + 1);
      }
    }
    Map<Integer, Integer> blockAt = new TreeMap<>();
    for (int from = 0; from < code.size(); ) {
      int next = leaders.nextSetBit(from + 1);
      int to = next < 0 ? code.size() : Math.min(next, code.size());
      blockAt.put(from, blocks.size());
      blocks.add(new int[] {from, to});
      from = to;
    }
    for (int[] block : blocks) {
      Instruction last = code.get(block[1] - 1);
      List<Integer> next = new ArrayList<>();
      last.target()
          .flatMap(at -> find(positions, at))
          .flatMap(at -> find(blockAt, at))
          .ifPresent(next::add);
      if (!last.ends()) {
        find(blockAt, block[1]).ifPresent(next::add);
      }
      successors.add(next);
    }
  }

  private static <K> Optional<Integer> find(Map<K, Integer> map, K key) {
    return Optional.ofNullable(map.get(key));
  }

  /** Blocks on all ways to each block; of one that is not reached: all. */
  private List<BitSet> dominators() {
    List<BitSet> dominators = new ArrayList<>();
    for (int b = 0; b < blocks.size(); b++) {
      BitSet all = new BitSet();
      all.set(0, b == 0 ? 1 : blocks.size());
      dominators.add(all);
    }
    for (boolean changed = true; changed; ) {
      changed = false;
      for (int b = 0; b < blocks.size(); b++) {
        for (int next : successors.get(b)) {
          BitSet through = (BitSet) dominators.get(b).clone();
          through.set(next);
          BitSet known = dominators.get(next);
          int before = known.cardinality();
          known.and(through);
          changed |= known.cardinality() != before;
        }
      }
    }
    return dominators;
  }

  private List<Loop> find() {
    if (code.isEmpty()) {
      return List.of();
    }
    List<BitSet> dominators = dominators();
    List<List<Integer>> predecessors = new ArrayList<>();
    blocks.forEach(b -> predecessors.add(new ArrayList<>()));
    for (int b = 0; b < blocks.size(); b++) {
      for (int next : successors.get(b)) {
        predecessors.get(next).add(b);
      }
    }
    Map<Integer, BitSet> bodies = new TreeMap<>();
    for (int b = 0; b < blocks.size(); b++) {
      for (int header : successors.get(b)) {
        if (dominators.get(b).get(header)) {
          BitSet body = bodies.computeIfAbsent(header, h -> new BitSet());
          body.set(header);
          Deque<Integer> open = new ArrayDeque<>(List.of(b));
          while (!open.isEmpty()) {
            int block = open.pop();
            if (!body.get(block)) {
              body.set(block);
              open.addAll(predecessors.get(block));
            }
          }
        }
      }
    }
    List<Loop> found = new ArrayList<>();
    bodies.forEach((header, body) ->
        found.add(
            new Loop(
                code.get(blocks.get(header)[0]).address,
                body.stream()
                    .boxed()
                    .flatMap(b -> code.subList(blocks.get(b)[0], blocks.get(b)[1]).stream())
                    .toList(),
                bodies.keySet().stream().noneMatch(h -> !h.equals(header) && body.get(h)))));
    return found.stream().sorted(Comparator.comparingLong(Loop::header)).toList();
  }
}
