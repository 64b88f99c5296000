#include "guest/certs.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "guest/sha1.h"

#include "base/banned.h"

#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END   "-----END CERTIFICATE-----"

/* ---- PEM ---- */

/* What each character stands for, and one more; 0: it is no digit. */
#define SPACE 0x80
#define PAD   0x81
static const uint8_t digits[256] = {
	['\t'] = SPACE, ['\n'] = SPACE, ['\r'] = SPACE, [' '] = SPACE,
	['='] = PAD,    ['A'] = 1,      ['B'] = 2,      ['C'] = 3,
	['D'] = 4,      ['E'] = 5,      ['F'] = 6,      ['G'] = 7,
	['H'] = 8,      ['I'] = 9,      ['J'] = 10,     ['K'] = 11,
	['L'] = 12,     ['M'] = 13,     ['N'] = 14,     ['O'] = 15,
	['P'] = 16,     ['Q'] = 17,     ['R'] = 18,     ['S'] = 19,
	['T'] = 20,     ['U'] = 21,     ['V'] = 22,     ['W'] = 23,
	['X'] = 24,     ['Y'] = 25,     ['Z'] = 26,     ['a'] = 27,
	['b'] = 28,     ['c'] = 29,     ['d'] = 30,     ['e'] = 31,
	['f'] = 32,     ['g'] = 33,     ['h'] = 34,     ['i'] = 35,
	['j'] = 36,     ['k'] = 37,     ['l'] = 38,     ['m'] = 39,
	['n'] = 40,     ['o'] = 41,     ['p'] = 42,     ['q'] = 43,
	['r'] = 44,     ['s'] = 45,     ['t'] = 46,     ['u'] = 47,
	['v'] = 48,     ['w'] = 49,     ['x'] = 50,     ['y'] = 51,
	['z'] = 52,     ['0'] = 53,     ['1'] = 54,     ['2'] = 55,
	['3'] = 56,     ['4'] = 57,     ['5'] = 58,     ['6'] = 59,
	['7'] = 60,     ['8'] = 61,     ['9'] = 62,     ['+'] = 63,
	['/'] = 64,
};

/*
 * Base64 up to the first character that is none; *at moves there. 1; 0 when it
 * is broken or too much. It is the hottest part of a start with certificates.
 */
static int decode(struct bytes text, size_t *at, struct buf *to)
{
	size_t room = MIN((text.n - *at) / 4 * 3 + 3, CERTS_DER_MAX - 4);
	unsigned have = 0, padding = 0;
	uint32_t word = 0;
	uint8_t *out;
	size_t i, len = 0;

	if (buf_reserve(to, room + 3) < 0)
		return -ENOMEM;
	out = to->data;
	for (i = *at; i < text.n && len < room; i++) {
		unsigned d = digits[text.p[i]];

		if (d == SPACE)
			continue;
		if (d == PAD && ++padding <= 2)
			continue;
		if (d == 0 || d == PAD || padding)
			break;
		word = word << 6 | (d - 1);
		if (++have % 4)
			continue;
		out[len++] = (uint8_t)(word >> 16);
		out[len++] = (uint8_t)(word >> 8);
		out[len++] = (uint8_t)word;
	}
	*at = i;
	if (have % 4 == 3)
		out[len++] = (uint8_t)(word >> 10);
	if (have % 4 == 3)
		out[len++] = (uint8_t)(word >> 2);
	if (have % 4 == 2)
		out[len++] = (uint8_t)(word >> 4);
	buf_commit(to, len);
	return len > 0 && have % 4 != 1;
}

static bool is_at(struct bytes text, size_t at, const char *what)
{
	return text.n - at >= strlen(what) &&
	       memcmp(text.p + at, what, strlen(what)) == 0;
}

int certs_next(struct bytes text, size_t *pos, struct buf *der,
               struct bytes *ret_pem)
{
	der->max = CERTS_DER_MAX;
	while (*pos < text.n) {
		const uint8_t *begin = memmem(text.p + *pos, text.n - *pos,
		                              BEGIN, strlen(BEGIN));
		int r;

		if (!begin)
			break;
		*pos = (size_t)(begin - text.p) + strlen(BEGIN);
		buf_reset(der);
		r = decode(text, pos, der);
		if (r < 0)
			return r;
		if (r == 0 || !is_at(text, *pos, END))
			continue;
		*pos += strlen(END);
		*ret_pem =
			(struct bytes){begin, *pos - (size_t)(begin - text.p)};
		return 1;
	}
	*pos = text.n;
	return 0;
}

size_t certs_tail(struct bytes text, unsigned n)
{
	const uint8_t *at = text.p, *last = text.p, *end = text.p + text.n;
	unsigned count = 0;

	while ((at = memmem(at, (size_t)(end - at), BEGIN, strlen(BEGIN)))) {
		last = at;
		at += strlen(BEGIN);
		count++;
	}
	return count > n ? (size_t)(last - text.p) : 0;
}

/* ---- DER ---- */

#define SEQUENCE     0x30
#define SET          0x31
#define INTEGER      0x02
#define OCTET_STRING 0x04
#define OID          0x06
#define UTF8         0x0c
#define PRINTABLE    0x13
#define T61          0x14
#define IA5          0x16
#define VISIBLE      0x1a
#define UNIVERSAL    0x1c
#define BMP          0x1e
#define EXPLICIT     0xa0

bool certs_der(struct bytes *in, uint8_t *ret_tag, struct bytes *ret_body)
{
	size_t at = 2, len;
	uint8_t tag;

	if (in->n < 2)
		return false;
	tag = in->p[0];
	len = in->p[1];
	if ((tag & 0x1f) == 0x1f) /* of several bytes: nothing we look for */
		return false;
	if (len & 0x80) {
		size_t n = len & 0x7f;

		if (n < 1 || n > 4 || in->n < at + n)
			return false;
		for (len = 0; n; n--)
			len = len << 8 | in->p[at++];
	}
	if (in->n - at < len)
		return false;
	*ret_tag = tag;
	*ret_body = (struct bytes){in->p + at, len};
	in->p += at + len;
	in->n -= at + len;
	return true;
}

/* The next element, which must have this tag. */
static bool take(struct bytes *in, uint8_t tag, struct bytes *ret_body)
{
	struct bytes rest = *in;
	uint8_t got;

	if (!certs_der(&rest, &got, ret_body) || got != tag)
		return false;
	*in = rest;
	return true;
}

/* ---- the subject's hash ---- */

static int put_head(struct buf *to, uint8_t tag, size_t len)
{
	(void)buf_addc(to, (char)tag);
	if (len >= 0x100)
		(void)buf_add(
			to,
			(uint8_t[]){0x82, (uint8_t)(len >> 8), (uint8_t)len},
			3);
	else if (len >= 0x80)
		(void)buf_add(to, (uint8_t[]){0x81, (uint8_t)len}, 2);
	else
		(void)buf_addc(to, (char)len);
	return buf_ok(to) ? 0 : -ENOMEM;
}

/*
 * Small letters, one space where there is white space, none at the ends. By
 * ASCII only; isspace() and tolower() are of the "C" locale here.
 */
static void put_plain(struct buf *to, struct bytes text)
{
	size_t i = 0;

	while (text.n && isspace(text.p[text.n - 1]))
		text.n--;
	while (i < text.n && isspace(text.p[i]))
		i++;
	for (; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (!isspace(c))
			(void)buf_addc(to, (char)tolower(c));
		else if (!isspace(text.p[i - 1]))
			(void)buf_addc(to, ' ');
	}
}

/* SEQUENCE { OID, value }, as OpenSSL compares it, with its SET around. */
static int put_attribute(struct buf *to, struct bytes set)
{
	struct buf cleanup_buf value = BUF_INIT_MAX(0x4000);
	struct buf cleanup_buf inner = BUF_INIT_MAX(0x8000);
	struct bytes pair, oid, text;
	uint8_t tag;

	if (!take(&set, SEQUENCE, &pair) || !take(&pair, OID, &oid) ||
	    !certs_der(&pair, &tag, &text))
		return -EBADMSG;
	if (set.n || tag == T61 || tag == UNIVERSAL || tag == BMP)
		return -EOPNOTSUPP;
	if (tag == UTF8 || tag == PRINTABLE || tag == IA5 || tag == VISIBLE) {
		tag = UTF8;
		put_plain(&value, text);
	} else {
		(void)buf_add(&value, text.p, text.n);
	}
	(void)put_head(&inner, OID, oid.n);
	(void)buf_add(&inner, oid.p, oid.n);
	(void)put_head(&inner, tag, value.len);
	(void)buf_add(&inner, value.data, value.len);
	if (!buf_ok(&value) || !buf_ok(&inner))
		return -EOPNOTSUPP;
	pair.n = inner.len + (inner.len >= 0x100  ? 4
	                      : inner.len >= 0x80 ? 3
	                                          : 2);
	(void)put_head(to, SET, pair.n);
	(void)put_head(to, SEQUENCE, inner.len);
	return buf_add(to, inner.data, inner.len);
}

static bool find_subject(struct bytes der, struct bytes *ret)
{
	struct bytes cert, tbs, skip;

	if (!take(&der, SEQUENCE, &cert) || !take(&cert, SEQUENCE, &tbs))
		return false;
	(void)take(&tbs, EXPLICIT, &skip); /* the version */
	return take(&tbs, INTEGER, &skip) && take(&tbs, SEQUENCE, &skip) &&
	       take(&tbs, SEQUENCE, &skip) && take(&tbs, SEQUENCE, &skip) &&
	       take(&tbs, SEQUENCE, ret);
}

int certs_hash(struct bytes der, uint32_t *ret)
{
	struct buf cleanup_buf name = BUF_INIT_MAX(CERTS_DER_MAX);
	struct bytes subject, set;
	uint8_t digest[SHA1_LEN];
	struct sha1 s;

	if (!find_subject(der, &subject))
		return -EBADMSG;
	while (subject.n) {
		int r = take(&subject, SET, &set) ? put_attribute(&name, set)
		                                  : -EBADMSG;

		if (r < 0)
			return r;
	}
	sha1_init(&s);
	sha1_add(&s, name.data, name.len);
	sha1_end(&s, digest);
	*ret = get_le32(digest);
	return 0;
}

/* ---- Java ---- */

#define JKS_MAGIC   0xfeedfeedu
#define JKS_VERSION 2u
#define JKS_TRUSTED 2u
#define JKS_HEAD    12 /* magic, version, count */

/* A key store that grows; its count is put right at the end. */
struct jks {
	struct buf *out;
	size_t at; /* of its first byte in out */
	uint32_t count;
	uint64_t now_ms;
};

static void put32(struct buf *to, uint32_t v)
{
	uint8_t b[4];

	put_be32(b, v);
	(void)buf_add(to, b, sizeof(b));
}

static void put_text(struct buf *to, const char *text)
{
	size_t len = strlen(text);

	(void)buf_add(to, (uint8_t[]){(uint8_t)(len >> 8), (uint8_t)len}, 2);
	(void)buf_add(to, text, len);
}

static int put_entry(struct jks *k, struct bytes der)
{
	struct buf cleanup_buf alias = BUF_INIT_MAX(64);

	if (k->count >= CERTS_COUNT_MAX)
		return -E2BIG;
	(void)buf_printf(&alias, "microsandbox-%u", k->count++);
	put32(k->out, JKS_TRUSTED);
	put_text(k->out, buf_str(&alias));
	put32(k->out, (uint32_t)(k->now_ms >> 32));
	put32(k->out, (uint32_t)k->now_ms);
	put_text(k->out, "X.509");
	put32(k->out, (uint32_t)der.n);
	(void)buf_add(k->out, der.p, der.n);
	return buf_ok(k->out) ? 0 : -ENOMEM;
}

static int put_pem(struct jks *k, struct bytes text)
{
	struct buf cleanup_buf der = BUF_INIT;
	struct bytes pem;
	size_t pos = 0;
	int r;

	while ((r = certs_next(text, &pos, &der, &pem)) > 0) {
		r = put_entry(k, (struct bytes){der.data, der.len});
		if (r < 0)
			break;
	}
	return r;
}

/* Its entries stay as they are, so they need not be understood. */
static bool is_jks(struct bytes old)
{
	return old.n >= JKS_HEAD + SHA1_LEN && get_be32(old.p) == JKS_MAGIC &&
	       get_be32(old.p + 4) == JKS_VERSION &&
	       get_be32(old.p + 8) < CERTS_COUNT_MAX;
}

static void put_jks(struct jks *k, struct bytes old)
{
	(void)buf_add(k->out, old.p + JKS_HEAD, old.n - JKS_HEAD - SHA1_LEN);
	k->count = get_be32(old.p + 8);
}

/*
 * A PKCS #12 without encryption, as Java has it since 18: wherever in it the
 * type "X.509 certificate" stands, [0] { OCTET STRING } with one follows.
 */
static int put_pkcs12(struct jks *k, struct bytes old)
{
	static const uint8_t x509[] = {OID,  10,   0x2a, 0x86, 0x48, 0x86,
	                               0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01};
	int r = 0;

	while (r == 0) {
		const uint8_t *at =
			old.n ? memmem(old.p, old.n, x509, sizeof(x509)) : NULL;
		struct bytes body, der, cert, check;

		if (!at)
			break;
		old.n -= (size_t)(at - old.p) + sizeof(x509);
		old.p = at + sizeof(x509);
		if (!take(&old, EXPLICIT, &body) ||
		    !take(&body, OCTET_STRING, &der))
			continue;
		check = der;
		if (take(&check, SEQUENCE, &cert) && !check.n)
			r = put_entry(k, der);
	}
	return r;
}

static int put_old(struct jks *k, struct bytes old, struct bytes bundle)
{
	int r = 0;

	if (is_jks(old))
		put_jks(k, old);
	else
		r = put_pkcs12(k, old);
	if (r == 0 && k->count == 0)
		r = put_pem(k, bundle);
	if (r == 0 && k->count == 0)
		r = -ENODATA;
	return r;
}

/* The digest is of a password and a phrase, too: both are the format's. */
static int seal(struct jks *k)
{
	static const char password[] = "\0c\0h\0a\0n\0g\0e\0i\0t";
	static const char phrase[] = "Mighty Aphrodite";
	uint8_t digest[SHA1_LEN];
	struct sha1 s;

	if (!buf_ok(k->out))
		return -ENOMEM;
	put_be32(k->out->data + k->at + 8, k->count);
	sha1_init(&s);
	sha1_add(&s, password, sizeof(password) - 1);
	sha1_add(&s, phrase, sizeof(phrase) - 1);
	sha1_add(&s, k->out->data + k->at, k->out->len - k->at);
	sha1_end(&s, digest);
	return buf_add(k->out, digest, sizeof(digest));
}

int certs_java(struct bytes old, struct bytes bundle, struct bytes more,
               uint64_t now_ms, struct buf *out)
{
	struct jks k = {.out = out, .at = out->len, .now_ms = now_ms};
	int r;

	put32(out, JKS_MAGIC);
	put32(out, JKS_VERSION);
	put32(out, 0);
	r = put_old(&k, old, bundle);
	if (r == 0)
		r = put_pem(&k, more);
	return r < 0 ? r : seal(&k);
}
