package org.tersor.ir.ops;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** LabelEncoder (versions 1, 2, 4) and CategoryMapper of ai.onnx.ml. */
final class LabelOperators {
  private static final String ML = "ai.onnx.ml";
  private static final Set<DType> LABELS =
      Types.set(DType.STRING, DType.I64, DType.F32, DType.I32, DType.I16, DType.F64);

  private LabelOperators() {}

  static List<Operator> all() {
    return List.of(new LabelEncoder(), new CategoryMapper(), new KeyPosition());
  }

  /** An operator that looks its elements up in attributes. */
  private abstract static class Lookup extends OpBase {
    Lookup(OpSchema.Builder schema) {
      super(
          schema
              .input("X", "T1")
              .output("Y", "T2")
              .types("T1", LABELS)
              .types("T2", LABELS)
              .attribute("default_string", AttributeKind.STRING)
              .attribute("default_int64", AttributeKind.INT)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    abstract LabelMap map(OpContext c);

    final LabelMap checked(OpContext c) {
      LabelMap map = map(c);
      if (map.keys().size() + 1 != map.values().size()) {
        throw c.error(
            "TSR-0304",
            map.keys().size() + " keys do not go with " + (map.values().size() - 1) + " values");
      }
      if (map.keys().dtype() != c.dtype(0)) {
        throw c.error(
            "TSR-0302", "keys of type " + map.keys().dtype().text() + " for " + c.dtype(0).text());
      }
      return map;
    }

    @Override
    final List<ValueType> types(OpContext c) {
      return List.of(c.in(0).withDtype(checked(c).values().dtype()));
    }

    @Override
    final List<Tensor> values(EvalContext c) {
      return List.of(checked(c).apply(c, c.input(0)));
    }

    @Override
    final Lowering code(OpContext c) {
      LabelMap map = checked(c);
      return new Lowering.Decompose(b -> List.of(map.build(b, c.node().input(0))));
    }

    @Override
    final Lowering strings(OpContext c) {
      return code(c);
    }

    /** The default for values of a type. */
    static Tensor otherwise(OpContext c, DType values) {
      return switch (values) {
        case STRING -> LabelMap.string(c.stringAttr("default_string", "_Unused"));
        case F32 -> Tensor.of(new float[] {c.floatAttr("default_float", -0f)});
        case I64 -> Tensor.of(new long[] {c.intAttr("default_int64", -1)});
        default -> {
          // The specification: -1 for integers, -0 for reals.
          Tensor one = Tensor.zeros(values);
          one.setDouble(0, values.isFloat() ? -0.0 : -1);
          yield one;
        }
      };
    }
  }

  private static final class CategoryMapper extends Lookup {
    CategoryMapper() {
      super(
          OpSchema.of(ML, "CategoryMapper", 1)
              .sample(
                  "X[d*]; cats_int64s=dims(0 1 2); cats_strings=words(a, B, zebra); default_int64=-1; default_string=other")
              .required("cats_int64s", AttributeKind.INTS)
              .required("cats_strings", AttributeKind.STRINGS));
    }

    @Override
    LabelMap map(OpContext c) {
      long[] numbers = c.intsAttr("cats_int64s").orElse(new long[0]);
      Tensor integers = Tensor.of(numbers, numbers.length);
      Tensor texts = LabelMap.strings(c.stringsAttr("cats_strings").orElse(List.of()));
      boolean strings = c.dtype(0) == DType.STRING;
      Tensor values = strings ? integers : texts;
      return new LabelMap(
          strings ? texts : integers,
          LabelMap.withDefault(c, values, otherwise(c, values.dtype())));
    }
  }

  private static final class LabelEncoder extends Lookup {
    LabelEncoder() {
      super(
          OpSchema.of(ML, "LabelEncoder", 1, 2, 4)
              .sample(
                  "-1: X[d*]; -1: classes_strings!=words(a, B, zebra); -1: default_int64=-1; -1: default_string=other; 2-: X[d*]; 2-3: keys_int64s=dims(0 1 2); 2-3: values_floats=copies(3, -2.0..2.0); 4-: keys_strings=words(a, B, zebra); 4-: values_int64s=copies(3, -2..2); default_int64=-; default_float=- || 2-: X[d*]; 2-: keys_int64s=dims(0 1 2); 2-: values_strings=words(a, B, zebra); 2-: default_string=other; -1: -; default_int64=-; default_float=-")
              .attribute("classes_strings", AttributeKind.STRINGS)
              .attribute("keys_strings", AttributeKind.STRINGS)
              .attribute("keys_int64s", AttributeKind.INTS)
              .attribute("keys_floats", AttributeKind.FLOATS)
              .attribute("keys_tensor", AttributeKind.TENSOR)
              .attribute("values_strings", AttributeKind.STRINGS)
              .attribute("values_int64s", AttributeKind.INTS)
              .attribute("values_floats", AttributeKind.FLOATS)
              .attribute("values_tensor", AttributeKind.TENSOR)
              .attribute("default_float", AttributeKind.FLOAT)
              .attribute("default_tensor", AttributeKind.TENSOR));
    }

    @Override
    LabelMap map(OpContext c) {
      if (c.version() < 2) {
        Tensor classes = LabelMap.strings(c.stringsAttr("classes_strings").orElse(List.of()));
        Tensor positions = LabelMap.positions(classes.size());
        boolean strings = c.dtype(0) == DType.STRING;
        Tensor values = strings ? positions : classes;
        return new LabelMap(
            strings ? classes : positions,
            LabelMap.withDefault(c, values, otherwise(c, values.dtype())));
      }
      Tensor values = list(c, "values");
      Tensor otherwise =
          c.tensorAttr("default_tensor").orElseGet(() -> otherwise(c, values.dtype()));
      return new LabelMap(list(c, "keys"), LabelMap.withDefault(c, values, otherwise));
    }

    /** The one of the attributes of that name that is given. */
    private static Tensor list(OpContext c, String what) {
      Optional<Tensor> given = c.tensorAttr(what + "_tensor").map(t -> t.reshaped(t.size()));
      Optional<Tensor> texts = c.stringsAttr(what + "_strings").map(LabelMap::strings);
      Optional<Tensor> integers =
          c.intsAttr(what + "_int64s").map(numbers -> Tensor.of(numbers, numbers.length));
      Optional<Tensor> reals = c.floatsAttr(what + "_floats").map(LabelEncoder::reals);
      List<Tensor> all =
          java.util.stream.Stream.of(given, texts, integers, reals)
              .flatMap(Optional::stream)
              .toList();
      if (all.size() != 1) {
        throw c.error("TSR-0304", all.size() + " attributes give the " + what + "; one must");
      }
      return all.getFirst();
    }

    private static Tensor reals(List<Float> values) {
      float[] numbers = new float[values.size()];
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = values.get(i);
      }
      return Tensor.of(numbers, numbers.length);
    }
  }
}
