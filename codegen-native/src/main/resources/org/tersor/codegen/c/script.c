/* What scripts need beside their segments. */
#define TSR_DIMS (-2)
#define TSR_BRANCH (-6)
#define TSR_STOPPED (-7)
#define TSR_INDEX (-8)

TSR_DIM void tsr_copy(unsigned char *to, const unsigned char *from, int64_t n) {
  for (int64_t i = 0; i < n; i++) to[i] = from[i];
}

/* Slice `at` of `count` along an axis: `outer` parts of `inner` bytes each. */
TSR_DIM void tsr_slice(unsigned char *to, const unsigned char *from, int64_t outer, int64_t count, int64_t inner, int64_t at) {
  for (int64_t o = 0; o < outer; o++) tsr_copy(to + o * inner, from + (o * count + at) * inner, inner);
}

TSR_DIM void tsr_stack(unsigned char *to, const unsigned char *from, int64_t outer, int64_t count, int64_t inner, int64_t at) {
  for (int64_t o = 0; o < outer; o++) tsr_copy(to + (o * count + at) * inner, from + o * inner, inner);
}
