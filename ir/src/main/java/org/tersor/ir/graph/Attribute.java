package org.tersor.ir.graph;

import java.util.List;

/** Value of a node attribute. */
public sealed interface Attribute {
  record IntAttr(long value) implements Attribute {}

  record FloatAttr(float value) implements Attribute {}

  record StringAttr(String value) implements Attribute {}

  record TensorAttr(Constant value) implements Attribute {}

  record GraphAttr(Graph value) implements Attribute {}

  record TypeAttr(ValueType value) implements Attribute {}

  record IntsAttr(List<Long> values) implements Attribute {}

  record FloatsAttr(List<Float> values) implements Attribute {}

  record StringsAttr(List<String> values) implements Attribute {}

  record TensorsAttr(List<Constant> values) implements Attribute {}

  record GraphsAttr(List<Graph> values) implements Attribute {}

  record TypesAttr(List<ValueType> values) implements Attribute {}
}
