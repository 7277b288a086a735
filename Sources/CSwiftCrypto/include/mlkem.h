// ML-KEM-768 (FIPS 203) on raw bytes, with the private key in memory of the caller.
#ifndef ONCEWIRE_MLKEM_H
#define ONCEWIRE_MLKEM_H

#include <stdbool.h>
#include <stddef.h>

/// Bytes of an expanded private key, aligned to 16. They are the whole of the key: nothing of it is anywhere else
/// but, until it is overwritten, on the stack of the calls below.
size_t ow_mlkem_private_size(void);

/// Makes a random key pair: the private half into `private_key`, the public half, 1184 bytes, into `public_key`.
void ow_mlkem_generate(void *private_key, void *public_key);

/// The same from a seed of 64 bytes, d || z (§7.1). False if the library refused.
bool ow_mlkem_from_seed(void *private_key, void *public_key, const void *seed);

/// Writes the 32 bytes that the 1088 bytes at `ciphertext` hold for `private_key` (§7.3). A ciphertext that was not
/// made for it holds 32 others. False if the library refused.
bool ow_mlkem_decapsulate(void *shared, const void *ciphertext, const void *private_key);

/// Makes a shared secret of 32 bytes and its 1088 bytes of ciphertext for the 1184 bytes at `public_key` (§7.2).
/// False, and nothing written, if those are no key: coefficients that are not reduced modulo q.
bool ow_mlkem_encapsulate(void *shared, void *ciphertext, const void *public_key);

#endif
