#define _GNU_SOURCE
#include "clinux.h"

#include <link.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

void ow_refuse_dumps(void) { prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

static int leave_segments(struct dl_phdr_info *object, size_t size, void *page) {
  (void)size;
  uintptr_t mask = *(uintptr_t *)page - 1;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
    // A segment that was ever writable has relocations in it, which the file has not.
    if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0) continue;
    uintptr_t start = (object->dlpi_addr + segment->p_vaddr + mask) & ~mask;
    uintptr_t end = (object->dlpi_addr + segment->p_vaddr + segment->p_memsz) & ~mask;
    if (start < end) madvise((void *)start, end - start, MADV_DONTNEED);
  }
  return 0;
}

void ow_leave_startup_pages(void) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  dl_iterate_phdr(leave_segments, &page);
}
