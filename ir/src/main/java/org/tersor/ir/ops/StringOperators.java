package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;

/**
 * Operators whose results depend on what strings say: those of the standard, and in the domain
 * {@code org.tersor} the few that everything else about strings is decomposed into.
 */
final class StringOperators {
  static final String NUMBER = "string_number";
  static final String TAKE = "string_take";
  static final String INDEX = "string_index";
  static final String PICK = "string_pick";
  static final String RANK = "string_rank";
  static final String EQUAL = "string_equal";
  static final String FORMAT = "string_format";
  static final String PARSE = "string_parse";

  private StringOperators() {}

  static List<Operator> all() {
    List<Operator> all = new ArrayList<>(standard());
    all.addAll(internal());
    return all;
  }

  private static List<Operator> standard() {
    return List.of(
        new HostRow(
            strings(OpSchema.of("", "StringConcat", 20).sample("X[d*~]; Y[d*~]"))
                .input("X", "S")
                .input("Y", "S")
                .output("Z", "S"),
            "string.concat",
            c -> List.of(broadcast(c, DType.STRING))),
        new HostRow(
            strings(OpSchema.of("", "StringSplit", 20))
                .input("X", "S")
                .output("Y", "S")
                .output("Z", "I")
                .attribute("delimiter", AttributeKind.STRING)
                .attribute("maxsplit", AttributeKind.INT),
            "string.split",
            StringOperators::pieces,
            StringOperators::splitting),
        new HostRow(
            strings(OpSchema.of("", "StringNormalizer", 10))
                .input("X", "S")
                .output("Y", "S")
                .attribute("case_change_action", AttributeKind.STRING)
                .attribute("is_case_sensitive", AttributeKind.INT)
                .attribute("stopwords", AttributeKind.STRINGS)
                .attribute("locale", AttributeKind.STRING),
            "string.normalize",
            StringOperators::normalized,
            StringOperators::normalizing));
  }

  private static List<Operator> internal() {
    return List.of(
        new HostRow(
            tersor(NUMBER).input("x", "S").output("y", "I").required("operand", AttributeKind.INT),
            "string.number",
            c -> List.of(c.in(0).withDtype(DType.I64)),
            c -> Map.of("operand", HostRow.text(c.intAttr("operand", 0)))),
        new HostRow(
            tersor(TAKE).input("numbers", "I").variadic("operands", "S").output("y", "S"),
            "string.take",
            c -> List.of(c.in(0).withDtype(DType.STRING))),
        new HostRow(
            tersor(INDEX).input("x", "S").output("y", "I").required("keys", AttributeKind.STRINGS),
            "string.index",
            c -> List.of(c.in(0).withDtype(DType.I64)),
            c -> Map.of("keys", c.stringsAttr("keys").orElse(List.of()))),
        new HostRow(
            tersor(PICK).input("x", "I").output("y", "S").required("values", AttributeKind.STRINGS),
            "string.pick",
            c -> List.of(c.in(0).withDtype(DType.STRING)),
            c -> Map.of("values", c.stringsAttr("values").orElse(List.of()))),
        new HostRow(
            tersor(RANK).input("x", "S").output("y", "I"),
            "string.rank",
            c -> List.of(c.in(0).withDtype(DType.I64))),
        new HostRow(
            tersor(EQUAL).input("a", "S").input("b", "S").output("y", "B"),
            "string.equal",
            c -> List.of(broadcast(c, DType.BOOL))),
        new HostRow(
            tersor(FORMAT).input("x", "N").output("y", "S").types("N", Types.ALL),
            "string.format",
            c -> List.of(c.in(0).withDtype(DType.STRING))),
        new HostRow(
            tersor(PARSE)
                .input("x", "S")
                .output("y", "P")
                .types("P", Types.set(DType.F32, DType.F64, DType.I64, DType.U64))
                .required("to", AttributeKind.INT),
            "string.parse",
            c -> List.of(c.in(0).withDtype(OnnxTypes.of(c, c.intAttr("to", 0)))),
            c -> Map.of("to", HostRow.text(OnnxTypes.of(c, c.intAttr("to", 0))))));
  }

  private static OpSchema.Builder tersor(String name) {
    return strings(OpSchema.of(OpKey.TERSOR, name, 1)).types("B", Types.BOOL);
  }

  private static OpSchema.Builder strings(OpSchema.Builder schema) {
    return schema.types("S", Types.set(DType.STRING)).types("I", Types.I64);
  }

  private static TensorType broadcast(OpContext c, DType dtype) {
    Optional<List<List<DimExpr>>> shapes = OpBase.shapes(c, 0, 2);
    return new TensorType(dtype, shapes.map(s -> Shapes.broadcast(c, s)));
  }

  private static List<ValueType> pieces(OpContext c) {
    TensorType x = c.in(0);
    Optional<List<DimExpr>> dims =
        x.shape()
            .map(d -> {
              List<DimExpr> wider = new ArrayList<>(d);
              wider.add(OpBase.unknown(c, 0));
              return wider;
            });
    return List.of(new TensorType(DType.STRING, dims), x.withDtype(DType.I64));
  }

  private static Map<String, List<String>> splitting(OpContext c) {
    Map<String, List<String>> settings = new LinkedHashMap<>();
    settings.put("delimiter", List.of(c.stringAttr("delimiter", "")));
    if (c.has("maxsplit")) {
      settings.put("maxsplit", HostRow.text(c.intAttr("maxsplit", 0)));
    }
    return settings;
  }

  private static List<ValueType> normalized(OpContext c) {
    if (!c.in(0).isRanked()) {
      return List.of(c.in(0));
    }
    List<DimExpr> dims = new ArrayList<>(c.dims(0));
    if (dims.isEmpty() || dims.size() > 2) {
      throw c.error("TSR-0303", "strings of shape [C] or [1, C] are needed");
    }
    dims.set(dims.size() - 1, OpBase.unknown(c, 0));
    return List.of(TensorType.of(DType.STRING, dims));
  }

  private static Map<String, List<String>> normalizing(OpContext c) {
    String action = c.stringAttr("case_change_action", "NONE");
    if (!List.of("NONE", "LOWER", "UPPER").contains(action)) {
      throw c.error("TSR-0304", "case_change_action '" + action + "' is not defined");
    }
    return Map.of(
        "case_change_action", List.of(action),
        "is_case_sensitive", HostRow.text(c.intAttr("is_case_sensitive", 0)),
        "stopwords", c.stringsAttr("stopwords").orElse(List.of()));
  }
}
