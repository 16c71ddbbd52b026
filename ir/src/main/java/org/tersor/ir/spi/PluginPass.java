package org.tersor.ir.spi;

/**
 * A pass that joins the compiler's pipelines; found by ServiceLoader. The graph that it returns is
 * verified and its types are inferred again; those of a point run in the order of their jars, then
 * as their provider file lists them. Its setting is an entry of {@link PassContext#options} ({@code
 * --set NAME=VALUE}).
 */
public interface PluginPass extends Pass {
  /** Where a pass runs. */
  enum Point {
    /**
     * After a model has been simplified: calibration, quantization, export and every backend see
     * the result. Bodies of control flow take part when they are prepared.
     */
    CANONICAL,
    /**
     * Before kernels are chosen, on what is compiled, quantizers included; bodies of control flow
     * one by one. Export does not see the result.
     */
    KERNELS
  }

  Point point();
}
