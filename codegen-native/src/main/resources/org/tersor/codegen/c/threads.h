#ifndef @U@_THREADS_H
#define @U@_THREADS_H
/* Threads and memory for the library, which has neither; by POSIX threads, for C11 and C++ (link with -pthread; with -std=c11
   instead of gnu11 define _DEFAULT_SOURCE). Include the library's header before.

   @P@_threads *threads = @P@_threads_start(4);                 once: a pool of 4, the caller's thread among them
   void *packed = @P@_memory(@P@_packed_size());                in large pages where the system has them; free() returns it
   int64_t bytes = @P@_arena_size(dims) + 3 * @P@_worker_size(dims);
   @P@_run(inputs, outputs, dims, packed, arena, bytes, @P@_threads_for, threads);
   @P@_threads_stop(threads);                                   after the last call

   Any number of threads may share a pool: one call at a time has its threads, others run on the thread that calls. */
#ifndef @U@_H
#error "include the header of the library first"
#endif
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  pthread_mutex_t lock;
  pthread_cond_t wake, left;
  pthread_t *helpers;
  int32_t count;  /* of helpers: beside the caller */
  int32_t taken;  /* a call has the pool */
  int32_t open;   /* helpers may still begin with it */
  int32_t inside; /* helpers that did */
  int32_t stop;
  int32_t numbers; /* given to helpers that started */
  int64_t call;    /* number of the call, counted from 1 */
  int64_t tasks, next;
  int32_t workers;
  @P@_task task;
  void *data;
} @P@_threads;

/* Turns of a helper that waits for the next call before it sleeps: some 50 microseconds. */
#define @U@_SPINS 2000

static inline void @P@_threads_work(@P@_threads *t, int32_t worker) {
  for (;;) {
    int64_t i = __atomic_fetch_add(&t->next, 1, __ATOMIC_RELAXED);
    if (i >= t->tasks) return;
    t->task(t->data, i, i + 1, worker);
  }
}

static inline void *@P@_threads_help(void *pool) {
  @P@_threads *t = (@P@_threads *)pool;
  int64_t seen = 0;
  pthread_mutex_lock(&t->lock);
  int32_t worker = ++t->numbers;
  while (!t->stop) {
    pthread_mutex_unlock(&t->lock);
    for (int32_t i = 0; i < @U@_SPINS && __atomic_load_n(&t->call, __ATOMIC_RELAXED) == seen && !__atomic_load_n(&t->stop, __ATOMIC_RELAXED); i++) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#elif defined(__aarch64__)
      __asm__ volatile("yield" : : : "memory");
#endif
    }
    pthread_mutex_lock(&t->lock);
    while (t->call == seen && !t->stop) pthread_cond_wait(&t->wake, &t->lock);
    seen = t->call;
    if (!t->stop && t->open && worker < t->workers) {
      t->inside++;
      pthread_mutex_unlock(&t->lock);
      @P@_threads_work(t, worker);
      pthread_mutex_lock(&t->lock);
      if (--t->inside == 0) pthread_cond_signal(&t->left);
    }
  }
  pthread_mutex_unlock(&t->lock);
  return NULL;
}

/* Ends the helpers and frees the pool, which no call may use any more. */
static inline void @P@_threads_stop(@P@_threads *t) {
  if (!t) return;
  pthread_mutex_lock(&t->lock);
  __atomic_store_n(&t->stop, 1, __ATOMIC_RELAXED);
  pthread_cond_broadcast(&t->wake);
  pthread_mutex_unlock(&t->lock);
  for (int32_t i = 0; i < t->count; i++) pthread_join(t->helpers[i], NULL);
  pthread_cond_destroy(&t->left);
  pthread_cond_destroy(&t->wake);
  pthread_mutex_destroy(&t->lock);
  free(t->helpers);
  free(t);
}

/* A pool of so many threads, that of the caller among them; fewer where the system has no more, NULL where it has no memory. */
static inline @P@_threads *@P@_threads_start(int32_t threads) {
  int32_t helpers = threads < 2 ? 0 : threads - 1;
  @P@_threads *t = (@P@_threads *)calloc(1, sizeof *t);
  if (!t) return NULL;
  t->helpers = (pthread_t *)calloc((size_t)helpers + 1, sizeof *t->helpers);
  if (!t->helpers) {
    free(t);
    return NULL;
  }
  pthread_mutex_init(&t->lock, NULL);
  pthread_cond_init(&t->wake, NULL);
  pthread_cond_init(&t->left, NULL);
  while (t->count < helpers && pthread_create(&t->helpers[t->count], NULL, @P@_threads_help, t) == 0) t->count++;
  return t;
}

/* The parallel_for of @P@_run; its context is the pool. */
static inline void @P@_threads_for(void *context, int64_t tasks, int32_t workers, @P@_task task, void *data) {
  @P@_threads *t = (@P@_threads *)context;
  int32_t mine = 0;
  if (t && t->count > 0 && workers > 1 && tasks > 1) {
    pthread_mutex_lock(&t->lock);
    mine = !t->taken;
    if (mine) {
      t->taken = t->open = 1;
      t->task = task;
      t->data = data;
      t->tasks = tasks;
      t->workers = workers;
      __atomic_store_n(&t->next, 0, __ATOMIC_RELAXED);
      __atomic_store_n(&t->call, t->call + 1, __ATOMIC_RELAXED);
      pthread_cond_broadcast(&t->wake);
    }
    pthread_mutex_unlock(&t->lock);
  }
  if (!mine) {
    task(data, 0, tasks, 0);
    return;
  }
  @P@_threads_work(t, 0);
  pthread_mutex_lock(&t->lock);
  t->open = 0;
  while (t->inside > 0) pthread_cond_wait(&t->left, &t->lock);
  t->taken = 0;
  pthread_mutex_unlock(&t->lock);
}

/* Memory that free() returns, in large pages where the system has them on request: packed weights of many MB are read up to 1.7
   times as fast there. NULL where there is none. */
static inline void *@P@_memory(int64_t bytes) {
  size_t page = 2u << 20, size = bytes < 1 ? 1 : (size_t)bytes;
  void *memory = NULL;
  if (size < 2 * page) return malloc(size);
  size = (size + page - 1) / page * page;
  if (posix_memalign(&memory, page, size)) return NULL;
#ifdef MADV_HUGEPAGE
  madvise(memory, size, MADV_HUGEPAGE); /* what it says does not matter: the pages are small then */
#endif
  return memory;
}

#ifdef __cplusplus
}
#endif
#endif
