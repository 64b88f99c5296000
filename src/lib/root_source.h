/* root_source.h - the value that root.h is about, as the record keeps it. */
#ifndef LIB_ROOT_SOURCE_H
#define LIB_ROOT_SOURCE_H

#include <stdint.h>

enum root_kind { ROOT_IMAGE, ROOT_LIVE, ROOT_DISK };

struct root_source {
	uint32_t kind;         /* enum root_kind */
	char *path;            /* absolute, of LIVE and DISK */
	char *format, *fstype; /* of DISK; "raw" or "qcow2"; "ext4" */
	uint32_t no_links;     /* no part of the path may be one */
};

#endif
