package org.tersor.cli;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.tersor.cli.HostileCase.Answer;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Collects cases; short names for what they are made of. */
abstract class HostileList {
  /** Fits an int64, but no memory. */
  static final long HUGE = 1L << 40;

  /** Its square wraps around to zero. */
  static final long WRAPS = 1L << 32;

  /** Four times it wraps around. */
  static final long FAR = 1L << 62;

  static final Map<String, Attribute> NONE = Map.of();

  final List<HostileCase> cases = new ArrayList<>();

  static List<HostileCase> all() {
    List<HostileCase> all = new ArrayList<>(new HostileOperators().cases);
    all.addAll(new HostileLearned().cases);
    all.addAll(new HostileModelOperators().cases);
    all.addAll(new HostileControl().cases);
    all.addAll(new HostileExtremes().cases);
    return all;
  }

  static Tensor floats(long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = i % 7 - 3;
    }
    return tensor;
  }

  static Tensor longs(long... values) {
    return Tensor.of(values, values.length);
  }

  static Tensor scalar(long value) {
    return new Tensor(DType.I64, new long[0], new long[] {value});
  }

  static Tensor ints(DType type, long[] shape, int... values) {
    Tensor tensor = Tensor.zeros(type, shape);
    for (int i = 0; i < values.length; i++) {
      tensor.setDouble(i, values[i]);
    }
    return tensor;
  }

  static Tensor strings(String... values) {
    return new Tensor(DType.STRING, new long[] {values.length}, values);
  }

  static Attribute ints(long... values) {
    return new Attribute.IntsAttr(Arrays.stream(values).boxed().toList());
  }

  static Attribute numbers(double... values) {
    return new Attribute.FloatsAttr(
        Arrays.stream(values).mapToObj(value -> (float) value).toList());
  }

  static Attribute integer(long value) {
    return new Attribute.IntAttr(value);
  }

  static Attribute text(String value) {
    return new Attribute.StringAttr(value);
  }

  static Attribute texts(String... values) {
    return new Attribute.StringsAttr(List.of(values));
  }

  /** One node with so many outputs. */
  static HostileCase.Nodes node(
      String domain, String type, Map<String, Attribute> attributes, int outputs) {
    return (b, operands) -> node(b, domain, type, attributes, operands, outputs);
  }

  static List<Value> node(
      GraphBuilder b,
      String domain,
      String type,
      Map<String, Attribute> attributes,
      List<Value> operands,
      int outputs) {
    List<Value> results =
        IntStream.range(0, outputs).mapToObj(i -> b.value("", ValueType.UNKNOWN)).toList();
    b.addNode(domain, type, attributes, operands, results);
    return results;
  }

  void add(Answer answer, String name, HostileCase.Nodes nodes, Tensor... operands) {
    cases.add(new HostileCase(name, answer, List.of(operands), nodes));
  }

  void add(
      Answer answer, String name, String type, Map<String, Attribute> attributes, Tensor... x) {
    add(answer, name, node("", type, attributes, 1), x);
  }

  void refused(String name, String type, Map<String, Attribute> attributes, Tensor... operands) {
    add(Answer.REFUSED, name, node("", type, attributes, 1), operands);
  }

  void any(String name, String type, Map<String, Attribute> attributes, Tensor... operands) {
    add(Answer.ANY, name, node("", type, attributes, 1), operands);
  }
}
