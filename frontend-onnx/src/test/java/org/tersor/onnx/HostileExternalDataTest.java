package org.tersor.onnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.tersor.ir.graph.Graph;
import org.tersor.onnx.proto.AttributeProto;
import org.tersor.onnx.proto.ModelProto;
import org.tersor.onnx.proto.NodeProto;
import org.tersor.onnx.proto.SparseTensorProto;
import org.tersor.onnx.proto.TensorProto;
import org.tersor.runtime.Tensor;

/**
 * Weights in other files: ranges, paths and links: each must end in a diagnostic with the right
 * code, quickly and in bounded memory.
 */
@Timeout(20)
class HostileExternalDataTest extends HostileModels {
  // External data.

  private static ModelProto.Builder external(String location, String... more) {
    TensorProto.Builder tensor =
        weight()
            .clearFloatData()
            .setDataLocation(1)
            .addExternalData(TensorWriter.entry("location", location));
    for (int i = 0; i < more.length; i += 2) {
      tensor.addExternalData(TensorWriter.entry(more[i], more[i + 1]));
    }
    return model(graph().setInitializer(0, tensor));
  }

  @Test
  void externalRanges() throws IOException {
    Files.write(
        folder.resolve("w.bin"), new byte[] {0, 0, 0, 0, 0, 0, (byte) 0x80, 0x3F, 0, 0, 0, 0x40});
    Graph graph = read(external("w.bin", "offset", "4", "length", "8"));
    assertEquals(
        Tensor.of(new float[] {1, 2}, 2), graph.constants().values().iterator().next().load());
    refused("TSR-0207", external("w.bin", "offset", "8"));
    refused("TSR-0207", external("w.bin", "offset", "13"));
    refused("TSR-0207", external("w.bin", "offset", "-1"));
    refused("TSR-0207", external("w.bin", "offset", "x"));
    refused("TSR-0207", external("w.bin", "offset", "9223372036854775807"));
    refused("TSR-0207", external("w.bin", "offset", "9223372036854775808"));
    refused("TSR-0207", external("w.bin", "offset", "18446744073709551612", "length", "8"));
    refused("TSR-0207", external("w.bin", "length", "9000000000000000000"));
    refused("TSR-0207", external("w.bin", "length", "4"));
    refused("TSR-0207", external("w.bin", "__class__", "x"));
    refused("TSR-0207", external("w.bin", "offset", "0", "offset", "4"));
    refused("TSR-0207", external("absent.bin"));
    refused("TSR-0207", external(""));
    refused("TSR-0207", external("."));
    refused("TSR-0207", external("*/_ORT_MEM_ADDR_/*", "offset", "4096", "length", "8"));
  }

  @Test
  void externalPaths() throws IOException {
    Path outside = Files.createDirectory(folder.resolve("outside"));
    Path secret = Files.write(outside.resolve("secret.bin"), new byte[8]);
    folder = Files.createDirectory(folder.resolve("model"));
    refused("TSR-0207", external("../outside/secret.bin"));
    refused("TSR-0207", external("a/../../outside/secret.bin"));
    refused("TSR-0207", external("..\\outside\\secret.bin"));
    refused("TSR-0207", external(secret.toString()));
    refused("TSR-0207", external("C:\\secret.bin"));
    refused("TSR-0207", external("w\0.bin"));
    // The same through a Constant and through a sparse tensor.
    TensorProto tensor = external("../outside/secret.bin").getGraph().getInitializer(0);
    AttributeProto value =
        AttributeProto.newBuilder().setName("value").setType(4).setT(tensor).build();
    refusedGraph(
        "TSR-0207",
        g ->
            g.addNode(
                NodeProto.newBuilder().setOpType("Constant").addOutput("c").addAttribute(value)));
    SparseTensorProto sparse =
        SparseTensorProto.newBuilder()
            .setValues(tensor.toBuilder().setName("s"))
            .addDims(2)
            .build();
    refusedGraph("TSR-0207", g -> g.addSparseInitializer(sparse));
  }

  @Test
  void externalLinks() throws IOException {
    Path outside = Files.createDirectory(folder.resolve("outside"));
    Path secret = Files.write(outside.resolve("secret.bin"), new byte[8]);
    Path base = folder;
    folder = Files.createDirectory(base.resolve("model"));
    try {
      Files.createSymbolicLink(folder.resolve("link.bin"), secret);
      Files.createSymbolicLink(folder.resolve("folder"), outside);
      Files.createLink(folder.resolve("hard.bin"), secret);
    } catch (IOException | UnsupportedOperationException e) {
      Assumptions.abort("this file system has no links: " + e);
    }
    assertTrue(refused("TSR-0207", external("link.bin")).contains("--external-data-root DIR"));
    assertTrue(
        refused("TSR-0207", external("folder/secret.bin")).contains("--external-data-root DIR"));
    assertTrue(refused("TSR-0207", external("hard.bin")).contains("--allow-hard-links"));
    assertEquals(1, read(external("hard.bin"), "allow-hard-links", "true").nodes().size());
    assertTrue(
        refused("TSR-0207", external("link.bin"), "external-data-root", outside.toString())
            .contains("--allow-hard-links"));
    Files.delete(folder.resolve("hard.bin"));
    assertEquals(
        1, read(external("link.bin"), "external-data-root", outside.toString()).nodes().size());
    Files.createSymbolicLink(
        folder.resolve("inside.bin"), Files.write(folder.resolve("real.bin"), new byte[8]));
    assertEquals(1, read(external("inside.bin")).nodes().size());
  }
}
