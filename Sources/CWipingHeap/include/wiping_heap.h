// A heap whose freed blocks are overwritten. Linking this target into an executable is all there is to
// using it; see wiping_heap.c.
#ifndef ONCEWIRE_WIPING_HEAP_H
#define ONCEWIRE_WIPING_HEAP_H

#include <stdbool.h>
#include <stddef.h>

/// Frees a block of `size` bytes that holds a pattern, and looks whether the pattern is gone from the place: true
/// when this process's free() is the wiping one. From 64 to 1000 bytes: such blocks stay in the calling thread's own
/// cache, so that no other thread writes there meanwhile.
bool ow_heap_wipes(size_t size);

#endif
