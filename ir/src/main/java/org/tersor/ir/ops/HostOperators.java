package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;

/** Operators on strings, sequences, optionals, maps and labels: one line per group. */
public final class HostOperators implements OperatorProvider {
  @Override
  public List<Operator> operators() {
    List<Operator> all = new ArrayList<>();
    all.addAll(SequenceOperators.all());
    all.addAll(OptionalOperators.all());
    all.addAll(StringOperators.all());
    all.addAll(MapOperators.all());
    all.addAll(LabelOperators.all());
    all.add(new TfIdfVectorizer());
    all.add(new GramCounts());
    return List.copyOf(all);
  }
}
