package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.tersor.cli.Outcome.tersor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.conformance.CostBench;
import org.tersor.conformance.LoadedModel;
import org.tersor.conformance.RandomInputs;
import org.tersor.ir.schedule.ScheduleChoice;
import org.tersor.ir.schedule.Schedules;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.ScheduleTable;
import org.tersor.runtime.Tensor;

/** Tables of schedules: measured, read by compilations, and without influence on results. */
class TuneTest {
  private static final String HERE = CostBench.processor();

  @TempDir static Path folder;

  private final Compiler compiler = Compiler.standard();

  @BeforeAll
  static void unpack() throws IOException {
    try (var in = TuneTest.class.getResourceAsStream("demo/digits.onnx")) {
      Files.copy(Objects.requireNonNull(in), model());
    }
  }

  private static Path model() {
    return folder.resolve("digits.onnx");
  }

  private LoadedModel load(String backend, Schedules schedules) {
    return LoadedModel.of(
        compiler,
        compiler.read(model(), Map.of()),
        backend,
        CompileOptions.defaults().withDims(Map.of("N", 2L)).withSchedules(schedules));
  }

  private static Map<String, ScheduleChoice> choices(LoadedModel model) {
    Map<String, ScheduleChoice> all = new TreeMap<>();
    model
        .programs()
        .forEach(program -> program.choices().values().forEach(c -> all.put(c.shape(), c)));
    return all;
  }

  private static Map<String, Tensor> run(LoadedModel model) {
    return model
        .executable()
        .run(
            RandomInputs.draw(model.graph(), model.executable().inputs(), Map.of("N", 2L), 5)
                .entrySet()
                .stream()
                .collect(Collectors.toMap(Map.Entry::getKey, e -> e.getValue().tensor())));
  }

  /** The second option of every shape. */
  private ScheduleTable second(String backend, String processor) {
    LoadedModel model = load(backend, Schedules.RULE);
    Map<String, ScheduleTable.Row> rows = new TreeMap<>();
    choices(model)
        .forEach((shape, choice) ->
            rows.put(shape, new ScheduleTable.Row(choice.options().get(1), 1, 2)));
    return ScheduleTable.EMPTY.with(
        model.programs().getFirst().target().name(), processor, List.of(), rows);
  }

  private static Path write(String name, ScheduleTable table) throws IOException {
    return Files.writeString(folder.resolve(name), table.text());
  }

  @ParameterizedTest
  @ValueSource(strings = {"jvm", "native"})
  void everyOptionGivesTheSameBits(String backend) {
    LoadedModel rule = load(backend, Schedules.RULE);
    Map<String, Tensor> expected = run(rule);
    int most = choices(rule).values().stream().mapToInt(c -> c.options().size()).max().orElse(0);
    assertTrue(most > 1, "nothing to choose: " + choices(rule));
    for (int option = 1; option < most; option++) {
      Map<String, Tensor> actual = run(load(backend, Schedules.option(option)));
      for (Map.Entry<String, Tensor> output : expected.entrySet()) {
        assertArrayEquals(
            output.getValue().floats(),
            Objects.requireNonNull(actual.get(output.getKey())).floats(),
            output.getKey() + ", option " + option);
      }
    }
  }

  @Test
  void measuresAndWritesATable() throws IOException {
    Path file = write("measured.txt", second("jvm", HERE));
    Path library = folder.resolve("tuned.so");
    Outcome outcome =
        tersor(
            "compile",
            model(),
            "-o",
            library,
            "--dim",
            "N=2",
            "--tune",
            "--schedules",
            file,
            "--json");
    assertEquals(0, outcome.exit(), outcome.err());
    assertTrue(outcome.out().contains("\"tuned\""), outcome.out());
    ScheduleTable table = ScheduleTable.parse(Files.readString(file));
    Map<String, ScheduleChoice> choices = choices(load("native", Schedules.RULE));
    LoadedModel model = load("native", Schedules.RULE);
    ScheduleTable.Measured measured =
        Objects.requireNonNull(table.targets().get(model.programs().getFirst().target().name()));
    assertEquals(HERE, measured.processor());
    measured
        .rows()
        .forEach((shape, row) -> {
          assertTrue(choices.containsKey(shape), shape);
          List<String> options = Objects.requireNonNull(choices.get(shape)).options();
          assertTrue(options.indexOf(row.take()) > 0, row + " of " + options);
          assertTrue(row.micros() < row.ruleMicros(), row.toString());
        });
    assertEquals(2, table.targets().size(), "rows of another target stay");
    Path again = folder.resolve("again.so");
    Outcome read = tersor("compile", model(), "-o", again, "--dim", "N=2", "--schedules", file);
    assertEquals(0, read.exit(), read.err());
    assertEquals(-1, Files.mismatch(library, again), "the table alone decides");
  }

  @Test
  void theTableDecidesTheArtifact() throws IOException {
    Path file = write("second.txt", second("jvm", HERE));
    Path plain = folder.resolve("plain.jar");
    Path tuned = folder.resolve("second.jar");
    Path again = Files.createDirectory(folder.resolve("again")).resolve("second.jar");
    assertEquals(0, tersor("compile", model(), "-o", plain, "--dim", "N=2").exit());
    for (Path jar : List.of(tuned, again)) {
      Outcome outcome = tersor("compile", model(), "-o", jar, "--dim", "N=2", "--schedules", file);
      assertEquals(0, outcome.exit(), outcome.err());
      assertFalse(outcome.err().contains("TSR-"), outcome.err());
    }
    assertEquals(-1, Files.mismatch(tuned, again));
    assertNotEquals(-1, Files.mismatch(plain, tuned));
    LoadedModel model = load("jvm", ScheduleTable.parse(Files.readString(file)));
    String fact = model.programs().getFirst().facts().getOrDefault("schedules", "");
    ScheduleChoice one = choices(model).values().iterator().next();
    assertTrue(fact.contains(one.shape() + ": " + one.taken() + " instead of " + one.rule()), fact);
  }

  @Test
  void whatDoesNotFitIsTold() throws IOException {
    ScheduleTable second = second("jvm", "Some Other Processor");
    String target = second.targets().keySet().iterator().next();
    String shape = choices(load("jvm", Schedules.RULE)).keySet().iterator().next();
    ScheduleTable wrong =
        second.with(
            target,
            "Some Other Processor",
            List.of(),
            Map.of(
                shape,
                new ScheduleTable.Row("99x999", 1, 2),
                "product of another model",
                new ScheduleTable.Row("1x1", 1, 2)));
    Path jar = folder.resolve("wrong.jar");
    Outcome outcome =
        tersor(
            "compile",
            model(),
            "-o",
            jar,
            "--dim",
            "N=2",
            "--schedules",
            write("wrong.txt", wrong));
    assertEquals(0, outcome.exit(), outcome.err());
    assertTrue(outcome.err().contains("TSR-0510"), outcome.err());
    assertTrue(
        outcome.out().contains("TSR-0509") && outcome.out().contains("99x999"), outcome.out());
    assertFalse(outcome.out().contains("another model"), outcome.out());
  }

  @Test
  void wrongUseIsRefused() throws IOException {
    Path jar = folder.resolve("none.jar");
    Path text = Files.writeString(folder.resolve("text.txt"), "no table");
    Path bytes = Files.write(folder.resolve("bytes.txt"), new byte[] {(byte) 0xff, (byte) 0xfe});
    for (Object[] wrong :
        new Object[][] {
          {"TSR-0906", "--tune"},
          {"TSR-0902", "--schedules", folder.resolve("absent.txt")},
          {"TSR-0511", "--schedules", text},
          {"TSR-0511", "--schedules", bytes},
          {"TSR-0511", "--tune", "--schedules", text},
          {"TSR-0608", "--set", "schedule=first"}
        }) {
      Object[] arguments = new Object[wrong.length + 3];
      System.arraycopy(new Object[] {"compile", model(), "-o", jar}, 0, arguments, 0, 4);
      System.arraycopy(wrong, 1, arguments, 4, wrong.length - 1);
      Outcome outcome = tersor(arguments);
      assertNotEquals(0, outcome.exit(), outcome.out());
      assertTrue(outcome.err().contains(wrong[0].toString()), outcome.err());
      assertFalse(Files.exists(jar));
    }
    assertEquals("no table", Files.readString(text));
  }
}
