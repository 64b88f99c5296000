/*
 * links.h - files that were seen, by device and inode, each with a path: what
 * hard links are told by. A table with open addressing that grows.
 */
#ifndef FILES_LINKS_H
#define FILES_LINKS_H

#include <stdbool.h>
#include <sys/types.h>

struct files_links_slot {
	dev_t dev;
	ino_t ino;
	char *path; /* NULL: the slot is free */
};

struct files_links {
	struct files_links_slot *slots;
	size_t n, cap; /* cap is 0 or a power of two */
};

void files_links_release(struct files_links *l); /* zeroed is fine */

/*
 * The path that the file was first seen with, in *ret; else NULL, and @path is
 * kept for it. 0, -ENOMEM; past FILES_LINKS_MAX nothing more is kept.
 */
int files_links_see(struct files_links *l, dev_t dev, ino_t ino,
                    const char *path, const char **ret);

bool files_links_has(const struct files_links *l, dev_t dev, ino_t ino);

#endif
