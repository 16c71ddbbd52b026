package org.tersor.ir.op;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.host.HostCall;
import org.tersor.runtime.host.HostOp;

/**
 * An operator whose evaluation is a host operation, in the interpreter as in compiled code. What is
 * left to say is the schema, the types and the settings.
 */
public abstract class HostOperator implements Operator {
  private final OpSchema schema;
  private final HostOp op;

  protected HostOperator(OpSchema.Builder schema, HostOp op) {
    this.schema = schema.build();
    this.op = op;
  }

  @Override
  public final OpSchema schema() {
    return schema;
  }

  @Override
  public final List<ValueType> infer(OpContext context) {
    Operands.check(schema, context);
    return List.copyOf(types(context));
  }

  /** Output types; operands are checked against the schema already. */
  protected abstract List<? extends ValueType> types(OpContext c);

  /** Attributes as text, with defaults filled in; a diagnostic if one makes no sense. */
  protected Map<String, List<String>> settings(OpContext c) {
    return Map.of();
  }

  @Override
  public final List<Datum> eval(EvalContext context) {
    Operands.check(schema, context);
    List<Optional<Datum>> inputs = new ArrayList<>();
    for (int i = 0; i < context.inputCount(); i++) {
      inputs.add(context.hasInput(i) ? Optional.of(context.datum(i)) : Optional.empty());
    }
    return op.run(
        new HostCall(
            context.node().label(), inputs, settings(context), Math.max(1, context.outputCount())));
  }

  @Override
  public final Lowering lower(OpContext context) {
    return new Lowering.Host(op.id(), settings(context));
  }
}
