package org.tersor.plugins.regex;

import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import java.util.List;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.host.HostCall;
import org.tersor.runtime.host.HostOp;

/** Strings to whether they match setting {@code pattern} from end to end. */
final class RegexMatch implements HostOp {
  /** Largest size of a pattern with its counted repetitions written out. */
  private static final long LARGEST = 20_000;

  @Override
  public String id() {
    return "regex.match";
  }

  @Override
  public List<Datum> run(HostCall call) {
    String text = call.setting("pattern");
    if (new PatternSize(text).estimate() > LARGEST) {
      throw call.error(
          "TSR-0304", "the pattern's repetitions make more than " + LARGEST + " parts");
    }
    Pattern pattern;
    try {
      pattern = Pattern.compile(text);
    } catch (PatternSyntaxException e) {
      throw call.error("TSR-0304", "the pattern is not valid RE2: " + e.getMessage());
    }
    String[] x = call.strings(0);
    Tensor out = call.allocate(DType.BOOL, call.tensor(0).shape());
    for (int i = 0; i < x.length; i++) {
      out.bytes()[i] = (byte) (pattern.matches(x[i]) ? 1 : 0);
    }
    return List.of(out);
  }
}
