package org.tersor.codegen.c;

import java.util.Map;

/** The C text of a model for one instruction set, as {@code library.c} calls it. */
sealed interface LibraryCode permits ProgramC, ScriptC {
  Isa isa();

  /** What its functions and files begin with. */
  String prefix();

  /** Bytes of the packed weights. */
  long packedBytes();

  /** Entries of the table of offsets into the arena. */
  int slots();

  /** Steps run once. */
  int loadSteps();

  /** Steps of a call. */
  int runSteps();

  /** Names and texts of the files, in a fixed order. */
  Map<String, String> files();
}
