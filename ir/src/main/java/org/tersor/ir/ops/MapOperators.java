package org.tersor.ir.ops;

import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.MapType;
import org.tersor.ir.graph.ValueType.SequenceType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;

/** Maps between tensors: CastMap, DictVectorizer, ZipMap of ai.onnx.ml. */
final class MapOperators {
  private static final String ML = "ai.onnx.ml";
  private static final Set<DType> VALUES = Types.set(DType.STRING, DType.I64, DType.F32, DType.F64);

  private MapOperators() {}

  static List<Operator> all() {
    return List.of(
        new HostRow(
            OpSchema.of(ML, "CastMap", 1)
                .input("X", "map(K, V)")
                .output("Y", "R")
                .types("K", Types.I64)
                .types("V", Types.set(DType.STRING, DType.F32))
                .types("R", Types.set(DType.STRING, DType.F32, DType.I64))
                .attribute("cast_to", AttributeKind.STRING)
                .attribute("map_form", AttributeKind.STRING)
                .attribute("max_map", AttributeKind.INT),
            "map.cast",
            c -> List.of(TensorType.of(castTo(c), List.of(DimExpr.ONE, columns(c)))),
            c ->
                Map.of(
                    "cast_to", HostRow.text(castTo(c)),
                    "map_form", List.of(isSparse(c) ? "SPARSE" : "DENSE"),
                    "max_map", HostRow.text(c.intAttr("max_map", 1)))),
        new HostRow(
            OpSchema.of(ML, "DictVectorizer", 1)
                .input("X", "map(K, V)")
                .output("Y", "V")
                .types("K", Types.set(DType.STRING, DType.I64))
                .types("V", VALUES)
                .attribute("string_vocabulary", AttributeKind.STRINGS)
                .attribute("int64_vocabulary", AttributeKind.INTS),
            "map.vectorize",
            MapOperators::vector,
            c -> Map.of("vocabulary", texts(c, "string_vocabulary", "int64_vocabulary"))),
        new HostRow(
            OpSchema.of(ML, "ZipMap", 1)
                .input("X", "V")
                .output("Z", "seq(map(K, V))")
                .types("K", Types.set(DType.STRING, DType.I64))
                .types("V", Types.set(DType.F32))
                .attribute("classlabels_strings", AttributeKind.STRINGS)
                .attribute("classlabels_int64s", AttributeKind.INTS),
            "map.zip",
            c -> List.of(new SequenceType(new MapType(key(c), TensorType.of(c.dtype(0))))),
            c ->
                Map.of(
                    "key", HostRow.text(key(c)),
                    "classes", texts(c, "classlabels_strings", "classlabels_int64s"))));
  }

  private static DType castTo(OpContext c) {
    String name = c.stringAttr("cast_to", "TO_FLOAT");
    return switch (name) {
      case "TO_FLOAT" -> DType.F32;
      case "TO_INT64" -> DType.I64;
      case "TO_STRING" -> DType.STRING;
      default -> throw c.error("TSR-0304", "cast_to '" + name + "' is not defined");
    };
  }

  private static boolean isSparse(OpContext c) {
    String form = c.stringAttr("map_form", "DENSE");
    if (!form.equals("DENSE") && !form.equals("SPARSE")) {
      throw c.error("TSR-0304", "map_form '" + form + "' is not defined");
    }
    return form.equals("SPARSE");
  }

  private static DimExpr columns(OpContext c) {
    return isSparse(c)
        ? DimExpr.of(Math.max(0, c.intAttr("max_map", 1)))
        : DimExpr.symbol("_data" + c.node().id() + "_0");
  }

  private static List<ValueType> vector(OpContext c) {
    int size = texts(c, "string_vocabulary", "int64_vocabulary").size();
    return List.of(
        c.inputType(0) instanceof MapType(DType _, ValueType value)
            ? TensorType.of(value.tensor().dtype(), 1, size)
            : ValueType.UNKNOWN);
  }

  private static DType key(OpContext c) {
    return c.has("classlabels_strings") ? DType.STRING : DType.I64;
  }

  /** One of two attributes; a diagnostic if both or none are given. */
  private static List<String> texts(OpContext c, String strings, String integers) {
    List<String> texts = c.stringsAttr(strings).orElse(List.of());
    long[] numbers = c.intsAttr(integers).orElse(new long[0]);
    if (texts.isEmpty() == (numbers.length == 0)) {
      throw c.error("TSR-0304", "either '" + strings + "' or '" + integers + "' must be given");
    }
    return texts.isEmpty()
        ? java.util.Arrays.stream(numbers).mapToObj(Long::toString).toList()
        : texts;
  }
}
