/* What generated CUDA code needs of a device, in two bodies: for nvcc, and in plain C for an emulation on the processor. There a block
   is one call, and a loop over lanes runs to its end before the next statement, so that barriers hold by themselves. */
#ifndef TERSOR_DEVICE_H
#define TERSOR_DEVICE_H

#ifdef __CUDACC__

#include <cstddef>
#include <cstdint>
#define TSR_FN static __device__ __forceinline__
#define TSR_KERNEL extern "C" __global__
#define TSR_RESTRICT __restrict__
#define TSR_BLOCKS(v) for (int64_t v = tsr_from + blockIdx.x; v < tsr_to; v += gridDim.x)
#define TSR_LANES(v, begin, end, step) for (int64_t v = (begin) + (int64_t)threadIdx.x * (step); v < (end); v += (int64_t)blockDim.x * (step))
#define TSR_BARRIER() __syncthreads()
#define TSR_SINGLE if (threadIdx.x == 0)
#define TSR_SHARED __shared__
/* Elements that only their lane uses: registers of the thread. Lane l has l * each to l * each + each - 1; each is a power of two. */
#define TSR_PRIVATE(type, id, each, all) type id[each]
#define TSR_OWN(index, each) ((index) & ((each) - 1))
/* The scratch area begins with the bytes of one thread. */
#define TSR_SCRATCH(p) ((p) + 64 + *(const int64_t *)(p) * ((int64_t)blockIdx.x * blockDim.x + threadIdx.x))
#define TSR_COPY(to, from, n) memcpy(to, from, n)
#define TSR_PARAMETERS(kernel, kinds)

TSR_FN float tsr_fma_f32(float a, float b, float c) { return __fmaf_rn(a, b, c); }
TSR_FN double tsr_fma_f64(double a, double b, double c) { return __fma_rn(a, b, c); }
TSR_FN float tsr_sqrt_f32(float x) { return __fsqrt_rn(x); }
TSR_FN double tsr_sqrt_f64(double x) { return __dsqrt_rn(x); }
TSR_FN float tsr_floor_f32(float x) { return floorf(x); }
TSR_FN double tsr_floor_f64(double x) { return floor(x); }
TSR_FN float tsr_ceil_f32(float x) { return ceilf(x); }
TSR_FN double tsr_ceil_f64(double x) { return ceil(x); }
TSR_FN float tsr_trunc_f32(float x) { return truncf(x); }
TSR_FN double tsr_trunc_f64(double x) { return trunc(x); }
TSR_FN float tsr_rint_f32(float x) { return rintf(x); }
TSR_FN double tsr_rint_f64(double x) { return rint(x); }
TSR_FN float tsr_f16_to_f32(uint16_t x) {
  float r;
  asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(x));
  return r;
}
TSR_FN uint16_t tsr_f32_to_f16(float x) {
  uint16_t r;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r) : "f"(x));
  return r;
}
/* acc + the sum of four products of an unsigned byte of a and a signed byte of b; the __dp4a intrinsic has no mixed signs. */
TSR_FN int32_t tsr_dot4(int32_t acc, int32_t a, int32_t b) {
  int32_t r;
  asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(acc));
  return r;
}

#else

#include <stddef.h>
#include <stdint.h>
#define TSR_FN static inline __attribute__((always_inline, unused))
#define TSR_RESTRICT restrict
#ifdef TSR_GRID
/* A launch as a device makes it: the caller sets these and calls once per block. */
#define TSR_KERNEL __attribute__((visibility("default")))
__attribute__((visibility("default"))) int64_t tsr_block, tsr_blocks = 1, tsr_threads = 1;
#define TSR_BLOCKS(v) for (int64_t v = tsr_from + tsr_block; v < tsr_to; v += tsr_blocks)
#define TSR_SCRATCH(p) ((p) + 64 + *(const int64_t *)(p) * (tsr_block * tsr_threads))
#define TSR_PARAMETERS(kernel, kinds) __attribute__((visibility("default"))) const char kernel##_parameters[] = kinds;
#else
#define TSR_KERNEL __attribute__((visibility("hidden")))
#define TSR_BLOCKS(v) for (int64_t v = tsr_from; v < tsr_to; v++)
#define TSR_SCRATCH(p) (p)
#define TSR_PARAMETERS(kernel, kinds)
#endif
#define TSR_LANES(v, begin, end, step) for (int64_t v = (begin); v < (end); v += (step))
#define TSR_BARRIER() ((void)0)
#define TSR_SINGLE
#define TSR_SHARED
#define TSR_PRIVATE(type, id, each, all) type id[all]
#define TSR_OWN(index, each) (index)
#define TSR_COPY(to, from, n) __builtin_memcpy(to, from, n)

TSR_FN uint64_t tsr_device_bits(double x) { union { double a; uint64_t b; } u; u.a = x; return u.b; }
TSR_FN double tsr_device_real(uint64_t x) { union { uint64_t a; double b; } u; u.a = x; return u.b; }
TSR_FN uint32_t tsr_device_bits32(float x) { union { float a; uint32_t b; } u; u.a = x; return u.b; }
TSR_FN float tsr_device_real32(uint32_t x) { union { uint32_t a; float b; } u; u.a = x; return u.b; }

#ifdef __FMA__
TSR_FN float tsr_fma_f32(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
TSR_FN double tsr_fma_f64(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
/* The product is exact in f64; the sum is rounded to odd there, so that the conversion rounds once. */
TSR_FN float tsr_fma_f32(float a, float b, float c) {
  double p = (double)a * b, q = c, s = p + q;
  if (s - s != 0.0) return (float)s;
  double v = s - p, e = (p - (s - v)) + (q - v);
  uint64_t u = tsr_device_bits(s);
  if (e != 0.0 && !(u & 1u)) u += (e > 0.0) == (s > 0.0) ? 1u : (uint64_t)-1;
  return (float)tsr_device_real(u);
}
#endif
TSR_FN float tsr_sqrt_f32(float x) { return __builtin_sqrtf(x); }
TSR_FN double tsr_sqrt_f64(double x) { return __builtin_sqrt(x); }
/* From 2^23 (2^52) on every float is an integer; below, adding and subtracting it rounds half to even. */
TSR_FN float tsr_trunc_f32(float x) { return __builtin_fabsf(x) < 0x1p23f ? __builtin_copysignf((float)(int32_t)x, x) : x; }
TSR_FN double tsr_trunc_f64(double x) { return __builtin_fabs(x) < 0x1p52 ? __builtin_copysign((double)(int64_t)x, x) : x; }
TSR_FN float tsr_rint_f32(float x) { return __builtin_fabsf(x) < 0x1p23f ? __builtin_copysignf((__builtin_fabsf(x) + 0x1p23f) - 0x1p23f, x) : x; }
TSR_FN double tsr_rint_f64(double x) { return __builtin_fabs(x) < 0x1p52 ? __builtin_copysign((__builtin_fabs(x) + 0x1p52) - 0x1p52, x) : x; }
TSR_FN float tsr_floor_f32(float x) { float t = tsr_trunc_f32(x); return t > x ? __builtin_copysignf(t - 1.0f, x) : t; }
TSR_FN double tsr_floor_f64(double x) { double t = tsr_trunc_f64(x); return t > x ? __builtin_copysign(t - 1.0, x) : t; }
TSR_FN float tsr_ceil_f32(float x) { float t = tsr_trunc_f32(x); return t < x ? __builtin_copysignf(t + 1.0f, x) : t; }
TSR_FN double tsr_ceil_f64(double x) { double t = tsr_trunc_f64(x); return t < x ? __builtin_copysign(t + 1.0, x) : t; }
TSR_FN float tsr_f16_to_f32(uint16_t h) {
  uint32_t s = (uint32_t)(h & 0x8000u) << 16, e = h >> 10 & 31u, m = h & 1023u;
  if (e == 31u) return tsr_device_real32(s | 0x7f800000u | m << 13 | (m ? 0x400000u : 0u));
  if (e != 0u) return tsr_device_real32(s | (e + 112u) << 23 | m << 13);
  return tsr_device_real32(s | tsr_device_bits32((float)m * 0x1p-24f));
}
TSR_FN uint16_t tsr_f32_to_f16(float x) {
  uint32_t u = tsr_device_bits32(x), s = u >> 16 & 0x8000u, a = u & 0x7fffffffu;
  if (a > 0x7f800000u) return (uint16_t)(s | 0x7e00u);
  if (a >= 0x477ff000u) return (uint16_t)(s | 0x7c00u);
  if (a < 0x38800000u) return (uint16_t)(s | (tsr_device_bits32(tsr_device_real32(a) + 0.5f) - 0x3f000000u));
  a += 0xfffu + (a >> 13 & 1u);
  return (uint16_t)(s | (a - 0x38000000u) >> 13);
}
TSR_FN int32_t tsr_dot4(int32_t acc, int32_t a, int32_t b) {
  uint32_t sum = (uint32_t)acc;
  for (int i = 0; i < 32; i += 8) sum += (uint32_t)((int32_t)(uint8_t)(a >> i) * (int8_t)(b >> i));
  return (int32_t)sum;
}

#endif
#endif
