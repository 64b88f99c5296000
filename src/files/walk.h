/*
 * walk.h - a file, or a folder with all below, given to a sink.
 *
 * Links are never followed on the way (the root may be one, if asked for), and
 * only regular files are opened for reading: a fifo cannot hold it up, nor can
 * a device. Devices and sockets are left out, and so is what lies on a file
 * system of the kernel's own (proc, sysfs, ...) that is mounted below the
 * root. A folder's names come in ascending order.
 *
 * Memory: the names of the folders from the root to where it is, and a path
 * for each file with several names, FILES_LINKS_MAX of them. One folder and
 * one file are open at a time; a folder is opened again, from the root, by its
 * path without following anything, when the walk comes back to it.
 *
 * What is written to meanwhile is read as it is at that moment: a file that
 * has gone is left out, one that grows is read to the size that it had.
 */
#ifndef FILES_WALK_H
#define FILES_WALK_H

#include <stdbool.h>
#include <sys/stat.h>

#include "files/sink.h"

#define FILES_LINKS_MAX 1000000
#define FILES_NAMES_MAX (256u << 20) /* bytes of one folder's names */

/* The names in a folder, sorted. */
struct files_names {
	char *text, **v;
	size_t n;
};

/* @fd is a folder opened for reading, and is closed. */
int files_names_read(int fd, struct files_names *ret);
void files_names_release(struct files_names *n);

/* What is special about one walk; all may be NULL. */
struct files_walk_hooks {
	/*
	 * About a file, before it is given: may change what is said of it.
	 * 1: give it, 0: leave it out (with all below).
	 */
	int (*look)(void *arg, int dir_fd, const char *name,
	            struct proto_file_entry *e, struct err *err);
	/* Where a regular file's content is; -ENODATA: there. */
	int (*open)(void *arg, int dir_fd, const char *name,
	            const struct proto_file_entry *e);
	/*
	 * About a folder: another root, the caller's, in which it is looked up
	 * by its path, and all below it; look(), open() and this are not asked
	 * there. -ENODATA: none.
	 */
	int (*switch_root)(void *arg, int dir_fd, const char *name,
	                   const struct proto_file_entry *e);
	bool (*xattr)(const char *name);
	int (*step)(void *arg); /* now and then; not 0 ends it */
	void *arg;
};

enum files_walk_flags {
	FILES_WALK_FOLLOW = 1,  /* the root may be a link */
	FILES_WALK_DIR = 2,     /* the root must be a folder */
	FILES_WALK_DEVICES = 4, /* device files are given, too */
};

int files_walk(int at, const char *path, uint32_t flags,
               const struct files_walk_hooks *hooks,
               const struct files_sink *sink, struct err *err);

/* What FILE_ENTRY says of @name; "" of @dir_fd itself. No xattrs. */
int files_describe(int dir_fd, const char *name, bool follow, char *target,
                   struct proto_file_entry *ret);

/*
 * The content of @fd, of which @size bytes are wanted from @off on, in pieces:
 * holes are left out. The last is the end. A size of 0 is that of proc's
 * files: to the end, 64 MiB at most.
 */
int files_read(int fd, uint64_t off, uint64_t size, const char *path,
               int (*step)(void *arg), void *step_arg,
               const struct files_sink *sink, struct err *err);

#endif
