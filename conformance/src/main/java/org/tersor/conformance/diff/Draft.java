package org.tersor.conformance.diff;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.conformance.SeededRandom;
import org.tersor.conformance.diff.Sample.Dim;
import org.tersor.conformance.diff.Sample.Expr;
import org.tersor.ir.graph.TypeNumbers;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** What was decided so far about a node that is being made up: names, shapes, types. */
final class Draft {
  /** These numbers cannot belong together; another draft may work. */
  static final class Contradiction extends RuntimeException {
    private static final long serialVersionUID = 1L;

    Contradiction(String why) {
      super(why, null, false, false);
    }
  }

  private static final List<DType> COMMON =
      List.of(DType.F32, DType.F32, DType.F32, DType.F32, DType.I64, DType.I32, DType.F64);

  final SeededRandom random;
  private final OpSchema schema;
  private final double emptiness;
  private final boolean mayNegate;
  private final Map<String, Long> numbers = new HashMap<>();
  private final Map<String, long[]> lists = new HashMap<>();
  private final Map<String, long[]> shapes = new HashMap<>();
  private final Map<String, DType> types = new LinkedHashMap<>();

  /**
   * @param emptiness probability of a dimension of size 0
   * @param mayNegate whether axes may count from the end, as from opset 11 on
   */
  Draft(OpSchema schema, SeededRandom random, double emptiness, boolean mayNegate) {
    this.mayNegate = mayNegate;
    this.schema = schema;
    this.random = random;
    this.emptiness = emptiness;
  }

  boolean chance(double probability) {
    return random.nextDouble() < probability;
  }

  <T> T pick(List<? extends T> among) {
    if (among.isEmpty()) {
      throw new Contradiction("nothing to choose from");
    }
    return among.get((int) random.between(0, among.size() - 1));
  }

  void number(String name, long value) {
    numbers.put(name, value);
  }

  Optional<Long> known(String name) {
    return Optional.ofNullable(numbers.get(name));
  }

  void list(String name, long[] values) {
    lists.put(name, values);
  }

  void shape(String name, long[] shape) {
    shapes.put(name, shape);
  }

  /** Whether that variable may be the type, and is if so. */
  boolean bind(String variable, DType type) {
    if (!allowed(variable).contains(type)) {
      return false;
    }
    return types.computeIfAbsent(variable, v -> type) == type;
  }

  /** The element type of a variable, chosen at the first question. */
  DType type(String variable) {
    DType known = types.get(variable);
    if (known != null) {
      return known;
    }
    Set<DType> allowed = allowed(variable);
    List<DType> common = COMMON.stream().filter(allowed::contains).toList();
    DType chosen =
        !common.isEmpty() && chance(.7)
            ? pick(common)
            : pick(allowed.stream().sorted().filter(t -> !t.isComplex()).toList());
    types.put(variable, chosen);
    return chosen;
  }

  Set<DType> allowed(String variable) {
    Set<DType> allowed = schema.typeVariables().get(variable);
    if (allowed == null) {
      throw new Contradiction("no tensor type: " + variable);
    }
    return allowed;
  }

  private long dim() {
    return chance(emptiness) ? 0 : chance(.05) ? random.between(5, 17) : random.between(1, 4);
  }

  // Shapes.

  /** Takes a shape that is there as that of the pattern. */
  void match(List<Dim> pattern, long[] shape) {
    int rest = shape.length;
    List<Dim.Many> open = new ArrayList<>();
    for (Dim token : pattern) {
      if (token instanceof Dim.Many many && !lists.containsKey(many.name())) {
        open.add(many);
        rest -= many.least();
      } else if (token instanceof Dim.Many many) {
        rest -= list(many.name()).length;
      } else {
        rest--;
      }
    }
    Map<Dim.Many, Integer> extra = new HashMap<>();
    for (int i = 0; i < open.size(); i++) {
      Dim.Many many = open.get(i);
      int room = many.most() - many.least();
      int take =
          i == open.size() - 1 ? rest : (int) random.between(0, Math.max(0, Math.min(rest, room)));
      if (take < 0 || take > room) {
        throw new Contradiction("rank");
      }
      extra.put(many, take);
      rest -= take;
    }
    if (rest != 0) {
      throw new Contradiction("rank");
    }
    int at = 0;
    for (Dim token : pattern) {
      switch (token) {
        case Dim.Fixed(long value) -> agree(value, shape[at++]);
        case Dim.Length(String list) -> agree(list(list).length, shape[at++]);
        case Dim.One one -> one(one, shape[at++]);
        case Dim.Many many -> {
          int count =
              lists.containsKey(many.name())
                  ? list(many.name()).length
                  : many.least() + extra.getOrDefault(many, 0);
          many(many, Arrays.copyOfRange(shape, at, at + count));
          at += count;
        }
      }
    }
  }

  private static void agree(long wanted, long is) {
    if (wanted != is) {
      throw new Contradiction("dimension");
    }
  }

  private void one(Dim.One one, long value) {
    long factor = one.factor().isEmpty() ? 1 : numberOf(one.factor());
    if (factor == 0 || value % factor != 0) {
      throw new Contradiction("divisor");
    }
    long quotient = value / factor;
    if (one.fresh()) {
      return;
    }
    Long known = numbers.get(one.name());
    if (known == null) {
      numbers.put(one.name(), one.broadcast() && quotient == 1 && chance(.5) ? dim() : quotient);
    } else if (known != quotient && !(one.broadcast() && quotient == 1)) {
      throw new Contradiction("dimension");
    }
  }

  private void many(Dim.Many many, long[] dims) {
    long[] known = lists.get(many.name());
    if (known != null) {
      if (!Arrays.equals(known, dims)) {
        throw new Contradiction("dimensions");
      }
      return;
    }
    long[] own = dims.clone();
    if (many.broadcast() && chance(.3)) {
      for (int i = 0; i < own.length; i++) {
        own[i] = own[i] == 1 && chance(.5) ? dim() : own[i];
      }
      if (own.length < many.most() && chance(.4)) {
        long[] longer = new long[own.length + 1];
        longer[0] = dim();
        System.arraycopy(own, 0, longer, 1, own.length);
        own = longer;
      }
    }
    lists.put(many.name(), own);
  }

  /** A shape of that pattern; what is not decided yet is drawn. */
  long[] build(List<Dim> pattern) {
    List<Long> dims = new ArrayList<>();
    for (Dim token : pattern) {
      switch (token) {
        case Dim.Fixed(long value) -> dims.add(value);
        case Dim.Length(String list) -> dims.add((long) list(list).length);
        case Dim.One one -> {
          long factor = one.factor().isEmpty() ? 1 : numberOf(one.factor());
          long value = one.fresh() ? dim() : numbers.computeIfAbsent(one.name(), n -> dim());
          dims.add(one.broadcast() && chance(.3) ? 1 : value * factor);
        }
        case Dim.Many many -> {
          long[] list = lists.computeIfAbsent(many.name(), n -> drawn(many));
          int from = many.broadcast() && chance(.3) ? (int) random.between(0, list.length) : 0;
          for (int i = from; i < list.length; i++) {
            dims.add(many.broadcast() && chance(.2) ? 1 : list[i]);
          }
        }
      }
    }
    return dims.stream().mapToLong(Long::longValue).toArray();
  }

  private long[] drawn(Dim.Many many) {
    long[] list = new long[(int) random.between(many.least(), many.most())];
    Arrays.setAll(list, i -> dim());
    return list;
  }

  // Values.

  private long[] list(String name) {
    long[] list = lists.get(name);
    if (list == null) {
      throw new Contradiction("no list " + name);
    }
    return list;
  }

  private long numberOf(String name) {
    Long number = numbers.get(name);
    if (number == null) {
      throw new Contradiction("no number " + name);
    }
    return number;
  }

  private long[] shapeOf(Expr argument) {
    if (argument instanceof Expr.Word(String name) && shapes.containsKey(name)) {
      return shapes.getOrDefault(name, new long[0]);
    }
    throw new Contradiction("no shape of " + argument);
  }

  /** One number. */
  double number(Expr expr) {
    return switch (expr) {
      case Expr.Literal(double value, boolean whole) -> value;
      case Expr.Word(String name) -> name.equals("nan") ? Double.NaN : numberOf(name);
      case Expr.Choice(List<Expr> among) -> number(pick(among));
      case Expr.Range(Expr low, Expr high) -> {
        double from = number(low);
        double to = number(high);
        if (from > to) {
          throw new Contradiction("empty range");
        }
        boolean whole = isWhole(low) && isWhole(high);
        yield whole
            ? random.between((long) from, (long) to)
            : Math.round(random.uniform(from, to) * 64) / 64.0;
      }
      case Expr.Call(String function, List<Expr> arguments) -> call(function, arguments);
      case Expr.Shape _ -> throw new Contradiction("a list where a number is due");
    };
  }

  private static boolean isWhole(Expr expr) {
    return !(expr instanceof Expr.Literal(double value, boolean whole)) || whole;
  }

  private double call(String function, List<Expr> arguments) {
    return switch (function) {
      case "axis" -> {
        long rank = shapeOf(arguments.getFirst()).length + (arguments.size() > 1 ? 1L : 0L);
        if (rank == 0) {
          throw new Contradiction("no axis");
        }
        yield random.between(mayNegate ? -rank : 0, rank - 1);
      }
      case "rank" -> shapeOf(arguments.getFirst()).length;
      case "len" -> arguments.getFirst() instanceof Expr.Word(String name) ? list(name).length : 0;
      case "dim" -> {
        long[] shape = shapeOf(arguments.getFirst());
        long axis = (long) number(arguments.get(1));
        axis = axis < 0 ? axis + shape.length : axis;
        if (axis < 0 || axis >= shape.length) {
          throw new Contradiction("axis");
        }
        yield shape[(int) axis];
      }
      case "least" ->
          Arrays.stream(list(((Expr.Word) arguments.getFirst()).text())).min().orElse(1);
      case "plus" -> arguments.stream().mapToDouble(this::number).sum();
      case "times" -> arguments.stream().mapToDouble(this::number).reduce(1, (a, b) -> a * b);
      case "below" -> random.between(0, positive(arguments) - 1);
      case "index" -> {
        long n = positive(arguments);
        yield random.between(-n, n - 1);
      }
      case "type" -> TypeNumbers.number(type(((Expr.Word) arguments.getFirst()).text()));
      default -> throw new Contradiction("no number from " + function);
    };
  }

  /** A list of numbers. */
  List<Double> numbers(Expr expr) {
    return switch (expr) {
      case Expr.Choice(List<Expr> among) -> numbers(pick(among));
      case Expr.Call(String function, List<Expr> arguments) -> numbers(function, arguments);
      case Expr.Shape _, Expr.Word _, Expr.Literal _, Expr.Range _ ->
          throw new Contradiction("no numbers");
    };
  }

  private List<Double> numbers(String function, List<Expr> arguments) {
    return switch (function) {
      case "copies" ->
          java.util.stream.Stream.generate(() -> number(arguments.get(1)))
              .limit((long) number(arguments.getFirst()))
              .toList();
      case "list" -> arguments.stream().map(this::number).toList();
      default -> throw new Contradiction("no numbers from " + function);
    };
  }

  private long positive(List<Expr> arguments) {
    long n = (long) number(arguments.getFirst());
    if (n <= 0) {
      throw new Contradiction("nothing below " + n);
    }
    return n;
  }

  /** A list of whole numbers; empty if the expression is not of that kind. */
  Optional<long[]> list(Expr expr) {
    return switch (expr) {
      case Expr.Shape(List<Dim> dims) -> Optional.of(build(dims));
      case Expr.Word(String name) when lists.containsKey(name) -> Optional.of(list(name));
      case Expr.Choice(List<Expr> among) -> list(pick(among));
      case Expr.Call(String function, List<Expr> arguments) -> list(function, arguments);
      case Expr.Word _, Expr.Literal _, Expr.Range _ -> Optional.empty();
    };
  }

  private Optional<long[]> list(String function, List<Expr> arguments) {
    return switch (function) {
      case "axes" -> {
        int rank = shapeOf(arguments.getFirst()).length + (arguments.size() > 1 ? 2 : 0);
        int count = (int) random.between(Math.min(1, rank), arguments.size() > 1 ? 2 : rank);
        long[] order = permutation(rank);
        long[] axes = Arrays.copyOf(order, count);
        for (int i = 0; i < count; i++) {
          axes[i] -= mayNegate && chance(.3) ? rank : 0;
        }
        yield Optional.of(axes);
      }
      case "ones" -> {
        long[] shape = shapeOf(arguments.getFirst());
        long[] ones =
            java.util.stream.LongStream.range(0, shape.length)
                .filter(i -> shape[(int) i] == 1)
                .map(i -> mayNegate && chance(.3) ? i - shape.length : i)
                .toArray();
        if (ones.length == 0) {
          throw new Contradiction("no dimension of size one");
        }
        yield Optional.of(Arrays.copyOf(ones, (int) random.between(1, ones.length)));
      }
      case "perm" -> Optional.of(permutation(shapeOf(arguments.getFirst()).length));
      case "each", "each2" -> {
        Expr of = arguments.getFirst();
        long[] model =
            of instanceof Expr.Word(String name) && shapes.containsKey(name)
                ? shapeOf(of)
                : list(((Expr.Word) of).text());
        long[] values = new long[model.length * (function.equals("each2") ? 2 : 1)];
        Arrays.setAll(values, i -> (long) number(arguments.get(1)));
        yield Optional.of(values);
      }
      case "copies" ->
          Optional.of(numbers(function, arguments).stream().mapToLong(Double::longValue).toArray());
      case "count" ->
          Optional.of(
              java.util.stream.LongStream.range(0, (long) number(arguments.getFirst())).toArray());
      case "reshape" -> Optional.of(reshaped(shapeOf(arguments.getFirst())));
      case "split" -> {
        long left = (long) number(arguments.getFirst());
        long first = random.between(0, left);
        long second = random.between(0, left - first);
        yield Optional.of(
            first + second == left && chance(.5)
                ? new long[] {first, second}
                : new long[] {first, second, left - first - second});
      }
      default -> Optional.empty();
    };
  }

  private long[] permutation(int rank) {
    long[] order = new long[rank];
    Arrays.setAll(order, i -> i);
    for (int i = rank - 1; i > 0; i--) {
      int j = (int) random.between(0, i);
      long swapped = order[i];
      order[i] = order[j];
      order[j] = swapped;
    }
    return order;
  }

  private long[] reshaped(long[] shape) {
    long count = Tensor.count(shape);
    if (count == 0) {
      return shape.clone();
    }
    List<Long> dims = new ArrayList<>();
    long left = count;
    for (int i = (int) random.between(0, 3); i > 0; i--) {
      long whole = left;
      long divisor =
          pick(
              java.util.stream.LongStream.rangeClosed(1, Math.min(left, 12))
                  .filter(d -> whole % d == 0)
                  .boxed()
                  .toList());
      dims.add(divisor);
      left /= divisor;
    }
    if (left != 1 || chance(.2)) {
      dims.add(left);
    }
    if (!dims.isEmpty() && chance(.4)) {
      dims.set((int) random.between(0, dims.size() - 1), -1L);
    }
    return dims.stream().mapToLong(Long::longValue).toArray();
  }
}
