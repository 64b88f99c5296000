#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"
#include "image/bundle.h"
#include "image/tar_write.h"
#include "lib/error.h"
#include "lib/out_file.h"
#include "lib/snapshot_archive.h"

#include "base/banned.h"

#define CHUNK        (1 * MIB)
#define LEVEL        3
#define GAP_MIN      (64 * KIB) /* a smaller hole is not worth two numbers */
#define SEGMENTS_MAX 200000u    /* TAR_SPARSE_MAX is what readers take */

struct saving {
	struct store *s;
	struct err *err;
	int fd;
	ZSTD_CCtx *zstd; /* NULL: plain */
	uint8_t *out, *data;
	struct snapshot sn;
	struct snapshot_disk disk;
	struct image image;
	struct tar_segment *segments;
	uint32_t n;
	uint64_t gap;
	struct disk_tree tree;
	struct digest_ctx hash; /* of the layer that is written */
};

static void saving_release(struct saving *v)
{
	ZSTD_freeCCtx(v->zstd);
	free(v->out);
	free(v->data);
	free(v->segments);
	disk_tree_release(&v->tree);
	digest_release(&v->hash);
	snapshot_disk_release(&v->disk);
	snapshot_release(&v->sn);
	image_release(&v->image);
}
#define cleanup_saving cleanup(saving_release)

/* ---- bytes --------------------------------------------------------------- */

static int put_plain(struct saving *v, const void *data, size_t len)
{
	int r = cancel_write_full(v->fd, data, len);

	if (r == -ECANCELED)
		return err_set(v->err, r, "cancelled");
	return r < 0 ? err_set(v->err, r, "cannot write the archive: %s",
	                       strerror(-r))
	             : 0;
}

static int compress(struct saving *v, const void *data, size_t len,
                    ZSTD_EndDirective end)
{
	ZSTD_inBuffer in = {data, len, 0};
	size_t left = 1;

	while (in.pos < in.size || (end == ZSTD_e_end && left)) {
		ZSTD_outBuffer out = {v->out, CHUNK, 0};
		int r;

		left = ZSTD_compressStream2(v->zstd, &out, &in, end);
		if (ZSTD_isError(left))
			return err_set(v->err, -ENOMEM, "zstd: %s",
			               ZSTD_getErrorName(left));
		r = out.pos ? put_plain(v, out.dst, out.pos) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static int put(struct saving *v, const void *data, size_t len)
{
	return v->zstd ? compress(v, data, len, ZSTD_e_continue)
	               : put_plain(v, data, len);
}

static int put_padding(struct saving *v, uint64_t size)
{
	static const uint8_t zeros[TAR_BLOCK];
	uint32_t n = tar_padding(size);

	return n ? put(v, zeros, n) : 0;
}

static struct tar_entry entry(const struct saving *v, const char *name,
                              uint64_t size)
{
	return (struct tar_entry){.type = TAR_REG,
	                          .path = name,
	                          .path_len = strlen(name),
	                          .mode = 0644,
	                          .mtime = v->sn.text.created_ms / 1000,
	                          .size = size};
}

static int put_header(struct saving *v, const char *name, uint64_t size)
{
	struct buf cleanup_buf b = BUF_INIT;
	struct tar_entry e = entry(v, name, size);

	if (tar_put_header(&b, &e) < 0)
		return err_set(v->err, -ENOMEM, "out of memory");
	return put(v, b.data, b.len);
}

static int put_file(struct saving *v, const char *name, const void *data,
                    size_t len)
{
	int r = put_header(v, name, len);

	if (r == 0)
		r = put(v, data, len);
	return r < 0 ? r : put_padding(v, len);
}

/* ---- the image ----------------------------------------------------------- */

static int put_layer_bytes(void *arg, const void *data, size_t len,
                           struct err *err)
{
	struct saving *v = arg;

	(void)err;
	digest_add(&v->hash, data, len);
	return put(v, data, len);
}

static int put_layer(struct saving *v, const struct digest *id)
{
	char name[128], hex[DIGEST_HEX_LEN + 1];
	struct digest got;
	uint64_t bytes = 0;
	int r = bundle_layer_bytes(v->s, id, &bytes, v->err);

	(void)snprintf(name, sizeof(name), ARCHIVE_LAYERS "%s" ARCHIVE_LAYER,
	               digest_hex(id, hex));
	if (r == 0)
		r = put_header(v, name, bytes);
	if (r == 0)
		r = digest_init(&v->hash);
	if (r < 0)
		return r;
	r = layer_export(v->s, id, put_layer_bytes, v, v->err);
	if (r == 0) {
		digest_final(&v->hash, &got);
		if (!digest_equal(&got, id))
			r = err_set(v->err, -EBADMSG,
			            "layer %s in the store is damaged", hex);
	}
	digest_release(&v->hash);
	v->hash = (struct digest_ctx){0};
	return r < 0 ? r : put_padding(v, bytes);
}

static int put_image(struct saving *v)
{
	struct buf cleanup_buf manifest = BUF_INIT, config = BUF_INIT;
	int r = bundle_documents(v->s, &v->image, &manifest, &config, v->err);

	if (r == 0 && manifest.len)
		r = put_file(v, ARCHIVE_MANIFEST, manifest.data, manifest.len);
	if (r == 0 && config.len)
		r = put_file(v, ARCHIVE_CONFIG, config.data, config.len);
	for (uint32_t i = 0; r == 0 && i < v->image.nlayers; i++)
		r = put_layer(v, &v->image.diff_ids[i]);
	return r;
}

/* ---- the disk ------------------------------------------------------------ */

/* Too many: holes that are smaller than twice as much are written as zeros. */
static void join_segments(struct saving *v)
{
	uint32_t n = 0;

	v->gap *= 2;
	for (uint32_t i = 0; i < v->n; i++) {
		struct tar_segment *last = n ? &v->segments[n - 1] : NULL;
		struct tar_segment g = v->segments[i];

		if (last && g.off - (last->off + last->len) < v->gap)
			last->len = g.off + g.len - last->off;
		else
			v->segments[n++] = g;
	}
	v->n = n;
}

static void add_segment(struct saving *v, uint64_t off, uint64_t len)
{
	struct tar_segment *last = v->n ? &v->segments[v->n - 1] : NULL;

	if (last && off - (last->off + last->len) < v->gap) {
		last->len = off + len - last->off;
		return;
	}
	while (v->n == SEGMENTS_MAX)
		join_segments(v);
	v->segments[v->n++] = (struct tar_segment){off, len};
}

static int find_segments(struct saving *v)
{
	struct disk *d = v->disk.disk;
	uint64_t at = 0, len = 0;
	bool hole;
	int r = 0;

	v->segments = calloc(SEGMENTS_MAX, sizeof(*v->segments));
	if (!v->segments)
		return -ENOMEM;
	for (; r == 0 && at < disk_size(d); at += len) {
		r = disk_map(d, at, disk_size(d) - at, &hole, &len);
		if (r == 0 && !hole)
			add_segment(v, at, len);
	}
	return r < 0 ? err_set(v->err, r, "cannot read the disk: %s",
	                       strerror(-r))
	             : 0;
}

/* A hole at the end is said by a piece of nothing: GNU tar wants it so. */
static int put_map(struct saving *v, struct buf *map)
{
	const struct tar_segment *last = v->n ? &v->segments[v->n - 1] : NULL;
	uint64_t size = disk_size(v->disk.disk);
	bool open = !last || last->off + last->len < size;

	(void)buf_printf(map, "%u\n", v->n + open);
	for (uint32_t i = 0; i < v->n; i++)
		(void)buf_printf(map, "%llu\n%llu\n",
		                 (unsigned long long)v->segments[i].off,
		                 (unsigned long long)v->segments[i].len);
	if (open)
		(void)buf_printf(map, "%llu\n0\n", (unsigned long long)size);
	(void)buf_addz(map, tar_padding(map->len));
	return buf_ok(map) ? 0 : -ENOMEM;
}

static int put_segment(struct saving *v, const struct tar_segment *g)
{
	uint64_t at = g->off, end = g->off + g->len;
	int r = 0;

	while (at < end && r == 0) {
		size_t n = (size_t)MIN(end - at, CHUNK);
		struct iovec iov = {v->data, n};

		r = cancel_check(v->err);
		if (r < 0)
			return r;
		r = disk_read(v->disk.disk, &iov, 1, at);
		if (r < 0)
			return err_set(v->err, r, "cannot read the disk: %s",
			               strerror(-r));
		disk_tree_add(&v->tree, at, v->data, n);
		r = put(v, v->data, n);
		at += n;
	}
	return r;
}

static int put_disk(struct saving *v)
{
	struct buf cleanup_buf map = BUF_INIT, header = BUF_INIT;
	struct tar_entry e;
	uint64_t sum = 0;
	int r = find_segments(v);

	if (r == 0)
		r = put_map(v, &map);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < v->n; i++)
		sum += v->segments[i].len;
	e = entry(v, ARCHIVE_DISK, map.len + sum);
	r = tar_put_sparse_header(&header, &e, disk_size(v->disk.disk));
	if (r == 0)
		r = put(v, header.data, header.len);
	if (r == 0)
		r = put(v, map.data, map.len);
	for (uint32_t i = 0; r == 0 && i < v->n; i++)
		r = put_segment(v, &v->segments[i]);
	return r < 0 ? r : put_padding(v, sum);
}

/* ---- all of it ----------------------------------------------------------- */

/* What is saved must be what was kept, if that is known. */
static int put_digests(struct saving *v)
{
	char text[DIGEST_TEXT_LEN + 1];
	json_t *cleanup_json o = NULL;
	cleanup_free char *json = NULL;
	struct digest d;

	disk_tree_final(&v->tree, &d);
	(void)digest_text(&d, text);
	if (*v->sn.text.content && strcmp(v->sn.text.content, text) != 0)
		return err_set(v->err, -EBADMSG,
		               "the content of snapshot %s is %s, not %s as it "
		               "was made",
		               v->sn.name, text, v->sn.text.content);
	o = json_pack("{s:i, s:s, s:s}", "schema", ARCHIVE_SCHEMA, "snapshot",
	              v->sn.digest, "disk", text);
	json = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	return json ? put_file(v, ARCHIVE_DIGESTS, json, strlen(json))
	            : err_set(v->err, -ENOMEM, "out of memory");
}

static int put_end(struct saving *v)
{
	struct buf cleanup_buf end = BUF_INIT;
	int r = tar_put_end(&end);

	if (r == 0)
		r = put(v, end.data, end.len);
	return r == 0 && v->zstd ? compress(v, NULL, 0, ZSTD_e_end) : r;
}

static int put_all(struct saving *v, uint32_t flags)
{
	cleanup_free char *text = snapshot_text_write(&v->sn.text);
	int r = text ? put_file(v, ARCHIVE_TEXT, text, strlen(text)) : -ENOMEM;

	if (r == 0 && (flags & MSB_SNAPSHOT_WITH_IMAGE))
		r = put_image(v);
	if (r == 0)
		r = put_disk(v);
	if (r == 0)
		r = put_digests(v);
	return r < 0 ? r : put_end(v);
}

static int prepare(struct saving *v, const char *name, uint32_t flags)
{
	int r = snapshot_find_open(v->s, name, &v->sn, &v->disk, v->err);

	if (r == 0 && (flags & MSB_SNAPSHOT_WITH_IMAGE))
		r = image_find_snapshot(v->s, v->sn.name, &v->image, v->err);
	if (r == 0)
		r = disk_tree_init(&v->tree, disk_size(v->disk.disk));
	if (r < 0)
		return r;
	v->out = malloc(CHUNK);
	v->data = malloc(CHUNK);
	if (!v->out || !v->data)
		return -ENOMEM;
	if (flags & MSB_SNAPSHOT_PLAIN)
		return 0;
	v->zstd = ZSTD_createCCtx();
	if (!v->zstd ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(
		    v->zstd, ZSTD_c_compressionLevel, LEVEL)) ||
	    ZSTD_isError(
		    ZSTD_CCtx_setParameter(v->zstd, ZSTD_c_checksumFlag, 1)))
		return -ENOMEM;
	return 0;
}

int snapshot_save(struct store *s, const char *name, const char *path,
                  uint32_t flags, struct err *err)
{
	struct saving cleanup_saving v = {
		.s = s, .err = err, .gap = GAP_MIN, .fd = -1};
	struct out_file cleanup_out_file f = OUT_FILE_INIT;
	int r = prepare(&v, name, flags);

	if (r == 0)
		r = out_file_open(&f, path, 0600, err);
	if (r < 0)
		return r;
	v.fd = f.fd;
	r = put_all(&v, flags);
	return r < 0 ? r : out_file_finish(&f, path, err);
}

int msb_snapshot_save(struct msb_home *home, const char *name, const char *path,
                      uint32_t flags, struct msb_error *error)
{
	const uint32_t known = MSB_SNAPSHOT_WITH_IMAGE | MSB_SNAPSHOT_PLAIN;
	struct err err = {0};
	int r;

	if (!name || !path || !*path || (flags & ~known))
		return error_set(error, -EINVAL,
		                 "msb_snapshot_save: wrong arguments");
	r = snapshot_save(home->store, name, path, flags, &err);
	return r < 0 ? error_return(error, r, &err) : 0;
}
