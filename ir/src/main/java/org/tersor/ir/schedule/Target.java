package org.tersor.ir.schedule;

import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;

/**
 * What code is generated for. Names are spelled as on the command line: {@code jvm512}, {@code
 * jvm256}, {@code jvm128}, {@code jvm-plain}, {@code avx512bf16}, {@code avx512vnni}, {@code
 * avx512}, {@code avx2}, {@code scalar}, {@code neon} (AArch64), {@code cuda}.
 *
 * @param vectorBytes bytes of a vector register; 0: no vectors, the backend's own compiler
 *     vectorises plain loops
 * @param registers number of vector registers
 */
public record Target(
    String name, Kind kind, int vectorBytes, int registers, Set<Feature> features) {

  /** Families of targets. */
  public enum Kind {
    JVM,
    NATIVE,
    CUDA
  }

  /** What a target can do. */
  public enum Feature {
    FMA,
    /** Hardware conversion between F16 and F32. */
    F16C,
    /** Dot4 in one instruction, without intermediate saturation. */
    DOT4,
    /** Pairs of 16-bit products summed into 32 bits (vpmaddwd; NEON in two instructions). */
    MADD16,
    /** Dot2 in one instruction: products with weights of F32 are those of BF16. */
    BF16_DOT,
    /** Not of the machine: weights stay codes even where numbers made once would be faster. */
    SMALL_MEMORY
  }

  /** The same machine for whom memory counts more than time. */
  public Target withSmallMemory() {
    Set<Feature> more = EnumSet.of(Feature.SMALL_MEMORY);
    more.addAll(features);
    return new Target(name, kind, vectorBytes, registers, more);
  }

  public boolean has(Feature feature) {
    return features.contains(feature);
  }

  /** Whether sums of byte products are sums of integers here; else of exact floats. */
  public boolean sumsBytes() {
    return has(Feature.DOT4) || has(Feature.MADD16);
  }

  /**
   * Why sums of 8-bit products take longer here than sums of floats; empty where they are faster.
   */
  public Optional<String> slowIntegers() {
    return sumsBytes()
        ? Optional.empty()
        : Optional.of(
            "int8 runs no faster than float32 on "
                + name
                + ", rather slower: it has no instruction that sums byte products, so they are summed as exact"
                + " floats and converted; the weights take a quarter of the memory");
  }

  /** Lanes of a vector of elements of that size; 1 without vectors. */
  public int lanes(int elementBytes) {
    return vectorBytes == 0 ? 1 : vectorBytes / elementBytes;
  }

  public static Target jvm(int vectorBytes) {
    return new Target(
        vectorBytes == 0 ? "jvm-plain" : "jvm" + vectorBytes * 8,
        Kind.JVM,
        vectorBytes,
        vectorBytes == 64 ? 32 : 16,
        vectorBytes == 0 ? Set.of() : Set.of(Feature.FMA));
  }

  /** A native target by name; throws if there is none. */
  public static Target nativeTarget(String name) {
    return switch (name) {
      case "avx512bf16" -> {
        Set<Feature> all = EnumSet.copyOf(nativeTarget("avx512vnni").features());
        all.add(Feature.BF16_DOT);
        yield new Target(name, Kind.NATIVE, 64, 32, all);
      }
      case "avx512vnni" ->
          new Target(
              name,
              Kind.NATIVE,
              64,
              32,
              Set.of(Feature.FMA, Feature.F16C, Feature.DOT4, Feature.MADD16));
      case "avx512" ->
          new Target(name, Kind.NATIVE, 64, 32, Set.of(Feature.FMA, Feature.F16C, Feature.MADD16));
      case "avx2" ->
          new Target(name, Kind.NATIVE, 32, 16, Set.of(Feature.FMA, Feature.F16C, Feature.MADD16));
      case "neon" -> new Target(name, Kind.NATIVE, 16, 32, Set.of(Feature.FMA, Feature.MADD16));
      case "scalar" -> new Target(name, Kind.NATIVE, 0, 16, Set.of());
      default -> throw new IllegalArgumentException("unknown native target: " + name);
    };
  }

  public static Target cuda() {
    return new Target("cuda", Kind.CUDA, 0, 255, Set.of(Feature.FMA, Feature.F16C, Feature.DOT4));
  }
}
