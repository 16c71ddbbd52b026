package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.dsl.ScheduleHint;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.LoopProgram;
import org.tersor.ir.kernel.RepeatedStages;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.TersorException;

/** Turns a kernel into loop functions for a target. */
public final class Scheduler {
  private final Kernel kernel;
  private final Target target;
  private final Steering steering;
  private final Schedules schedules;
  private final Set<String> constant;
  private final Map<String, Scheduled.Temporary> temporaries = new LinkedHashMap<>();
  private final List<Scheduled.Launch> load = new ArrayList<>();
  private final List<Scheduled.Launch> run = new ArrayList<>();

  /** Products that were rounded. */
  private int rounded;

  /** Most turns of repeated stages where each is written out. */
  private static final long MAX_TURNS = 256;

  /** Whether the present stage is repeated: its schedule is a part of a launch, not one. */
  private boolean inTurn = false;

  /** Names of stages that fill an output after others have begun it, and the output. */
  private final Map<String, String> slices = new HashMap<>();

  /** What was chosen for the present stage. */
  private Optional<ScheduleChoice> choice = Optional.empty();

  private Scheduler(
      Kernel kernel,
      Target target,
      Set<String> constantInputs,
      Steering steering,
      Schedules schedules) {
    this.kernel = kernel;
    this.target = target;
    this.steering = steering;
    this.schedules = schedules;
    this.constant = new HashSet<>(constantInputs);
  }

  /**
   * Schedules a kernel.
   *
   * @param constantInputs names of input buffers that hold weights: what depends on them alone is
   *     computed once, at load
   */
  public static Scheduled schedule(Kernel kernel, Target target, Set<String> constantInputs) {
    return schedule(kernel, target, constantInputs, Optional.empty(), Schedules.RULE);
  }

  /**
   * Schedules a kernel as a line of its text asks, on targets that the line is for: those with
   * vectors, of the lanes that {@code vec} names if it does.
   *
   * @param schedules asked where several schedules compute the same bits and no line asks for one
   * @throws org.tersor.runtime.TersorException TSR-1003 for an axis or buffer that the kernel does
   *     not have, TSR-1004 for what the target's registers do not hold or no schedule does; both
   *     with the position
   */
  public static Scheduled schedule(
      Kernel kernel,
      Target target,
      Set<String> constantInputs,
      Optional<ScheduleHint> hint,
      Schedules schedules) {
    if (kernel.program().isPresent()) {
      return switch (kernel.program().get()) {
        case LoopProgram program -> loops(program);
        case RepeatedStages repeated ->
            new Scheduler(
                    kernel,
                    target,
                    constantInputs,
                    Steering.of(kernel, target, Optional.empty()),
                    schedules)
                .repeated(repeated);
      };
    }
    Steering steering = Steering.of(kernel, target, hint);
    Scheduler scheduler = new Scheduler(kernel, target, constantInputs, steering, schedules);
    List<Stage> stages =
        PadOperands.apply(
                steering.isSilent() ? SeparableExtrema.apply(kernel) : kernel,
                (stage, padded) ->
                    splitsGuards(stage, padded, target)
                        || WindowSchedule.fits(scheduler, StageSimplifier.simplify(stage)))
            .stages();
    stages.forEach(stage -> scheduler.stage(stage, stages));
    steering.finish();
    return new Scheduled(
        List.copyOf(scheduler.temporaries.values()),
        scheduler.load,
        scheduler.run,
        scheduler.rounded);
  }

  private static Scheduled loops(LoopProgram program) {
    List<String> buffers =
        program.function().buffers().stream().map(LoopFunction.BufferParam::name).toList();
    return new Scheduled(
        program.temporaries().stream()
            .map(b -> new Scheduled.Temporary(b.name(), b.element(), b.elements(), false))
            .toList(),
        List.of(),
        List.of(
            new Scheduled.Launch(
                program.function(), buffers, program.dims(), program.tasks(), Optional.empty())),
        0);
  }

  /** A turn is one launch, but for CUDA, where a launch ends what its blocks have to wait for. */
  private Scheduled repeated(RepeatedStages repeated) {
    if (target.kind() == Target.Kind.CUDA) {
      if (!repeated.turns().isConst() || repeated.turns().constValue() > MAX_TURNS) {
        throw new TersorException(
            "TSR-0501",
            kernel.name()
                + " for "
                + target.name()
                + " needs a constant number of steps of at most "
                + MAX_TURNS
                + ", not "
                + repeated.turns());
      }
      List<Stage> stages = repeated.writtenOut(repeated.turns().constValue());
      stages.forEach(stage -> stage(stage, stages));
    } else {
      List<Stage> stages = repeated.stages();
      repeated.before().forEach(stage -> stage(stage, stages));
      int first = run.size();
      inTurn = true;
      repeated.turn().forEach(stage -> stage(stage, stages));
      inTurn = false;
      List<Scheduled.Launch> turn = run.subList(first, run.size());
      Scheduled.Launch all = Repetition.of(kernel.name(), turn, repeated.turns());
      turn.clear();
      run.add(all);
      repeated.after().forEach(stage -> stage(stage, stages));
    }
    return new Scheduled(List.copyOf(temporaries.values()), load, run, rounded);
  }

  /** What is no matrix product reads the border in place, if its guards can leave the interior. */
  private static boolean splitsGuards(Stage stage, Stage padded, Target target) {
    return target.kind() != Target.Kind.CUDA
        && Contraction.match(StageSimplifier.simplify(padded)).isEmpty()
        && LoopSchedule.splitsGuards(StageSimplifier.simplify(stage), target);
  }

  /** Whether a kernel sums products of 8-bit integers. */
  public static boolean sumsIntegers(Kernel kernel) {
    return kernel.stages().stream()
        .map(StageSimplifier::simplify)
        .map(Contraction::match)
        .anyMatch(c -> c.isPresent() && c.get().isInteger());
  }

  /** What a product reads as codes and decodes as it goes. */
  public enum Codes {
    NONE,
    WEIGHTS,
    /** Weights, and rows of I8 that a decode of theirs precedes. */
    BOTH
  }

  /**
   * What the products of a kernel read as codes.
   *
   * @param constantInputs names of the inputs that are weights
   * @param small whether memory counts more than time
   */
  public static Codes codes(Kernel kernel, Set<String> constantInputs, boolean small) {
    return kernel.program().isPresent()
        ? Codes.NONE
        : kernel.stages().stream()
            .map(StageSimplifier::simplify)
            .map(stage -> GemmSchedule.codes(stage, b -> constantInputs.contains(b.name()), small))
            .max(Codes::compareTo)
            .orElse(Codes.NONE);
  }

  /** Whether a kernel is a matrix product or a convolution, whatever its sizes. */
  public static boolean isContraction(Kernel kernel) {
    return PadOperands.apply(kernel, (stage, padded) -> false).stages().stream()
        .map(StageSimplifier::simplify)
        .anyMatch(stage -> Contraction.match(stage).isPresent());
  }

  /**
   * The stage under a name of its own, if stages before it sum into the same output: what schedules
   * add is named after the target.
   */
  private Stage named(Stage stage, List<Stage> all) {
    Buf target = stage.target();
    long before =
        all.subList(0, all.indexOf(stage)).stream()
            .filter(s -> s.target().name().equals(target.name()) && hasFold(s))
            .count();
    if (before == 0 || !hasFold(stage) || !isOutput(target)) {
      return stage;
    }
    Buf slice = new Buf(target.name() + "_slice" + before, target.element(), target.shape());
    slices.put(slice.name(), target.name());
    return new Stage(slice, stage.axes(), stage.index(), stage.value());
  }

  private static boolean hasFold(Stage stage) {
    return !KExprs.all(stage.value(), KExpr.Fold.class).isEmpty();
  }

  private boolean isOutput(Buf buffer) {
    return kernel.outputs().stream().anyMatch(b -> b.name().equals(buffer.name()));
  }

  private void stage(Stage given, List<Stage> all) {
    choice = Optional.empty();
    boolean isOutput = isOutput(given.target());
    Stage stage = named(given, all);
    Stage flat = StageSimplifier.simplify(stage, steering::names);
    Stage simple =
        new Stage(
            flat.target(),
            flat.axes(),
            flat.index(),
            RoundTrips.drop(flat.value(), this::isConstant, target));
    // A buffer that several stages fill is known at load only if all of them are.
    boolean packed =
        !isOutput
            && all.stream()
                .filter(s -> s.target().name().equals(stage.target().name()))
                .allMatch(this::isConstant);
    if (!isOutput) {
      temporary(StageSimplifier.flat(stage.target()), packed);
    }
    if (target.kind() == Target.Kind.CUDA) {
      CudaSchedule.apply(this, simple, packed);
      return;
    }
    if (packed) {
      launch(simple, loops(simple, LoopSchedule.Chooser.RULE), true);
      return;
    }
    Stage rest =
        steering.isSilent()
            ? ConstantParts.extract(
                simple,
                this::isConstant,
                () -> stage.target().name() + "_part" + temporaries.size(),
                part -> auxiliary(part, true))
            : simple;
    Optional<RowDigits> digits = steering.isSilent() ? RowDigits.of(this, rest) : Optional.empty();
    if (digits.isPresent()) {
      launch(digits.get());
      return;
    }
    boolean scheduled =
        (steering.isSilent() && WindowSchedule.apply(this, rest)) || GemmSchedule.apply(this, rest);
    if (!scheduled) {
      choice = Optional.empty();
      Stage left =
          SplitTransposition.of(rest, target, rest.target().name() + "_lines" + temporaries.size())
              .filter(split -> steering.isSilent())
              .map(split -> {
                auxiliary(split.compute(), false);
                return split.move();
              })
              .orElse(rest);
      launch(left, loops(left, this::choose), false);
    }
  }

  private void launch(RowDigits product) {
    product.before().forEach(each -> auxiliary(each, false));
    temporary(StageSimplifier.flat(product.parts().target()), false);
    if (!GemmSchedule.apply(this, StageSimplifier.simplify(product.parts()))) {
      throw new IllegalStateException("no product: " + product.parts());
    }
    choice = Optional.empty();
    launch(product.sums(), loops(product.sums(), this::choose), false);
  }

  private LoopSchedule.Result loops(Stage simple, LoopSchedule.Chooser chooser) {
    Stage ordered = steering.order(simple);
    Optional<LoopSchedule.Result> turned =
        ordered.equals(simple) ? TransposeSchedule.emit(simple, target) : Optional.empty();
    return turned.orElseGet(() -> new LoopSchedule(ordered, target, chooser).emit());
  }

  /** Whether a stage can run at load: nothing in it depends on inputs or on their dimensions. */
  private boolean isConstant(Stage stage) {
    return StageSimplifier.buffers(stage.value()).stream()
            .allMatch(b -> constant.contains(b.name()))
        && isFixed(stage)
        && KExprs.all(stage.value(), KExpr.Dim.class).isEmpty()
        && KExprs.all(stage.value(), KExpr.Fold.class).stream()
            .allMatch(f -> f.axes().stream().allMatch(axis -> axis.extent().isConst()));
  }

  /** Whether the sizes of what a stage makes are known before the model runs. */
  private static boolean isFixed(Stage stage) {
    return stage.target().elements().isConst()
        && stage.axes().stream().allMatch(axis -> axis.extent().isConst());
  }

  /**
   * A stage that a schedule adds: its target becomes a temporary, kept from load if it depends on
   * weights alone.
   */
  void auxiliary(Stage stage, boolean weights) {
    // Weights may meet what is no weight, as zero points that are inputs.
    boolean atLoad =
        weights
            && isFixed(stage)
            && StageSimplifier.buffers(stage.value()).stream()
                .allMatch(b -> constant.contains(b.name()) || !isInput(b));
    temporary(StageSimplifier.flat(stage.target()), atLoad);
    Stage simple = StageSimplifier.simplify(stage);
    if (target.kind() == Target.Kind.CUDA) {
      CudaSchedule.apply(this, simple, atLoad);
    } else {
      launch(simple, loops(simple, LoopSchedule.Chooser.RULE), atLoad);
    }
  }

  private boolean isInput(Buf buffer) {
    return kernel.inputs().stream().anyMatch(b -> b.name().equals(buffer.name()));
  }

  /** Makes rows of BF16 for a product. */
  void round(Bf16Pairs pairs) {
    rounded++;
    auxiliary(pairs.rounding(), false);
  }

  /** Declares a buffer of the schedule. */
  void temporary(Buf buffer, boolean packed) {
    temporaries.putIfAbsent(
        buffer.name(),
        new Scheduled.Temporary(buffer.name(), buffer.element(), buffer.elements(), packed));
    if (packed) {
      constant.add(buffer.name());
    }
  }

  boolean isConstant(Buf buffer) {
    return constant.contains(buffer.name());
  }

  Steering steering() {
    return steering;
  }

  Target target() {
    return target;
  }

  /**
   * Which of several schedules the present stage gets, for what it computes in every call.
   *
   * @param shape see {@link Schedules#wanted}
   * @param options the rule's choice first
   */
  String choose(String shape, List<String> options) {
    if (!steering.isSilent() || inTurn || options.size() == 1) {
      return options.getFirst();
    }
    ScheduleChoice made = ScheduleChoice.of(schedules, target.name(), shape, options);
    choice = Optional.of(made);
    return made.taken();
  }

  /** Adds a launch whose buffers are the target of the stage and what its value reads. */
  void launch(Stage stage, LoopSchedule.Result code, boolean atLoad) {
    List<Buf> reads = new ArrayList<>(StageSimplifier.buffers(stage.value()));
    stage.index().forEach(index -> reads.addAll(StageSimplifier.buffers(index)));
    reads.removeIf(b -> b.name().equals(stage.target().name()));
    launch(stage.target(), reads, code, atLoad);
  }

  void launch(Buf written, List<Buf> reads, LoopSchedule.Result code, boolean atLoad) {
    List<LoopFunction.BufferParam> params = new ArrayList<>();
    params.add(new LoopFunction.BufferParam(written.name(), written.element(), true));
    Map<String, Scalar> seen = new LinkedHashMap<>();
    reads.forEach(b -> seen.put(b.name(), b.element()));
    seen.forEach((name, element) -> params.add(new LoopFunction.BufferParam(name, element, false)));
    List<String> names =
        java.util.stream.IntStream.range(0, code.dims().size())
            .mapToObj(DimParameters::name)
            .toList();
    LoopFunction function = new LoopFunction(kernel.name(), params, names, code.body());
    Scheduled.Launch launch =
        new Scheduled.Launch(
            function,
            params.stream().map(p -> slices.getOrDefault(p.name(), p.name())).toList(),
            code.dims(),
            code.tasks(),
            choice);
    (atLoad ? load : run).add(launch);
  }
}
