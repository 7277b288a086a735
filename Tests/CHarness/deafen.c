// A peer whose host does not answer, without a network of one's own.
#include "charness.h"

#include <linux/filter.h>
#include <sys/socket.h>

int ch_deafen(int fd) {
  struct sock_filter drop[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  struct sock_fprog program = {.len = 1, .filter = drop};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

int ch_undeafen(int fd) {
  int none = 0;
  return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof none);
}
