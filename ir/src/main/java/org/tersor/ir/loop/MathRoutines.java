package org.tersor.ir.loop;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.tersor.ir.dsl.LoopParser;

/** The routines of {@code math.kern}, by operation and type. */
final class MathRoutines {
  private static final Map<String, LoopRoutine> ROUTINES = read();

  private MathRoutines() {}

  static LoopRoutine find(Enum<?> op, Scalar type) {
    LoopRoutine routine = ROUTINES.get(op.name().toLowerCase(Locale.ROOT) + " " + type.text());
    if (routine == null) {
      throw new IllegalStateException("math.kern has no " + op + " of " + type.text());
    }
    return routine;
  }

  private static Map<String, LoopRoutine> read() {
    String text;
    try (InputStream in = MathRoutines.class.getResourceAsStream("math.kern")) {
      if (in == null) {
        throw new IllegalStateException("math.kern is not on the class path");
      }
      text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Map<String, LoopRoutine> routines = new LinkedHashMap<>();
    for (LoopRoutine routine : LoopParser.parseRoutines(text)) {
      String key = routine.name() + " " + routine.parameters().getFirst().type();
      if (routines.put(key, routine) != null) {
        throw new IllegalStateException("math.kern has two of " + key);
      }
    }
    return Map.copyOf(routines);
  }
}
