/* names.c - UNLINK, RMDIR, RENAME: what takes a file's name away. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/server.h"

#include "base/banned.h"

/* The file that has the name @name in @dir now, and is about to lose it. */
struct victim {
	struct view v;
	struct node *node; /* that the guest knows, or NULL */
	bool there, pinned;
};

static void look(struct req *q, int dir_fd, const char *name,
                 struct victim *ret)
{
	struct owner_file f = {.fd = dir_fd, .is_path = true, .name = name};

	*ret = (struct victim){0};
	ret->there = view_take(&f, &ret->v) == 0;
	if (ret->there)
		ret->node = node_by_view(q->fs, q->share, &ret->v);
	if (ret->node && ret->node->flags & NODE_PERMANENT)
		ret->node = NULL;
}

static bool was_last(const struct victim *w)
{
	return S_ISDIR(w->v.host.st_mode) || w->v.host.st_nlink <= 1;
}

/*
 * If this is its last name, or what we find it by, its descriptor must stay. A
 * file that is open must not lose its last name without: what it occupies
 * would be nobody's.
 */
static int hold(struct req *q, struct node *dir, const char *name,
                struct victim *w)
{
	struct node *n = w->node;
	bool last = was_last(w), open = n && n->refs;
	int r = 0;

	if (!n)
		return 0;
	node_ref(n);
	if (last && !(n->flags & NODE_PINNED))
		r = node_anchor(q->fs, n, dir, name);
	if (r == 0 && node_is_at(n, dir, name) && !(n->flags & NODE_PINNED)) {
		r = node_pin(q->fs, n);
		w->pinned = r == 0;
	}
	return last && open && n->type == S_IFREG ? r : 0;
}

static void lost(struct req *q, struct node *dir, const char *name,
                 struct victim *w)
{
	struct node *n = w->node;

	if (n && node_is_at(n, dir, name))
		node_lose_anchor(q->fs, n);
	if (!w->there)
		return;
	quota_give(&q->share->quota,
	           QUOTA_INODE_BYTES + (S_ISDIR(w->v.host.st_mode)
	                                        ? QUOTA_FOLDER_BYTES
	                                        : 0));
	if (!was_last(w))
		return;
	if (n && n->flags & NODE_PINNED) {
		n->flags |= NODE_GONE; /* frees its room at its end */
		return;
	}
	if (n)
		node_close(q->fs, n);
	quota_give(&q->share->quota, view_bytes(&w->v.host));
}

static void let_go(struct req *q, struct victim *w)
{
	if (w->node)
		node_unref(q->fs, w->node);
}

static int remove_name(struct req *q, int flags)
{
	int fd = node_dir_fd(q->fs, q->node), r;
	struct victim w;

	if (fd < 0)
		return fd;
	look(q, fd, q->name, &w);
	r = hold(q, q->node, q->name, &w);
	if (r == 0 && unlinkat(fd, q->name, flags) < 0)
		r = -errno;
	if (r == 0)
		lost(q, q->node, q->name, &w);
	else if (w.pinned)
		node_unpin(q->fs, w.node);
	let_go(q, &w);
	return r;
}

int op_unlink(struct req *q)
{
	return remove_name(q, 0);
}

int op_rmdir(struct req *q)
{
	return remove_name(q, AT_REMOVEDIR);
}

struct move {
	struct node *from, *to; /* folders */
	int from_fd, to_fd;
	struct victim moved, over;
	unsigned flags;
};

static void exchanged(struct req *q, struct move *m)
{
	struct fs *fs = q->fs;
	bool a = m->moved.node && node_is_at(m->moved.node, m->from, q->name);
	bool b = m->over.node && node_is_at(m->over.node, m->to, q->name2);

	if (a)
		(void)node_anchor(fs, m->moved.node, m->to, q->name2);
	if (b)
		(void)node_anchor(fs, m->over.node, m->from, q->name);
}

static void moved(struct req *q, struct move *m)
{
	if (m->over.there)
		lost(q, m->to, q->name2, &m->over);
	if (m->moved.node)
		(void)node_anchor(q->fs, m->moved.node, m->to, q->name2);
}

static bool is_same_file(const struct move *m)
{
	return m->over.there && m->moved.there &&
	       m->over.v.host.st_ino == m->moved.v.host.st_ino &&
	       m->over.v.host.st_dev == m->moved.v.host.st_dev;
}

static int move_name(struct req *q, struct move *m)
{
	bool over = !(m->flags & RENAME_EXCHANGE);
	int r = 0;

	look(q, m->from_fd, q->name, &m->moved);
	look(q, m->to_fd, q->name2, &m->over);
	/* Two names of one file: rename() leaves both. */
	over = over && !is_same_file(m);
	if (over)
		r = hold(q, m->to, q->name2, &m->over);
	else if (m->over.node)
		node_ref(m->over.node);
	if (m->moved.node)
		node_ref(m->moved.node);
	if (r == 0 &&
	    renameat2(m->from_fd, q->name, m->to_fd, q->name2, m->flags) < 0)
		r = -errno;
	if (r < 0 && m->over.pinned)
		node_unpin(q->fs, m->over.node);
	if (r == 0 && over)
		moved(q, m);
	else if (r == 0 && !is_same_file(m))
		exchanged(q, m);
	let_go(q, &m->over);
	let_go(q, &m->moved);
	return r;
}

static int rename_to(struct req *q, uint64_t newdir, uint32_t flags)
{
	struct move m = {.from = q->node, .flags = flags};
	int r;

	if (flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	m.to = node_by_id(q->fs, newdir);
	if (!m.to)
		return -ESTALE;
	if (node_share(q->fs, m.to) != q->share)
		return -EXDEV;
	m.from_fd = node_dir_fd(q->fs, m.from);
	if (m.from_fd < 0)
		return m.from_fd;
	m.to_fd = node_dir_fd(q->fs, m.to);
	if (m.to_fd < 0)
		return m.to_fd;
	node_ref(m.to); /* as run() does with the other */
	r = move_name(q, &m);
	node_unref(q->fs, m.to);
	return r;
}

int op_rename(struct req *q)
{
	return rename_to(q, q->a.rename.newdir, 0);
}

int op_rename2(struct req *q)
{
	return rename_to(q, q->a.rename2.newdir, q->a.rename2.flags);
}
