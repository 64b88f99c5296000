/*
 * driver.h - the guest's side of FUSE, by hand: one request at a time, from
 * ordinary memory, cut into buffers as awkward as the rules allow.
 */
#ifndef TEST_FS_DRIVER_H
#define TEST_FS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/fs.h"
#include "fs/wire.h"

#define DRIVER_SHARES 4

struct driver {
	struct fs *fs;
	struct fs_config cfg;
	struct fs_share shares[DRIVER_SHARES];
	char top[64]; /* a temporary folder; the shares are below */
	int top_fd;
	uint32_t uid, gid; /* who asks */
	unsigned cut;      /* bytes a buffer has; 0: as Linux does */
	uint64_t unique;
	int raw; /* what fs_request() returned last */
};

/*
 * A temporary folder (below @base), with folders a, b, ... for as many shares
 * of these names, and a server of them that had its INIT. Each can be changed
 * before by @tune.
 */
void driver_open(struct driver *d, const char *base, size_t nshares,
                 void (*tune)(struct driver *d));
void driver_close(struct driver *d); /* removes the folder, too */

/* One request: bytes of the answer's body, or the answer's (negative) error. */
int driver_call(struct driver *d, uint32_t opcode, uint64_t node,
                const void *args, size_t args_len, const void *data,
                size_t data_len, void *reply, size_t room);

int driver_init(struct driver *d, uint32_t minor, uint64_t flags,
                struct fuse_init_out *ret);

/* With names: negative error, or the node. */
int64_t d_lookup(struct driver *d, uint64_t parent, const char *name);
int d_entry(struct driver *d, uint64_t parent, const char *name,
            struct fuse_entry_out *ret);
int64_t d_share(struct driver *d, const char *name);
int64_t d_mkdir(struct driver *d, uint64_t parent, const char *name,
                uint32_t mode);
int64_t d_mknod(struct driver *d, uint64_t parent, const char *name,
                uint32_t mode, uint32_t rdev);
int64_t d_symlink(struct driver *d, uint64_t parent, const char *name,
                  const char *text);
int d_create(struct driver *d, uint64_t parent, const char *name,
             uint32_t flags, uint32_t mode, uint64_t *ret_node,
             uint64_t *ret_fh);
int d_unlink(struct driver *d, uint64_t parent, const char *name);
int d_rmdir(struct driver *d, uint64_t parent, const char *name);
int d_rename(struct driver *d, uint64_t from, const char *name, uint64_t to,
             const char *name2, uint32_t flags);
int64_t d_link(struct driver *d, uint64_t node, uint64_t parent,
               const char *name);
int d_open(struct driver *d, uint64_t node, uint32_t flags, uint64_t *ret_fh,
           uint32_t *ret_flags);
int d_opendir(struct driver *d, uint64_t node, uint64_t *ret_fh);
int d_release(struct driver *d, uint64_t node, uint64_t fh, bool dir);
int d_read(struct driver *d, uint64_t node, uint64_t fh, uint64_t off,
           void *data, size_t len);
int d_write(struct driver *d, uint64_t node, uint64_t fh, uint64_t off,
            const void *data, size_t len);
int d_write_flags(struct driver *d, uint64_t node, uint64_t fh, uint64_t off,
                  const void *data, size_t len, uint32_t flags);
int d_getattr(struct driver *d, uint64_t node, struct fuse_attr *ret);
int d_setattr(struct driver *d, uint64_t node, const struct fuse_setattr_in *a,
              struct fuse_attr *ret);
int d_chmod(struct driver *d, uint64_t node, uint32_t mode);
int d_chown(struct driver *d, uint64_t node, uint32_t uid, uint32_t gid);
int d_truncate(struct driver *d, uint64_t node, uint64_t size);
int d_readlink(struct driver *d, uint64_t node, char *out, size_t room);
int d_setxattr(struct driver *d, uint64_t node, const char *name,
               const void *value, size_t len, uint32_t flags);
int d_getxattr(struct driver *d, uint64_t node, const char *name, void *value,
               size_t room);
int d_listxattr(struct driver *d, uint64_t node, char *list, size_t room);
int d_removexattr(struct driver *d, uint64_t node, const char *name);
void d_forget(struct driver *d, uint64_t node, uint64_t count);
int d_fallocate(struct driver *d, uint64_t node, uint64_t fh, uint32_t mode,
                uint64_t off, uint64_t len);
int d_readdir(struct driver *d, uint64_t node, uint64_t fh, uint64_t off,
              bool plus, void *data, size_t room);

#endif
