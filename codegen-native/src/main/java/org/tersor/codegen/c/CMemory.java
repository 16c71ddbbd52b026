package org.tersor.codegen.c;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.IntFunction;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;

/**
 * Loads and stores of vectors: plain, masked (lanes that are off touch no memory), gathered and
 * scattered.
 */
final class CMemory {
  private final CUnit unit;
  private final CLift lift;

  CMemory(CUnit unit) {
    this.unit = unit;
    this.lift = new CLift(unit);
  }

  String load(Type t, String address) {
    return "(*(const " + unit.memory(t) + " *)(" + address + "))";
  }

  String store(Type t, String address, String value) {
    return "*(" + unit.memory(t) + " *)(" + address + ") = " + value;
  }

  /** Masked load; the mask has the width of the scalar. */
  String loadMasked(Type t, String address, String mask) {
    Scalar s = CUnit.carrier(t.scalar());
    String name =
        lift.lift(
            new CLift.Lanewise(
                "tsr_mload_" + s.text(),
                Optional.of(new CLift.Operand.Vector("r", s)),
                List.of(
                    new CLift.Operand.Address("p", s, false),
                    new CLift.Operand.Mask("m", s.bytes())),
                Optional.of("m"),
                List::getFirst,
                lanes ->
                    inRegister(
                        s,
                        lanes,
                        "return (%1$s)%2$s_maskz_loadu_epi%3$d(m, p);",
                        "return (%1$s)%2$s_maskload_epi%3$d((const %5$s *)p, (%4$s)m);")),
            t.lanes());
    return name + "(" + address + ", " + mask + ")";
  }

  String storeMasked(Type t, String address, String mask, String value) {
    Scalar s = CUnit.carrier(t.scalar());
    String name =
        lift.lift(
            new CLift.Lanewise(
                "tsr_mstore_" + s.text(),
                Optional.empty(),
                List.of(
                    new CLift.Operand.Address("p", s, true),
                    new CLift.Operand.Mask("m", s.bytes()),
                    new CLift.Operand.Vector("v", s)),
                Optional.of("m"),
                lanes -> lanes.get(0) + " = " + lanes.get(2),
                lanes ->
                    inRegister(
                        s,
                        lanes,
                        "%2$s_mask_storeu_epi%3$d(p, m, (%4$s)v);",
                        "%2$s_maskstore_epi%3$d((%5$s *)p, (%4$s)m, (%4$s)v);")),
            t.lanes());
    return name + "(" + address + ", " + mask + ", " + value + ")";
  }

  /**
   * The text for mask registers or for masks as vectors, where there is such an instruction, with
   * 1: the vector type, 2: the prefix, 3: the bits of a lane, 4: the integer register, 5: the
   * pointer's element.
   */
  private Optional<String> inRegister(Scalar s, int lanes, String bitMasks, String vectorMasks) {
    int bytes = lanes * s.bytes();
    boolean bits = unit.isa().bitMasks();
    if (!unit.isa().registers(bytes) || (!bits && s.bytes() < 4)) {
      return Optional.empty();
    }
    return Optional.of(
        (bits ? bitMasks : vectorMasks)
            .formatted(
                unit.type(new Type(s, lanes)),
                CLift.prefix(bytes),
                s.bytes() * 8,
                CLift.register(Scalar.I32, bytes),
                s.bytes() == 4 ? "int" : "long long"));
  }

  /**
   * One element per lane.
   *
   * @param stride bytes between elements of the buffer
   */
  String gather(Type t, int stride, String base, String index, Optional<String> mask) {
    Scalar s = CUnit.carrier(t.scalar());
    String name =
        spread("gather", s, stride, mask.isPresent(), Optional.of(new CLift.Operand.Vector("r", s)))
            .apply(t.lanes());
    return name + "(" + base + ", " + index + mask.map(m -> ", " + m).orElse("") + ")";
  }

  String scatter(
      Type t, int stride, String base, String index, Optional<String> mask, String value) {
    String name =
        spread("scatter", CUnit.carrier(t.scalar()), stride, mask.isPresent(), Optional.empty())
            .apply(t.lanes());
    return name
        + "(%s, %s%s, %s)".formatted(base, index, mask.map(m -> ", " + m).orElse(""), value);
  }

  /** A gather, or (without a result) a scatter. */
  private IntFunction<String> spread(
      String stem, Scalar s, int stride, boolean masked, Optional<CLift.Operand> result) {
    boolean stores = result.isEmpty();
    List<CLift.Operand> params = new ArrayList<>();
    params.add(new CLift.Operand.Base("p", stores));
    params.add(new CLift.Operand.Vector("x", Scalar.I64));
    if (masked) {
      params.add(new CLift.Operand.Mask("m", s.bytes()));
    }
    if (stores) {
      params.add(new CLift.Operand.Vector("v", s));
    }
    String element =
        "*(%1$s%2$s *)((%1$schar *)p + x[i] * %3$d)"
            .formatted(stores ? "" : "const ", unit.memory(Type.of(s)), stride);
    CLift.Lanewise form =
        new CLift.Lanewise(
            "tsr_%s_%s_s%d%s".formatted(stem, s.text(), stride, masked ? "_m" : ""),
            result,
            params,
            masked ? Optional.of("m") : Optional.empty(),
            lanes -> stores ? element + " = " + lanes.getLast() : element,
            lanes -> Optional.empty());
    return lanes -> lift.lift(form, lanes);
  }
}
