package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Einsum: sums of products over named axes; spaces are ignored, "..." broadcasts, a letter twice in
 * one term is its diagonal.
 */
final class EinsumOperator extends OpBase {
  /** Hours of work. */
  private static final double MOST_PRODUCTS = 0x1p40;

  EinsumOperator() {
    super(
        OpSchema.of("", "Einsum", 12)
            .sample(
                "operands=2; Inputs[n n]; equation='ij,jk->ik'|'ij,jk'|'ij,ij->'|'ij,kl->lj'|'ii,ij->j'|'...j,...j->...'|'ij,ji->i' || operands=1; Inputs[n n]; equation='ij->ji'|'ii->i'|'ii'|'ij->j'|'...j->j...' || operands=3; Inputs[n n]; equation='ij,jk,kl->il'|'ij,ij,ij->i'")
            .variadic("Inputs", "T")
            .output("Output", "T")
            .types("T", Types.NUMERIC)
            .required("equation", OpSchema.AttributeKind.STRING)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  /**
   * Names of each operand's axes and of the result's; axes of an ellipsis are named by digits, the
   * last "0".
   */
  private record Equation(List<List<String>> inputs, List<String> output) {}

  private static Equation equation(OpContext c) {
    String text = c.stringAttr("equation", "").replace(" ", "");
    int arrow = text.indexOf("->");
    String[] terms = (arrow < 0 ? text : text.substring(0, arrow)).split(",", -1);
    if (terms.length != c.inputCount()) {
      throw c.error(
          "TSR-0304",
          "the equation has " + terms.length + " terms for " + c.inputCount() + " inputs");
    }
    List<List<String>> inputs = new ArrayList<>();
    int widest = 0;
    Map<String, Integer> uses = new java.util.TreeMap<>();
    for (int i = 0; i < terms.length; i++) {
      int letters = terms[i].replace("...", "").length();
      int dots = terms[i].contains("...") ? c.rank(i) - letters : 0;
      List<String> names = names(c, terms[i], dots);
      if (names.size() != c.rank(i)) {
        throw c.error(
            "TSR-0304",
            "term " + i + " of the equation names " + names.size() + " axes for rank " + c.rank(i));
      }
      widest = Math.max(widest, dots);
      names.forEach(n -> uses.merge(n, 1, Integer::sum));
      inputs.add(names);
    }
    List<String> output = new ArrayList<>();
    if (arrow >= 0) {
      output = names(c, text.substring(arrow + 2), widest);
      if (!uses.keySet().containsAll(output)
          || output.stream().distinct().count() != output.size()) {
        throw c.error(
            "TSR-0304", "the result of the equation names an axis that no term has, or one twice");
      }
    } else {
      // Implicit: the ellipsis, then letters that occur once, in alphabetical order.
      output.addAll(names(c, "...", widest));
      for (Map.Entry<String, Integer> use : uses.entrySet()) {
        if (use.getValue() == 1 && Character.isLetter(use.getKey().charAt(0))) {
          output.add(use.getKey());
        }
      }
    }
    return new Equation(inputs, output);
  }

  private static List<String> names(OpContext c, String term, int dots) {
    List<String> names = new ArrayList<>();
    for (int i = 0; i < term.length(); i++) {
      if (term.startsWith("...", i)) {
        for (int d = dots - 1; d >= 0; d--) {
          names.add(Integer.toString(d));
        }
        i += 2;
      } else if (Character.isLetter(term.charAt(i))) {
        names.add(term.substring(i, i + 1));
      } else {
        throw c.error("TSR-0304", "the equation cannot be read at character " + i + " of a term");
      }
    }
    return names;
  }

  /** Extent of each axis. */
  private static Map<String, DimExpr> extents(OpContext c, Equation equation) {
    Map<String, DimExpr> extents = new LinkedHashMap<>();
    for (int i = 0; i < equation.inputs().size(); i++) {
      for (int d = 0; d < c.rank(i); d++) {
        String name = equation.inputs().get(i).get(d);
        DimExpr dim = c.dims(i).get(d);
        DimExpr before = extents.getOrDefault(name, DimExpr.ONE);
        if (before.isConst(1)) {
          extents.put(name, dim);
        } else if (!dim.isConst(1) && !dim.equals(before)) {
          if (dim.isConst() && before.isConst()) {
            throw c.error("TSR-0303", "an axis has " + before + " and " + dim + " positions");
          }
          extents.put(name, dim.isConst() ? dim : before);
        }
      }
    }
    checkTerms(c, extents.values());
    return extents;
  }

  /**
   * Each element of the result sums products over all other axes: for many operands that is work
   * without bound from a few numbers.
   */
  private static void checkTerms(OpContext c, Iterable<DimExpr> extents) {
    double products = 1;
    for (DimExpr extent : extents) {
      products *= extent.isConst() ? extent.constValue() : 1;
    }
    if (c.inputCount() > 2 && products > MOST_PRODUCTS) {
      throw c.error(
          "TSR-0304",
          String.format(
              Locale.ROOT,
              "the equation takes %.3g products, more than %.3g; split it into several of two operands",
              products,
              MOST_PRODUCTS));
    }
  }

  @Override
  List<ValueType> types(OpContext c) {
    if (shapes(c, 0, c.inputCount()).isEmpty()) {
      return List.of(TensorType.unranked(c.dtype(0)));
    }
    Equation equation = equation(c);
    Map<String, DimExpr> extents = extents(c, equation);
    return List.of(
        TensorType.of(
            c.dtype(0),
            equation.output().stream().map(n -> extents.getOrDefault(n, DimExpr.ONE)).toList()));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Equation equation = equation(c);
    Map<String, DimExpr> extents = extents(c, equation);
    List<String> names = new ArrayList<>(equation.output());
    extents.keySet().stream().filter(n -> !names.contains(n)).forEach(names::add);
    long[] shape =
        names.stream().mapToLong(n -> extents.getOrDefault(n, DimExpr.ONE).constValue()).toArray();
    Tensor out = Shapes.allocate(c, c.dtype(0), outType(c, 0).staticShape());
    long[][] strides = new long[c.inputCount()][names.size()];
    for (int i = 0; i < strides.length; i++) {
      long[] own = Shapes.strides(c.input(i).shape());
      for (int d = 0; d < own.length; d++) {
        if (c.input(i).shape()[d] != 1) {
          strides[i][names.indexOf(equation.inputs().get(i).get(d))] += own[d];
        }
      }
    }
    long inner = 1;
    for (int d = equation.output().size(); d < shape.length; d++) {
      inner *= shape[d];
    }
    boolean real = c.dtype(0).isFloat();
    long[] index = new long[shape.length];
    for (int o = 0; o < out.size(); o++) {
      double sum = 0;
      long whole = 0;
      for (long k = 0; k < inner; k++) {
        double product = 1;
        long wholeProduct = 1;
        for (int i = 0; i < strides.length; i++) {
          long at = 0;
          for (int d = 0; d < index.length; d++) {
            at += index[d] * strides[i][d];
          }
          if (real) {
            product *= c.input(i).getDouble((int) at);
          } else {
            wholeProduct *= c.input(i).getLong((int) at);
          }
        }
        sum += product;
        whole += wholeProduct;
        Shapes.next(index, shape);
      }
      if (real) {
        out.setDouble(o, sum);
      } else {
        out.setLong(o, whole);
      }
    }
    return List.of(out);
  }

  @Override
  Lowering code(OpContext c) {
    Equation equation = equation(c);
    Map<String, DimExpr> extents = extents(c, equation);
    // Axes are numbered: text of the model does not reach the kernel.
    Map<String, Axis> axes = new HashMap<>();
    List<Axis> outer = new ArrayList<>();
    List<Axis> folded = new ArrayList<>();
    for (String name : equation.output()) {
      Axis axis = new Axis("i" + axes.size(), extents.getOrDefault(name, DimExpr.ONE));
      axes.put(name, axis);
      outer.add(axis);
    }
    extents.forEach((name, extent) -> {
      if (!axes.containsKey(name)) {
        Axis axis = new Axis("k" + axes.size(), extent);
        axes.put(name, axis);
        folded.add(axis);
      }
    });
    Scalar type = Elementwise.compute(c.dtype(0));
    List<Buf> inputs = new ArrayList<>();
    Optional<KExpr> product = Optional.empty();
    for (int i = 0; i < c.inputCount(); i++) {
      Buf x = in(c, i);
      inputs.add(x);
      List<KExpr> at = new ArrayList<>();
      for (int d = 0; d < x.shape().size(); d++) {
        Axis axis = java.util.Objects.requireNonNull(axes.get(equation.inputs().get(i).get(d)));
        at.add(x.shape().get(d).isConst(1) ? K.index(0) : K.axis(axis));
      }
      KExpr element = K.cast(type, K.at(x, at));
      product = Optional.of(product.map(p -> K.mul(p, element)).orElse(element));
    }
    Buf out = out(c, 0, outType(c, 0));
    KExpr sum = K.sum(folded, product.orElseThrow());
    return compute(inputs, out, List.of(Stage.of(out, outer, K.cast(out.element(), sum))));
  }
}
