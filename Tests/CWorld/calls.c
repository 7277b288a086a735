// The socket calls, as far as the daemons use them.
#include "kernel.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

ssize_t ow_event_read(int fd, void *bytes, size_t count);
ssize_t ow_event_write(int fd, const void *bytes, size_t count);

static int fail(int error) { return errno = error, -1; }

/// The socket behind a descriptor; NULL with errno.
static struct end *end_of(int fd) {
  struct file *file = file_of(fd, FILE_SOCKET);
  if (!file) errno = is_ours(fd) && files[fd].kind != FILE_NONE ? ENOTSOCK : EBADF;
  return file ? file->object : NULL;
}

// MARK: Bytes

static ssize_t receive(struct end *end, const struct iovec *vectors, int count, bool peek) {
  spend(400);
  if (end->is_zombie) return fail(ECONNRESET);
  if (end->state != STATE_OPEN) return fail(end->state == STATE_CONNECTING ? EAGAIN : ENOTCONN);
  if (end->peer && waiting_for(end) > 0) {
    ssize_t got = 0;
    for (int i = 0; i < count; i++) {
      size_t some = get_bytes(end, vectors[i].iov_base, vectors[i].iov_len, peek);
      got += (ssize_t)some;
      if (some < vectors[i].iov_len) break;
    }
    spend((uint64_t)got / 16);
    if (!peek) did_work();
    return got;
  }
  if (end->error) {
    int error = end->error;
    end->error = 0;
    did_work();
    return fail(error);
  }
  if (end->is_dead || (end->peer->fin && end->peer->arrived > end->peer->written)) return 0;
  return fail(EAGAIN);
}

static ssize_t transfer(struct end *end, const struct iovec *vectors, int count) {
  spend(600);
  if (end->is_zombie) return fail(EPIPE);
  if (end->state != STATE_OPEN) return fail(end->state == STATE_CONNECTING ? EAGAIN : EPIPE);
  if (end->error) {
    int error = end->error;
    end->error = 0;
    return fail(error);
  }
  if (end->is_dead || end->fin) return fail(EPIPE);
  ssize_t taken = 0;
  bool all = true;
  for (int i = 0; i < count && all; i++) {
    size_t some = put_bytes(end, vectors[i].iov_base, vectors[i].iov_len);
    look_for_secret(end, vectors[i].iov_base, some);
    taken += (ssize_t)some;
    all = some == vectors[i].iov_len;
  }
  if (!all) end->wants_room = true;
  if (taken == 0 && !all) return fail(EAGAIN);
  did_work();
  spend((uint64_t)taken / 16);
  transmit(end);
  return taken;
}

ssize_t recv(int fd, void *bytes, size_t count, int flags) {
  struct end *end = end_of(fd);
  if (!end) return -1;
  return receive(end, &(struct iovec){bytes, count}, 1, flags & MSG_PEEK);
}

ssize_t send(int fd, const void *bytes, size_t count, int flags) {
  (void)flags;
  struct end *end = end_of(fd);
  if (!end) return -1;
  return transfer(end, &(struct iovec){(void *)bytes, count}, 1);
}

ssize_t readv(int fd, const struct iovec *vectors, int count) {
  if (!is_ours(fd)) return syscall(SYS_readv, fd, vectors, count);
  struct end *end = end_of(fd);
  return end ? receive(end, vectors, count, false) : -1;
}

ssize_t writev(int fd, const struct iovec *vectors, int count) {
  if (!is_ours(fd)) return syscall(SYS_writev, fd, vectors, count);
  struct end *end = end_of(fd);
  return end ? transfer(end, vectors, count) : -1;
}

ssize_t read(int fd, void *bytes, size_t count) {
  if (!is_ours(fd)) return syscall(SYS_read, fd, bytes, count);
  if (files[fd].kind == FILE_EVENT) return ow_event_read(fd, bytes, count);
  return recv(fd, bytes, count, 0);
}

ssize_t write(int fd, const void *bytes, size_t count) {
  if (!is_ours(fd)) return syscall(SYS_write, fd, bytes, count);
  if (files[fd].kind == FILE_EVENT) return ow_event_write(fd, bytes, count);
  return send(fd, bytes, count, 0);
}

// MARK: Connections

int socket(int family, int type, int protocol) {
  (void)type, (void)protocol;
  spend(300);
  if (family != AF_INET) return fail(EAFNOSUPPORT);
  struct end *end = new_end();
  end->process = current_process();
  end->machine = end->process >= 0 ? processes[end->process].machine : 0;
  int fd = open_file(FILE_SOCKET, end);
  if (fd >= 0) end->fd = fd;
  did_work();
  return fd;
}

static bool is_loopback(uint32_t address) { return address >> 24 == 127; }

int bind(int fd, const struct sockaddr *address, socklen_t length) {
  struct end *end = end_of(fd);
  if (!end) return -1;
  if (length < sizeof(struct sockaddr_in)) return fail(EINVAL);
  const struct sockaddr_in *name = (const void *)address;
  if (end->is_zombie) return fail(EADDRNOTAVAIL);
  if (listener_at(end->machine, ntohs(name->sin_port))) return fail(EADDRINUSE);
  end->address = ntohl(name->sin_addr.s_addr);
  end->port = ntohs(name->sin_port);
  return 0;
}

int listen(int fd, int backlog) {
  (void)backlog;
  struct end *end = end_of(fd);
  if (!end) return -1;
  if (end->port == 0) return fail(EINVAL);
  end->state = STATE_LISTENING;
  add_listener(end);
  return 0;
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
  spend(1000);
  struct end *end = end_of(fd);
  if (!end) return -1;
  if (address->sa_family != AF_INET || length < sizeof(struct sockaddr_in)) return fail(EAFNOSUPPORT);
  const struct sockaddr_in *name = (const void *)address;
  if (end->process >= 0 && processes[end->process].killed) return fail(ENETUNREACH);
  end->peer_address = ntohl(name->sin_addr.s_addr);
  end->peer_port = ntohs(name->sin_port);
  end->address = is_loopback(end->peer_address) ? 0x7F000001 : 0x0A000001u + (uint32_t)end->machine;
  did_work();
  return fail(start_connecting(end));
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
  (void)flags;
  spend(500);
  struct end *listener = end_of(fd);
  if (!listener) return -1;
  if (listener->state != STATE_LISTENING || listener->is_stopped || listener->is_zombie) return fail(EINVAL);
  if (listener->queued == 0) return fail(EAGAIN);
  struct end *end = listener->queue[0];
  int accepted = open_file(FILE_SOCKET, end);
  if (accepted < 0) return -1;
  memmove(listener->queue, listener->queue + 1, (size_t)--listener->queued * sizeof *listener->queue);
  end->fd = accepted;
  end->process = current_process();
  did_work();
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(end->peer_port)};
  name.sin_addr.s_addr = htonl(end->peer_address);
  if (address && *length >= sizeof name) memcpy(address, &name, sizeof name);
  if (length) *length = sizeof name;
  return accepted;
}

int accept(int fd, struct sockaddr *restrict address, socklen_t *restrict length) {
  return accept4(fd, address, length, 0);
}

int shutdown(int fd, int how) {
  spend(400);
  struct end *end = end_of(fd);
  if (!end) return -1;
  did_work();
  if (end->state == STATE_LISTENING) {
    end->is_stopped = true;
    for (int i = 0; i < end->queued; i++) kill_end(end->queue[i]);
    end->queued = 0;
    return 0;
  }
  if (end->is_zombie || end->is_dead || end->state != STATE_OPEN) return fail(ENOTCONN);
  if (how != SHUT_RD && !end->fin) {
    end->fin = true;
    transmit(end);
  }
  return 0;
}

static int name_of(uint32_t ip, uint16_t port, struct sockaddr *address, socklen_t *length) {
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
  name.sin_addr.s_addr = htonl(ip);
  memcpy(address, &name, *length < sizeof name ? *length : sizeof name);
  *length = sizeof name;
  return 0;
}

int getsockname(int fd, struct sockaddr *restrict address, socklen_t *restrict length) {
  struct end *end = end_of(fd);
  return end ? name_of(end->address, end->port, address, length) : -1;
}

int getpeername(int fd, struct sockaddr *restrict address, socklen_t *restrict length) {
  struct end *end = end_of(fd);
  if (!end) return -1;
  if (end->state != STATE_OPEN || end->is_dead) return fail(ENOTCONN);
  return name_of(end->peer_address, end->peer_port, address, length);
}

// MARK: Options

int setsockopt(int fd, int level, int option, const void *value, socklen_t length) {
  struct end *end = end_of(fd);
  if (!end) return -1;
  spend(150);
  if (level == SOL_SOCKET && option == SO_LINGER && length >= sizeof(struct linger)) {
    const struct linger *linger = value;
    end->lingers_zero = linger->l_onoff && linger->l_linger == 0;
  }
  return 0;
}

static uint32_t milliseconds_since(uint64_t moment) { return (uint32_t)((now - moment) / 1000000); }

static struct tcp_info information(const struct end *end) {
  struct tcp_info info = {0};
  info.tcpi_state = end->is_dead || end->is_zombie ? TCP_CLOSE : end->state == STATE_OPEN ? TCP_ESTABLISHED : TCP_SYN_SENT;
  uint64_t delay = end->link >= 0 ? links[end->link].delay : 20000;
  info.tcpi_rtt = (uint32_t)(2 * delay / 1000);
  info.tcpi_rttvar = info.tcpi_rtt / 4;
  info.tcpi_last_ack_recv = milliseconds_since(end->last_ack);
  info.tcpi_last_data_recv = milliseconds_since(end->last_data);
  // As often as the kernel would have tried by now.
  uint64_t waits = end->unacked_since ? now - end->unacked_since : 0, pause = 200000000 + 2 * delay;
  uint8_t tries = 0;
  while (waits > pause && tries < 15) {
    waits -= pause;
    pause = pause < 120000000000 ? 2 * pause : pause;
    tries++;
  }
  if (end->is_blocked && end->acked == end->sent) info.tcpi_probes = end->is_stalled ? tries : 0;
  else info.tcpi_retransmits = tries;
  return info;
}

int getsockopt(int fd, int level, int option, void *restrict value, socklen_t *restrict length) {
  struct end *end = end_of(fd);
  if (!end) return -1;
  spend(200);
  if (level == SOL_SOCKET && option == SO_ERROR) {
    *(int *)value = end->is_zombie ? ECONNRESET : end->error;
    end->error = 0;
    return 0;
  }
  if (level == IPPROTO_TCP && option == TCP_INFO) {
    struct tcp_info info = information(end);
    memcpy(value, &info, *length < sizeof info ? *length : sizeof info);
    return 0;
  }
  return fail(ENOPROTOOPT);
}

int ioctl(int fd, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  int *value = va_arg(list, int *);
  va_end(list);
  if (!is_ours(fd)) return (int)syscall(SYS_ioctl, fd, request, value);
  struct end *end = end_of(fd);
  if (!end) return -1;
  spend(200);
  uint64_t limit = end->written + end->fin;
  switch (request) {
  case SIOCOUTQNSD: *value = (int)(end->written - (end->sent < end->written ? end->sent : end->written)); return 0;
  case SIOCOUTQ: *value = (int)(limit - end->acked); return 0;
  default: return fail(ENOTTY);
  }
}
