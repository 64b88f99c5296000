#include "image/patch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/escape.h"
#include "base/num.h"
#include "image/gc.h"
#include "image/layer_path.h"
#include "image/patch_int.h"

#include "base/banned.h"

#define CHUNK_BYTES (64 * KIB)
#define MTIME_MIN   315532800 /* 1980: what a zip file can hold */
#define MODE_MAX    07777u

static const char *const names[PATCH_KINDS] = {
	[PATCH_FILE] = "file",         [PATCH_COPY] = "copy",
	[PATCH_APPEND] = "append",     [PATCH_MKDIR] = "mkdir",
	[PATCH_SYMLINK] = "symlink",   [PATCH_REMOVE] = "remove",
	[PATCH_SET_MODE] = "set_mode", [PATCH_SET_OWNER] = "set_owner",
};

const char *patch_kind_name(enum patch_kind kind)
{
	return (size_t)kind < PATCH_KINDS && names[kind] ? names[kind] : "";
}

/* ---- memory and errors --------------------------------------------------- */

struct patch_chunk {
	struct patch_chunk *next;
	size_t used, size;
	_Alignas(16) uint8_t data[];
};

void *patch_alloc(struct patch_job *j, size_t len)
{
	struct patch_chunk *c = j->chunks;
	void *p;

	len = num_align_up(len, 16);
	if (!c || c->size - c->used < len) {
		size_t size = MAX(len, (size_t)CHUNK_BYTES);

		c = calloc(1, sizeof(*c) + size);
		if (!c) {
			(void)err_set(j->err, -ENOMEM, "out of memory");
			return NULL;
		}
		c->size = size;
		c->next = j->chunks;
		j->chunks = c;
	}
	p = c->data + c->used;
	c->used += len;
	return p;
}

char *patch_copy_text(struct patch_job *j, const char *text, size_t len)
{
	char *p = patch_alloc(j, len + 1);

	if (p)
		memcpy(p, text, len);
	return p;
}

static void free_chunks(struct patch_job *j)
{
	while (j->chunks) {
		struct patch_chunk *next = j->chunks->next;

		free(j->chunks);
		j->chunks = next;
	}
}

static int complain(const struct patch *p, int code, struct err *err,
                    const char *why)
{
	struct buf cleanup_buf path = BUF_INIT;

	(void)escape_text(&path, p->path, strnlen(p->path, 200), 0);
	return err_set(err, code, "patch of %s: %s", buf_str(&path), why);
}

int patch_error(struct patch_job *j, int code, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return complain(j->cur, code, j->err, why);
}

/* ---- what is wrong by itself --------------------------------------------- */

/* A layer has such names for what it takes away. */
static bool is_whiteout(const char *path)
{
	return strstr(path, "/.wh.") != NULL;
}

static int check_path(const struct patch *p, struct err *err)
{
	if (!p->path || *p->path != '/')
		return err_set(err, -EINVAL,
		               "patch of '%.200s': not an absolute path",
		               p->path ? p->path : "");
	if (!layer_path_is_clean(p->path + 1, strlen(p->path + 1))) {
		(void)complain(p, -EINVAL, err, "not a plain path");
		err_hint(err, "without '.', '..', double slashes and a slash "
		              "at the end; a name has at most 255 bytes");
		return -EINVAL;
	}
	if (is_whiteout(p->path))
		return complain(p, -EINVAL, err,
		                "names that begin with .wh. have a meaning in "
		                "images");
	if (p->path[1] == '\0' && p->kind != PATCH_MKDIR &&
	    p->kind != PATCH_SET_MODE && p->kind != PATCH_SET_OWNER)
		return complain(p, -EINVAL, err, "that is the root itself");
	return 0;
}

static int check_values(const struct patch *p, struct err *err)
{
	if (p->mode > MODE_MAX)
		return complain(p, -EINVAL, err,
		                "a mode has four octal digits");
	if (p->uid == UINT32_MAX || p->gid == UINT32_MAX)
		return complain(p, -EINVAL, err, "there is no such owner");
	if ((p->kind == PATCH_COPY || p->kind == PATCH_SYMLINK) &&
	    (!p->source || !*p->source))
		return complain(p, -EINVAL, err, "a source is missing");
	if (p->kind == PATCH_SYMLINK && strlen(p->source) > INDEX_PATH_MAX)
		return complain(p, -EINVAL, err, "the link's text is too long");
	if (!p->data && p->data_len)
		return complain(p, -EINVAL, err, "the data are missing");
	return 0;
}

int patch_check(const struct patch *p, struct err *err)
{
	const uint32_t known = PATCH_F_REPLACE | PATCH_F_MODE | PATCH_F_OWNER |
	                       PATCH_F_NO_LINKS;
	int r;

	if (!*patch_kind_name(p->kind))
		return err_set(err, -EINVAL, "there is no patch of kind %d",
		               (int)p->kind);
	r = check_path(p, err);
	if (r < 0)
		return r;
	if (p->flags & ~known)
		return complain(p, -EINVAL, err, "unknown flags");
	if ((p->flags & PATCH_F_NO_LINKS) && p->kind != PATCH_COPY)
		return complain(p, -EINVAL, err,
		                "only what is copied has a path of the host");
	return check_values(p, err);
}

/* ---- parts --------------------------------------------------------------- */

struct patch_made *patch_make(struct patch_job *j, enum index_type type,
                              uint32_t mode)
{
	struct patch_made *m = patch_alloc(j, sizeof(*m));
	const struct patch *p = j->cur;

	if (!m)
		return NULL;
	m->e.type = (uint8_t)type;
	m->e.mode = (uint16_t)(p->flags & PATCH_F_MODE ? p->mode : mode);
	m->e.uid = p->flags & PATCH_F_OWNER ? p->uid : 0;
	m->e.gid = p->flags & PATCH_F_OWNER ? p->gid : 0;
	m->e.mtime = j->mtime;
	m->end = &m->parts;
	return m;
}

struct patch_part *patch_add_part(struct patch_job *j, struct patch_made *m,
                                  uint64_t len)
{
	struct patch_part *part;

	if (len > INDEX_DATA_MAX - m->e.size) {
		(void)patch_error(j, -EFBIG, "the file is too large");
		return NULL;
	}
	part = patch_alloc(j, sizeof(*part));
	if (!part)
		return NULL;
	part->len = len;
	m->e.size += len;
	*m->end = part;
	m->end = &part->next;
	return part;
}

/* The tree reads texts of links through its layers' pools. */
int patch_set_link(struct patch_job *j, struct patch_made *m, const char *text,
                   size_t len)
{
	m->e.link_off = (uint32_t)j->links.len;
	m->e.link_len = (uint32_t)len;
	if (buf_add(&j->links, text, len) < 0)
		return err_set(j->err, -ENOMEM, "out of memory");
	j->layers[j->nlayers].pool = j->links.data;
	return 0;
}

int patch_add(struct patch_job *j, struct patch_made *m, uint32_t parent,
              const char *name, size_t len, uint32_t *ret_inode)
{
	char *text = patch_copy_text(j, name, len);
	int r = text ? tree_new_inode(j->tree, &m->e, j->nlayers, parent,
	                              ret_inode, j->err)
	             : -ENOMEM;

	return r < 0 ? r
	             : tree_set_name(j->tree, parent, (const uint8_t *)text,
	                             len, *ret_inode, j->err);
}

/* ---- places in the tree -------------------------------------------------- */

struct place {
	uint32_t parent; /* of the name */
	const char *base;
	size_t base_len;
	uint32_t name, inode; /* TREE_NONE: there is none */
};

/* Folders that the walk has made get an entry, so that they have a time. */
static int adopt_folders(struct patch_job *j, uint32_t from)
{
	struct tree *t = j->tree;

	for (uint32_t i = from; i < t->ninodes; i++) {
		struct patch_made *m = patch_make(j, INDEX_DIR, 0755);

		if (!m)
			return -ENOMEM;
		m->e.mode = 0755;
		m->e.uid = m->e.gid = 0;
		t->inodes[i].e = &m->e;
		t->inodes[i].layer = j->nlayers;
	}
	return 0;
}

static int path_failed(struct patch_job *j, int r)
{
	switch (r) {
	case -ENOENT:
		return patch_error(j, r, "there is no such file");
	case -ENOTDIR:
		return patch_error(j, r,
		                   "it lies below something that is no "
		                   "folder");
	case -ELOOP:
		return patch_error(j, r, "too many links on the way");
	case -ENAMETOOLONG:
		return patch_error(j, r,
		                   "a link on the way leads to a long "
		                   "name");
	default:
		return r;
	}
}

static void split(const char *path, size_t len, size_t *dir_len,
                  struct place *ret)
{
	const char *slash = memrchr(path, '/', len);

	*dir_len = slash ? (size_t)(slash - path) : 0;
	ret->base = slash ? slash + 1 : path;
	ret->base_len = len - (size_t)(ret->base - path);
}

/* The name that a path stands for, a link as itself. Codes as tree_walk(). */
static int find_name(struct patch_job *j, uint32_t from, const char *path,
                     size_t len, bool create, struct place *ret)
{
	uint32_t before = j->tree->ninodes;
	struct place at = {.inode = TREE_NONE};
	size_t dir_len;
	int r;

	split(path, len, &dir_len, &at);
	/* "/x" keeps its slash: it leads to the root. */
	if (*path == '/')
		from = TREE_ROOT;
	r = tree_walk(j->tree, from, (const uint8_t *)path, dir_len, create,
	              &at.parent, j->err);
	if (r == 0)
		r = adopt_folders(j, before);
	if (r < 0)
		return r;
	at.name = tree_find(j->tree, at.parent, (const uint8_t *)at.base,
	                    at.base_len);
	if (at.name != TREE_NONE)
		at.inode = j->tree->names[at.name].inode;
	*ret = at;
	return 0;
}

/* The file or folder that a path leads to, the last link followed, too. */
static int resolve(struct patch_job *j, const char *path, struct place *ret)
{
	struct tree *t = j->tree;
	uint32_t from = TREE_ROOT;
	size_t len = strlen(path);
	int r;

	for (int links = 0; links <= TREE_LINKS_MAX; links++) {
		const struct index_entry *e;
		struct place at = {.name = TREE_NONE};

		if (tree_walk(t, *path == '/' ? TREE_ROOT : from,
		              (const uint8_t *)path, len, false, &at.inode,
		              NULL) == 0) {
			*ret = at;
			return 0;
		}
		r = find_name(j, from, path, len, false, &at);
		if (r < 0)
			return r;
		if (at.inode == TREE_NONE)
			return -ENOENT;
		e = t->inodes[at.inode].e;
		if (!e || e->type != INDEX_SYM) {
			*ret = at;
			return 0;
		}
		path = (const char *)t->layers[t->inodes[at.inode].layer].pool +
		       e->link_off;
		len = e->link_len;
		from = at.parent;
	}
	return -ELOOP;
}

/*
 * Where something new goes, its folders made and what was there gone. Patches
 * change a tree that is thrown away when one fails, so nothing is undone.
 */
static int make_room(struct patch_job *j, struct place *at)
{
	const char *path = j->cur->path;
	int r = find_name(j, TREE_ROOT, path, strlen(path), true, at);

	if (r < 0)
		return path_failed(j, r);
	if (at->name == TREE_NONE)
		return 0;
	if (j->cur->flags & PATCH_F_REPLACE) {
		tree_take(j->tree, at->name);
		return 0;
	}
	(void)patch_error(j, -EEXIST, "it exists already");
	err_hint(j->err, "say replace, if it may go");
	return -EEXIST;
}

/* What a helper that gives a pointer has put into the error. */
static int failure(const struct patch_job *j)
{
	return j->err->code ? j->err->code : -ENOMEM;
}

/* ---- the kinds ----------------------------------------------------------- */

static int do_file(struct patch_job *j)
{
	struct patch_made *m = patch_make(j, INDEX_REG, 0644);
	struct patch_part *part =
		m ? patch_add_part(j, m, j->cur->data_len) : NULL;
	struct place at;
	uint32_t inode;
	int r = part ? make_room(j, &at) : failure(j);

	if (r < 0)
		return r;
	part->data = j->cur->data;
	return patch_add(j, m, at.parent, at.base, at.base_len, &inode);
}

static int do_copy(struct patch_job *j)
{
	struct place at;
	int r = make_room(j, &at);

	return r < 0 ? r : patch_copy(j, at.parent, at.base, at.base_len);
}

static int do_symlink(struct patch_job *j)
{
	struct patch_made *m = patch_make(j, INDEX_SYM, 0777);
	struct place at;
	uint32_t inode;
	int r = m ? make_room(j, &at) : -ENOMEM;

	if (r < 0)
		return r;
	m->e.mode = 0777;
	r = patch_set_link(j, m, j->cur->source, strlen(j->cur->source));
	return r < 0 ? r
	             : patch_add(j, m, at.parent, at.base, at.base_len, &inode);
}

/* A link to a folder is one, as for mkdir -p. */
static int do_mkdir(struct patch_job *j)
{
	struct patch_made *m;
	struct place at;
	uint32_t inode;
	int r = resolve(j, j->cur->path, &at);

	if (r == 0 && tree_is_dir(j->tree, at.inode))
		return 0;
	r = make_room(j, &at);
	if (r < 0)
		return r;
	m = patch_make(j, INDEX_DIR, 0755);
	return m ? patch_add(j, m, at.parent, at.base, at.base_len, &inode)
	         : -ENOMEM;
}

static int do_remove(struct patch_job *j)
{
	const char *path = j->cur->path;
	struct place at;
	int r = find_name(j, TREE_ROOT, path, strlen(path), false, &at);

	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		return path_failed(j, r);
	if (at.name != TREE_NONE)
		tree_take(j->tree, at.name);
	return 0;
}

/* An inode of the image as one of ours, with the same attributes. */
static struct patch_made *take_over(struct patch_job *j, uint32_t inode)
{
	const struct tree_inode *n = &j->tree->inodes[inode];
	struct patch_made *m = patch_alloc(j, sizeof(*m));

	if (!m)
		return NULL;
	m->end = &m->parts;
	if (!n->e) {
		m->e = (struct index_entry){.type = INDEX_DIR, .mode = 0755};
		return m;
	}
	m->e = *n->e;
	m->e.flags = 0;
	m->e.size = 0;
	m->xattrs = j->layers[n->layer].pool + n->e->xattr_off;
	m->xattrs_len = n->e->xattr_len;
	if (n->e->type == INDEX_REG) {
		struct patch_part *part = patch_add_part(j, m, n->e->size);

		if (!part)
			return NULL;
		part->e = n->e;
		part->layer = n->layer;
	}
	return m;
}

/*
 * What is at @at as something that we may change. A folder keeps its number
 * and so its content. Of a file with several names this one gets a copy, as in
 * the overlay of the guest.
 */
static struct patch_made *changeable(struct patch_job *j,
                                     const struct place *at)
{
	struct patch_made *m = patch_made_of(j, at->inode);
	struct tree_inode *n;
	uint32_t inode;

	if (m)
		return m;
	m = take_over(j, at->inode);
	if (!m)
		return NULL;
	n = &j->tree->inodes[at->inode];
	if (tree_is_dir(j->tree, at->inode)) {
		n->e = &m->e;
		n->layer = j->nlayers;
		return m;
	}
	return patch_add(j, m, at->parent, at->base, at->base_len, &inode) < 0
	               ? NULL
	               : m;
}

/* What is there, or the error. */
static int find_existing(struct patch_job *j, struct place *at)
{
	int r = resolve(j, j->cur->path, at);

	return r < 0 ? path_failed(j, r) : 0;
}

static int do_append(struct patch_job *j)
{
	const struct index_entry *e;
	struct patch_part *part;
	struct patch_made *m;
	struct place at;
	int r = find_existing(j, &at);

	if (r < 0)
		return r;
	e = j->tree->inodes[at.inode].e;
	if (!e || e->type != INDEX_REG)
		return patch_error(j, -EINVAL, "it is not a regular file");
	m = changeable(j, &at);
	part = m ? patch_add_part(j, m, j->cur->data_len) : NULL;
	if (!part)
		return failure(j);
	part->data = j->cur->data;
	if (m->e.mtime < j->mtime) {
		m->e.mtime = j->mtime;
		m->e.mtime_ns = 0;
	}
	return 0;
}

/* What the patch names, to be changed. */
static int change_existing(struct patch_job *j, struct patch_made **ret)
{
	struct place at;
	int r = find_existing(j, &at);

	if (r < 0)
		return r;
	*ret = changeable(j, &at);
	return *ret ? 0 : failure(j);
}

static int do_set_mode(struct patch_job *j)
{
	struct patch_made *m;
	int r = change_existing(j, &m);

	if (r == 0)
		m->e.mode = (uint16_t)j->cur->mode;
	return r;
}

static int do_set_owner(struct patch_job *j)
{
	struct patch_made *m;
	int r = change_existing(j, &m);

	if (r == 0) {
		m->e.uid = j->cur->uid;
		m->e.gid = j->cur->gid;
	}
	return r;
}

static int (*const actions[PATCH_KINDS])(struct patch_job *j) = {
	[PATCH_FILE] = do_file,         [PATCH_COPY] = do_copy,
	[PATCH_APPEND] = do_append,     [PATCH_MKDIR] = do_mkdir,
	[PATCH_SYMLINK] = do_symlink,   [PATCH_REMOVE] = do_remove,
	[PATCH_SET_MODE] = do_set_mode, [PATCH_SET_OWNER] = do_set_owner,
};

static int apply_all(struct patch_job *j, const struct patch *patches, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		j->cur = &patches[i];
		r = patch_check(j->cur, j->err);
		if (r == 0)
			r = actions[j->cur->kind](j);
	}
	return r;
}

/* ---- from image to image ------------------------------------------------- */

static int open_layers(struct patch_job *j)
{
	int r = 0;

	j->layers = calloc((size_t)j->nlayers + 1, sizeof(*j->layers));
	if (!j->layers)
		return err_set(j->err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < j->nlayers && r == 0; i++) {
		char path[LAYER_PATH_LEN];
		cleanup_close int fd = -1;

		layer_path(&j->diff_ids[i], "index", path);
		fd = openat(j->store->fd, path,
		            O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			r = err_set(j->err, -errno, "cannot open %s: %s", path,
			            strerror(errno));
		else
			r = index_open(fd, &j->layers[i], j->err);
	}
	return r;
}

static void job_release(struct patch_job *j)
{
	tree_free(j->tree);
	for (uint32_t i = 0; j->layers && i < j->nlayers; i++)
		index_close(&j->layers[i]);
	free(j->layers);
	buf_release(&j->links);
	free_chunks(j);
}

static int make_layer(struct patch_job *j, const struct patch *patches,
                      size_t n, struct layer_info *ret)
{
	int r = open_layers(j);

	if (r == 0)
		r = tree_merge(j->layers, j->nlayers, &j->tree, j->err);
	if (r < 0)
		return r;
	j->base_names = j->tree->nnames;
	r = apply_all(j, patches, n);
	if (r == 0)
		r = tree_finish(j->tree, j->err);
	return r < 0 ? r : patch_ingest(j, ret, j->err);
}

static int copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

static int copy_config(struct image_config *to, const struct image_config *from)
{
	int r = strv_add_all(&to->entrypoint, from->entrypoint.v);

	if (r == 0)
		r = strv_add_all(&to->cmd, from->cmd.v);
	if (r == 0)
		r = strv_add_all(&to->env, from->env.v);
	if (r == 0)
		r = copy_text(&to->workdir, from->workdir);
	if (r == 0)
		r = copy_text(&to->user, from->user);
	return r < 0 ? r : copy_text(&to->stop_signal, from->stop_signal);
}

/* @base with the layers @ids. */
static int copy_image(const struct image *base, const struct digest *ids,
                      uint32_t n, struct image *ret)
{
	int r;

	*ret = (struct image){.manifest = base->manifest,
	                      .config_digest = base->config_digest,
	                      .nlayers = n,
	                      .size = base->size,
	                      .created_unix = base->created_unix,
	                      .pulled_unix = base->pulled_unix,
	                      .patched = true};
	ret->diff_ids = malloc(n * sizeof(*ids));
	if (!ret->diff_ids)
		return -ENOMEM;
	memcpy(ret->diff_ids, ids, n * sizeof(*ids));
	r = copy_text(&ret->ref, base->ref);
	if (r == 0)
		r = copy_text(&ret->platform, base->platform);
	if (r == 0)
		r = copy_text(&ret->config_json, base->config_json);
	return r < 0 ? r : copy_config(&ret->config, &base->config);
}

static int patch_layers(struct store *s, const struct image *base,
                        const struct patch *patches, size_t n,
                        struct digest *ids, uint32_t nids, struct image *ret,
                        struct err *err)
{
	struct patch_job j = {
		.store = s,
		.diff_ids = ids,
		.nlayers = nids,
		.links = BUF_INIT_MAX(UINT32_MAX),
		.mtime = MAX(base->created_unix, (int64_t)MTIME_MIN),
		.err = err,
	};
	struct layer_info info;
	int r = make_layer(&j, patches, n, &info);

	job_release(&j);
	if (r < 0)
		return r;
	ids[nids] = info.diff_id;
	if (copy_image(base, ids, nids + 1, ret) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	r = rootfs_build(s, ids, nids + 1, &ret->chain_id, err);
	if (r == 0)
		gc_note_patched(s, &ret->chain_id, &info.diff_id);
	return r;
}

int image_patch(struct store *s, const struct image *base,
                const struct patch *patches, size_t n, struct image *ret,
                struct err *err)
{
	uint32_t nids = MAX(base->nlayers, 1u);
	struct digest *cleanup_free ids = calloc(nids + 1, sizeof(*ids));
	struct err local = {0};
	struct image img = {0};
	int r;

	err = err ? err : &local;
	if (n > PATCHES_MAX)
		return err_set(err, -E2BIG, "over %d patches", PATCHES_MAX);
	if (!ids)
		return err_set(err, -ENOMEM, "out of memory");
	if (base->nlayers)
		memcpy(ids, base->diff_ids, nids * sizeof(*ids));
	else
		ids[0] = base->chain_id; /* a folder: its only layer */
	r = patch_layers(s, base, patches, n, ids, nids, &img, err);
	if (r < 0)
		image_release(&img);
	else
		*ret = img;
	return r;
}
