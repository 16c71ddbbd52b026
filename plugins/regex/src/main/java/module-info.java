import org.jspecify.annotations.NullMarked;

/** RegexFullMatch. */
@NullMarked
module org.tersor.plugins.regex {
  requires static transitive org.jspecify;
  requires transitive org.tersor.ir;
  requires re2j;

  provides org.tersor.ir.op.OperatorProvider with
      org.tersor.plugins.regex.RegexOperators;
  provides org.tersor.runtime.host.HostPack with
      org.tersor.plugins.regex.RegexPack;
}
