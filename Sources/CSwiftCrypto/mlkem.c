// ML-KEM-768 by the C library of swift-crypto. swift-crypto's own interface keeps the private key on the ordinary heap,
// which can be swapped out; the library itself takes the memory from the caller.
#include "mlkem.h"

#include <CCryptoBoringSSL.h>
#include <string.h>

size_t ow_mlkem_private_size(void) { return sizeof(struct MLKEM768_private_key); }

void ow_mlkem_generate(void *private_key, void *public_key) { MLKEM768_generate_key(public_key, NULL, private_key); }

bool ow_mlkem_from_seed(void *private_key, void *public_key, const void *seed) {
  struct MLKEM768_public_key parsed;
  CBB out;
  if (MLKEM768_private_key_from_seed(private_key, seed, MLKEM_SEED_BYTES) != 1) return false;
  MLKEM768_public_from_private(&parsed, private_key);
  return CBB_init_fixed(&out, public_key, MLKEM768_PUBLIC_KEY_BYTES) == 1 &&
         MLKEM768_marshal_public_key(&out, &parsed) == 1;
}

bool ow_mlkem_decapsulate(void *shared, const void *ciphertext, const void *private_key) {
  bool done = MLKEM768_decap(shared, ciphertext, MLKEM768_CIPHERTEXT_BYTES, private_key) == 1;
  if (!done) ERR_clear_error();
  return done;
}

bool ow_mlkem_encapsulate(void *shared, void *ciphertext, const void *public_key) {
  struct MLKEM768_public_key parsed;
  CBS in;
  CBS_init(&in, public_key, MLKEM768_PUBLIC_KEY_BYTES);
  if (MLKEM768_parse_public_key(&parsed, &in) != 1) {
    ERR_clear_error();
    return false;
  }
  MLKEM768_encap(ciphertext, shared, &parsed);
  return true;
}
