// Kernel and C library calls that Swift does not see: variadic ones, macros, and the few lines that
// must be C because the compiler may not reorder or drop them.
#ifndef ONCEWIRE_CLINUX_H
#define ONCEWIRE_CLINUX_H

#include <stddef.h>

/// Overwrites `count` bytes in a way the optimiser keeps (explicit_bzero(3)).
void ow_wipe(void *bytes, size_t count);

/// Overwrites the part of the calling thread's stack below the caller, where finished calls into
/// libraries may have left secrets in their dead frames.
void ow_burn_stack(void);

/// Makes this process's memory unreadable to other processes of its user and keeps it out of core files
/// (PR_SET_DUMPABLE 0, prctl(2)).
void ow_refuse_dumps(void);

#endif
