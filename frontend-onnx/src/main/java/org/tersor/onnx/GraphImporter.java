package org.tersor.onnx;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.onnx.proto.AttributeProto;
import org.tersor.onnx.proto.FunctionProto;
import org.tersor.onnx.proto.GraphProto;
import org.tersor.onnx.proto.ModelProto;
import org.tersor.onnx.proto.NodeProto;
import org.tersor.onnx.proto.SparseTensorProto;
import org.tersor.onnx.proto.StringStringEntryProto;
import org.tersor.onnx.proto.TensorProto;
import org.tersor.onnx.proto.ValueInfoProto;
import org.tersor.runtime.TersorException;

/**
 * ModelProto to graph. Values and nodes share one space of ids over the whole model. Constant nodes
 * become constants and model-local functions are inlined, both within limits. Shapes that the file
 * declares are believed for the inputs of the model only.
 */
final class GraphImporter {
  /** Bodies and calls inside each other. */
  private static final int MAX_DEPTH = 100;

  /** Nodes that a model may have, unless told otherwise. */
  static final int MAX_NODES = 1_000_000;

  /**
   * Operands, attributes and body inputs that inlining may make; outside of functions the file's
   * size bounds them.
   */
  private static final long MAX_INLINED = 20_000_000;

  private final ModelProto model;
  private final int maxNodes;
  private final TensorReader tensors;
  private final AttributeReader attributes;
  private final Functions functions;
  private final Map<String, String> metadata = new LinkedHashMap<>();
  private final TypeReader types = new TypeReader(metadata);
  private int nextId;
  private int nodesRead;
  private long namesInlined;

  /**
   * What the nodes of one list see.
   *
   * @param bindings attributes of the call, inside a function
   * @param calls functions that are being inlined, outermost first
   */
  record Env(
      Scope scope,
      Scope.Frame frame,
      Map<String, Integer> opsets,
      Optional<Map<String, Bound>> bindings,
      List<String> calls,
      int depth) {
    Env inside(Scope newScope, Scope.Frame newFrame) {
      return new Env(newScope, newFrame, opsets, bindings, calls, depth + 1);
    }
  }

  /** An attribute of a call, read where it is used. */
  record Bound(AttributeProto attribute, Env env) {}

  GraphImporter(ProtoFile.Parsed<ModelProto> file, ExternalData external, int maxNodes) {
    this.maxNodes = maxNodes;
    this.model = file.message();
    this.tensors = new TensorReader(external, file.raw());
    this.attributes = new AttributeReader(tensors, types, this::body);
    this.functions = new Functions(model);
  }

  Graph read() {
    Map<String, Integer> opsets = Header.read(model, metadata);
    GraphProto proto = model.getGraph();
    Scope.Frame frame = new Scope.Frame();
    Scope scope = new Scope(Optional.empty());
    Env env = new Env(scope, frame, opsets, Optional.empty(), List.of(), 0);
    Set<String> initialised = new HashSet<>();
    proto.getInitializerList().forEach(t -> initialised.add(t.getName()));
    proto.getSparseInitializerList().forEach(t -> initialised.add(t.getValues().getName()));
    List<Value> inputs = new ArrayList<>();
    List<String> defaults = new ArrayList<>();
    Set<String> names = new HashSet<>();
    for (ValueInfoProto input : proto.getInputList()) {
      if (input.getName().isEmpty() || !names.add(input.getName())) {
        throw graphError("input " + Diag.quote(input.getName()) + " has no name or is given twice");
      }
      if (initialised.contains(input.getName())) {
        defaults.add(input.getName());
        continue;
      }
      Value value = define(env, input.getName());
      frame.types().put(value, types.read(input.getType(), "input " + Diag.quote(input.getName())));
      describe(
          frame, Metadata.VALUE + value.id(), input.getDocString(), input.getMetadataPropsList());
      inputs.add(value);
    }
    if (!defaults.isEmpty() && model.getIrVersion() >= 4) {
      metadata.put(Metadata.DEFAULT_INPUTS, String.join("\n", defaults));
    }
    initializers(proto, env);
    nodes(proto.getNodeList(), env);
    List<Value> outputs = outputs(proto, env);
    metadata.putAll(frame.metadata());
    Map<String, Integer> allOpsets = new LinkedHashMap<>(opsets);
    functions.opsetsUsed().forEach(allOpsets::putIfAbsent);
    return new Graph(
        proto.getName(),
        inputs,
        outputs,
        Sorting.sort(frame.nodes()),
        frame.constants(),
        allTypes(frame),
        allOpsets,
        metadata);
  }

  private Graph body(GraphProto proto, Env around) {
    Scope.Frame frame = new Scope.Frame();
    Env env = around.inside(new Scope(Optional.of(around.scope())), frame);
    checkDepth(env);
    charge(env, proto.getInputCount() + proto.getOutputCount() + proto.getInitializerCount());
    List<Value> inputs = new ArrayList<>();
    for (ValueInfoProto input : proto.getInputList()) {
      Value value = define(env, input.getName());
      // The shape is a hint that loops often break: only the element type is kept.
      ValueType type =
          input.hasType()
              ? types.read(input.getType(), "input " + Diag.quote(input.getName()) + " of a body")
              : ValueType.UNKNOWN;
      frame
          .types()
          .put(
              value,
              type instanceof ValueType.TensorType t
                  ? ValueType.TensorType.unranked(t.dtype())
                  : type);
      describe(
          frame, Metadata.VALUE + value.id(), input.getDocString(), input.getMetadataPropsList());
      inputs.add(value);
    }
    initializers(proto, env);
    nodes(proto.getNodeList(), env);
    List<Value> outputs = outputs(proto, env);
    if (!proto.getDocString().isEmpty()) {
      frame.metadata().put(Metadata.GRAPH_DOC, proto.getDocString());
    }
    proto
        .getMetadataPropsList()
        .forEach(p -> frame.metadata().put(Metadata.GRAPH_PROP + p.getKey(), p.getValue()));
    return new Graph(
        proto.getName(),
        inputs,
        outputs,
        Sorting.sort(frame.nodes()),
        frame.constants(),
        allTypes(frame),
        env.opsets(),
        frame.metadata());
  }

  private static Map<Value, ValueType> allTypes(Scope.Frame frame) {
    Map<Value, ValueType> all = new LinkedHashMap<>(frame.types());
    frame.constants().forEach((value, constant) -> all.put(value, constant.type()));
    for (Node node : frame.nodes()) {
      for (Value output : node.outputs()) {
        if (output.isPresent()) {
          all.put(output, ValueType.UNKNOWN);
        }
      }
    }
    return all;
  }

  private void initializers(GraphProto proto, Env env) {
    for (TensorProto tensor : proto.getInitializerList()) {
      constant(
          env,
          tensor.getName(),
          tensors.read(tensor, "initializer " + Diag.quote(tensor.getName())));
    }
    for (SparseTensorProto tensor : proto.getSparseInitializerList()) {
      String name = tensor.getValues().getName();
      constant(env, name, tensors.densify(tensor, "sparse initializer " + Diag.quote(name)));
    }
  }

  private void constant(Env env, String name, Constant constant) {
    env.frame().constants().put(define(env, name), constant);
  }

  private Value define(Env env, String name) {
    if (name.isEmpty()) {
      throw graphError("an input or initializer has no name");
    }
    if (env.scope().definesHere(name)) {
      throw graphError("the name " + Diag.quote(name) + " is defined twice in one graph");
    }
    Value value = env.scope().reserved(name).orElseGet(() -> new Value(nextId++, name));
    env.scope().define(name, value);
    return value;
  }

  private List<Value> outputs(GraphProto proto, Env env) {
    List<Value> outputs = new ArrayList<>();
    Set<String> names = new HashSet<>();
    for (ValueInfoProto output : proto.getOutputList()) {
      if (!names.add(output.getName())) {
        throw graphError("output " + Diag.quote(output.getName()) + " is given twice");
      }
      Value value =
          env.scope()
              .find(output.getName())
              .orElseThrow(() ->
                  graphError("output " + Diag.quote(output.getName()) + " is made by no node"));
      outputs.add(value);
      int declared = output.getType().getTensorType().getElemType();
      if (OnnxTypes.dtype(declared).isPresent()) {
        env.frame()
            .metadata()
            .put(Metadata.VALUE + value.id() + Metadata.ELEMENT_SUFFIX, Integer.toString(declared));
      }
    }
    return outputs;
  }

  /**
   * Reads nodes into the frame. Names are declared first, since their order in a file is not always
   * topological.
   */
  void nodes(List<NodeProto> protos, Env env) {
    for (NodeProto proto : protos) {
      for (String output : proto.getOutputList()) {
        if (!output.isEmpty()) {
          define(env, output);
        }
      }
    }
    for (NodeProto proto : protos) {
      node(proto, env);
    }
  }

  private void node(NodeProto proto, Env env) {
    if (++nodesRead > maxNodes) {
      throw Diag.error(
          Diag.LIMIT,
          "the model has more than "
              + maxNodes
              + " nodes once its functions are inlined; --max-nodes raises the limit");
    }
    charge(env, proto.getInputCount() + proto.getOutputCount() + proto.getAttributeCount());
    if (proto.getOpType().isEmpty()) {
      throw nodeError(proto, "it has no op_type");
    }
    if (proto.getInputCount() == 0 && proto.getOutputCount() == 0) {
      throw nodeError(proto, "it has neither inputs nor outputs");
    }
    List<Value> inputs = new ArrayList<>();
    for (String name : proto.getInputList()) {
      inputs.add(
          name.isEmpty()
              ? Value.NONE
              : env.scope()
                  .find(name)
                  .orElseThrow(() ->
                      nodeError(proto, "its input " + Diag.quote(name) + " is defined nowhere")));
    }
    List<Value> outputs = new ArrayList<>();
    for (String name : proto.getOutputList()) {
      outputs.add(name.isEmpty() ? Value.NONE : env.scope().find(name).orElseThrow());
    }
    String domain = Header.domain(proto.getDomain());
    Optional<FunctionProto> function =
        functions.find(domain, proto.getOpType(), proto.getOverload());
    if (function.isPresent()) {
      new FunctionCall(this, functions, proto, function.get(), env).inline(inputs, outputs);
      return;
    }
    Map<String, Attribute> attrs = new LinkedHashMap<>();
    Set<String> seen = new HashSet<>();
    for (AttributeProto attribute : proto.getAttributeList()) {
      if (attribute.getName().isEmpty() || !seen.add(attribute.getName())) {
        throw nodeError(
            proto,
            "attribute " + Diag.quote(attribute.getName()) + " has no name or is given twice");
      }
      attributes
          .read(attribute, env, label(proto))
          .ifPresent(value -> attrs.put(attribute.getName(), value));
    }
    if (domain.isEmpty() && proto.getOpType().equals("Constant")) {
      if (outputs.size() != 1 || !outputs.getFirst().isPresent() || !inputs.isEmpty()) {
        throw nodeError(proto, "a Constant has no input and one output");
      }
      env.frame().constants().put(outputs.getFirst(), Constants.of(attrs, label(proto)));
      return;
    }
    Integer version = env.opsets().get(domain);
    if (version == null) {
      throw nodeError(proto, "the model imports no opset of domain " + Diag.quote(domain));
    }
    add(
        env,
        proto.getName(),
        new OpKey(domain, proto.getOpType(), version),
        inputs,
        outputs,
        attrs,
        proto);
  }

  void add(
      Env env,
      String name,
      OpKey op,
      List<Value> inputs,
      List<Value> outputs,
      Map<String, Attribute> attrs,
      NodeProto proto) {
    int id = nextId++;
    env.frame().nodes().add(new Node(id, name, op, trimmed(inputs), trimmed(outputs), attrs));
    // Inlined notes would multiply.
    if (env.calls().isEmpty()) {
      describe(env.frame(), Metadata.NODE + id, proto.getDocString(), proto.getMetadataPropsList());
    }
  }

  private static List<Value> trimmed(List<Value> values) {
    int size = values.size();
    while (size > 0 && !values.get(size - 1).isPresent()) {
      size--;
    }
    return values.subList(0, size);
  }

  private static void describe(
      Scope.Frame frame, String key, String doc, List<StringStringEntryProto> props) {
    if (!doc.isEmpty()) {
      frame.metadata().put(key + Metadata.DOC_SUFFIX, doc);
    }
    props.forEach(p -> frame.metadata().put(key + Metadata.PROP_SUFFIX + p.getKey(), p.getValue()));
  }

  private void charge(Env env, int names) {
    namesInlined += env.calls().isEmpty() ? 0 : names;
    if (namesInlined > MAX_INLINED) {
      throw Diag.error(Diag.LIMIT, "the model is too large once its functions are inlined");
    }
  }

  static void checkDepth(Env env) {
    if (env.depth() > MAX_DEPTH) {
      throw Diag.error(
          Diag.LIMIT,
          "bodies and functions are more than " + MAX_DEPTH + " deep inside each other");
    }
  }

  static String label(NodeProto proto) {
    return "node " + Diag.quote(proto.getName()) + " (" + Diag.quote(proto.getOpType()) + ")";
  }

  static TersorException nodeError(NodeProto proto, String why) {
    return Diag.error(Diag.NODE, label(proto) + ": " + why);
  }

  private static TersorException graphError(String why) {
    return Diag.error(Diag.GRAPH, why);
  }
}
