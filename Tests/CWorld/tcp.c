// TCP between sockets of this kernel. Bytes lie in the sender's ring from the moment they are written until they are
// read; what travels are offsets of the stream. A path that is broken loses what should arrive, and TCP begins again
// behind the last byte that did (go back N), some time after the path is whole.
#include "kernel.h"

struct link links[CW_MACHINES];
enum { MOST_ENDS = 1 << 17 };
struct end *ends[MOST_ENDS];
int end_count;

static uint32_t sending_buffer = 65536, receiving_buffer = 65536;
static uint8_t secret[32];
static size_t secret_count;
static uint16_t next_port = 32768;
/// Its parts differ in size: most segments are whole, some are a few bytes.
static const uint64_t loopback_delay = 15000;

void cw_set_buffers(uint32_t sending, uint32_t receiving) {
  sending_buffer = sending;
  receiving_buffer = receiving;
}

void cw_set_secret(const void *bytes, size_t count) {
  secret_count = count < sizeof secret ? count : sizeof secret;
  memcpy(secret, bytes, secret_count);
}

void look_for_secret(const struct end *end, const void *bytes, size_t count) {
  if (end->link < 0 || secret_count == 0 || count < secret_count) return;
  if (memmem(bytes, count, secret, secret_count)) cw_fail("an application's bytes are on the wire as they are");
}

struct end *new_end(void) {
  if (end_count == MOST_ENDS) cw_fail("the world has no room for another socket");
  struct end *end = calloc(1, sizeof *end);
  end->fd = end->link = end->process = -1;
  end->sending = sending_buffer;
  end->receiving = receiving_buffer;
  end->cut_at = UINT64_MAX;
  end->last_ack = end->last_data = now;
  ends[end_count++] = end;
  return end;
}

static struct end *listeners[1024];
static int listener_count;

void add_listener(struct end *end) {
  if (listener_count == 1024) cw_fail("the world has no room for another listener");
  listeners[listener_count++] = end;
}

struct end *listener_at(int machine, uint16_t port) {
  for (int i = 0; i < listener_count; i++) {
    struct end *end = listeners[i];
    if (end->port == port && end->machine == machine && !end->is_stopped && !end->is_zombie) return end;
  }
  return NULL;
}

// MARK: Paths

void cw_set_path(int machine, uint64_t delay, uint64_t jitter, double per_byte) {
  links[machine].delay = delay;
  links[machine].jitter = jitter;
  links[machine].per_byte = per_byte;
}

void cw_break_path(int machine) {
  if (links[machine].is_broken) return;
  trace("the path of machine %d breaks", machine);
  links[machine].is_broken = true;
  links[machine].broken_since = now;
}

void cw_heal_path(int machine) {
  if (!links[machine].is_broken) return;
  trace("the path of machine %d is whole", machine);
  links[machine].is_broken = false;
  repeat_all(machine, now - links[machine].broken_since);
}

static bool sleeps(const struct end *end) { return end->process >= 0 && processes[end->process].asleep_until > now; }

/// Whether what arrives now between `end` and its peer is lost.
static bool is_lost(const struct end *end) {
  if (end->is_forgotten) return true;
  if (end->link < 0) return false;
  return links[end->link].is_broken || sleeps(end) || (end->peer && sleeps(end->peer));
}

static uint64_t delay_of(const struct end *end) {
  if (end->link < 0) return loopback_delay + below(RANDOM_NETWORK, loopback_delay);
  return links[end->link].delay + below(RANDOM_NETWORK, links[end->link].jitter + 1);
}

/// When `count` bytes that `end` sends now are there: in order, and not faster than the path carries them.
static uint64_t arrival(struct end *end, uint64_t count) {
  uint64_t there = now + delay_of(end);
  if (end->link >= 0) {
    struct link *link = &links[end->link];
    uint64_t *busy = &link->busy_until[end->machine == CW_MACHINES - 1];
    if (*busy < now) *busy = now;
    *busy += (uint64_t)((double)(count + 40) * link->per_byte);
    there += *busy - now;
  }
  if (there <= end->last_arrival) there = end->last_arrival + 1;
  return end->last_arrival = there;
}

// MARK: The ring

uint64_t room_of(const struct end *end) {
  uint64_t used = end->written - (end->acked < end->written ? end->acked : end->written);
  return used < end->sending ? end->sending - used : 0;
}

uint64_t waiting_for(const struct end *end) {
  const struct end *peer = end->peer;
  uint64_t there = peer->arrived < peer->written ? peer->arrived : peer->written;
  return there - peer->read;
}

static void grow(struct end *end, uint64_t needed) {
  size_t capacity = end->capacity ? end->capacity : 4096;
  while (capacity < needed) capacity *= 2;
  if (capacity == end->capacity) return;
  uint8_t *ring = malloc(capacity);
  for (uint64_t at = end->read; at < end->written;) {
    size_t from = at & (end->capacity - 1), to = at & (capacity - 1), count = end->written - at;
    if (count > end->capacity - from) count = end->capacity - from;
    if (count > capacity - to) count = capacity - to;
    memcpy(ring + to, end->ring + from, count);
    at += count;
  }
  free(end->ring);
  end->ring = ring;
  end->capacity = capacity;
}

size_t put_bytes(struct end *end, const uint8_t *bytes, size_t count) {
  uint64_t room = room_of(end);
  if (count > room) count = room;
  if (count == 0) return 0;
  grow(end, end->written - end->read + count);
  for (size_t done = 0; done < count;) {
    size_t place = (end->written + done) & (end->capacity - 1), some = count - done;
    if (some > end->capacity - place) some = end->capacity - place;
    memcpy(end->ring + place, bytes + done, some);
    done += some;
  }
  end->written += count;
  return count;
}

size_t get_bytes(struct end *end, uint8_t *bytes, size_t count, bool peek) {
  struct end *peer = end->peer;
  uint64_t there = waiting_for(end);
  if (count > there) count = there;
  for (size_t done = 0; done < count;) {
    size_t place = (peer->read + done) & (peer->capacity - 1), some = count - done;
    if (some > peer->capacity - place) some = peer->capacity - place;
    memcpy(bytes + done, peer->ring + place, some);
    done += some;
  }
  if (peek) return count;
  peer->read += count;
  if (peer->is_blocked && peer->sent - peer->read <= end->receiving / 2) {
    // A window update that is lost comes again when the sender has asked for it.
    if (is_lost(end)) return peer->is_stalled = true, count;
    peer->is_blocked = false;
    push_event(now + delay_of(end), EVENT_WINDOW, peer, 0, peer->epoch);
  }
  return count;
}

uint32_t socket_mask(struct end *end) {
  if (end->is_zombie) return EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDHUP;
  switch (end->state) {
  case STATE_NEW: return EPOLLOUT | EPOLLHUP;
  case STATE_LISTENING: return end->is_stopped ? EPOLLHUP | EPOLLIN : end->queued > 0 ? EPOLLIN : 0;
  case STATE_CONNECTING: return end->error ? EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDHUP : 0;
  case STATE_OPEN: break;
  }
  uint32_t mask = end->error ? EPOLLERR : 0;
  bool has_ended = end->is_dead || (end->peer->fin && end->peer->arrived > end->peer->written);
  if (waiting_for(end) > 0 || has_ended) mask |= EPOLLIN;
  if (has_ended) mask |= EPOLLRDHUP;
  if (end->is_dead || (has_ended && end->fin)) mask |= EPOLLHUP;
  if (end->is_dead || end->fin || room_of(end) >= end->sending / 3) mask |= EPOLLOUT;
  return mask;
}

// MARK: Sending

void transmit(struct end *end) {
  if (end->state != STATE_OPEN || end->is_dead || !end->peer) return;
  while (end->sent < end->written + end->fin) {
    uint64_t unread = end->sent - end->read, window = end->peer->receiving;
    uint64_t left = end->written > end->sent ? end->written - end->sent : 0;
    uint64_t count = left == 0 ? 1 : unread < window ? window - unread : 0;
    if (count > left + end->fin) count = left + end->fin;
    if (count == 0) {
      end->is_blocked = true;
      if (!end->unacked_since) end->unacked_since = now;
      return;
    }
    uint64_t whole = below(RANDOM_NETWORK, 16) == 0 ? 1 + below(RANDOM_NETWORK, 40) : 1448 << below(RANDOM_NETWORK, 5);
    if (count > whole) count = whole;
    if (!end->unacked_since) end->unacked_since = now;
    end->sent += count;
    push_event(arrival(end, count), EVENT_ARRIVE, end, end->sent, end->epoch);
  }
}

/// A reset for the peer, behind what was sent before.
static void send_reset(struct end *end) {
  if (end->peer) push_event(arrival(end, 0), EVENT_RESET, end->peer, 0, 0);
}

void repeat_all(int machine, uint64_t pause) {
  uint64_t longest = pause < 1000000000 ? 200000000 : pause < 20000000000 ? pause : 20000000000;
  for (int i = 0; i < end_count; i++) {
    struct end *end = ends[i];
    if (end->link < 0 || end->is_forgotten || end->repeats) continue;
    if (machine != CW_MACHINES - 1 && end->link != machine) continue;
    if (!end->is_stalled && !end->is_ack_lost && end->state != STATE_CONNECTING) continue;
    end->repeats = true;
    push_event(now + below(RANDOM_NETWORK, longest), EVENT_REPEAT, end, 0, 0);
  }
}

/// What the path lost is sent once more.
static void repeat(struct end *end) {
  end->repeats = false;
  if (is_lost(end)) return;
  if (end->is_ack_lost) {
    end->is_ack_lost = false;
    push_event(now + delay_of(end), EVENT_ACK, end, end->arrived, end->epoch);
  }
  if (end->is_stalled && !end->is_dead && end->state == STATE_OPEN) {
    end->is_stalled = false;
    end->epoch++;
    end->sent = end->arrived;
    end->is_blocked = false;
    end->last_arrival = now;
    push_event(now + delay_of(end), EVENT_ACK, end, end->arrived, end->epoch);
    transmit(end);
  }
}

// MARK: Ending

/// The connection is over at this end; the application finds `error`.
static void die(struct end *end, int error) {
  if (end->is_dead) return;
  end->is_dead = true;
  end->error = end->is_closed ? 0 : error;
  notify(end->fd, false);
}

void close_end(struct end *end) {
  int fd = end->fd;
  end->fd = -1;
  (void)fd;
  if (end->is_zombie || end->is_closed) return;
  end->is_closed = true;
  if (end->state == STATE_LISTENING) {
    end->is_stopped = true;
    for (int i = 0; i < end->queued; i++) kill_end(end->queue[i]);
    end->queued = 0;
  }
  if (end->state == STATE_CONNECTING && end->peer) send_reset(end);
  if (end->state != STATE_OPEN) {
    end->is_dead = true;
    return;
  }
  if (end->is_dead) return;
  if (end->lingers_zero || waiting_for(end) > 0) {
    end->is_dead = true;
    send_reset(end);
  } else if (!end->fin) {
    end->fin = true;
    transmit(end);
  }
}

void kill_end(struct end *end) {
  end->lingers_zero = true;
  close_end(end);
}

void cw_kill(int process) {
  trace("a process of machine %d is killed", processes[process].machine);
  processes[process].killed = true;
  for (int fd = FIRST_FD; fd < MOST_FDS; fd++) {
    if (files[fd].kind != FILE_SOCKET || files[fd].process != process) continue;
    struct end *end = files[fd].object;
    close_end(end);
    end->is_zombie = true;
    end->fd = fd;
    notify(fd, false);
  }
}

// MARK: Connecting

int start_connecting(struct end *end) {
  bool is_here = end->peer_address >> 24 == 127;
  int machine = is_here ? end->machine : (int)(end->peer_address - 0x0A000001u);
  if (machine < 0 || machine >= CW_MACHINES) return ENETUNREACH;
  end->link = is_here || machine == end->machine ? -1 : machine == CW_MACHINES - 1 ? end->machine : machine;
  end->port = next_port = next_port == 60999 ? 32768 : next_port + 1;
  end->state = STATE_CONNECTING;
  end->connect_pause = 1000000000;
  push_event(now + delay_of(end), EVENT_SYN, end, (uint64_t)machine, 0);
  return EINPROGRESS;
}

static void begin(struct end *end) {
  end->state = STATE_OPEN;
  end->last_ack = end->last_data = now;
}

static void syn(struct end *end, int machine) {
  if (end->state != STATE_CONNECTING || end->is_closed || end->is_zombie) return;
  if (is_lost(end)) {
    // It is repeated by itself, ever more seldom.
    push_event(now + end->connect_pause, EVENT_SYN, end, (uint64_t)machine, 0);
    end->connect_pause *= 2;
    return;
  }
  if (end->peer) return push_event(now + delay_of(end), EVENT_SYNACK, end, 0, 0);
  struct end *listener = listener_at(machine, end->peer_port);
  if (!listener || (listener->process >= 0 && processes[listener->process].killed)) {
    push_event(now + delay_of(end), EVENT_SYNACK, end, ECONNREFUSED, 0);
    return;
  }
  if (listener->queued == 4096) return push_event(now + 1000000000, EVENT_SYN, end, (uint64_t)machine, 0);
  struct end *other = new_end();
  other->machine = machine;
  other->process = listener->process;
  other->link = end->link;
  other->address = end->peer_address;
  other->port = end->peer_port;
  other->peer_address = end->address;
  other->peer_port = end->port;
  other->lingers_zero = listener->lingers_zero;
  other->peer = end;
  end->peer = other;
  begin(other);
  listener->queue[listener->queued++] = other;
  notify(listener->fd, true);
  push_event(now + delay_of(end), EVENT_SYNACK, end, 0, 0);
}

static void answer_to_syn(struct end *end, int error) {
  if (end->state != STATE_CONNECTING || end->is_closed || end->is_zombie) return;
  if (is_lost(end)) {
    push_event(now + end->connect_pause, EVENT_SYN, end, (uint64_t)(end->peer_address >> 24 == 127 ? end->machine :
               (int)(end->peer_address - 0x0A000001u)), 0);
    end->connect_pause *= 2;
    return;
  }
  if (error == 0) {
    begin(end);
    if (end->peer->is_dead) die(end, ECONNRESET);
  } else {
    end->error = error;
    end->is_dead = true;
  }
  notify(end->fd, false);
  // What the other end said meanwhile.
  if (error == 0) transmit(end->peer);
}

// MARK: Arriving

static void cut_now(struct end *end) {
  enum cw_cut cut = end->cut;
  end->cut_at = UINT64_MAX;
  trace("a connection between machines is cut: %s, behind byte %lu", cut == CW_CUT_RESET ? "reset" :
        cut == CW_CUT_HALF ? "reset at one end" : "forgotten", (unsigned long)end->arrived);
  if (cut == CW_CUT_FORGET) {
    end->is_forgotten = end->peer->is_forgotten = true;
    return;
  }
  struct end *first = below(RANDOM_NETWORK, 2) ? end : end->peer;
  die(first, ECONNRESET);
  if (cut == CW_CUT_RESET) die(first->peer, ECONNRESET);
}

static void arrive(struct end *end, uint64_t offset) {
  struct end *peer = end->peer;
  if (is_lost(end)) {
    end->is_stalled = true;
    return;
  }
  if (end->is_dead && !end->is_closed) return;
  bool has_bytes = end->arrived < end->written && offset > end->arrived;
  if (peer->state == STATE_CONNECTING) {
    // It does not know yet that it is connected.
    push_event(now + 1000000, EVENT_ARRIVE, end, offset, end->epoch);
    return;
  }
  if (peer->is_dead || (peer->is_closed && has_bytes)) {
    peer->is_dead = true;
    push_event(now + delay_of(end), EVENT_RESET, end, 0, 0);
    return;
  }
  uint64_t limit = offset;
  if (end->cut_at < limit) limit = end->cut_at;
  if (limit > end->arrived) {
    end->arrived = limit;
    peer->last_data = now;
    notify(peer->fd, false);
    push_event(now + delay_of(end), EVENT_ACK, end, end->arrived, end->epoch);
  }
  if (end->arrived >= end->cut_at) cut_now(end);
}

static void acknowledge(struct end *end, uint64_t offset) {
  if (is_lost(end)) {
    end->is_ack_lost = true;
    return;
  }
  if (end->is_dead) return;
  end->last_ack = now;
  if (offset > end->acked) end->acked = offset;
  end->unacked_since = end->acked < end->sent ? now : 0;
  if (end->wants_room && room_of(end) >= end->sending / 3) {
    end->wants_room = false;
    notify(end->fd, false);
  }
}

static void reset(struct end *end) {
  if (end->link >= 0 && is_lost(end)) return;
  if (end->state == STATE_CONNECTING) return;
  bool has_ended = end->peer && end->peer->fin && end->peer->arrived > end->peer->written;
  die(end, has_ended ? EPIPE : ECONNRESET);
}

void tcp_event(struct event *event) {
  struct end *end = event->object;
  switch (event->kind) {
  case EVENT_ARRIVE: if (event->epoch == end->epoch) arrive(end, event->value); break;
  case EVENT_ACK: if (event->epoch == end->epoch) acknowledge(end, event->value); break;
  case EVENT_WINDOW: if (is_lost(end)) end->is_stalled = true; else transmit(end); break;
  case EVENT_RESET: reset(end); break;
  case EVENT_SYN: syn(end, (int)event->value); break;
  case EVENT_SYNACK: answer_to_syn(end, (int)event->value); break;
  case EVENT_REPEAT: repeat(end); break;
  case EVENT_WAKE: case EVENT_DEADLINE: break;
  }
}

// MARK: Looking

void cw_list_connections(void) {
  for (int i = 0; i < end_count; i++) {
    struct end *end = ends[i];
    if (end->state != STATE_OPEN || end->is_closed || end->is_dead) continue;
    trace("machine %d port %d to %d: written %lu sent %lu arrived %lu acked %lu read %lu%s%s%s%s%s", end->machine,
          end->port, end->peer_port, (unsigned long)end->written, (unsigned long)end->sent, (unsigned long)end->arrived,
          (unsigned long)end->acked, (unsigned long)end->read, end->fin ? " fin" : "", end->is_blocked ? " blocked" : "",
          end->is_stalled ? " stalled" : "", end->wants_room ? " wants room" : "", end->is_forgotten ? " forgotten" : "");
  }
}

// MARK: Cutting

static struct end *candidate(int machine, int place) {
  for (int i = 0; i < end_count; i++) {
    struct end *end = ends[i];
    if (end->link != machine || end->state != STATE_OPEN || end->is_dead || end->is_closed || end->is_forgotten) continue;
    if (place-- == 0) return end;
  }
  return NULL;
}

void cw_spare(void) {
  for (int i = 0; i < end_count; i++) ends[i]->cut_at = UINT64_MAX;
}

int cw_connections(int machine) {
  int count = 0;
  while (candidate(machine, count)) count++;
  return count;
}

bool cw_cut(int machine, enum cw_cut cut, uint64_t bytes) {
  int count = cw_connections(machine);
  if (count == 0) return false;
  struct end *end = candidate(machine, (int)below(RANDOM_NETWORK, (uint64_t)count));
  end->cut = cut;
  end->cut_at = end->arrived + bytes;
  if (bytes == 0) cut_now(end);
  return true;
}
