#define _GNU_SOURCE
#include "clinux.h"

#include <string.h>

void ow_wipe(void *bytes, size_t count) { explicit_bzero(bytes, count); }

__attribute__((noinline)) void ow_burn_stack(void) {
  // ML-KEM in BoringSSL needs some 20 KiB of stack; 64 KiB covers it and what called it.
  unsigned char dead[64 * 1024];
  explicit_bzero(dead, sizeof dead);
}

__attribute__((noinline)) void ow_burn_stack_of_frames(void) {
  // libcrypto's AVX2 code for SHA-256 keeps its message schedule in some 700 bytes of stack.
  unsigned char dead[2 * 1024];
  explicit_bzero(dead, sizeof dead);
}
