package org.tersor.plugins.x86;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Constants that code reads from memory beside it, equal ones once. */
final class Pool {
  private final Map<ByteBuffer, Integer> numbers = new HashMap<>();
  private final List<byte[]> constants = new ArrayList<>();

  /** The number of a constant; its size is a power of two, at which it is aligned. */
  int add(byte[] bytes) {
    return numbers.computeIfAbsent(
        ByteBuffer.wrap(bytes),
        key -> {
          constants.add(bytes);
          return constants.size() - 1;
        });
  }

  /** Elements of that many bytes, lowest byte first. */
  int add(int elementBytes, long... values) {
    ByteBuffer buffer =
        ByteBuffer.allocate(elementBytes * values.length).order(ByteOrder.LITTLE_ENDIAN);
    for (long value : values) {
      for (int i = 0; i < elementBytes; i++) {
        buffer.put((byte) (value >> (8 * i)));
      }
    }
    return add(buffer.array());
  }

  int size() {
    return constants.size();
  }

  byte[] get(int number) {
    return constants.get(number);
  }
}
