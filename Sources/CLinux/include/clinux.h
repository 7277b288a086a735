// Kernel and C library calls that Swift does not see: variadic ones and macros. Also the few lines that must be C
// because the compiler may not reorder or drop them.
#ifndef ONCEWIRE_CLINUX_H
#define ONCEWIRE_CLINUX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

/// Overwrites `count` bytes in a way the optimiser keeps (explicit_bzero(3)).
void ow_wipe(void *bytes, size_t count);

/// Bytes of stack that the two functions below overwrite.
enum { OW_FRAMES_BURN = 8 * 1024, OW_BURN = 64 * 1024 };

/// Overwrites the part of the stack that hash and cipher used for frames; ow_burn_stack is the same for deeper
/// calls.
void ow_burn_stack_of_frames(void);

/// Overwrites the part of the calling thread's stack below the caller, where finished calls into
/// libraries may have left secrets in their dead frames.
void ow_burn_stack(void);

/// Names the calling thread, 15 bytes at most (pthread_setname_np(3)).
void ow_name_thread(const char *name);

/// Waits for a semaphore (`sem_t`) until a moment of CLOCK_MONOTONIC (sem_clockwait(3)); 0, or -1 with errno.
int ow_wait_for_semaphore(void *semaphore, const struct timespec *limit);

/// accept4(2) with SOCK_NONBLOCK | SOCK_CLOEXEC.
int ow_accept(int listener, struct sockaddr_storage *from, socklen_t *length);

/// socket(2) for a stream, with SOCK_NONBLOCK | SOCK_CLOEXEC.
int ow_stream_socket(int family);

/// IPV6_FREEBIND (linux/in6.h): binding to an address that this host does not have yet.
static const int ow_ipv6_freebind = 78;

/// Opens a lock file, which is made (mode 0600) if it is not there; -1 with errno. A symbolic link is refused.
int ow_open_lock(const char *path);

/// open(2) for reading, with O_CLOEXEC.
int ow_open_reading(const char *path);

/// Bytes written to a TCP socket that were not sent yet (SIOCOUTQNSD, tcp(7)); 0 for other sockets.
int ow_unsent(int fd);

/// Bytes written to a TCP socket, its FIN included, that the peer's host has not acknowledged (SIOCOUTQ, tcp(7)); 0
/// for other sockets.
int ow_unacknowledged(int fd);

/// What TCP_INFO tells about a peer that does not answer. How many retransmissions and window probes are unanswered;
/// how long ago (milliseconds) the last acknowledgement and the last data came. The round trip and its variation are
/// in microseconds.
struct ow_tcp_silence {
  uint32_t unanswered;
  uint32_t last_ack_ms;
  uint32_t last_data_ms;
  uint32_t rtt_us;
  uint32_t rttvar_us;
};

/// Reads `ow_tcp_silence` of a TCP socket; 0, or -1 with errno.
int ow_read_tcp_silence(int fd, struct ow_tcp_silence *silence);

/// Makes this process's memory unreadable to other processes of its user and keeps it out of core files
/// (PR_SET_DUMPABLE 0, prctl(2)).
void ow_refuse_dumps(void);

/// Lets go of the pages of code and constants that this process has touched so far (MADV_DONTNEED on what is
/// mapped read-only from files). Those still needed come back from the page cache, one fault for sixteen.
void ow_leave_startup_pages(void);

/// Reads the access control list of an open file as the kernel has it (acl(5)): its length, or -1 with errno.
ssize_t ow_read_access_list(int fd, void *list, size_t size);

/// Renames a file within `folder`, and fails with EEXIST where something has the new name already.
int ow_rename_to_new(int folder, const char *from, const char *to);

#endif
