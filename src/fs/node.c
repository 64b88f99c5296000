/* node.c - the table of files that the guest knows; theory in server.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "fs/server.h"

#include "base/banned.h"

#define TABLE_FIRST 1024u

static size_t hash(const struct fs *fs, uint64_t a, uint64_t b)
{
	uint64_t x = (a + fs->seed) * 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 32) ^ b) * 0xff51afd7ed558ccdULL;
	return (size_t)(x ^ (x >> 29));
}

static struct node **id_chain(const struct fs *fs, uint64_t id)
{
	return &fs->ids.chains[hash(fs, id, 0) & (fs->ids.size - 1)];
}

static struct node **key_chain(const struct fs *fs, uint64_t dev, uint64_t ino)
{
	return &fs->keys.chains[hash(fs, ino, dev) & (fs->keys.size - 1)];
}

int nodes_init(struct fs *fs)
{
	if (getrandom(&fs->seed, sizeof(fs->seed), 0) !=
	    (ssize_t)sizeof(fs->seed))
		return -EIO;
	fs->ids.chains = calloc(TABLE_FIRST, sizeof(struct node *));
	fs->keys.chains = calloc(TABLE_FIRST, sizeof(struct node *));
	if (!fs->ids.chains || !fs->keys.chains)
		return -ENOMEM;
	fs->ids.size = fs->keys.size = TABLE_FIRST;
	fs->next_id = FUSE_ROOT_ID + 1;
	fs->root.id = FUSE_ROOT_ID;
	fs->root.fd = -1;
	fs->root.type = S_IFDIR;
	fs->root.flags = NODE_PERMANENT;
	return 0;
}

static void link_id(struct fs *fs, struct node *n)
{
	struct node **at = id_chain(fs, n->id);

	n->by_id = *at;
	*at = n;
}

static void link_key(struct fs *fs, struct node *n)
{
	struct node **at = key_chain(fs, n->dev, n->ino);

	n->by_key = *at;
	*at = n;
}

static void unlink_id(struct fs *fs, struct node *n)
{
	struct node **at = id_chain(fs, n->id);

	while (*at != n)
		at = &(*at)->by_id;
	*at = n->by_id;
}

static void unlink_key(struct fs *fs, struct node *n)
{
	struct node **at = key_chain(fs, n->dev, n->ino);

	while (*at != n)
		at = &(*at)->by_key;
	*at = n->by_key;
}

/* Twice the size; both tables always have the same. */
static void grow(struct fs *fs)
{
	struct node_table ids = fs->ids, keys = fs->keys;
	size_t size = ids.size * 2;
	struct node **a = calloc(size, sizeof(*a));
	struct node **b = calloc(size, sizeof(*b));

	if (!a || !b) { /* longer chains, no more */
		free(a);
		free(b);
		return;
	}
	fs->ids = (struct node_table){a, size};
	fs->keys = (struct node_table){b, size};
	for (size_t i = 0; i < ids.size; i++) {
		struct node *n, *next;

		for (n = ids.chains[i]; n; n = next) {
			next = n->by_id;
			link_id(fs, n);
		}
		for (n = keys.chains[i]; n; n = next) {
			next = n->by_key;
			link_key(fs, n);
		}
	}
	free(ids.chains);
	free(keys.chains);
}

struct node *node_by_id(struct fs *fs, uint64_t id)
{
	struct node *n;

	if (id == FUSE_ROOT_ID)
		return &fs->root;
	for (n = *id_chain(fs, id); n; n = n->by_id)
		if (n->id == id)
			return n;
	return NULL;
}

/* Its number on the host is another file's now. */
static void bury(struct fs *fs, struct node *n)
{
	unlink_key(fs, n);
	n->flags |= NODE_STALE;
	if (!(n->flags & NODE_PINNED))
		node_close(fs, n);
	node_lose_anchor(fs, n);
}

static bool is_same(const struct node *n, const struct view *v)
{
	return n->type == (v->host.st_mode & S_IFMT) &&
	       (n->btime == v->btime || !n->btime || !v->btime);
}

bool node_is(const struct node *n, const struct view *v)
{
	return n->ino == v->host.st_ino && n->dev == v->host.st_dev &&
	       is_same(n, v);
}

struct node *node_by_number(struct fs *fs, const struct share *share,
                            uint64_t dev, uint64_t ino)
{
	struct node *n;

	for (n = *key_chain(fs, dev, ino); n; n = n->by_key)
		if (n->ino == ino && n->dev == dev && n->share == share->index)
			break;
	return n;
}

struct node *node_by_view(struct fs *fs, const struct share *share,
                          const struct view *v)
{
	struct node *n =
		node_by_number(fs, share, v->host.st_dev, v->host.st_ino);

	if (!n || is_same(n, v) || n->flags & NODE_PERMANENT)
		return n;
	bury(fs, n);
	return NULL;
}

static struct node *node_new(struct fs *fs, const struct share *share,
                             const struct view *v)
{
	struct node *n;

	if (fs->nnodes >= fs->nodes_max)
		return NULL;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	if (fs->nnodes >= fs->ids.size)
		grow(fs);
	n->id = fs->next_id++;
	n->dev = v->host.st_dev;
	n->ino = v->host.st_ino;
	n->btime = v->btime;
	n->type = (uint16_t)(v->host.st_mode & S_IFMT);
	n->share = share->index;
	n->fd = -1;
	link_id(fs, n);
	link_key(fs, n);
	fs->nnodes++;
	return n;
}

/* Free what nobody counts any more, and then perhaps its folder. */
static void node_drop(struct fs *fs, struct node *n)
{
	while (n && !n->nlookup && !n->refs && !(n->flags & NODE_PERMANENT)) {
		struct node *parent = n->parent;

		node_end(fs, n);
		unlink_id(fs, n);
		if (!(n->flags & NODE_STALE))
			unlink_key(fs, n);
		fs->nnodes--;
		free(n->name);
		free(n);
		if (parent)
			parent->refs--;
		n = parent;
	}
}

int node_get(struct fs *fs, const struct share *share, const struct view *v,
             struct node *parent, const char *name, struct node **ret)
{
	struct node *n = node_by_view(fs, share, v);
	int r = 0;

	if (!n)
		n = node_new(fs, share, v);
	if (!n)
		return -ENFILE;
	if (name && !(n->flags & NODE_PERMANENT))
		r = node_anchor(fs, n, parent, name);
	if (r < 0) {
		node_drop(fs, n);
		return r;
	}
	*ret = n;
	return 0;
}

int node_add_permanent(struct fs *fs, struct share *share, const struct view *v)
{
	struct node *n = node_new(fs, share, v);

	if (!n)
		return -ENOMEM;
	n->flags = NODE_PERMANENT | NODE_PINNED;
	n->fd = share->cfg.fd;
	share->root = n;
	return 0;
}

/* Put @n below @parent: whoever of its ancestors was below @n is not now. */
static void cut_loop(struct fs *fs, const struct node *n, struct node *parent)
{
	struct node *p = parent;

	if (n->type != S_IFDIR || !n->refs)
		return;
	for (; p->parent; p = p->parent)
		if (p->parent == n) {
			node_lose_anchor(fs, p);
			return;
		}
}

bool node_is_at(const struct node *n, const struct node *parent,
                const char *name)
{
	return n->parent == parent && n->name && strcmp(n->name, name) == 0;
}

int node_anchor(struct fs *fs, struct node *n, struct node *parent,
                const char *name)
{
	char *copy;

	if (n->flags & NODE_PINNED)
		node_unpin(fs, n);
	if (node_is_at(n, parent, name))
		return 0;
	if (n == parent)
		return -ELOOP;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	node_ref(parent);
	node_ref(n); /* its old folder may be the last that held it */
	cut_loop(fs, n, parent);
	node_lose_anchor(fs, n);
	n->refs--;
	n->parent = parent;
	n->name = copy;
	n->flags &= (uint8_t)~NODE_GONE;
	return 0;
}

void node_lose_anchor(struct fs *fs, struct node *n)
{
	struct node *parent = n->parent;

	free(n->name);
	n->name = NULL;
	n->parent = NULL;
	if (parent)
		node_unref(fs, parent);
}

void node_ref(struct node *n)
{
	n->refs++;
}

void node_unref(struct fs *fs, struct node *n)
{
	n->refs--;
	node_drop(fs, n);
}

void node_forget(struct fs *fs, struct node *n, uint64_t count)
{
	n->nlookup -= count < n->nlookup ? count : n->nlookup;
	node_drop(fs, n);
}

void nodes_clear(struct fs *fs)
{
	for (size_t i = 0; i < fs->ids.size; i++) {
		struct node **at = &fs->ids.chains[i], *n;

		while ((n = *at)) {
			if (n->flags & NODE_PERMANENT) {
				n->refs = 0;
				n->nlookup = 0;
				n->flags &= (uint8_t)~NODE_SEEN;
				at = &n->by_id;
				continue;
			}
			*at = n->by_id;
			node_end(fs, n);
			if (!(n->flags & NODE_STALE))
				unlink_key(fs, n);
			free(n->name);
			free(n);
			fs->nnodes--;
		}
	}
	fs->root.refs = 0;
}

void nodes_release(struct fs *fs)
{
	if (fs->ids.chains && fs->keys.chains)
		nodes_clear(fs);
	for (size_t i = 0; i < fs->nshares; i++)
		free(fs->shares[i].root);
	free(fs->ids.chains);
	free(fs->keys.chains);
}
