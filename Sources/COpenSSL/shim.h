// The part of OpenSSL's libcrypto that the codec uses. The SHA256_* calls are marked deprecated in
// favour of EVP, which costs twice as much for a hash of two blocks (docs/EXPERIMENTS.md has the figures).
#ifndef ONCEWIRE_COPENSSL_H
#define ONCEWIRE_COPENSSL_H
#define OPENSSL_SUPPRESS_DEPRECATED 1
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#endif
