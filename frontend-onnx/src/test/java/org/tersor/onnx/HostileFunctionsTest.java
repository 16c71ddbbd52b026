package org.tersor.onnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.tersor.ir.graph.Graph;
import org.tersor.onnx.proto.AttributeProto;
import org.tersor.onnx.proto.FunctionProto;
import org.tersor.onnx.proto.ModelProto;
import org.tersor.onnx.proto.NodeProto;
import org.tersor.onnx.proto.OperatorSetIdProto;
import org.tersor.onnx.proto.TensorProto;

/**
 * Model-local functions that grow without bound or call wrongly: each must end in a diagnostic with
 * the right code, quickly and in bounded memory.
 */
@Timeout(20)
class HostileFunctionsTest extends HostileModels {
  private static FunctionProto.Builder function(String name, String... calls) {
    FunctionProto.Builder function =
        FunctionProto.newBuilder()
            .setDomain("f")
            .setName(name)
            .addInput("a")
            .addOutput("b" + calls.length)
            .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
            .addOpsetImport(OperatorSetIdProto.newBuilder().setDomain("f").setVersion(1));
    for (int i = 0; i < calls.length; i++) {
      boolean local = !calls[i].equals("Relu");
      function.addNode(
          node(calls[i], i == 0 ? "a" : "b" + i, "b" + (i + 1)).setDomain(local ? "f" : ""));
    }
    return function;
  }

  private static ModelProto.Builder calling(String function) {
    return model(graph().addNode(node(function, "x", "z").setDomain("f")))
        .addOpsetImport(OperatorSetIdProto.newBuilder().setDomain("f").setVersion(1));
  }

  @Test
  void functions() throws IOException {
    Graph graph =
        read(
            calling("F")
                .addFunctions(function("F", "Relu", "G"))
                .addFunctions(function("G", "Relu", "Relu")));
    assertEquals(4, graph.nodes().size());
    refused("TSR-0212", calling("F").addFunctions(function("F", "F")));
    refused(
        "TSR-0212", calling("F").addFunctions(function("F", "G")).addFunctions(function("G", "F")));
    refused(
        "TSR-0212",
        calling("F").addFunctions(function("F", "Relu")).addFunctions(function("F", "Relu")));
    refused("TSR-0212", calling("F").addFunctions(function("F", "Relu").setOutput(0, "nobody")));
    ModelProto.Builder deep = calling("F0");
    ModelProto.Builder wide = calling("F0");
    for (int i = 0; i < 150; i++) {
      deep.addFunctions(function("F" + i, "F" + (i + 1)));
      wide.addFunctions(
          i < 40 ? function("F" + i, "F" + (i + 1), "F" + (i + 1)) : function("F" + i, "Relu"));
    }
    assertTrue(refused("TSR-0204", deep).contains("deep"));
    assertTrue(refused("TSR-0204", wide).contains("nodes"));
    ModelProto.Builder four =
        calling("F")
            .addFunctions(function("F", "Relu", "G"))
            .addFunctions(function("G", "Relu", "Relu"));
    assertEquals(4, read(four, "max-nodes", "6").nodes().size()); // two of the six are calls
    assertTrue(refused("TSR-0204", four, "max-nodes", "5").contains("more than 5 nodes"));
  }

  @Test
  void aWeightInAFunctionIsReadOnce() throws IOException {
    AttributeProto value =
        AttributeProto.newBuilder()
            .setName("value")
            .setType(4)
            .setT(
                TensorProto.newBuilder()
                    .setDataType(2)
                    .addDims(3000)
                    .setRawData(ByteString.copyFrom(new byte[3000])))
            .build();
    NodeProto weight =
        NodeProto.newBuilder().setOpType("Constant").addOutput("w").addAttribute(value).build();
    ModelProto.Builder model = calling("F0");
    for (int i = 0; i < 16; i++) {
      model.addFunctions(
          i < 15
              ? function("F" + i, "F" + (i + 1), "F" + (i + 1))
              : function("F" + i, "Relu").addNode(weight));
    }
    Graph graph = read(model);
    assertEquals(1 << 15, graph.constants().size() - 1);
    assertEquals(
        2, graph.constants().values().stream().map(System::identityHashCode).distinct().count());
  }

  @Test
  void functionAttributesAndPassedThroughInputs() throws IOException {
    AttributeProto given =
        AttributeProto.newBuilder().setName("alpha").setType(1).setF(0.5f).build();
    AttributeProto reference =
        AttributeProto.newBuilder().setName("alpha").setType(1).setRefAttrName("alpha").build();
    AttributeProto optional =
        AttributeProto.newBuilder().setName("beta").setType(1).setRefAttrName("beta").build();
    FunctionProto.Builder function =
        FunctionProto.newBuilder()
            .setDomain("f")
            .setName("F")
            .addInput("a")
            .addOutput("b")
            .addOutput("a")
            .addAttribute("alpha")
            .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
            .addNode(node("LeakyRelu", "a", "b").addAttribute(reference).addAttribute(optional));
    ModelProto.Builder model =
        model(
                graph()
                    .addNode(
                        node("F", "x", "z1").addOutput("z2").setDomain("f").addAttribute(given)))
            .addOpsetImport(OperatorSetIdProto.newBuilder().setDomain("f").setVersion(1))
            .addFunctions(function);
    Graph graph = read(model);
    assertEquals("{alpha=FloatAttr[value=0.5]}", graph.nodes().get(1).attributes().toString());
    assertEquals("Identity", graph.nodes().get(2).op().type());
  }
}
