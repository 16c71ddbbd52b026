package org.tersor.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.Tensor;

/** A few nodes that ask for what cannot be, with their operands. */
record HostileCase(String name, Answer answer, List<Tensor> operands, Nodes nodes) {
  private static final Map<String, Integer> OPSETS =
      Map.of("", 24, "ai.onnx.ml", 5, "com.microsoft", 1);

  /** What a correct answer is. */
  enum Answer {
    /** Only a diagnostic. */
    REFUSED,
    /** A diagnostic or a value: the specification says nothing, or it is well defined. */
    ANY
  }

  /** Adds the nodes. */
  interface Nodes {
    /** The results. */
    List<Value> add(GraphBuilder b, List<Value> operands);
  }

  /** Which operands a model brings along. */
  enum Form {
    /** None. */
    INPUTS,
    /** All but the first: indices and sizes are in the file. */
    MIXED,
    /** All, so that everything can be computed when compiling. */
    CONSTANTS;

    boolean isInput(int operand) {
      return this == INPUTS || (this == MIXED && operand == 0);
    }
  }

  private String input(int number) {
    return name + " " + number;
  }

  private void addTo(GraphBuilder b, Form form) {
    List<Value> values = new ArrayList<>();
    for (int i = 0; i < operands.size(); i++) {
      Tensor tensor = operands.get(i);
      values.add(
          form.isInput(i)
              ? b.input(input(i), TensorType.of(tensor.dtype(), tensor.shape()))
              : b.constant("", Constant.of(tensor)));
    }
    nodes.add(b, values).forEach(b::output);
  }

  private Map<String, Tensor> inputs(Form form) {
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    for (int i = 0; i < operands.size(); i++) {
      if (form.isInput(i)) {
        inputs.put(input(i), operands.get(i));
      }
    }
    return inputs;
  }

  /** A model with its inputs. */
  record Model(String name, Answer answer, Graph graph, Map<String, Tensor> inputs) {}

  /** Only this case. */
  Model model(Form form) {
    GraphBuilder b = new GraphBuilder(OPSETS, 0);
    addTo(b, form);
    return new Model(name + " (" + form + ")", answer, b.build(name, Map.of()), inputs(form));
  }

  /** All of several cases side by side, each with its own inputs. */
  static Model together(List<HostileCase> cases, Form form) {
    GraphBuilder b = new GraphBuilder(OPSETS, 0);
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    for (HostileCase each : cases) {
      each.addTo(b, form);
      inputs.putAll(each.inputs(form));
    }
    return new Model(
        cases.size() + " together (" + form + ")",
        Answer.ANY,
        b.build("together", Map.of()),
        inputs);
  }
}
