package org.tersor.conformance;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.op.BodyOperator;
import org.tersor.ir.op.HostOperator;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.DType;

/** The table of operators, versions, types and backends, made from the operators themselves. */
public final class OperatorsDocument {
  private static final String HEAD =
      """
      # Operators

      Made from the operators' definitions by `dev/test cli DocumentsTest -Dgolden.update=true`; the build fails when it is out of date.

      - Versions: those in which the standard changed the operator; a node of a later version is of the last one before it.
      - Interpreter: `--backend interpreter` evaluates every operator on every type that is listed.
      - Compiled code is the same on `jvm`, `native`, `cuda` and `cuda-emulated`: *kernel* (generated code, perhaps after the operator was
        expanded into others), *bodies* (what is in them is compiled; a script chooses and repeats), *host* (an operation in Java:
        strings, sequences, maps, optionals, regular expressions, pictures). A kernel moves strings as numbers, and the host maps them.
        Complex numbers have no kernels, except where the operator's domain is made of pairs of reals.
      - A `.so` holds kernels only: models with bodies, host operations or sizes that depend on data are jars, or run in process.
      - `u4`, `i2` and the like are elements of 4 and 2 bits, `f8...`, `f4e2m1` and `f8e8m0` the small floats.

      """;

  private OperatorsDocument() {}

  /** The document of all operators but Tersor's own. */
  public static String of(Collection<Operator> operators) {
    Map<String, List<Operator>> domains = new TreeMap<>();
    for (Operator operator : operators) {
      String domain = operator.schema().domain();
      if (!domain.equals(OpKey.TERSOR)) {
        domains
            .computeIfAbsent(domain.isEmpty() ? "ai.onnx" : domain, d -> new ArrayList<>())
            .add(operator);
      }
    }
    StringBuilder text = new StringBuilder(HEAD);
    domains.forEach((domain, members) -> {
      text.append("## ").append(domain).append(" (").append(members.size()).append(")\n\n");
      text.append("| operator | versions | types | interpreter | JVM | native | CUDA |\n");
      text.append("|---|---|---|---|---|---|---|\n");
      members.stream()
          .sorted(Comparator.comparing(o -> o.schema().name()))
          .forEach(o -> text.append(row(o)));
      text.append('\n');
    });
    return text.toString();
  }

  private static String row(Operator operator) {
    OpSchema schema = operator.schema();
    String compiled = compiled(operator);
    return "| "
        + String.join(
            " | ",
            schema.name(),
            schema.versions().stream().map(String::valueOf).collect(Collectors.joining(" ")),
            types(schema),
            "yes",
            compiled,
            compiled,
            compiled)
        + " |\n";
  }

  private static String compiled(Operator operator) {
    if (operator instanceof HostOperator) {
      return "host";
    }
    return operator instanceof BodyOperator ? "bodies" : "kernel";
  }

  /** Types of each operand, by type variable. */
  private static String types(OpSchema schema) {
    Map<String, String> variables = new TreeMap<>();
    schema
        .typeVariables()
        .forEach((variable, types) -> {
          if (used(schema, variable)) {
            variables.put(variable, text(types));
          }
        });
    Set<String> different = new TreeSet<>(variables.values());
    if (different.size() == 1) {
      return different.iterator().next();
    }
    return variables.isEmpty()
        ? "any"
        : variables.entrySet().stream()
            .map(e -> e.getKey() + ": " + e.getValue())
            .collect(Collectors.joining("; "));
  }

  private static boolean used(OpSchema schema, String variable) {
    return java.util.stream.Stream.concat(schema.inputs().stream(), schema.outputs().stream())
        .anyMatch(f -> List.of(f.type().split("[^A-Za-z0-9_]+", -1)).contains(variable));
  }

  private static String text(Set<DType> types) {
    return types.size() == DType.values().length
        ? "all"
        : types.stream().sorted().map(DType::text).collect(Collectors.joining(" "));
  }
}
