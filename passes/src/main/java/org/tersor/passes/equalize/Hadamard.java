package org.tersor.passes.equalize;

import java.util.Optional;

/**
 * Orthogonal matrices of elements ±1/√n: Sylvester's of a power of two times a small one of order
 * 1, of Paley's two constructions (orders q + 1 and 2 (q + 1) for primes q), or of Williamson's
 * array where neither gives the order (172). An order that none gives has no matrix here.
 */
public final class Hadamard {
  /** First rows of the four symmetric circulants of order 43 (Williamson, order 172). */
  private static final String[] WILLIAMSON_43 = {
    "+---++--++++-+-+++-++--++-+++-+-++++--++---",
    "++---++++-+--+--++--------++--+--+-++++---+",
    "+++-+-++--+-+-++++-+----+-++++-+-+--++-+-++",
    "++-++++++----+-+--++-++-++--+-+----++++++-+",
  };

  /** Which circulant stands where in Williamson's array, with its sign. */
  private static final int[][] ARRAY = {
    {1, 2, 3, 4}, {-2, 1, -4, 3}, {-3, 4, 1, -2}, {-4, -3, 2, 1}
  };

  private final int order;
  private final int[][] small;
  private final int power;

  private Hadamard(int[][] small, int power) {
    this.small = small;
    this.power = power;
    this.order = small.length * power;
  }

  /** The matrix of an order, if one of the constructions gives it. */
  public static Optional<Hadamard> of(int order) {
    if (order < 1) {
      return Optional.empty();
    }
    for (int power = Integer.lowestOneBit(order); power >= 1; power /= 2) {
      Optional<int[][]> small = small(order / power);
      if (small.isPresent()) {
        return Optional.of(new Hadamard(small.get(), power));
      }
    }
    return Optional.empty();
  }

  private static Optional<int[][]> small(int order) {
    if (order == 1) {
      return Optional.of(new int[][] {{1}});
    }
    if (order % 4 != 0) {
      return Optional.empty();
    }
    if (order == 172) {
      return Optional.of(williamson(WILLIAMSON_43));
    }
    if (isPrime(order - 1)) { // order - 1 = 3 modulo 4
      return Optional.of(paley(order - 1));
    }
    if (order % 8 == 4 && isPrime(order / 2 - 1)) { // order / 2 - 1 = 1 modulo 4
      return Optional.of(doubled(order / 2 - 1));
    }
    return Optional.empty();
  }

  private static boolean isPrime(int n) {
    for (int d = 2; d * d <= n; d++) {
      if (n % d == 0) {
        return false;
      }
    }
    return n > 1;
  }

  private static int[][] williamson(String[] rows) {
    int m = rows[0].length();
    int[][] h = new int[4 * m][4 * m];
    for (int i = 0; i < 4 * m; i++) {
      for (int j = 0; j < 4 * m; j++) {
        int block = ARRAY[i / m][j / m];
        int element = rows[Math.abs(block) - 1].charAt(Math.floorMod(j - i, m)) == '+' ? 1 : -1;
        h[i][j] = block > 0 ? element : -element;
      }
    }
    return h;
  }

  /** -1, 0 or 1: whether a number is a square modulo a prime. */
  private static int[] squares(int q) {
    int[] character = new int[q];
    java.util.Arrays.fill(character, -1);
    character[0] = 0;
    for (long x = 1; x < q; x++) {
      character[(int) (x * x % q)] = 1;
    }
    return character;
  }

  /** The conference matrix of order q + 1. */
  private static int[][] conference(int q) {
    int[] character = squares(q);
    int[][] c = new int[q + 1][q + 1];
    for (int i = 0; i < q; i++) {
      c[0][i + 1] = 1;
      c[i + 1][0] = q % 4 == 3 ? -1 : 1;
      for (int j = 0; j < q; j++) {
        c[i + 1][j + 1] = character[Math.floorMod(i - j, q)];
      }
    }
    return c;
  }

  private static int[][] paley(int q) {
    int[][] h = conference(q);
    for (int i = 0; i <= q; i++) {
      h[i][i] += 1;
    }
    return h;
  }

  private static int[][] doubled(int q) {
    int[][] c = conference(q);
    int[][] h = new int[2 * (q + 1)][2 * (q + 1)];
    for (int i = 0; i <= q; i++) {
      for (int j = 0; j <= q; j++) {
        int x = c[i][j];
        int one = i == j ? 1 : 0;
        h[2 * i][2 * j] = x + one;
        h[2 * i][2 * j + 1] = x - one;
        h[2 * i + 1][2 * j] = x - one;
        h[2 * i + 1][2 * j + 1] = -x - one;
      }
    }
    return h;
  }

  public int order() {
    return order;
  }

  /** Sign of an element. */
  public int sign(int row, int column) {
    int sylvester = Integer.bitCount(row % power & column % power) % 2 == 0 ? 1 : -1;
    return small[row / power][column / power] * sylvester;
  }

  /** The row vector x becomes x H / √n. */
  public void apply(double[] x) {
    if (x.length != order) {
      throw new IllegalArgumentException(x.length + " elements, order " + order);
    }
    for (int half = 1; half < power; half *= 2) {
      for (int i = 0; i < order; i += 2 * half) {
        for (int j = i; j < i + half; j++) {
          double sum = x[j] + x[j + half];
          x[j + half] = x[j] - x[j + half];
          x[j] = sum;
        }
      }
    }
    double[] column = new double[small.length];
    double norm = 1 / Math.sqrt(order);
    for (int b = 0; b < power; b++) {
      for (int a = 0; a < small.length; a++) {
        column[a] = x[a * power + b];
      }
      for (int to = 0; to < small.length; to++) {
        double sum = 0;
        for (int from = 0; from < small.length; from++) {
          sum += column[from] * small[from][to];
        }
        x[to * power + b] = sum * norm;
      }
    }
  }

  /**
   * Orders of two matrices whose Kronecker product this is, as near to each other as they can be:
   * two small products instead of a large one.
   */
  public int[] factors() {
    int right = 1;
    while (right * 2 <= power && order / (right * 2) >= right * 2) {
      right *= 2;
    }
    return new int[] {order / right, right};
  }
}
