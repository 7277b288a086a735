#define _GNU_SOURCE
#include "clinux.h"

#include <stdio.h>
#include <sys/xattr.h>

ssize_t ow_read_access_list(int fd, void *list, size_t size) {
  return fgetxattr(fd, "system.posix_acl_access", list, size);
}

int ow_rename_to_new(int folder, const char *from, const char *to) {
  return renameat2(folder, from, folder, to, RENAME_NOREPLACE);
}
