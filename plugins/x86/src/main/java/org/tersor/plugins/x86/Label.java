package org.tersor.plugins.x86;

/** A place in code. Identity counts. */
final class Label {
  static final Label NONE = new Label();

  private int position = -1;

  boolean isBound() {
    return position >= 0;
  }

  int position() {
    return position;
  }

  void bind(int at) {
    position = at;
  }
}
