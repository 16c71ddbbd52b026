package org.tersor.onnx;

import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.tersor.onnx.proto.FunctionProto;
import org.tersor.onnx.proto.ModelProto;

/** Functions that a model defines for itself. */
final class Functions {
  private static final int MAX_FUNCTIONS = 10_000;

  private final Map<String, FunctionProto> functions = new HashMap<>();
  private final IdentityHashMap<FunctionProto, Map<String, Integer>> opsets =
      new IdentityHashMap<>();
  private final Map<String, Integer> used = new LinkedHashMap<>();

  Functions(ModelProto model) {
    if (model.getFunctionsCount() > MAX_FUNCTIONS) {
      throw Diag.error(
          Diag.LIMIT,
          "the model has "
              + model.getFunctionsCount()
              + " functions; at most "
              + MAX_FUNCTIONS
              + " are supported");
    }
    for (FunctionProto function : model.getFunctionsList()) {
      if (function.getName().isEmpty()) {
        throw Diag.error(Diag.FUNCTION, "a function has no name");
      }
      if (functions.put(key(function), function) != null) {
        throw Diag.error(
            Diag.FUNCTION, "function " + Diag.quote(key(function)) + " is defined twice");
      }
    }
  }

  static String key(FunctionProto function) {
    return key(Header.domain(function.getDomain()), function.getName(), function.getOverload());
  }

  private static String key(String domain, String name, String overload) {
    return domain + "::" + name + (overload.isEmpty() ? "" : "::" + overload);
  }

  Optional<FunctionProto> find(String domain, String name, String overload) {
    return functions.isEmpty()
        ? Optional.empty()
        : Optional.ofNullable(functions.get(key(domain, name, overload)));
  }

  /** Opsets that the function imports. */
  Map<String, Integer> opsets(FunctionProto function, String where) {
    return opsets.computeIfAbsent(
        function,
        f -> {
          Map<String, Integer> own = Header.opsets(f.getOpsetImportList(), where);
          own.forEach(used::putIfAbsent);
          return own;
        });
  }

  /** Opsets of all functions that were called. */
  Map<String, Integer> opsetsUsed() {
    return used;
  }
}
