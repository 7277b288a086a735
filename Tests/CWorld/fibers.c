// Threads that take turns on one stack after the other, semaphores, and the clock.
#include "kernel.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

enum { STACK = 512 * 1024, MOST_FIBERS = 512 };

struct fiber {
  bool is_used, is_runnable;
  int process;
  uint32_t epoch;  // of its deadline
  uint64_t deadline;
  bool is_waiting;
  sem_t *semaphore;
  void *(*body)(void *);
  void *argument;
  void *stack;
#if defined(__x86_64__)
  void *sp;
#else
  ucontext_t context;
#endif
};

struct process processes[MOST_PROCESSES];
int process_count;
uint64_t now;

static struct fiber fibers[MOST_FIBERS];
static int fiber_count;
static struct fiber *running;
static int entered = -1;
static bool has_begun, is_tracing;
static uint64_t generators[RANDOM_STREAMS];

static void start(uint64_t seed) {
  has_begun = true;
  now = 1000000000000;
  for (int stream = 0; stream < RANDOM_STREAMS; stream++) generators[stream] = seed * 0x2545F4914F6CDD1D + stream * 0x9E3779B9;
}

void cw_begin(uint64_t seed, bool traces) {
  start(seed);
  is_tracing = traces;
}

uint64_t cw_now(void) { return now; }
bool cw_traces(void) { return is_tracing; }

// SplitMix64.
uint64_t random_of(int stream) {
  uint64_t z = generators[stream] += 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}
uint64_t cw_random(int stream) { return random_of(stream); }

void cw_fail(const char *reason) {
  if (is_tracing) cw_trace(reason);
  char line[1024];
  int length = snprintf(line, sizeof line, "%s\n", reason);
  // The parent reads what comes on descriptor 3.
  if (syscall(SYS_write, 3, line, length) < 0) syscall(SYS_write, 2, line, length);
  syscall(SYS_exit_group, 1);
  __builtin_unreachable();
}

void cw_report(const char *text) {
  if (syscall(SYS_write, 3, text, strlen(text)) < 0) errno = 0;
}

void cw_trace(const char *text) {
  if (is_tracing) printf("%10.3f ms  %s\n", (double)(now - 1000000000000) / 1e6, text);
}

void trace(const char *format, ...) {
  if (!is_tracing) return;
  char line[512];
  va_list list;
  va_start(list, format);
  vsnprintf(line, sizeof line, format, list);
  va_end(list);
  cw_trace(line);
}

int cw_fork(void) { return fork(); }
void cw_print_lines(void) { setvbuf(stdout, NULL, _IOLBF, 0); }

// MARK: Processes

int cw_process(int machine) {
  if (process_count == MOST_PROCESSES) cw_fail("the world has no room for another process");
  processes[process_count] = (struct process){.machine = machine};
  return process_count++;
}

void cw_enter(int process) { entered = process; }
int current_process(void) { return running ? running->process : entered; }
struct fiber *current_fiber(void) { return running; }
void cw_starve(int process, uint64_t until) { processes[process].starved_until = until; }

struct cw_belongings cw_belongings(int process) {
  struct process *it = &processes[process];
  return (struct cw_belongings){it->descriptors, it->threads, it->semaphores};
}

void cw_suspend(int process, uint64_t duration) {
  struct process *it = &processes[process];
  if (it->asleep_until > now || it->killed) return;
  trace("machine %d sleeps for %.3f s", it->machine, (double)duration / 1e9);
  it->asleep_until = now + duration;
  it->slept += duration;
  shift_deadlines(process, duration);
  push_event(it->asleep_until, EVENT_WAKE, it, duration, 0);
}

// MARK: Switching

#if defined(__x86_64__)
__attribute__((naked, noinline)) static void switch_stacks(void **save, void *to) {
  __asm__(
      "pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15;"
      "movq %rsp, (%rdi); movq %rsi, %rsp;"
      "popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp; ret");
}
static void *scheduler_sp;
#else
static ucontext_t scheduler_context;
#endif

static void to_scheduler(void) {
  struct fiber *me = running;
  running = NULL;
#if defined(__x86_64__)
  switch_stacks(&me->sp, scheduler_sp);
#else
  swapcontext(&me->context, &scheduler_context);
#endif
}

static void run_fiber(struct fiber *fiber) {
  running = fiber;
#if defined(__x86_64__)
  switch_stacks(&scheduler_sp, fiber->sp);
#else
  swapcontext(&scheduler_context, &fiber->context);
#endif
}

static void begin_fiber(void) {
  struct fiber *me = running;
  me->body(me->argument);
  me->is_used = false;
  me->is_runnable = false;
  if (me->process >= 0) processes[me->process].threads--;
  to_scheduler();
  __builtin_unreachable();
}

static void prepare(struct fiber *fiber) {
#if defined(__x86_64__)
  // A return address of none, then where to begin, then six registers.
  uintptr_t *top = (uintptr_t *)((char *)fiber->stack + STACK);
  *--top = 0;
  *--top = (uintptr_t)begin_fiber;
  for (int i = 0; i < 6; i++) *--top = 0;
  fiber->sp = top;
#else
  getcontext(&fiber->context);
  fiber->context.uc_stack.ss_sp = fiber->stack;
  fiber->context.uc_stack.ss_size = STACK;
  fiber->context.uc_link = NULL;
  makecontext(&fiber->context, begin_fiber, 0);
#endif
}

void wake_fiber(struct fiber *fiber) {
  if (!fiber->is_used) return;
  fiber->is_waiting = false;
  fiber->is_runnable = true;
  fiber->epoch++;
}

void fiber_deadline(struct fiber *fiber, uint32_t epoch) {
  if (fiber->is_used && fiber->is_waiting && fiber->epoch == epoch) wake_fiber(fiber);
}

void shift_deadlines(int process, uint64_t by) {
  for (int i = 0; i < fiber_count; i++) {
    struct fiber *fiber = &fibers[i];
    if (!fiber->is_used || fiber->process != process || !fiber->is_waiting || fiber->deadline == UINT64_MAX) continue;
    fiber->deadline += by;
    fiber->epoch++;
    push_event(fiber->deadline, EVENT_DEADLINE, fiber, 0, fiber->epoch);
  }
}

void block_fiber(uint64_t deadline) {
  struct fiber *me = running;
  me->is_runnable = false;
  me->is_waiting = true;
  me->deadline = deadline;
  if (deadline != UINT64_MAX) push_event(deadline, EVENT_DEADLINE, me, 0, me->epoch);
  to_scheduler();
}

void yield_fiber(void) {
  if (running) to_scheduler();
}

/// Runs one that can run. False if nobody can.
static bool run_one(void) {
  struct fiber *ready[MOST_FIBERS];
  int count = 0;
  for (int i = 0; i < fiber_count; i++) {
    struct fiber *fiber = &fibers[i];
    if (!fiber->is_used || !fiber->is_runnable) continue;
    if (fiber->process >= 0 && processes[fiber->process].asleep_until > now) continue;
    ready[count++] = fiber;
  }
  if (count == 0) return false;
  run_fiber(ready[count == 1 ? 0 : below(RANDOM_ORDER, count)]);
  return true;
}

// MARK: Events

static struct event *heap;
static size_t heap_count, heap_capacity;
static uint64_t orders;

static bool is_before(const struct event *a, const struct event *b) {
  return a->time != b->time ? a->time < b->time : a->order < b->order;
}

void push_event(uint64_t time, enum event_kind kind, void *object, uint64_t value, uint32_t epoch) {
  if (heap_count == heap_capacity) {
    heap_capacity = heap_capacity ? 2 * heap_capacity : 1024;
    heap = realloc(heap, heap_capacity * sizeof *heap);
  }
  struct event event = {time < now ? now : time, orders++, kind, epoch, object, value};
  size_t place = heap_count++;
  while (place > 0 && is_before(&event, &heap[(place - 1) / 2])) {
    heap[place] = heap[(place - 1) / 2];
    place = (place - 1) / 2;
  }
  heap[place] = event;
}

static struct event pop_event(void) {
  struct event first = heap[0], last = heap[--heap_count];
  size_t place = 0;
  while (true) {
    size_t child = 2 * place + 1;
    if (child >= heap_count) break;
    if (child + 1 < heap_count && is_before(&heap[child + 1], &heap[child])) child++;
    if (!is_before(&heap[child], &last)) break;
    heap[place] = heap[child];
    place = child;
  }
  heap[place] = last;
  return first;
}

void happen(void) {
  while (heap_count > 0 && heap[0].time <= now) {
    struct event event = pop_event();
    switch (event.kind) {
    case EVENT_DEADLINE: fiber_deadline(event.object, event.epoch); break;
    case EVENT_WAKE: {
      struct process *process = event.object;
      trace("machine %d wakes", process->machine);
      repeat_all(process->machine, event.value);
      break;
    }
    default: tcp_event(&event);
    }
  }
}

void spend(uint64_t nanoseconds) {
  now += nanoseconds;
  if (heap_count > 0 && heap[0].time <= now) happen();
}

/// One step of the world. False if nothing will happen before `until`.
static bool step(uint64_t until) {
  happen();
  if (run_one()) return true;
  if (heap_count == 0 || heap[0].time > until) return false;
  now = heap[0].time;
  happen();
  return true;
}

bool cw_run(uint64_t until, int events) {
  while (true) {
    if (mask_of(events) & EPOLLIN) return true;
    if (now >= until) return false;
    if (!step(until)) {
      if (now < until) now = until;
      return false;
    }
  }
}

// MARK: pthread.h

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument) {
  (void)attributes;
  int place = 0;
  while (place < fiber_count && fibers[place].is_used) place++;
  if (place == MOST_FIBERS) return EAGAIN;
  if (place == fiber_count) fiber_count++;
  struct fiber *fiber = &fibers[place];
  if (!fiber->stack) {
    fiber->stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fiber->stack == MAP_FAILED) return EAGAIN;
    mprotect(fiber->stack, 4096, PROT_NONE);
  }
  fiber->body = body;
  fiber->argument = argument;
  fiber->process = current_process();
  fiber->is_used = true;
  fiber->is_runnable = true;
  fiber->is_waiting = false;
  fiber->semaphore = NULL;
  if (fiber->process >= 0) processes[fiber->process].threads++;
  prepare(fiber);
  *thread = (pthread_t)(place + 1);
  return 0;
}

int pthread_detach(pthread_t thread) { return (void)thread, 0; }
int pthread_setname_np(pthread_t thread, const char *name) { return (void)thread, (void)name, 0; }
int pthread_sigmask(int how, const sigset_t *set, sigset_t *old) {
  (void)how, (void)set;
  if (old) sigemptyset(old);
  return 0;
}
int sched_yield(void) { return yield_fiber(), spend(100), 0; }

// MARK: semaphore.h

static int *value_of(sem_t *semaphore) { return (int *)semaphore; }

int sem_init(sem_t *semaphore, int shared, unsigned value) {
  (void)shared;
  *value_of(semaphore) = (int)value;
  // Who made it, for the account.
  value_of(semaphore)[1] = current_process();
  if (current_process() >= 0) processes[current_process()].semaphores++;
  return 0;
}

int sem_destroy(sem_t *semaphore) {
  int owner = value_of(semaphore)[1];
  if (owner >= 0) processes[owner].semaphores--;
  return 0;
}

int sem_post(sem_t *semaphore) {
  ++*value_of(semaphore);
  for (int i = 0; i < fiber_count; i++) {
    if (!fibers[i].is_used || !fibers[i].is_waiting || fibers[i].semaphore != semaphore) continue;
    fibers[i].semaphore = NULL;
    wake_fiber(&fibers[i]);
    break;
  }
  return 0;
}

static int wait_for(sem_t *semaphore, uint64_t deadline) {
  while (*value_of(semaphore) == 0) {
    if (now >= deadline) {
      errno = ETIMEDOUT;
      return -1;
    }
    if (running) {
      running->semaphore = semaphore;
      block_fiber(deadline);
      if (running->semaphore == semaphore) running->semaphore = NULL;
    } else if (!step(deadline)) {
      if (deadline == UINT64_MAX) cw_fail("everybody waits for everybody: a thread was waited for that sleeps for ever");
      now = deadline;
    }
  }
  --*value_of(semaphore);
  return 0;
}

int sem_wait(sem_t *semaphore) { return wait_for(semaphore, UINT64_MAX); }

int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *limit) {
  struct timespec before;
  clock_gettime(clock, &before);
  int64_t left = (limit->tv_sec - before.tv_sec) * 1000000000 + limit->tv_nsec - before.tv_nsec;
  return wait_for(semaphore, left > 0 ? now + (uint64_t)left : now);
}

// MARK: time.h

int clock_gettime(clockid_t clock, struct timespec *time) {
  if (!has_begun) return (int)syscall(SYS_clock_gettime, clock, time);
  int process = current_process();
  uint64_t value = now;
  if (process >= 0 && clock != CLOCK_BOOTTIME && clock != CLOCK_REALTIME) value -= processes[process].slept;
  time->tv_sec = (time_t)(value / 1000000000);
  time->tv_nsec = (long)(value % 1000000000);
  now += 20;
  return 0;
}

int usleep(useconds_t duration) {
  if (running) return block_fiber(now + (uint64_t)duration * 1000), 0;
  return (int)syscall(SYS_nanosleep, &(struct timespec){duration / 1000000, duration % 1000000 * 1000}, NULL);
}
