#define _GNU_SOURCE
#include "charness.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

// Between fork and exec of a program with many threads only async-signal-safe calls are allowed.
static int become(const struct ch_command *command, pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);

  int input = open(command->input, O_RDONLY);
  int output = open(command->output, O_WRONLY | O_CREAT | O_APPEND, 0644);
  int errors = open(command->errors, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (input < 0 || output < 0 || errors < 0) return -1;
  if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(errors, 2) < 0) return -1;
  if (chdir(command->directory) < 0) return -1;

  if (command->group != (gid_t)-1 && (setgroups(0, NULL) < 0 || setgid(command->group) < 0)) return -1;
  if (command->user != (uid_t)-1 && setuid(command->user) < 0) return -1;
  // After the change of user, which clears it; and then look whether the parent is already gone.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent) return -1;
  // A socket of the test that leaked into a child would stay open there and never show its end.
  // Marked rather than closed: the pipe that reports a failure must live until exec.
  if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0) return -1;
  return execve(command->path, command->arguments, command->environment);
}

pid_t ch_spawn(const struct ch_command *command) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) < 0) return -1;
  pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0) {
    become(command, parent);
    int code = errno;
    (void)!write(report[1], &code, sizeof code);
    _exit(127);
  }
  close(report[1]);
  int code = 0;
  // End of file means that exec succeeded and closed the pipe.
  if (child > 0 && read(report[0], &code, sizeof code) == sizeof code) child = -1;
  else if (child < 0) code = EAGAIN;
  close(report[0]);
  if (child < 0) errno = code;
  return child;
}

int ch_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_CLOEXEC); }
