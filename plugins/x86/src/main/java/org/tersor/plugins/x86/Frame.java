package org.tersor.plugins.x86;

/** The memory of a function on the stack, addressed from its low end, which is at a cache line. */
final class Frame {
  private int bytes;
  private int most;

  /** Room for so many bytes. */
  int allocate(int size, int alignment) {
    bytes = (bytes + alignment - 1) / alignment * alignment;
    int at = bytes;
    bytes = Math.addExact(bytes, size);
    most = Math.max(most, bytes);
    return at;
  }

  int mark() {
    return bytes;
  }

  /** What was allocated since then is free again. */
  void release(int mark) {
    bytes = mark;
  }

  /** From here on rooms are kept apart from all before. */
  void seal() {
    bytes = most;
  }

  int size() {
    return (most + 63) / 64 * 64;
  }
}
