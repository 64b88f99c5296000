/*
 * A ClientHello (RFC 8446, 4.1.2; the same bytes since TLS 1.0), which may be
 * cut into records anywhere: the pieces are put together in a buffer of their
 * own, then read with a cursor.
 */
#include "net/sniff_int.h"

#include <string.h>

#include "base/cursor.h"

#include "base/banned.h"

#define RECORD_HEAD  5
#define RECORD_MAX   (1u << 14)
#define HELLO_HEAD   4
#define CLIENT_HELLO 1
#define HANDSHAKE    0x16

enum extension {
	EXT_NAME = 0,
	EXT_ALPN = 16,
	EXT_ECH = 0xfe0d,
	EXT_ESNI = 0xffce, /* its draft; as good as no name either */
};

/* RFC 8701: values without a meaning, so that nobody trips over new ones. */
static bool is_grease(const uint8_t *p, size_t len)
{
	return len == 2 && p[0] == p[1] && (p[0] & 0x0f) == 0x0a;
}

/* One list with one host name; other kinds of names were never defined. */
static bool read_name(struct cursor c, struct sniff *ret)
{
	const uint8_t *name;
	size_t len;

	if (cur_be16(&c) != cur_left(&c) || cur_u8(&c) != 0)
		return false;
	len = cur_be16(&c);
	name = cur_bytes(&c, len);
	return name && cur_done(&c) && sniff_name(name, len, ret->name);
}

static bool is_plain(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] <= ' ' || p[i] >= 0x7f || p[i] == ',')
			return false;
	return true;
}

/* Those that do not fit or have odd letters are left out. */
static void add_alpn(struct sniff *ret, const uint8_t *p, size_t len)
{
	size_t at = strlen(ret->alpn);

	if (at + 1 + len >= sizeof(ret->alpn) || is_grease(p, len) ||
	    !is_plain(p, len))
		return;
	if (at > 0)
		ret->alpn[at++] = ',';
	memcpy(ret->alpn + at, p, len);
	ret->alpn[at + len] = '\0';
}

static bool read_alpn(struct cursor c, struct sniff *ret)
{
	if (cur_be16(&c) != cur_left(&c) || cur_left(&c) == 0)
		return false;
	while (cur_left(&c) > 0) {
		size_t len = cur_u8(&c);
		const uint8_t *p = cur_bytes(&c, len);

		if (!p || len == 0)
			return false;
		add_alpn(ret, p, len);
	}
	return cur_ok(&c);
}

static bool read_ech(struct cursor c, struct sniff *ret)
{
	(void)c;
	ret->ech = true;
	return true;
}

static const struct {
	enum extension type;
	bool (*read)(struct cursor c, struct sniff *ret);
} extensions[] = {
	{EXT_NAME, read_name},
	{EXT_ALPN, read_alpn},
	{EXT_ECH,  read_ech },
	{EXT_ESNI, read_ech },
};

/* Each at most once; @seen has a bit for each of the table. */
static bool read_extension(struct cursor *c, unsigned *seen, struct sniff *ret)
{
	unsigned type = cur_be16(c);
	size_t len = cur_be16(c);
	const void *data = cur_bytes(c, len);

	if (!data)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++) {
		if (extensions[i].type != type)
			continue;
		if (*seen & 1u << i)
			return false;
		*seen |= 1u << i;
		return extensions[i].read(cur_init(data, len), ret);
	}
	return true;
}

/* A vector with a length of @bytes, of at least @min and at most @max. */
static bool skip_vector(struct cursor *c, unsigned bytes, size_t min,
                        size_t max)
{
	size_t len = bytes == 1 ? cur_u8(c) : cur_be16(c);

	return len >= min && len <= max && len % bytes == 0 &&
	       cur_bytes(c, len);
}

static bool read_hello(struct cursor c, struct sniff *ret)
{
	unsigned seen = 0;

	if (cur_u8(&c) != 3)
		return false;
	(void)cur_u8(&c);
	(void)cur_bytes(&c, 32);
	if (!skip_vector(&c, 1, 0, 32) || !skip_vector(&c, 2, 2, 0xfffe) ||
	    !skip_vector(&c, 1, 1, 255))
		return false;
	if (cur_done(&c)) /* TLS 1.0 knew no extensions */
		return true;
	if (cur_be16(&c) != cur_left(&c))
		return false;
	while (cur_left(&c) > 0)
		if (!read_extension(&c, &seen, ret))
			return false;
	return cur_ok(&c);
}

/* The length of what is @got so far, with its head; 0: it is not known yet. */
static size_t hello_len(const uint8_t *hello, size_t got)
{
	if (got < HELLO_HEAD)
		return 0;
	return HELLO_HEAD +
	       ((size_t)hello[1] << 16 | (size_t)hello[2] << 8 | hello[3]);
}

struct gather {
	uint8_t hello[SNIFF_MAX];
	size_t got;
};

/*
 * One record, or the part of it that is here. SNIFF_TLS: the hello is whole,
 * SNIFF_OTHER: go on with the next record.
 */
static enum sniff_kind take_record(struct cursor *c, struct gather *g)
{
	size_t len, here, want;
	const void *part;

	if (cur_left(c) < RECORD_HEAD)
		return SNIFF_MORE;
	if (cur_u8(c) != HANDSHAKE || cur_u8(c) != 3)
		return SNIFF_BAD;
	(void)cur_u8(c);
	len = cur_be16(c);
	if (len == 0 || len > RECORD_MAX)
		return SNIFF_BAD;
	here = MIN(len, cur_left(c));
	part = cur_bytes(c, here);
	memcpy(g->hello + g->got, part, here);
	g->got += here;
	if (g->got > 0 && g->hello[0] != CLIENT_HELLO)
		return SNIFF_BAD;
	want = hello_len(g->hello, g->got);
	if (want > SNIFF_MAX || (want > 0 && g->got - here + len > want))
		return SNIFF_BAD; /* too long, or more in its last record */
	if (want > 0 && g->got == want)
		return SNIFF_TLS;
	return here < len ? SNIFF_MORE : SNIFF_OTHER;
}

enum sniff_kind sniff_tls(const uint8_t *data, size_t len, struct sniff *ret)
{
	struct cursor c = cur_init(data, len);
	enum sniff_kind k;
	struct gather g;

	g.got = 0;
	if (len >= 2 && data[1] != 3)
		return SNIFF_OTHER;
	do {
		k = take_record(&c, &g);
	} while (k == SNIFF_OTHER);
	if (k != SNIFF_TLS)
		return k;
	c = cur_init(g.hello + HELLO_HEAD, g.got - HELLO_HEAD);
	return read_hello(c, ret) ? SNIFF_TLS : SNIFF_BAD;
}
