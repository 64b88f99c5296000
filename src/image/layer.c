/*
 * One pass over a layer's tar: names and attributes go to the index, contents
 * to the data file, all other bytes to hdr.zst, and the hash of everything to
 * the stream. Only when the stream has come to its end and its hash is the
 * wanted one does the staging folder get its final name.
 *
 * A layer's folder is complete and on the disk when it has its name (see
 * store.h), so there is no mark of synced-ness to keep; writing back begins
 * while the layer is still being read, so that the sync is short.
 *
 * What is checked when: layer_present() the index's header (CRC) and the
 * lengths of index and data; building a chain all of the index (CRC and every
 * field); starting from a chain the metadata's CRC and the lengths of all
 * data files (rootfs.c); layer_verify() every byte against the diff_id.
 */
#include "image/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "image/layer_entry.h"
#include "image/layer_stream.h"
#include "image/layer_write.h"
#include "image/tar_read.h"

#include "base/banned.h"

#define TAR_BYTES_DEFAULT (64 * GIB)
#define ENTRIES_DEFAULT   2000000
#define RATIO_DEFAULT     1000
#define PROGRESS_NS       (50 * NS_PER_MS)

struct ingest {
	struct layer_stream *stream;
	struct layer_write w;
	struct tar_reader tar;
	struct layer_names names;
	struct layer_limits lim;
	layer_progress_fn progress;
	void *arg;
	uint64_t seen, progress_due;
};

static ssize_t next_piece(void *arg, const uint8_t **ret, struct err *err)
{
	struct ingest *g = arg;
	ssize_t n = layer_stream_next(g->stream, ret, err);
	uint64_t now;

	if (n <= 0 || !g->progress)
		return n;
	g->seen += (uint64_t)n;
	now = clock_now_ns();
	if (now >= g->progress_due) {
		g->progress(g->arg, g->seen);
		g->progress_due = now + PROGRESS_NS;
	}
	return n;
}

static int raw_bytes(void *arg, const void *data, size_t len, struct err *err)
{
	struct ingest *g = arg;

	return layer_write_raw(&g->w, data, len, err);
}

/* A file that is small enough to live in the pool; holes are zeros. */
static int content_inline(struct ingest *g, struct index_entry *x,
                          struct err *err)
{
	uint8_t small[INDEX_INLINE_MAX] = {0};
	struct tar_piece p;
	int r;

	while ((r = tar_data(&g->tar, &p, err)) > 0) {
		memcpy(small + p.off, p.data, p.len);
		r = layer_write_part(&g->w, (uint32_t)g->w.entries_n, p.off,
		                     p.len, err);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	x->flags = INDEX_F_INLINE;
	x->link_len = (uint32_t)x->size;
	return layer_write_pool(&g->w, small, x->link_len, &x->link_off, err);
}

static int content_data(struct ingest *g, struct index_entry *x,
                        struct err *err)
{
	struct tar_piece p;
	int r = layer_write_data_begin(&g->w, &x->block, err);

	if (r == 0 && x->size > INDEX_DATA_MAX - x->block * INDEX_BLOCK)
		return tar_error(&g->tar, err, -EFBIG, "file is too large");
	while (r == 0 && (r = tar_data(&g->tar, &p, err)) > 0) {
		r = layer_write_part(&g->w, (uint32_t)g->w.entries_n, p.off,
		                     p.len, err);
		if (r == 0)
			r = layer_write_data(&g->w, x->block, p.off, p.data,
			                     p.len, err);
	}
	return r < 0 ? r : layer_write_data_end(&g->w, x->block, x->size, err);
}

static int write_names(struct ingest *g, struct index_entry *x, struct err *err)
{
	const struct layer_names *n = &g->names;
	int r;

	x->path_len = (uint32_t)n->path.len;
	x->link_len = (uint32_t)n->link.len;
	x->xattr_len = (uint32_t)n->xattrs.len;
	r = layer_write_pool(&g->w, n->path.data, n->path.len, &x->path_off,
	                     err);
	if (r == 0)
		r = layer_write_pool(&g->w, n->link.data, n->link.len,
		                     &x->link_off, err);
	if (r == 0)
		r = layer_write_pool(&g->w, n->xattrs.data, n->xattrs.len,
		                     &x->xattr_off, err);
	return r;
}

static int ingest_entry(struct ingest *g, const struct tar_entry *e,
                        struct err *err)
{
	struct index_entry x;
	int r = layer_entry_convert(&g->tar, e, &g->names, &x, err);

	if (r <= 0)
		return r;
	if (g->w.entries_n == g->lim.entries)
		return err_set(err, -E2BIG, "layer has over %llu entries",
		               (unsigned long long)g->lim.entries);
	r = write_names(g, &x, err);
	if (r == 0 && x.type == INDEX_REG)
		r = x.size <= INDEX_INLINE_MAX ? content_inline(g, &x, err)
		                               : content_data(g, &x, err);
	return r < 0 ? r : layer_write_entry(&g->w, &x, err);
}

static int ingest_all(struct ingest *g, struct err *err)
{
	struct tar_entry e;
	int r;

	while ((r = tar_next(&g->tar, &e, err)) > 0) {
		r = ingest_entry(g, &e, err);
		if (r < 0)
			return r;
	}
	return r;
}

static int check_diff_id(const struct digest *got, const struct digest *want,
                         struct err *err)
{
	char have[DIGEST_TEXT_LEN + 1], wish[DIGEST_TEXT_LEN + 1];

	if (!want || digest_equal(got, want))
		return 0;
	return err_set(err, -EBADMSG,
	               "layer's content is %s, but the image's config names %s",
	               digest_text(got, have), digest_text(want, wish));
}

void layer_path(const struct digest *diff_id, const char *name, char *out)
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_hex(diff_id, hex);
	(void)snprintf(out, LAYER_PATH_LEN, "layers/%.2s/%s%s%s", hex, hex,
	               name ? "/" : "", name ? name : "");
}

static int write_meta(int dir_fd, const struct layer_info *info,
                      struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT;
	char id[DIGEST_TEXT_LEN + 1];
	cleanup_close int fd = -1;
	int r;

	(void)buf_printf(&b,
	                 "{\"version\":%d,\"diff_id\":\"%s\",\"tar_bytes\":"
	                 "%llu,\"data_bytes\":%llu,\"entries\":%llu}\n",
	                 INDEX_VERSION, digest_text(&info->diff_id, id),
	                 (unsigned long long)info->tar_bytes,
	                 (unsigned long long)info->data_bytes,
	                 (unsigned long long)info->entries);
	fd = openat(dir_fd, "meta.json",
	            O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r = fd < 0        ? -errno
	    : !buf_ok(&b) ? -ENOMEM
	                  : fd_write_full(fd, b.data, b.len);
	return r < 0 ? err_set(err, r, "cannot write a layer: %s", strerror(-r))
	             : 0;
}

/* Put the new folder where the old one is, in one step. */
static int exchange(struct store *s, struct store_tmp *t, const char *path,
                    struct err *err)
{
	char fresh[LAYER_PATH_LEN + 8];
	int r;

	(void)snprintf(fresh, sizeof(fresh), "%s.new", path);
	(void)dir_remove(s->fd, fresh); /* left by a crash right here */
	r = store_publish_dir(s, t, fresh, err);
	if (r < 0)
		return r;
	if (renameat2(s->fd, fresh, s->fd, path, RENAME_EXCHANGE) < 0)
		r = err_set(err, -errno, "cannot replace %s: %s", path,
		            strerror(errno));
	(void)dir_remove(s->fd, fresh);
	return r;
}

/*
 * A layer that is there already is replaced: who asks for a conversion in
 * spite of it does not trust it. Packing has no name to lock or look for
 * before, so there the lock is taken here and a whole one stays.
 */
static int publish(struct store *s, struct store_tmp *t,
                   const struct digest *id, bool packed, struct err *err)
{
	char path[LAYER_PATH_LEN], lock[96] = "layer-";
	cleanup_close int lock_fd = -1;

	layer_path(id, NULL, path);
	if (packed) {
		digest_hex(id, lock + strlen(lock));
		lock_fd = store_lock(s, lock, 0, err);
		if (lock_fd < 0)
			return lock_fd;
		if (layer_present(s, id) == 1)
			return 0;
	}
	if (faccessat(s->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return exchange(s, t, path, err);
	return store_publish_dir(s, t, path, err);
}

static int ingest_run(struct ingest *g, int dir_fd, const struct digest *want,
                      struct layer_info *ret, struct err *err)
{
	struct layer_info info;
	struct index_header h;
	int r = ingest_all(g, err);

	if (r < 0)
		return r;
	layer_stream_finish(g->stream, &info.diff_id, &info.tar_bytes);
	r = check_diff_id(&info.diff_id, want, err);
	if (r == 0)
		r = layer_write_finish(&g->w, &info.diff_id, info.tar_bytes, &h,
		                       err);
	if (r < 0)
		return r;
	info.entries = h.entries;
	info.data_bytes = h.data_blocks * INDEX_BLOCK;
	r = write_meta(dir_fd, &info, err);
	if (r == 0)
		*ret = info;
	return r;
}

static struct layer_limits with_defaults(const struct layer_limits *lim)
{
	struct layer_limits l = lim ? *lim : (struct layer_limits){0};

	l.tar_bytes = l.tar_bytes ? l.tar_bytes : TAR_BYTES_DEFAULT;
	l.entries = l.entries ? l.entries : ENTRIES_DEFAULT;
	l.entries = MIN(l.entries, (uint64_t)INDEX_ENTRIES_MAX);
	l.ratio = l.ratio ? l.ratio : RATIO_DEFAULT;
	return l;
}

static int ingest_staged(struct store *s, const struct layer_source *src,
                         const struct digest *want, struct ingest *g,
                         int dir_fd, struct layer_info *ret, struct err *err)
{
	struct tar_source bytes = {next_piece, raw_bytes, g};
	int r = layer_write_init(&g->w, s, dir_fd, err);

	if (r == 0)
		r = layer_stream_new(src, &g->lim, &g->stream, err);
	if (r == 0) {
		tar_init(&g->tar, &bytes);
		r = ingest_run(g, dir_fd, want, ret, err);
		tar_release(&g->tar);
	}
	layer_stream_free(g->stream);
	layer_write_release(&g->w);
	layer_names_release(&g->names);
	return r;
}

int layer_ingest(struct store *s, const struct layer_source *src,
                 const struct digest *want, const struct layer_limits *lim,
                 layer_progress_fn progress, void *arg, struct layer_info *ret,
                 struct err *err)
{
	struct ingest g = {.names = LAYER_NAMES_INIT,
	                   .lim = with_defaults(lim),
	                   .progress = progress,
	                   .arg = arg};
	struct store_tmp t = {0};
	struct layer_info info;
	int r = store_tmp_new(s, &t, err);

	if (r < 0)
		return r;
	r = ingest_staged(s, src, want, &g, t.dir_fd, &info, err);
	if (r == 0)
		r = publish(s, &t, &info.diff_id, !want, err);
	store_tmp_drop(s, &t);
	if (r < 0)
		return r;
	*ret = info;
	return 0;
}

static bool has_length(int dir_fd, const char *name, uint64_t len)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode) && (uint64_t)st.st_size == len;
}

int layer_present(struct store *s, const struct digest *diff_id)
{
	cleanup_close int dir_fd = -1, fd = -1;
	struct index_header h;
	char path[LAYER_PATH_LEN];

	layer_path(diff_id, NULL, path);
	dir_fd = openat(s->fd, path,
	                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir_fd < 0)
		return errno == ENOENT ? 0 : -errno;
	fd = openat(dir_fd, "index", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (index_read_header(fd, &h) < 0 ||
	    memcmp(h.diff_id, diff_id->b, DIGEST_LEN) != 0)
		return 0;
	return has_length(dir_fd, "data", h.data_blocks * INDEX_BLOCK);
}
