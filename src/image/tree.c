#include "image/tree.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/escape.h"
#include "base/num.h"

#include "base/banned.h"

#define HASH_BITS_MIN 12

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory while merging layers");
}

static const uint8_t *pool(const struct tree *t, uint32_t layer, uint32_t off)
{
	return t->layers[layer].pool + off;
}

static int refuse(const struct tree *t, uint32_t layer,
                  const struct index_entry *e, struct err *err, const char *why)
{
	struct buf cleanup_buf name = BUF_INIT;

	(void)escape_text(&name, pool(t, layer, e->path_off),
	                  MIN(e->path_len, 256u), 0);
	return err_set(err, -EBADMSG, "layer %u, entry %s: %s", layer + 1,
	               buf_str(&name), why);
}

/*
 * SipHash-1-3, so that an image whose names are made to collide costs its
 * author more than us; the seed is new for each tree.
 */
#define ROTL(x, b) ((x) << (b) | (x) >> (64 - (b)))

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = ROTL(v[1], 13) ^ v[0];
	v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] = ROTL(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = ROTL(v[1], 17) ^ v[2];
	v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] = ROTL(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t m)
{
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
}

static uint64_t hash_of(const struct tree *t, uint32_t parent,
                        const uint8_t *name, size_t len)
{
	uint64_t v[4] = {t->seed[0] ^ 0x736f6d6570736575ULL,
	                 t->seed[1] ^ 0x646f72616e646f6dULL,
	                 t->seed[0] ^ 0x6c7967656e657261ULL,
	                 t->seed[1] ^ 0x7465646279746573ULL};
	uint64_t last = 0;

	sip_word(v, (uint64_t)parent << 32 | len);
	for (; len >= 8; name += 8, len -= 8)
		sip_word(v, get_le64(name));
	memcpy(&last, name, len);
	sip_word(v, last);
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint32_t *bucket(const struct tree *t, uint32_t parent,
                        const uint8_t *name, size_t len)
{
	return &t->hash[hash_of(t, parent, name, len) >> (64 - t->hash_bits)];
}

/* The name's number, dead or not, or TREE_NONE. */
static uint32_t find(const struct tree *t, uint32_t parent, const uint8_t *name,
                     size_t len)
{
	uint32_t i = *bucket(t, parent, name, len);

	for (; i != TREE_NONE; i = t->names[i].hash_next) {
		const struct tree_name *d = &t->names[i];

		if (d->parent == parent && d->len == len &&
		    memcmp(d->text, name, len) == 0)
			break;
	}
	return i;
}

uint32_t tree_find(const struct tree *t, uint32_t parent, const uint8_t *name,
                   size_t len)
{
	uint32_t i = find(t, parent, name, len);

	return i != TREE_NONE && t->names[i].dead ? TREE_NONE : i;
}

static int grow_hash(struct tree *t)
{
	uint32_t bits = t->hash ? t->hash_bits + 1 : HASH_BITS_MIN;
	uint32_t *h = malloc(sizeof(*h) << bits);

	if (!h)
		return -ENOMEM;
	memset(h, 0xff, sizeof(*h) << bits);
	free(t->hash);
	t->hash = h;
	t->hash_bits = bits;
	for (uint32_t i = 0; i < t->nnames; i++) {
		struct tree_name *d = &t->names[i];
		uint32_t *b = bucket(t, d->parent, d->text, d->len);

		d->hash_next = *b;
		*b = i;
	}
	return 0;
}

/* Room for one more of @n elements in *v. */
static int grow(void **v, uint32_t n, uint32_t *cap, size_t size)
{
	uint32_t want = *cap ? *cap * 2 : 1024;
	void *p;

	if (n < *cap)
		return 0;
	p = reallocarray(*v, want, size);
	if (!p)
		return -ENOMEM;
	*v = p;
	*cap = want;
	return 0;
}

int tree_new_inode(struct tree *t, const struct index_entry *e, uint32_t layer,
                   uint32_t parent, uint32_t *ret, struct err *err)
{
	if (t->ninodes == TREE_INODES_MAX)
		return err_set(err, -E2BIG, "image has over %d files",
		               TREE_INODES_MAX);
	if (grow((void **)&t->inodes, t->ninodes, &t->cap_inodes,
	         sizeof(*t->inodes)) < 0)
		return no_memory(err);
	t->inodes[t->ninodes] = (struct tree_inode){
		.e = e,
		.layer = layer,
		.first_child = TREE_NONE,
		.parent = parent,
	};
	*ret = t->ninodes++;
	return 0;
}

static int new_name(struct tree *t, uint32_t parent, const uint8_t *text,
                    size_t len, uint32_t inode, struct err *err)
{
	uint32_t *b, i = t->nnames;

	if (i == TREE_NAMES_MAX)
		return err_set(err, -E2BIG, "image has over %d names",
		               TREE_NAMES_MAX);
	if (grow((void **)&t->names, i, &t->cap_names, sizeof(*t->names)) < 0 ||
	    (i >> t->hash_bits && grow_hash(t) < 0))
		return no_memory(err);
	b = bucket(t, parent, text, len);
	t->names[i] = (struct tree_name){
		.text = text,
		.parent = parent,
		.inode = inode,
		.next = t->inodes[parent].first_child,
		.hash_next = *b,
		.len = (uint8_t)len,
	};
	*b = i;
	t->inodes[parent].first_child = i;
	t->nnames++;
	return 0;
}

static int set_name(struct tree *t, uint32_t i, uint32_t parent,
                    const uint8_t *text, size_t len, uint32_t inode,
                    struct err *err)
{
	if (i == TREE_NONE)
		return new_name(t, parent, text, len, inode, err);
	t->names[i].inode = inode;
	t->names[i].dead = false;
	t->last_dir = NULL; /* what led through the old one may not any more */
	return 0;
}

int tree_set_name(struct tree *t, uint32_t parent, const uint8_t *text,
                  size_t len, uint32_t inode, struct err *err)
{
	return set_name(t, find(t, parent, text, len), parent, text, len, inode,
	                err);
}

void tree_take(struct tree *t, uint32_t name)
{
	t->names[name].dead = true;
	t->names[name].taken = true;
	t->last_dir = NULL;
}

/* What is still to be walked: a path and the link texts met on it. */
struct walk {
	struct {
		const uint8_t *p, *end;
	} todo[TREE_LINKS_MAX + 1];
	unsigned depth, links;
	uint32_t at; /* inode of a folder */
};

/* The next part, or NULL at the end. */
static const uint8_t *next_part(struct walk *w, size_t *ret_len)
{
	while (w->depth) {
		const uint8_t *p = w->todo[w->depth - 1].p;
		const uint8_t *end = w->todo[w->depth - 1].end, *slash;

		while (p < end && *p == '/')
			p++;
		slash = memchr(p, '/', (size_t)(end - p));
		*ret_len = (size_t)((slash ? slash : end) - p);
		w->todo[w->depth - 1].p = p + *ret_len;
		if (*ret_len)
			return p;
		w->depth--;
	}
	return NULL;
}

static int step_link(const struct tree *t, struct walk *w, uint32_t inode)
{
	const struct tree_inode *n = &t->inodes[inode];
	const uint8_t *text = pool(t, n->layer, n->e->link_off);

	if (w->links++ == TREE_LINKS_MAX)
		return -ELOOP;
	if (text[0] == '/')
		w->at = TREE_ROOT;
	w->todo[w->depth].p = text;
	w->todo[w->depth++].end = text + n->e->link_len;
	return 0;
}

static int step(struct tree *t, struct walk *w, const uint8_t *part, size_t len,
                bool create, struct err *err)
{
	uint32_t i, inode;
	int r;

	if (len == 1 && part[0] == '.')
		return 0;
	if (len == 2 && part[0] == '.' && part[1] == '.') {
		w->at = t->inodes[w->at].parent;
		return 0;
	}
	if (len > INDEX_PART_MAX)
		return -ENAMETOOLONG;
	i = find(t, w->at, part, len);
	if (i == TREE_NONE || t->names[i].dead) {
		if (!create)
			return -ENOENT;
		r = tree_new_inode(t, NULL, 0, w->at, &inode, err);
		if (r == 0)
			r = set_name(t, i, w->at, part, len, inode, err);
		w->at = inode;
		return r;
	}
	inode = t->names[i].inode;
	if (tree_is_dir(t, inode)) {
		w->at = inode;
		return 0;
	}
	if (t->inodes[inode].e->type == INDEX_SYM)
		return step_link(t, w, inode);
	return -ENOTDIR;
}

int tree_walk(struct tree *t, uint32_t from, const uint8_t *path, size_t len,
              bool create, uint32_t *ret, struct err *err)
{
	struct walk w = {.depth = 1, .at = from};
	const uint8_t *part;
	size_t part_len;

	w.todo[0].p = path;
	w.todo[0].end = path + len;
	while ((part = next_part(&w, &part_len))) {
		int r = step(t, &w, part, part_len, create, err);

		if (r < 0)
			return r;
	}
	*ret = w.at;
	return 0;
}

static int walk_dir(struct tree *t, const uint8_t *path, size_t len,
                    bool create, uint32_t *ret, struct err *err)
{
	return tree_walk(t, TREE_ROOT, path, len, create, ret, err);
}

/* "usr/bin/env" is "env" in "usr/bin". */
struct split {
	const uint8_t *dir, *base;
	uint32_t dir_len, base_len;
};

static struct split split_path(const uint8_t *path, uint32_t len)
{
	const uint8_t *slash = memrchr(path, '/', len);
	uint32_t dir_len = slash ? (uint32_t)(slash - path) : 0;
	uint32_t skip = slash ? dir_len + 1 : 0;

	return (struct split){path, path + skip, dir_len, len - skip};
}

static int find_parent(struct tree *t, const struct split *s, bool create,
                       uint32_t *ret, struct err *err)
{
	int r;

	if (t->last_dir && t->last_dir_len == s->dir_len &&
	    memcmp(t->last_dir, s->dir, s->dir_len) == 0) {
		*ret = t->last_dir_inode;
		return 0;
	}
	r = walk_dir(t, s->dir, s->dir_len, create, ret, err);
	if (r < 0)
		return r;
	t->last_dir = s->dir;
	t->last_dir_len = s->dir_len;
	t->last_dir_inode = *ret;
	return 0;
}

static int path_failed(const struct tree *t, uint32_t layer,
                       const struct index_entry *e, int r, struct err *err)
{
	switch (r) {
	case -ENOTDIR:
		return refuse(t, layer, e, err, "lies below a non-folder");
	case -ELOOP:
		return refuse(t, layer, e, err, "too many links on the way");
	case -ENAMETOOLONG:
		return refuse(t, layer, e, err, "a link leads to a long name");
	default:
		return r;
	}
}

static bool no_such_path(int r)
{
	return r == -ENOENT || r == -ENOTDIR || r == -ELOOP ||
	       r == -ENAMETOOLONG;
}

/* The inode that a hard link's target names. */
static int find_target(struct tree *t, uint32_t layer,
                       const struct index_entry *e, uint32_t over,
                       uint32_t *ret, struct err *err)
{
	struct split s = split_path(pool(t, layer, e->link_off), e->link_len);
	uint32_t dir, i;
	int r = walk_dir(t, s.dir, s.dir_len, false, &dir, err);

	if (r < 0 && !no_such_path(r))
		return r;
	i = r < 0 ? TREE_NONE : tree_find(t, dir, s.base, s.base_len);
	if (i == TREE_NONE)
		return refuse(t, layer, e, err, "hard link to a missing file");
	if (i == over)
		return refuse(t, layer, e, err, "hard link to itself");
	if (tree_is_dir(t, t->names[i].inode))
		return refuse(t, layer, e, err, "hard link to a folder");
	*ret = t->names[i].inode;
	return 0;
}

static int apply_root(struct tree *t, uint32_t layer,
                      const struct index_entry *e, struct err *err)
{
	if (e->type != INDEX_DIR)
		return refuse(t, layer, e, err, "the root is no folder");
	t->inodes[TREE_ROOT].e = e;
	t->inodes[TREE_ROOT].layer = layer;
	return 0;
}

static int apply_entry(struct tree *t, uint32_t layer,
                       const struct index_entry *e, struct err *err)
{
	struct split s = split_path(pool(t, layer, e->path_off), e->path_len);
	uint32_t parent, i, inode;
	bool live;
	int r;

	if (e->path_len == 0)
		return apply_root(t, layer, e, err);
	r = find_parent(t, &s, true, &parent, err);
	if (r < 0)
		return path_failed(t, layer, e, r, err);
	i = find(t, parent, s.base, s.base_len);
	live = i != TREE_NONE && !t->names[i].dead;
	if (e->type == INDEX_HARD) {
		r = find_target(t, layer, e, live ? i : TREE_NONE, &inode, err);
	} else if (e->type == INDEX_DIR && live &&
	           tree_is_dir(t, t->names[i].inode)) {
		t->inodes[t->names[i].inode].e = e;
		t->inodes[t->names[i].inode].layer = layer;
		return 0;
	} else {
		r = tree_new_inode(t, e, layer, parent, &inode, err);
	}
	return r < 0 ? r
	             : set_name(t, i, parent, s.base, s.base_len, inode, err);
}

static int apply_opaque(struct tree *t, uint32_t layer,
                        const struct index_entry *e, struct err *err)
{
	uint32_t dir, i;
	int r = walk_dir(t, pool(t, layer, e->path_off), e->path_len, false,
	                 &dir, err);

	if (r < 0)
		return no_such_path(r) ? 0 : r;
	for (i = t->inodes[dir].first_child; i != TREE_NONE;
	     i = t->names[i].next)
		t->names[i].dead = true;
	return 0;
}

static int apply_whiteout(struct tree *t, uint32_t layer,
                          const struct index_entry *e, struct err *err)
{
	struct split s = split_path(pool(t, layer, e->path_off), e->path_len);
	uint32_t dir, i;
	int r = walk_dir(t, s.dir, s.dir_len, false, &dir, err);

	if (r < 0)
		return no_such_path(r) ? 0 : r;
	i = find(t, dir, s.base, s.base_len);
	if (i != TREE_NONE)
		t->names[i].dead = true;
	return 0;
}

/*
 * A mark and the folders on its way may be written in any order, so all are
 * looked up in the tree of the lower layers, and only then take effect: names
 * that an earlier mark took away no longer lead anywhere, which is right, as
 * all that is below them is gone with them.
 */
static int apply_layer(struct tree *t, uint32_t layer, struct err *err)
{
	const struct index *ix = &t->layers[layer];
	int r = 0;

	t->last_dir = NULL;
	for (uint32_t i = 0; r == 0 && layer && i < ix->n; i++) {
		const struct index_entry *e = &ix->entries[i];

		if (e->type == INDEX_WHITEOUT)
			r = apply_whiteout(t, layer, e, err);
		else if (e->type == INDEX_OPAQUE)
			r = apply_opaque(t, layer, e, err);
	}
	for (uint32_t i = 0; r == 0 && i < ix->n; i++) {
		const struct index_entry *e = &ix->entries[i];

		if (e->type != INDEX_WHITEOUT && e->type != INDEX_OPAQUE)
			r = apply_entry(t, layer, e, err);
	}
	return r;
}

static int by_name(const void *a, const void *b, void *arg)
{
	const struct tree *t = arg;
	const struct tree_name *x = &t->names[*(const uint32_t *)a];
	const struct tree_name *y = &t->names[*(const uint32_t *)b];
	int c = memcmp(x->text, y->text, MIN(x->len, y->len));

	return c ? c : x->len - y->len;
}

/* Sort a folder's live names; @tmp has room for all names. */
static void sort_children(struct tree *t, uint32_t dir, uint32_t *tmp)
{
	uint32_t n = 0, *link = &t->inodes[dir].first_child;

	for (uint32_t i = *link; i != TREE_NONE; i = t->names[i].next)
		if (!t->names[i].dead)
			tmp[n++] = i;
	qsort_r(tmp, n, sizeof(*tmp), by_name, t);
	for (uint32_t i = 0; i < n; i++) {
		*link = tmp[i];
		link = &t->names[tmp[i]].next;
	}
	*link = TREE_NONE;
}

/*
 * A folder's entries get their places side by side, then its first folder's
 * do, and so on. @stack: folders that wait, the next one on top.
 */
static void order_children(struct tree *t, uint32_t dir, uint32_t *stack,
                           uint32_t *nstack)
{
	uint32_t start = *nstack, i = t->inodes[dir].first_child;

	t->inodes[dir].nlink = 2;
	for (; i != TREE_NONE; i = t->names[i].next) {
		uint32_t child = t->names[i].inode;

		if (tree_is_dir(t, child)) {
			t->inodes[dir].nlink++;
			stack[(*nstack)++] = child;
		}
		if (tree_is_dir(t, child) || t->inodes[child].nlink++ == 0)
			t->order[t->norder++] = child;
	}
	for (uint32_t a = start, b = *nstack; a + 1 < b; a++, b--) {
		uint32_t x = stack[a];

		stack[a] = stack[b - 1];
		stack[b - 1] = x;
	}
}

int tree_finish(struct tree *t, struct err *err)
{
	uint32_t *tmp cleanup_free = NULL, *stack cleanup_free = NULL, n = 0;

	t->order = calloc(t->ninodes, sizeof(*t->order));
	stack = calloc(t->ninodes, sizeof(*stack));
	tmp = calloc(t->nnames + 1, sizeof(*tmp));
	if (!t->order || !tmp || !stack)
		return no_memory(err);
	t->order[t->norder++] = TREE_ROOT;
	stack[n++] = TREE_ROOT;
	while (n) {
		uint32_t dir = stack[--n];

		sort_children(t, dir, tmp);
		order_children(t, dir, stack, &n);
	}
	return 0;
}

int tree_merge(const struct index *layers, uint32_t n, struct tree **ret,
               struct err *err)
{
	struct tree *t cleanup_tree = calloc(1, sizeof(*t));
	uint32_t root;
	int r;

	if (!t || getrandom(t->seed, sizeof(t->seed), 0) != sizeof(t->seed) ||
	    grow_hash(t) < 0)
		return no_memory(err);
	t->layers = layers;
	t->nlayers = n;
	r = tree_new_inode(t, NULL, 0, TREE_ROOT, &root, err);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = apply_layer(t, i, err);
	if (r == 0)
		*ret = take_ptr(t);
	return r;
}

int tree_build(const struct index *layers, uint32_t n, struct tree **ret,
               struct err *err)
{
	struct tree *t cleanup_tree = NULL;
	int r = tree_merge(layers, n, &t, err);

	if (r == 0)
		r = tree_finish(t, err);
	if (r == 0)
		*ret = take_ptr(t);
	return r;
}

void tree_free(struct tree *t)
{
	if (!t)
		return;
	free(t->inodes);
	free(t->names);
	free(t->hash);
	free(t->order);
	free(t);
}
