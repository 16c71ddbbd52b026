package org.tersor.passes.quant;

import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.tersor.ir.graph.Graph;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Tensor;

/**
 * What a search chooses among, and what it measures with.
 *
 * @param base the float graph
 * @param uniform decisions for every layer, by label: the formats to choose from
 * @param floats whether layers may also stay as they are
 * @param layer names of the layers that may be coded
 * @param options how models are run
 * @param distribution whether the first output holds scores: the measure is then KL divergence,
 *     else noise by signal
 * @param samples calls
 */
public record SearchProblem(
    Compiler compiler,
    Graph base,
    Map<String, Quantizer.Decisions> uniform,
    boolean floats,
    Predicate<String> layer,
    Quantizer.Options options,
    boolean distribution,
    List<Map<String, Tensor>> samples) {}
