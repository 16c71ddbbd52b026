package org.tersor.codegen.c;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.ArtifactInterface;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Plan;

/** The header of a library, and the description that it gives at run time. */
final class ArtifactHeader {
  private final List<Program> programs;
  private final Plan plan;
  private final List<Executable.State> states;
  private final String prefix;

  ArtifactHeader(List<Program> programs, List<Executable.State> states, String prefix) {
    this.states = states;
    this.programs = programs;
    this.plan = programs.getFirst().plan();
    this.prefix = prefix;
  }

  /** Text from a model for a comment: nothing that could end it. */
  private static String comment(String text) {
    return text.replaceAll("[^A-Za-z0-9_.,:+() \\[\\]-]", "?");
  }

  String text() {
    StringBuilder ports = new StringBuilder();
    for (int i = 0; i < plan.dims().size(); i++) {
      ports
          .append("   dims[")
          .append(i)
          .append("]: ")
          .append(comment(plan.dims().get(i)))
          .append('\n');
    }
    describe(ports, "inputs", plan.inputs());
    describe(ports, "outputs", plan.outputs());
    for (Executable.State state : states) {
      ports
          .append("   state: outputs[")
          .append(number(plan.outputs(), state.output()))
          .append("] is the next call's inputs[")
          .append(number(plan.inputs(), state.input()))
          .append("] and may be the same memory; zeros at first\n");
      state
          .growth()
          .ifPresent(growth ->
              ports
                  .append("          it holds dims ")
                  .append(
                      comment(
                          plan.inputs()
                              .get(number(plan.inputs(), growth.length()))
                              .shape()
                              .toString()))
                  .append(" entries along axis ")
                  .append(growth.axis())
                  .append(" before a call and ")
                  .append(comment(growth.next().toString()))
                  .append(" after it; in the same memory only new ones are written\n"));
    }
    String levels = programs.stream().map(p -> p.target().name()).collect(Collectors.joining(", "));
    return named(
        TEMPLATE
            .replace("@PORTS@", ports)
            .replace("@LEVELS@", levels)
            .replace("@DIMS@", Integer.toString(plan.dims().size()))
            .replace("@INPUTS@", Integer.toString(plan.inputs().size()))
            .replace("@OUTPUTS@", Integer.toString(plan.outputs().size())),
        prefix);
  }

  /** A header with a pool of POSIX threads and memory in large pages for this library. */
  static String threads(String prefix) {
    return named(CRuntime.resource("threads.h"), prefix);
  }

  private static String named(String template, String prefix) {
    return template.replace("@P@", prefix).replace("@U@", prefix.toUpperCase(Locale.ROOT));
  }

  private static int number(List<Executable.Port> ports, String name) {
    return ports.stream().map(Executable.Port::name).toList().indexOf(name);
  }

  private static void describe(StringBuilder out, String what, List<Executable.Port> ports) {
    for (int i = 0; i < ports.size(); i++) {
      Executable.Port port = ports.get(i);
      out.append("   ")
          .append(what)
          .append('[')
          .append(i)
          .append("]: ")
          .append(comment(port.name() + " " + port.dtype().text() + port.shape()))
          .append('\n');
    }
  }

  /** JSON: interface, levels, dims, inputs, outputs, states, facts. */
  String description() {
    return "{\"name\":"
        + json(plan.name())
        + ",\"interface\":"
        + ArtifactInterface.LIBRARY.number()
        + ",\"levels\":["
        + programs.stream().map(p -> json(p.target().name())).collect(Collectors.joining(","))
        + "],\"dims\":["
        + plan.dims().stream().map(ArtifactHeader::json).collect(Collectors.joining(","))
        + "],\"inputs\":"
        + json(plan.inputs())
        + ",\"outputs\":"
        + json(plan.outputs())
        + ",\"states\":["
        + states.stream()
            .map(s ->
                "{\"output\":"
                    + json(s.output())
                    + ",\"input\":"
                    + json(s.input())
                    + s.growth().map(g -> ",\"growth\":" + json(g.text())).orElse("")
                    + "}")
            .collect(Collectors.joining(","))
        + "],\"facts\":{"
        + programs.getFirst().facts().entrySet().stream()
            .sorted(Map.Entry.comparingByKey())
            .map(e -> json(e.getKey()) + ":" + json(e.getValue()))
            .collect(Collectors.joining(","))
        + "}}";
  }

  private static String json(List<Executable.Port> ports) {
    return ports.stream()
        .map(p ->
            "{\"name\":"
                + json(p.name())
                + ",\"type\":"
                + json(p.dtype().text())
                + ",\"shape\":["
                + p.shape().stream()
                    .map(d -> d.isConst() ? d.toString() : json(d.toString()))
                    .collect(Collectors.joining(","))
                + "]}")
        .collect(Collectors.joining(",", "[", "]"));
  }

  private static String json(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '"' || c == '\\') {
        out.append('\\').append(c);
      } else if (c < 0x20 || Character.isSurrogate(c)) {
        out.append(String.format(Locale.ROOT, "\\u%04x", (int) c));
      } else {
        out.append(c);
      }
    }
    return out.append('"').toString();
  }

  private static final String TEMPLATE =
      """
      #ifndef @U@_H
      #define @U@_H
      /* A compiled model. No function keeps state or allocates: all memory is the caller's, and any number of threads may call at once.

      @PORTS@
         Elements are dense, row-major, in the byte order of the machine; types below 8 bits take a byte each. Inputs, outputs, arena and
         packed weights must not overlap, outputs neither each other.
         Code for: @LEVELS@; the first that the processor can run is used.

         void *packed = malloc(@P@_packed_size());        once: the weights as this processor wants them (large pages are faster)
         @P@_prepare(packed);
         int64_t bytes = @P@_arena_size(dims);            once for each value of dims
         @P@_run(inputs, outputs, dims, packed, arena, bytes, NULL, NULL);

         The header beside this one, ..._threads.h, has threads and such memory for systems with POSIX threads. */
      #include <stddef.h>
      #include <stdint.h>

      #ifdef __cplusplus
      extern "C" {
      #endif

      enum {
        @U@_OK = 0,
        @U@_ERROR_NULL = -1,   /* a pointer is missing */
        @U@_ERROR_DIMS = -2,   /* a dimension is negative, sizes contradict each other, or one overflows */
        @U@_ERROR_ARENA = -3,  /* the arena is smaller than @P@_arena_size(dims) */
        @U@_ERROR_CPU = -4,    /* the processor can run none of the levels */
        @U@_ERROR_PACKED = -5, /* @P@_prepare was not called, or on another kind of processor */
        @U@_ERROR_BRANCH = -6, /* the inputs choose a branch that the model's shapes do not allow */
        @U@_ERROR_CANCELLED = -7, /* the call was ended by its flag; outputs and arena hold anything */
        @U@_ERROR_INDEX = -8   /* an index in the data is out of range; outputs and arena hold anything */
      };
      enum { @U@_DIMS = @DIMS@, @U@_INPUTS = @INPUTS@, @U@_OUTPUTS = @OUTPUTS@ };

      /* Runs tasks from (inclusive) to to (exclusive); calls at the same time need different workers. */
      typedef void (*@P@_task)(void *data, int64_t from, int64_t to, int32_t worker);

      /* Must run task for all of 0 to tasks, in any split and order, on workers 0 to workers-1, and return when all are done. A call of
         the model uses it once: each task goes through the model and does what no other has begun, so one after another works, too. */
      typedef void (*@P@_parallel_for)(void *context, int64_t tasks, int32_t workers, @P@_task task, void *data);

      /* Writes at most size bytes of JSON, ended by a zero; gives the length of the whole text. */
      int @P@_describe(char *text, size_t size);

      /* Number of the level in use, counted from 0, or an error. */
      int @P@_level(void);

      /* Bytes of the packed weights; they may be shared by threads and calls, not by machines. Or an error. */
      int64_t @P@_packed_size(void);
      int @P@_prepare(void *packed);

      /* Bytes of arena for one worker, and what each further worker adds; or an error. */
      int64_t @P@_arena_size(const int64_t *dims);
      int64_t @P@_worker_size(const int64_t *dims);

      /* Runs the model; parallel may be NULL, and uses as many workers as the arena has room for. */
      int @P@_run(const void *const *inputs, void *const *outputs, const int64_t *dims, const void *packed, void *arena, size_t arena_bytes,
                  @P@_parallel_for parallel, void *context);

      /* The same, ended soon after *cancel is not 0 any more: it is read between nodes, in every turn of a loop and for every tile of work.
         Any thread may write it, with __atomic_store_n or as a volatile. One flag may be for many calls. */
      int @P@_run_cancellable(const void *const *inputs, void *const *outputs, const int64_t *dims, const void *packed, void *arena,
                              size_t arena_bytes, @P@_parallel_for parallel, void *context, const int32_t *cancel);

      #ifdef __cplusplus
      }
      #endif
      #endif
      """;
}
