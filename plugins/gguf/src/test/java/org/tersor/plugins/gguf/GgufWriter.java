package org.tersor.plugins.gguf;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Writes GGUF files for tests, good and bad ones: nothing is checked. */
final class GgufWriter {
  private record Entry(String key, int type, byte[] value) {}

  private record Stored(String name, long[] shape, int type, byte[] bytes) {}

  private final List<Entry> entries = new ArrayList<>();
  private final List<Stored> tensors = new ArrayList<>();
  long version = 3;
  long alignment = 32;
  long offsetOfLast = -1;

  GgufWriter text(String key, String value) {
    entries.add(new Entry(key, 8, string(value)));
    return this;
  }

  GgufWriter u32(String key, long value) {
    entries.add(new Entry(key, 4, little(4).putInt((int) value).array()));
    return this;
  }

  GgufWriter f32(String key, float value) {
    entries.add(new Entry(key, 6, little(4).putFloat(value).array()));
    return this;
  }

  GgufWriter raw(String key, int type, byte[] value) {
    entries.add(new Entry(key, type, value));
    return this;
  }

  GgufWriter texts(String key, List<String> values) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(little(12).putInt(8).putLong(values.size()).array());
    values.forEach(value -> out.writeBytes(string(value)));
    entries.add(new Entry(key, 9, out.toByteArray()));
    return this;
  }

  GgufWriter floats(String key, float... values) {
    ByteBuffer out = little(12 + 4 * values.length).putInt(6).putLong(values.length);
    for (float value : values) {
      out.putFloat(value);
    }
    entries.add(new Entry(key, 9, bytes(out)));
    return this;
  }

  GgufWriter ints(String key, int... values) {
    ByteBuffer out = little(12 + 4 * values.length).putInt(5).putLong(values.length);
    for (int value : values) {
      out.putInt(value);
    }
    entries.add(new Entry(key, 9, bytes(out)));
    return this;
  }

  /** What was written. */
  static byte[] bytes(ByteBuffer out) {
    byte[] bytes = new byte[out.position()];
    out.flip().get(bytes);
    return bytes;
  }

  /**
   * @param shape row-major
   */
  GgufWriter tensor(String name, long[] shape, int type, byte[] bytes) {
    tensors.add(new Stored(name, shape, type, bytes));
    return this;
  }

  GgufWriter tensor(String name, float[] values, long... shape) {
    ByteBuffer out = little(4 * values.length);
    for (float value : values) {
      out.putFloat(value);
    }
    return tensor(name, shape, 0, bytes(out));
  }

  byte[] bytes() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes("GGUF".getBytes(StandardCharsets.US_ASCII));
    out.writeBytes(
        little(20).putInt((int) version).putLong(tensors.size()).putLong(entries.size()).array());
    for (Entry entry : entries) {
      out.writeBytes(string(entry.key));
      out.writeBytes(little(4).putInt(entry.type).array());
      out.writeBytes(entry.value);
    }
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    for (int t = 0; t < tensors.size(); t++) {
      Stored tensor = tensors.get(t);
      while (data.size() % alignment != 0) {
        data.write(0);
      }
      long offset = t == tensors.size() - 1 && offsetOfLast >= 0 ? offsetOfLast : data.size();
      out.writeBytes(string(tensor.name));
      out.writeBytes(little(4).putInt(tensor.shape.length).array());
      for (int d = tensor.shape.length - 1; d >= 0; d--) {
        out.writeBytes(little(8).putLong(tensor.shape[d]).array());
      }
      out.writeBytes(little(12).putInt(tensor.type).putLong(offset).array());
      data.writeBytes(tensor.bytes);
    }
    while (out.size() % alignment != 0) {
      out.write(0);
    }
    out.writeBytes(data.toByteArray());
    return out.toByteArray();
  }

  static byte[] string(String value) {
    byte[] utf8 = value.getBytes(StandardCharsets.UTF_8);
    return little(8 + utf8.length).putLong(utf8.length).put(utf8).array();
  }

  static ByteBuffer little(int size) {
    return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
  }
}
