// free() and realloc() for the whole process that overwrite a block before the heap gets it back.
//
// Secrets of this project live in locked pages of their own (Codec's Secret). But libraries make copies on
// the ordinary heap that they do not wipe: BoringSSL's intermediates, Swift arrays and OpenSSL contexts. Freed,
// such copies stay readable in the process until the block is used again. The definitions here stand in front of glibc's for every caller in the process,
// libswiftCore and libcrypto included, because an executable's symbols come first in the search order.
//
// Cost: one memset of the block per free(). The data plane keeps its buffers in pools, so it does not pay.
//
// It only takes effect where this object is linked into an executable, and works with glibc as a shared
// library (a fully static link would define free() twice). Sanitizers bring a heap of their own: with them
// this file is empty.
#define _GNU_SOURCE
#include "wiping_heap.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define OW_FOREIGN_HEAP 1
#endif
#endif

#ifndef OW_FOREIGN_HEAP

/// glibc's own free(), exported since 2.0 under this name for exactly such wrappers.
extern void __libc_free(void *block);

void free(void *block) {
  if (block == NULL) return;
  int kept = errno;  // POSIX (2024): free() leaves errno alone; munmap() inside it might not
  // The usable size, not the requested one: callers may use all of it, and realloc() below does.
  explicit_bzero(block, malloc_usable_size(block));
  __libc_free(block);
  errno = kept;
}

/// glibc's realloc() may move a block and free the old place without passing through free(), so it
/// cannot be kept. reallocarray() and the rest of glibc call realloc() by name and so come here.
void *realloc(void *block, size_t size) {
  if (block == NULL) return malloc(size);
  if (size == 0) {  // what glibc does
    free(block);
    return NULL;
  }
  size_t room = malloc_usable_size(block);
  // Stays in place when it fits and wastes at most half. What lies behind `size` is wiped with the rest
  // of the block when that is freed.
  if (size <= room && size >= room / 2) return block;

  void *moved = malloc(size);
  if (moved == NULL) return NULL;  // the old block stays valid, errno is ENOMEM
  memcpy(moved, block, size < room ? size : room);
  free(block);
  return moved;
}

#endif

bool ow_heap_wipes(size_t size) {
  unsigned char *block = malloc(size);
  if (block == NULL) return false;
  memset(block, 0xa5, size);
  // The address as a number, so that the compiler cannot reason about the pointer after free().
  volatile uintptr_t place = (uintptr_t)block;
  free(block);
  const volatile unsigned char *freed = (const volatile unsigned char *)place;
  // The heap writes list pointers into the first 32 bytes of a free block.
  for (size_t i = 32; i < size; i++) {
    if (freed[i] == 0xa5) return false;
  }
  return true;
}
