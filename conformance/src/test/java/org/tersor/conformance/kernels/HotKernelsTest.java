package org.tersor.conformance.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import javax.management.JMException;
import javax.management.ObjectName;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/**
 * Values at full shapes with tails, of code that HotSpot's optimising compiler has made, as its
 * list of compiled methods shows: cold code at small shapes runs in the interpreter and shows none
 * of the optimiser's faults.
 */
@Isolated("it watches all compiled methods of the process")
class HotKernelsTest {
  /** Methods of generated classes, which are hidden. */
  private static final String KERNEL = "org.tersor.codegen.jvm.Kernel_";

  private static final int OPTIMISED = 4;
  private static final long LONGEST_NANOS = 120_000_000_000L;

  static List<KernelCase> cases() {
    return KernelCases.all(KernelCases.vectorPanel());
  }

  @ParameterizedTest
  @MethodSource("cases")
  void coldAndHotValues(KernelCase row) throws JMException, InterruptedException {
    Executable executable =
        Compiler.standard().executable(row.graph(), "jvm", CompileOptions.defaults());
    Set<String> others = settled();
    Map<String, Tensor> outputs = executable.run(row.inputs());
    Object array = outputs.values().iterator().next().array();
    assertEquals(Optional.empty(), KernelBench.difference(row, array), "cold");
    long end = System.nanoTime() + LONGEST_NANOS;
    for (Map<String, Integer> loops = Map.of();
        loops.isEmpty() || loops.values().stream().anyMatch(level -> level < OPTIMISED); ) {
      if (System.nanoTime() > end) {
        fail("HotSpot did not optimise, by method and level: " + loops);
      }
      for (int runs = 0; runs < 100; runs++) {
        executable.run(row.inputs(), outputs);
      }
      loops = loops(others);
    }
    executable.run(row.inputs(), outputs);
    assertEquals(Optional.empty(), KernelBench.difference(row, array), "hot");
    if (row.jvm().isPresent()) {
      Object hand = row.newResult();
      row.jvm().get().run(row.operands(), hand, row.sizes());
      assertEquals(Optional.empty(), KernelBench.difference(row, hand), "by hand");
    }
  }

  /** Classes of what ran before, at load too, once HotSpot's queue has none of them any more. */
  private static Set<String> settled() throws JMException, InterruptedException {
    Map<String, Integer> before = Map.of();
    for (int same = 0; same < 3; ) {
      Thread.sleep(200);
      Map<String, Integer> now = levels();
      same = now.equals(before) ? same + 1 : 0;
      before = now;
    }
    return before.keySet().stream().map(HotKernelsTest::owner).collect(Collectors.toSet());
  }

  private static String owner(String method) {
    return method.substring(0, method.indexOf("::"));
  }

  /** Levels of the methods with the loops of kernels that run: parts, or the body without parts. */
  private static Map<String, Integer> loops(Set<String> others) throws JMException {
    Map<String, Integer> own = levels();
    own.keySet().removeIf(method -> others.contains(owner(method)));
    own.keySet().removeIf(method -> method.contains("::run"));
    own.keySet()
        .removeIf(method ->
            method.endsWith("::body") && own.containsKey(method.replace("::body", "::part0")));
    return own;
  }

  /** The highest level at which each method of a generated class is compiled now. */
  private static Map<String, Integer> levels() throws JMException {
    String list =
        (String)
            ManagementFactory.getPlatformMBeanServer()
                .invoke(
                    new ObjectName("com.sun.management:type=DiagnosticCommand"),
                    "compilerCodelist",
                    new Object[0],
                    new String[0]);
    Map<String, Integer> levels = new TreeMap<>();
    list.lines()
        .map(line -> line.trim().split(" ", 5))
        // number, level, state (0: in use), class.method(parameters)result, addresses
        .filter(fields -> fields[2].equals("0") && fields[3].startsWith(KERNEL))
        .forEach(fields -> {
          String method = fields[3].substring(0, fields[3].indexOf('('));
          int dot = method.lastIndexOf('.');
          levels.merge(
              method.substring(0, dot) + "::" + method.substring(dot + 1),
              Integer.parseInt(fields[1]),
              Math::max);
        });
    return levels;
  }
}
