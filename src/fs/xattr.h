/*
 * xattr.h - extended attributes of a file that we may only know by an O_PATH
 * descriptor. No such call takes one, so each goes the best way that the
 * kernel has (owner.h says what they cost):
 *
 *	setxattrat() and its like, by @proc_fd's magic link   Linux 6.13
 *	fchdir() to @proc_fd, then the call with a path       xattr_calls()
 *	open for reading by @proc_fd, the call, close         the rest
 *
 * With owner_file.name it is that entry of the folder. Attributes' names here
 * are the host's. Of what is neither a regular file nor a folder the third way
 * says -EPERM (-ENODATA, no names) without opening it, as the others do.
 *
 * System calls (x86-64): 463-466 (setxattrat, getxattrat, listxattrat,
 * removexattrat), [fl]{set,get,list,remove}xattr and without letter, fchdir,
 * openat, close.
 */
#ifndef FS_XATTR_H
#define FS_XATTR_H

#include <sys/types.h>

#include "fs/owner.h"

/* Bytes of it (of their names), or negative errno: as getxattr() says. */
ssize_t xattr_get(const struct owner_file *f, const char *name, void *data,
                  size_t size);
ssize_t xattr_list(const struct owner_file *f, char *names, size_t size);

/* 0 or negative errno. @flags: XATTR_CREATE, XATTR_REPLACE or 0. */
int xattr_set(const struct owner_file *f, const char *name, const void *data,
              size_t len, int flags);
int xattr_remove(const struct owner_file *f, const char *name);

/*
 * Which ways are taken; at first @at and not @cwd. @cwd: nobody in this
 * process needs its current folder (msb-vmm). The -at calls are no longer
 * tried once they are found missing.
 */
void xattr_calls(bool at, bool cwd);

#endif
