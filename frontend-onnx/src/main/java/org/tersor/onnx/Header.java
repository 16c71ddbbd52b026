package org.tersor.onnx;

import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tersor.onnx.proto.ModelProto;
import org.tersor.onnx.proto.OperatorSetIdProto;
import org.tersor.onnx.proto.StringStringEntryProto;
import org.tersor.runtime.TersorException;

/** Versions and metadata of a model. */
final class Header {
  static final int MAX_IR_VERSION = 13;

  /** Newest opset of ai.onnx whose operators are known. */
  static final int MAX_OPSET = 28;

  private Header() {}

  /**
   * Checks the header and puts what it says into {@code metadata}; returns the imported opsets by
   * domain.
   */
  static Map<String, Integer> read(ModelProto model, Map<String, String> metadata) {
    long ir = model.getIrVersion();
    if (ir < 1 || ir > MAX_IR_VERSION) {
      throw error(
          (model.hasIrVersion() ? "ir_version " + ir : "no ir_version")
              + ": either this is no ONNX model, or one newer than this program, which reads 1 to "
              + MAX_IR_VERSION);
    }
    if (!model.hasGraph()) {
      throw error("the model has no graph");
    }
    Map<String, Integer> opsets = opsets(model.getOpsetImportList(), "the model");
    if (opsets.isEmpty()) {
      if (ir >= 3) {
        throw error("the model imports no opset");
      }
      opsets.put("", 1);
    }
    metadata.put(Metadata.IR_VERSION, Long.toString(ir));
    put(metadata, Metadata.PRODUCER_NAME, model.getProducerName());
    put(metadata, Metadata.PRODUCER_VERSION, model.getProducerVersion());
    put(metadata, Metadata.DOMAIN, model.getDomain());
    if (model.hasModelVersion()) {
      metadata.put(Metadata.MODEL_VERSION, Long.toString(model.getModelVersion()));
    }
    put(metadata, Metadata.DOC, model.getDocString());
    put(metadata, Metadata.GRAPH_DOC, model.getGraph().getDocString());
    Set<String> keys = new HashSet<>();
    for (StringStringEntryProto prop : model.getMetadataPropsList()) {
      if (!keys.add(prop.getKey())) {
        throw error("metadata key " + Diag.quote(prop.getKey()) + " is given twice");
      }
      metadata.put(
          prop.getKey().startsWith(Metadata.RESERVED)
              ? Metadata.PROP + prop.getKey()
              : prop.getKey(),
          prop.getValue());
    }
    model
        .getGraph()
        .getMetadataPropsList()
        .forEach(p -> metadata.put(Metadata.GRAPH_PROP + p.getKey(), p.getValue()));
    return opsets;
  }

  private static void put(Map<String, String> metadata, String key, String value) {
    if (!value.isEmpty()) {
      metadata.put(key, value);
    }
  }

  static Map<String, Integer> opsets(List<OperatorSetIdProto> imports, String where) {
    Map<String, Integer> opsets = new LinkedHashMap<>();
    for (OperatorSetIdProto opset : imports) {
      String domain = domain(opset.getDomain());
      long version = opset.getVersion();
      if (version < 1 || version > Integer.MAX_VALUE) {
        throw error(
            where
                + ": version "
                + version
                + " of domain "
                + Diag.quote(domain)
                + " is out of range");
      }
      if (domain.isEmpty() && version > MAX_OPSET) {
        throw error(
            where
                + ": opset "
                + version
                + " is newer than this program, which knows 1 to "
                + MAX_OPSET);
      }
      Integer other = opsets.put(domain, (int) version);
      if (other != null && other != version) {
        throw error(where + ": domain " + Diag.quote(domain) + " is imported in two versions");
      }
    }
    return opsets;
  }

  /** The standard domain has two names. */
  static String domain(String domain) {
    return domain.equals("ai.onnx") ? "" : domain;
  }

  private static TersorException error(String why) {
    return Diag.error(Diag.HEADER, why);
  }
}
