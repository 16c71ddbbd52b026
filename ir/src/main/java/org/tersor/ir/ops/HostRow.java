package org.tersor.ir.ops;

import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.HostOperator;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.host.HostOps;

/** One operator that is a host operation of the runtime: schema, types and settings. */
final class HostRow extends HostOperator {
  private static final HostOps OPS = HostOps.builtIn();

  private final Function<OpContext, List<? extends ValueType>> types;
  private final Function<OpContext, Map<String, List<String>>> settings;

  HostRow(
      OpSchema.Builder schema,
      String hostOp,
      Function<OpContext, List<? extends ValueType>> types,
      Function<OpContext, Map<String, List<String>>> settings) {
    super(schema.tolerance(OpSchema.Tolerance.EXACT), OPS.get(hostOp));
    this.types = types;
    this.settings = settings;
  }

  HostRow(
      OpSchema.Builder schema,
      String hostOp,
      Function<OpContext, List<? extends ValueType>> types) {
    this(schema, hostOp, types, c -> Map.of());
  }

  @Override
  protected List<? extends ValueType> types(OpContext c) {
    return types.apply(c);
  }

  @Override
  protected Map<String, List<String>> settings(OpContext c) {
    return settings.apply(c);
  }

  /** A setting of one number. */
  static List<String> text(long value) {
    return List.of(Long.toString(value));
  }

  /** A setting of an element type. */
  static List<String> text(org.tersor.runtime.DType type) {
    return List.of(type.text());
  }
}
