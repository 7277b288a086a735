// AES-256-GCM for one frame at a time, under a key that is used once, in memory of the caller.
#ifndef ONCEWIRE_FRAME_CIPHER_H
#define ONCEWIRE_FRAME_CIPHER_H

#include <stdbool.h>
#include <stddef.h>

/// Bytes of working memory that the two calls need, aligned to 16. They hold the key schedule while a call
/// runs, and zeros afterwards.
size_t ow_frame_cipher_size(void);

/// Encrypts `count` bytes at `body` in place under `key` (32 bytes) and `iv` (12 bytes), authenticates them
/// and the `header_count` bytes at `header`, and writes the 16 bytes of the tag to `tag`
/// (SP 800-38D §7.1). False if the library refused; then `body` and `tag` are zero.
bool ow_frame_seal(void *memory, const void *key, const void *iv, const void *header, size_t header_count, void *body,
                   size_t count, void *tag);

/// The reverse (§7.2). False if the tag is wrong; then the `count` bytes at `body` are zero.
bool ow_frame_open(void *memory, const void *key, const void *iv, const void *header, size_t header_count, void *body,
                   size_t count, const void *tag);

#endif
