#include "image/peek.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fdio.h"
#include "image/index.h"
#include "image/layer.h"

#include "base/banned.h"

#define HARD_LINKS_MAX 8

static int open_part(struct store *s, const struct digest *layer,
                     const char *name)
{
	char path[LAYER_PATH_LEN];
	int fd;

	layer_path(layer, name, path);
	fd = openat(s->fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool is_path(const struct index *ix, const struct index_entry *e,
                    const char *path, size_t len)
{
	return e->path_len == len &&
	       memcmp(ix->pool + e->path_off, path, len) == 0;
}

/* The entry's path is @path or a folder above it. */
static bool is_above(const struct index *ix, const struct index_entry *e,
                     const char *path)
{
	size_t len = e->path_len;

	return strncmp((const char *)ix->pool + e->path_off, path, len) == 0 &&
	       strlen(path) >= len &&
	       (len == 0 || path[len] == '/' || path[len] == '\0');
}

/* The last one counts, as in tar. */
static const struct index_entry *find(const struct index *ix, const char *path,
                                      size_t len)
{
	for (uint32_t i = ix->n; i-- > 0;) {
		const struct index_entry *e = &ix->entries[i];

		if (e->type != INDEX_WHITEOUT && e->type != INDEX_OPAQUE &&
		    is_path(ix, e, path, len))
			return e;
	}
	return NULL;
}

/* Lower layers lose it, or what is above it is no folder here. */
static bool hides(const struct index *ix, const char *path)
{
	for (uint32_t i = 0; i < ix->n; i++)
		if (ix->entries[i].type != INDEX_DIR &&
		    is_above(ix, &ix->entries[i], path))
			return true;
	return false;
}

static int read_content(struct store *s, const struct digest *layer,
                        const struct index *ix, const struct index_entry *e,
                        struct buf *ret)
{
	cleanup_close int fd = -1;
	ssize_t n;
	int r;

	if (e->flags & INDEX_F_INLINE)
		return buf_add(ret, ix->pool + e->link_off, e->link_len);
	if (e->size > ret->max - ret->len)
		return -E2BIG;
	fd = open_part(s, layer, "data");
	r = fd < 0 ? fd : buf_reserve(ret, (size_t)e->size);
	if (r < 0)
		return r;
	n = fd_pread_full(fd, ret->data + ret->len, (size_t)e->size,
	                  e->block * INDEX_BLOCK);
	if (n >= 0 && (uint64_t)n != e->size)
		return -EBADMSG;
	if (n > 0)
		buf_commit(ret, (size_t)n);
	return n < 0 ? (int)n : 0;
}

/* 1: this layer does not know it. */
static int peek_layer(struct store *s, const struct digest *layer,
                      const char *path, struct buf *ret, struct err *err)
{
	struct index cleanup_index ix = {0};
	cleanup_close int fd = open_part(s, layer, "index");
	int r = fd < 0 ? fd : index_open(fd, &ix, err);
	const struct index_entry *e;

	if (r < 0)
		return r;
	e = find(&ix, path, strlen(path));
	for (int i = 0; e && e->type == INDEX_HARD && i < HARD_LINKS_MAX; i++)
		e = find(&ix, (const char *)ix.pool + e->link_off, e->link_len);
	if (e)
		return e->type == INDEX_REG
		               ? read_content(s, layer, &ix, e, ret)
		               : -ENOENT;
	return hides(&ix, path) ? -ENOENT : 1;
}

int image_peek(struct store *s, const struct image *image, const char *path,
               struct buf *ret, struct err *err)
{
	int r = 1;

	for (uint32_t i = image->nlayers; i-- > 0 && r == 1;)
		r = peek_layer(s, &image->diff_ids[i], path, ret, err);
	if (r == 1)
		r = -ENOENT;
	return r < 0 && err && !err->code
	               ? err_set(err, r, "cannot read %s of the image: %s",
	                         path, strerror(-r))
	               : r;
}
