package org.tersor.onnx;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.onnx.proto.AttributeProto;
import org.tersor.onnx.proto.FunctionProto;
import org.tersor.onnx.proto.NodeProto;

/**
 * A node that calls a function of the model: the function's nodes are read into the graph of the
 * call.
 */
final class FunctionCall {
  private final GraphImporter importer;
  private final Functions functions;
  private final NodeProto proto;
  private final FunctionProto function;
  private final GraphImporter.Env env;
  private final String label;

  FunctionCall(
      GraphImporter importer,
      Functions functions,
      NodeProto proto,
      FunctionProto function,
      GraphImporter.Env env) {
    this.importer = importer;
    this.functions = functions;
    this.proto = proto;
    this.function = function;
    this.env = env;
    this.label = GraphImporter.label(proto);
  }

  void inline(List<Value> inputs, List<Value> outputs) {
    String key = Functions.key(function);
    if (env.calls().contains(key)) {
      throw Diag.error(
          Diag.FUNCTION,
          label
              + ": the function calls itself: "
              + Diag.quote(String.join(" -> ", env.calls()) + " -> " + key));
    }
    if (inputs.size() > function.getInputCount() || outputs.size() > function.getOutputCount()) {
      throw Diag.error(
          Diag.FUNCTION,
          label
              + ": the function has "
              + function.getInputCount()
              + " inputs and "
              + function.getOutputCount()
              + " outputs, the call "
              + inputs.size()
              + " and "
              + outputs.size());
    }
    List<String> calls = new ArrayList<>(env.calls());
    calls.add(key);
    Scope scope = new Scope(Optional.empty());
    GraphImporter.Env inside =
        new GraphImporter.Env(
            scope,
            env.frame(),
            functions.opsets(function, label),
            Optional.of(bindings()),
            calls,
            env.depth() + 1);
    GraphImporter.checkDepth(inside);
    for (int i = 0; i < function.getInputCount(); i++) {
      if (scope.definesHere(function.getInput(i))) {
        throw Diag.error(
            Diag.FUNCTION,
            label
                + ": input "
                + Diag.quote(function.getInput(i))
                + " of the function is given twice");
      }
      scope.define(function.getInput(i), i < inputs.size() ? inputs.get(i) : Value.NONE);
    }
    for (int i = 0; i < outputs.size(); i++) {
      if (outputs.get(i).isPresent() && scope.reserved(function.getOutput(i)).isEmpty()) {
        scope.reserve(function.getOutput(i), outputs.get(i));
      }
    }
    importer.nodes(function.getNodeList(), inside);
    for (int i = 0; i < outputs.size(); i++) {
      String name = function.getOutput(i);
      Value made =
          scope
              .find(name)
              .orElseThrow(() ->
                  Diag.error(
                      Diag.FUNCTION,
                      label
                          + ": output "
                          + Diag.quote(name)
                          + " is made by no node of the function"));
      if (outputs.get(i).isPresent() && !made.equals(outputs.get(i))) {
        // The function hands an input through, or one value out twice.
        OpKey identity =
            new OpKey(
                "", "Identity", inside.opsets().getOrDefault("", env.opsets().getOrDefault("", 1)));
        importer.add(
            env,
            "",
            identity,
            List.of(made),
            List.of(outputs.get(i)),
            Map.of(),
            NodeProto.getDefaultInstance());
      }
    }
  }

  private Map<String, GraphImporter.Bound> bindings() {
    Map<String, GraphImporter.Bound> bindings = new HashMap<>();
    for (AttributeProto attribute : proto.getAttributeList()) {
      if (bindings.put(attribute.getName(), new GraphImporter.Bound(attribute, env)) != null) {
        throw GraphImporter.nodeError(
            proto, "attribute " + Diag.quote(attribute.getName()) + " is given twice");
      }
    }
    for (AttributeProto attribute : function.getAttributeProtoList()) {
      bindings.putIfAbsent(attribute.getName(), new GraphImporter.Bound(attribute, env));
    }
    return bindings;
  }
}
