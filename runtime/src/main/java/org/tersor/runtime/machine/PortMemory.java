package org.tersor.runtime.machine;

import static java.lang.foreign.ValueLayout.ADDRESS;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.tersor.runtime.Tensor;

/** Where machine code finds the inputs and outputs of one call at a time. */
public final class PortMemory {
  /** Memory that is this many times larger than needed is given back, beyond some size. */
  private static final int SPARE = 8;

  private static final long SMALL = 1 << 20;

  private final MemorySegment inputs;
  private final MemorySegment outputs;
  private final MemorySegment[] in;
  private final MemorySegment[] out;

  /**
   * @param arena of the tables of addresses
   */
  public PortMemory(Arena arena, int inputs, int outputs) {
    this.inputs = arena.allocate(ADDRESS, Math.max(1, inputs));
    this.outputs = arena.allocate(ADDRESS, Math.max(1, outputs));
    this.in = new MemorySegment[inputs];
    this.out = new MemorySegment[outputs];
    Arrays.fill(in, MemorySegment.NULL);
    Arrays.fill(out, MemorySegment.NULL);
  }

  /** Addresses of the inputs. */
  public MemorySegment inputs() {
    return inputs;
  }

  /** Addresses of the outputs. */
  public MemorySegment outputs() {
    return outputs;
  }

  /** Memory of so many bytes, the same where it does; half as much again where it grows. */
  public static MemorySegment room(MemorySegment old, long bytes) {
    long wanted = Math.max(64, bytes);
    long has = old.byteSize();
    if (has >= wanted && (has <= SMALL || has / SPARE <= wanted)) {
      return old;
    }
    boolean grows = has > 0 && has < wanted;
    return Arena.ofAuto().allocate(grows ? Math.max(wanted, has + has / 2) : wanted, 64);
  }

  /** Lets an input be other memory, until it is staged. */
  void place(int input, MemorySegment memory) {
    inputs.setAtIndex(ADDRESS, input, memory);
  }

  /** Lets an output be other memory, until it is prepared. */
  void placeOutput(int output, MemorySegment memory) {
    outputs.setAtIndex(ADDRESS, output, memory);
  }

  /** Copies an input to where the call reads it. */
  public void stage(int input, Tensor given) {
    MemorySegment source = HeapSegments.of(given);
    in[input] = room(in[input], source.byteSize());
    in[input].copyFrom(source);
    place(input, in[input]);
  }

  /** Room for an output. */
  public void prepare(int output, Tensor result) {
    out[output] = room(out[output], HeapSegments.of(result).byteSize());
    placeOutput(output, out[output]);
  }

  /** Copies an output that was prepared. */
  public void deliver(int output, Tensor result) {
    MemorySegment target = HeapSegments.of(result);
    target.copyFrom(out[output].asSlice(0, target.byteSize()));
  }

  /** The addresses of what was staged and prepared, instead of what a call put there. */
  void restore() {
    for (int i = 0; i < in.length; i++) {
      place(i, in[i]);
    }
    for (int i = 0; i < out.length; i++) {
      placeOutput(i, out[i]);
    }
  }
}
