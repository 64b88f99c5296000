#include "image/layer_write.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

#define OUT_BYTES    (256 * 1024)
#define DATA_BYTES   (1024 * 1024)
#define RESERVE_STEP (32 * MIB) /* free space is looked at this often */
#define FLUSH_STEP   (32 * MIB) /* and writing to disk started */
#define HDR_LEVEL    1

static int write_failed(const struct layer_write *w, int r, struct err *err)
{
	err_set(err, r, "cannot write a layer in %s: %s", w->store->home,
	        strerror(-r));
	if (r == -ENOSPC || r == -EDQUOT)
		err_hint(err, "free some space, e.g. with msb image prune");
	return r;
}

static int out_open(struct layer_out *o, int fd)
{
	o->fd = fd < 0 ? -1 : fd;
	o->crc = INDEX_CRC_INIT;
	if (fd < 0)
		return -errno;
	o->buf = malloc(OUT_BYTES);
	return o->buf ? 0 : -ENOMEM;
}

static void out_release(struct layer_out *o)
{
	free(o->buf);
	close_fd(&o->fd);
}

static int out_flush(struct layer_out *o)
{
	int r = fd_pwrite_full(o->fd, o->buf, o->len, o->off);

	if (r < 0)
		return r;
	o->crc = index_crc(o->crc, o->buf, o->len);
	o->off += o->len;
	o->len = 0;
	return 0;
}

static int out_add(struct layer_out *o, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		size_t n = MIN(len, OUT_BYTES - o->len);
		int r = 0;

		memcpy(o->buf + o->len, p, n);
		o->len += n;
		p += n;
		len -= n;
		if (o->len == OUT_BYTES)
			r = out_flush(o);
		if (r < 0)
			return r;
	}
	return 0;
}

static int new_file(int dir_fd, const char *name)
{
	return openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
	              0600);
}

/* A file that vanishes with its descriptor. */
static int scratch_file(int dir_fd)
{
	int fd = new_file(dir_fd, "pool");

	if (fd >= 0)
		(void)unlinkat(dir_fd, "pool", 0);
	return fd;
}

int layer_write_init(struct layer_write *w, struct store *s, int dir_fd,
                     struct err *err)
{
	int r;

	w->store = s;
	w->dir_fd = dir_fd;
	w->data_fd = w->entries.fd = w->pool.fd = w->hdr.fd = -1;
	w->flush_at = FLUSH_STEP;
	r = store_reserve(s, 0, err);
	if (r < 0)
		return r;
	w->data_fd = new_file(dir_fd, "data");
	r = w->data_fd < 0 ? -errno : 0;
	if (r == 0)
		r = out_open(&w->entries, new_file(dir_fd, "index"));
	if (r == 0)
		r = out_open(&w->pool, scratch_file(dir_fd));
	if (r == 0)
		r = out_open(&w->hdr, new_file(dir_fd, "hdr.zst"));
	w->entries.off = INDEX_HEADER;
	w->data_buf = malloc(DATA_BYTES);
	w->raw = malloc(LAYER_RAW_MAX);
	w->zstd = ZSTD_createCCtx();
	if (r == 0 && (!w->data_buf || !w->raw || !w->zstd))
		r = -ENOMEM;
	if (r < 0)
		return write_failed(w, r, err);
	(void)ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel,
	                             HDR_LEVEL);
	return 0;
}

void layer_write_release(struct layer_write *w)
{
	if (!w->store)
		return;
	out_release(&w->entries);
	out_release(&w->pool);
	out_release(&w->hdr);
	close_fd(&w->data_fd);
	free(w->data_buf);
	free(w->raw);
	ZSTD_freeCCtx(w->zstd);
	w->store = NULL;
}

int layer_write_pool(struct layer_write *w, const void *p, size_t len,
                     uint32_t *ret_off, struct err *err)
{
	uint64_t at = w->pool.off + w->pool.len;
	int r;

	if (at + len > UINT32_MAX)
		return err_set(err, -EFBIG,
		               "layer has over 4 GiB of names and small files");
	r = out_add(&w->pool, p, len);
	if (r < 0)
		return write_failed(w, r, err);
	*ret_off = (uint32_t)at;
	return 0;
}

static bool is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, INDEX_BLOCK - 1) == 0;
}

/* Write pages [from, to) of the buffer. */
static int write_run(struct layer_write *w, size_t from, size_t to)
{
	return from == to ? 0
	                  : fd_pwrite_full(w->data_fd, w->data_buf + from,
	                                   to - from, w->data_off + from);
}

/*
 * Let the disk begin while we go on, so that the sync before publication
 * finds little left to do.
 */
static void start_writeback(struct layer_write *w)
{
	if (w->data_off < w->flush_at)
		return;
	(void)sync_file_range(w->data_fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	w->flush_at = w->data_off + FLUSH_STEP;
}

/* The buffer to the file, without its zero pages: they become holes. */
static int data_flush(struct layer_write *w, struct err *err)
{
	size_t run = 0, len = num_align_up(w->data_len, INDEX_BLOCK);
	int r = 0;

	if (w->data_off + len > w->reserve_at) {
		r = store_reserve(w->store, RESERVE_STEP, err);
		if (r < 0)
			return r;
		w->reserve_at = w->data_off + len + RESERVE_STEP;
	}
	memset(w->data_buf + w->data_len, 0, len - w->data_len);
	for (size_t at = 0; r == 0 && at < len; at += INDEX_BLOCK) {
		if (!is_zero(w->data_buf + at))
			continue;
		r = write_run(w, run, at);
		run = at + INDEX_BLOCK;
	}
	if (r == 0)
		r = write_run(w, run, len);
	if (r < 0)
		return write_failed(w, r, err);
	w->data_off += len;
	w->data_len = 0;
	start_writeback(w);
	return 0;
}

/* Go on at @pos of the data file, which is not before where we are. */
static int data_seek(struct layer_write *w, uint64_t pos, struct err *err)
{
	size_t fill;
	int r;

	if (pos > INDEX_DATA_MAX)
		return err_set(err, -EFBIG, "layer has over 4 TiB of files");
	if (pos - w->data_off > DATA_BYTES) {
		r = data_flush(w, err);
		if (r < 0)
			return r;
		w->data_off = pos & ~(uint64_t)(INDEX_BLOCK - 1);
	}
	fill = (size_t)(pos - w->data_off);
	memset(w->data_buf + w->data_len, 0, fill - w->data_len);
	w->data_len = fill;
	return 0;
}

int layer_write_data_begin(struct layer_write *w, uint64_t *ret_block,
                           struct err *err)
{
	uint64_t pos = num_align_up(w->data_off + w->data_len, INDEX_BLOCK);
	int r = data_seek(w, pos, err);

	if (r == 0)
		*ret_block = pos / INDEX_BLOCK;
	return r;
}

int layer_write_data(struct layer_write *w, uint64_t block, uint64_t off,
                     const void *data, size_t len, struct err *err)
{
	const uint8_t *p = data;
	int r = data_seek(w, block * INDEX_BLOCK + off, err);

	while (r == 0 && len) {
		size_t n = MIN(len, DATA_BYTES - w->data_len);

		memcpy(w->data_buf + w->data_len, p, n);
		w->data_len += n;
		p += n;
		len -= n;
		if (w->data_len == DATA_BYTES)
			r = data_flush(w, err);
	}
	return r;
}

int layer_write_data_end(struct layer_write *w, uint64_t block, uint64_t size,
                         struct err *err)
{
	uint64_t end = num_align_up(block * INDEX_BLOCK + size, INDEX_BLOCK);

	return data_seek(w, end, err);
}

int layer_write_entry(struct layer_write *w, const struct index_entry *e,
                      struct err *err)
{
	int r = out_add(&w->entries, e, sizeof(*e));

	if (r < 0)
		return write_failed(w, r, err);
	w->entries_n++;
	return 0;
}

static int hdr_add(struct layer_write *w, const void *p, size_t len,
                   ZSTD_EndDirective mode)
{
	uint8_t tmp[16 * 1024];
	ZSTD_inBuffer in = {p, len, 0};
	size_t left;

	do {
		ZSTD_outBuffer out = {tmp, sizeof(tmp), 0};
		int r;

		left = ZSTD_compressStream2(w->zstd, &out, &in, mode);
		if (ZSTD_isError(left))
			return -ENOMEM;
		r = out_add(&w->hdr, tmp, out.pos);
		if (r < 0)
			return r;
	} while (in.pos < in.size || (mode == ZSTD_e_end && left));
	return 0;
}

static int hdr_flush_raw(struct layer_write *w)
{
	uint8_t rec[LAYER_REC_RAW_LEN] = {LAYER_REC_RAW};
	int r;

	if (!w->raw_len)
		return 0;
	put_le32(rec + 1, (uint32_t)w->raw_len);
	r = hdr_add(w, rec, sizeof(rec), ZSTD_e_continue);
	if (r == 0)
		r = hdr_add(w, w->raw, w->raw_len, ZSTD_e_continue);
	w->raw_len = 0;
	return r;
}

static int hdr_flush_part(struct layer_write *w)
{
	uint8_t rec[LAYER_REC_DATA_LEN] = {LAYER_REC_DATA};

	if (!w->part_len)
		return 0;
	put_le32(rec + 1, w->part_entry);
	put_le64(rec + 5, w->part_off);
	put_le64(rec + 13, w->part_len);
	w->part_len = 0;
	return hdr_add(w, rec, sizeof(rec), ZSTD_e_continue);
}

int layer_write_raw(struct layer_write *w, const void *data, size_t len,
                    struct err *err)
{
	const uint8_t *p = data;
	int r = hdr_flush_part(w);

	while (r == 0 && len) {
		size_t n = MIN(len, LAYER_RAW_MAX - w->raw_len);

		memcpy(w->raw + w->raw_len, p, n);
		w->raw_len += n;
		p += n;
		len -= n;
		if (w->raw_len == LAYER_RAW_MAX)
			r = hdr_flush_raw(w);
	}
	return r < 0 ? write_failed(w, r, err) : 0;
}

int layer_write_part(struct layer_write *w, uint32_t entry, uint64_t off,
                     uint64_t len, struct err *err)
{
	int r = 0;

	if (w->part_len && w->part_entry == entry &&
	    w->part_off + w->part_len == off) {
		w->part_len += len;
		return 0;
	}
	r = hdr_flush_raw(w);
	if (r == 0)
		r = hdr_flush_part(w);
	if (r < 0)
		return write_failed(w, r, err);
	w->part_entry = entry;
	w->part_off = off;
	w->part_len = len;
	return 0;
}

/* Entries are written; the pool goes behind them, the header in front. */
static int finish_index(struct layer_write *w, struct index_header *h)
{
	int r = out_flush(&w->entries);
	uint64_t at = 0;

	h->entries_crc = w->entries.crc;
	if (r == 0)
		r = out_flush(&w->pool);
	h->pool_crc = w->pool.crc;
	h->pool_bytes = w->pool.off;
	while (r == 0 && at < h->pool_bytes) {
		ssize_t n =
			fd_pread_full(w->pool.fd, w->pool.buf, OUT_BYTES, at);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		r = fd_pwrite_full(w->entries.fd, w->pool.buf, (size_t)n,
		                   w->entries.off + at);
		at += (uint64_t)n;
	}
	return r;
}

static int finish_header(struct layer_write *w, struct index_header *h)
{
	uint8_t page[INDEX_HEADER] = {0};

	h->header_crc = index_header_crc(h);
	memcpy(page, h, sizeof(*h));
	return fd_pwrite_full(w->entries.fd, page, sizeof(page), 0);
}

static int finish_hdr(struct layer_write *w)
{
	int r = hdr_flush_raw(w);

	if (r == 0)
		r = hdr_flush_part(w);
	if (r == 0)
		r = hdr_add(w, NULL, 0, ZSTD_e_end);
	return r < 0 ? r : out_flush(&w->hdr);
}

int layer_write_finish(struct layer_write *w, const struct digest *diff_id,
                       uint64_t tar_bytes, struct index_header *ret_h,
                       struct err *err)
{
	struct index_header h = {.magic = INDEX_MAGIC,
	                         .version = INDEX_VERSION,
	                         .entries = w->entries_n,
	                         .tar_bytes = tar_bytes};
	int r = data_flush(w, err);

	if (r < 0)
		return r;
	memcpy(h.diff_id, diff_id->b, DIGEST_LEN);
	h.data_blocks = w->data_off / INDEX_BLOCK;
	if (ftruncate(w->data_fd, (off_t)w->data_off) < 0)
		r = -errno;
	if (r == 0)
		r = finish_index(w, &h);
	if (r == 0)
		r = finish_header(w, &h);
	if (r == 0)
		r = finish_hdr(w);
	if (r < 0)
		return write_failed(w, r, err);
	*ret_h = h;
	return 0;
}
