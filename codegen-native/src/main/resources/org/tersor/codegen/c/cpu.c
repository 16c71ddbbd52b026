/* What this processor can do. */

#if defined(__x86_64__)

static void cpuid(uint32_t leaf, uint32_t sub, uint32_t *r) {
  __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
}

/* Asks Linux for the tile registers of AMX: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA). */
static int tiles(void) {
#if defined(__linux__)
  long result = 158;
  __asm__ volatile("syscall" : "+a"(result) : "D"(0x1023L), "S"(18L) : "rcx", "r11", "memory");
  return result == 0;
#else
  return 0;
#endif
}

static uint32_t ask(void) {
  uint32_t a[4], b[4], low, high, has = 1u << LEVEL_SCALAR;
  cpuid(0, 0, a);
  if (a[0] < 7) return has;
  cpuid(1, 0, a);
  cpuid(7, 0, b);
  /* fma, popcnt, osxsave, avx, f16c; bmi1, avx2, bmi2 */
  const uint32_t need1 = 1u << 12 | 1u << 23 | 1u << 27 | 1u << 28 | 1u << 29, need7 = 1u << 3 | 1u << 5 | 1u << 8;
  if ((a[2] & need1) != need1 || (b[1] & need7) != need7) return has;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low & 6u) != 6u) return has;
  has |= 1u << LEVEL_AVX2;
  const uint32_t need512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
  if ((low & 0xe6u) != 0xe6u || (b[1] & need512) != need512) return has;
  has |= 1u << LEVEL_AVX512;
  if (!(b[2] & 1u << 11)) return has;
  has |= 1u << LEVEL_AVX512VNNI;
  /* amx-tile, amx-int8, the state of tiles; the system must permit it to this process, too. */
  const uint32_t needTiles = 1u << 24 | 1u << 25;
  if ((b[3] & needTiles) == needTiles && (low & 3u << 17) == 3u << 17 && tiles()) has |= 1u << LEVEL_AVX512AMX;
  if (b[0] < 1) return has;
  cpuid(7, 1, a);
  if (a[0] & 1u << 5) has |= 1u << LEVEL_AVX512BF16;
  return has;
}

#else

/* AArch64: vectors are part of every processor. */
static uint32_t ask(void) { return 1u << LEVEL_NEON; }

#endif

/* Bit i: the processor and the system allow instruction set i (see the constants LEVEL_...). Asked once for a process, as cpuid
   leaves a virtual machine: the dozen of a call took 75 us. Threads that ask at once find the same. */
static uint32_t allowed(void) {
  static uint32_t known;
  uint32_t has = __atomic_load_n(&known, __ATOMIC_RELAXED);
  if (!has) {
    has = ask();
    __atomic_store_n(&known, has, __ATOMIC_RELAXED);
  }
  return has;
}

