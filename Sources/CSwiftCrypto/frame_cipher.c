// The frame cipher's door to BoringSSL, which swift-crypto carries. swift-crypto's own AES.GCM takes and
// returns Data: two allocations and a copy of every frame, and key schedules on the heap. Its C library does
// the same work in place and with its whole state in a structure of the caller's, so that a frame's key
// schedule lives in locked memory and is wiped with the frame.
//
// This is C because no Swift module can see both BoringSSL and OpenSSL: their headers define the same types.
#include "frame_cipher.h"

#include <CCryptoBoringSSL.h>
#include <string.h>

size_t ow_frame_cipher_size(void) { return sizeof(EVP_AEAD_CTX); }

// (No canary: a frame's key is worked on here, and the only thing on the stack is a number that is written as a whole.)
__attribute__((no_stack_protector))
bool ow_frame_seal(void *memory, const void *key, const void *iv, const void *header, size_t header_count, void *body,
                   size_t count, void *tag) {
  EVP_AEAD_CTX *context = memory;
  size_t written = 0;
  int done = EVP_AEAD_CTX_init(context, EVP_aead_aes_256_gcm(), key, 32, 16, NULL) &&
             EVP_AEAD_CTX_seal_scatter(context, body, tag, &written, 16, iv, 12, body, count, NULL, 0, header,
                                       header_count);
  explicit_bzero(context, sizeof *context);
  return done == 1 && written == 16;
}

bool ow_frame_open(void *memory, const void *key, const void *iv, const void *header, size_t header_count, void *body,
                   size_t count, const void *tag) {
  EVP_AEAD_CTX *context = memory;
  int done = EVP_AEAD_CTX_init(context, EVP_aead_aes_256_gcm(), key, 32, 16, NULL) &&
             EVP_AEAD_CTX_open_gather(context, body, iv, 12, body, count, tag, 16, header, header_count);
  explicit_bzero(context, sizeof *context);
  if (!done) ERR_clear_error();
  return done == 1;
}
