/* The public functions; all but what the processor can do is in the caller's memory, so they may run in any number of threads at once. */

static const tsr_level *choose(void) {
  uint32_t has = allowed();
  for (int32_t i = 0; i < LEVELS; i++) {
    if (has >> levels[i].isa & 1u) return &levels[i];
  }
  return 0;
}

static int64_t round64(int64_t n) { return (n + 63) / 64 * 64; }

static int64_t all_steps(const tsr_level *level) { return (int64_t)level->load + level->run; }

/* Bytes of a number for each step. */
static int64_t row(const tsr_level *level) { return round64(8 * all_steps(level)); }

/* Bytes before the slots: their offsets, for each step its extent and how much of it is done. */
static int64_t head(const tsr_level *level) { return round64(8 * (int64_t)level->slots) + 2 * row(level); }

/* Bytes of arena for one worker, or an error; a worker has scratch memory and a row of counters. */
static int64_t needed(const tsr_level *level, const int64_t *dims, int64_t *each) {
  int64_t offsets[SLOTS + 1];
  if (DIMS > 0 && !dims) return ERROR_NULL;
  for (int32_t i = 0; i < DIMS; i++) {
    if (dims[i] < 0) return ERROR_DIMS;
  }
  int64_t slots = level->layout(dims, offsets), total;
  if (slots < 0) return ERROR_DIMS;
  if (__builtin_add_overflow(level->scratch(dims), row(level), each)) return ERROR_DIMS;
  if (*each < row(level) || __builtin_add_overflow(slots, *each, &total) || total > INT64_MAX - head(level) - 64) return ERROR_DIMS;
  return total + head(level) + 64;
}

API int FN(describe)(char *text, size_t size) {
  if (text && size > 0) {
    size_t n = sizeof description - 1 < size - 1 ? sizeof description - 1 : size - 1;
    memcpy(text, description, n);
    text[n] = 0;
  }
  return (int)(sizeof description - 1);
}

API int FN(level)(void) {
  const tsr_level *level = choose();
  return level ? (int)(level - levels) : ERROR_CPU;
}

static const int64_t no_dims[DIMS + 1];

/* Behind the packed weights is the scratch area of their making. */
API int64_t FN(packed_size)(void) {
  const tsr_level *level = choose();
  return level ? level->packed + level->scratch(no_dims) + 128 : ERROR_CPU;
}

API int64_t FN(arena_size)(const int64_t *dims) {
  const tsr_level *level = choose();
  int64_t each;
  return level ? needed(level, dims, &each) : ERROR_CPU;
}

API int64_t FN(worker_size)(const int64_t *dims) {
  const tsr_level *level = choose();
  int64_t each, total = level ? needed(level, dims, &each) : ERROR_CPU;
  return total < 0 ? total : each;
}

/* The packed weights begin at a cache line; the one before says which level they are for. */
static unsigned char *packed_start(const void *packed) { return (unsigned char *)(((uintptr_t)packed + 63) / 64 * 64); }
#define MARK 0x746572736f720000ull

API int FN(prepare)(void *packed) {
  const tsr_level *level = choose();
  if (!level) return ERROR_CPU;
  if (!packed) return ERROR_NULL;
  unsigned char *start = packed_start(packed);
  int64_t fault[2] = {0, 0};
  tsr_call call = {0, 0, level->constants, start + 64, 0, 0, start + 64 + level->packed, 0, no_dims, 0, fault};
  level->steps(&call, 0, level->load);
  *(uint64_t *)start = MARK + (uint64_t)(level - levels);
  return OK;
}

typedef struct {
  const tsr_level *level;
  const tsr_call *call;
  const int64_t *tasks;
  int64_t *counters;
  int32_t workers;
} tsr_crew;

/* One member of the crew goes through all steps; one that comes late finds less to do, or nothing. */
static void join(void *data, int64_t from, int64_t to, int32_t worker) {
  const tsr_crew *crew = (const tsr_crew *)data;
  const tsr_level *level = crew->level;
  for (; from < to; from++) {
    level->work(crew->call, crew->counters, row(level) / 8, crew->tasks, 0, level->load, (int32_t)all_steps(level), worker, crew->workers);
  }
}

/* What a call that went through its steps gives. */
static int result(const tsr_level *level, const tsr_call *call) {
  if (TSR_CANCELLED(call)) return ERROR_CANCELLED;
  if (TSR_FAULT(call)) return ERROR_INDEX;
  return level->status ? (int)level->status(call) : OK;
}

API int FN(run_cancellable)(const void *const *inputs, void *const *outputs, const int64_t *dims, const void *packed, void *arena,
                            size_t arena_bytes, FN(parallel_for) parallel, void *context, const int32_t *cancel) {
  const tsr_level *level = choose();
  if (!level) return ERROR_CPU;
  if ((INPUTS > 0 && !inputs) || (OUTPUTS > 0 && !outputs) || !packed || !arena) return ERROR_NULL;
  for (int32_t i = 0; i < INPUTS; i++) {
    if (!inputs[i]) return ERROR_NULL;
  }
  for (int32_t i = 0; i < OUTPUTS; i++) {
    if (!outputs[i]) return ERROR_NULL;
  }
  int64_t each, need = needed(level, dims, &each);
  if (need < 0) return (int)need;
  if ((uint64_t)need > arena_bytes) return ERROR_ARENA;
  unsigned char *weights = packed_start(packed);
  if (*(uint64_t *)weights != MARK + (uint64_t)(level - levels)) return ERROR_PACKED;
  uint64_t more = parallel && level->work ? (arena_bytes - (uint64_t)need) / (uint64_t)each : 0;
  int32_t workers = 1 + (int32_t)(more > 1023 ? 1023 : more);
  unsigned char *base = (unsigned char *)(((uintptr_t)arena + 63) / 64 * 64);
  int64_t *offsets = (int64_t *)base, *tasks = (int64_t *)(base + round64(8 * (int64_t)level->slots)), *counters = tasks + row(level) / 8;
  unsigned char *slots = base + head(level) + workers * row(level);
  int64_t size = level->layout(dims, offsets);
  int64_t fault[2] = {0, 0};
  tsr_call call = {inputs, outputs, level->constants, weights + 64, slots, offsets, slots + size, each - row(level), dims, cancel, fault};
  if (workers == 1) {
    level->steps(&call, level->load, (int32_t)all_steps(level));
  } else {
    tsr_crew crew = {level, &call, tasks, counters, workers};
    level->tasks(dims, tasks);
    memset(counters, 0, (size_t)((workers + 1) * row(level)));
    parallel(context, workers, workers, join, &crew);
  }
  return result(level, &call);
}

API int FN(run)(const void *const *inputs, void *const *outputs, const int64_t *dims, const void *packed, void *arena, size_t arena_bytes,
                FN(parallel_for) parallel, void *context) {
  return FN(run_cancellable)(inputs, outputs, dims, packed, arena, arena_bytes, parallel, context, 0);
}
