/*
 * fdio.h - whole reads and writes, small files, folders, and descriptors that
 * travel over Unix sockets. All return 0 (or a count) or a negative errno.
 */
#ifndef BASE_FDIO_H
#define BASE_FDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

/* Loop over short counts and EINTR. read_full gives fewer bytes only at EOF. */
ssize_t fd_read_full(int fd, void *data, size_t len);
ssize_t fd_pread_full(int fd, void *data, size_t len, uint64_t off);
int fd_write_full(int fd, const void *data, size_t len);
int fd_pwrite_full(int fd, const void *data, size_t len, uint64_t off);

/* Append a whole file to @b, bounded by b->max (-E2BIG). */
int fd_read_all(int fd, struct buf *b);
int file_read(int dir_fd, const char *path, struct buf *b);

/* Which parts of a path may be symbolic links. */
enum file_links { LINKS_ANY, LINKS_ABOVE /* all but the last */, LINKS_NONE };

/*
 * open(2) of what is there already, close-on-exec. A part that is a link and
 * may not: -ELOOP, whatever it leads to, and whoever put it there when.
 */
int file_open(const char *path, int flags, enum file_links links);
/* What it failed with, in words. */
const char *file_open_text(int r, enum file_links links);

/*
 * Replace @path by @data as a whole: write beside it, fsync, rename. @mode is
 * exact (umask does not matter). Nothing is left behind on failure.
 */
int file_write_atomic(int dir_fd, const char *path, const void *data,
                      size_t len, mode_t mode);

/*
 * The same for writers that exclude one another: the file beside it is always
 * PATH.new, so what a killed one left there does not grow in number, and the
 * next one overwrites it.
 */
int file_replace(int dir_fd, const char *path, const void *data, size_t len,
                 mode_t mode);

/* mkdir -p below @dir_fd; parts that exist stay as they are. */
int dir_make(int dir_fd, const char *path, mode_t mode);

/*
 * Open the folder @name of @at, made first if @make: ours (-EPERM if not),
 * nobody else's (its mode becomes 0700), and no link.
 */
int dir_private(int at, const char *name, bool make);

/* rm -r below @dir_fd, without following links or leaving the file system. */
int dir_remove(int dir_fd, const char *path);

int fd_set_nonblock(int fd);
int fd_set_cloexec(int fd, int on);

/*
 * One message with up to FD_PASS_MAX descriptors over a Unix socket.
 * fd_recv() gives them close-on-exec; the caller owns them. It returns the
 * number of bytes, 0 at end of stream; a message cut short is -EMSGSIZE.
 */
#define FD_PASS_MAX 8
ssize_t fd_send(int sock, const void *data, size_t len, const int *fds,
                size_t nfds);
ssize_t fd_recv(int sock, void *data, size_t len, int *ret_fds,
                size_t *ret_nfds);

#endif
