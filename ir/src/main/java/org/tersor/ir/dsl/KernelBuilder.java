package org.tersor.ir.dsl;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.dsl.internal.KernParser.FullKernelContext;
import org.tersor.ir.dsl.internal.KernParser.KernelContext;
import org.tersor.ir.dsl.internal.KernParser.OperandContext;
import org.tersor.ir.dsl.internal.KernParser.ShortKernelContext;
import org.tersor.ir.dsl.internal.KernParser.StageContext;
import org.tersor.ir.dsl.internal.KernParser.StatementContext;
import org.tersor.ir.dsl.internal.KernParser.TargetContext;
import org.tersor.ir.dsl.internal.KernParser.TemporaryContext;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/** Builds one kernel from its parse tree. */
final class KernelBuilder {
  private final Map<String, FormatDef> formats;
  private final KernSyntax syntax = new KernSyntax();
  private final KernTyper typer = new KernTyper();
  private final KernScope scope = KernScope.kernel();

  KernelBuilder(Map<String, FormatDef> formats) {
    this.formats = formats;
  }

  Kernel build(KernelContext context) {
    return switch (context) {
      case FullKernelContext c -> full(c);
      case ShortKernelContext c -> brief(c);
      default -> throw new IllegalStateException(context.getText());
    };
  }

  private Kernel full(FullKernelContext c) {
    List<Buf> inputs = new ArrayList<>();
    List<Buf> outputs = new ArrayList<>();
    boolean after = false;
    for (var child : c.children) {
      if (child.getText().equals("->")) {
        after = true;
      } else if (child instanceof OperandContext operand) {
        (after ? outputs : inputs).addAll(declare(operand));
      }
    }
    List<Stage> stages = new ArrayList<>();
    for (StatementContext statement : c.statement()) {
      switch (statement) {
        case TemporaryContext t -> {
          Buf buffer =
              new Buf(KernSyntax.text(t.name(0)), KernSyntax.scalar(t.name(1)), dims(t.list()));
          declare(KernSyntax.pos(t), buffer);
        }
        case StageContext s -> stages.add(stage(s));
        default -> throw new IllegalStateException(statement.getText());
      }
    }
    return new Kernel(KernSyntax.text(c.name()), inputs, outputs, stages);
  }

  private Kernel brief(ShortKernelContext c) {
    List<Buf> inputs = new ArrayList<>();
    c.operand().forEach(o -> inputs.addAll(declare(o)));
    Ast value = syntax.visit(c.expr());
    List<Axis> axes = new ArrayList<>();
    KernScope inner = scope.inner();
    for (Ast index : syntax.list(c.list())) {
      Axis axis = inferred(index, List.of(value));
      axes.add(axis);
      inner.values.put(axis.name(), new KExpr.AxisRef(axis));
    }
    KExpr typed = typer.type(new ExtentInference(scope).fill(value), inner, Optional.empty());
    Buf output =
        new Buf(
            KernSyntax.text(c.name(1)), typed.scalar(), axes.stream().map(Axis::extent).toList());
    declare(KernSyntax.pos(c.name(1)), output);
    List<KExpr> index = axes.stream().<KExpr>map(KExpr.AxisRef::new).toList();
    return new Kernel(
        KernSyntax.text(c.name(0)),
        inputs,
        List.of(output),
        List.of(new Stage(output, axes, index, typed)));
  }

  /** The axis that an index of a result names. */
  private Axis inferred(Ast index, List<Ast> uses) {
    if (!(index instanceof Ast.Name name)) {
      throw index.at().error("TSR-1001", "an index of the result is the name of an axis");
    }
    return typer.axis(
        new ExtentInference(scope)
            .axis(new Ast.AxisDecl(name.at(), name.name(), Optional.empty()), uses));
  }

  private List<Buf> declare(OperandContext c) {
    String name = KernSyntax.text(c.name(0));
    String type = KernSyntax.text(c.name(1));
    List<DimExpr> shape = dims(c.list());
    Ast.Pos at = KernSyntax.pos(c);
    for (DimExpr dim : shape) {
      dim.symbols().forEach(s -> scope.values.putIfAbsent(s, new KExpr.Dim(DimExpr.symbol(s))));
    }
    FormatDef format = formats.get(type);
    if (format != null) {
      KernScope.Encoded operand = format.operand(name, shape);
      scope.encoded.put(name, operand);
      List<Buf> buffers = List.copyOf(operand.buffers().values());
      buffers.forEach(b -> declare(at, b));
      scope.buffers.remove(name);
      return buffers;
    }
    Scalar scalar =
        KernSyntax.scalar(type)
            .orElseThrow(() -> at.error("TSR-1004", "no such type or number format: " + type));
    Buf buffer = new Buf(name, scalar, shape);
    declare(at, buffer);
    return List.of(buffer);
  }

  private void declare(Ast.Pos at, Buf buffer) {
    if (scope.buffers.putIfAbsent(buffer.name(), buffer) != null) {
      throw at.error("TSR-1003", "the name " + buffer.name() + " is used twice");
    }
  }

  private List<DimExpr> dims(org.tersor.ir.dsl.internal.KernParser.ListContext c) {
    return KernTyper.dims(syntax.list(c));
  }

  private Stage stage(StageContext c) {
    TargetContext t = c.target();
    String name = KernSyntax.text(t.name(0));
    Buf declared = scope.buffers.get(name);
    Ast.Pos at = KernSyntax.pos(c);
    if (declared == null) {
      throw at.error("TSR-1003", "no buffer named " + name);
    }
    Buf target =
        t.name().size() == 1
            ? declared
            : new Buf(name, KernSyntax.scalar(t.name(1)), dims(t.list(0)));
    List<Ast> index = syntax.list(t.list(t.name().size() == 1 ? 0 : 1));
    if (index.size() != target.shape().size()) {
      throw at.error(
          "TSR-1004", index.size() + " indices into " + name + " of shape " + target.shape());
    }
    Ast value = syntax.visit(c.expr());
    ExtentInference inference = new ExtentInference(scope);
    List<Axis> axes = new ArrayList<>();
    KernScope inner = scope.inner();
    if (c.FOR() == null) {
      for (int d = 0; d < index.size(); d++) {
        if (!(index.get(d) instanceof Ast.Name plain)) {
          throw index
              .get(d)
              .at()
              .error("TSR-1001", "without 'for' an index is the name of an axis");
        }
        axes.add(new Axis(plain.name(), target.shape().get(d)));
      }
    } else {
      List<Ast> uses = new ArrayList<>(index);
      uses.add(value);
      uses.add(new Ast.Load(at, name, index));
      for (Ast.AxisDecl decl : syntax.axes(c.axis())) {
        axes.add(typer.axis(inference.axis(decl, uses)));
      }
    }
    Map<String, Axis> seen = new LinkedHashMap<>();
    for (Axis axis : axes) {
      if (seen.put(axis.name(), axis) != null) {
        throw at.error("TSR-1003", "axis " + axis.name() + " is named twice");
      }
      inner.values.put(axis.name(), new KExpr.AxisRef(axis));
    }
    KExpr typed = typer.type(inference.fill(value), inner, Optional.of(target.element()));
    if (typed.scalar() != target.element()) {
      throw value
          .at()
          .error(
              "TSR-1004",
              "a value of type "
                  + typed.scalar().text()
                  + " is stored into "
                  + name
                  + " of "
                  + target.element().text());
    }
    return new Stage(target, axes, index.stream().map(i -> typer.index(i, inner)).toList(), typed);
  }
}
