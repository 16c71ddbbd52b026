package org.tersor.plugins.gguf;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * Reads numbers, strings and typed values from a position on. Every count is held against the bytes
 * that are left before anything is made of it.
 */
final class GgufReader {
  /** Strings of all arrays together; real vocabularies have up to some hundred thousand. */
  private static final long MOST_STRINGS = 4_000_000;

  private static final int DEEPEST = 4;

  /** The types of values, in the order of their numbers. */
  private enum Type {
    U8(1),
    I8(1),
    U16(2),
    I16(2),
    U32(4),
    I32(4),
    F32(4),
    BOOL(1),
    STRING(8),
    ARRAY(12),
    U64(8),
    I64(8),
    F64(8);

    /** Bytes of a value, at least. */
    private final int least;

    Type(int least) {
      this.least = least;
    }
  }

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final MemorySegment file;
  private long position;
  private long strings;

  GgufReader(MemorySegment file) {
    this.file = file;
  }

  long position() {
    return position;
  }

  long left() {
    return file.byteSize() - position;
  }

  private long take(long bytes, String what) {
    if (bytes < 0 || bytes > left()) {
      throw Diag.error(
          Diag.FORMAT,
          what
              + " at byte "
              + position
              + " needs "
              + Long.toUnsignedString(bytes)
              + " bytes, and "
              + left()
              + " are left: the file is cut short or damaged");
    }
    long at = position;
    position += bytes;
    return at;
  }

  long u32(String what) {
    return file.get(INT, take(4, what)) & 0xffffffffL;
  }

  long i64(String what) {
    return file.get(LONG, take(8, what));
  }

  /** A number of things that take at least so many bytes each. */
  long count(int least, String what) {
    long count = i64(what);
    if (count < 0 || count > left() / least) {
      throw Diag.error(
          Diag.FORMAT,
          what
              + " is "
              + Long.toUnsignedString(count)
              + ", more than fit into the "
              + left()
              + " bytes that follow");
    }
    return count;
  }

  String string(String what) {
    long length = count(1, "the length of " + what);
    if (length > Integer.MAX_VALUE) {
      throw Diag.error(Diag.LIMIT, what + " has " + length + " bytes");
    }
    long at = take(length, what);
    ByteBuffer bytes = file.asSlice(at, length).asByteBuffer();
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw Diag.error(Diag.FORMAT, what + " at byte " + at + " is no UTF-8");
    }
  }

  /** A value with its type before it. */
  GgufValue value(String what) {
    return value(type(what), what, 0);
  }

  private Type type(String what) {
    long number = u32("the type of " + what);
    if (number >= Type.values().length) {
      throw Diag.error(
          Diag.FORMAT, what + " is of type " + number + ", which GGUF does not define");
    }
    return Type.values()[(int) number];
  }

  private GgufValue value(Type type, String what, int depth) {
    return switch (type) {
      case U8, I8, U16, I16, U32, I32, U64, I64 -> new GgufValue.Whole(whole(type, what));
      case F32, F64 -> new GgufValue.Real(real(type, what));
      case BOOL -> new GgufValue.Truth(whole(type, what) != 0);
      case STRING -> new GgufValue.Text(string(what));
      case ARRAY -> array(what, depth);
    };
  }

  private long whole(Type type, String what) {
    long at = take(type.least, what);
    return switch (type) {
      case U8 -> file.get(ValueLayout.JAVA_BYTE, at) & 0xff;
      case I8, BOOL -> file.get(ValueLayout.JAVA_BYTE, at);
      case U16 -> file.get(SHORT, at) & 0xffff;
      case I16 -> file.get(SHORT, at);
      case U32 -> file.get(INT, at) & 0xffffffffL;
      case I32 -> file.get(INT, at);
      case U64, I64 -> file.get(LONG, at);
      case F32, F64, STRING, ARRAY -> throw new IllegalArgumentException(type.name());
    };
  }

  private double real(Type type, String what) {
    long at = take(type.least, what);
    return type == Type.F32
        ? Float.intBitsToFloat(file.get(INT, at))
        : Double.longBitsToDouble(file.get(LONG, at));
  }

  private GgufValue array(String what, int depth) {
    if (depth >= DEEPEST) {
      throw Diag.error(Diag.LIMIT, what + ": arrays are nested deeper than " + DEEPEST);
    }
    Type type = type("the elements of " + what);
    long count = count(type.least, "the number of elements of " + what);
    if (count > Integer.MAX_VALUE - 8) {
      throw Diag.error(Diag.LIMIT, what + " has " + count + " elements");
    }
    int n = (int) count;
    return switch (type) {
      case U8, I8, U16, I16, U32, I32, U64, I64, BOOL -> {
        long[] values = new long[n];
        for (int i = 0; i < n; i++) {
          values[i] = whole(type, what);
        }
        yield new GgufValue.Wholes(values);
      }
      case F32, F64 -> {
        double[] values = new double[n];
        for (int i = 0; i < n; i++) {
          values[i] = real(type, what);
        }
        yield new GgufValue.Reals(values);
      }
      case STRING -> {
        strings += n;
        if (strings > MOST_STRINGS) {
          throw Diag.error(Diag.LIMIT, "there are more than " + MOST_STRINGS + " strings");
        }
        List<String> values = new ArrayList<>(n);
        for (int i = 0; i < n; i++) {
          values.add(string(what));
        }
        yield new GgufValue.Texts(values);
      }
      case ARRAY -> {
        strings += n;
        if (strings > MOST_STRINGS) {
          throw Diag.error(Diag.LIMIT, what + " has too many arrays in it");
        }
        for (int i = 0; i < n; i++) {
          array(what, depth + 1);
        }
        yield new GgufValue.Nested();
      }
    };
  }
}
