/* Kernels as a person writes them in C with GCC's vectors: what the generated ones are compared with. */
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __AVX512F__
#define L 16
#else
#define L 8
#endif
#define PANEL (4 * L)
typedef float vec __attribute__((vector_size(4 * L), aligned(4)));
typedef int32_t ivec __attribute__((vector_size(4 * L), aligned(4)));

static vec load(const float *p) { return *(const vec *)p; }
#ifdef __AVX512F__
static vec even(vec a, vec b) { return __builtin_shuffle(a, b, (ivec){0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30}); }
#else
static vec even(vec a, vec b) { return __builtin_shuffle(a, b, (ivec){0, 2, 4, 6, 8, 10, 12, 14}); }
#endif
static vec relu(vec v) { return (vec)((ivec)v & (v > 0)); }
static float most(float a, float b) { return a > b ? a : b; }

#ifdef __AVX512F__
#define ROWS 6
#else
#define ROWS 2
#endif

static inline __attribute__((always_inline)) void rows(int count, const float *a, int k, const float *b, const float *bias, float *c, int stride) {
  vec s[ROWS][4];
  for (int i = 0; i < count; i++)
    for (int v = 0; v < 4; v++) s[i][v] = (vec){0};
  for (int p = 0; p < k; p++, b += PANEL) {
    vec b0 = load(b), b1 = load(b + L), b2 = load(b + 2 * L), b3 = load(b + 3 * L);
    for (int i = 0; i < count; i++) {
      float x = a[i * k + p];
      s[i][0] += x * b0;
      s[i][1] += x * b1;
      s[i][2] += x * b2;
      s[i][3] += x * b3;
    }
  }
  for (int i = 0; i < count; i++)
    for (int v = 0; v < 4; v++) *(vec *)(c + i * stride + v * L) = relu(s[i][v] + load(bias + v * L));
}

/* A[m][k], B packed [n / PANEL][k][PANEL], bias padded to panels */
void gemm(const void *const *in, void *out, const int32_t *d) {
  int m = d[0], n = d[1], k = d[2];
  const float *a = in[0], *b = in[1], *bias = in[2];
  float *c = out, edge[ROWS * PANEL];
  for (int n0 = 0; n0 < n; n0 += PANEL) {
    int wide = n - n0 < PANEL ? n - n0 : PANEL, i = 0;
    for (; i + ROWS <= m; i += ROWS) {
      if (wide == PANEL) {
        rows(ROWS, a + i * k, k, b + n0 * k, bias + n0, c + i * n + n0, n);
      } else {
        rows(ROWS, a + i * k, k, b + n0 * k, bias + n0, edge, PANEL);
        for (int r = 0; r < ROWS; r++) memcpy(c + (i + r) * n + n0, edge + r * PANEL, 4 * wide);
      }
    }
    for (; i < m; i++) {
      rows(1, a + i * k, k, b + n0 * k, bias + n0, edge, PANEL);
      memcpy(c + i * n + n0, edge, 4 * wide);
    }
  }
}

/* Sums of ROWS8 or one row of A[m][k] of u8 by a panel [k / 4][PANEL][4] of s8 */
static inline __attribute__((always_inline)) void rows8(int count, const uint8_t *a, int k, const int8_t *p, ivec s[4][4]) {
  for (int r = 0; r < count; r++)
    for (int v = 0; v < 4; v++) s[r][v] = (ivec){0};
  for (int q = 0; q < k; q += 4, p += 4 * PANEL) {
#ifdef __AVX512VNNI__
    ivec b0 = *(const ivec *)p, b1 = *(const ivec *)(p + 4 * L), b2 = *(const ivec *)(p + 8 * L), b3 = *(const ivec *)(p + 12 * L);
    for (int r = 0; r < count; r++) {
      int32_t word;
      memcpy(&word, a + r * k + q, 4);
      ivec x = word - (ivec){0};
      __asm__("vpdpbusd %2, %1, %0" : "+v"(s[r][0]) : "v"(x), "v"(b0));
      __asm__("vpdpbusd %2, %1, %0" : "+v"(s[r][1]) : "v"(x), "v"(b1));
      __asm__("vpdpbusd %2, %1, %0" : "+v"(s[r][2]) : "v"(x), "v"(b2));
      __asm__("vpdpbusd %2, %1, %0" : "+v"(s[r][3]) : "v"(x), "v"(b3));
    }
#else
    for (int r = 0; r < count; r++)
      for (int v = 0; v < 4; v++)
        for (int j = 0; j < L; j++)
          for (int t = 0; t < 4; t++) s[r][v][j] += a[r * k + q + t] * p[4 * (v * L + j) + t];
#endif
  }
}

/* A[m][k] of u8, B packed [n / PANEL][k / 4][PANEL][4] of s8; n and k without a rest */
void gemm8(const void *const *in, void *out, const int32_t *d) {
  int m = d[0], n = d[1], k = d[2];
  const uint8_t *a = in[0];
  const int8_t *b = in[1];
  int32_t *c = out;
  for (int n0 = 0; n0 < n; n0 += PANEL) {
    int i = 0;
    ivec s[4][4];
    for (; i + 4 <= m; i += 4) {
      rows8(4, a + i * k, k, b + n0 * k, s);
      for (int r = 0; r < 4; r++)
        for (int v = 0; v < 4; v++) *(ivec *)(c + (i + r) * n + n0 + v * L) = s[r][v];
    }
    for (; i < m; i++) {
      rows8(1, a + i * k, k, b + n0 * k, s);
      for (int v = 0; v < 4; v++) *(ivec *)(c + i * n + n0 + v * L) = s[0][v];
    }
  }
}

/* The same, plus a term, times a factor of the column, rounded, plus 120, as u8; m without a rest too */
void gemm8_to_u8(const void *const *in, void *out, const int32_t *d) {
  int m = d[0], n = d[1], k = d[2];
  const uint8_t *a = in[0];
  const int8_t *b = in[1];
  const int32_t *terms = in[2];
  const float *factors = in[3];
  uint8_t *c = out;
  for (int n0 = 0; n0 < n; n0 += PANEL)
    for (int i = 0; i < m; i += 4) {
      ivec s[4][4];
      rows8(4, a + i * k, k, b + n0 * k, s);
      for (int r = 0; r < 4; r++)
        for (int v = 0; v < 4; v++) {
          vec x = __builtin_convertvector(s[r][v] + *(const ivec *)(terms + n0 + v * L), vec) * load(factors + n0 + v * L);
          uint8_t *to = c + (i + r) * n + n0 + v * L;
#ifdef __AVX512F__
          __m512i y = _mm512_add_epi32(_mm512_cvtps_epi32((__m512)x), _mm512_set1_epi32(120));
          y = _mm512_min_epi32(_mm512_max_epi32(y, _mm512_setzero_si512()), _mm512_set1_epi32(255));
          _mm_storeu_si128((__m128i *)to, _mm512_cvtepi32_epi8(y));
#else
          for (int j = 0; j < L; j++) {
            float y = rintf(x[j]) + 120;
            to[j] = y < 0 ? 0 : y > 255 ? 255 : y;
          }
#endif
        }
    }
}

/* x[c][rows][columns], f packed [o / 8][c][9][8], bias[o]; widths without a rest of two vectors */
static inline __attribute__((always_inline)) void conv3(const void *const *in, void *out, const int32_t *d, int stride) {
  int channels = d[0], filters = d[1], height = d[2], width = d[3], rows = d[4], columns = d[5];
  const float *bias = in[2];
  for (int o = 0; o < filters; o += 8)
    for (int h = 0; h < height; h++)
      for (int w = 0; w < width; w += 2 * L) {
        vec s[8][2];
        for (int i = 0; i < 8; i++) s[i][0] = s[i][1] = bias[o + i] - (vec){0};
        const float *f = (const float *)in[1] + o * channels * 9;
        for (int c = 0; c < channels; c++)
          for (int t = 0; t < 9; t++, f += 8) {
            const float *x = (const float *)in[0] + (c * rows + h * stride + t / 3) * columns + w * stride + t % 3;
            vec a = stride == 1 ? load(x) : even(load(x), load(x + L));
            vec b = stride == 1 ? load(x + L) : even(load(x + 2 * L), load(x + 3 * L));
            for (int i = 0; i < 8; i++) {
              s[i][0] += f[i] * a;
              s[i][1] += f[i] * b;
            }
          }
        for (int i = 0; i < 8; i++)
          for (int v = 0; v < 2; v++) *(vec *)((float *)out + ((o + i) * height + h) * width + w + v * L) = s[i][v];
      }
}

void conv(const void *const *in, void *out, const int32_t *d) { conv3(in, out, d, 1); }
void conv_stride2(const void *const *in, void *out, const int32_t *d) { conv3(in, out, d, 2); }

void half_to_float(const void *const *in, void *out, const int32_t *d) {
  const uint16_t *x = in[0];
  float *y = out;
  int i = 0;
#ifdef __AVX512F__
  for (; i + L <= d[0]; i += L) {
    vec v = (vec)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(x + i)));
    *(vec *)(y + i) = v + v;
  }
#endif
  for (; i < d[0]; i++) {
    _Float16 h;
    memcpy(&h, x + i, 2);
    y[i] = (float)h + (float)h;
  }
}

void add_relu(const void *const *in, void *out, const int32_t *d) {
  const float *x = in[0], *y = in[1];
  float *z = out;
  for (int i = 0; i < d[0]; i++) z[i] = most(x[i] + y[i], 0);
}

void row_sum(const void *const *in, void *out, const int32_t *d) {
  float *y = out;
  for (int r = 0; r < d[0]; r++) {
    const float *x = (const float *)in[0] + r * d[1];
    vec s = {0};
    int i = 0;
    for (; i + L <= d[1]; i += L) s += load(x + i);
    float sum = 0;
    for (int l = 0; l < L; l++) sum += s[l];
    for (; i < d[1]; i++) sum += x[i];
    y[r] = sum;
  }
}

void softmax(const void *const *in, void *out, const int32_t *d) {
  for (int r = 0; r < d[0]; r++) {
    const float *x = (const float *)in[0] + r * d[1];
    float *y = (float *)out + r * d[1], max = x[0], sum = 0;
    for (int i = 0; i < d[1]; i++) max = most(max, x[i]);
    for (int i = 0; i < d[1]; i++) sum += y[i] = expf(x[i] - max);
    for (int i = 0; i < d[1]; i++) y[i] /= sum;
  }
}

/* x[c][h + 2][w + 2] (padded), f[c][9], bias[c] */
void depthwise(const void *const *in, void *out, const int32_t *d) {
  int height = d[1], width = d[2], stride = width + 2;
  const float *f = in[1], *bias = in[2];
  for (int c = 0; c < d[0]; c++, f += 9)
    for (int h = 0; h < height; h++) {
      const float *x = (const float *)in[0] + (c * (height + 2) + h) * stride;
      float *y = (float *)out + (c * height + h) * width;
      for (int w = 0; w < width; w++)
        y[w] = bias[c] + f[0] * x[w] + f[1] * x[w + 1] + f[2] * x[w + 2] + f[3] * x[w + stride] + f[4] * x[w + stride + 1] +
               f[5] * x[w + stride + 2] + f[6] * x[w + 2 * stride] + f[7] * x[w + 2 * stride + 1] + f[8] * x[w + 2 * stride + 2];
    }
}

/* 2 x 2 windows, stride 2; c, h, w of the output */
void max_pool(const void *const *in, void *out, const int32_t *d) {
  int width = d[2];
  const float *x = in[0];
  float *y = out;
  for (int row = 0; row < d[0] * d[1]; row++, x += 4 * width, y += width)
    for (int w = 0; w < width; w++)
      y[w] = most(most(x[2 * w], x[2 * w + 1]), most(x[2 * width + 2 * w], x[2 * width + 2 * w + 1]));
}
