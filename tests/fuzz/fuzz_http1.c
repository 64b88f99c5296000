/*
 * A guest and a server, both hostile, talk through the HTTP/1 relay. Their
 * bytes are given whole, then cut small: what comes out is the same. What goes
 * to the server is read by somebody else, carelessly: that reader sees only
 * requests for our host, and no other beginning of one. No value is where it
 * must not be.
 *
 *	input: flags, size of the cuts, then pieces: who, length (2), bytes
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/num.h"
#include "tls/relay.h"
#include "tls/subst.h"

#include "base/banned.h"

#define HOST  "api.example"
#define KEY   "MSB_KEY"
#define VALUE "the-value-of-key"
#define OTHER "MSB_OTHER"
#define NEVER "never-to-be-seen"

enum {
	F_BODY = 1,
	F_QUERY = 2,
	F_MASK = 4,
	F_NONE = 8,
	F_ADDRESS = 16,
	F_PASS = 32,
	F_ALL = 64
};

#define CHECK(what)                                                            \
	do {                                                                   \
		if (!(what))                                                   \
			abort();                                               \
	} while (0)

/* ---- the world ----------------------------------------------------------- */

struct world {
	struct relay *r;
	struct gate gate;
	struct secrets *secrets;
	struct sink sink;
	struct buf got[2];
	struct buf asleep;
	int end;
};

/* The guest has a value, by whatever way: it may write it where it likes. */
static bool guest_knows;

static void on_event(void *arg, const struct tls_event *ev)
{
	(void)arg;
	CHECK(!ev->text || guest_knows ||
	      (!strstr(ev->text, VALUE) && !strstr(ev->text, NEVER)));
}

static void look_at_guest(const uint8_t *data, size_t len)
{
	struct buf all = BUF_INIT;

	while (len >= 3) {
		size_t n = MIN((size_t)get_le16(data + 1), len - 3);

		if (!(data[0] & 1))
			CHECK(buf_add(&all, data + 3, n) == 0);
		data += 3 + n;
		len -= 3 + n;
	}
	guest_knows = all.len && (memmem(all.data, all.len, VALUE, 5) ||
	                          memmem(all.data, all.len, NEVER, 5));
	buf_release(&all);
}

static struct secrets *on_secrets(void *arg)
{
	return ((struct world *)arg)->secrets;
}

static void add(struct secrets *s, const char *placeholder, const char *value,
                const char *host, unsigned flags)
{
	struct secret c = {.name = (char *)placeholder,
	                   .placeholder = (char *)placeholder,
	                   .placeholder_len = strlen(placeholder),
	                   .value = (uint8_t *)value,
	                   .len = strlen(value),
	                   .where = SECRET_HEADERS | SECRET_BASIC,
	                   .mask = flags & F_MASK,
	                   .violation = flags & F_PASS ? SECRET_PASS
	                                               : SECRET_BLOCK_LOG};

	c.where |= flags & F_BODY ? SECRET_BODY : 0;
	c.where |= flags & F_QUERY ? SECRET_QUERY : 0;
	CHECK(strv_add(&c.hosts, host) == 0);
	CHECK(secrets_set(s, &c, NULL) == 0);
	strv_release(&c.hosts);
}

static struct secrets *secrets_of(unsigned flags)
{
	static struct secrets *all[F_ALL];

	if (all[flags])
		return all[flags];
	all[flags] = secrets_new();
	CHECK(all[flags]);
	if (!(flags & F_NONE)) {
		add(all[flags], KEY, VALUE, HOST, flags);
		add(all[flags], OTHER, NEVER, "other.example", flags);
	}
	CHECK(secrets_seal(all[flags]) == 0);
	return all[flags];
}

static void world_open(struct world *w, unsigned flags)
{
	struct relay_env env = {.secrets = on_secrets, .secrets_arg = w};

	*w = (struct world){
		.got = {BUF_INIT, BUF_INIT},
                  .asleep = BUF_INIT
        };
	w->gate = (struct gate){
		.port = 443, .tls = true, .pinned = true, .verified = true};
	if (!(flags & F_ADDRESS))
		memcpy(w->gate.name, HOST, sizeof(HOST));
	w->sink = (struct sink){on_event, w};
	w->secrets = secrets_of(flags);
	env.gate = &w->gate;
	env.sink = &w->sink;
	w->r = http1_new(&env);
	CHECK(w->r);
}

static void world_close(struct world *w)
{
	w->r->ops->free(w->r);
	buf_release(&w->got[0]);
	buf_release(&w->got[1]);
	buf_release(&w->asleep);
}

static void take(struct world *w)
{
	for (;;) {
		size_t n = w->r->out[0].len + w->r->out[1].len;

		for (int side = 0; side < 2; side++) {
			struct buf *b = &w->r->out[side];

			CHECK(buf_add(&w->got[side], b->data, b->len) == 0);
			buf_reset(b);
		}
		if (w->end)
			return;
		w->end = w->r->ops->room(w->r);
		if (!n && !w->r->out[0].len && !w->r->out[1].len)
			return;
	}
}

static void put(struct world *w, enum side from, const uint8_t *data,
                size_t len)
{
	uint8_t *copy = malloc(len);

	CHECK(copy);
	memcpy(copy, data, len);
	w->end = w->r->ops->input(w->r, from, copy, len);
	free(copy);
	CHECK(w->end == 0 || w->end == -ESHUTDOWN || w->end == -ECONNABORTED);
	take(w);
}

/* What the guest said, as far as anybody wants it. */
static void guest(struct world *w, size_t step)
{
	size_t at = 0;

	while (at < w->asleep.len && !w->end &&
	       w->r->ops->wants(w->r, SIDE_GUEST)) {
		size_t n = MIN(w->asleep.len - at, step);

		put(w, SIDE_GUEST, w->asleep.data + at, n);
		at += n;
	}
	if (at)
		buf_consume(&w->asleep, at);
}

static void give(struct world *w, enum side from, const uint8_t *data,
                 size_t len, size_t step)
{
	if (from == SIDE_GUEST) {
		CHECK(buf_add(&w->asleep, data, len) == 0);
		guest(w, step);
		return;
	}
	for (size_t at = 0; at < len && !w->end; at += step) {
		put(w, from, data + at, MIN(step, len - at));
		guest(w, step);
	}
}

/* flow.c reads no end from a side that is not wanted. */
static void finish(struct world *w, enum side from)
{
	if (w->end || (from == SIDE_GUEST && w->asleep.len) ||
	    !w->r->ops->wants(w->r, from))
		return;
	w->end = w->r->ops->eof(w->r, from);
	take(w);
}

static void play(struct world *w, const uint8_t *data, size_t len, size_t step)
{
	bool ended[2] = {false, false};

	while (len >= 3) {
		enum side from = data[0] & 1 ? SIDE_SERVER : SIDE_GUEST;
		size_t n = MIN((size_t)get_le16(data + 1), len - 3);

		if (data[0] & 0x80)
			finish(w, from);
		else if (!ended[from])
			give(w, from, data + 3, n, step);
		ended[from] |= data[0] & 0x80;
		data += 3 + n;
		len -= 3 + n;
	}
}

/* ---- a careless server --------------------------------------------------- */

struct cursor {
	const uint8_t *p;
	size_t len;
};

/* Up to LF, without it and CR; false: the text ends before. */
static bool line(struct cursor *c, const char **ret, size_t *ret_len)
{
	const uint8_t *lf = memchr(c->p, '\n', c->len);
	size_t n = lf ? (size_t)(lf - c->p) : 0;

	if (!lf)
		return false;
	*ret = (const char *)c->p;
	*ret_len = n && c->p[n - 1] == '\r' ? n - 1 : n;
	c->p += n + 1;
	c->len -= n + 1;
	return true;
}

static bool starts(const char *text, size_t len, const char *with)
{
	size_t n = strlen(with);

	for (size_t i = 0; i < n; i++) {
		char a = i < len ? text[i] : '\0';

		if (a == '_')
			a = '-';
		if (i >= len || strncasecmp(&a, with + i, 1) != 0)
			return false;
	}
	return true;
}

/* A field of this name, also when spelled as only some would read it. */
static bool named(const char *text, size_t len, const char *name)
{
	size_t n = strlen(name);

	return starts(text, len, name) && n < len && strchr(": \t", text[n]);
}

struct fields {
	uint64_t length;
	bool chunked, upgrade, host;
};

static void look(struct fields *f, const char *text, size_t len)
{
	const char *value = memchr(text, ':', len);
	size_t n;

	if (!value)
		return;
	for (value++; value < text + len && (*value == ' ' || *value == '\t');)
		value++;
	n = (size_t)(text + len - value);
	if (named(text, len, "host")) {
		CHECK(starts(value, n, HOST));
		f->host = true;
	}
	f->upgrade |= named(text, len, "upgrade");
	f->chunked |= named(text, len, "transfer-encoding");
	if (!named(text, len, "content-length"))
		return;
	for (f->length = 0; n && *value >= '0' && *value <= '9'; n--)
		f->length = f->length * 10 + (uint64_t)(*value++ - '0');
}

static bool head(struct cursor *c, struct fields *ret)
{
	const char *text;
	size_t len;

	*ret = (struct fields){0};
	if (!line(c, &text, &len))
		return false;
	CHECK(len > 10 && (memcmp(text + len - 9, " HTTP/1.1", 9) == 0 ||
	                   memcmp(text + len - 9, " HTTP/1.0", 9) == 0));
	ret->host = text[len - 1] == '0';
	CHECK(memchr(text, ' ', len) == memrchr(text, ' ', len - 9));
	while (line(c, &text, &len)) {
		if (!len)
			return true;
		look(ret, text, len);
	}
	return false;
}

static bool skip(struct cursor *c, uint64_t n, struct buf *bodies)
{
	size_t k = MIN(n, c->len);

	CHECK(buf_add(bodies, c->p, k) == 0);
	c->p += k;
	c->len -= k;
	return k == n;
}

static bool chunks(struct cursor *c, struct buf *bodies)
{
	const char *text;
	size_t len;

	while (line(c, &text, &len)) {
		uint64_t n = 0;

		for (; len && strchr("0123456789abcdefABCDEF", *text); len--) {
			n = n * 16 +
			    (uint64_t)(*text <= '9' ? *text - '0'
			                            : (*text | 32) - 'a' + 10);
			text++;
		}
		if (n && (!skip(c, n, bodies) || !line(c, &text, &len)))
			return false;
		if (n) {
			CHECK(len == 0);
			continue;
		}
		while (line(c, &text, &len)) {
			struct fields none = {0};

			if (!len)
				return true;
			look(&none, text, len);
			CHECK(!none.host && !none.chunked && !none.length);
		}
		return false;
	}
	return false;
}

/*
 * All that the server got, heads as they are and bodies without their cuts.
 * Up to the first request that asks for another protocol.
 */
static void careless(const struct buf *got, struct buf *ret)
{
	struct cursor c = {got->data, got->len};

	while (c.len) {
		const uint8_t *from = c.p;
		struct fields f;
		bool whole = head(&c, &f);

		CHECK(buf_add(ret, from, (size_t)(c.p - from)) == 0);
		if (!whole || f.upgrade)
			return;
		CHECK(f.host);
		CHECK(buf_adds(ret, "{") == 0);
		if (!(f.chunked ? chunks(&c, ret) : skip(&c, f.length, ret)))
			return;
		CHECK(buf_adds(ret, "}") == 0);
	}
}

/* ---- oracles ------------------------------------------------------------- */

static bool has(const struct buf *b, const char *text)
{
	return b->len && memmem(b->data, b->len, text, strlen(text));
}

/* When both are cut hard, one may have got further. */
static void same(const struct buf *a, const struct buf *b, bool cut)
{
	size_t n = MIN(a->len, b->len);

	CHECK(cut || a->len == b->len);
	CHECK(!n || memcmp(a->data, b->data, n) == 0);
}

static void compare(struct world *a, struct world *b, unsigned flags)
{
	struct buf text[2] = {BUF_INIT, BUF_INIT};
	bool cut = a->end == -ECONNABORTED;

	CHECK(a->end == b->end);
	if (!(flags & (F_BODY | F_MASK)))
		same(&a->got[SIDE_SERVER], &b->got[SIDE_SERVER], cut);
	if (!(flags & F_MASK))
		same(&a->got[SIDE_GUEST], &b->got[SIDE_GUEST], cut);
	if (!(flags & F_ADDRESS)) {
		careless(&a->got[SIDE_SERVER], &text[0]);
		careless(&b->got[SIDE_SERVER], &text[1]);
		same(&text[0], &text[1], cut);
	}
	buf_release(&text[0]);
	buf_release(&text[1]);
}

static void check_values(const struct world *w, unsigned flags,
                         const uint8_t *data, size_t len)
{
	bool told =
		memmem(data, len, "the-v", 5) || memmem(data, len, "key", 3);

	if (!memmem(data, len, "never", 5))
		CHECK(!has(&w->got[SIDE_SERVER], NEVER));
	if (!told)
		CHECK(!has(&w->got[SIDE_GUEST], VALUE));
	if (!told && (flags & (F_ADDRESS | F_NONE)))
		CHECK(!has(&w->got[SIDE_SERVER], VALUE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct world whole, cut;
	unsigned flags;

	if (len < 2)
		return 0;
	flags = data[0] & (F_ALL - 1);
	look_at_guest(data + 2, len - 2);
	world_open(&whole, flags);
	world_open(&cut, flags);
	play(&whole, data + 2, len - 2, RELAY_CHUNK);
	play(&cut, data + 2, len - 2, 1 + data[1] % 8);
	compare(&whole, &cut, flags);
	check_values(&whole, flags, data, len);
	check_values(&cut, flags, data, len);
	world_close(&whole);
	world_close(&cut);
	return 0;
}
