#define _GNU_SOURCE
#include "clinux.h"

#include <string.h>

void ow_wipe(void *bytes, size_t count) { explicit_bzero(bytes, count); }

// Vector registers keep what went through them last, and the dynamic linker and signal handlers save all of
// them on the stack. (The baseline target only knows of 16 halves; the machine may have much more. Other
// architectures than x86-64 keep theirs.)
static void forget_registers(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx")) {
    __asm__ volatile("vzeroall" ::
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                           "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  }
  if (__builtin_cpu_supports("avx512f")) {
    __asm__ volatile(
        "vpxorq %zmm16, %zmm16, %zmm16\n\tvpxorq %zmm17, %zmm17, %zmm17\n\t"
        "vpxorq %zmm18, %zmm18, %zmm18\n\tvpxorq %zmm19, %zmm19, %zmm19\n\t"
        "vpxorq %zmm20, %zmm20, %zmm20\n\tvpxorq %zmm21, %zmm21, %zmm21\n\t"
        "vpxorq %zmm22, %zmm22, %zmm22\n\tvpxorq %zmm23, %zmm23, %zmm23\n\t"
        "vpxorq %zmm24, %zmm24, %zmm24\n\tvpxorq %zmm25, %zmm25, %zmm25\n\t"
        "vpxorq %zmm26, %zmm26, %zmm26\n\tvpxorq %zmm27, %zmm27, %zmm27\n\t"
        "vpxorq %zmm28, %zmm28, %zmm28\n\tvpxorq %zmm29, %zmm29, %zmm29\n\t"
        "vpxorq %zmm30, %zmm30, %zmm30\n\tvpxorq %zmm31, %zmm31, %zmm31");
  }
#endif
}

// (No canary in these two: their arrays are written by nothing but the wiping, and one of them runs for every message.)
__attribute__((noinline, no_stack_protector)) void ow_burn_stack(void) {
  forget_registers();
  // ML-KEM in BoringSSL needs some 20 KiB of stack; 64 KiB covers it and what called it.
  unsigned char dead[OW_BURN];
  explicit_bzero(dead, sizeof dead);
}

__attribute__((noinline, no_stack_protector)) void ow_burn_stack_of_frames(void) {
  forget_registers();
  // Measured on daemons built for release whose burn was taken out. The stack of a sleeping loop was filled with a
  // pattern through /proc/PID/mem. Frames of some 150 sizes from 1 to 65,536 bytes were moved both ways, and the
  // deepest byte that had changed was looked for. Below the stack pointer of the sleep (this function reaches 40
  // bytes less than its array's size below that) it lay:
  //
  //     AVX-512 and VAES      1,536 bytes      without SHA instructions   1,864
  //     without VAES          2,248            without AVX2 as well       2,248
  //     and 4,200 when the dynamic linker bound a function for the first large frame: it saves all registers,
  //     in which round keys of AES stand. (It binds the executable's own calls at start now.)
  //
  // Shared and own carriers, client and server, shards and loops for heavy streams differ by less than 600 bytes.
  unsigned char dead[OW_FRAMES_BURN];
  explicit_bzero(dead, sizeof dead);
}
