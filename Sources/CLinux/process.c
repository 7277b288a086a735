#include "clinux.h"

#include <sys/prctl.h>

void ow_refuse_dumps(void) { prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }
