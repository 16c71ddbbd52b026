package org.tersor.onnx;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;
import org.tersor.onnx.proto.AttributeProto;
import org.tersor.onnx.proto.FunctionProto;
import org.tersor.onnx.proto.GraphProto;
import org.tersor.onnx.proto.ModelProto;
import org.tersor.onnx.proto.NodeProto;
import org.tersor.onnx.proto.OperatorSetIdProto;
import org.tersor.onnx.proto.SparseTensorProto;
import org.tersor.onnx.proto.TensorProto;

/**
 * What ONNX's own checker refuses, rule by rule. Where the rules are tested:
 *
 * <table>
 * <caption>Rules and tests</caption>
 * <tr><td>header: ir_version, opset_import, metadata keys</td><td>{@code HostileBytesTest.header}</td></tr>
 * <tr><td>truncated, flipped, deeply nested, no UTF-8</td><td>{@code HostileBytesTest}</td></tr>
 * <tr><td>functions: calling themselves, each other, 2^40 nodes, deep, twice</td>
 *     <td>{@code HostileFunctionsTest.functions}; through bodies, and very many: here</td></tr>
 * <tr><td>graph: single assignment, cycles, producers, initializers, ports, types</td>
 *     <td>{@code HostileGraphsTest.graphs}</td></tr>
 * <tr><td>node: type, ports, attributes twice, with two values, of another type, by reference</td>
 *     <td>{@code HostileGraphsTest.nodes}</td></tr>
 * <tr><td>tensor: type, dims, size, fields, lengths, strings, segments</td>
 *     <td>{@code HostileGraphsTest.tensors}; too few typed elements, int2: here</td></tr>
 * <tr><td>external data: location, paths, links, keys, ranges, addresses</td>
 *     <td>{@code HostileExternalDataTest}; without location, and the same through Constant and sparse
 *     tensors: here</td></tr>
 * <tr><td>sparse: range, order, counts</td>
 *     <td>{@code HostileGraphsTest.sparse}; type and rank of the indices: here</td></tr>
 * <tr><td>operators: sizes, indices, strides, groups, divisors, loops, expressions</td>
 *     <td>{@code HostileOperatorsTest} of the command line's module</td></tr>
 * </table>
 *
 * Some rules are not kept on purpose, as breaking them hides nothing and real files do: a graph
 * needs no name, nodes may be in any order, and an initializer of an old file need not be an input.
 */
@Timeout(60)
class CheckerRulesTest extends HostileModels {
  /** A model of a rule; no code: it is read. */
  private record Rule(String name, String code, ModelProto.Builder model) {}

  private final List<Rule> rules = new ArrayList<>();

  @TestFactory
  Stream<DynamicTest> rules() throws IOException {
    functions();
    tensors();
    externalData();
    sparse();
    lenient();
    return rules.stream()
        .map(rule ->
            DynamicTest.dynamicTest(
                rule.name,
                () -> {
                  if (rule.code.isEmpty()) {
                    assertTrue(read(rule.model).nodes().size() > 0);
                  } else {
                    String message = refused(rule.code, rule.model);
                    assertTrue(!message.isBlank() && !message.contains("\tat "), message);
                  }
                }));
  }

  private void rule(String name, String code, ModelProto.Builder model) {
    rules.add(new Rule(name, code, model));
  }

  private static ModelProto.Builder withFunctions(ModelProto.Builder model) {
    return model.addOpsetImport(OperatorSetIdProto.newBuilder().setDomain("f").setVersion(1));
  }

  private static FunctionProto.Builder function(String name, NodeProto.Builder node) {
    return FunctionProto.newBuilder()
        .setDomain("f")
        .setName(name)
        .addInput("a")
        .addOutput("b")
        .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
        .addOpsetImport(OperatorSetIdProto.newBuilder().setDomain("f").setVersion(1))
        .addNode(node);
  }

  private void functions() {
    for (String operator : List.of("If", "Loop", "Scan")) {
      NodeProto.Builder call = node("F", "a", "c").setDomain("f");
      GraphProto.Builder body =
          GraphProto.newBuilder().setName("body").addNode(call).addOutput(floats("c"));
      NodeProto.Builder holder = node(operator, "a", "b");
      for (String name :
          operator.equals("If") ? List.of("then_branch", "else_branch") : List.of("body")) {
        holder.addAttribute(AttributeProto.newBuilder().setName(name).setType(5).setG(body));
      }
      rule(
          "a function calls itself in the body of " + operator,
          "TSR-0212",
          withFunctions(model(graph().addNode(node("F", "x", "z").setDomain("f"))))
              .addFunctions(function("F", holder)));
    }
    ModelProto.Builder many = withFunctions(model(graph()));
    for (int i = 0; i <= 10_000; i++) {
      many.addFunctions(function("F" + i, node("Relu", "a", "b")));
    }
    rule("more than 10,000 functions", "TSR-0204", many);
  }

  private void tensors() {
    TensorProto.Builder few = weight().clearFloatData().addFloatData(1);
    rule("too few typed elements", "TSR-0206", model(graph().setInitializer(0, few)));
    TensorProto.Builder pairs =
        weight().clearFloatData().setDataType(26).clearDims().addDims(9).addInt32Data(1);
    rule("too few bytes of int2", "TSR-0206", model(graph().setInitializer(0, pairs)));
    TensorProto.Builder long2 =
        weight()
            .clearFloatData()
            .setDataType(26)
            .clearDims()
            .addDims(4)
            .setRawData(ByteString.copyFrom(new byte[2]));
    rule("too many bytes of int2", "TSR-0206", model(graph().setInitializer(0, long2)));
  }

  private static TensorProto.Builder external(String... entries) {
    TensorProto.Builder tensor = weight().clearFloatData().setDataLocation(1);
    for (int i = 0; i < entries.length; i += 2) {
      tensor.addExternalData(TensorWriter.entry(entries[i], entries[i + 1]));
    }
    return tensor;
  }

  private void externalData() throws IOException {
    rule(
        "external data without a location",
        "TSR-0207",
        model(graph().setInitializer(0, external("offset", "0"))));
    Path outside = Files.createDirectory(folder.resolve("outside"));
    Path secret = Files.write(outside.resolve("secret.bin"), new byte[8]);
    folder = Files.createDirectory(folder.resolve("model"));
    try {
      Files.createSymbolicLink(folder.resolve("link.bin"), secret);
      Files.createSymbolicLink(folder.resolve("ld"), outside);
      Files.createLink(folder.resolve("hard.bin"), secret);
    } catch (IOException | UnsupportedOperationException e) {
      Assumptions.abort("this file system has no links: " + e);
    }
    for (String location :
        List.of(
            "../outside/secret.bin",
            "a/../../outside/secret.bin",
            secret.toString(),
            "link.bin",
            "ld/secret.bin",
            "hard.bin",
            "*/_ORT_MEM_ADDR_/*")) {
      TensorProto tensor = external("location", location, "offset", "0", "length", "8").build();
      AttributeProto value =
          AttributeProto.newBuilder().setName("value").setType(4).setT(tensor).build();
      SparseTensorProto sparse =
          SparseTensorProto.newBuilder()
              .setValues(tensor.toBuilder().setName("s"))
              .setIndices(
                  TensorProto.newBuilder()
                      .setDataType(7)
                      .addDims(2)
                      .addInt64Data(0)
                      .addInt64Data(1))
              .addDims(2)
              .build();
      AttributeProto sparseValue =
          AttributeProto.newBuilder()
              .setName("sparse_value")
              .setType(11)
              .setSparseTensor(sparse)
              .build();
      String shown = location.equals(secret.toString()) ? "an absolute path" : location;
      rule(shown + " in an initializer", "TSR-0207", model(graph().setInitializer(0, tensor)));
      rule(shown + " in a Constant", "TSR-0207", model(graph().addNode(constant(value))));
      rule(
          shown + " in a sparse Constant",
          "TSR-0207",
          model(graph().addNode(constant(sparseValue))));
      rule(
          shown + " in a sparse initializer",
          "TSR-0207",
          model(graph().addSparseInitializer(sparse)));
    }
  }

  private static NodeProto.Builder constant(AttributeProto value) {
    return NodeProto.newBuilder().setOpType("Constant").addOutput("c").addAttribute(value);
  }

  private void sparse() {
    TensorProto values =
        TensorProto.newBuilder().setName("s").setDataType(1).addDims(1).addFloatData(3).build();
    rule(
        "sparse indices of type int32",
        "TSR-0208",
        sparse(values, TensorProto.newBuilder().setDataType(6).addDims(1).addInt32Data(1)));
    rule(
        "sparse indices of rank 3",
        "TSR-0208",
        sparse(
            values,
            TensorProto.newBuilder()
                .setDataType(7)
                .addDims(1)
                .addDims(1)
                .addDims(1)
                .addInt64Data(1)));
    rule(
        "sparse indices of another rank",
        "TSR-0208",
        sparse(
            values,
            TensorProto.newBuilder()
                .setDataType(7)
                .addDims(1)
                .addDims(3)
                .addInt64Data(0)
                .addInt64Data(0)
                .addInt64Data(0)));
  }

  private static ModelProto.Builder sparse(TensorProto values, TensorProto.Builder indices) {
    return model(
        graph()
            .addSparseInitializer(
                SparseTensorProto.newBuilder()
                    .setValues(values)
                    .setIndices(indices)
                    .addDims(2)
                    .addDims(2)));
  }

  private void lenient() {
    rule("a graph without a name", "", model(graph().clearName()));
    rule("an initializer that is no input of an old file", "", model(graph()).setIrVersion(3));
    rule(
        "nodes in any order",
        "",
        model(
            graph().clearNode().addNode(node("Relu", "a", "y")).addNode(node("Add", "x w", "a"))));
  }
}
