package org.tersor.conformance.diff;

import java.util.List;
import java.util.Optional;

/**
 * What became of one graph.
 *
 * @param backend that disagreed; empty if it is about the graph itself
 * @param operator the operator to blame, or the whole chain of them
 * @param type element types of its operands
 * @param detail for a person
 * @param mismatch how results differ, if they do
 * @param small the smallest graph that shows it
 */
record Finding(
    long seed,
    Kind kind,
    String backend,
    String operator,
    String type,
    String detail,
    Optional<Mismatch> mismatch,
    Optional<DrawnGraph> small) {
  static Finding of(long seed, Kind kind, String operator) {
    return new Finding(seed, kind, "", operator, "", "", Optional.empty(), Optional.empty());
  }

  Finding withMismatch(Mismatch found) {
    return new Finding(seed, kind, backend, operator, type, detail, Optional.of(found), small);
  }

  /** Kinds of outcome, and whether they are disagreements. */
  enum Kind {
    AGREES(false),
    /** No inputs were found for which rounding does not decide. */
    CHAOTIC(false),
    /** The reference has no kernel for the types or version. */
    NO_KERNEL(false),
    /** Compiled code does not do it, as the documents say; the interpreter did. */
    BEYOND_COMPILATION(false),
    /** Both refuse the node. */
    BOTH_REFUSE(false),
    REFERENCE_REFUSES(true),
    REFERENCE_CRASHES(true),
    REFERENCE_HANGS(true),
    WE_REFUSE(true),
    /** The backend cannot compile it, though evaluation can run it. */
    NOT_COMPILED(true),
    INTERNAL_ERROR(true),
    SHAPE(true),
    TYPE(true),
    VALUES(true);

    private final boolean disagreement;

    Kind(boolean disagreement) {
      this.disagreement = disagreement;
    }

    /** Whether both may be one fault: a node after it may hide the shape or type of a result. */
    boolean isLike(Kind other) {
      return this == other || (isResult() && other.isResult());
    }

    private boolean isResult() {
      return this == SHAPE || this == TYPE || this == VALUES;
    }

    boolean isDisagreement() {
      return disagreement;
    }
  }

  /** Findings that probably have one cause. */
  String group() {
    return String.join(
        " ", List.of(kind.name(), backend.isEmpty() ? "-" : backend, operator, type));
  }
}
