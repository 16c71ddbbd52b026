package org.tersor.ir.dsl;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.runtime.DimExpr;

/** Writes kernels in the full form that {@link KernelParser} reads back to an equal kernel. */
public final class KernelPrinter {
  /** Words with a meaning of their own where a name stands. */
  private static final Set<String> RESERVED =
      Set.of(
          "kernel",
          "format",
          "schedule",
          "temp",
          "for",
          "as",
          "sum",
          "prod",
          "reduce",
          "true",
          "false",
          "inf",
          "nan");

  private static final int PRIMARY = 100;
  private static final int UNARY = 90;

  private final Map<String, Buf> declared = new LinkedHashMap<>();

  private KernelPrinter() {}

  /** The text of a kernel. */
  public static String print(Kernel kernel) {
    return new KernelPrinter().kernel(kernel);
  }

  private String kernel(Kernel kernel) {
    StringBuilder out = new StringBuilder("kernel ").append(name(kernel.name())).append('(');
    out.append(operands(kernel.inputs()))
        .append(") -> ")
        .append(operands(kernel.outputs()))
        .append(" {\n");
    Map<String, Buf> temporaries = new LinkedHashMap<>();
    for (Stage stage : kernel.stages()) {
      note(stage.target(), temporaries);
      List<KExpr> exprs = new ArrayList<>(stage.index());
      exprs.add(stage.value());
      exprs.forEach(
          e -> KExprs.all(e, KExpr.At.class).forEach(at -> note(at.buffer(), temporaries)));
    }
    temporaries.values().forEach(b -> out.append("  temp ").append(declaration(b)).append(";\n"));
    declared.putAll(temporaries);
    for (Stage stage : kernel.stages()) {
      out.append("  ").append(stage(stage)).append(";\n");
    }
    return out.append("}\n").toString();
  }

  private void note(Buf buffer, Map<String, Buf> temporaries) {
    if (!declared.containsKey(buffer.name())) {
      temporaries.putIfAbsent(buffer.name(), buffer);
    }
  }

  private String operands(List<Buf> buffers) {
    List<String> texts = new ArrayList<>();
    for (Buf b : buffers) {
      if (declared.putIfAbsent(b.name(), b) != null) {
        throw new IllegalArgumentException("two operands named " + b.name());
      }
      texts.add(declaration(b));
    }
    return String.join(", ", texts);
  }

  private static String declaration(Buf b) {
    return name(b.name()) + ": " + b.element().text() + dims(b.shape());
  }

  private String stage(Stage stage) {
    Map<String, Axis> axes = new LinkedHashMap<>();
    String all = axes(stage.axes(), axes);
    return buffer(stage.target())
        + index(stage.index(), axes)
        + " for "
        + (all.isEmpty() ? "()" : all)
        + " = "
        + expr(stage.value(), 0, axes);
  }

  private static String axes(List<Axis> all, Map<String, Axis> scope) {
    List<String> texts = new ArrayList<>();
    for (Axis axis : all) {
      scope.put(axis.name(), axis);
      texts.add(name(axis.name()) + " < " + dim(axis.extent()));
    }
    return String.join(", ", texts);
  }

  private String buffer(Buf buffer) {
    return buffer.equals(declared.get(buffer.name()))
        ? name(buffer.name())
        : "(" + name(buffer.name()) + " as " + buffer.element().text() + dims(buffer.shape()) + ")";
  }

  private String index(List<KExpr> index, Map<String, Axis> axes) {
    return "[" + String.join(", ", index.stream().map(i -> expr(i, 0, axes)).toList()) + "]";
  }

  /** The text, in parentheses if it binds weaker than {@code least}. */
  private String expr(KExpr expr, int least, Map<String, Axis> axes) {
    int[] binds = {PRIMARY};
    String text = text(expr, axes, binds);
    return binds[0] < least ? "(" + text + ")" : text;
  }

  private String text(KExpr expr, Map<String, Axis> axes, int[] binds) {
    return switch (expr) {
      case KExpr.IntLit e -> integer(e);
      case KExpr.FloatLit e -> number(e);
      case KExpr.AxisRef e -> {
        if (!e.axis().equals(axes.get(e.axis().name()))) {
          throw new IllegalArgumentException("axis " + e.axis() + " is not bound here");
        }
        yield name(e.axis().name());
      }
      case KExpr.Dim e -> "dim(" + dim(e.value()) + ")";
      case KExpr.At e -> buffer(e.buffer()) + index(e.index(), axes);
      case KExpr.Un e -> {
        boolean literal = e.a() instanceof KExpr.IntLit || e.a() instanceof KExpr.FloatLit;
        if (e.op() != UnaryOp.NEG || literal) {
          yield e.op().name().toLowerCase(Locale.ROOT) + "(" + expr(e.a(), 0, axes) + ")";
        }
        binds[0] = UNARY;
        yield "-" + expr(e.a(), PRIMARY, axes);
      }
      case KExpr.Bin e -> {
        String sign = sign(e.op(), e.a().scalar());
        if (sign.isEmpty()) {
          yield e.op().name().toLowerCase(Locale.ROOT)
              + "("
              + expr(e.a(), 0, axes)
              + ", "
              + expr(e.b(), 0, axes)
              + ")";
        }
        binds[0] = strength(sign);
        yield expr(e.a(), binds[0], axes) + " " + sign + " " + expr(e.b(), binds[0] + 1, axes);
      }
      case KExpr.Cmp e -> {
        String sign =
            switch (e.op()) {
              case EQ -> "==";
              case NE -> "!=";
              case LT -> "<";
              case LE -> "<=";
              case GT -> ">";
              case GE -> ">=";
            };
        binds[0] = strength(sign);
        yield expr(e.a(), binds[0] + 1, axes) + " " + sign + " " + expr(e.b(), binds[0] + 1, axes);
      }
      case KExpr.If e ->
          "select("
              + expr(e.condition(), 0, axes)
              + ", "
              + expr(e.then(), 0, axes)
              + ", "
              + expr(e.otherwise(), 0, axes)
              + ")";
      case KExpr.To e ->
          e.scalar().text() + (e.inRange() ? "!" : "") + "(" + expr(e.a(), 0, axes) + ")";
      case KExpr.BitsAs e -> "bits(" + e.scalar().text() + ", " + expr(e.a(), 0, axes) + ")";
      case KExpr.Within e ->
          "within(" + expr(e.value(), 0, axes) + ", " + dim(e.least()) + ", " + dim(e.most()) + ")";
      case KExpr.Fold e -> {
        Map<String, Axis> inner = new LinkedHashMap<>(axes);
        String op =
            switch (e.op()) {
              case SUM -> "sum";
              case PROD -> "prod";
              case MIN, MAX, AND, OR, XOR -> "reduce " + e.op().name().toLowerCase(Locale.ROOT);
            };
        String all = axes(e.axes(), inner);
        // Weaker than anything: a fold among operators is always in parentheses.
        binds[0] = 1;
        yield op + "(" + all + ") " + expr(e.body(), strength("*"), inner);
      }
    };
  }

  /** The sign of an operation on a type; empty if it is written as a function. */
  private static String sign(BinaryOp op, Scalar type) {
    boolean index = type == Scalar.INDEX;
    return switch (op) {
      case ADD -> "+";
      case SUB -> "-";
      case MUL -> "*";
      case DIV -> index ? "" : "/";
      case REM -> index ? "" : "%";
      case FLOORDIV -> index ? "/" : "";
      case FLOORMOD -> index ? "%" : "";
      case AND -> "&";
      case OR -> "|";
      case XOR -> "^";
      case SHL -> "<<";
      case SHR -> ">>";
      case MIN, MAX, FMOD, POW, ATAN2 -> "";
    };
  }

  private static int strength(String sign) {
    return switch (sign) {
      case "*", "/", "%" -> 80;
      case "+", "-" -> 60;
      case "<<", ">>" -> 50;
      case "&" -> 30;
      case "^" -> 20;
      case "|" -> 10;
      default -> 40;
    };
  }

  private static String integer(KExpr.IntLit e) {
    if (KernNumbers.isFloat(e.scalar())) {
      throw new IllegalArgumentException("an integer of type " + e.scalar().text());
    }
    if (e.scalar() == Scalar.BOOL && (e.value() == 0 || e.value() == 1)) {
      return e.value() == 1 ? "true" : "false";
    }
    return e.value() + (e.scalar() == Scalar.INDEX ? "" : "_" + e.scalar().text());
  }

  private static String number(KExpr.FloatLit e) {
    double value = e.value();
    if (!KernNumbers.isFloat(e.scalar())) {
      throw new IllegalArgumentException("a fraction of type " + e.scalar().text());
    }
    String suffix = e.scalar() == Scalar.F32 ? "" : "_" + e.scalar().text();
    if (Double.isNaN(value) || Double.isInfinite(value)) {
      return Double.isNaN(value)
          ? "nan_" + e.scalar().text()
          : (value < 0 ? "-" : "") + "inf_" + e.scalar().text();
    }
    String digits =
        e.scalar() != Scalar.F32
            ? Double.toString(value)
            : value == (float) value ? Float.toString((float) value) : Double.toHexString(value);
    return digits.replace('E', 'e') + suffix;
  }

  private static String dims(List<DimExpr> dims) {
    return "[" + String.join(", ", dims.stream().map(KernelPrinter::dim).toList()) + "]";
  }

  /** The text of a dimension; symbols that are no identifiers are quoted. */
  static String dim(DimExpr dim) {
    return dim.fold(
        new DimExpr.Algebra<String>() {
          @Override
          public String constant(long value) {
            return Long.toString(value);
          }

          @Override
          public String symbol(String name) {
            return name(name);
          }

          @Override
          public String add(String a, String b) {
            return a + " + " + b;
          }

          @Override
          public String multiply(String a, String b) {
            return a + "*" + b;
          }

          @Override
          public String opaque(DimExpr.Kind kind, String a, String b) {
            return kind.text() + "(" + a + ", " + b + ")";
          }
        });
  }

  /** A name as it stands in text, quoted if it is no plain word. */
  static String name(String name) {
    if (name.matches("[a-zA-Z_][a-zA-Z_0-9]*")
        && !RESERVED.contains(name)
        && !name.startsWith("inf_")
        && !name.startsWith("nan_")) {
      return name;
    }
    StringBuilder out = new StringBuilder("`");
    for (int i = 0; i < name.length(); i++) {
      char c = name.charAt(i);
      if (c == '`' || c == '\\' || c == '\n' || c == '\r') {
        out.append("\\u%04x".formatted((int) c));
      } else {
        out.append(c);
      }
    }
    return out.append('`').toString();
  }
}
