package org.tersor.passes;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tersor.ir.dsl.KernelPrinter;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.ModelMetadata;
import org.tersor.ir.loop.Legalizer;
import org.tersor.ir.loop.LoopPrinter;
import org.tersor.ir.schedule.Scheduler;
import org.tersor.ir.schedule.Schedules;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.schedule.Winograd;
import org.tersor.ir.spi.ModelProgram;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.Placement;
import org.tersor.ir.spi.PluginPass;
import org.tersor.ir.spi.Program;
import org.tersor.passes.graph.WidenFloat16;
import org.tersor.passes.lower.ChannelsLast;
import org.tersor.passes.lower.FastConvolutions;
import org.tersor.passes.lower.FuseKernels;
import org.tersor.passes.lower.GrowingStates;
import org.tersor.passes.lower.LoweredGraph;
import org.tersor.passes.lower.PackedConstants;
import org.tersor.passes.lower.ProgramBuilder;
import org.tersor.passes.lower.ScriptBuilder;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Script;
import org.tersor.runtime.TersorException;
import org.tersor.runtime.host.HostPack;

/**
 * A prepared graph as fused kernels, before it is known what it is for; {@link #program} makes
 * loops and memory plans of them.
 */
final class ModelLowering {
  private final ScriptBuilder.Cut cut;
  private final List<LoweredGraph> fused;
  private final List<HostPack> hostPacks;
  private final List<Executable.State> states;
  private final CompileOptions options;

  private ModelLowering(
      ScriptBuilder.Cut cut,
      List<LoweredGraph> fused,
      List<HostPack> hostPacks,
      List<Executable.State> states,
      CompileOptions options) {
    this.cut = cut;
    this.fused = fused;
    this.hostPacks = hostPacks;
    this.states = states;
    this.options = options;
  }

  static ModelLowering of(Compiler compiler, Graph prepared, CompileOptions options) {
    boolean strict =
        Boolean.parseBoolean(options.settings().getOrDefault(Compiler.STRICT_TYPES, "false"));
    List<Pass> plugged = compiler.registry().passes(PluginPass.Point.KERNELS);
    List<Pass> passes = Pipelines.lower(strict, plugged);
    List<Pass> body = new ArrayList<>(compiler.canonicalise(Map.of()));
    body.addAll(passes);
    ScriptBuilder.Cut cut =
        ScriptBuilder.cut(
            Compiler.versioned(lowered(compiler, passes, prepared, strict, options)),
            compiler.registry().operators(),
            graph -> lowered(compiler, body, graph, strict, options));
    boolean small = memory(options) == Compiler.Memory.SMALL;
    PackedConstants packed = new PackedConstants();
    List<LoweredGraph> fused =
        cut.segments().stream()
            .map(segment -> FuseKernels.fuse(packed.apply(segment.lowered()), small))
            .toList();
    List<Executable.State> states = ModelMetadata.states(prepared);
    List<HostPack> packs =
        compiler
            .registry()
            .hostOps()
            .plugged(cut.script().map(Script::hostOps).orElseGet(TreeSet::new));
    Optional<Long> capacity = capacity(options);
    if (capacity.isEmpty()) {
      return new ModelLowering(cut, fused, packs, states, options);
    }
    if (cut.script().isPresent()) {
      throw new TersorException(
          "TSR-0512",
          "states of this model cannot have a capacity: it has control flow, host operations or"
              + " sizes that data tell");
    }
    GrowingStates.Result grown = GrowingStates.apply(fused.getFirst(), states, capacity.get());
    return new ModelLowering(cut, List.of(grown.lowered()), packs, grown.states(), options);
  }

  private static Optional<Long> capacity(CompileOptions options) {
    return Optional.ofNullable(options.settings().get(Compiler.STATE_CAPACITY))
        .map(text -> {
          if (!text.matches("[1-9][0-9]{0,8}")) {
            throw new TersorException(
                "TSR-0608",
                "setting "
                    + Compiler.STATE_CAPACITY
                    + " is '"
                    + text
                    + "'; it is a number of entries");
          }
          return Long.parseLong(text);
        });
  }

  ModelProgram program(Target target) {
    Winograd.Tiles tiles = tiles(options);
    Target scheduled = memory(options) == Compiler.Memory.SMALL ? target.withSmallMemory() : target;
    List<FastConvolutions> kernels =
        fused.stream().map(graph -> kernels(graph, target, tiles)).toList();
    print(
        Compiler.KERNELS,
        () ->
            kernels.stream()
                .flatMap(each -> each.lowered().calls().stream())
                .map(call -> "// " + call.origin() + "\n" + KernelPrinter.print(call.kernel())));
    kernels.forEach(k -> k.text().ifPresent(t -> options.note().accept(Winograd.FACT + ": " + t)));
    if (kernels.stream()
        .flatMap(each -> each.lowered().calls().stream())
        .anyMatch(call -> Scheduler.sumsIntegers(call.kernel()))) {
      target.slowIntegers().ifPresent(options.note());
    }
    Schedules schedules = schedules(options);
    List<Program> segments =
        IntStream.range(0, kernels.size())
            .mapToObj(i -> {
              ProgramBuilder builder =
                  new ProgramBuilder(
                      kernels.get(i).lowered(),
                      cut.segments().get(i).symbols(),
                      scheduled,
                      (kernel, machine, constants) ->
                          Scheduler.schedule(
                              kernel, machine, constants, Optional.empty(), schedules),
                      function -> Legalizer.legalize(function, target));
              kernels.get(i).text().ifPresent(t -> builder.withFact(Winograd.FACT, t));
              return builder.build();
            })
            .toList();
    print(
        Compiler.LOOPS,
        () -> segments.stream().flatMap(s -> s.kernels().stream()).map(LoopPrinter::print));
    segments.forEach(program -> refusals(program, options.note()));
    return new ModelProgram(
        cut.script(), segments, cut.constants(), target, placement(cut), hostPacks, states);
  }

  private void print(String form, Supplier<Stream<String>> texts) {
    if (options.debug().printAfter().contains(form)) {
      options.debug().print().accept(form, texts.get().collect(Collectors.joining("\n")));
    }
  }

  /** The kernels that run: fused, and with their values in the layout that suits the target. */
  private static FastConvolutions kernels(LoweredGraph fused, Target target, Winograd.Tiles tiles) {
    return target.kind() == Target.Kind.CUDA
        ? new FastConvolutions(fused, Map.of())
        : FastConvolutions.apply(ChannelsLast.apply(fused), tiles);
  }

  /** What the options say about schedules; the setting is for tests of all that there are. */
  private static Schedules schedules(CompileOptions options) {
    String number = options.settings().get(Compiler.SCHEDULE);
    if (number == null) {
      return options.schedules();
    }
    if (!number.matches("[0-9]{1,3}")) {
      throw new TersorException(
          "TSR-0608",
          "setting "
              + Compiler.SCHEDULE
              + " is '"
              + number
              + "'; it is the number of an option, from 0, as 2");
    }
    return Schedules.option(Integer.parseInt(number));
  }

  private static void refusals(Program program, Consumer<String> note) {
    new LinkedHashSet<>(program.choices().values())
        .forEach(choice ->
            choice
                .refused()
                .ifPresent(wanted ->
                    note.accept(
                        "TSR-0509: the table of schedules wants '%s' for '%s' on %s, which there is not; %s is taken of %s: tune again"
                            .formatted(
                                wanted,
                                choice.shape(),
                                program.target().name(),
                                choice.taken(),
                                choice.options()))));
  }

  private static Winograd.Tiles tiles(CompileOptions options) {
    return choice(
        options,
        Compiler.WINOGRAD,
        Winograd.Tiles.AUTO,
        Winograd.Tiles.values(),
        Winograd.Tiles::text);
  }

  private static Compiler.Memory memory(CompileOptions options) {
    return choice(
        options,
        Compiler.MEMORY,
        Compiler.Memory.FAST,
        Compiler.Memory.values(),
        Compiler.Memory::text);
  }

  private static <T> T choice(
      CompileOptions options, String setting, T otherwise, T[] all, Function<T, String> text) {
    String name = options.settings().getOrDefault(setting, text.apply(otherwise));
    return Arrays.stream(all)
        .filter(value -> text.apply(value).equals(name))
        .findFirst()
        .orElseThrow(() ->
            new TersorException(
                "TSR-0608",
                "setting "
                    + setting
                    + " is '"
                    + name
                    + "'; it may be "
                    + Arrays.stream(all).map(text).collect(Collectors.joining(", "))));
  }

  private static Placement placement(ScriptBuilder.Cut cut) {
    Map<String, Integer> kernels = new TreeMap<>();
    for (ScriptBuilder.Segment segment : cut.segments()) {
      // The first word of a label is the operator.
      segment
          .lowered()
          .calls()
          .forEach(call -> kernels.merge(call.origin().split(" ", 2)[0], 1, Integer::sum));
    }
    Placement placement = new Placement(kernels, Map.of(), 0);
    return cut.script().map(placement::with).orElse(placement);
  }

  private static Graph lowered(
      Compiler compiler, List<Pass> passes, Graph graph, boolean strict, CompileOptions options) {
    Graph expanded = compiler.manager(options).run(passes, graph);
    return strict ? WidenFloat16.rounded(expanded) : expanded;
  }
}
