#include "image/inflate.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdbool.h>
#include <string.h>
#include <zstd.h>

#include "base/num.h"

#include "base/banned.h"

#define INPUT_BYTES     (256 * 1024)
#define MAGIC_BYTES     6
#define ZSTD_WINDOW_LOG 27 /* what every zstd can read without an option */

struct inflate;

/* How one compression goes on: see step(). */
struct coding {
	const char *name, *magic;
	uint8_t magic_len, first_mask;
	int (*start)(struct inflate *z, struct err *err);

	/*
	 * Turn input into output. Returns a negative errno; else says through
	 * z->in, z->out how far it came and through z->whole whether the input
	 * may end here.
	 */
	int (*step)(struct inflate *z, struct err *err);
};

struct inflate {
	struct layer_source src;
	const struct coding *coding;
	uint8_t *in, *in_end, *out, *out_end;
	uint64_t taken;
	bool eof, whole, fresh; /* fresh: at a gzip member's first byte */
	ZSTD_DCtx *zstd;
	struct inflate_state gzip;
	uint8_t input[INPUT_BYTES];
};

static int broken(const struct inflate *z, struct err *err, const char *why)
{
	return err_set(err, -EBADMSG, "%s-compressed layer: %s",
	               z->coding->name, why);
}

static int plain_step(struct inflate *z, struct err *err)
{
	size_t n =
		MIN((size_t)(z->in_end - z->in), (size_t)(z->out_end - z->out));

	(void)err;
	memcpy(z->out, z->in, n);
	z->in += n;
	z->out += n;
	return 0;
}

static int plain_start(struct inflate *z, struct err *err)
{
	(void)err;
	z->whole = true;
	return 0;
}

static int gzip_start(struct inflate *z, struct err *err)
{
	(void)err;
	isal_inflate_init(&z->gzip);
	z->gzip.crc_flag = ISAL_GZIP;
	z->fresh = true;
	return 0;
}

/*
 * isa-l reads one member; the next one is started by hand. A member's first
 * byte is looked at here, so that bytes behind the last one are told from a
 * member that is damaged.
 */
static int gzip_step(struct inflate *z, struct err *err)
{
	struct inflate_state *s = &z->gzip;
	int r;

	if (z->fresh && z->in == z->in_end)
		return 0;
	if (z->fresh && *z->in != (uint8_t)z->coding->magic[0])
		return broken(z, err, "other bytes follow its end");
	z->fresh = false;
	s->next_in = z->in;
	s->avail_in = (uint32_t)(z->in_end - z->in);
	s->next_out = z->out;
	s->avail_out = (uint32_t)(z->out_end - z->out);
	r = isal_inflate(s);
	z->in = s->next_in;
	z->out = s->next_out;
	if (r == ISAL_INCORRECT_CHECKSUM)
		return broken(z, err, "wrong checksum");
	if (r != ISAL_DECOMP_OK && r != ISAL_END_INPUT)
		return broken(z, err, "damaged data");
	z->whole = s->block_state == ISAL_BLOCK_FINISH;
	if (z->whole) {
		isal_inflate_reset(s);
		s->crc_flag = ISAL_GZIP;
		z->fresh = true;
	}
	return 0;
}

static int zstd_start(struct inflate *z, struct err *err)
{
	z->zstd = ZSTD_createDCtx();
	if (!z->zstd)
		return err_set(err, -ENOMEM, "out of memory");
	(void)ZSTD_DCtx_setParameter(z->zstd, ZSTD_d_windowLogMax,
	                             ZSTD_WINDOW_LOG);
	return 0;
}

static int zstd_step(struct inflate *z, struct err *err)
{
	ZSTD_inBuffer in = {z->in, (size_t)(z->in_end - z->in), 0};
	ZSTD_outBuffer out = {z->out, (size_t)(z->out_end - z->out), 0};
	size_t r = ZSTD_decompressStream(z->zstd, &out, &in);

	if (ZSTD_isError(r))
		return broken(z, err, ZSTD_getErrorName(r));
	z->in += in.pos;
	z->out += out.pos;
	if (in.pos || out.pos)
		z->whole = r == 0;
	return 0;
}

static int refuse(struct inflate *z, struct err *err)
{
	err_set(err, -ENOTSUP, "%s-compressed layer: not supported",
	        z->coding->name);
	err_hint(err, "images use gzip, zstd or no compression");
	return -ENOTSUP;
}

/* The last one has no magic: a tar has its own checks. */
static const struct coding codings[] = {
	{"gzip",  "\x1f\x8b",         2, 0xff, gzip_start,  gzip_step },
	{"zstd",  "\x28\xb5\x2f\xfd", 4, 0xff, zstd_start,  zstd_step },
	{"zstd",  "\x50\x2a\x4d\x18", 4, 0xf0, zstd_start,  zstd_step },
	{"bzip2", "BZh",              3, 0xff, refuse,      NULL      },
	{"xz",    "\xfd\x37zXZ",      5, 0xff, refuse,      NULL      },
	{"plain", "",                 0, 0xff, plain_start, plain_step},
};

static bool matches(const struct coding *c, const uint8_t *p, size_t len)
{
	if (c->magic_len == 0)
		return true;
	return len >= c->magic_len &&
	       (p[0] & c->first_mask) == (uint8_t)c->magic[0] &&
	       memcmp(p + 1, c->magic + 1, c->magic_len - 1u) == 0;
}

struct inflate *inflate_new(const struct layer_source *src)
{
	struct inflate *z = malloc(sizeof(*z));

	if (!z)
		return NULL;
	memset(z, 0, offsetof(struct inflate, gzip));
	z->src = *src;
	z->in = z->in_end = z->input;
	return z;
}

void inflate_free(struct inflate *z)
{
	if (!z)
		return;
	ZSTD_freeDCtx(z->zstd);
	free(z);
}

/* More input behind what is there; the caller has used most of it. */
static int more_input(struct inflate *z, struct err *err)
{
	size_t have = (size_t)(z->in_end - z->in);
	ssize_t n;

	memmove(z->input, z->in, have);
	z->in = z->input;
	z->in_end = z->input + have;
	n = z->src.read(z->src.arg, z->in_end, INPUT_BYTES - have, err);
	if (n < 0)
		return (int)n;
	z->eof = n == 0;
	z->in_end += n;
	z->taken += (uint64_t)n;
	return 0;
}

static int detect(struct inflate *z, struct err *err)
{
	const struct coding *c = codings;

	while (!z->eof && z->in_end - z->in < MAGIC_BYTES) {
		int r = more_input(z, err);

		if (r < 0)
			return r;
	}
	while (!matches(c, z->in, (size_t)(z->in_end - z->in)))
		c++;
	z->coding = c;
	return c->start(z, err);
}

/*
 * A decoder may hold output back when the buffer is full, so it is asked again
 * until it neither takes nor gives anything; only then does the input's end
 * count.
 */
ssize_t inflate_read(struct inflate *z, void *out, size_t len, struct err *err)
{
	int r = z->coding ? 0 : detect(z, err);

	z->out = out;
	z->out_end = z->out + len;
	while (r == 0 && z->out < z->out_end) {
		const uint8_t *in = z->in, *before = z->out;

		if (z->in == z->in_end && !z->eof)
			r = more_input(z, err);
		if (r == 0) {
			in = z->in;
			r = z->coding->step(z, err);
		}
		if (r == 0 && z->in == in && z->out == before &&
		    (z->eof || z->in < z->in_end))
			break;
	}
	if (r < 0)
		return r;
	if (z->out < z->out_end && z->in < z->in_end)
		return broken(z, err, "damaged data");
	if (z->out < z->out_end && !z->whole)
		return broken(z, err, "cut short");
	return z->out - (uint8_t *)out;
}

uint64_t inflate_taken(const struct inflate *z)
{
	return z->taken;
}
