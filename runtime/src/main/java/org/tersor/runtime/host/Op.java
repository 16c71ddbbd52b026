package org.tersor.runtime.host;

import java.util.List;
import java.util.function.Function;
import org.tersor.runtime.Datum;

/** A host operation with one result. */
record Op(String id, Function<HostCall, Datum> body) implements HostOp {
  @Override
  public List<Datum> run(HostCall call) {
    return List.of(body.apply(call));
  }
}
