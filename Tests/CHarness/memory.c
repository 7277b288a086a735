// Looking into memory, for the tests of what is left there: another process's, and the dead part of a stack.
#include "charness.h"

#include <alloca.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b) { return memcmp(a, b, 16); }

ssize_t ch_find(const unsigned char *memory, size_t size, size_t from, const unsigned char (*needles)[16],
                size_t count, size_t *which) {
  // Which pairs of bytes a needle begins with.
  unsigned char begins[8192] = {0};
  for (size_t i = 0; i < count; i++) {
    unsigned pair = (unsigned)needles[i][0] << 8 | needles[i][1];
    begins[pair / 8] |= 1 << pair % 8;
  }
  for (size_t at = from; at + 16 <= size; at++) {
    unsigned pair = (unsigned)memory[at] << 8 | memory[at + 1];
    if (!(begins[pair / 8] >> pair % 8 & 1)) continue;
    const unsigned char(*found)[16] = bsearch(memory + at, needles, count, 16, compare);
    if (found == NULL) continue;
    *which = found - needles;
    return at;
  }
  return -1;
}

__attribute__((noinline)) const unsigned char *ch_fill_stack(size_t count, unsigned char pattern) {
  volatile unsigned char *bytes = alloca(count);
  for (size_t i = 0; i < count; i++) bytes[i] = pattern;
  // As a number, because the memory is the caller's dead stack by the time it is looked at.
  volatile uintptr_t place = (uintptr_t)bytes;
  return (const unsigned char *)place;
}

__attribute__((noinline, no_sanitize("address"))) size_t ch_count_pattern(const unsigned char *lowest, size_t count,
                                                                          unsigned char pattern) {
  const volatile unsigned char *bytes = lowest;
  size_t alike = 0;
  while (alike < count && bytes[alike] == pattern) alike++;
  return alike;
}
