package org.tersor.runtime;

import java.util.Objects;

/**
 * A fault that a user can act on: a stable code such as {@code TSR-0204}, and a message saying
 * what, where, why and what to do.
 */
public class TersorException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String code;

  public TersorException(String code, String message) {
    super(message);
    this.code = code;
  }

  public TersorException(String code, String message, Throwable cause) {
    super(message, cause);
    this.code = code;
  }

  public String code() {
    return code;
  }

  @Override
  public String getMessage() {
    return Objects.requireNonNull(super.getMessage());
  }
}
