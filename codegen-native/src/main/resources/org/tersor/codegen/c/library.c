/* The public functions; everything is in the caller's memory, so they may run in any number of threads at once. */

static const tsr_level *choose(void) {
  uint32_t has = allowed();
  for (int32_t i = 0; i < LEVELS; i++) {
    if (has >> levels[i].isa & 1u) return &levels[i];
  }
  return 0;
}

static int64_t round64(int64_t n) { return (n + 63) / 64 * 64; }

/* Bytes before the slots: their offsets, the extents of the steps. */
static int64_t head(const tsr_level *level) { return round64(8 * (int64_t)level->slots) + round64(8 * (int64_t)(level->load + level->run)); }

/* Bytes of arena for one worker, or an error. */
static int64_t needed(const tsr_level *level, const int64_t *dims, int64_t *each) {
  int64_t offsets[SLOTS + 1];
  if (DIMS > 0 && !dims) return ERROR_NULL;
  for (int32_t i = 0; i < DIMS; i++) {
    if (dims[i] < 0) return ERROR_DIMS;
  }
  int64_t slots = level->layout(dims, offsets), total;
  if (slots < 0) return ERROR_DIMS;
  *each = level->scratch(dims);
  if (*each < 0 || __builtin_add_overflow(slots, *each, &total) || total > INT64_MAX - head(level) - 64) return ERROR_DIMS;
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
  int32_t step;
} tsr_part;

static void part(void *data, int64_t from, int64_t to, int32_t worker) {
  const tsr_part *p = (const tsr_part *)data;
  if (!p->call->cancel) {
    p->level->step(p->call, p->step, from, to, worker);
    return;
  }
  for (int64_t i = from; i < to && !TSR_CANCELLED(p->call); i++) p->level->step(p->call, p->step, i, i + 1, worker);
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
  unsigned char *base = (unsigned char *)(((uintptr_t)arena + 63) / 64 * 64);
  int64_t *offsets = (int64_t *)base, *tasks = (int64_t *)(base + round64(8 * (int64_t)level->slots));
  unsigned char *slots = base + head(level);
  int64_t size = level->layout(dims, offsets);
  int64_t fault[2] = {0, 0};
  tsr_call call = {inputs, outputs, level->constants, weights + 64, slots, offsets, slots + size, each, dims, cancel, fault};
  if (!parallel) {
    level->steps(&call, level->load, level->load + level->run);
    return result(level, &call);
  }
  uint64_t more = each > 0 ? (arena_bytes - (uint64_t)need) / (uint64_t)each : 0;
  int32_t workers = 1 + (int32_t)(more > 1023 ? 1023 : more);
  level->tasks(dims, tasks);
  for (int32_t step = level->load; step < level->load + level->run && !TSR_CANCELLED(&call) && !TSR_FAULT(&call); step++) {
    tsr_part p = {level, &call, step};
    if (tasks[step] <= 1) {
      level->step(&call, step, 0, tasks[step], 0);
    } else {
      parallel(context, tasks[step], workers, part, &p);
    }
  }
  return result(level, &call);
}

API int FN(run)(const void *const *inputs, void *const *outputs, const int64_t *dims, const void *packed, void *arena, size_t arena_bytes,
                FN(parallel_for) parallel, void *context) {
  return FN(run_cancellable)(inputs, outputs, dims, packed, arena, arena_bytes, parallel, context, 0);
}
