// Descriptors, eventfd and epoll: edges and levels as Linux has them. An event marks its file ready; epoll_wait asks
// what is true of it then.
#include "kernel.h"

#include <sys/eventfd.h>
#include <unistd.h>

struct file files[MOST_FDS];

struct epoll {
  struct watch *ready, *last;
  struct fiber *waiter;
  int fd, process;
  uint64_t window, idle, turns;
  bool is_fresh, had_events;
};

struct counter {
  uint64_t value;
};

/// The loop whose turn it is has got something done since it last asked.
static bool has_worked;
static uint64_t turns;

void did_work(void) { has_worked = true; }
uint64_t cw_turns(void) { return turns; }

int open_file(enum file_kind kind, void *object) {
  int process = current_process();
  if (process >= 0 && processes[process].starved_until > now) return errno = EMFILE, -1;
  for (int fd = FIRST_FD; fd < MOST_FDS; fd++) {
    if (files[fd].kind != FILE_NONE) continue;
    uint32_t generation = files[fd].generation + 1;
    files[fd] = (struct file){.kind = kind, .process = process, .generation = generation, .object = object};
    if (process >= 0) processes[process].descriptors++;
    return fd;
  }
  return errno = ENFILE, -1;
}

static void forget_watch(struct watch *watch) { watch->is_gone = true; }

void close_file(int fd) {
  struct file *file = &files[fd];
  for (struct watch *watch = file->watches; watch; watch = watch->next_of_file) forget_watch(watch);
  file->kind = FILE_NONE;
  file->watches = NULL;
  if (file->process >= 0) processes[file->process].descriptors--;
}

static void make_ready(struct watch *watch) {
  struct epoll *epoll = watch->epoll;
  if (watch->is_queued || watch->is_gone) return;
  watch->is_queued = true;
  watch->next_ready = NULL;
  if (epoll->last) epoll->last->next_ready = watch; else epoll->ready = watch;
  epoll->last = watch;
  if (epoll->waiter) {
    struct fiber *waiter = epoll->waiter;
    epoll->waiter = NULL;
    wake_fiber(waiter);
  }
}

void notify(int fd, bool is_accept) {
  if (fd < 0) return;
  struct watch *first = files[fd].watches;
  if (!first) return;
  if (!is_accept) {
    for (struct watch *watch = first; watch; watch = watch->next_of_file) make_ready(watch);
    return;
  }
  // EPOLLEXCLUSIVE: those that are awake hear of it, and the first that sleeps is woken. Which is first is chance.
  int count = 0;
  for (struct watch *watch = first; watch; watch = watch->next_of_file) count++;
  int from = (int)below(RANDOM_ORDER, (uint64_t)count);
  for (int i = 0; i < count; i++) {
    struct watch *watch = first;
    for (int skip = (from + i) % count; skip > 0; skip--) watch = watch->next_of_file;
    bool sleeps = watch->epoll->waiter != NULL && !watch->is_gone;
    make_ready(watch);
    if (sleeps) break;
  }
}

uint32_t mask_of(int fd) {
  struct file *file = &files[fd];
  switch (file->kind) {
  case FILE_SOCKET: return socket_mask(file->object);
  case FILE_EVENT: return EPOLLOUT | (((struct counter *)file->object)->value > 0 ? EPOLLIN : 0);
  case FILE_EPOLL: {
    struct epoll *epoll = file->object;
    for (struct watch *watch = epoll->ready; watch; watch = watch->next_ready) {
      if (!watch->is_gone && (mask_of(watch->fd) & (watch->events | EPOLLERR | EPOLLHUP))) return EPOLLIN;
    }
    return 0;
  }
  case FILE_NONE: break;
  }
  return 0;
}

void cw_list(int process) {
  static const char *const kinds[] = {"nothing", "socket", "epoll", "eventfd"};
  for (int fd = FIRST_FD; fd < MOST_FDS; fd++) {
    struct file *file = &files[fd];
    if (file->kind == FILE_NONE || file->process != process) continue;
    struct end *end = file->kind == FILE_SOCKET ? file->object : NULL;
    trace("descriptor %d: %s%s, port %d, peer's port %d, %lu written, %lu read", fd, kinds[file->kind],
          file->watches ? " watched" : "", end ? end->port : 0, end ? end->peer_port : 0,
          end ? (unsigned long)end->written : 0, end && end->peer ? (unsigned long)end->peer->read : 0);
  }
}

// MARK: sys/epoll.h

int epoll_create1(int flags) {
  (void)flags;
  struct epoll *epoll = calloc(1, sizeof *epoll);
  epoll->process = current_process();
  return epoll->fd = open_file(FILE_EPOLL, epoll);
}

static struct watch *watch_of(struct epoll *epoll, int fd) {
  for (struct watch *watch = files[fd].watches; watch; watch = watch->next_of_file) {
    if (watch->epoll == epoll) return watch;
  }
  return NULL;
}

int epoll_ctl(int fd, int operation, int target, struct epoll_event *event) {
  spend(300);
  struct file *file = file_of(fd, FILE_EPOLL);
  if (!file || !is_ours(target) || files[target].kind == FILE_NONE) return errno = EBADF, -1;
  did_work();
  struct epoll *epoll = file->object;
  struct watch *watch = watch_of(epoll, target);
  switch (operation) {
  case EPOLL_CTL_ADD:
    if (watch) return errno = EEXIST, -1;
    watch = calloc(1, sizeof *watch);
    watch->epoll = epoll;
    watch->fd = target;
    watch->events = event->events;
    watch->data = event->data.u64;
    watch->next_of_file = files[target].watches;
    files[target].watches = watch;
    if (mask_of(target) & (watch->events | EPOLLERR | EPOLLHUP)) make_ready(watch);
    return 0;
  case EPOLL_CTL_DEL: {
    if (!watch) return errno = ENOENT, -1;
    struct watch **place = &files[target].watches;
    while (*place != watch) place = &(*place)->next_of_file;
    *place = watch->next_of_file;
    forget_watch(watch);
    return 0;
  }
  default: return errno = EINVAL, -1;
  }
}

static int collect(struct epoll *epoll, struct epoll_event *events, int most) {
  int count = 0;
  struct watch *watch = epoll->ready, *levels = NULL, *last_level = NULL;
  while (watch && count < most) {
    struct watch *next = watch->next_ready;
    uint32_t mask = watch->is_gone ? 0 : mask_of(watch->fd) & (watch->events | EPOLLERR | EPOLLHUP);
    watch->is_queued = false;
    watch->next_ready = NULL;
    if (mask) {
      events[count].events = mask;
      events[count++].data.u64 = watch->data;
      if (!(watch->events & EPOLLET)) {
        // Asked again next time, as long as it lasts.
        watch->is_queued = true;
        if (last_level) last_level->next_ready = watch; else levels = watch;
        last_level = watch;
      }
    }
    watch = next;
  }
  if (last_level) last_level->next_ready = watch; else levels = watch;
  epoll->ready = levels;
  epoll->last = levels;
  while (epoll->last && epoll->last->next_ready) epoll->last = epoll->last->next_ready;
  return count;
}

/// A loop that comes round again and again and does nothing takes a processor for itself.
static void look_for_spinning(struct epoll *epoll) {
  if (epoll->process < 0) return;
  turns++;
  epoll->turns++;
  if (now - epoll->window > 1000000000) {
    epoll->window = now;
    epoll->idle = 0;
  }
  // With much traffic there are many events that nobody can do anything about.
  if (!has_worked && epoll->is_fresh) epoll->idle += epoll->had_events ? 1 : 20;
  if (epoll->idle > 100000) cw_fail("a loop spins: its turns come to nothing, thousands in a second");
}

int epoll_wait(int fd, struct epoll_event *events, int most, int timeout) {
  spend(800);
  struct file *file = file_of(fd, FILE_EPOLL);
  if (!file) return errno = EBADF, -1;
  struct epoll *epoll = file->object;
  look_for_spinning(epoll);
  epoll->is_fresh = true;
  if (current_fiber()) yield_fiber();
  int count = collect(epoll, events, most);
  if (count == 0 && timeout != 0 && current_fiber()) {
    uint64_t deadline = timeout < 0 ? UINT64_MAX : now + (uint64_t)timeout * 1000000;
    epoll->is_fresh = false;
    while (count == 0 && now < deadline) {
      epoll->waiter = current_fiber();
      block_fiber(deadline);
      epoll->waiter = NULL;
      count = collect(epoll, events, most);
    }
  }
  has_worked = false;
  epoll->had_events = count > 0;
  return count;
}

// MARK: sys/eventfd.h

int eventfd(unsigned value, int flags) {
  (void)flags;
  struct counter *counter = calloc(1, sizeof *counter);
  counter->value = value;
  return open_file(FILE_EVENT, counter);
}

ssize_t ow_event_read(int fd, void *bytes, size_t count) {
  struct counter *counter = files[fd].object;
  if (count < sizeof counter->value) return errno = EINVAL, -1;
  if (counter->value == 0) return errno = EAGAIN, -1;
  memcpy(bytes, &counter->value, sizeof counter->value);
  counter->value = 0;
  did_work();
  return sizeof counter->value;
}

ssize_t ow_event_write(int fd, const void *bytes, size_t count) {
  struct counter *counter = files[fd].object;
  uint64_t more;
  if (count < sizeof more) return errno = EINVAL, -1;
  memcpy(&more, bytes, sizeof more);
  counter->value += more;
  did_work();
  notify(fd, false);
  return sizeof more;
}

int close(int fd) {
  if (!is_ours(fd)) return (int)syscall(SYS_close, fd);
  spend(300);
  struct file *file = &files[fd];
  did_work();
  switch (file->kind) {
  case FILE_NONE:
    // Two that close one descriptor: the second may hit somebody else's.
    cw_fail("a descriptor is closed that is not open");
  case FILE_SOCKET: close_end(file->object); break;
  case FILE_EPOLL: ((struct epoll *)file->object)->waiter = NULL; break;
  case FILE_EVENT: break;
  }
  close_file(fd);
  return 0;
}
