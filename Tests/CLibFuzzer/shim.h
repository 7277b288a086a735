// libFuzzer as a library: it comes with the Swift toolchain's clang, and has no header of its own.
#include <stddef.h>
#include <stdint.h>

/// Runs the fuzzer with the options in `argv`; `target` is called for every input.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*target)(const uint8_t *data, size_t size));
