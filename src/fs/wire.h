/*
 * wire.h - the requests' layout: Linux's own header (linux/fuse.h, 7.38 in
 * Debian 12), and what newer kernels added.
 */
#ifndef FS_WIRE_H
#define FS_WIRE_H

#include <linux/fuse.h>

/* We speak to kernels from 5.4 on. */
#define WIRE_MINOR_MIN 31
#define WIRE_MINOR     41

#ifndef FUSE_DIRECT_IO_ALLOW_MMAP
#define FUSE_DIRECT_IO_ALLOW_MMAP (1ULL << 36)
#endif
#ifndef FUSE_NO_EXPORT_SUPPORT
#define FUSE_NO_EXPORT_SUPPORT (1ULL << 38)
#endif

/*
 * A request has at most 256 buffers (VQ_CHAIN_MAX): header, arguments, and one
 * for each page of data.
 */
#define WIRE_PAGES    250u
#define WIRE_DATA_MAX (WIRE_PAGES * 4096u)

#define WIRE_NAME_MAX  255u
#define WIRE_VALUE_MAX 65536u /* of an attribute: Linux's XATTR_SIZE_MAX */
#define WIRE_TEXT_MAX  (2 * (WIRE_NAME_MAX + 1) + WIRE_VALUE_MAX)

#endif
