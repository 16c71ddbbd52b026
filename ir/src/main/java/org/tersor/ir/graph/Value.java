package org.tersor.ir.graph;

/**
 * An SSA value. Identity is the id, unique within a model (nested graphs included); the name is the
 * file's, for people and for export, and may be any text.
 */
public record Value(int id, String name) {
  /** Stands for an optional input or output that is not given. */
  public static final Value NONE = new Value(-1, "");

  public boolean isPresent() {
    return id >= 0;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Value value && id == value.id;
  }

  @Override
  public int hashCode() {
    return Integer.hashCode(id);
  }

  @Override
  public String toString() {
    return "%" + id;
  }
}
