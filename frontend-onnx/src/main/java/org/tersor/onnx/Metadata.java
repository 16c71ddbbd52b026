package org.tersor.onnx;

import org.tersor.ir.graph.ModelMetadata;

/**
 * Keys of {@link org.tersor.ir.graph.Graph#metadata} that stand for fields of the file; every other
 * key is one of the model's metadata_props (those of them that begin with {@code onnx.} get {@link
 * #PROP} in front).
 */
final class Metadata {
  static final String RESERVED = ModelMetadata.FILE;
  static final String PROP = "onnx.prop.";
  static final String IR_VERSION = "onnx.ir_version";
  static final String PRODUCER_NAME = "onnx.producer_name";
  static final String PRODUCER_VERSION = "onnx.producer_version";
  static final String DOMAIN = "onnx.domain";
  static final String MODEL_VERSION = "onnx.model_version";
  static final String DOC = ModelMetadata.DOC;
  static final String GRAPH_DOC = "onnx.graph.doc_string";

  /** Followed by a key of the graph's own metadata_props. */
  static final String GRAPH_PROP = "onnx.graph.prop.";

  /**
   * Followed by a symbol: the dim_param of the file; empty if the file says nothing about the
   * dimension.
   */
  static final String DIM = "onnx.dim.";

  /** Followed by a node's id and {@link #DOC_SUFFIX} or {@link #PROP_SUFFIX} and a key. */
  static final String NODE = "onnx.node.";

  /** Followed by a value's id and {@link #DOC_SUFFIX} or {@link #PROP_SUFFIX} and a key. */
  static final String VALUE = "onnx.value.";

  static final String DOC_SUFFIX = ".doc_string";
  static final String PROP_SUFFIX = ".prop.";

  /**
   * After a graph output's {@link #VALUE}: the element type that the file declares, for export
   * before types are inferred.
   */
  static final String ELEMENT_SUFFIX = ".elem_type";

  /**
   * Inputs of the file that had a default value and became constants (IR 4 and later), one a line.
   */
  static final String DEFAULT_INPUTS = "onnx.note.default_inputs";

  private Metadata() {}
}
