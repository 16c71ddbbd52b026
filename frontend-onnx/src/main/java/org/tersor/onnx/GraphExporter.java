package org.tersor.onnx;

import com.google.protobuf.ByteString;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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
import org.tersor.onnx.proto.GraphProto;
import org.tersor.onnx.proto.ModelProto;
import org.tersor.onnx.proto.NodeProto;
import org.tersor.onnx.proto.OperatorSetIdProto;
import org.tersor.onnx.proto.TypeProto;
import org.tersor.onnx.proto.ValueInfoProto;
import org.tersor.runtime.DType;

/** Graph to ModelProto, without the initializers that {@link TensorWriter#streamed} holds. */
final class GraphExporter {
  private static final int MIN_IR_VERSION = 4; // the first where initializers need not be inputs

  private final Graph model;
  private final TensorWriter tensors;
  private final TypeWriter types;
  private final Names names = new Names();
  private final Names nodeNames = new Names();
  private final Map<String, Integer> opsets;
  private int irVersion = MIN_IR_VERSION;

  GraphExporter(Graph model, TensorWriter tensors) {
    this.model = model;
    this.tensors = tensors;
    this.types = new TypeWriter(model.metadata());
    this.opsets = new LinkedHashMap<>(model.opsets());
    opsets.remove(OpKey.TERSOR);
  }

  ModelProto write() {
    Map<String, String> metadata = model.metadata();
    // Names that people know come first.
    model.inputs().forEach(names::of);
    model.outputs().forEach(names::of);
    GraphProto graph = graph(model, true);
    ModelProto.Builder proto = ModelProto.newBuilder();
    String given = metadata.getOrDefault(Metadata.IR_VERSION, "");
    int original = given.matches("[0-9]{1,3}") ? Integer.parseInt(given) : MIN_IR_VERSION;
    proto.setIrVersion(
        Math.min(
            Header.MAX_IR_VERSION,
            Math.max(Math.max(irVersion, original), irVersionOf(opsets.getOrDefault("", 1)))));
    opsets.forEach((domain, version) ->
        proto.addOpsetImport(
            OperatorSetIdProto.newBuilder().setDomain(domain).setVersion(version)));
    proto.setProducerName(metadata.getOrDefault(Metadata.PRODUCER_NAME, "tersor"));
    ifGiven(metadata, Metadata.PRODUCER_VERSION, proto::setProducerVersion);
    ifGiven(metadata, Metadata.DOMAIN, proto::setDomain);
    ifGiven(metadata, Metadata.DOC, proto::setDocString);
    String version = metadata.getOrDefault(Metadata.MODEL_VERSION, "");
    if (version.matches("-?[0-9]{1,18}")) {
      proto.setModelVersion(Long.parseLong(version));
    }
    metadata.forEach((key, value) -> {
      if (key.startsWith(Metadata.PROP)) {
        proto.addMetadataProps(TensorWriter.entry(key.substring(Metadata.PROP.length()), value));
      } else if (!key.startsWith(Metadata.RESERVED)) {
        proto.addMetadataProps(TensorWriter.entry(key, value));
      }
    });
    return proto.setGraph(graph).build();
  }

  private static void ifGiven(
      Map<String, String> metadata, String key, java.util.function.Consumer<String> setter) {
    String value = metadata.get(key);
    if (value != null) {
      setter.accept(value);
    }
  }

  /** IR version of the release that brought an opset of ai.onnx. */
  private static int irVersionOf(int opset) {
    if (opset <= 14) {
      return opset <= 8 ? 3 : Math.min(opset - 5, 7);
    }
    if (opset <= 22) {
      return opset <= 18 ? 8 : opset <= 20 ? 9 : 10;
    }
    return Math.min(opset - 12, Header.MAX_IR_VERSION);
  }

  private GraphProto graph(Graph graph, boolean outermost) {
    GraphProto.Builder proto = GraphProto.newBuilder();
    proto.setName(graph.name().isEmpty() ? "graph" : graph.name());
    ifGiven(graph.metadata(), Metadata.GRAPH_DOC, proto::setDocString);
    props(graph.metadata(), Metadata.GRAPH_PROP)
        .forEach((key, value) -> proto.addMetadataProps(TensorWriter.entry(key, value)));
    for (Value input : graph.inputs()) {
      ValueInfoProto.Builder info = info(names.of(input), graph.type(input)).toBuilder();
      ifGiven(
          graph.metadata(), Metadata.VALUE + input.id() + Metadata.DOC_SUFFIX, info::setDocString);
      props(graph.metadata(), Metadata.VALUE + input.id() + Metadata.PROP_SUFFIX)
          .forEach((key, value) -> info.addMetadataProps(TensorWriter.entry(key, value)));
      proto.addInput(info);
    }
    Set<Value> outputs = new HashSet<>(graph.outputs());
    graph
        .constants()
        .forEach((value, constant) -> {
          need(constant.dtype());
          // Readers take an output that is an initializer for a mistake.
          if (outputs.contains(value)) {
            proto.addNode(constantNode(names.of(value), constant));
          } else {
            String name = names.of(value);
            if (outermost) {
              tensors.outermost(constant, name).ifPresent(proto::addInitializer);
            } else {
              proto.addInitializer(tensors.write(constant, name));
            }
          }
        });
    Map<String, Map<String, String>> nodeNotes = notes(graph.metadata());
    for (Node node : graph.nodes()) {
      proto.addNode(node(node, nodeNotes));
    }
    outputs(graph, outermost, proto);
    for (Node node : graph.nodes()) {
      for (Value value : node.outputs()) {
        if (value.isPresent() && !outputs.contains(value)) {
          types
              .write(known(graph.type(value)))
              .ifPresent(type ->
                  proto.addValueInfo(
                      ValueInfoProto.newBuilder().setName(names.of(value)).setType(type)));
        }
      }
    }
    return proto.build();
  }

  private void outputs(Graph graph, boolean outermost, GraphProto.Builder proto) {
    Set<Value> own = new HashSet<>(graph.constants().keySet());
    graph.nodes().forEach(node -> own.addAll(node.outputs()));
    if (outermost) {
      own.addAll(graph.inputs());
    }
    Set<Value> done = new HashSet<>();
    for (Value output : graph.outputs()) {
      String name = names.of(output);
      // A value from outside, or one twice, needs a node of its own.
      if (!own.contains(output) || !done.add(output)) {
        String copy = names.fresh(name);
        proto.addNode(extra("Identity").addInput(name).addOutput(copy));
        name = copy;
      }
      proto.addOutput(info(name, outputType(graph, output)));
    }
  }

  /** The type, or the element type that the file declared where none was inferred. */
  private static ValueType outputType(Graph graph, Value output) {
    ValueType type = graph.type(output);
    String declared =
        graph.metadata().getOrDefault(Metadata.VALUE + output.id() + Metadata.ELEMENT_SUFFIX, "");
    if (type instanceof ValueType.UnknownType && declared.matches("[0-9]{1,3}")) {
      return OnnxTypes.dtype(Integer.parseInt(declared))
          .<ValueType>map(ValueType.TensorType::unranked)
          .orElse(type);
    }
    return type;
  }

  private ValueInfoProto info(String name, ValueType type) {
    ValueInfoProto.Builder info = ValueInfoProto.newBuilder().setName(name);
    types.write(known(type)).ifPresent(info::setType);
    return info.build();
  }

  private ValueType known(ValueType type) {
    if (type instanceof ValueType.TensorType tensor) {
      need(tensor.dtype());
    }
    return type;
  }

  private void need(DType dtype) {
    irVersion = Math.max(irVersion, OnnxTypes.irVersion(dtype));
  }

  /** A node of the standard operators that the graph did not have. */
  private NodeProto.Builder extra(String type) {
    opsets.putIfAbsent("", 13);
    return NodeProto.newBuilder().setOpType(type);
  }

  private NodeProto constantNode(String output, Constant constant) {
    AttributeProto value =
        AttributeProto.newBuilder()
            .setName("value")
            .setType(4)
            .setT(TensorWriter.inline(constant, ""))
            .build();
    return extra("Constant").addOutput(output).addAttribute(value).build();
  }

  /** Metadata entries of nodes by node id and the rest of the key. */
  private static Map<String, Map<String, String>> notes(Map<String, String> metadata) {
    Map<String, Map<String, String>> notes = new LinkedHashMap<>();
    metadata.forEach((key, value) -> {
      int dot = key.indexOf('.', Metadata.NODE.length());
      if (key.startsWith(Metadata.NODE) && dot > 0) {
        notes
            .computeIfAbsent(
                key.substring(Metadata.NODE.length(), dot), id -> new LinkedHashMap<>())
            .put(key.substring(dot), value);
      }
    });
    return notes;
  }

  private static Map<String, String> props(Map<String, String> metadata, String prefix) {
    Map<String, String> props = new LinkedHashMap<>();
    metadata.forEach((key, value) -> {
      if (key.startsWith(prefix)) {
        props.put(key.substring(prefix.length()), value);
      }
    });
    return props;
  }

  private NodeProto node(Node node, Map<String, Map<String, String>> notes) {
    OpKey op = node.op();
    Integer version = opsets.get(op.domain());
    if (version == null || version != op.version()) {
      throw Diag.error(
          Diag.EXPORT,
          Diag.quote(node.label())
              + ": operator "
              + Diag.quote(op.toString())
              + " cannot be written: "
              + (version == null
                  ? "its domain is not one of the model"
                  : "the model imports version " + version + " of its domain"));
    }
    NodeProto.Builder proto = NodeProto.newBuilder().setOpType(op.type());
    if (!op.domain().isEmpty()) {
      proto.setDomain(op.domain());
    }
    if (!node.name().isEmpty()) {
      proto.setName(nodeNames.fresh(node.name()));
    }
    node.inputs().forEach(input -> proto.addInput(names.of(input)));
    node.outputs().forEach(output -> proto.addOutput(names.of(output)));
    node.attributes().forEach((name, value) -> proto.addAttribute(attribute(name, value)));
    Map<String, String> own = notes.getOrDefault(Integer.toString(node.id()), Map.of());
    ifGiven(own, Metadata.DOC_SUFFIX, proto::setDocString);
    props(own, Metadata.PROP_SUFFIX)
        .forEach((key, value) -> proto.addMetadataProps(TensorWriter.entry(key, value)));
    return proto.build();
  }

  private AttributeProto attribute(String name, Attribute value) {
    AttributeProto.Builder a = AttributeProto.newBuilder().setName(name);
    return switch (value) {
      case Attribute.FloatAttr v -> a.setType(1).setF(v.value()).build();
      case Attribute.IntAttr v -> a.setType(2).setI(v.value()).build();
      case Attribute.StringAttr v -> a.setType(3).setS(utf8(v.value())).build();
      case Attribute.TensorAttr v ->
          a.setType(4).setT(TensorWriter.inline(checked(v.value()), "")).build();
      case Attribute.GraphAttr v -> a.setType(5).setG(graph(v.value(), false)).build();
      case Attribute.FloatsAttr v -> a.setType(6).addAllFloats(v.values()).build();
      case Attribute.IntsAttr v -> a.setType(7).addAllInts(v.values()).build();
      case Attribute.StringsAttr v ->
          a.setType(8).addAllStrings(v.values().stream().map(GraphExporter::utf8).toList()).build();
      case Attribute.TensorsAttr v -> {
        v.values().forEach(t -> a.addTensors(TensorWriter.inline(checked(t), "")));
        yield a.setType(9).build();
      }
      case Attribute.GraphsAttr v -> {
        v.values().forEach(g -> a.addGraphs(graph(g, false)));
        yield a.setType(10).build();
      }
      case Attribute.TypeAttr v -> a.setType(13).setTp(type(v.value())).build();
      case Attribute.TypesAttr v -> {
        List<TypeProto> protos = new ArrayList<>();
        v.values().forEach(t -> protos.add(type(t)));
        yield a.setType(14).addAllTypeProtos(protos).build();
      }
    };
  }

  private TypeProto type(ValueType type) {
    return types
        .write(known(type))
        .orElseThrow(() -> Diag.error(Diag.EXPORT, "an attribute holds a type that is not known"));
  }

  private Constant checked(Constant constant) {
    need(constant.dtype());
    return constant;
  }

  private static ByteString utf8(String text) {
    return ByteString.copyFrom(text, StandardCharsets.UTF_8);
  }
}
