package org.tersor.onnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.runtime.DType;

class ImportModelsTest {
  private static final OnnxFrontend ONNX = new OnnxFrontend();

  @Test
  void realModels() throws IOException {
    for (Path file : TestData.models("models")) {
      Graph graph = ONNX.read(file, Map.of());
      assertFalse(graph.nodes().isEmpty(), file.toString());
      assertFalse(graph.constants().isEmpty(), file.toString());
      noConstantNodes(graph);
    }
  }

  @Test
  void backendSuite() throws IOException {
    List<Path> files = TestData.models("onnx-backend");
    for (Path file : files) {
      noConstantNodes(ONNX.read(file, Map.of()));
    }
    assertTrue(files.size() > 1000);
  }

  @Test
  void largeWeightsStayInTheFile() throws IOException {
    Path file = TestData.models("models/super-resolution").getFirst();
    Graph graph = ONNX.read(file, Map.of());
    long mapped = 0;
    for (Constant constant : graph.constants().values()) {
      if (constant instanceof Constant.Mapped m) {
        assertTrue(m.segment().isNative(), () -> m.segment().toString());
        mapped += m.segment().byteSize();
      }
    }
    assertTrue(mapped > 200_000, "mapped: " + mapped);
    assertEquals(DType.F32, graph.type(graph.inputs().getFirst()).tensor().dtype());
  }

  private static void noConstantNodes(Graph graph) {
    for (Node node : graph.nodes()) {
      assertFalse(node.op().is("Constant"));
      Graph.bodies(node).forEach(ImportModelsTest::noConstantNodes);
    }
  }
}
