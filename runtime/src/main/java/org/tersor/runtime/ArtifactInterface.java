package org.tersor.runtime;

import java.util.Optional;

/**
 * How a program that opens an artifact calls it, as a number that the artifact carries. It rises
 * with every change by which a program and an artifact of different versions could misunderstand
 * each other: members that are called by name, arguments of functions in C, the fields of
 * descriptions. Whoever calls an artifact by the class or the header that came with it needs none
 * of this.
 */
public enum ArtifactInterface {
  /** Main attribute {@link #NAME} of a jar's manifest. */
  JAR(3),
  /** Field {@code interface} of what a library's describe function says. */
  LIBRARY(2);

  /** Name of the attribute in manifests. */
  public static final String NAME = "Tersor-Interface";

  private final int number;

  ArtifactInterface(int number) {
    this.number = number;
  }

  /** The number that artifacts of this version carry. */
  public int number() {
    return number;
  }

  /**
   * Ends with a diagnostic unless an artifact carries the number of this version.
   *
   * @param artifact its name, for the message
   * @param found what it carries; artifacts of the first versions carry none
   */
  public void check(String artifact, Optional<String> found) {
    if (found.filter(Integer.toString(number)::equals).isEmpty()) {
      String where = found.map(f -> "interface " + f).orElse("an interface without a number");
      throw new TersorException(
          "TSR-0910",
          artifact
              + " was made by another version of Tersor: it has "
              + where
              + ", this version opens "
              + number
              + ". Compile the model again"
              + (this == JAR ? ", or run it as it is with 'java -jar'" : ""));
    }
  }
}
