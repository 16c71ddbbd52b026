package org.tersor.passes.equalize;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;

/**
 * QuaRot (Ashkboos et al., arXiv 2404.00456): the gains of RMS norms go into the layers behind
 * them, so that norms commute with orthogonal maps; then each residual stream is rotated by random
 * signs and a Hadamard matrix, x becomes x diag(±1) H, the values of each attention head by a
 * Hadamard matrix, and what enters the other layers that write into a stream by one that is
 * computed while the model runs. All inverses go into weights. Finds its patterns by what is
 * connected, reports what it did and what it did not find.
 */
public final class Rotate implements Pass {
  public static final String ID = "rotate";

  /** Which rotations are made; gains are folded with the residual one. */
  public record Parts(boolean residual, boolean heads, boolean online) {
    public static final Parts ALL = new Parts(true, true, true);
  }

  private final long seed;
  private final Parts parts;

  /**
   * @param seed of the signs
   */
  public Rotate(long seed, Parts parts) {
    this.seed = seed;
    this.parts = parts;
  }

  @Override
  public String id() {
    return ID;
  }

  @Override
  public Set<String> needs() {
    return Set.of("types");
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    Consumer<String> report = text -> context.note().accept("rotate: " + text);
    WeightEdits edits = new WeightEdits(graph);
    List<ResidualStream> streams = ResidualStream.find(graph, report);
    if (streams.isEmpty()) {
      report.accept("no residual stream was found: nothing is done");
      return graph;
    }
    Set<Node> inner = new LinkedHashSet<>(); // writers whose inputs heads have rotated
    if (parts.heads()) {
      List<HeadValues> heads = HeadValues.find(graph, report);
      heads.forEach(h -> rotate(h, edits, inner, report));
      report.accept(inner.size() + " of " + heads.size() + " attentions have rotated values");
    }
    SplittableRandom random = new SplittableRandom(seed);
    int online = 0;
    List<String> without = new ArrayList<>();
    for (ResidualStream stream : streams) {
      if (parts.residual()) {
        rotate(stream, edits, random, report);
      }
      for (Node writer : parts.online() ? stream.writers() : List.<Node>of()) {
        if (WeightEdits.isTable(graph, writer) || inner.contains(writer)) {
          continue;
        }
        if (HeadValues.feeds(graph, writer)) {
          continue;
        }
        Optional<Hadamard> matrix = Hadamard.of(edits.matrix(writer).in());
        if (matrix.isEmpty()) {
          without.add(writer.label() + " (" + edits.matrix(writer).in() + ")");
          continue;
        }
        edits.matrix(writer).rotateIn(matrix.get().order(), matrix.get()::apply);
        edits.insertBefore(
            writer,
            (edit, x) -> {
              Value y = edit.value("", ValueType.UNKNOWN);
              edit.importDomain(OpKey.TERSOR, 1);
              edit.add(
                  new Node(
                      edit.freshId(),
                      writer.name().isEmpty() ? "" : writer.name() + "_hadamard",
                      new OpKey(OpKey.TERSOR, HadamardOperator.TYPE, 1),
                      List.of(x),
                      List.of(y),
                      java.util.Map.of()));
              return y;
            });
        online++;
      }
    }
    if (parts.online()) {
      report.accept(
          online
              + " layers get a Hadamard product before them"
              + (without.isEmpty()
                  ? ""
                  : "; no Hadamard matrix of the size is known for " + without));
    }
    return edits.apply();
  }

  private static void rotate(
      ResidualStream stream, WeightEdits edits, SplittableRandom random, Consumer<String> report) {
    foldGains(stream, edits);
    Optional<Hadamard> matrix = Hadamard.of(stream.width());
    if (matrix.isEmpty()) {
      report.accept(
          "no Hadamard matrix of order "
              + stream.width()
              + " is known: the gains of a stream's norms are folded, but it is not rotated");
      return;
    }
    double[] signs = new double[stream.width()];
    for (int i = 0; i < signs.length; i++) {
      signs[i] = random.nextBoolean() ? 1 : -1;
    }
    Consumer<double[]> rotation =
        x -> {
          for (int i = 0; i < x.length; i++) {
            x[i] *= signs[i];
          }
          matrix.get().apply(x);
        };
    stream.writers().forEach(n -> edits.matrix(n).rotateOut(stream.width(), rotation));
    stream
        .biases()
        .forEach(n -> {
          int operand = edits.graph().constant(n.input(0)).isPresent() ? 0 : 1;
          edits.vector(n, operand).rotateOut(stream.width(), rotation);
        });
    stream.readers().forEach(n -> edits.matrix(n).rotateIn(stream.width(), rotation));
    report.accept(
        "a stream of width "
            + stream.width()
            + " is rotated: "
            + stream.writers().size()
            + " writers, "
            + stream.norms().size()
            + " norms, "
            + stream.readers().size()
            + " readers");
  }

  /** Gains of norms become 1. */
  static void foldGains(ResidualStream stream, WeightEdits edits) {
    for (Node norm : stream.norms()) {
      WeightEdits.Matrix gains = edits.vector(norm, 1);
      for (Node reader : edits.graph().consumers(norm.output(0))) {
        for (int i = 0; i < gains.out(); i++) {
          edits.matrix(reader).scaleIn(i, gains.value(0, i));
        }
      }
      for (int i = 0; i < gains.out(); i++) {
        gains.set(0, i, 1);
      }
    }
  }

  private static void rotate(
      HeadValues heads, WeightEdits edits, Set<Node> inner, Consumer<String> report) {
    Optional<Hadamard> matrix = Hadamard.of(heads.size());
    if (matrix.isEmpty()) {
      report.accept(
          "no Hadamard matrix of order " + heads.size() + " is known for heads of that size");
      return;
    }
    edits.matrix(heads.producer()).rotateOut(heads.size(), matrix.get()::apply);
    heads
        .bias()
        .ifPresent(b ->
            edits
                .vector(b, edits.graph().constant(b.input(0)).isPresent() ? 0 : 1)
                .rotateOut(heads.size(), matrix.get()::apply));
    edits.matrix(heads.reader()).rotateIn(heads.size(), matrix.get()::apply);
    inner.add(heads.reader());
  }
}
