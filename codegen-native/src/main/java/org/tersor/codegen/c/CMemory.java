package org.tersor.codegen.c;

import java.util.Optional;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;

/**
 * Loads and stores of vectors: plain, masked (lanes that are off touch no memory), gathered and
 * scattered.
 */
final class CMemory {
  private final CUnit unit;
  private final CMasks masks;

  CMemory(CUnit unit, CMasks masks) {
    this.unit = unit;
    this.masks = masks;
  }

  String load(Type t, String address) {
    return "(*(const " + unit.memory(t) + " *)(" + address + "))";
  }

  String store(Type t, String address, String value) {
    return "*(" + unit.memory(t) + " *)(" + address + ") = " + value;
  }

  /** Masked load; the mask has the width of the scalar. */
  String loadMasked(Type t, String address, String mask) {
    return maskedLoad(t) + "(" + address + ", " + mask + ")";
  }

  private String maskedLoad(Type t) {
    Scalar s = CUnit.carrier(t.scalar());
    int lanes = t.lanes();
    String name = "tsr_mload_" + s.text() + "_x" + lanes;
    return unit.helper(
        name,
        () -> {
          String type = unit.type(t);
          String head =
              "TSR_FN "
                  + type
                  + " "
                  + name
                  + "(const void *p, "
                  + masks.type(lanes, s.bytes())
                  + " m) { ";
          Optional<String> form = registerForm(s, t.bytes());
          if (form.isPresent()) {
            String prefix = CLift.prefix(t.bytes());
            return head
                + (unit.isa().bitMasks()
                    ? "return ("
                        + type
                        + ")"
                        + prefix
                        + "_maskz_loadu_epi"
                        + s.bytes() * 8
                        + "(m, p); }"
                    : "return ("
                        + type
                        + ")"
                        + prefix
                        + "_maskload_epi"
                        + s.bytes() * 8
                        + "((const "
                        + form.get()
                        + " *)p, ("
                        + CLift.register(Scalar.I32, t.bytes())
                        + ")m); }");
          }
          if (t.bytes() > unit.isa().widest()
              && unit.isa().registers(unit.isa().widest())
              && registerForm(s, unit.isa().widest()).isPresent()) {
            Type half = t.withLanes(lanes / 2);
            String part = unit.type(half);
            String function = maskedLoad(half);
            return head
                + "union { "
                + type
                + " v; "
                + part
                + " p[2]; } r; "
                + maskParts(lanes, s.bytes())
                + "r.p[0] = "
                + function
                + "(p, m0); r.p[1] = "
                + function
                + "((const char *)p + "
                + half.bytes()
                + ", m1); return r.v; }";
          }
          return head
              + type
              + " r = {}; for (int i = 0; i < "
              + lanes
              + "; i++) if ("
              + masks.lane("m")
              + ") r[i] = ((const "
              + unit.memory(Type.of(s))
              + " *)p)[i]; return r; }";
        });
  }

  /** The pointer's element type if there is a masked load and store of that size. */
  private Optional<String> registerForm(Scalar s, int bytes) {
    if (!unit.isa().registers(bytes) || (!unit.isa().bitMasks() && s.bytes() < 4)) {
      return Optional.empty();
    }
    return Optional.of(s.bytes() == 4 ? "int" : "long long");
  }

  /** Declares m0 and m1, the halves of m. */
  private String maskParts(int lanes, int width) {
    String part = masks.type(lanes / 2, width);
    return unit.isa().bitMasks()
        ? part + " m0 = (" + part + ")m, m1 = (" + part + ")(m >> " + lanes / 2 + "); "
        : "union { "
            + masks.type(lanes, width)
            + " v; "
            + part
            + " p[2]; } mm; mm.v = m; "
            + part
            + " m0 = mm.p[0], m1 = mm.p[1]; ";
  }

  String storeMasked(Type t, String address, String mask, String value) {
    return maskedStore(t) + "(" + address + ", " + mask + ", " + value + ")";
  }

  private String maskedStore(Type t) {
    Scalar s = CUnit.carrier(t.scalar());
    int lanes = t.lanes();
    String name = "tsr_mstore_" + s.text() + "_x" + lanes;
    return unit.helper(
        name,
        () -> {
          String type = unit.type(t);
          String head =
              "TSR_FN void "
                  + name
                  + "(void *p, "
                  + masks.type(lanes, s.bytes())
                  + " m, "
                  + type
                  + " v) { ";
          Optional<String> form = registerForm(s, t.bytes());
          if (form.isPresent()) {
            String prefix = CLift.prefix(t.bytes());
            String register = CLift.register(Scalar.I32, t.bytes());
            return head
                + (unit.isa().bitMasks()
                    ? prefix + "_mask_storeu_epi" + s.bytes() * 8 + "(p, m, (" + register + ")v); }"
                    : prefix
                        + "_maskstore_epi"
                        + s.bytes() * 8
                        + "(("
                        + form.get()
                        + " *)p, ("
                        + register
                        + ")m, ("
                        + register
                        + ")v); }");
          }
          if (t.bytes() > unit.isa().widest() && registerForm(s, unit.isa().widest()).isPresent()) {
            Type half = t.withLanes(lanes / 2);
            String part = unit.type(half);
            String function = maskedStore(half);
            return head
                + "union { "
                + type
                + " v; "
                + part
                + " p[2]; } x; x.v = v; "
                + maskParts(lanes, s.bytes())
                + function
                + "(p, m0, x.p[0]); "
                + function
                + "((char *)p + "
                + half.bytes()
                + ", m1, x.p[1]); }";
          }
          return head
              + "for (int i = 0; i < "
              + lanes
              + "; i++) if ("
              + masks.lane("m")
              + ") (("
              + unit.memory(Type.of(s))
              + " *)p)[i] = v[i]; }";
        });
  }

  /**
   * One element per lane.
   *
   * @param stride bytes between elements of the buffer
   */
  String gather(Type t, int stride, String base, String index, Optional<String> mask) {
    Scalar s = CUnit.carrier(t.scalar());
    int lanes = t.lanes();
    String name =
        "tsr_gather_" + s.text() + "_x" + lanes + "_s" + stride + (mask.isPresent() ? "_m" : "");
    unit.helper(
        name,
        () -> {
          String type = unit.type(t);
          String indices = unit.type(new Type(Scalar.I64, lanes));
          String maskParameter = mask.isPresent() ? ", " + masks.type(lanes, s.bytes()) + " m" : "";
          return "TSR_FN "
              + type
              + " "
              + name
              + "(const void *p, "
              + indices
              + " x"
              + maskParameter
              + ") { "
              + type
              + " r = {}; for (int i = 0; i < "
              + lanes
              + "; i++) "
              + (mask.isPresent() ? "if (" + masks.lane("m") + ") " : "")
              + "r[i] = *(const "
              + unit.memory(Type.of(s))
              + " *)((const char *)p + x[i] * "
              + stride
              + "); return r; }";
        });
    return name + "(" + base + ", " + index + mask.map(m -> ", " + m).orElse("") + ")";
  }

  String scatter(
      Type t, int stride, String base, String index, Optional<String> mask, String value) {
    Scalar s = CUnit.carrier(t.scalar());
    int lanes = t.lanes();
    String name =
        "tsr_scatter_" + s.text() + "_x" + lanes + "_s" + stride + (mask.isPresent() ? "_m" : "");
    unit.helper(
        name,
        () -> {
          String type = unit.type(t);
          String indices = unit.type(new Type(Scalar.I64, lanes));
          String maskParameter = mask.isPresent() ? ", " + masks.type(lanes, s.bytes()) + " m" : "";
          return "TSR_FN void "
              + name
              + "(void *p, "
              + indices
              + " x"
              + maskParameter
              + ", "
              + type
              + " v) { for (int i = 0; i < "
              + lanes
              + "; i++) "
              + (mask.isPresent() ? "if (" + masks.lane("m") + ") " : "")
              + "*("
              + unit.memory(Type.of(s))
              + " *)((char *)p + x[i] * "
              + stride
              + ") = v[i]; }";
        });
    return name
        + "("
        + base
        + ", "
        + index
        + mask.map(m -> ", " + m).orElse("")
        + ", "
        + value
        + ")";
  }
}
