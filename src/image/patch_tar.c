/*
 * The patches' layer as a tar, made piece by piece in read(), which
 * layer_ingest() calls from its own thread. The order is that of the names, a
 * folder before what is in it, whiteouts first: nothing in it depends on when
 * or where it was made, so its digest says what it does.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/num.h"
#include "image/patch_int.h"
#include "image/tar_write.h"

#include "base/banned.h"

#define PATH_MAX_BYTES (64 * KIB) /* longer ones the layer refuses */

/* A folder on the way. */
struct frame {
	uint32_t next;           /* name */
	uint32_t gone, gone_end; /* in writer.gone */
	size_t path_len;
};

struct writer {
	struct patch_job *j;
	struct frame *frames;
	uint32_t depth, cap;
	uint32_t *gone; /* names of the image to hide, by folder and text */
	uint32_t ngone;
	struct buf path, head;
	size_t head_at;
	struct patch_part *part; /* that is being written */
	uint64_t part_at;
	uint32_t pad;
	int fd; /* of `part`, or of its layer's data */
	uint32_t fd_layer;
	bool ended;
	struct err *err;
};

static int no_memory(struct writer *w)
{
	return err_set(w->err, -ENOMEM, "out of memory");
}

/* ---- what is hidden ------------------------------------------------------ */

static int by_place(const void *a, const void *b, void *arg)
{
	const struct tree_name *n = arg;
	const struct tree_name *x = &n[*(const uint32_t *)a];
	const struct tree_name *y = &n[*(const uint32_t *)b];
	int c;

	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	c = memcmp(x->text, y->text, MIN(x->len, y->len));
	return c ? c : x->len - y->len;
}

/* A file in place of something needs no whiteout, a folder would mix. */
static bool is_hidden(const struct tree *t, uint32_t name)
{
	const struct tree_name *n = &t->names[name];

	return n->taken && (n->dead || tree_is_dir(t, n->inode));
}

static int find_hidden(struct writer *w)
{
	const struct tree *t = w->j->tree;

	for (uint32_t i = 0; i < w->j->base_names; i++)
		w->ngone += is_hidden(t, i);
	w->gone = calloc((size_t)w->ngone + 1, sizeof(*w->gone));
	if (!w->gone)
		return no_memory(w);
	w->ngone = 0;
	for (uint32_t i = 0; i < w->j->base_names; i++)
		if (is_hidden(t, i))
			w->gone[w->ngone++] = i;
	qsort_r(w->gone, w->ngone, sizeof(*w->gone), by_place, t->names);
	return 0;
}

/* The first one of a folder's, or of those behind. */
static uint32_t first_hidden(const struct writer *w, uint32_t dir)
{
	uint32_t low = 0, high = w->ngone;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (w->j->tree->names[w->gone[mid]].parent < dir)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* ---- entries ------------------------------------------------------------- */

static const enum tar_type types[INDEX_TYPES] = {
	[INDEX_REG] = TAR_REG, [INDEX_DIR] = TAR_DIR, [INDEX_SYM] = TAR_SYM,
	[INDEX_CHR] = TAR_CHR, [INDEX_BLK] = TAR_BLK, [INDEX_FIFO] = TAR_FIFO,
};

static int put_header(struct writer *w, const struct tar_entry *e)
{
	buf_reset(&w->head);
	w->head_at = 0;
	return tar_put_header(&w->head, e) < 0 ? no_memory(w) : 0;
}

static struct tar_entry entry_of(const struct writer *w,
                                 const struct patch_made *m)
{
	struct tar_entry e = {
		.type = types[m->e.type],
		.path = buf_str(&w->path),
		.path_len = w->path.len,
		.mode = m->e.mode,
		.uid = m->e.uid,
		.gid = m->e.gid,
		.mtime = m->e.mtime,
		.mtime_ns = m->e.mtime_ns,
		.major = m->e.rdev >> 8 & INDEX_MAJOR_MAX,
		.minor = (m->e.rdev & 0xff) | (m->e.rdev >> 12 & ~0xffu),
		.size = m->e.type == INDEX_REG ? m->e.size : 0,
		.xattrs = m->xattrs,
		.xattrs_len = m->xattrs_len,
	};

	if (m->e.type == INDEX_SYM) {
		e.link = (const char *)w->j->links.data + m->e.link_off;
		e.link_len = m->e.link_len;
	}
	return e;
}

/* The first name carries the content, others are links to it. */
static int put_made(struct writer *w, struct patch_made *m)
{
	struct tar_entry e = entry_of(w, m);

	if (m->name) {
		e.type = TAR_HARD;
		e.link = m->name;
		e.link_len = m->name_len;
		e.size = 0;
		return put_header(w, &e);
	}
	m->name = patch_copy_text(w->j, e.path, e.path_len);
	m->name_len = e.path_len;
	if (!m->name)
		return no_memory(w);
	w->part = m->e.type == INDEX_REG ? m->parts : NULL;
	w->part_at = 0;
	w->pad = tar_padding(e.size);
	return put_header(w, &e);
}

static int set_path(struct writer *w, size_t len, const char *prefix,
                    const struct tree_name *n)
{
	w->path.len = len;
	if ((len && buf_addc(&w->path, '/') < 0) ||
	    buf_adds(&w->path, prefix) < 0 ||
	    buf_add(&w->path, n->text, n->len) < 0)
		return err_set(w->err, -ENAMETOOLONG,
		               "a path in the patches is too long");
	return 0;
}

static int put_hidden(struct writer *w, struct frame *f)
{
	const struct tree_name *n = &w->j->tree->names[w->gone[f->gone++]];
	struct tar_entry e = {.type = TAR_REG, .mtime = w->j->mtime};
	int r = set_path(w, f->path_len, ".wh.", n);

	e.path = buf_str(&w->path);
	e.path_len = w->path.len;
	return r < 0 ? r : put_header(w, &e);
}

static int enter(struct writer *w, uint32_t dir)
{
	if (w->depth == w->cap) {
		uint32_t cap = w->cap ? w->cap * 2 : 64;
		struct frame *more =
			reallocarray(w->frames, cap, sizeof(*more));

		if (!more)
			return no_memory(w);
		w->frames = more;
		w->cap = cap;
	}
	w->frames[w->depth++] = (struct frame){
		.next = w->j->tree->inodes[dir].first_child,
		.gone = first_hidden(w, dir),
		.gone_end = first_hidden(w, dir + 1),
		.path_len = w->path.len,
	};
	return 0;
}

/* One name: its entry, if it is ours; into it, if it is a folder. */
static int visit(struct writer *w, const struct tree_name *n)
{
	struct patch_made *m = patch_made_of(w->j, n->inode);
	int r = m ? put_made(w, m) : 0;

	return r == 0 && tree_is_dir(w->j->tree, n->inode) ? enter(w, n->inode)
	                                                   : r;
}

static int put_end(struct writer *w)
{
	w->ended = true;
	buf_reset(&w->head);
	w->head_at = 0;
	return tar_put_end(&w->head) < 0 ? no_memory(w) : 0;
}

/* On to the next entry, or to the end. */
static int advance(struct writer *w)
{
	const struct tree *t = w->j->tree;
	int r = 0;

	w->head_at = w->head.len = 0;
	while (r == 0 && w->head.len == 0) {
		struct frame *f = w->depth ? &w->frames[w->depth - 1] : NULL;
		const struct tree_name *n;

		if (!f)
			return put_end(w);
		if (f->gone < f->gone_end) {
			r = put_hidden(w, f);
			continue;
		}
		if (f->next == TREE_NONE) {
			w->depth--;
			continue;
		}
		n = &t->names[f->next];
		f->next = n->next;
		r = set_path(w, f->path_len, "", n);
		if (r == 0)
			r = visit(w, n);
	}
	return r;
}

/* ---- contents ------------------------------------------------------------ */

static int open_layer(struct writer *w, uint32_t layer)
{
	char path[LAYER_PATH_LEN];

	if (w->fd >= 0 && w->fd_layer == layer)
		return 0;
	close_fd(&w->fd);
	layer_path(&w->j->diff_ids[layer], "data", path);
	w->fd = openat(w->j->store->fd, path,
	               O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	w->fd_layer = layer;
	return w->fd < 0 ? err_set(w->err, -errno, "cannot open %s: %s", path,
	                           strerror(errno))
	                 : 0;
}

/* Of a file of the image. */
static ssize_t give_base(struct writer *w, void *out, size_t len)
{
	const struct patch_part *p = w->part;
	const struct index_entry *e = p->e;
	ssize_t n;

	if (e->flags & INDEX_F_INLINE) {
		memcpy(out,
		       w->j->layers[p->layer].pool + e->link_off + w->part_at,
		       len);
		return (ssize_t)len;
	}
	n = open_layer(w, p->layer);
	if (n < 0)
		return n;
	n = fd_pread_full(w->fd, out, len, e->block * INDEX_BLOCK + w->part_at);
	if (n <= 0)
		return err_set(w->err, n < 0 ? (int)n : -EBADMSG,
		               "cannot read a layer in the store");
	return n;
}

static ssize_t give_host(struct writer *w, void *out, size_t len)
{
	const struct patch_host *h = w->part->host;
	ssize_t n;

	if (w->part_at == 0) {
		close_fd(&w->fd);
		w->fd_layer = UINT32_MAX;
		w->fd = patch_host_open(h, w->err);
		if (w->fd < 0)
			return w->fd;
	}
	n = fd_read_full(w->fd, out, len);
	if (n < 0)
		return err_set(w->err, (int)n, "cannot read %s: %s",
		               *h->name ? h->name : h->source->path,
		               strerror((int)-n));
	/* The end is looked at too: it may have changed in place. */
	if ((size_t)n < len || w->part_at + len == w->part->len) {
		int r = patch_host_same(h, w->fd, w->err);

		close_fd(&w->fd);
		if (r < 0)
			return r;
		if ((size_t)n < len)
			return err_set(w->err, -EBUSY,
			               "%s changed while it was copied",
			               h->source->path);
	}
	return n;
}

static ssize_t give_content(struct writer *w, uint8_t *out, size_t len)
{
	const struct patch_part *p = w->part;
	ssize_t n;

	len = MIN(len, p->len - w->part_at);
	if (len == 0) {
		w->part = p->next;
		w->part_at = 0;
		return 0;
	}
	if (p->e) {
		n = give_base(w, out, len);
	} else if (p->host) {
		n = give_host(w, out, len);
	} else {
		memcpy(out, p->data + w->part_at, len);
		n = (ssize_t)len;
	}
	if (n > 0)
		w->part_at += (uint64_t)n;
	return n;
}

/* Some bytes; 0 when this entry has no more. */
static ssize_t give(struct writer *w, uint8_t *out, size_t len)
{
	size_t n = MIN(w->head.len - w->head_at, len);

	if (n) {
		memcpy(out, w->head.data + w->head_at, n);
		w->head_at += n;
		return (ssize_t)n;
	}
	while (w->part) {
		ssize_t got = give_content(w, out, len);

		if (got != 0)
			return got;
	}
	n = MIN(w->pad, len);
	memset(out, 0, n);
	w->pad -= (uint32_t)n;
	return (ssize_t)n;
}

static ssize_t writer_read(void *arg, void *data, size_t len, struct err *err)
{
	struct writer *w = arg;
	uint8_t *out = data;
	size_t done = 0;

	w->err = err;
	w->j->err = err;
	while (done < len) {
		ssize_t n = give(w, out + done, len - done);
		int r;

		if (n < 0)
			return n;
		done += (size_t)n;
		if (n > 0)
			continue;
		if (w->ended)
			break;
		r = advance(w);
		if (r < 0)
			return r;
	}
	return (ssize_t)done;
}

static int start(struct writer *w)
{
	struct patch_made *root = patch_made_of(w->j, TREE_ROOT);
	int r = find_hidden(w);

	if (r == 0 && root) {
		struct tar_entry e = entry_of(w, root);

		e.path = "./";
		e.path_len = 2;
		r = put_header(w, &e);
	}
	return r < 0 ? r : enter(w, TREE_ROOT);
}

int patch_ingest(struct patch_job *j, struct layer_info *ret, struct err *err)
{
	struct writer w = {.j = j,
	                   .path = BUF_INIT_MAX(PATH_MAX_BYTES),
	                   .head = BUF_INIT,
	                   .fd = -1,
	                   .fd_layer = UINT32_MAX,
	                   .err = err};
	struct layer_source src = {writer_read, &w};
	int r = start(&w);

	if (r == 0)
		r = layer_ingest(j->store, &src, NULL, NULL, NULL, NULL, ret,
		                 err);
	j->err = err; /* its thread's is gone */
	close_fd(&w.fd);
	free(w.frames);
	free(w.gone);
	buf_release(&w.path);
	buf_release(&w.head);
	return r;
}
