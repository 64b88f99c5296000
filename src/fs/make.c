/*
 * make.c - what makes new files: CREATE, TMPFILE, MKNOD, MKDIR, SYMLINK, LINK.
 *
 * A file is first made as the host can have it, then its owner is kept; what
 * fails after the first step undoes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/server.h"

#include "base/banned.h"

struct maker {
	struct req *q;
	int dir_fd;
	struct owner owner;
	uint64_t taken;
};

/* Linux's rules for a folder with setgid: the group, and on to folders. */
static int inherit(struct maker *m)
{
	struct node *dir = m->q->node;
	struct view v;
	int r = 0;

	if (!view_is_recent(m->q->fs, dir))
		r = view_node(m->q->fs, dir, &v);
	if (r < 0 || !(dir->shown_mode & S_ISGID))
		return r;
	m->owner.gid = dir->shown_gid;
	if (S_ISDIR(m->owner.mode))
		m->owner.mode |= S_ISGID;
	return 0;
}

/* A folder's blocks do not count, its being there does; a link may need one. */
static int take_name(struct maker *m)
{
	uint64_t more = S_ISDIR(m->owner.mode)   ? QUOTA_FOLDER_BYTES
	                : S_ISLNK(m->owner.mode) ? QUOTA_BLOCK
	                                         : 0;
	int r;

	if (m->q->h.opcode == FUSE_TMPFILE)
		return 0;
	r = quota_take_name(&m->q->share->quota, more);
	if (r == 0)
		m->taken = QUOTA_INODE_BYTES + more;
	return r;
}

static int begin(struct maker *m, struct req *q, uint32_t mode, uint32_t rdev,
                 size_t answer)
{
	int r;

	*m = (struct maker){.q = q};
	if (q->in->len < answer)
		return -EINVAL;
	m->dir_fd = node_dir_fd(q->fs, q->node);
	if (m->dir_fd < 0)
		return m->dir_fd;
	m->owner = (struct owner){q->h.uid, q->h.gid, mode, rdev};
	r = inherit(m);
	if (r < 0)
		return r;
	if (q->fs->nnodes >= q->fs->nodes_max)
		return -ENFILE;
	return take_name(m);
}

static void give_back(struct maker *m)
{
	quota_give(&m->q->share->quota, m->taken);
}

static void undo(struct maker *m, int flags)
{
	(void)unlinkat(m->dir_fd, m->q->name, flags);
	give_back(m);
}

/*
 * Of what was taken for blocks, only what they are. A file has none yet, but
 * for its attributes where its inode has no room for them.
 */
static int settle(struct maker *m, const struct stat *st)
{
	struct quota *quota = &m->q->share->quota;
	int r = 0;

	if (S_ISLNK(st->st_mode)) {
		quota_settle(quota, QUOTA_BLOCK, 0, view_bytes(st));
		m->taken -= QUOTA_BLOCK;
	} else {
		r = quota_take(quota, view_bytes(st));
	}
	if (r == 0)
		m->taken += view_bytes(st);
	return r;
}

/* What owner_show() would say now, without asking the host. */
static void show_kept(const struct maker *m, struct view *v)
{
	const struct fs_owners *map = &m->q->share->cfg.owners;

	v->st.st_uid = map->squash ? map->uid : m->owner.uid;
	v->st.st_gid = map->squash ? map->gid : m->owner.gid;
	v->st.st_mode = m->owner.mode;
	v->st.st_rdev = m->owner.rdev;
	if (!S_ISREG(m->owner.mode) && !S_ISDIR(m->owner.mode))
		v->st.st_blocks = 0;
}

/* Keep the owner of the new file @f, then make it known. */
static int finish(struct maker *m, const struct owner_file *f, const char *name,
                  struct view *v, struct node **ret)
{
	struct fs *fs = m->q->fs;
	struct share *share = m->q->share;
	int r = view_take(f, v);

	if (r == 0 && !S_ISLNK(v->host.st_mode))
		r = owner_keep(f, &share->cfg.owners, &v->host, &m->owner);
	if (r == 0)
		r = view_take(f, v);
	if (r == 0)
		r = settle(m, &v->host);
	if (r == 0)
		r = node_get(fs, share, v, m->q->node, name, ret);
	if (r < 0)
		return r;
	if (S_ISLNK(v->host.st_mode))
		view_show(fs, share, f, *ret, v);
	else
		show_kept(m, v);
	return 0;
}

static int answer(struct req *q, struct node *n, const struct view *v)
{
	struct fuse_entry_out out;

	n->nlookup++;
	wire_entry(q->fs, n, v, &out);
	return req_put(q, &out, sizeof(out));
}

static int make_file(struct maker *m, int *ret_fd)
{
	int fd = node_open_entry(m->dir_fd, m->q->name,
	                         O_CREAT | O_EXCL | O_RDWR | O_NOCTTY |
	                                 O_NONBLOCK,
	                         owner_host_mode(m->owner.mode, false));

	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

static int created(struct req *q, struct node *n, const struct view *v, int fd)
{
	struct fuse_open_out open;
	int r = open_answer(q, n, v, fd, q->a.create.flags, &open);

	if (r < 0)
		return r;
	/* What was made just now has no capabilities. */
	handle_at(q->fs, open.fh, n, HANDLE_FILE)->caps_checked = true;
	r = answer(q, n, v);
	return r < 0 ? r : req_put(q, &open, sizeof(open));
}

/* It is there already: somebody else was faster, or the guest did not look. */
static int create_there(struct req *q, int dir_fd)
{
	struct iov room = *q->in;
	struct fuse_entry_out entry;
	struct node *n;
	int r;

	if (q->a.create.flags & O_EXCL)
		return -EEXIST;
	r = lookup_entry(q, q->node, dir_fd, q->name, &entry);
	if (r < 0)
		return r;
	n = node_by_id(q->fs, entry.nodeid);
	q->node = n;
	q->a.open = (struct fuse_open_in){.flags = q->a.create.flags};
	r = req_put(q, &entry, sizeof(entry));
	if (r == 0)
		r = op_open(q);
	if (r < 0) {
		*q->in = room;
		node_forget(q->fs, n, 1);
	}
	return r;
}

#define CREATED_SIZE                                                           \
	(sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out))

int op_create(struct req *q)
{
	struct owner_file f = {.proc_fd = q->fs->proc_fd, .fresh = true};
	cleanup_close int fd = -1;
	struct maker m;
	struct view v;
	struct node *n;
	int r;

	r = begin(&m, q, S_IFREG | (q->a.create.mode & 07777), 0, CREATED_SIZE);
	if (r < 0)
		return r;
	r = make_file(&m, &fd);
	if (r < 0) {
		give_back(&m);
		return r == -EEXIST ? create_there(q, m.dir_fd) : r;
	}
	f.fd = fd;
	r = finish(&m, &f, q->name, &v, &n);
	if (r < 0) {
		undo(&m, 0);
		return r;
	}
	node_ref(n);
	r = created(q, n, &v, take_fd(fd));
	node_unref(q->fs, n);
	if (r < 0)
		undo(&m, 0);
	return r;
}

/* A file without a name lives by its descriptor. */
static int pin_new(struct req *q, struct node *n, int fd)
{
	char number[16];
	int path_fd;

	(void)snprintf(number, sizeof(number), "%d", fd);
	path_fd = openat(q->fs->proc_fd, number, O_PATH | O_CLOEXEC);
	if (path_fd < 0)
		return -errno;
	node_give_fd(q->fs, n, path_fd);
	n->flags |= NODE_GONE;
	return node_pin(q->fs, n);
}

int op_tmpfile(struct req *q)
{
	struct owner_file f = {.proc_fd = q->fs->proc_fd, .fresh = true};
	cleanup_close int fd = -1;
	struct maker m;
	struct view v;
	struct node *n;
	int r;

	r = begin(&m, q, S_IFREG | (q->a.create.mode & 07777), 0, CREATED_SIZE);
	if (r < 0)
		return r;
	fd = r = node_open_entry(m.dir_fd, ".", O_TMPFILE | O_RDWR | O_NOCTTY,
	                         owner_host_mode(m.owner.mode, false));
	if (r >= 0) {
		f.fd = fd;
		r = finish(&m, &f, NULL, &v, &n);
	}
	if (r < 0) {
		give_back(&m);
		return r;
	}
	node_ref(n);
	r = pin_new(q, n, fd);
	if (r == 0)
		r = created(q, n, &v, take_fd(fd));
	node_unref(q->fs, n);
	return r;
}

static bool is_special(uint32_t mode)
{
	return S_ISCHR(mode) || S_ISBLK(mode) || S_ISFIFO(mode) ||
	       S_ISSOCK(mode);
}

/* Devices, fifos and sockets are empty files on the host. */
int op_mknod(struct req *q)
{
	uint32_t mode = q->a.mknod.mode & (S_IFMT | 07777);
	struct owner_file f = {.proc_fd = q->fs->proc_fd, .fresh = true};
	cleanup_close int fd = -1;
	struct maker m;
	struct view v;
	struct node *n;
	int r;

	if (!(mode & S_IFMT))
		mode |= S_IFREG;
	if (!S_ISREG(mode) && !is_special(mode))
		return -EINVAL;
	r = begin(&m, q, mode,
	          S_ISCHR(mode) || S_ISBLK(mode) ? q->a.mknod.rdev : 0,
	          sizeof(struct fuse_entry_out));
	if (r < 0)
		return r;
	r = make_file(&m, &fd);
	if (r < 0) {
		give_back(&m);
		return r;
	}
	f.fd = fd;
	r = finish(&m, &f, q->name, &v, &n);
	if (r < 0) {
		undo(&m, 0);
		return r;
	}
	return answer(q, n, &v);
}

int op_mkdir(struct req *q)
{
	struct owner_file f = {
		.proc_fd = q->fs->proc_fd, .is_path = true, .fresh = true};
	cleanup_close int fd = -1;
	struct maker m;
	struct view v;
	struct node *n;
	int r;

	r = begin(&m, q, S_IFDIR | (q->a.mkdir.mode & 07777), 0,
	          sizeof(struct fuse_entry_out));
	if (r < 0)
		return r;
	if (mkdirat(m.dir_fd, q->name, owner_host_mode(m.owner.mode, true)) <
	    0) {
		r = -errno;
		give_back(&m);
		return r;
	}
	f.fd = fd = r =
		node_open_entry(m.dir_fd, q->name, O_PATH | O_DIRECTORY, 0);
	if (r >= 0)
		r = finish(&m, &f, q->name, &v, &n);
	if (r < 0) {
		undo(&m, AT_REMOVEDIR);
		return r;
	}
	node_give_fd(q->fs, n, take_fd(fd));
	return answer(q, n, &v);
}

int op_symlink(struct req *q)
{
	struct owner_file f = {
		.proc_fd = q->fs->proc_fd, .is_path = true, .name = q->name};
	struct maker m;
	struct view v;
	struct node *n;
	int r;

	if (strlen(q->name2) >= PATH_MAX)
		return -ENAMETOOLONG;
	r = begin(&m, q, S_IFLNK | 0777, 0, sizeof(struct fuse_entry_out));
	if (r < 0)
		return r;
	if (symlinkat(q->name2, m.dir_fd, q->name) < 0) {
		r = -errno;
		give_back(&m);
		return r;
	}
	f.fd = m.dir_fd;
	r = finish(&m, &f, q->name, &v, &n);
	if (r < 0) {
		undo(&m, 0);
		return r;
	}
	return answer(q, n, &v);
}

static int link_source(struct req *q, struct node **ret)
{
	struct node *n = node_by_id(q->fs, q->a.link.oldnodeid);

	if (!n)
		return -ESTALE;
	if (node_share(q->fs, n) != q->share || n->flags & NODE_PERMANENT)
		return -EXDEV;
	*ret = n;
	return n->type == S_IFDIR ? -EPERM : 0;
}

int op_link(struct req *q)
{
	struct fuse_entry_out out;
	struct node *n;
	char number[16];
	int fd, dir_fd, r;

	if (q->in->len < sizeof(out))
		return -EINVAL;
	r = link_source(q, &n);
	if (r < 0)
		return r;
	fd = node_fd(q->fs, n);
	if (fd < 0)
		return fd;
	dir_fd = node_dir_fd(q->fs, q->node);
	if (dir_fd < 0)
		return dir_fd;
	r = quota_take_name(&q->share->quota, 0);
	if (r < 0)
		return r;
	(void)snprintf(number, sizeof(number), "%d", fd);
	if (linkat(q->fs->proc_fd, number, dir_fd, q->name, AT_SYMLINK_FOLLOW) <
	    0) {
		r = -errno;
		quota_give(&q->share->quota, QUOTA_INODE_BYTES);
		return r;
	}
	r = lookup_entry(q, q->node, dir_fd, q->name, &out);
	return r < 0 ? r : req_put(q, &out, sizeof(out));
}
