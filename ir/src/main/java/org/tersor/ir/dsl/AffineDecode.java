package org.tersor.ir.dsl;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.KernelInterpreter;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * The value of a format seen as {@code (code - zero) * scale}, where its text has that form: the
 * grids that integer kernels compute with and that ONNX's DequantizeLinear can state. Decided by
 * the structure of {@code decode} alone, so it holds for any format that is written like this:
 *
 * <pre>
 *   decode(b, i) = f32(b.q[i] - Z) * S      or      (f32(b.q[i]) - Z) * S      or      f32(b.q[i]) * S
 * </pre>
 *
 * with an integer Z and an S that do not depend on {@code i}. The product is rounded once, as that
 * of DequantizeLinear is, so both give the same bits.
 */
public final class AffineDecode {
  private final FormatDef format;
  private final FormatDef.Definition decode;
  private final FormatField codes;
  private final Optional<Ast> zero;
  private final Ast scale;
  private final FormatDef.Level level;
  private final DType codeType;

  private AffineDecode(
      FormatDef format,
      FormatDef.Definition decode,
      FormatField codes,
      Optional<Ast> zero,
      Ast scale,
      FormatDef.Level level,
      DType codeType) {
    this.format = format;
    this.decode = decode;
    this.codes = codes;
    this.zero = zero;
    this.scale = scale;
    this.level = level;
    this.codeType = codeType;
  }

  /** The affine form of a format, if its text has it. */
  public static Optional<AffineDecode> of(FormatDef format) {
    return of(format, true);
  }

  /**
   * As {@link #of(FormatDef)}, where Z may be any float number: values are {@code (f32(code) - Z) *
   * S}, rounded after each operation.
   */
  public static Optional<AffineDecode> ofAnyZero(FormatDef format) {
    return of(format, false);
  }

  private static Optional<AffineDecode> of(FormatDef format, boolean wholeZero) {
    Optional<FormatDef.Definition> found = format.definition("decode", Integer.MAX_VALUE);
    if (found.isEmpty()
        || found.get().parameters().size() != 2
        || !(found.get().body() instanceof Ast.Bin product)
        || !product.op().equals("*")) {
      return Optional.empty();
    }
    FormatDef.Definition decode = found.get();
    String element = decode.parameters().get(1);
    boolean codeFirst = mentions(product.a(), element);
    Ast code = codeFirst ? product.a() : product.b();
    Ast scale = codeFirst ? product.b() : product.a();
    if (mentions(scale, element)) {
      return Optional.empty();
    }
    Optional<Ast> zero = Optional.empty();
    Optional<FormatField> codes = Optional.empty();
    Ast rest = code;
    while (codes.isEmpty()) {
      if (rest instanceof Ast.Call call && call.name().equals("f32") && call.args().size() == 1) {
        rest = call.args().getFirst();
      } else if (rest instanceof Ast.Bin minus
          && minus.op().equals("-")
          && zero.isEmpty()
          && !mentions(minus.b(), element)) {
        zero = Optional.of(minus.b());
        rest = minus.a();
      } else if (rest instanceof Ast.Field field
          && field
              .index()
              .filter(i -> i.size() == 1 && isName(i.getFirst(), element))
              .isPresent()) {
        codes =
            format
                .section(FormatDef.Level.BLOCK)
                .flatMap(s ->
                    s.fields().stream().filter(f -> f.name().equals(field.field())).findFirst());
        if (codes.isEmpty()) {
          return Optional.empty();
        }
      } else {
        return Optional.empty();
      }
    }
    boolean whole = !wholeZero || zero.isEmpty() || isInteger(format, zero.get());
    Optional<DType> type = codeType(codes.get().type());
    if (!whole || type.isEmpty() || codes.get().count() != format.block()) {
      return Optional.empty();
    }
    FormatDef.Level level = level(format, scale);
    if (zero.isPresent()) {
      FormatDef.Level other = level(format, zero.get());
      level = other.compareTo(level) < 0 ? other : level;
    }
    return Optional.of(
        new AffineDecode(format, decode, codes.get(), zero, scale, level, type.get()));
  }

  private static boolean isName(Ast ast, String name) {
    return ast instanceof Ast.Name n && n.name().equals(name);
  }

  private static boolean mentions(Ast ast, String name) {
    return isName(ast, name) || ast.operands().stream().anyMatch(o -> mentions(o, name));
  }

  private static boolean isInteger(FormatDef format, Ast ast) {
    return switch (ast) {
      case Ast.Num n -> n.whole();
      case Ast.Field f ->
          format
              .field(f.field())
              .filter(x -> x.type().kind() != FormatField.Kind.FLOAT)
              .isPresent();
      default -> false;
    };
  }

  /** The innermost level that an expression reads; definitions may read any. */
  private static FormatDef.Level level(FormatDef format, Ast ast) {
    FormatDef.Level level = FormatDef.Level.TENSOR;
    if (ast instanceof Ast.Call call
        && format.definition(call.name(), Integer.MAX_VALUE).isPresent()) {
      return FormatDef.Level.BLOCK;
    }
    if (ast instanceof Ast.Field field) {
      level =
          format.sections().stream()
              .filter(s -> s.fields().stream().anyMatch(f -> f.name().equals(field.field())))
              .map(FormatDef.Section::level)
              .findFirst()
              .orElse(FormatDef.Level.BLOCK);
    }
    for (Ast operand : ast.operands()) {
      FormatDef.Level inner = level(format, operand);
      level = inner.compareTo(level) < 0 ? inner : level;
    }
    return level;
  }

  private static Optional<DType> codeType(FormatField.Type type) {
    boolean signed = type.kind() == FormatField.Kind.SIGNED;
    if (type.kind() == FormatField.Kind.FLOAT || type.bits() > 16) {
      return Optional.empty();
    }
    if (type.bits() <= 4) {
      return Optional.of(signed ? DType.I4 : DType.U4);
    }
    return Optional.of(
        type.bits() <= 8 ? signed ? DType.I8 : DType.U8 : signed ? DType.I16 : DType.U16);
  }

  /** The smallest ONNX integer type that holds the codes. */
  public DType codeType() {
    return codeType;
  }

  /** Bits of a code. */
  public int codeBits() {
    return codes.type().bits();
  }

  /** Whether every number of {@link #codeType} is a code. */
  public boolean fillsCodeType() {
    return codes.type().bits() == codeType.bits();
  }

  /** What shares a scale and zero point; GROUP counts as BLOCK. */
  public FormatDef.Level level() {
    return level == FormatDef.Level.GROUP ? FormatDef.Level.BLOCK : level;
  }

  /** The float32 field that is the scale as it stands, if it is one. */
  public Optional<String> scaleField() {
    return scale instanceof Ast.Field f
            && f.index().isEmpty()
            && format.field(f.field()).filter(x -> x.type().scalar() == Scalar.F32).isPresent()
        ? Optional.of(f.field())
        : Optional.empty();
  }

  /**
   * The codes, unchanged.
   *
   * @param buffers contents of {@link FormatDef#buffers}, in order
   * @param shape the logical shape
   * @return a tensor of {@link #codeType} and that shape
   */
  public Tensor codes(List<Tensor> buffers, long[] shape) {
    byte[] bytes = buffers.getFirst().bytes();
    Tensor result = Tensor.zeros(codeType, shape);
    int block = format.block();
    int cols = Math.toIntExact(shape[shape.length - 1]);
    int blocks = Math.ceilDiv(cols, block);
    for (int i = 0; i < result.size(); i++) {
      int col = i % cols;
      int section = (i / cols * blocks + col / block) * format.bytesPerBlock();
      result.setLong(i, codes.read(bytes, section, col % block));
    }
    return result;
  }

  /**
   * The scales, F32: of shape [] for a tensor, [rows...] for rows, [rows..., blocks] for blocks.
   */
  public Tensor scales(List<Tensor> buffers, long[] shape) {
    return evaluate(scale, Scalar.F32, buffers, shape);
  }

  /** The zero points, I32, of the shape of {@link #scales}. */
  public Tensor zeros(List<Tensor> buffers, long[] shape) {
    return zero.map(z -> evaluate(z, Scalar.I32, buffers, shape))
        .orElseGet(() -> Tensor.zeros(DType.I32, parameterShape(shape)));
  }

  /** The zero points as floats, of the shape of {@link #scales}. */
  public Tensor realZeros(List<Tensor> buffers, long[] shape) {
    return zero.map(z -> evaluate(z, Scalar.F32, buffers, shape))
        .orElseGet(() -> Tensor.zeros(DType.F32, parameterShape(shape)));
  }

  private long[] parameterShape(long[] shape) {
    long[] result =
        java.util.Arrays.copyOf(
            shape,
            switch (level()) {
              case TENSOR -> 0;
              case ROW -> shape.length - 1;
              case BLOCK, GROUP -> shape.length;
            });
    if (result.length == shape.length) {
      result[shape.length - 1] = Math.ceilDiv(result[shape.length - 1], (long) format.block());
    }
    return result;
  }

  private Tensor evaluate(Ast ast, Scalar type, List<Tensor> buffers, long[] shape) {
    List<DimExpr> logical = DimExpr.list(shape);
    List<DimExpr> dims = DimExpr.list(parameterShape(shape));
    List<Axis> axes = new ArrayList<>();
    List<KExpr> at = new ArrayList<>();
    for (int d = 0; d < shape.length; d++) {
      if (d < dims.size()) {
        axes.add(new Axis("i" + d, dims.get(d)));
        at.add(K.axis(axes.getLast()));
      } else {
        at.add(K.index(0));
      }
    }
    KernScope scope = KernScope.definition(format, decode.number());
    scope.blocks.put(
        decode.parameters().getFirst(),
        new KernScope.Block(
            format.operand("W", logical), at.subList(0, shape.length - 1), at.getLast()));
    KExpr value = K.cast(type, new KernTyper().type(ast, scope, Optional.of(type)));
    Buf out = new Buf("y", type, dims);
    Kernel kernel =
        new Kernel(
            "parameters",
            format.buffers("W", logical),
            List.of(out),
            List.of(Stage.of(out, axes, value)));
    return KernelInterpreter.run(kernel, buffers, Map.of()).getFirst();
  }
}
