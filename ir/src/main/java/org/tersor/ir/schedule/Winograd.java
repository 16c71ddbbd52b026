package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * Rewrites a float convolution of 3 x 3 filters, step 1 and values with the channels last: a padded
 * copy of the image, transformed tiles of it, one matrix product per place in a tile, and the
 * transformed products. Weights are transformed by a stage that depends on them alone.
 */
public final class Winograd {
  /** Name of the fact by which descriptions of models tell about tiles. */
  public static final String FACT = "convolutions by tiles (Winograd)";

  private final Stage stage;
  private final KExpr.Fold fold;
  private final KExpr image;
  private final KExpr.At weights;
  private final Axis rows;
  private final Axis columns;
  private final Axis down;
  private final Axis right;
  private final List<Axis> channels;
  private final List<Axis> filters;

  /** The other axes of the result: each is a convolution of its own. */
  private final List<Axis> batch;

  private Winograd(
      Stage stage, KExpr.Fold fold, KExpr image, KExpr.At weights, Window high, Window wide) {
    this.stage = stage;
    this.fold = fold;
    this.image = image;
    this.weights = weights;
    this.rows = high.output;
    this.columns = wide.output;
    this.down = high.tap;
    this.right = wide.tap;
    this.channels = fold.axes().stream().filter(a -> !a.equals(down) && !a.equals(right)).toList();
    Set<Axis> ofImage = KExprs.freeAxes(image);
    this.filters =
        stage.axes().stream().filter(a -> !a.extent().isConst(1) && !ofImage.contains(a)).toList();
    this.batch =
        stage.axes().stream()
            .filter(a -> ofImage.contains(a) && !a.equals(rows) && !a.equals(columns))
            .toList();
  }

  /** Which tiles may be used. */
  public enum Tiles {
    /** Any, where it is expected to be faster. */
    AUTO,
    /** Those of 2 x 2 results alone, whose rounding errors are those of plain sums. */
    SMALL,
    /** None. */
    OFF;

    private List<WinogradTile> allowed() {
      return switch (this) {
        case AUTO -> List.of(WinogradTile.values());
        case SMALL -> List.of(WinogradTile.F2);
        case OFF -> List.of();
      };
    }

    /** The name in settings. */
    public String text() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * A kernel by tiles.
   *
   * @param tiles the tile of each of its convolutions, as "4 x 4"
   */
  public record Rewritten(Kernel kernel, List<String> tiles) {
    public Rewritten {
      tiles = List.copyOf(tiles);
    }
  }

  /** An axis of the result and the summed axis that moves along with it. */
  private record Window(Axis output, Axis tap) {}

  /**
   * The same kernel with its convolutions by tiles, where that is expected to be faster; empty if
   * it is nowhere.
   *
   * @param weights names of the inputs that are weights
   */
  public static Optional<Rewritten> rewrite(Kernel kernel, Set<String> weights, Tiles tiles) {
    return rewrite(kernel, weights, w -> w.best(tiles.allowed()));
  }

  /** The same with a given tile, whatever it costs. */
  static Optional<Kernel> rewrite(Kernel kernel, Set<String> weights, WinogradTile tile) {
    return rewrite(kernel, weights, w -> Optional.of(tile)).map(Rewritten::kernel);
  }

  /** Chooses a tile, or none. */
  private interface Choice {
    Optional<WinogradTile> of(Winograd convolution);
  }

  private static Optional<Rewritten> rewrite(Kernel kernel, Set<String> weights, Choice choice) {
    if (kernel.program().isPresent()) {
      return Optional.empty();
    }
    List<Stage> stages = new ArrayList<>();
    List<String> tiles = new ArrayList<>();
    for (Stage stage : kernel.stages()) {
      Optional<Winograd> match = match(stage, weights);
      Optional<WinogradTile> tile = match.flatMap(choice::of);
      if (tile.isPresent()) {
        String name = stage.target().name() + (tiles.isEmpty() ? "" : "_" + tiles.size());
        stages.addAll(match.get().stages(tile.get(), name));
        tiles.add(tile.get().outputs() + " x " + tile.get().outputs());
      } else {
        stages.add(stage);
      }
    }
    return tiles.isEmpty()
        ? Optional.empty()
        : Optional.of(
            new Rewritten(
                new Kernel(kernel.name(), kernel.inputs(), kernel.outputs(), stages), tiles));
  }

  // --- which convolutions ------------------------------------------------------

  private static Optional<Winograd> match(Stage stage, Set<String> weights) {
    List<KExpr.Fold> folds =
        KExprs.all(stage.value(), KExpr.Fold.class).stream().distinct().toList();
    if (folds.size() != 1
        || folds.getFirst().scalar() != Scalar.F32
        || folds.getFirst().op() != ReduceOp.SUM
        || !(folds.getFirst().body() instanceof KExpr.Bin product)
        || product.op() != BinaryOp.MUL) {
      return Optional.empty();
    }
    KExpr.Fold fold = folds.getFirst();
    return isWeight(product.b(), weights)
        ? match(stage, fold, product.a(), (KExpr.At) product.b())
        : isWeight(product.a(), weights)
            ? match(stage, fold, product.b(), (KExpr.At) product.a())
            : Optional.empty();
  }

  private static boolean isWeight(KExpr factor, Set<String> weights) {
    return factor instanceof KExpr.At at && weights.contains(at.buffer().name());
  }

  private static Optional<Winograd> match(
      Stage stage, KExpr.Fold fold, KExpr image, KExpr.At weights) {
    List<KExpr.At> reads = KExprs.all(image, KExpr.At.class).stream().distinct().toList();
    if (reads.size() != 1) {
      return Optional.empty();
    }
    List<Window> windows = new ArrayList<>();
    Set<Axis> ofWeights = KExprs.freeAxes(weights);
    for (Axis tap : fold.axes()) {
      for (Axis output : stage.axes()) {
        if (tap.extent().isConst(WinogradTile.TAPS)
            && output.extent().isConst()
            && !ofWeights.contains(output)
            && movesAlong(image, reads.getFirst(), output, tap)) {
          windows.add(new Window(output, tap));
        }
      }
    }
    boolean twice =
        windows.size() == 2
            && !windows.get(0).output.equals(windows.get(1).output)
            && !windows.get(0).tap.equals(windows.get(1).tap);
    if (!twice) {
      return Optional.empty();
    }
    Winograd match =
        new Winograd(stage, fold, image, weights, windows.getFirst(), windows.getLast());
    return Optional.of(match).filter(w -> w.hasChannelsLast(reads.getFirst()));
  }

  /** Whether a value depends on two axes by their sum alone. */
  private static boolean movesAlong(KExpr value, KExpr.At read, Axis output, Axis tap) {
    boolean[] fits = {KExprs.freeAxes(read).contains(output)};
    StageSimplifier.mapIndices(
        value,
        index -> {
          fits[0] &=
              index.isLinearIn(output)
                  && index.isLinearIn(tap)
                  && index.coefficient(output).equals(index.coefficient(tap))
                  && (index.coefficient(tap).isConst(0) || index.coefficient(tap).isConst(1));
          return index;
        });
    return fits[0];
  }

  /** Whether vectors of channels lie in memory as such, in the image and in the result. */
  private boolean hasChannelsLast(KExpr.At read) {
    Set<Axis> ofWeights = KExprs.freeAxes(weights);
    return ofWeights.containsAll(filters)
        && channels.size() == 1
        && channels.getFirst().extent().isConst()
        && filters.size() == 1
        && filters.getFirst().extent().isConst()
        && Affine.of(read.index().getLast()).coefficient(channels.getFirst()).isConst(1)
        && Affine.of(stage.index().getLast()).coefficient(filters.getFirst()).isConst(1);
  }

  // --- what they cost ----------------------------------------------------------

  /**
   * Multiplications that the transforms of an element take the time of, mostly that of writing and
   * reading it again.
   */
  private static final long PER_ELEMENT = 24;

  /** Rows of a product below which registers stay empty. */
  private static final long FEW_ROWS = 12;

  /** Multiplications in the time that a weight takes from beyond the second-level cache. */
  private static final long PER_WEIGHT = 12;

  /** Weights that stay in the second-level cache. */
  private static final long CACHED = 1 << 18;

  /** The tile expected to be fastest, by a fifth at least; none where the plain sum is. */
  private Optional<WinogradTile> best(List<WinogradTile> allowed) {
    long in = channels.getFirst().extent().constValue();
    long out = filters.getFirst().extent().constValue();
    long high = rows.extent().constValue();
    long wide = columns.extent().constValue();
    if (in < 16 || out < 16 || in > 4096 || out > 4096 || high > 8192 || wide > 8192) {
      return Optional.empty();
    }
    long taps = WinogradTile.TAPS * WinogradTile.TAPS;
    double least = cost(taps, high * wide, in * out);
    Optional<WinogradTile> best = Optional.empty();
    for (WinogradTile tile : allowed) {
      long tiles = Math.ceilDiv(high, tile.outputs()) * Math.ceilDiv(wide, tile.outputs());
      long points = (long) tile.points() * tile.points();
      double moved = (double) points * tiles * (in + out) * PER_ELEMENT;
      double cost = cost(points, Math.max(tiles, FEW_ROWS), in * out) + moved;
      if (cost < 0.83 * least) {
        least = cost;
        best = Optional.of(tile);
      }
    }
    return best;
  }

  /** What products of so many pixels with so many pairs of channels take. */
  private static double cost(long products, long pixels, long pairs) {
    double weights = (double) products * pairs;
    return weights * pixels + (weights > CACHED ? weights * PER_WEIGHT : 0);
  }

  // --- the stages --------------------------------------------------------------

  /**
   * @param name what the names of the buffers between begin with
   */
  private List<Stage> stages(WinogradTile tile, String name) {
    int points = tile.points();
    Axis a = new Axis("a", DimExpr.of(points));
    Axis b = new Axis("b", DimExpr.of(points));
    Axis high = new Axis("tile_row", rows.extent().ceilDiv(tile.outputs()));
    Axis wide = new Axis("tile_column", columns.extent().ceilDiv(tile.outputs()));
    Axis channel = channels.getFirst();
    Axis filter = filters.getFirst();
    List<Axis> groups = new ArrayList<>(batch);
    groups.removeIf(axis -> !KExprs.freeAxes(weights).contains(axis));

    Axis row = new Axis("row", high.extent().times(tile.outputs()).plus(WinogradTile.TAPS - 1));
    Axis column =
        new Axis("column", wide.extent().times(tile.outputs()).plus(WinogradTile.TAPS - 1));
    List<Axis> ofCopy = axes(List.of(batch, List.of(row, column, channel)));
    Buf copy = buffer(name + "_padded", ofCopy);
    List<Stage> stages = new ArrayList<>();
    stages.add(Stage.of(copy, ofCopy, padded(row, column)));

    List<Axis> ofImage = axes(List.of(List.of(a, b), batch, List.of(high, wide, channel)));
    Buf transformed = buffer(name + "_tiles", ofImage);
    KExpr input =
        square(
            points,
            (i, j) ->
                at(
                    copy,
                    batch,
                    List.of(
                        K.add(K.mul(K.axis(high), K.index(tile.outputs())), K.index(i)),
                        K.add(K.mul(K.axis(wide), K.index(tile.outputs())), K.index(j)),
                        K.axis(channel))),
            tile::input,
            a,
            b);
    stages.add(Stage.of(transformed, ofImage, input));

    List<Axis> ofFilters = axes(List.of(groups, List.of(a, b, channel, filter)));
    Buf factors = buffer(name + "_filters", ofFilters);
    KExpr filtered =
        square(
            WinogradTile.TAPS,
            (i, j) ->
                Affine.canonical(
                    KExprs.substitute(weights, Map.of(down, K.index(i), right, K.index(j)))),
            tile::weights,
            a,
            b);
    stages.add(Stage.of(factors, ofFilters, filtered));

    List<Axis> ofProducts = axes(List.of(List.of(a, b), batch, List.of(high, wide, filter)));
    Buf products = buffer(name + "_products", ofProducts);
    KExpr product = K.mul(at(transformed, ofImage, List.of()), at(factors, ofFilters, List.of()));
    stages.add(Stage.of(products, ofProducts, K.sum(List.of(channel), product)));

    for (Part rowPart : parts(rows, high, tile, "i")) {
      for (Part columnPart : parts(columns, wide, tile, "j")) {
        stages.add(result(tile, products, rowPart, columnPart));
      }
    }
    return stages;
  }

  private static List<Axis> axes(List<List<Axis>> parts) {
    return parts.stream().flatMap(List::stream).toList();
  }

  private static Buf buffer(String name, List<Axis> axes) {
    return new Buf(name, Scalar.F32, axes.stream().map(Axis::extent).toList());
  }

  private static KExpr at(Buf buffer, List<Axis> first, List<KExpr> then) {
    List<KExpr> index = new ArrayList<>(first.stream().map(K::axis).toList());
    index.addAll(then);
    return new KExpr.At(buffer, index);
  }

  /** The image over its padded rows and columns, zero beyond those that windows read. */
  private KExpr padded(Axis row, Axis column) {
    KExpr value =
        StageSimplifier.mapIndices(
            image, index -> along(along(index, rows, down, row), columns, right, column));
    KExpr inside = K.bool(true);
    for (Window side : List.of(new Window(rows, row), new Window(columns, column))) {
      DimExpr read = side.output.extent().plus(WinogradTile.TAPS - 1);
      if (!read.equals(side.tap.extent())) {
        inside = K.and(inside, K.lt(K.axis(side.tap), K.dim(read)));
      }
    }
    return K.select(inside, value, K.f32(0));
  }

  private static Affine along(Affine index, Axis output, Axis tap, Axis by) {
    DimExpr step = index.coefficient(tap);
    Affine rest = index.without(output).without(tap);
    return step.isConst(0)
        ? rest
        : rest.plus(new Affine(Map.of(new KExpr.AxisRef(by), step), DimExpr.ZERO));
  }

  /** An element of a square. */
  private interface Element {
    KExpr at(int i, int j);
  }

  /** A transform of the columns of a square, then of its rows; place (a, b) of the result. */
  private static KExpr square(
      int size, Element element, UnaryOperator<List<KExpr>> transform, Axis a, Axis b) {
    List<KExpr> columns =
        IntStream.range(0, size)
            .mapToObj(j -> {
              List<KExpr> column =
                  IntStream.range(0, size).mapToObj(i -> element.at(i, j)).toList();
              return chosen(a, transform.apply(column));
            })
            .toList();
    return chosen(b, transform.apply(columns));
  }

  /** One of several values, by the position on an axis. */
  private static KExpr chosen(Axis axis, List<KExpr> values) {
    int count = (int) axis.extent().constValue();
    KExpr result = values.get(count - 1);
    for (int i = count - 2; i >= 0; i--) {
      KExpr here = new KExpr.Cmp(CompareOp.EQ, K.axis(axis), K.index(i));
      result = new KExpr.If(here, values.get(i), result);
    }
    return result;
  }

  /**
   * Tiles of one dimension of the result: the whole ones, or the last where some of its sums lie
   * beyond the result.
   *
   * @param tiles axis over tiles; empty for the last
   * @param tile position of the tile
   * @param inside axis of the sums of a tile
   */
  private record Part(Optional<Axis> tiles, KExpr tile, Axis inside) {}

  private static List<Part> parts(Axis output, Axis tiles, WinogradTile tile, String name) {
    long extent = output.extent().constValue();
    long whole = extent / tile.outputs();
    long rest = extent % tile.outputs();
    List<Part> parts = new ArrayList<>();
    if (whole > 0) {
      Axis axis = new Axis(tiles.name(), DimExpr.of(whole));
      parts.add(
          new Part(Optional.of(axis), K.axis(axis), new Axis(name, DimExpr.of(tile.outputs()))));
    }
    if (rest > 0) {
      parts.add(
          new Part(Optional.empty(), K.index(whole), new Axis(name + "_last", DimExpr.of(rest))));
    }
    return parts;
  }

  /** What follows the sum, for some tiles of the result. */
  private Stage result(WinogradTile tile, Buf products, Part high, Part wide) {
    KExpr sum =
        square(
            tile.points(),
            (i, j) -> {
              List<KExpr> index = new ArrayList<>(List.of(K.index(i), K.index(j)));
              batch.forEach(axis -> index.add(K.axis(axis)));
              index.addAll(List.of(high.tile, wide.tile, K.axis(filters.getFirst())));
              return new KExpr.At(products, index);
            },
            tile::output,
            high.inside,
            wide.inside);
    KExpr standIn = new KExpr.At(new Buf("#sum", Scalar.F32, List.of()), List.of());
    KExpr value = KExprs.rewrite(stage.value(), e -> e.equals(fold) ? standIn : e);
    Map<Axis, KExpr> places = new HashMap<>();
    places.put(rows, place(high, tile));
    places.put(columns, place(wide, tile));
    KExpr moved = KExprs.substitute(value, places);
    List<Axis> axes = new ArrayList<>(batch);
    high.tiles.ifPresent(axes::add);
    wide.tiles.ifPresent(axes::add);
    axes.addAll(List.of(high.inside, wide.inside, filters.getFirst()));
    axes.removeIf(axis -> axis.extent().isConst(1));
    return new Stage(
        stage.target(),
        axes,
        stage.index().stream().map(index -> KExprs.substitute(index, places)).toList(),
        KExprs.rewrite(moved, e -> e.equals(standIn) ? sum : e));
  }

  private static KExpr place(Part part, WinogradTile tile) {
    return K.add(K.mul(part.tile, K.index(tile.outputs())), K.axis(part.inside));
  }
}
