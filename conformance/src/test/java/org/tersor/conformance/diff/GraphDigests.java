package org.tersor.conformance.diff;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Set;
import java.util.stream.LongStream;
import org.tersor.ir.graph.GraphPrinter;
import org.tersor.ir.op.OpRegistry;

/** Prints a digest of the graph of each of some seeds. */
final class GraphDigests {
  private GraphDigests() {}

  public static void main(String[] args) throws Exception {
    GraphGenerator generator =
        new GraphGenerator(OpRegistry.standard(), Set.of(), KernelOracle.everything());
    for (long seed : LongStream.range(0, Long.parseLong(args[0])).toArray()) {
      String text = GraphPrinter.print(generator.draw(seed).graph());
      byte[] digest = MessageDigest.getInstance("SHA-256").digest(text.getBytes(UTF_8));
      System.out.println(seed + " " + HexFormat.of().formatHex(digest, 0, 8));
    }
  }
}
