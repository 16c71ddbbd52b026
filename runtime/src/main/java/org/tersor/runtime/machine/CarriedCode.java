package org.tersor.runtime.machine;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Plan;
import org.tersor.runtime.Tensor;

/**
 * Machine code beside the bytecode of a jar: one library for several instruction sets. It is used
 * if this machine can load it and has one of them; else the bytecode is.
 */
public final class CarriedCode {
  /** System property: {@code off} runs the bytecode. */
  public static final String SWITCH = "tersor.machine";

  private CarriedCode() {}

  /** What the functions of a segment begin with. */
  public static String prefix(String target, int segment) {
    return "tsr_" + target + "_" + segment;
  }

  /** The function, of no arguments, that says whether the processor can run code of a target. */
  public static String fits(String target) {
    return "tsr_" + target + "_fits";
  }

  /**
   * A program.
   *
   * @param constants in the order of the plan's numbers
   */
  public record Segment(Plan plan, List<Tensor> constants) {}

  /** Where the segments of a target come from. */
  public interface Source {
    List<Segment> segments(String target) throws IOException;
  }

  /**
   * What was loaded, or why nothing was.
   *
   * @param executables of the segments; empty if nothing was
   * @param note for people
   */
  public record Loaded(List<Executable> executables, String note) {
    private static Loaded none(String why) {
      return new Loaded(List.of(), "not used: " + why);
    }
  }

  /**
   * Loads the code for the first target that fits.
   *
   * @param facts of the model, for the description
   */
  public static Loaded load(
      InputStream library,
      List<String> targets,
      Source source,
      int threads,
      Map<String, String> facts)
      throws IOException {
    if ("off".equals(System.getProperty(SWITCH))) {
      return Loaded.none("-D" + SWITCH + "=off");
    }
    String system = System.getProperty("os.name") + " " + System.getProperty("os.arch");
    if (!system.equals("Linux amd64")) {
      return Loaded.none("it is for Linux on x86-64, this is " + system);
    }
    SharedObject object;
    try {
      object = SharedObject.of(library);
    } catch (IOException | IllegalCallerException | UnsupportedOperationException e) {
      return Loaded.none(String.valueOf(e.getMessage()));
    }
    for (String target : targets) {
      if (fits(object, target)) {
        String note = "for " + target + ", of " + targets;
        List<Executable> executables = new ArrayList<>();
        List<Segment> segments = source.segments(target);
        for (int i = 0; i < segments.size(); i++) {
          Map<String, String> own = new LinkedHashMap<>(facts);
          own.put("machine code", note);
          own.put("threads", String.valueOf(threads));
          executables.add(
              new NativeExecutable(
                  segments.get(i).plan(),
                  object,
                  prefix(target, i),
                  segments.get(i).constants().stream().map(CarriedCode::copy).toList(),
                  threads,
                  text(own)));
        }
        return new Loaded(executables, note);
      }
    }
    return Loaded.none("this processor can run none of " + targets);
  }

  private static boolean fits(SharedObject object, String target) {
    try {
      return (int) object.function(fits(target), FunctionDescriptor.of(JAVA_INT)).invokeExact()
          != 0;
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private static MemorySegment copy(Tensor tensor) {
    MemorySegment source = HeapSegments.of(tensor);
    return Arena.ofAuto().allocate(Math.max(64, source.byteSize()), 64).copyFrom(source);
  }

  private static String text(Map<String, String> facts) {
    StringBuilder text = new StringBuilder();
    facts.forEach((key, value) -> text.append(key).append(": ").append(value).append('\n'));
    return text.toString();
  }
}
