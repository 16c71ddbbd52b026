package org.tersor.passes;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.spi.Pass;
import org.tersor.passes.equalize.Rotate;
import org.tersor.passes.equalize.SplitOutliers;
import org.tersor.passes.graph.BindDims;
import org.tersor.passes.graph.CodedOperators;
import org.tersor.passes.graph.CommuteQdq;
import org.tersor.passes.graph.Cse;
import org.tersor.passes.graph.DeadCode;
import org.tersor.passes.graph.Decompose;
import org.tersor.passes.graph.DynamicActivations;
import org.tersor.passes.graph.FakeQuant;
import org.tersor.passes.graph.FoldBatchNorm;
import org.tersor.passes.graph.FoldConstants;
import org.tersor.passes.graph.InlineBranches;
import org.tersor.passes.graph.IntegerKernels;
import org.tersor.passes.graph.LowerDecode;
import org.tersor.passes.graph.LowerFakeQuant;
import org.tersor.passes.graph.RaiseQdq;
import org.tersor.passes.graph.ShareRepeated;
import org.tersor.passes.graph.Simplify;
import org.tersor.passes.graph.SinkIntoBranches;
import org.tersor.passes.graph.UpgradeOpset;
import org.tersor.passes.graph.WidenFloat16;
import org.tersor.passes.infer.TypeInference;
import org.tersor.passes.quant.Materialize;

/** Every pipeline of the compiler, as ordered lists. */
public final class Pipelines {
  private Pipelines() {}

  /** Ids of the compiler's own passes. */
  public static Set<String> ids() {
    Set<String> ids = new TreeSet<>();
    Stream.of(canonicalise(Map.of()), quantizable(), export(), integerOperators(), lower(false))
        .flatMap(List::stream)
        .forEach(pass -> ids.add(pass.id()));
    ids.addAll(List.of(Rotate.ID, SplitOutliers.ID, DynamicActivations.ID, Materialize.ID));
    return Collections.unmodifiableSet(ids);
  }

  /** Passes, then those of plugins, whose results are verified and get types. */
  static List<Pass> withPlugins(List<Pass> passes, List<Pass> plugged) {
    if (plugged.isEmpty()) {
      return passes;
    }
    List<Pass> all = new ArrayList<>(passes);
    for (Pass pass : plugged) {
      all.add(new PluggedPass(pass));
      all.add(new TypeInference());
    }
    all.addAll(List.of(new DeadCode(), new TypeInference()));
    return List.copyOf(all);
  }

  /**
   * From an imported graph to the graph that quantization and export see: standard operators, fewer
   * of them.
   */
  public static List<Pass> canonicalise(Map<String, Long> dims) {
    List<Pass> passes = new ArrayList<>();
    passes.add(new BindDims(dims));
    passes.add(new TypeInference());
    passes.add(new InlineBranches());
    passes.add(new FoldConstants());
    passes.add(new Simplify());
    passes.add(new TypeInference());
    passes.add(new RaiseQdq());
    passes.add(new FoldBatchNorm());
    passes.add(new Cse());
    passes.add(new DeadCode());
    passes.add(new TypeInference());
    return List.copyOf(passes);
  }

  /** From a canonical graph to one that can hold quantizers per channel: float32, opset 13 on. */
  public static List<Pass> quantizable() {
    return List.of(
        new WidenFloat16(), new TypeInference(), UpgradeOpset.forChannels(), new TypeInference());
  }

  /**
   * From a canonical graph, of the opset that its weights need, to one that other tools read:
   * standard operators only.
   */
  public static List<Pass> export() {
    return List.of(
        new TypeInference(),
        LowerDecode.forExport(),
        new Decompose(Pipelines::isForeign),
        new LowerFakeQuant(),
        new DeadCode());
  }

  /**
   * From a graph that other tools read to one whose layers and elementwise operators between
   * quantizers are integer operators of ONNX and of ONNX Runtime; all else keeps its quantizers.
   */
  public static List<Pass> integerOperators() {
    return List.of(
        new TypeInference(),
        new CommuteQdq(),
        new TypeInference(),
        IntegerKernels.standard(),
        new TypeInference(),
        new CodedOperators(),
        new DeadCode(),
        new TypeInference());
  }

  /** Whether other tools know all operators of a graph and of the bodies in it. */
  static boolean isStandard(Graph graph) {
    return graph.nodes().stream()
        .allMatch(node ->
            !node.op().domain().equals(OpKey.TERSOR)
                && Graph.bodies(node).stream().allMatch(Pipelines::isStandard));
  }

  /** Operators of Tersor that other tools do not know; quantizers have a pass of their own. */
  private static boolean isForeign(OpKey op) {
    return op.domain().equals(OpKey.TERSOR) && !op.type().equals(FakeQuant.TYPE);
  }

  /**
   * From a canonical graph to one whose every node has a kernel.
   *
   * @param strictTypes keep float16 between operators; else values there are float32
   */
  public static List<Pass> lower(boolean strictTypes) {
    return lower(strictTypes, List.of());
  }

  /** As {@link #lower(boolean)}, with passes of plugins before. */
  static List<Pass> lower(boolean strictTypes, List<Pass> plugged) {
    List<Pass> passes = new ArrayList<>(withPlugins(List.of(new TypeInference()), plugged));
    passes.add(new SinkIntoBranches());
    if (!strictTypes) {
      passes.add(new WidenFloat16());
      passes.add(new TypeInference());
    }
    passes.addAll(kernels());
    return List.copyOf(passes);
  }

  /** From a graph with quantizers to one in which integer kernels can be chosen. */
  public static List<Pass> beforeKernels() {
    return List.of(
        new TypeInference(),
        LowerDecode.forKernels(),
        new LowerFakeQuant(),
        new CommuteQdq(),
        new TypeInference());
  }

  /** From a graph with quantizers to one in which integer kernels are chosen. */
  public static List<Pass> integerKernels() {
    List<Pass> passes = new ArrayList<>(beforeKernels());
    passes.addAll(List.of(new IntegerKernels(), new TypeInference()));
    return passes;
  }

  private static List<Pass> kernels() {
    List<Pass> passes = new ArrayList<>(integerKernels());
    passes.addAll(
        List.of(
            new DeadCode(),
            new Decompose(),
            new FoldConstants(),
            new Simplify(),
            new TypeInference(),
            new ShareRepeated(),
            new TypeInference(),
            new Cse(),
            new DeadCode()));
    return passes;
  }
}
