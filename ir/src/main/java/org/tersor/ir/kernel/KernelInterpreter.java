package org.tersor.ir.kernel;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.ScalarSemantics;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * The definition of the kernel IR: every stage as plain loops over its axes, every expression
 * evaluated anew at each point, in the order it is written. An index outside its dimension is an
 * {@link IndexOutOfBoundsException} that names the buffer.
 */
public final class KernelInterpreter {
  private interface Code {
    long at(long[] axes);
  }

  private final Kernel kernel;
  private final Map<String, Long> dims;
  private final Map<String, Tensor> memory = new HashMap<>();
  private final Map<Axis, Integer> places = new LinkedHashMap<>();

  private KernelInterpreter(Kernel kernel, Map<String, Long> dims) {
    this.kernel = kernel;
    this.dims = new HashMap<>(dims);
  }

  /**
   * Runs a kernel.
   *
   * @param inputs elements of each input buffer, in the kernel's order; only the size and kind of
   *     the array matter
   * @param dims values of the symbols in shapes and extents
   * @return one tensor per output buffer; types under 8 bits appear as the byte type that holds
   *     them
   */
  public static List<Tensor> run(Kernel kernel, List<Tensor> inputs, Map<String, Long> dims) {
    return new KernelInterpreter(kernel, dims).run(inputs);
  }

  private List<Tensor> run(List<Tensor> inputs) {
    for (int i = 0; i < inputs.size(); i++) {
      Buf buffer = kernel.inputs().get(i);
      memory.put(buffer.name(), new Tensor(type(buffer), shape(buffer), inputs.get(i).array()));
    }
    kernel
        .program()
        .ifPresent(program -> {
          switch (program) {
            case LoopProgram loops -> run(loops);
            case RepeatedStages repeated -> run(repeated);
          }
        });
    kernel.stages().forEach(this::run);
    List<Tensor> results = new ArrayList<>();
    for (Buf output : kernel.outputs()) {
      results.add(
          memory.computeIfAbsent(output.name(), name -> Tensor.zeros(type(output), shape(output))));
    }
    return results;
  }

  private void run(LoopProgram program) {
    for (List<Buf> buffers : List.of(kernel.outputs(), program.temporaries())) {
      for (Buf buffer : buffers) {
        memory.put(buffer.name(), Tensor.zeros(type(buffer), shape(buffer)));
      }
    }
    Object[] arrays =
        program.function().buffers().stream()
            .map(b -> java.util.Objects.requireNonNull(memory.get(b.name())).array())
            .toArray();
    int[] values = program.dims().stream().mapToInt(dim -> Math.toIntExact(value(dim))).toArray();
    LoopInterpreter.compile(program.function())
        .run(arrays, new int[arrays.length], values, 0, Math.toIntExact(value(program.tasks())));
  }

  private void run(RepeatedStages repeated) {
    // What only turns write may be read where there is none.
    repeated.stages().forEach(this::allocate);
    repeated.before().forEach(this::run);
    long turns = value(repeated.turns());
    for (long i = 0; i < turns; i++) {
      dims.put(RepeatedStages.symbol(), i);
      repeated.turn().forEach(this::run);
    }
    repeated.after().forEach(this::run);
  }

  private static DType type(Buf buffer) {
    return buffer.element().dtype();
  }

  private long[] shape(Buf buffer) {
    return buffer.shape().stream().mapToLong(this::value).toArray();
  }

  private long value(DimExpr dim) {
    return dim.isConst() ? dim.constValue() : dim.eval(dims);
  }

  private void allocate(Stage stage) {
    memory.computeIfAbsent(
        stage.target().name(), name -> Tensor.zeros(type(stage.target()), shape(stage.target())));
  }

  private void run(Stage stage) {
    allocate(stage);
    List<Axis> all = new ArrayList<>(stage.axes());
    KExprs.all(stage.value(), KExpr.Fold.class).forEach(fold -> all.addAll(fold.axes()));
    places.clear();
    all.forEach(axis -> places.putIfAbsent(axis, places.size()));
    Code value = code(stage.value());
    Code position = position(stage.target(), stage.index());
    Tensor target = java.util.Objects.requireNonNull(memory.get(stage.target().name()));
    loop(
        stage.axes(),
        0,
        new long[places.size()],
        point -> write(target, (int) position.at(point), value.at(point)));
  }

  private void loop(
      List<Axis> axes, int depth, long[] point, java.util.function.Consumer<long[]> body) {
    if (depth == axes.size()) {
      body.accept(point);
      return;
    }
    Axis axis = axes.get(depth);
    long extent = value(axis.extent());
    int place = java.util.Objects.requireNonNull(places.get(axis));
    for (long i = 0; i < extent; i++) {
      point[place] = i;
      loop(axes, depth + 1, point, body);
    }
  }

  private Code position(Buf buffer, List<KExpr> index) {
    List<Code> codes = index.stream().map(this::code).toList();
    long[] shape = shape(buffer);
    return point -> {
      long at = 0;
      for (int d = 0; d < shape.length; d++) {
        long i = codes.get(d).at(point);
        if (i < 0 || i >= shape[d]) {
          throw new IndexOutOfBoundsException(
              kernel.name()
                  + ": index "
                  + i
                  + " in dimension "
                  + d
                  + " of "
                  + buffer.name()
                  + java.util.Arrays.toString(shape));
        }
        at = at * shape[d] + i;
      }
      return at;
    };
  }

  private Code code(KExpr expr) {
    return switch (expr) {
      case KExpr.IntLit e -> {
        long value = ScalarSemantics.canon(e.scalar(), e.value());
        yield point -> value;
      }
      case KExpr.FloatLit e -> {
        long value = ScalarSemantics.fromDouble(e.scalar(), e.value());
        yield point -> value;
      }
      case KExpr.AxisRef e -> {
        Integer place = places.get(e.axis());
        if (place == null) {
          throw new IllegalStateException(
              kernel.name() + ": axis " + e.axis().name() + " is not bound");
        }
        int at = place;
        yield point -> point[at];
      }
      case KExpr.Dim e -> {
        long value = value(e.value());
        yield point -> value;
      }
      case KExpr.At e -> {
        Tensor tensor = memory.get(e.buffer().name());
        if (tensor == null) {
          throw new IllegalStateException(
              kernel.name() + ": buffer " + e.buffer().name() + " is read before it is written");
        }
        Code position = position(e.buffer(), e.index());
        yield point -> read(tensor, e.scalar(), (int) position.at(point));
      }
      case KExpr.Un e -> {
        Code a = code(e.a());
        var op = ScalarSemantics.unary(e.op(), e.scalar());
        yield point -> op.applyAsLong(a.at(point));
      }
      case KExpr.Bin e -> {
        Code a = code(e.a());
        Code b = code(e.b());
        var op = ScalarSemantics.binary(e.op(), e.scalar());
        yield point -> op.applyAsLong(a.at(point), b.at(point));
      }
      case KExpr.Cmp e -> {
        Code a = code(e.a());
        Code b = code(e.b());
        var op = ScalarSemantics.compare(e.op(), e.a().scalar());
        yield point -> op.applyAsLong(a.at(point), b.at(point));
      }
      case KExpr.If e -> {
        Code condition = code(e.condition());
        Code then = code(e.then());
        Code otherwise = code(e.otherwise());
        yield point -> condition.at(point) != 0 ? then.at(point) : otherwise.at(point);
      }
      case KExpr.To e -> {
        Code a = code(e.a());
        var op = ScalarSemantics.cast(e.scalar(), e.a().scalar(), e.inRange());
        yield point -> op.applyAsLong(a.at(point));
      }
      case KExpr.BitsAs e -> {
        Code a = code(e.a());
        yield point -> ScalarSemantics.canon(e.scalar(), a.at(point));
      }
      case KExpr.Fold e -> fold(e);
      case KExpr.Within e -> {
        Code value = code(K.cast(Scalar.I64, e.value()));
        long least = value(e.least());
        long most = value(e.most());
        yield point -> {
          long index = value.at(point);
          if (index < least || index > most) {
            throw new TersorException(
                "TSR-0705",
                kernel.name() + ": index " + index + " is outside " + least + ".." + most);
          }
          return index;
        };
      }
    };
  }

  private Code fold(KExpr.Fold fold) {
    Code body = code(fold.body());
    var op = ScalarSemantics.binary(fold.op().combine(), fold.scalar());
    long start = identity(fold.op(), fold.scalar());
    return point -> {
      long[] sum = {start};
      loop(fold.axes(), 0, point, p -> sum[0] = op.applyAsLong(sum[0], body.at(p)));
      return sum[0];
    };
  }

  private static long identity(ReduceOp op, Scalar type) {
    if (type.isFloat()) {
      return ScalarSemantics.fromDouble(
          type,
          switch (op) {
            case SUM -> 0;
            case PROD -> 1;
            case MIN -> Double.POSITIVE_INFINITY;
            case MAX -> Double.NEGATIVE_INFINITY;
            case AND, OR, XOR -> throw new IllegalStateException(op + " of " + type.text());
          });
    }
    DType integer = type == Scalar.INDEX ? DType.I64 : type.dtype();
    return switch (op) {
      case SUM, OR, XOR -> 0;
      case PROD -> 1;
      case MIN -> type == Scalar.BOOL ? 1 : integer.maxValue();
      case MAX -> type == Scalar.BOOL ? 0 : integer.minValue();
      case AND -> ScalarSemantics.canon(type, -1);
    };
  }

  private static long read(Tensor tensor, Scalar type, int at) {
    return switch (tensor.dtype().slot()) {
      case BYTE -> ScalarSemantics.canon(type, tensor.bytes()[at]);
      case SHORT -> ScalarSemantics.canon(type, tensor.shorts()[at]);
      case INT -> ScalarSemantics.canon(type, tensor.ints()[at]);
      case LONG -> tensor.longs()[at];
      case FLOAT -> Float.floatToRawIntBits(tensor.floats()[at]) & 0xFFFF_FFFFL;
      case DOUBLE -> Double.doubleToRawLongBits(tensor.doubles()[at]);
      case STRING -> throw new IllegalStateException("a kernel reads no strings");
    };
  }

  private static void write(Tensor tensor, int at, long value) {
    switch (tensor.dtype().slot()) {
      case BYTE -> tensor.bytes()[at] = (byte) value;
      case SHORT -> tensor.shorts()[at] = (short) value;
      case INT -> tensor.ints()[at] = (int) value;
      case LONG -> tensor.longs()[at] = value;
      case FLOAT -> tensor.floats()[at] = Float.intBitsToFloat((int) value);
      case DOUBLE -> tensor.doubles()[at] = Double.longBitsToDouble(value);
      case STRING -> throw new IllegalStateException("a kernel writes no strings");
    }
  }
}
