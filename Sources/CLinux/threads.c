#define _GNU_SOURCE
#include "clinux.h"

#include <pthread.h>
#include <semaphore.h>

void ow_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

int ow_wait_for_semaphore(void *semaphore, const struct timespec *limit) {
  return sem_clockwait(semaphore, CLOCK_MONOTONIC, limit);
}
