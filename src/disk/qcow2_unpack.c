/*
 * Compressed clusters, which are read only. The last one stays unpacked: a
 * guest reads it in several requests. Buffers come with the first of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/num.h"
#include "disk/qcow2.h"

#include "base/banned.h"

struct unpacker {
	uint8_t *out, *in;
	uint64_t entry; /* that @out is; 0: none */
	unsigned layer;
	uint32_t size; /* of @out; @in has twice that */
	z_stream z;
	bool z_ready;
	ZSTD_DCtx *zstd;
};

void qcow2_unpacker_free(struct chain *c)
{
	struct unpacker *u = c->unpacker;

	if (!u)
		return;
	if (u->z_ready)
		(void)inflateEnd(&u->z);
	(void)ZSTD_freeDCtx(u->zstd);
	free(u->out);
	free(u->in);
	free(u);
	c->unpacker = NULL;
}

/* For clusters of @size bytes. */
static int prepare(struct chain *c, uint32_t size)
{
	struct unpacker *u = c->unpacker;

	if (!u)
		u = c->unpacker = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	if (u->size >= size)
		return 0;
	free(u->out);
	free(u->in);
	u->entry = u->size = 0;
	u->out = malloc(size);
	u->in = malloc(2 * (size_t)size);
	if (!u->out || !u->in)
		return -ENOMEM;
	u->size = size;
	return 0;
}

static int deflated(struct unpacker *u, size_t in_len, uint32_t out_len)
{
	int r;

	if (!u->z_ready && inflateInit2(&u->z, -15) != Z_OK)
		return -ENOMEM;
	u->z_ready = true;
	if (inflateReset(&u->z) != Z_OK)
		return -EIO;
	u->z.next_in = u->in;
	u->z.avail_in = (uInt)in_len;
	u->z.next_out = u->out;
	u->z.avail_out = out_len;
	r = inflate(&u->z, Z_FINISH);
	return (r == Z_STREAM_END || r == Z_BUF_ERROR) && !u->z.avail_out
	               ? 0
	               : -EIO;
}

static int zstandard(struct unpacker *u, size_t in_len, uint32_t out_len)
{
	ZSTD_inBuffer in = {u->in, in_len, 0};
	ZSTD_outBuffer out = {u->out, out_len, 0};

	if (!u->zstd)
		u->zstd = ZSTD_createDCtx();
	if (!u->zstd)
		return -ENOMEM;
	(void)ZSTD_DCtx_reset(u->zstd, ZSTD_reset_session_only);
	while (out.pos < out.size) {
		const size_t before = in.pos + out.pos;
		size_t r = ZSTD_decompressStream(u->zstd, &out, &in);

		if (ZSTD_isError(r) || in.pos + out.pos == before)
			return -EIO;
	}
	return 0;
}

int qcow2_unpack(struct chain *c, struct qcow2 *q, uint64_t entry,
                 const uint8_t **ret)
{
	struct unpacker *u;
	uint64_t at, len;
	int r = prepare(c, q->cluster);

	if (r < 0)
		return r;
	u = c->unpacker;
	*ret = u->out;
	if (u->entry == entry && u->layer == q->layer)
		return 0;
	u->entry = 0;
	qcow2_packed_range(q, entry, &at, &len);
	len = MIN(len, 2ULL * q->cluster);
	r = file_get(q->fd, u->in, len, at);
	if (r < 0)
		return r;
	r = q->h.zstd ? zstandard(u, len, q->cluster)
	              : deflated(u, len, q->cluster);
	if (r == -EIO)
		return qcow2_fault(c, q, "a compressed cluster", at);
	if (r == 0) {
		u->entry = entry;
		u->layer = q->layer;
	}
	return r;
}
