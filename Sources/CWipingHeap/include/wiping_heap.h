// A heap whose freed blocks are overwritten. Linking this target into an executable is all there is to
// using it; see wiping_heap.c.
#ifndef ONCEWIRE_WIPING_HEAP_H
#define ONCEWIRE_WIPING_HEAP_H

#include <stdbool.h>
#include <stddef.h>

/// Frees a block holding a pattern and looks whether the pattern is gone from the place it was at:
/// true when this process's free() is the wiping one. `size` is the block's size in bytes, at least 64
/// and small enough for the heap to keep the pages (below 64 KiB).
bool ow_heap_wipes(size_t size);

#endif
