package org.tersor.ir.graph;

/**
 * An operator as a node names it.
 *
 * @param domain "" for ai.onnx; "ai.onnx.ml", "com.microsoft", "org.tersor", ...
 * @param version the opset version of the domain that the model imports (not the operator's
 *     since-version)
 */
public record OpKey(String domain, String type, int version) {
  /** The domain of operators that only exist inside the compiler: fq, decode, ... */
  public static final String TERSOR = "org.tersor";

  @Override
  public String toString() {
    return (domain.isEmpty() ? "" : domain + ".") + type + "-" + version;
  }

  public boolean is(String otherDomain, String otherType) {
    return domain.equals(otherDomain) && type.equals(otherType);
  }

  /** Whether this is the standard operator of that name, of any version. */
  public boolean is(String otherType) {
    return is("", otherType);
  }
}
