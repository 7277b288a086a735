#define _GNU_SOURCE
#include "clinux.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int ow_accept(int listener, struct sockaddr_storage *from, socklen_t *length) {
  return accept4(listener, (struct sockaddr *)from, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int ow_stream_socket(int family) {
  return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int ow_open_lock(const char *path) {
  return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
}

int ow_open_reading(const char *path) { return open(path, O_RDONLY | O_CLOEXEC); }

int ow_unsent(int fd) {
  int count = 0;
  return ioctl(fd, SIOCOUTQNSD, &count) == 0 ? count : 0;
}

int ow_unacknowledged(int fd) {
  int count = 0;
  // A unix socket knows SIOCOUTQ too, but means bytes that its peer has not read.
  if (ioctl(fd, SIOCOUTQNSD, &count) != 0) return 0;
  if (ioctl(fd, SIOCOUTQ, &count) != 0 || count == 0) return 0;
  // After a reset the kernel still counts what will never be acknowledged.
  struct tcp_info info;
  socklen_t length = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_state == TCP_CLOSE) return 0;
  return count;
}

int ow_read_tcp_silence(int fd, struct ow_tcp_silence *silence) {
  struct tcp_info info;
  socklen_t length = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return -1;
  silence->unanswered = (uint32_t)info.tcpi_retransmits + info.tcpi_probes;
  silence->last_ack_ms = info.tcpi_last_ack_recv;
  silence->last_data_ms = info.tcpi_last_data_recv;
  silence->rtt_us = info.tcpi_rtt;
  silence->rttvar_us = info.tcpi_rttvar;
  return 0;
}
