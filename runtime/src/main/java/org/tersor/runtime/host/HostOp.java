package org.tersor.runtime.host;

import java.util.List;
import org.tersor.runtime.Datum;

/**
 * An operation that runs in Java, in the interpreter and in compiled models alike, because its
 * operands are no arrays of numbers or its result is no kernel's work. Without state; called by
 * several threads at once.
 */
public interface HostOp {

  /** Unique among all packs, by convention {@code subject.verb} in lower case. */
  String id();

  /**
   * One value per output of the node, {@link HostCall#outputs} in number.
   *
   * @throws org.tersor.runtime.TersorException if the operands do not allow it
   */
  List<Datum> run(HostCall call);
}
