package org.tersor.plugins.regex;

import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.HostOperator;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;
import org.tersor.runtime.DType;

/** RegexFullMatch: whether a pattern (RE2 syntax) matches a whole string. */
public final class RegexOperators implements OperatorProvider {
  @Override
  public List<Operator> operators() {
    return List.of(new RegexFullMatch());
  }

  private static final class RegexFullMatch extends HostOperator {
    RegexFullMatch() {
      super(
          OpSchema.of("", "RegexFullMatch", 20)
              .sample(
                  "X[d*]; pattern='a.*'|'[a-zA-Z]+'|''|'(a|B|ab?c)'|'-?\\d+(\\.\\d*)?'|'\\w+'|'\\S*'|'.{2,4}'|'[^a]*'|'(?i)ABC'|'\\pL+'")
              .input("X", "S")
              .output("Y", "B")
              .types("S", EnumSet.of(DType.STRING))
              .types("B", EnumSet.of(DType.BOOL))
              .required("pattern", AttributeKind.STRING)
              .tolerance(OpSchema.Tolerance.EXACT),
          new RegexMatch());
    }

    @Override
    protected List<ValueType> types(OpContext c) {
      return List.of(c.in(0).withDtype(DType.BOOL));
    }

    @Override
    protected Map<String, List<String>> settings(OpContext c) {
      return Map.of("pattern", List.of(c.stringAttr("pattern", "")));
    }
  }
}
