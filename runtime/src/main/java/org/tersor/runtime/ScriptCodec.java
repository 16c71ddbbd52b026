package org.tersor.runtime;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Text form of a {@link Script}, in lines like those of {@link PlanCodec}; blocks end with "end".
 */
public final class ScriptCodec {
  private static final String HEADER = "tersor-script 1";

  /** Blocks inside blocks. */
  private static final int MAX_DEPTH = 200;

  private final List<Executable.Port> inputs = new ArrayList<>();
  private final List<Executable.Port> outputs = new ArrayList<>();
  private final List<Script.Register> registers = new ArrayList<>();
  private final List<Integer> constants = new ArrayList<>();

  private ScriptCodec() {}

  public static String write(Script script) {
    StringBuilder out = new StringBuilder(HEADER).append('\n');
    new CodecLine("name").text(script.name()).end(out);
    script.inputs().forEach(p -> port("input", p, out));
    script.outputs().forEach(p -> port("output", p, out));
    script
        .registers()
        .forEach(r -> new CodecLine("register").text(r.name()).dims(r.dims()).end(out));
    script.constants().forEach(r -> new CodecLine("constant").number(r).end(out));
    block(script.main(), out);
    return out.toString();
  }

  private static void port(String word, Executable.Port port, StringBuilder out) {
    new CodecLine(word)
        .text(port.name())
        .text(port.dtype().text())
        .dims(port.shape())
        .texts(port.wraps().stream().map(Enum::name).toList())
        .end(out);
  }

  private static void block(Script.Block block, StringBuilder out) {
    new CodecLine("block").numbers(block.parameters()).numbers(block.results()).end(out);
    for (Script.Step step : block.steps()) {
      switch (step) {
        case Script.Run run -> {
          CodecLine line =
              new CodecLine("run")
                  .number(run.segment())
                  .numbers(run.inputs())
                  .numbers(run.outputs())
                  .number(run.elements().size());
          run.elements().forEach(e -> line.text(e.symbol()).number(e.register()).number(e.index()));
          line.number(run.derived().size());
          run.derived().forEach(d -> line.text(d.symbol()).text(d.value().toString()));
          line.end(out);
        }
        case Script.Choose choose -> {
          new CodecLine("choose")
              .number(choose.condition())
              .numbers(choose.outputs())
              .text(choose.origin())
              .end(out);
          block(choose.then(), out);
          block(choose.otherwise(), out);
        }
        case Script.Iterate iterate -> {
          CodecLine line =
              new CodecLine("iterate")
                  .flag(iterate.counted())
                  .number(iterate.tripCount())
                  .number(iterate.condition())
                  .numbers(iterate.initial())
                  .number(iterate.scanned().size());
          iterate
              .scanned()
              .forEach(s -> line.number(s.register()).number(s.axis()).flag(s.reverse()));
          line.number(iterate.stacked().size());
          iterate
              .stacked()
              .forEach(s ->
                  line.number(s.axis()).flag(s.reverse()).text(s.dtype().text()).dims(s.empty()));
          line.numbers(iterate.outputs()).text(iterate.origin()).end(out);
          block(iterate.body(), out);
        }
        case Script.Host host -> {
          CodecLine line = new CodecLine("host").text(host.op()).number(host.settings().size());
          new TreeMap<>(host.settings()).forEach((key, values) -> line.text(key).texts(values));
          line.numbers(host.inputs()).numbers(host.outputs()).text(host.origin()).end(out);
        }
        case Script.Fail fail ->
            new CodecLine("fail").text(fail.code()).text(fail.message()).end(out);
      }
    }
    new CodecLine("end").end(out);
  }

  /** Reads {@link #write}'s text; anything else is a {@link TersorException}. */
  public static Script read(String text) {
    List<String> lines = text.lines().toList();
    if (lines.isEmpty() || !lines.getFirst().equals(HEADER)) {
      throw new TersorException("TSR-0707", "not a script of this version");
    }
    try {
      return new ScriptCodec().script(lines.subList(1, lines.size()).iterator());
    } catch (IllegalArgumentException
        | IndexOutOfBoundsException
        | ArithmeticException
        | java.util.NoSuchElementException e) {
      throw new TersorException("TSR-0707", "the script is damaged: " + e.getMessage(), e);
    }
  }

  private Script script(Iterator<String> lines) {
    String name = "";
    while (true) {
      CodecFields fields = new CodecFields(lines.next());
      switch (fields.next()) {
        case "name" -> name = fields.next();
        case "input" -> inputs.add(port(fields));
        case "output" -> outputs.add(port(fields));
        case "register" -> registers.add(new Script.Register(fields.next(), fields.dims()));
        case "constant" -> constants.add(register(fields.number()));
        case "block" -> {
          Script.Block main = block(fields, lines, 0);
          return new Script(
              name,
              List.copyOf(inputs),
              List.copyOf(outputs),
              List.copyOf(registers),
              List.copyOf(constants),
              main);
        }
        default -> throw new IllegalArgumentException("unknown word");
      }
      fields.end();
    }
  }

  private int register(int number) {
    if (number < Script.ABSENT || number >= registers.size()) {
      throw new IllegalArgumentException("there is no register " + number);
    }
    return number;
  }

  private List<Integer> registers(CodecFields fields) {
    List<Integer> numbers = fields.numbers();
    numbers.forEach(this::register);
    return numbers;
  }

  private static Executable.Port port(CodecFields fields) {
    return new Executable.Port(
        fields.next(),
        DType.of(fields.next()),
        fields.dims(),
        fields.texts().stream().map(Executable.Wrap::valueOf).toList());
  }

  private Script.Block block(CodecFields head, Iterator<String> lines, int depth) {
    if (depth > MAX_DEPTH) {
      throw new IllegalArgumentException("blocks are nested too deep");
    }
    List<Integer> parameters = registers(head);
    List<Integer> results = registers(head);
    List<Script.Step> steps = new ArrayList<>();
    while (true) {
      CodecFields fields = new CodecFields(lines.next());
      switch (fields.next()) {
        case "run" -> steps.add(run(fields));
        case "choose" -> {
          int condition = register(fields.number());
          List<Integer> outputs = registers(fields);
          String origin = fields.next();
          Script.Block then = inner(lines, depth);
          steps.add(new Script.Choose(condition, then, inner(lines, depth), outputs, origin));
        }
        case "iterate" -> steps.add(iterate(fields, lines, depth));
        case "host" -> steps.add(host(fields));
        case "fail" -> steps.add(new Script.Fail(fields.next(), fields.next()));
        case "end" -> {
          return new Script.Block(parameters, List.copyOf(steps), results);
        }
        default -> throw new IllegalArgumentException("unknown word");
      }
      fields.end();
    }
  }

  private Script.Block inner(Iterator<String> lines, int depth) {
    CodecFields head = new CodecFields(lines.next());
    if (!head.next().equals("block")) {
      throw new IllegalArgumentException("a block is missing");
    }
    return block(head, lines, depth + 1);
  }

  private Script.Run run(CodecFields fields) {
    int segment = fields.number();
    List<Integer> in = registers(fields);
    List<Integer> out = registers(fields);
    List<Script.Element> elements = new ArrayList<>();
    for (int n = fields.number(); n > 0; n--) {
      elements.add(new Script.Element(fields.next(), register(fields.number()), fields.number()));
    }
    List<Script.Derived> derived = new ArrayList<>();
    for (int n = fields.number(); n > 0; n--) {
      derived.add(new Script.Derived(fields.next(), DimExpr.parse(fields.next())));
    }
    return new Script.Run(segment, in, out, List.copyOf(elements), List.copyOf(derived));
  }

  private Script.Iterate iterate(CodecFields fields, Iterator<String> lines, int depth) {
    boolean counted = fields.flag();
    int trips = register(fields.number());
    int condition = register(fields.number());
    List<Integer> initial = registers(fields);
    List<Script.Scanned> scanned = new ArrayList<>();
    for (int n = fields.number(); n > 0; n--) {
      scanned.add(new Script.Scanned(register(fields.number()), fields.number(), fields.flag()));
    }
    List<Script.Stacked> stacked = new ArrayList<>();
    for (int n = fields.number(); n > 0; n--) {
      stacked.add(
          new Script.Stacked(
              fields.number(), fields.flag(), DType.of(fields.next()), fields.dims()));
    }
    List<Integer> out = registers(fields);
    String origin = fields.next();
    return new Script.Iterate(
        inner(lines, depth),
        counted,
        trips,
        condition,
        initial,
        List.copyOf(scanned),
        List.copyOf(stacked),
        out,
        origin);
  }

  private Script.Host host(CodecFields fields) {
    String op = fields.next();
    Map<String, List<String>> settings = new LinkedHashMap<>();
    for (int n = fields.number(); n > 0; n--) {
      settings.put(fields.next(), fields.texts());
    }
    return new Script.Host(op, settings, registers(fields), registers(fields), fields.next());
  }
}
