// Randomness of the daemons: all of it comes from the seed, so that a day repeats itself to the byte.
#include "kernel.h"

static void fill(void *bytes, size_t count) {
  uint8_t *next = bytes;
  while (count > 0) {
    uint64_t number = random_of(RANDOM_ENTROPY);
    size_t some = count < sizeof number ? count : sizeof number;
    memcpy(next, &number, some);
    next += some;
    count -= some;
  }
}

// libcrypto's
int RAND_bytes(unsigned char *bytes, int count) { return fill(bytes, (size_t)count), 1; }
int RAND_priv_bytes(unsigned char *bytes, int count) { return fill(bytes, (size_t)count), 1; }
// Swift's SystemRandomNumberGenerator
void swift_stdlib_random(void *bytes, size_t count) { fill(bytes, count); }
