// X25519 (RFC 7748 §5) on raw bytes of the caller.
#ifndef ONCEWIRE_X25519_H
#define ONCEWIRE_X25519_H

#include <stdbool.h>

/// Writes the 32 bytes of the secret that `private_key` and `public_key`, 32 bytes each, share. False if it is
/// all zero, which a point of low order makes happen (RFC 7748 §6.1).
bool ow_x25519_agree(void *shared, const void *private_key, const void *public_key);

/// Writes the 32 bytes of the public key that belongs to `private_key`.
void ow_x25519_public(void *public_key, const void *private_key);

#endif
