package org.tersor.conformance.demo;

import java.util.ArrayList;
import java.util.List;
import org.tersor.conformance.SeededRandom;

/**
 * Draws handwriting-like digits without any font: a digit is a set of strokes, a stroke is a few
 * points joined by a smooth curve. Points are jittered, the plane is warped (affine map and two
 * slow waves), the pen has a random width, and some speckles and a stray stroke are added.
 */
final class Glyphs {
  static final int SIZE = 28;

  /** Points in a unit square, y downwards: digit, way of writing it, stroke, x0 y0 x1 y1 ... */
  private static final double[][][][] WAYS = {
    {
      {{.50, .05, .25, .15, .15, .50, .25, .85, .50, .95, .75, .85, .85, .50, .75, .15, .50, .05}},
      {{.60, .08, .30, .14, .22, .50, .34, .88, .58, .92, .78, .70, .80, .35, .66, .12, .50, .06}},
    },
    {
      {{.50, .05, .50, .50, .50, .95}},
      {{.32, .25, .52, .05}, {.52, .05, .52, .95}},
      {{.32, .22, .52, .05}, {.52, .05, .52, .95}, {.30, .95, .74, .95}},
    },
    {
      {
        {.20, .28, .30, .10, .52, .05, .74, .14, .76, .34, .58, .58, .36, .78, .18, .95},
        {.18, .95, .84, .95}
      },
      {
        {
          .22, .20, .45, .06, .72, .14, .72, .40, .45, .70, .22, .92, .26, .80, .44, .84, .62, .94,
          .84, .86
        }
      },
    },
    {
      {
        {.20, .15, .42, .05, .68, .10, .74, .28, .60, .44, .40, .48},
        {.40, .48, .66, .52, .80, .70, .70, .88, .44, .95, .18, .86}
      },
      {
        {.20, .06, .50, .06, .78, .06},
        {.78, .06, .46, .40},
        {.46, .40, .72, .46, .80, .68, .66, .90, .40, .95, .18, .84}
      },
    },
    {
      {
        {.62, .05, .38, .36, .14, .66},
        {.14, .66, .50, .66, .88, .66},
        {.64, .36, .64, .65, .64, .95}
      },
      {
        {.26, .05, .22, .30, .22, .52},
        {.22, .52, .48, .52, .76, .50},
        {.74, .06, .73, .50, .72, .95}
      },
    },
    {
      {
        {.76, .06, .50, .06, .28, .06},
        {.28, .06, .26, .26, .24, .46},
        {.24, .46, .50, .38, .74, .50, .78, .72, .62, .90, .38, .95, .18, .86}
      },
      {
        {
          .80, .08, .54, .06, .34, .10, .28, .30, .26, .44, .50, .42, .72, .54, .74, .76, .56, .94,
          .30, .94, .18, .84
        }
      },
    },
    {
      {
        {
          .66, .05, .42, .20, .26, .46, .22, .72, .36, .92, .60, .94, .76, .78, .70, .58, .50, .50,
          .32, .58, .24, .74
        }
      },
      {{.52, .05, .32, .34, .24, .66, .38, .92, .62, .92, .72, .74, .60, .58, .40, .60, .28, .74}},
    },
    {
      {{.18, .07, .50, .07, .84, .07}, {.84, .07, .62, .48, .44, .95}},
      {
        {.18, .08, .50, .07, .82, .07},
        {.82, .07, .62, .48, .46, .95},
        {.34, .50, .54, .50, .76, .50}
      },
      {{.20, .22, .22, .08, .50, .08, .80, .08}, {.80, .08, .64, .40, .52, .95}},
    },
    {
      {
        {
          .50, .48, .28, .36, .26, .16, .50, .05, .74, .16, .72, .36, .50, .48, .26, .62, .22, .84,
          .50, .95, .78, .84, .74, .62, .50, .48
        }
      },
      {
        {
          .74, .16, .52, .05, .28, .16, .36, .40, .62, .56, .76, .76, .54, .95, .26, .84, .30, .64,
          .56, .46, .72, .28, .74, .16
        }
      },
    },
    {
      {
        {.74, .26, .58, .08, .34, .12, .24, .30, .36, .50, .58, .48, .74, .28},
        {.75, .24, .74, .50, .68, .74, .56, .95}
      },
      {
        {
          .72, .22, .50, .06, .28, .18, .28, .40, .50, .50, .70, .38, .74, .20, .76, .50, .66, .82,
          .44, .95, .26, .88
        }
      },
    },
  };

  private Glyphs() {}

  /** An image of a digit, 28 x 28 grey values in rows. */
  static byte[] draw(int digit, SeededRandom random) {
    double[][][] ways = WAYS[digit];
    double[][] strokes = ways[(int) random.between(0, ways.length - 1)];
    Warp warp = new Warp(random);
    List<double[]> segments = new ArrayList<>();
    for (double[] stroke : strokes) {
      addCurve(segments, stroke, warp, random);
    }
    double width = random.uniform(.55, 1.5);
    double ink = random.uniform(.75, 1);
    if (random.nextDouble() < .3) {
      stray(segments, random);
    }
    byte[] image = new byte[SIZE * SIZE];
    for (int y = 0; y < SIZE; y++) {
      for (int x = 0; x < SIZE; x++) {
        double squared = Double.MAX_VALUE;
        for (double[] s : segments) {
          squared = Math.min(squared, squaredDistance(x, y, s));
        }
        double level = ink * Math.min(1, Math.max(0, width + .6 - Math.sqrt(squared)));
        image[y * SIZE + x] = (byte) grey(level);
      }
    }
    speckle(image, random);
    return image;
  }

  private static int grey(double level) {
    // 16 levels: nobody sees the difference, and the images pack into a third of the space
    return (int) Math.round(Math.min(1, Math.max(0, level)) * 15) * 17;
  }

  private static void speckle(byte[] image, SeededRandom random) {
    long spots = random.between(0, 24);
    for (long i = 0; i < spots; i++) {
      int at = (int) random.between(0, image.length - 1);
      image[at] = (byte) grey((image[at] & 0xFF) / 255.0 + random.uniform(-.6, .6));
    }
  }

  private static void stray(List<double[]> segments, SeededRandom random) {
    double x = random.uniform(1, 26);
    double y = random.uniform(1, 26);
    segments.add(new double[] {x, y, x + random.uniform(-5, 5), y + random.uniform(-5, 5)});
  }

  /** Catmull-Rom through the jittered points, five pieces between two of them. */
  private static void addCurve(
      List<double[]> segments, double[] stroke, Warp warp, SeededRandom random) {
    int n = stroke.length / 2;
    double[] xs = new double[n];
    double[] ys = new double[n];
    for (int i = 0; i < n; i++) {
      xs[i] = stroke[2 * i] + .034 * random.nextGaussian();
      ys[i] = stroke[2 * i + 1] + .034 * random.nextGaussian();
    }
    double[] last = warp.apply(xs[0], ys[0]);
    for (int i = 0; i + 1 < n; i++) {
      int before = Math.max(0, i - 1);
      int after = Math.min(n - 1, i + 2);
      for (int piece = 1; piece <= 5; piece++) {
        double t = piece / 5.0;
        double[] next =
            warp.apply(
                spline(xs[before], xs[i], xs[i + 1], xs[after], t),
                spline(ys[before], ys[i], ys[i + 1], ys[after], t));
        segments.add(new double[] {last[0], last[1], next[0], next[1]});
        last = next;
      }
    }
  }

  private static double spline(double a, double b, double c, double d, double t) {
    return b + .5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
  }

  private static double squaredDistance(double x, double y, double[] s) {
    double dx = s[2] - s[0];
    double dy = s[3] - s[1];
    double length = dx * dx + dy * dy;
    double t =
        length == 0 ? 0 : Math.min(1, Math.max(0, ((x - s[0]) * dx + (y - s[1]) * dy) / length));
    double ex = x - s[0] - t * dx;
    double ey = y - s[1] - t * dy;
    return ex * ex + ey * ey;
  }

  /** From the unit square to pixels. */
  private static final class Warp {
    private final double xx;
    private final double xy;
    private final double yx;
    private final double yy;
    private final double left;
    private final double top;
    private final double[] waves = new double[6];

    Warp(SeededRandom random) {
      double angle = random.uniform(-.36, .36);
      double shear = random.uniform(-.42, .42);
      double width = random.uniform(10.5, 20);
      double height = random.uniform(15, 23);
      double cos = StrictMath.cos(angle);
      double sin = StrictMath.sin(angle);
      xx = cos * width;
      xy = (-sin + shear * cos) * height;
      yx = sin * width;
      yy = (cos + shear * sin) * height;
      left = 13.5 + random.uniform(-2.5, 2.5);
      top = 13.5 + random.uniform(-2.2, 2.2);
      for (int i = 0; i < waves.length; i++) {
        waves[i] = i < 2 ? random.uniform(-.075, .075) : random.uniform(2, 6);
      }
    }

    double[] apply(double u, double v) {
      double x = u - .5 + waves[0] * StrictMath.sin(waves[2] * v + waves[3]);
      double y = v - .5 + waves[1] * StrictMath.sin(waves[4] * u + waves[5]);
      return new double[] {left + xx * x + xy * y, top + yx * x + yy * y};
    }
  }
}
