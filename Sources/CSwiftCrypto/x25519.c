// X25519 by the C library of swift-crypto: two plain functions, where libcrypto 3.0 wants a key object made for
// every agreement, on its own heap, and multiplies by the base point each time to have the public key too.
#include "x25519.h"

#include <CCryptoBoringSSL.h>

bool ow_x25519_agree(void *shared, const void *private_key, const void *public_key) {
  return X25519(shared, private_key, public_key) == 1;
}

void ow_x25519_public(void *public_key, const void *private_key) { X25519_public_from_private(public_key, private_key); }
