// What the parts of this kernel share.
#ifndef ONCEWIRE_CWORLD_KERNEL_H
#define ONCEWIRE_CWORLD_KERNEL_H

#define _GNU_SOURCE
#include "include/cworld.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

enum { FIRST_FD = 512, MOST_FDS = 16384, MOST_PROCESSES = 1024 };

enum file_kind { FILE_NONE, FILE_SOCKET, FILE_EPOLL, FILE_EVENT };

struct end;
struct fiber;

// MARK: Processes and fibers

struct process {
  int machine;
  bool killed;
  uint64_t asleep_until, slept, starved_until;
  int descriptors, threads, semaphores;
};
extern struct process processes[MOST_PROCESSES];
extern int process_count;

/// Whose call it is: a process, or -1.
int current_process(void);

/// Blocks the calling fiber until `wake_fiber` or the deadline (world time; UINT64_MAX: none).
void block_fiber(uint64_t deadline);
/// Lets others run first.
void yield_fiber(void);
void wake_fiber(struct fiber *fiber);
struct fiber *current_fiber(void);
void fiber_deadline(struct fiber *fiber, uint32_t epoch);
void shift_deadlines(int process, uint64_t by);

// MARK: Events of the world

enum event_kind {
  EVENT_ARRIVE, EVENT_ACK, EVENT_WINDOW, EVENT_RESET, EVENT_SYN, EVENT_SYNACK, EVENT_REPEAT, EVENT_WAKE, EVENT_DEADLINE
};

struct event {
  uint64_t time, order;
  enum event_kind kind;
  uint32_t epoch;
  void *object;
  uint64_t value;
};

extern uint64_t now;
void push_event(uint64_t time, enum event_kind kind, void *object, uint64_t value, uint32_t epoch);
/// What has become due happens.
void happen(void);
/// A call takes a little time, and finds what has happened until then.
void spend(uint64_t nanoseconds);

uint64_t random_of(int stream);
static inline uint64_t below(int stream, uint64_t limit) { return limit ? random_of(stream) % limit : 0; }
enum { RANDOM_SCRIPT, RANDOM_NETWORK, RANDOM_ORDER, RANDOM_ENTROPY, RANDOM_STREAMS };

void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

// MARK: Files and epoll

struct watch {
  struct epoll *epoll;
  int fd;
  uint32_t events;
  uint64_t data;
  bool is_queued, is_gone;
  struct watch *next_of_file;
  struct watch *next_ready;
};

struct file {
  enum file_kind kind;
  int process;
  uint32_t generation;
  void *object;
  struct watch *watches;
};
extern struct file files[MOST_FDS];

static inline bool is_ours(int fd) { return fd >= FIRST_FD && fd < MOST_FDS; }
static inline struct file *file_of(int fd, enum file_kind kind) {
  return is_ours(fd) && files[fd].kind == kind ? &files[fd] : NULL;
}
/// -1 with errno where there is none to be had.
int open_file(enum file_kind kind, void *object);
void close_file(int fd);
/// Something about the file has changed: who watches it is told. `is_accept`: one of several is enough.
void notify(int fd, bool is_accept);
/// What poll would say of it.
uint32_t mask_of(int fd);
uint32_t socket_mask(struct end *end);
/// The caller did something that is progress.
void did_work(void);

// MARK: TCP

enum state { STATE_NEW, STATE_LISTENING, STATE_CONNECTING, STATE_OPEN };

struct end {
  enum state state;
  int fd, process, machine, link;  // fd -1: closed; link -1: within one machine
  uint32_t address, peer_address;
  uint16_t port, peer_port;
  struct end *peer;
  bool lingers_zero, is_closed, is_dead, is_zombie, wants_room, is_forgotten;
  int error;
  uint32_t sending, receiving;  // buffers
  uint64_t connect_pause;

  // The direction from here to the peer. Offsets of the stream; FIN counts as one byte behind the last.
  uint8_t *ring;
  size_t capacity;
  uint64_t written, sent, arrived, acked, read;
  bool fin, is_blocked, is_stalled, is_ack_lost, repeats;
  uint32_t epoch;
  uint64_t last_arrival, unacked_since, last_ack, last_data;
  uint64_t cut_at;
  enum cw_cut cut;

  // Listening.
  struct end *queue[4096];
  int queued;
  bool is_stopped;
};

struct link {
  uint64_t delay, jitter;
  double per_byte;
  bool is_broken;
  uint64_t broken_since;
  uint64_t busy_until[2];
};
extern struct link links[CW_MACHINES];
extern struct end *ends[];
extern int end_count;

struct end *new_end(void);
void add_listener(struct end *end);
struct end *listener_at(int machine, uint16_t port);
void close_end(struct end *end);
void kill_end(struct end *end);
void transmit(struct end *end);
int start_connecting(struct end *end);
void tcp_event(struct event *event);
/// TCP goes on repeating for every connection that lost something; `pause`: how long nothing got through.
void repeat_all(int machine, uint64_t pause);
size_t put_bytes(struct end *end, const uint8_t *bytes, size_t count);
size_t get_bytes(struct end *end, uint8_t *bytes, size_t count, bool peek);
uint64_t room_of(const struct end *end);
uint64_t waiting_for(const struct end *end);
void look_for_secret(const struct end *end, const void *bytes, size_t count);
#endif
