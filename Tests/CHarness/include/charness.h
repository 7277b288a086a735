// What the test harness needs of Linux and Swift does not see. Only tests link it.
#ifndef ONCEWIRE_CHARNESS_H
#define ONCEWIRE_CHARNESS_H

#include <stddef.h>
#include <sys/types.h>

/// How to run a program. Pointers belong to the caller.
struct ch_command {
  const char *path;
  char *const *arguments;
  char *const *environment;
  const char *directory;
  const char *input;
  const char *output;
  const char *errors;
  /// The user and group to become; -1 to stay who one is.
  uid_t user;
  gid_t group;
};

/// Runs a program in a new process, with no descriptor but the three given, no signal blocked or
/// ignored, and SIGKILL when the calling *thread* ends. Its pid, or -1 with errno.
pid_t ch_spawn(const struct ch_command *command);

/// Makes the calling thread alone, not its process, act as another user with one group; 0, or -1 with errno.
int ch_become_thread(uid_t user, gid_t group);

/// Gives a file an access control list in the kernel's form (acl(5)); 0, or -1 with errno.
int ch_set_access_list(const char *path, const void *list, size_t size);

/// From here on, fsync(2) of the descriptor `fd` fails with `code` in this process; 0, or -1 with errno. For good.
int ch_fail_fsync(int fd, int code);

/// The first place at or after `from` in the `size` bytes at `memory` where one of `count` needles of 16 bytes each
/// stands; they are sorted. -1 if there is none. `*which` becomes the needle's number.
ssize_t ch_find(const unsigned char *memory, size_t size, size_t from, const unsigned char (*needles)[16],
                size_t count, size_t *which);

/// Fills `count` bytes of the stack below the caller's frame with `pattern`; the address of the lowest.
const unsigned char *ch_fill_stack(size_t count, unsigned char pattern);

/// How many of the `count` bytes at `lowest`, from there upwards, still are `pattern`.
size_t ch_count_pattern(const unsigned char *lowest, size_t count, unsigned char pattern);

/// Makes the kernel drop whatever arrives for a TCP socket from now on, unseen and unacknowledged, as if the host were
/// gone (SO_ATTACH_FILTER, socket(7)). 0, or -1 with errno.
int ch_deafen(int fd);

/// The socket receives again.
int ch_undeafen(int fd);

/// accept4(2) with SOCK_CLOEXEC.
int ch_accept(int listener);

#endif
