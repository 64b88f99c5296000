/*
 * A stored layer back to its tar: hdr.zst says in which order its own bytes
 * and parts of the files' contents follow (see layer_write.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/cancel.h"
#include "base/fdio.h"
#include "base/num.h"
#include "image/index.h"
#include "image/layer.h"
#include "image/layer_write.h"

#include "base/banned.h"

#define CHUNK (256 * 1024)

struct export
{
	struct index ix;
	int data_fd, hdr_fd;
	ZSTD_DCtx *zstd;
	ZSTD_inBuffer in;
	bool eof;
	uint8_t *raw, *comp; /* CHUNK bytes each */
	layer_sink_fn sink;
	void *arg;
	struct err *err;
};

static int damaged(struct export *x, const char *what)
{
	return err_set(x->err, -EBADMSG, "layer in the store: %s is damaged",
	               what);
}

/*
 * Exactly @len bytes of the records, or with @end_ok 0 when they are at their
 * end: returns @len or 0.
 */
static ssize_t read_hdr(struct export *x, void *to, size_t len, bool end_ok)
{
	ZSTD_outBuffer out = {to, len, 0};

	while (out.pos < len) {
		size_t before = out.pos, r;
		ssize_t n;

		if (x->in.pos == x->in.size && !x->eof) {
			n = fd_read_full(x->hdr_fd, x->comp, CHUNK);
			if (n < 0)
				return err_set(x->err, (int)n, "hdr.zst: %s",
				               strerror((int)-n));
			x->eof = n < CHUNK;
			x->in = (ZSTD_inBuffer){x->comp, (size_t)n, 0};
		}
		r = ZSTD_decompressStream(x->zstd, &out, &x->in);
		if (ZSTD_isError(r))
			return damaged(x, "hdr.zst");
		if (out.pos > before || x->in.pos < x->in.size || !x->eof)
			continue;
		if (end_ok && out.pos == 0)
			return 0;
		return damaged(x, "hdr.zst");
	}
	return (ssize_t)len;
}

static int give_raw(struct export *x)
{
	uint8_t head[LAYER_REC_RAW_LEN - 1];
	ssize_t n = read_hdr(x, head, sizeof(head), false);
	uint32_t len;

	if (n < 0)
		return (int)n;
	len = get_le32(head);
	if (len > LAYER_RAW_MAX)
		return damaged(x, "hdr.zst");
	n = read_hdr(x, x->raw, len, false);
	return n < 0 ? (int)n : x->sink(x->arg, x->raw, len, x->err);
}

static int give_data(struct export *x, uint64_t at, uint64_t len)
{
	while (len) {
		ssize_t n = fd_pread_full(x->data_fd, x->raw,
		                          MIN(len, (uint64_t)CHUNK), at);
		int r = cancel_check(x->err);

		if (r < 0)
			return r;
		if (n <= 0)
			return damaged(x, "data");
		r = x->sink(x->arg, x->raw, (size_t)n, x->err);
		if (r < 0)
			return r;
		at += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int give_part(struct export *x)
{
	uint8_t head[LAYER_REC_DATA_LEN - 1];
	ssize_t n = read_hdr(x, head, sizeof(head), false);
	const struct index_entry *e;
	uint64_t off, len;

	if (n < 0)
		return (int)n;
	off = get_le64(head + 4);
	len = get_le64(head + 12);
	if (get_le32(head) >= x->ix.n)
		return damaged(x, "hdr.zst");
	e = &x->ix.entries[get_le32(head)];
	if (e->type != INDEX_REG || off > e->size || len > e->size - off)
		return damaged(x, "hdr.zst");
	if (e->flags & INDEX_F_INLINE)
		return x->sink(x->arg, x->ix.pool + e->link_off + off, len,
		               x->err);
	return give_data(x, e->block * INDEX_BLOCK + off, len);
}

static int give_all(struct export *x)
{
	for (;;) {
		uint8_t kind;
		ssize_t n = read_hdr(x, &kind, 1, true);
		int r = cancel_check(x->err);

		if (r < 0)
			return r;
		if (n <= 0)
			return (int)n;
		if (kind == LAYER_REC_RAW)
			r = give_raw(x);
		else if (kind == LAYER_REC_DATA)
			r = give_part(x);
		else
			r = damaged(x, "hdr.zst");
		if (r < 0)
			return r;
	}
}

static int open_file(struct export *x, struct store *s,
                     const struct digest *diff_id, const char *name)
{
	char path[LAYER_PATH_LEN];
	int fd;

	layer_path(diff_id, name, path);
	fd = openat(s->fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_set(x->err, -errno, "cannot open %s/store/%s: %s",
	                        s->home, path, strerror(errno))
	              : fd;
}

static int open_all(struct export *x, struct store *s,
                    const struct digest *diff_id)
{
	cleanup_close int fd = open_file(x, s, diff_id, "index");
	int r = fd < 0 ? fd : index_open(fd, &x->ix, x->err);

	if (r < 0)
		return r;
	x->data_fd = open_file(x, s, diff_id, "data");
	if (x->data_fd < 0)
		return x->data_fd;
	x->hdr_fd = open_file(x, s, diff_id, "hdr.zst");
	if (x->hdr_fd < 0)
		return x->hdr_fd;
	x->raw = malloc(CHUNK);
	x->comp = malloc(CHUNK);
	x->zstd = ZSTD_createDCtx();
	return x->raw && x->comp && x->zstd
	               ? 0
	               : err_set(x->err, -ENOMEM, "out of memory");
}

int layer_export(struct store *s, const struct digest *diff_id,
                 layer_sink_fn sink, void *arg, struct err *err)
{
	struct export x = {.data_fd = -1,
	                   .hdr_fd = -1,
	                   .sink = sink,
	                   .arg = arg,
	                   .err = err};
	int r = open_all(&x, s, diff_id);

	if (r == 0)
		r = give_all(&x);
	ZSTD_freeDCtx(x.zstd);
	free(x.raw);
	free(x.comp);
	close_fd(&x.data_fd);
	close_fd(&x.hdr_fd);
	index_close(&x.ix);
	return r;
}

static int add_to_hash(void *arg, const void *data, size_t len, struct err *err)
{
	(void)err;
	digest_add(arg, data, len);
	return 0;
}

int layer_verify(struct store *s, const struct digest *diff_id, struct err *err)
{
	char text[DIGEST_TEXT_LEN + 1];
	struct digest_ctx hash;
	struct digest got;
	int r = digest_init(&hash);

	if (r < 0)
		return err_set(err, r, "out of memory");
	r = layer_export(s, diff_id, add_to_hash, &hash, err);
	if (r == 0) {
		digest_final(&hash, &got);
		if (!digest_equal(&got, diff_id))
			r = err_set(err, -EBADMSG,
			            "layer %s in the store is damaged",
			            digest_text(diff_id, text));
	}
	digest_release(&hash);
	return r;
}
