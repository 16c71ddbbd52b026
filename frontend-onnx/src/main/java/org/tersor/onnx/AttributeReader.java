package org.tersor.onnx;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.onnx.proto.AttributeProto;
import org.tersor.onnx.proto.GraphProto;
import org.tersor.runtime.TersorException;

/** AttributeProto to attribute. */
final class AttributeReader {
  private final TensorReader tensors;
  private final TypeReader types;
  private final IdentityHashMap<AttributeProto, Attribute> read = new IdentityHashMap<>();
  private final BiFunction<GraphProto, GraphImporter.Env, Graph> bodies;

  AttributeReader(
      TensorReader tensors,
      TypeReader types,
      BiFunction<GraphProto, GraphImporter.Env, Graph> bodies) {
    this.tensors = tensors;
    this.types = types;
    this.bodies = bodies;
  }

  /**
   * The value; empty where it refers to an attribute that the call of the function does not give.
   */
  Optional<Attribute> read(AttributeProto proto, GraphImporter.Env env, String node) {
    String where = node + ", attribute " + Diag.quote(proto.getName());
    AttributeProto given = proto;
    GraphImporter.Env here = env;
    while (given.hasRefAttrName()) {
      String name = given.getRefAttrName();
      if (here.bindings().isEmpty()) {
        throw error(where, "it refers to an attribute of a function, but is in none");
      }
      if (kind(given, where) != 0) {
        throw error(where, "it has both a value and a reference");
      }
      GraphImporter.Bound bound = here.bindings().get().get(name);
      if (bound == null) {
        return Optional.empty();
      }
      if (proto.getType() != 0
          && bound.attribute().getType() != 0
          && proto.getType() != bound.attribute().getType()) {
        throw error(
            where,
            "it is of type "
                + proto.getType()
                + ", the attribute it refers to of type "
                + bound.attribute().getType());
      }
      given = bound.attribute();
      here = bound.env();
    }
    Attribute known = read.get(given);
    if (known == null) {
      known = value(given, here, where);
      // A body is read anew for each call of a function: its values are others.
      if (!(known instanceof Attribute.GraphAttr || known instanceof Attribute.GraphsAttr)) {
        read.put(given, known);
      }
    }
    return Optional.of(known);
  }

  /** The one kind of value that is given; 0 if none is. */
  private static int kind(AttributeProto a, String where) {
    boolean[] given = {
      false,
      a.hasF(),
      a.hasI(),
      a.hasS(),
      a.hasT(),
      a.hasG(),
      a.getFloatsCount() > 0,
      a.getIntsCount() > 0,
      a.getStringsCount() > 0,
      a.getTensorsCount() > 0,
      a.getGraphsCount() > 0,
      a.hasSparseTensor(),
      a.getSparseTensorsCount() > 0,
      a.hasTp(),
      a.getTypeProtosCount() > 0
    };
    int kind = 0;
    for (int i = 1; i < given.length; i++) {
      if (given[i] && kind != 0) {
        throw error(where, "it has more than one value");
      }
      kind = given[i] ? i : kind;
    }
    return kind;
  }

  private Attribute value(AttributeProto a, GraphImporter.Env env, String where) {
    int kind = kind(a, where);
    // A writer may leave out a value that is zero or empty, and the first versions had no type.
    if (kind != 0 && a.getType() != 0 && kind != a.getType()) {
      throw error(where, "its type is " + a.getType() + ", its value of type " + kind);
    }
    return switch (a.getType() != 0 ? a.getType() : kind) {
      case 1 -> new Attribute.FloatAttr(a.getF());
      case 2 -> new Attribute.IntAttr(a.getI());
      case 3 -> new Attribute.StringAttr(TensorReader.utf8(a.getS(), where));
      case 4 -> new Attribute.TensorAttr(tensors.read(a.getT(), where));
      case 5 -> new Attribute.GraphAttr(bodies.apply(a.getG(), env));
      case 6 -> new Attribute.FloatsAttr(List.copyOf(a.getFloatsList()));
      case 7 -> new Attribute.IntsAttr(List.copyOf(a.getIntsList()));
      case 8 ->
          new Attribute.StringsAttr(map(a.getStringsList(), s -> TensorReader.utf8(s, where)));
      case 9 -> new Attribute.TensorsAttr(map(a.getTensorsList(), t -> tensors.read(t, where)));
      case 10 -> new Attribute.GraphsAttr(map(a.getGraphsList(), g -> bodies.apply(g, env)));
      case 11 -> new Attribute.TensorAttr(tensors.densify(a.getSparseTensor(), where));
      case 12 ->
          new Attribute.TensorsAttr(map(a.getSparseTensorsList(), t -> tensors.densify(t, where)));
      case 13 -> new Attribute.TypeAttr(types.read(a.getTp(), where));
      case 14 -> new Attribute.TypesAttr(map(a.getTypeProtosList(), t -> types.read(t, where)));
      case 0 -> throw error(where, "it has neither a type nor a value");
      default -> throw error(where, "unknown attribute type " + a.getType());
    };
  }

  private static <T, R> List<R> map(List<T> from, Function<T, R> function) {
    List<R> to = new ArrayList<>(from.size());
    from.forEach(element -> to.add(function.apply(element)));
    return List.copyOf(to);
  }

  private static TersorException error(String where, String why) {
    return Diag.error(Diag.NODE, where + ": " + why);
  }
}
