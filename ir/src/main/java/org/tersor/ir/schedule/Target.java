package org.tersor.ir.schedule;

import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * What code is generated for. Names are spelled as on the command line: {@code jvm512}, {@code
 * jvm256}, {@code jvm128}, {@code jvm-plain}, {@code avx512bf16}, {@code avx512amx}, {@code
 * avx512vnni}, {@code avx512}, {@code avx2}, {@code scalar}, {@code neon} (AArch64), {@code cuda}.
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
    /** Matrix registers that sum products of bytes: {@link org.tersor.ir.loop.Stmt.Tile}. */
    TILES,
    /** Dot2 in one instruction: products with weights of F32 are those of BF16. */
    BF16_DOT,
    /** Rounding to a whole number in one instruction, which the Vector API does not offer. */
    ROUND,
    /** Operands that repeat a scalar of memory in all lanes; else it takes a register. */
    BROADCAST,
    /** A shuffle of two vectors in one instruction or two; C2 makes many of it. */
    SHUFFLE,
    /** Functions of any length are compiled; HotSpot takes no method of more than 8,000 bytes. */
    LONG_FUNCTIONS,
    /** Memory can be asked for before it is needed. */
    PREFETCH,
    /** Compiled before it runs, so that code which a run does not repay costs it nothing. */
    AHEAD_OF_TIME,
    /** Not of the machine: weights stay codes even where numbers made once would be faster. */
    SMALL_MEMORY
  }

  /** What a compiler of C brings along. */
  private static final Set<Feature> COMPILED =
      Collections.unmodifiableSet(
          EnumSet.of(
              Feature.ROUND,
              Feature.BROADCAST,
              Feature.LONG_FUNCTIONS,
              Feature.PREFETCH,
              Feature.AHEAD_OF_TIME));

  /** The same machine for whom memory counts more than time. */
  public Target withSmallMemory() {
    return new Target(
        name,
        kind,
        vectorBytes,
        registers,
        with(EnumSet.of(Feature.SMALL_MEMORY), List.copyOf(features)));
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
      case "avx512bf16" ->
          compiled(
              name,
              64,
              32,
              Feature.SHUFFLE,
              Feature.FMA,
              Feature.F16C,
              Feature.DOT4,
              Feature.MADD16,
              Feature.BF16_DOT);
      case "avx512amx" ->
          compiled(
              name,
              64,
              32,
              Feature.SHUFFLE,
              Feature.FMA,
              Feature.F16C,
              Feature.DOT4,
              Feature.MADD16,
              Feature.TILES);
      case "avx512vnni" ->
          compiled(
              name,
              64,
              32,
              Feature.SHUFFLE,
              Feature.FMA,
              Feature.F16C,
              Feature.DOT4,
              Feature.MADD16);
      case "avx512" ->
          compiled(name, 64, 32, Feature.SHUFFLE, Feature.FMA, Feature.F16C, Feature.MADD16);
      case "avx2" ->
          compiled(name, 32, 16, Feature.SHUFFLE, Feature.FMA, Feature.F16C, Feature.MADD16);
      case "neon" -> compiled(name, 16, 32, Feature.SHUFFLE, Feature.FMA, Feature.MADD16);
      case "scalar" -> compiled(name, 0, 16);
      default -> throw new IllegalArgumentException("unknown native target: " + name);
    };
  }

  public static Target cuda() {
    return new Target(
        "cuda",
        Kind.CUDA,
        0,
        255,
        with(COMPILED, List.of(Feature.FMA, Feature.F16C, Feature.DOT4)));
  }

  private static Target compiled(
      String name, int vectorBytes, int registers, Feature... instructions) {
    return new Target(
        name, Kind.NATIVE, vectorBytes, registers, with(COMPILED, List.of(instructions)));
  }

  private static Set<Feature> with(Set<Feature> some, List<Feature> others) {
    Set<Feature> all = EnumSet.copyOf(some);
    all.addAll(others);
    return all;
  }
}
