#include "image/tar_write.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

#define NAME_FIELD 100
#define OCTAL7     07777777ULL     /* what 7 digits hold */
#define OCTAL11    077777777777ULL /* 11 digits */

/* "LEN KEY=VALUE\n", where LEN counts its own digits too. */
static void put_record(struct buf *b, const char *key, size_t key_len,
                       const void *value, size_t len)
{
	size_t rest = key_len + len + 3, total = rest + 1;
	char digits[24];

	while ((size_t)snprintf(digits, sizeof(digits), "%zu", total) + rest !=
	       total)
		total = rest + strlen(digits);
	(void)buf_printf(b, "%zu ", total);
	(void)buf_add(b, key, key_len);
	(void)buf_addc(b, '=');
	(void)buf_add(b, value, len);
	(void)buf_addc(b, '\n');
}

static void put_number(struct buf *b, const char *key, uint64_t v)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)v);

	put_record(b, key, strlen(key), text, (size_t)n);
}

/* -1.25 s is kept as second -2 and 750 ms. */
static void put_mtime(struct buf *b, int64_t sec, uint32_t ns)
{
	bool minus = sec < 0;
	char text[48];
	int n;

	if (minus && ns) {
		sec++;
		ns = 1000000000u - ns;
	}
	n = snprintf(text, sizeof(text), "%s%llu.%09u", minus ? "-" : "",
	             (unsigned long long)(sec < 0 ? -sec : sec), ns);
	put_record(b, "mtime", 5, text, (size_t)n);
}

static void put_xattrs(struct buf *b, const struct tar_entry *e)
{
	const uint8_t *p = e->xattrs;
	const uint8_t *end = e->xattrs_len ? p + e->xattrs_len : p;

	while (p < end) {
		char key[13 + 255];
		size_t name = p[0], value = get_le16(p + 1);

		memcpy(key, "SCHILY.xattr.", 13);
		memcpy(key + 13, p + 3, name);
		put_record(b, key, 13 + name, p + 3 + name, value);
		p += 3 + name + value;
	}
}

/* The extended header's records: what the ustar header cannot say. */
static void put_pax(struct buf *b, const struct tar_entry *e)
{
	if (e->path_len > NAME_FIELD)
		put_record(b, "path", 4, e->path, e->path_len);
	if (e->link_len > NAME_FIELD)
		put_record(b, "linkpath", 8, e->link, e->link_len);
	if (e->size > OCTAL11)
		put_number(b, "size", e->size);
	if (e->uid > OCTAL7)
		put_number(b, "uid", e->uid);
	if (e->gid > OCTAL7)
		put_number(b, "gid", e->gid);
	if (e->mtime < 0 || (uint64_t)e->mtime > OCTAL11 || e->mtime_ns)
		put_mtime(b, e->mtime, e->mtime_ns);
	put_xattrs(b, e);
}

static void octal(uint8_t *to, unsigned digits, uint64_t v)
{
	to[digits] = '\0';
	while (digits--) {
		to[digits] = (uint8_t)('0' + (v & 7));
		v >>= 3;
	}
}

/* A value that does not fit is 0 here and in the extended header. */
static uint64_t fit(uint64_t v, uint64_t max)
{
	return v > max ? 0 : v;
}

static void checksum(uint8_t *h)
{
	uint64_t sum = 0;

	memset(h + 148, ' ', 8);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += h[i];
	octal(h + 148, 6, sum);
}

static int put_block(struct buf *b, const struct tar_entry *e, char type)
{
	uint8_t h[TAR_BLOCK] = {0};
	int64_t mtime = e->mtime < 0 ? 0 : e->mtime;

	memcpy(h, e->path, MIN(e->path_len, (size_t)NAME_FIELD));
	octal(h + 100, 7, e->mode & 07777);
	octal(h + 108, 7, fit(e->uid, OCTAL7));
	octal(h + 116, 7, fit(e->gid, OCTAL7));
	octal(h + 124, 11, fit(e->size, OCTAL11));
	octal(h + 136, 11, fit((uint64_t)mtime, OCTAL11));
	h[156] = (uint8_t)type;
	if (e->link_len)
		memcpy(h + 157, e->link, MIN(e->link_len, (size_t)NAME_FIELD));
	memcpy(h + 257,
	       "ustar\0"
	       "00",
	       8);
	octal(h + 329, 7, e->major);
	octal(h + 337, 7, e->minor);
	checksum(h);
	return buf_add(b, h, sizeof(h));
}

/* The extended header, if there is something in @pax, then the header. */
static int put_headers(struct buf *b, const struct tar_entry *e,
                       const struct buf *pax)
{
	if (pax->len) {
		struct tar_entry x = {.path = "pax",
		                      .path_len = 3,
		                      .mode = 0644,
		                      .size = pax->len};

		(void)put_block(b, &x, 'x');
		(void)buf_add(b, pax->data, pax->len);
		(void)buf_addz(b, tar_padding(pax->len));
	}
	(void)put_block(b, e, (char)e->type);
	return buf_ok(b) && buf_ok(pax) ? 0 : -ENOMEM;
}

int tar_put_header(struct buf *b, const struct tar_entry *e)
{
	struct buf cleanup_buf pax = BUF_INIT;

	put_pax(&pax, e);
	return put_headers(b, e, &pax);
}

int tar_put_sparse_header(struct buf *b, const struct tar_entry *e,
                          uint64_t real)
{
	struct buf cleanup_buf pax = BUF_INIT, name = BUF_INIT;
	struct tar_entry x = *e;

	put_pax(&pax, e);
	put_number(&pax, "GNU.sparse.major", 1);
	put_number(&pax, "GNU.sparse.minor", 0);
	put_record(&pax, "GNU.sparse.name", 15, e->path, e->path_len);
	put_number(&pax, "GNU.sparse.realsize", real);
	/* What tools see that do not know the form. */
	(void)buf_adds(&name, "GNUSparseFile.0/");
	(void)buf_add(&name, e->path, e->path_len);
	if (!buf_ok(&name))
		return -ENOMEM;
	x.path = buf_str(&name);
	x.path_len = name.len;
	return put_headers(b, &x, &pax);
}

int tar_put_end(struct buf *b)
{
	return buf_addz(b, (size_t)2 * TAR_BLOCK);
}
