/*
 * server.h - what the files of this folder share.
 *
 * Theory
 *
 * A node is a file that the guest knows by number. It is found again by its
 * anchor: the folder it was last seen in, and its name there. So a node needs
 * no descriptor of its own; folders in use and files about to be opened have
 * one (O_PATH), the least recently used are closed. What is opened anew is
 * compared by device, inode number and time of birth: another file of that
 * name is ESTALE, never taken for the old one.
 *
 *	share root (fd) <- anchor - folder (fd, or walked) <- anchor - file
 *
 * A node that loses its name by the guest's own doing (unlink, rename over
 * it) is pinned: its descriptor stays until the guest forgets it. Hard links
 * are one node, with one of its names as the anchor. Anchors form a tree: a
 * folder is never put below itself (node_anchor()).
 *
 * A node lives while the guest counts it (nlookup: LOOKUP and its like add,
 * FORGET takes away) or we do (refs: of nodes anchored in it, of handles).
 *
 * Of each file we hold apart what the host says and what the guest shall see
 * (struct view, owner.h).
 */
#ifndef FS_SERVER_H
#define FS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "fs/fs.h"
#include "fs/owner.h"
#include "fs/quota.h"
#include "fs/wire.h"
#include "fs/xattr.h"

#define NODE_PERMANENT 1u  /* a share's own, or the root */
#define NODE_PINNED    2u  /* its descriptor is not in the cache's list */
#define NODE_STALE     4u  /* another file has its number on the host */
#define NODE_GONE      8u  /* the guest removed its last name */
#define NODE_SEEN      16u /* @seen_* are of now, but for others' changes */

struct node {
	struct node *by_id, *by_key; /* next in the hash chains */
	struct node *parent;         /* anchor; NULL: none */
	char *name;
	struct node *newer, *older; /* list of cached descriptors */
	uint64_t id, nlookup;
	uint64_t dev, ino, btime;
	/* What owner_show() said when ctime was this; 0: unknown. */
	int64_t shown_ctime;
	uint32_t shown_mode, shown_uid, shown_gid, shown_rdev;
	/* The data that the guest's cache has. */
	int64_t seen_mtime;
	int64_t seen_size;
	uint32_t refs;
	int fd;
	uint32_t shown_at; /* when that was said, in s; 0: unknown */
	uint32_t checked;  /* a folder: when it was last seen to be inside */
	uint16_t type;     /* S_IFMT bits, on the host */
	uint8_t share;
	uint8_t flags;
};

#define HANDLE_FREE 0
#define HANDLE_FILE 1
#define HANDLE_DIR  2

struct handle {
	struct node *node;
	int fd; /* -1: the root's */
	uint32_t gen, next_free;
	uint8_t kind;
	uint8_t access; /* O_RDONLY, O_WRONLY, O_RDWR: the guest's */
	bool append;
	bool caps_checked; /* no security.capability to drop */
	bool begun;        /* of a folder: its descriptor is not at 0 */
	uint64_t pos;      /* of a folder: the offset after what was given */
};

struct share {
	struct fs_share cfg;
	struct quota quota;
	struct node *root;
	uint8_t index;
};

struct node_table {
	struct node **chains;
	size_t size; /* power of two */
};

/* The chunk of a folder that was read last; for one handle at a time. */
#define DIR_CHUNK 32768u
struct dir_chunk {
	uint32_t index, gen;
	size_t at, end;
	bool valid, last; /* nothing comes after it */
	char *data;
};

#define DEVICES_MAX 255u

struct fs {
	struct share *shares;
	size_t nshares;
	int proc_fd;

	struct node root;
	struct node_table ids, keys;
	uint64_t seed, next_id;
	uint32_t nnodes, nodes_max;

	struct node *newest, *oldest;
	uint32_t nfds, fds_max, npins, pins_max;

	struct handle *handles;
	uint32_t nhandles, handles_size, handles_max, free_handle;

	struct dir_chunk dir;
	uint64_t devices[DEVICES_MAX];
	size_t ndevices;

	bool ready; /* INIT was */
	bool direct_mmap;
	uint64_t requests, read_bytes, write_bytes;
	char *text; /* WIRE_TEXT_MAX + 1 */
};

/* A file, as the host has it and (after view_show()) as the guest sees it. */
struct view {
	struct stat host, st;
	uint64_t btime;
};

union args {
	struct fuse_forget_in forget;
	struct fuse_batch_forget_in batch_forget;
	struct fuse_getattr_in getattr;
	struct fuse_setattr_in setattr;
	struct fuse_mknod_in mknod;
	struct fuse_mkdir_in mkdir;
	struct fuse_rename_in rename;
	struct fuse_rename2_in rename2;
	struct fuse_link_in link;
	struct fuse_open_in open;
	struct fuse_create_in create;
	struct fuse_release_in release;
	struct fuse_read_in read;
	struct fuse_write_in write;
	struct fuse_fsync_in fsync;
	struct fuse_fallocate_in fallocate;
	struct fuse_lseek_in lseek;
	struct fuse_copy_file_range_in copy;
	struct fuse_init_in init;
	struct {
		uint32_t size, flags;
	} xattr;
};

/* One request while it is answered. */
struct req {
	struct fs *fs;
	struct fuse_in_header h;
	union args a;
	struct node *node;   /* of h.nodeid */
	struct share *share; /* of @node; NULL: the root's */
	char *name, *name2;  /* checked names, in fs->text */
	char *value;         /* of SETXATTR; SYMLINK's text is name2 */
	size_t value_len;
	struct iov *out; /* data behind the arguments */
	struct iov *in;  /* room behind the answer's header */
	uint32_t body;   /* bytes put there */
};

/* Append to the answer: 0, or -EINVAL when the guest left no room. */
int req_put(struct req *q, const void *data, size_t len);

bool name_is_plain(const char *name, size_t len);

/* node.c */
int nodes_init(struct fs *fs);
void nodes_clear(struct fs *fs); /* all but the permanent ones */
void nodes_release(struct fs *fs);
struct node *node_by_id(struct fs *fs, uint64_t id);
/* A file of that number in the share, or NULL; no look at the host. */
struct node *node_by_number(struct fs *fs, const struct share *share,
                            uint64_t dev, uint64_t ino);
/* The node of that file; one whose number another file took over is buried. */
struct node *node_by_view(struct fs *fs, const struct share *share,
                          const struct view *v);
bool node_is(const struct node *n, const struct view *v);
/* Find or make; the anchor becomes @parent, @name (NULL: none). */
int node_get(struct fs *fs, const struct share *share, const struct view *v,
             struct node *parent, const char *name, struct node **ret);
int node_add_permanent(struct fs *fs, struct share *share,
                       const struct view *v);
int node_anchor(struct fs *fs, struct node *n, struct node *parent,
                const char *name);
void node_lose_anchor(struct fs *fs, struct node *n);
bool node_is_at(const struct node *n, const struct node *parent,
                const char *name);
void node_ref(struct node *n);
void node_unref(struct fs *fs, struct node *n);
void node_forget(struct fs *fs, struct node *n, uint64_t count);

/*
 * node_fd.c: descriptors are O_PATH and the cache's: good until the next but
 * FDS_MIN / 2 calls.
 */
#define FDS_MIN 64u
int node_fd(struct fs *fs, struct node *n);
int node_dir_fd(struct fs *fs, struct node *n); /* -ENOTDIR */
int node_fd_view(struct fs *fs, struct node *n, struct view *ret);
/* Whether an O_PATH descriptor is of a procfs, or of what cannot be told. */
bool share_is_proc(int fd);

int node_open_entry(int dir_fd, const char *name, int flags, uint32_t mode);
void node_give_fd(struct fs *fs, struct node *n, int fd); /* takes @fd */
/* Keep it, whatever happens to its names. */
int node_pin(struct fs *fs, struct node *n);
void node_unpin(struct fs *fs, struct node *n);
void node_close(struct fs *fs, struct node *n);
/* The same at its end: what it occupied without a name is free now. */
void node_end(struct fs *fs, struct node *n);
/* Open it again, for data; the caller owns what it gets. */
int node_reopen(struct fs *fs, struct node *n, int flags);
/* Where to ask for it without a descriptor of its own, if that can be. */
int node_place(struct fs *fs, struct node *n, struct owner_file *ret);

/* view.c */
int view_take(const struct owner_file *f, struct view *v);
void view_show(struct fs *fs, const struct share *share,
               const struct owner_file *f, struct node *n, struct view *v);
int view_node(struct fs *fs, struct node *n, struct view *v);
/* Whether n->shown_* are as fresh as a guest's own cache of them may be. */
bool view_is_recent(struct fs *fs, const struct node *n);
int64_t ns_of(const struct timespec *ts);
uint64_t view_bytes(const struct stat *st); /* that count for the quota */
void wire_attr(struct fs *fs, const struct stat *st, struct fuse_attr *ret);
uint64_t wire_ino(struct fs *fs, uint64_t dev, uint64_t ino);
void wire_entry(struct fs *fs, const struct node *n, const struct view *v,
                struct fuse_entry_out *ret);
uint64_t share_timeout(const struct share *share); /* seconds */
struct share *node_share(struct fs *fs, const struct node *n);

/* The guest's cache of the data: see seen_*. */
bool seen_is(const struct node *n, const struct stat *st);
void seen_set(struct node *n, const struct stat *st);
/*
 * It is opened: whether what the guest has is still good. From now on it has
 * what is there now, unless that is of this very moment: a change in the same
 * tick of the clock would not show.
 */
bool seen_open(struct node *n, const struct stat *st);

/* handle.c */
int handle_new(struct fs *fs, struct node *n, int kind, int fd, uint64_t *ret);
struct handle *handle_get(struct req *q, uint64_t fh, int kind);
struct handle *handle_at(struct fs *fs, uint64_t fh, const struct node *n,
                         int kind);
void handles_release(struct fs *fs);
void handle_free(struct fs *fs, uint64_t fh);
/* It has capabilities now: the next write must drop them. */
void caps_set(struct fs *fs, const struct node *n);

/* owners.c: modes that change by what the guest does. */
int change_owner(struct fs *fs, struct node *n, const struct view *v,
                 const struct owner *want);
/*
 * The guest is about to write to a file of the host's with setuid or setgid:
 * from now on that is kept in the attribute, and no right on the host.
 */
int take_bits(struct fs *fs, struct node *n, const struct view *v);
/*
 * A write, a truncation: setuid and setgid end (kill), capabilities always.
 * @fd: of the file, open for data, or -1.
 */
int drop_privileges(struct fs *fs, struct node *n, int fd, bool kill);

/* The guest's security.capability. */
#define XATTR_CAPS "user.msb.x.security.capability"

/* The operations, by file; one line each in request.c's table. */
int op_init(struct req *q);
int op_destroy(struct req *q);
int op_lookup(struct req *q);
int op_forget(struct req *q);
int op_batch_forget(struct req *q);
int op_getattr(struct req *q);
int op_setattr(struct req *q);
int op_readlink(struct req *q);
int op_statfs(struct req *q);
int op_open(struct req *q);
int op_release(struct req *q);
int op_read(struct req *q);
int op_write(struct req *q);
int op_fsync(struct req *q);
int op_fallocate(struct req *q);
int op_lseek(struct req *q);
int op_copy(struct req *q);
int op_syncfs(struct req *q);
int op_opendir(struct req *q);
int op_releasedir(struct req *q);
int op_readdir(struct req *q);
int op_readdirplus(struct req *q);
int op_fsyncdir(struct req *q);
int op_create(struct req *q);
int op_tmpfile(struct req *q);
int op_mknod(struct req *q);
int op_mkdir(struct req *q);
int op_symlink(struct req *q);
int op_link(struct req *q);
int op_unlink(struct req *q);
int op_rmdir(struct req *q);
int op_rename(struct req *q);
int op_rename2(struct req *q);
int op_getxattr(struct req *q);
int op_setxattr(struct req *q);
int op_listxattr(struct req *q);
int op_removexattr(struct req *q);

/* data.c: ftruncate() with all that belongs to it. */
int change_size(struct share *share, struct node *n, int fd, uint64_t size);

/* open.c, for CREATE: a handle on @fd (taken), and the answer's part. */
int open_answer(struct req *q, struct node *n, const struct view *v, int fd,
                uint32_t flags, struct fuse_open_out *ret);

/* lookup.c: count it and answer with it. */
int lookup_entry(struct req *q, struct node *parent, int dir_fd,
                 const char *name, struct fuse_entry_out *ret);

#endif
