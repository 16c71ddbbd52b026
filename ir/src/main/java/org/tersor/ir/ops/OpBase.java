package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.Operands;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.TersorException;

/**
 * What operators share: the schema, the check of element types against it, buffers by operand
 * index.
 */
abstract class OpBase implements Operator {
  private final OpSchema schema;

  OpBase(OpSchema.Builder schema) {
    this.schema = schema.build();
  }

  @Override
  public final OpSchema schema() {
    return schema;
  }

  @Override
  public final List<ValueType> infer(OpContext context) {
    Operands.check(schema, context);
    List<ValueType> types = bounded(context, () -> List.copyOf(types(context)));
    // A size that a model's numbers ask for is refused before anybody allocates it.
    for (ValueType type : types) {
      if (type instanceof TensorType tensor && tensor.isStatic()) {
        Shapes.checkSize(context, tensor.dtype(), tensor.staticShape());
      }
    }
    return types;
  }

  /** Output types; element types of inputs are checked already. */
  abstract List<? extends ValueType> types(OpContext c);

  @Override
  public final List<? extends Datum> eval(EvalContext context) {
    Operands.check(schema, context);
    return bounded(context, () -> values(context));
  }

  /** Sizes and indices that a model asks for may be larger than any number. */
  private static <T> T bounded(OpContext c, Supplier<T> part) {
    try {
      return part.get();
    } catch (ArithmeticException e) {
      throw c.error(
          "TSR-0303", "a size or an index of it is no 64-bit number (" + e.getMessage() + ")");
    }
  }

  /** Output values; element types of inputs are checked already. */
  abstract List<? extends Datum> values(EvalContext c);

  @Override
  public final Lowering lower(OpContext context) {
    return bounded(
        context, () -> StringMoves.applies(schema, context) ? strings(context) : code(context));
  }

  /** Code for operands that are strings; one that looks at what they say must say how. */
  Lowering strings(OpContext c) {
    return StringMoves.of(schema, c);
  }

  /** Code for operands that are no strings. */
  abstract Lowering code(OpContext c);

  /** A kernel cannot express this. */
  static TersorException notLowered(OpContext c, String why) {
    return c.error("TSR-0501", why + "; it runs with --backend interpreter only");
  }

  static Buf in(OpContext c, int index) {
    return new Buf("in" + index, scalar(c, c.dtype(index)), c.dims(index));
  }

  static Buf out(OpContext c, int index, TensorType type) {
    return new Buf("out" + index, scalar(c, type.dtype()), type.dims());
  }

  static Scalar scalar(OpContext c, DType dtype) {
    if (dtype.isComplex() || dtype == DType.STRING) {
      throw notLowered(c, "there is no kernel for elements of type " + dtype.text());
    }
    return Scalar.of(dtype);
  }

  /** Type of output {@code index}, with known rank. */
  final TensorType outType(OpContext c, int index) {
    TensorType type = types(c).get(index).tensor();
    if (!type.isRanked()) {
      throw c.error("TSR-0303", "the rank of output " + index + " is not known");
    }
    return type;
  }

  /** A kernel that writes output 0. */
  final Lowering compute(List<Buf> inputs, Buf output, List<Stage> stages) {
    return new Lowering.Compute(
        new Kernel(
            schema.name().toLowerCase(java.util.Locale.ROOT), inputs, List.of(output), stages));
  }

  final Lowering compute(List<Buf> inputs, List<Buf> outputs, List<Stage> stages) {
    return new Lowering.Compute(
        new Kernel(schema.name().toLowerCase(java.util.Locale.ROOT), inputs, outputs, stages));
  }

  /** Unranked where {@code dims} is empty. */
  static TensorType type(DType dtype, Optional<List<DimExpr>> dims) {
    return new TensorType(dtype, dims);
  }

  /** The number of elements of all inputs' shapes known, or empty if one is unranked. */
  static Optional<List<List<DimExpr>>> shapes(OpContext c, int from, int to) {
    List<List<DimExpr>> shapes = new ArrayList<>();
    for (int i = from; i < to; i++) {
      if (!c.in(i).isRanked()) {
        return Optional.empty();
      }
      shapes.add(c.dims(i));
    }
    return Optional.of(shapes);
  }

  /** A dimension that only the data tells. */
  static DimExpr unknown(OpContext c, int number) {
    return DimExpr.symbol("_data" + c.node().id() + "_" + number);
  }
}
