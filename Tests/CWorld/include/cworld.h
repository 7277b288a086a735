// A kernel in memory, for Tests/World alone: clock, threads, semaphores, epoll and TCP of several machines in one
// process and on one thread. The functions that it stands for (recv, epoll_wait, pthread_create, …) are defined by this
// target under their own names, so that daemons run on it unchanged.
//
// Everything follows from one seed. Time moves when nobody has anything to do, and a little with every call.
#ifndef ONCEWIRE_CWORLD_H
#define ONCEWIRE_CWORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>

/// Machines are numbered from 0; their addresses are 10.0.0.1, 10.0.0.2, …
enum { CW_MACHINES = 3 };

/// Begins a world. Once in a process: what it leaves behind is the process's to take along.
void cw_begin(uint64_t seed, bool traces);

/// Nanoseconds of world time since some moment before `cw_begin`.
uint64_t cw_now(void);

/// Says that a promise is broken, and ends the process with status 1.
_Noreturn void cw_fail(const char *reason);

/// Tells the parent something that is no fault.
void cw_report(const char *text);

/// One line of the trace, with the time before it, if there is a trace.
void cw_trace(const char *text);
bool cw_traces(void);

// MARK: Processes

/// A new process on a machine.
int cw_process(int machine);

/// What the caller does from now on, and the threads it starts, belong to this process; -1: to nobody.
void cw_enter(int process);

/// The process is killed: its sockets are the kernel's to close. Its threads go on and find every socket broken.
void cw_kill(int process);

/// The process can open no descriptor until then.
void cw_starve(int process, uint64_t until);

/// The process's machine sleeps for so long (nanoseconds): no thread of it runs, and CLOCK_MONOTONIC does not see it.
void cw_suspend(int process, uint64_t duration);

/// What a process has at the moment.
struct cw_belongings {
  int descriptors, threads, semaphores;
};
struct cw_belongings cw_belongings(int process);
/// Writes the process's descriptors into the trace.
void cw_list(int process);

/// Writes all open connections into the trace.
void cw_list_connections(void);

// MARK: The way between machine 2 and another one

/// One-way delay, how much it varies, and what a byte takes; nanoseconds.
void cw_set_path(int machine, uint64_t delay, uint64_t jitter, double per_byte);

/// Nothing arrives any more; and again. TCP repeats what was lost some time after.
void cw_break_path(int machine);
void cw_heal_path(int machine);

/// How a connection between machines can end from outside.
enum cw_cut {
  /// Both ends get a reset.
  CW_CUT_RESET,
  /// One end gets a reset; the other finds out when it sends something.
  CW_CUT_HALF,
  /// Whatever is sent is lost for ever.
  CW_CUT_FORGET,
};

/// Cuts one of the connections between `machine` and the server's after `bytes` more bytes of one direction. False if
/// there is none.
bool cw_cut(int machine, enum cw_cut cut, uint64_t bytes);

/// Cuts that have not come about will not.
void cw_spare(void);

/// Connections between `machine` and the server's.
int cw_connections(int machine);

/// Bytes that must not be seen between machines.
void cw_set_secret(const void *bytes, size_t count);

/// Buffers of sockets that are made from now on.
void cw_set_buffers(uint32_t sending, uint32_t receiving);

// MARK: Going on

/// Lets the world go on until `until`, or until the epoll instance `events` has something to say. True for the latter.
bool cw_run(uint64_t until, int events);

/// Turns of all event loops that came to nothing, and all turns, so far.
uint64_t cw_turns(void);

// MARK: Randomness of scripts

/// The next number of the stream `stream` (0…3) of this seed.
uint64_t cw_random(int stream);

// MARK: The process of one seed

/// fork(2), which Swift does not offer. 0 in the child.
int cw_fork(void);

/// Standard output is written line by line.
void cw_print_lines(void);

#endif
