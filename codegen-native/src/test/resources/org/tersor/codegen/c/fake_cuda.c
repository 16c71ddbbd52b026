/* A CUDA driver on the processor, for tests: the functions that CudaDriver uses, with device memory at addresses that nobody can read,
   streams that do nothing before somebody waits, and kernels that are the emulation's C code. Misuse is an error code, as from the real
   one, and fake_problem() says what it was. Modules are shared objects that were compiled with TSR_GRID. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define API __attribute__((visibility("default"))) int
enum { OK = 0, INVALID_VALUE = 1, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_IMAGE = 200, INVALID_CONTEXT = 201, INVALID_HANDLE = 400,
       NOT_FOUND = 500, ILLEGAL_ADDRESS = 700 };
enum { RED = 256, MOST_PARAMETERS = 64, DEPTH = 16 };

typedef struct allocation { uint64_t base; size_t size; unsigned char *host; struct allocation *next; } allocation;
typedef struct module { void *library; struct module *next; } module;
typedef struct function { module *owner; void *entry; const char *kinds; int64_t *block, *blocks, *threads; struct function *next; } function;
typedef struct operation {
  int kind; /* 0 to device, 1 to host, 2 launch */
  uint64_t device; void *host; size_t bytes;
  function *kernel; int64_t blocks, threads, arguments[MOST_PARAMETERS];
  struct operation *next;
} operation;
typedef struct stream { operation *first, **last; struct stream *next; } stream;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static allocation *allocations;
static module *modules;
static function *functions;
static stream *streams;
static uint64_t next_base = 0x100000000000ull;
static int initialised, retained, context_object, lost;
static long calls;
static int gather, gathered;
static pthread_cond_t all_gathered = PTHREAD_COND_INITIALIZER;
static char problem[512];
static __thread char fail_name[64];
static __thread long fail_count;
static __thread int fail_code, failing;
static __thread void *contexts[DEPTH];
static __thread int depth;

static int bad(int code, const char *what) {
  snprintf(problem, sizeof problem, "%s", what);
  return code;
}

static int enter(const char *name, int needs_context) {
  pthread_mutex_lock(&lock);
  calls++;
  failing = fail_count > 0 && (!strcmp(fail_name, "*") || !strcmp(fail_name, name)) && --fail_count == 0;
  if (failing) return fail_code;
  if (!initialised && strcmp(name, "cuInit")) return bad(3, "cuInit was not called");
  if (lost) return ILLEGAL_ADDRESS;
  if (needs_context && (depth == 0 || contexts[depth - 1] != &context_object)) return bad(INVALID_CONTEXT, "no current context");
  if (needs_context && retained == 0) return bad(INVALID_CONTEXT, "the context was released");
  return OK;
}
static int leave(int result) {
  pthread_mutex_unlock(&lock);
  return result;
}
#define ENTER(context) int result = enter(__func__, context); if (result != OK) return leave(result)
/* What cleans up or waits reports a failure of before, and does its work all the same. */
#define ENTER_LATE(context) int result = enter(__func__, context); int late = failing ? result : OK; if (result != OK && !failing) return leave(result)
#define CHECK(condition, code, what) if (!(condition)) return leave(bad(code, what))

static allocation *find(uint64_t address, uint64_t bytes) {
  for (allocation *a = allocations; a; a = a->next)
    if (address >= a->base && bytes <= a->size && address - a->base <= a->size - bytes) return a;
  return 0;
}
static int intact(const allocation *a) {
  for (size_t i = 0; i < RED; i++) if (a->host[i] != 0xfd || a->host[RED + a->size + i] != 0xfd) return 0;
  return 1;
}
static unsigned char *translate(uint64_t address) {
  allocation *a = find(address, 0);
  return a->host + RED + (address - a->base);
}

typedef int64_t W;
typedef void entry(W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
                   W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W);

static int run(operation *o) {
  if (o->kind == 0) {
    if (!find(o->device, o->bytes)) return bad(ILLEGAL_ADDRESS, "copy to memory that was freed");
    memcpy(translate(o->device), o->host, o->bytes);
    return OK;
  }
  if (o->kind == 1) {
    if (!find(o->device, o->bytes)) return bad(ILLEGAL_ADDRESS, "copy from memory that was freed");
    memcpy(o->host, translate(o->device), o->bytes);
    return OK;
  }
  W a[MOST_PARAMETERS];
  for (int i = 0; o->kernel->kinds[i]; i++) {
    a[i] = o->arguments[i];
    if (o->kernel->kinds[i] == 'i') continue;
    if (!find(a[i], 0)) return bad(ILLEGAL_ADDRESS, "a kernel uses memory that was freed");
    a[i] = (W)(intptr_t)translate(a[i]);
  }
  *o->kernel->blocks = o->blocks;
  *o->kernel->threads = o->threads;
  for (W b = 0; b < o->blocks; b++) {
    *o->kernel->block = b;
    ((entry *)o->kernel->entry)(
        a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15], a[16], a[17], a[18], a[19],
        a[20], a[21], a[22], a[23], a[24], a[25], a[26], a[27], a[28], a[29], a[30], a[31], a[32], a[33], a[34], a[35], a[36], a[37], a[38],
        a[39], a[40], a[41], a[42], a[43], a[44], a[45], a[46], a[47], a[48], a[49], a[50], a[51], a[52], a[53], a[54], a[55], a[56], a[57],
        a[58], a[59], a[60], a[61], a[62], a[63]);
  }
  for (allocation *m = allocations; m; m = m->next)
    if (!intact(m)) { lost = 1; return bad(ILLEGAL_ADDRESS, "a kernel wrote outside a buffer"); }
  return OK;
}
static int drain(stream *s) {
  int result = OK;
  while (s->first) {
    operation *o = s->first;
    s->first = o->next;
    if (result == OK) result = run(o);
    free(o);
  }
  s->last = &s->first;
  return result;
}
static void drain_all(void) {
  for (stream *s = streams; s; s = s->next) drain(s);
}
static int known_stream(const void *s) {
  for (stream *t = streams; t; t = t->next) if (t == s) return 1;
  return 0;
}
static int known_module(const void *m) {
  for (module *t = modules; t; t = t->next) if (t == m) return 1;
  return 0;
}
static int known_function(const void *f) {
  for (function *t = functions; t; t = t->next) if (t == f) return 1;
  return 0;
}
static void append(stream *s, operation o) {
  operation *copy = malloc(sizeof o);
  *copy = o;
  copy->next = 0;
  *s->last = copy;
  s->last = &copy->next;
}

API cuInit(unsigned flags) { ENTER(0); CHECK(flags == 0, INVALID_VALUE, "flags of cuInit"); initialised = 1; return leave(OK); }
API cuDriverGetVersion(int *version) { ENTER(0); *version = 13000; return leave(OK); }
API cuDeviceGetCount(int *count) { ENTER(0); *count = 1; return leave(OK); }
API cuDeviceGet(int *device, int ordinal) { ENTER(0); CHECK(ordinal == 0, INVALID_DEVICE, "ordinal"); *device = 7; return leave(OK); }
API cuDeviceGetName(char *name, int length, int device) {
  ENTER(0);
  CHECK(device == 7, INVALID_DEVICE, "device");
  snprintf(name, length, "Fake GPU");
  return leave(OK);
}
API cuDeviceGetAttribute(int *value, int attribute, int device) {
  ENTER(0);
  CHECK(device == 7, INVALID_DEVICE, "device");
  CHECK(attribute == 75 || attribute == 76, INVALID_VALUE, "attribute");
  *value = attribute == 75 ? 9 : 0;
  return leave(OK);
}
API cuDevicePrimaryCtxRetain(void **context, int device) {
  ENTER(0);
  CHECK(device == 7, INVALID_DEVICE, "device");
  retained++;
  *context = &context_object;
  return leave(OK);
}
API cuDevicePrimaryCtxRelease_v2(int device) {
  ENTER_LATE(0);
  CHECK(device == 7 && retained > 0, INVALID_DEVICE, "release of a context that nobody holds");
  if (--retained == 0 && (allocations || modules || streams)) bad(OK, "the context went before what it holds");
  return leave(late);
}
API cuCtxPushCurrent_v2(void *context) {
  if (depth > 0) { pthread_mutex_lock(&lock); calls++; } /* cleaning up inside a call never fails here */
  else { ENTER(0); }
  CHECK(context == &context_object && retained > 0, INVALID_CONTEXT, "push of no context");
  CHECK(depth < DEPTH, INVALID_VALUE, "too many contexts pushed");
  contexts[depth++] = context;
  return leave(OK);
}
API cuCtxPopCurrent_v2(void **context) {
  pthread_mutex_lock(&lock); /* a failure here would leave every later test in a context */
  CHECK(depth > 0, INVALID_CONTEXT, "pop without push");
  *context = contexts[--depth];
  return leave(OK);
}
API cuModuleLoadDataEx(void **out, const void *image, unsigned count, const void *options, const void *values) {
  ENTER(1);
  const Elf64_Ehdr *elf = image;
  CHECK(count == 0 && !options && !values, INVALID_VALUE, "module options");
  CHECK(!memcmp(elf->e_ident, ELFMAG, SELFMAG), INVALID_IMAGE, "the image is no ELF file");
  char file[] = "/tmp/fakecudaXXXXXX";
  int handle = mkstemp(file);
  size_t size = elf->e_shoff + (size_t)elf->e_shnum * elf->e_shentsize;
  int written = handle >= 0 && write(handle, image, size) == (ssize_t)size;
  if (handle >= 0) close(handle);
  void *library = written ? dlopen(file, RTLD_NOW | RTLD_LOCAL) : 0;
  unlink(file);
  CHECK(library, INVALID_IMAGE, dlerror());
  module *m = malloc(sizeof *m);
  *m = (module){library, modules};
  modules = m;
  *out = m;
  return leave(OK);
}
API cuModuleUnload(void *handle) {
  ENTER_LATE(1);
  CHECK(known_module(handle), INVALID_HANDLE, "unload of no module");
  drain_all();
  module *m = handle;
  for (function **f = &functions; *f;) {
    function *g = *f;
    if (g->owner == m) { *f = g->next; free(g); } else f = &g->next;
  }
  for (module **p = &modules; *p; p = &(*p)->next) if (*p == m) { *p = m->next; break; }
  dlclose(m->library);
  free(m);
  return leave(late);
}
API cuModuleGetFunction(void **out, void *handle, const char *name) {
  ENTER(1);
  CHECK(known_module(handle), INVALID_HANDLE, "function of no module");
  module *m = handle;
  char kinds[256];
  snprintf(kinds, sizeof kinds, "%s_parameters", name);
  function f = {m, dlsym(m->library, name), dlsym(m->library, kinds), dlsym(m->library, "tsr_block"), dlsym(m->library, "tsr_blocks"),
                dlsym(m->library, "tsr_threads"), functions};
  CHECK(f.entry && f.kinds && f.block && f.blocks && f.threads, NOT_FOUND, name);
  CHECK(strlen(f.kinds) <= MOST_PARAMETERS, INVALID_IMAGE, "more parameters than the fake driver passes");
  function *made = malloc(sizeof f);
  *made = f;
  functions = made;
  *out = made;
  return leave(OK);
}
API cuMemAlloc_v2(uint64_t *out, size_t size) {
  ENTER(1);
  CHECK(size > 0, INVALID_VALUE, "allocation of nothing");
  unsigned char *host = size < (1ull << 32) ? malloc(size + 2 * RED) : 0;
  CHECK(host, 2, "memory");
  memset(host, 0xfd, RED);
  memset(host + RED, 0xa5, size);
  memset(host + RED + size, 0xfd, RED);
  allocation *a = malloc(sizeof *a);
  *a = (allocation){next_base, size, host, allocations};
  allocations = a;
  next_base += 1ull << 33;
  *out = a->base;
  return leave(OK);
}
API cuMemFree_v2(uint64_t address) {
  ENTER_LATE(1);
  drain_all();
  for (allocation **p = &allocations; *p; p = &(*p)->next) {
    allocation *a = *p;
    if (a->base != address) continue;
    *p = a->next;
    int whole = intact(a);
    free(a->host);
    free(a);
    return leave(whole ? late : bad(ILLEGAL_ADDRESS, "something wrote outside a buffer"));
  }
  return leave(bad(INVALID_VALUE, "free of memory that is not allocated"));
}
API cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *s) {
  ENTER(1);
  CHECK(known_stream(s), INVALID_HANDLE, "copy in no stream");
  CHECK(find(to, bytes), INVALID_VALUE, "copy beyond device memory");
  append(s, (operation){.kind = 0, .device = to, .host = (void *)from, .bytes = bytes});
  return leave(OK);
}
API cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *s) {
  ENTER(1);
  CHECK(known_stream(s), INVALID_HANDLE, "copy in no stream");
  CHECK(find(from, bytes), INVALID_VALUE, "copy from beyond device memory");
  append(s, (operation){.kind = 1, .device = from, .host = to, .bytes = bytes});
  return leave(OK);
}
API cuStreamCreate(void **out, unsigned flags) {
  ENTER(1);
  CHECK(flags <= 1, INVALID_VALUE, "flags of a stream");
  stream *s = calloc(1, sizeof *s);
  s->last = &s->first;
  s->next = streams;
  streams = s;
  *out = s;
  return leave(OK);
}
API cuStreamDestroy_v2(void *handle) {
  ENTER_LATE(1);
  CHECK(known_stream(handle), INVALID_HANDLE, "destruction of no stream");
  stream *s = handle;
  int drained = drain(s);
  for (stream **p = &streams; *p; p = &(*p)->next) if (*p == s) { *p = s->next; break; }
  free(s);
  return leave(drained ? drained : late);
}
API cuStreamSynchronize(void *s) {
  ENTER_LATE(1);
  CHECK(known_stream(s), INVALID_HANDLE, "wait for no stream");
  int drained = drain(s);
  return leave(drained ? drained : late);
}
API cuLaunchKernel(void *kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *s,
                   void **parameters, void **extra) {
  ENTER(1);
  CHECK(known_function(kernel), INVALID_HANDLE, "launch of no function");
  CHECK(known_stream(s), INVALID_HANDLE, "launch in no stream");
  CHECK(gx > 0 && gx <= 0x7fffffff && gy == 1 && gz == 1, INVALID_VALUE, "blocks of a launch");
  CHECK(bx > 0 && bx <= 1024 && by == 1 && bz == 1 && shared == 0 && !extra, INVALID_VALUE, "threads of a launch");
  function *f = kernel;
  operation o = {.kind = 2, .kernel = f, .blocks = gx, .threads = bx};
  int n = (int)strlen(f->kinds);
  for (int i = 0; i < n; i++) {
    CHECK(parameters[i], INVALID_VALUE, "too few parameters");
    memcpy(&o.arguments[i], parameters[i], 8);
    CHECK(f->kinds[i] == 'i' || find(o.arguments[i], 0), INVALID_VALUE, "a parameter that is no device memory");
  }
  CHECK(!parameters[n], INVALID_VALUE, "too many parameters");
  append(s, o);
  gathered++;
  pthread_cond_broadcast(&all_gathered);
  while (gathered < gather) pthread_cond_wait(&all_gathered, &lock);
  return leave(OK);
}
API cuGetErrorName(int error, const char **text) {
  switch (error) {
    case 1: *text = "CUDA_ERROR_INVALID_VALUE"; return OK;
    case 2: *text = "CUDA_ERROR_OUT_OF_MEMORY"; return OK;
    case 3: *text = "CUDA_ERROR_NOT_INITIALIZED"; return OK;
    case 100: *text = "CUDA_ERROR_NO_DEVICE"; return OK;
    case 200: *text = "CUDA_ERROR_INVALID_IMAGE"; return OK;
    case 201: *text = "CUDA_ERROR_INVALID_CONTEXT"; return OK;
    case 400: *text = "CUDA_ERROR_INVALID_HANDLE"; return OK;
    case 500: *text = "CUDA_ERROR_NOT_FOUND"; return OK;
    case 700: *text = "CUDA_ERROR_ILLEGAL_ADDRESS"; return OK;
    default: *text = 0; return INVALID_VALUE;
  }
}
API cuGetErrorString(int error, const char **text) { *text = "as told by the fake driver"; return error < 0 ? INVALID_VALUE : OK; }

/* For tests. */
API fake_fail(const char *name, long nth, int code) {
  pthread_mutex_lock(&lock);
  snprintf(fail_name, sizeof fail_name, "%s", name);
  fail_count = nth;
  fail_code = code;
  return leave(OK);
}
/* No launch goes on before so many have begun: calls that come one from each thread are then certainly under way together. */
API fake_gather(int launches) {
  pthread_mutex_lock(&lock);
  gather = launches;
  gathered = 0;
  return leave(OK);
}
API fake_live(void) {
  pthread_mutex_lock(&lock);
  int n = retained;
  for (allocation *a = allocations; a; a = a->next) n++;
  for (module *m = modules; m; m = m->next) n++;
  for (stream *s = streams; s; s = s->next) n++;
  return leave(n);
}
__attribute__((visibility("default"))) long fake_calls(void) { return calls; }
__attribute__((visibility("default"))) const char *fake_problem(void) { return problem; }
