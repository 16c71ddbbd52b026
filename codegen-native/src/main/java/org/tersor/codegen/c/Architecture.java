package org.tersor.codegen.c;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.spi.ModelProgram;
import org.tersor.runtime.TersorException;

/** What code is compiled for: this machine, or a family of processors by a cross compiler. */
enum Architecture {
  /** This machine's compiler: the environment variable CC, else {@code cc}. */
  HOST("CC", "cc", ""),
  /**
   * A cross compiler: CC_AARCH64, else {@code aarch64-linux-gnu-gcc}. Atomics are instructions, as
   * there is no library whose functions they could call.
   */
  AARCH64("CC_AARCH64", "aarch64-linux-gnu-gcc", "-mno-outline-atomics");

  private final String variable;
  private final String command;
  private final String flags;

  Architecture(String variable, String command, String flags) {
    this.variable = variable;
    this.command = command;
    this.flags = flags;
  }

  /** The one that all of these targets have, as code for several cannot be in one library. */
  static Architecture of(List<ModelProgram> models) {
    List<Architecture> all =
        models.stream().map(model -> Isa.of(model.target()).architecture()).distinct().toList();
    if (all.size() > 1) {
      throw new TersorException(
          "TSR-0603",
          "one library cannot hold code for "
              + models.stream().map(model -> model.target().name()).toList()
              + ", which are targets of different processors; write a library for each");
    }
    return all.getFirst();
  }

  /** Command words of the compiler. */
  List<String> cc() {
    String cc = System.getenv(variable);
    return cc == null || cc.isBlank() ? List.of(command) : List.of(cc.trim().split("\\s+"));
  }

  /** Why there is no such compiler; empty if there is one. */
  Optional<String> unavailable() {
    String first = cc().getFirst();
    return Toolchain.find(first).isPresent()
        ? Optional.empty()
        : Optional.of(
            "no C compiler: '"
                + first
                + "' is not on the path; install gcc (or clang), or set "
                + variable);
  }

  /** A command of the compiler, with the flags that all generated code has. */
  List<String> command(List<String> more, String... last) {
    List<String> words = new ArrayList<>(cc());
    words.addAll(Toolchain.FLAGS);
    if (!flags.isEmpty()) {
      words.add(flags);
    }
    words.addAll(more);
    words.addAll(List.of(last));
    return words;
  }
}
