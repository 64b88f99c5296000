/*
 * xattrs.h - extended attributes as bytes: (u8 nlen, u16 vlen, name, value)*,
 * as FILE_ENTRY and the archives' reader have them.
 */
#ifndef FILES_XATTRS_H
#define FILES_XATTRS_H

#include <stdbool.h>

#include "base/buf.h"
#include "proto/proto.h"

/* Every length is within the bytes, no name is empty or has a NUL. */
bool files_xattrs_are_sound(const struct proto_bytes *x);

/*
 * Append those of @fd that @wanted says yes to: user.* and file capabilities
 * when it is NULL. A file system without any is fine. 0, -ENOMEM; what does
 * not fit into PROTO_XATTRS_MAX is -E2BIG.
 */
int files_xattrs_read(int fd, bool (*wanted)(const char *name), struct buf *b);

/*
 * Set user.* but user.msb.*, with @caps capabilities, too. Fine where there
 * are none.
 */
int files_xattrs_write(int fd, const struct proto_bytes *x, bool caps);

#endif
