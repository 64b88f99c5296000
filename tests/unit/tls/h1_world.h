/*
 * h1_world.h - an HTTP/1 relay between a guest and a server that only exist in
 * this file: what each says is a list of moves, played whole and cut at every
 * step, and what comes out must not depend on the cuts.
 */
#ifndef TEST_TLS_H1_WORLD_H
#define TEST_TLS_H1_WORLD_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/test.h"

#include "base/num.h"
#include "tls/relay.h"
#include "tls/subst.h"

#define HOST  "api.example"
#define KEY   "MSB_0123456789abcdef0123456789abcdef"
#define VALUE "sk-the-real-value"
#define OTHER "MSB_ffffffffffffffffffffffffffffffff"
#define SAME  "MSB_same_length"
#define EQUAL "val_same_length"

/* ---- the world ----------------------------------------------------------- */

enum {
	W_BODY = 1,     /* KEY may stand in bodies */
	W_QUERY = 2,    /* and in queries */
	W_MASK = 4,     /* KEY's value is masked */
	W_NONE = 8,     /* no secrets at all */
	W_ADDRESS = 16, /* the guest spoke to an address */
	W_UNVERIFIED = 32,
	W_SAME = 64, /* SAME too, in bodies */
};

struct world {
	struct relay *r;
	struct gate gate;
	struct secrets *secrets;
	struct sink sink;
	struct buf said;   /* events, a line each */
	struct buf got[2]; /* by enum side: what it was sent */
	struct buf asleep; /* the guest's bytes while nobody wants them */
	bool terminate;
	int end; /* of the relay */
	unsigned used, masked, violations;
};

static void on_event(void *arg, const struct tls_event *ev)
{
	struct world *w = arg;

	if (ev->what == TLSLINK_USED)
		w->used += ev->count;
	if (ev->what == TLSLINK_MASKED)
		w->masked += ev->count;
	if (ev->what == TLSLINK_VIOLATION)
		w->violations += ev->count;
	w->terminate |= ev->terminate;
	if (ev->text)
		(void)buf_printf(&w->said, "%s\n", ev->text);
}

static struct secrets *on_secrets(void *arg)
{
	return ((struct world *)arg)->secrets;
}

static void add_secret(struct secrets *s, const char *name,
                       const char *placeholder, const char *value,
                       const char *host, unsigned where, bool mask)
{
	struct secret c = {.name = (char *)name,
	                   .placeholder = (char *)placeholder,
	                   .placeholder_len = strlen(placeholder),
	                   .value = (uint8_t *)value,
	                   .len = strlen(value),
	                   .where = where,
	                   .mask = mask,
	                   .violation = SECRET_BLOCK_LOG};

	assert_int_equal(strv_add(&c.hosts, host), 0);
	assert_int_equal(secrets_set(s, &c, NULL), 0);
	strv_release(&c.hosts);
}

static struct secrets *make_secrets(unsigned flags, const char *value)
{
	struct secrets *s = secrets_new();
	unsigned where = SECRET_HEADERS | SECRET_BASIC;

	assert_non_null(s);
	where |= flags & W_BODY ? SECRET_BODY : 0;
	where |= flags & W_QUERY ? SECRET_QUERY : 0;
	if (!(flags & W_NONE)) {
		add_secret(s, "KEY", KEY, value, HOST, where, flags & W_MASK);
		add_secret(s, "OTHER", OTHER, "not-for-this-host",
		           "other.example", where, false);
	}
	if (flags & W_SAME)
		add_secret(s, "SAME", SAME, EQUAL, HOST, SECRET_BODY, false);
	assert_int_equal(secrets_seal(s), 0);
	return s;
}

static void world_open(struct world *w, unsigned flags)
{
	struct relay_env env = {.secrets = on_secrets, .secrets_arg = w};

	*w = (struct world){
		.said = BUF_INIT,
		.got = {BUF_INIT, BUF_INIT},
		.asleep = BUF_INIT
        };
	w->gate = (struct gate){.port = 443,
	                        .tls = true,
	                        .pinned = true,
	                        .verified = !(flags & W_UNVERIFIED)};
	if (!(flags & W_ADDRESS))
		memcpy(w->gate.name, HOST, sizeof(HOST));
	w->sink = (struct sink){on_event, w};
	w->secrets = make_secrets(flags, VALUE);
	env.gate = &w->gate;
	env.sink = &w->sink;
	w->r = http1_new(&env);
	assert_non_null(w->r);
}

static void world_close(struct world *w)
{
	w->r->ops->free(w->r);
	secrets_unref(w->secrets);
	buf_release(&w->said);
	buf_release(&w->got[0]);
	buf_release(&w->got[1]);
	buf_release(&w->asleep);
}

/* ---- flow.c's part ------------------------------------------------------- */

static void take(struct world *w)
{
	for (;;) {
		size_t n = 0;

		for (int side = 0; side < 2; side++) {
			struct buf *b = &w->r->out[side];

			n += b->len;
			assert_int_equal(
				buf_add(&w->got[side], b->data, b->len), 0);
			buf_reset(b);
		}
		if (w->end || !w->r->ops->room)
			return;
		w->end = w->r->ops->room(w->r);
		if (!n && !w->r->out[0].len && !w->r->out[1].len)
			return;
	}
}

static bool wanted(struct world *w, enum side from)
{
	return !w->r->ops->wants || w->r->ops->wants(w->r, from);
}

static void pass(struct world *w, enum side from, const uint8_t *data,
                 size_t len, size_t step)
{
	while (len && !w->end) {
		size_t n = step && step < len ? step : len;
		uint8_t *copy;

		if (!wanted(w, from))
			break;
		n = MIN(n, RELAY_CHUNK);
		copy = malloc(n); /* so that ASan sees a step too far */
		assert_non_null(copy);
		memcpy(copy, data, n);
		w->end = w->r->ops->input(w->r, from, copy, n);
		free(copy);
		take(w);
		data += n;
		len -= n;
	}
	if (from == SIDE_GUEST && len)
		assert_int_equal(buf_add(&w->asleep, data, len), 0);
}

/* What the guest had sent and nobody wanted. */
static void wake(struct world *w, size_t step)
{
	struct buf b = w->asleep;

	w->asleep = (struct buf)BUF_INIT;
	pass(w, SIDE_GUEST, b.data, b.len, step);
	buf_release(&b);
}

static void give(struct world *w, enum side from, const void *data, size_t len,
                 size_t step)
{
	if (from == SIDE_GUEST) {
		assert_int_equal(buf_add(&w->asleep, data, len), 0);
		wake(w, step);
		return;
	}
	for (size_t at = 0; at < len && !w->end;) {
		size_t n = step ? MIN(step, len - at) : len - at;

		pass(w, from, (const uint8_t *)data + at, n, 0);
		wake(w, step);
		at += n;
	}
}

static void finish(struct world *w, enum side from)
{
	if (w->end)
		return;
	w->end = w->r->ops->eof(w->r, from);
	take(w);
}

/* ---- plays --------------------------------------------------------------- */

enum act { ACT_END, ACT_GUEST, ACT_SERVER, ACT_GUEST_EOF, ACT_SERVER_EOF };

struct move {
	enum act act;
	const char *text;
};

#define G(s)                                                                   \
	{                                                                      \
		ACT_GUEST, s                                                   \
	}
#define S(s)                                                                   \
	{                                                                      \
		ACT_SERVER, s                                                  \
	}
#define G_EOF                                                                  \
	{                                                                      \
		ACT_GUEST_EOF, NULL                                            \
	}
#define S_EOF                                                                  \
	{                                                                      \
		ACT_SERVER_EOF, NULL                                           \
	}
#define END                                                                    \
	{                                                                      \
		ACT_END, NULL                                                  \
	}

static void play(struct world *w, const struct move *m, size_t step)
{
	for (; m->act != ACT_END; m++) {
		if (m->act == ACT_GUEST)
			give(w, SIDE_GUEST, m->text, strlen(m->text), step);
		else if (m->act == ACT_SERVER)
			give(w, SIDE_SERVER, m->text, strlen(m->text), step);
		else
			finish(w, m->act == ACT_GUEST_EOF ? SIDE_GUEST
			                                  : SIDE_SERVER);
	}
}

static const size_t steps[] = {0, 1, 2, 3, 5, 7, 16, 61};

/* What must come out; NULL: is not looked at. */
struct want {
	const char *server, *guest;
	int end;
	const char *said; /* in some line of the log */
	bool dechunk;     /* the cuts of chunks do not count */
};

/*
 * Bodies of chunks as "{data}" with the trailers behind, so that two cuts of
 * one body are equal.
 */
static char *dechunked(const struct buf *b)
{
	cleanup_buf struct buf out = BUF_INIT;
	const char *p = buf_str(b), *end = p + b->len;

	while (p < end) {
		const char *head = strstr(p, "\r\n\r\n");
		size_t n = head ? (size_t)(head + 4 - p) : (size_t)(end - p);
		bool chunked = memmem(p, n, "chunked\r\n", 9);

		(void)buf_add(&out, p, n);
		p += n;
		(void)buf_adds(&out, chunked ? "{" : "");
		while (chunked && p < end) {
			char *after;
			size_t len = 0;

			for (after = (char *)p; *after != '\r' && *after;
			     after++)
				len = len * 16 +
				      (size_t)(strchr("0123456789abcdef",
				                      *after) -
				               "0123456789abcdef");
			p = after + 2;
			if (!len) {
				(void)buf_adds(&out, "}");
				break;
			}
			assert_true(p + len + 2 <= end);
			(void)buf_add(&out, p, len);
			p += len + 2;
		}
		if (!chunked || p >= end)
			continue;
		head = strstr(p, "\r\n");
		while (head && head != p) {
			(void)buf_add(&out, p, (size_t)(head + 2 - p));
			p = head + 2;
			head = strstr(p, "\r\n");
		}
		p += 2;
	}
	return buf_steal(&out);
}

static void check_text(const struct buf *got, const char *want, bool dechunk)
{
	char *text;

	if (!want)
		return;
	if (!dechunk) {
		assert_string_equal(buf_str(got), want);
		return;
	}
	text = dechunked(got);
	assert_string_equal(text ? text : "", want);
	free(text);
}

static void check_want(unsigned flags, const struct move *moves,
                       const struct want *want)
{
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct world w;

		world_open(&w, flags);
		play(&w, moves, steps[i]);
		check_text(&w.got[SIDE_SERVER], want->server, want->dechunk);
		check_text(&w.got[SIDE_GUEST], want->guest, want->dechunk);
		assert_int_equal(w.end, want->end);
		if (want->said)
			assert_non_null(strstr(buf_str(&w.said), want->said));
		assert_null(strstr(buf_str(&w.said), VALUE));
		world_close(&w);
	}
}

static void check(unsigned flags, const struct move *moves, const char *server,
                  const char *guest, int end)
{
	const struct want want = {.server = server, .guest = guest, .end = end};

	check_want(flags, moves, &want);
}

/* A refusal: this status, our words, and nothing for the server. */
static void check_refused(unsigned flags, const struct move *moves,
                          const char *status)
{
	char line[64];

	snprintf(line, sizeof(line), "HTTP/1.1 %s ", status);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct world w;
		const char *guest;

		world_open(&w, flags);
		play(&w, moves, steps[i]);
		guest = buf_str(&w.got[SIDE_GUEST]);
		assert_string_equal(buf_str(&w.got[SIDE_SERVER]), "");
		if (strncmp(guest, line, strlen(line)) != 0 ||
		    !strstr(guest, "\r\n\r\nmicrosandbox: "))
			fail_msg("not %s: %s|", status, guest);
		assert_int_equal(w.end, -ESHUTDOWN);
		assert_null(strstr(guest, VALUE));
		world_close(&w);
	}
}

#endif
