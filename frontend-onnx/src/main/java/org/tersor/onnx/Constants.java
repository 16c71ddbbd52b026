package org.tersor.onnx;

import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** The value of a Constant node. */
final class Constants {
  private Constants() {}

  static Constant of(Map<String, Attribute> attributes, String where) {
    if (attributes.size() != 1) {
      throw error(where, "a Constant has exactly one attribute, not " + attributes.size());
    }
    var only = attributes.entrySet().iterator().next();
    String name = only.getKey();
    Attribute value = only.getValue();
    if ((name.equals("value") || name.equals("sparse_value"))
        && value instanceof Attribute.TensorAttr a) {
      return a.value();
    }
    if (name.equals("value_float") && value instanceof Attribute.FloatAttr a) {
      return Constant.of(Tensor.of(new float[] {a.value()}));
    }
    if (name.equals("value_int") && value instanceof Attribute.IntAttr a) {
      return Constant.of(Tensor.of(new long[] {a.value()}));
    }
    if (name.equals("value_string") && value instanceof Attribute.StringAttr a) {
      return Constant.of(new Tensor(DType.STRING, new long[0], new String[] {a.value()}));
    }
    if (name.equals("value_floats") && value instanceof Attribute.FloatsAttr a) {
      float[] floats = new float[a.values().size()];
      for (int i = 0; i < floats.length; i++) {
        floats[i] = a.values().get(i);
      }
      return Constant.of(Tensor.of(floats, floats.length));
    }
    if (name.equals("value_ints") && value instanceof Attribute.IntsAttr a) {
      long[] longs = a.values().stream().mapToLong(Long::longValue).toArray();
      return Constant.of(Tensor.of(longs, longs.length));
    }
    if (name.equals("value_strings") && value instanceof Attribute.StringsAttr a) {
      return Constant.of(
          new Tensor(
              DType.STRING, new long[] {a.values().size()}, a.values().toArray(String[]::new)));
    }
    throw error(
        where, "attribute " + Diag.quote(name) + " is none of a Constant, or of another type");
  }

  private static TersorException error(String where, String why) {
    return Diag.error(Diag.NODE, where + ": " + why);
  }
}
