#include "net/clear.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/needle.h"
#include "base/num.h"
#include "net/intercept.h"
#include "net/net_int.h"

#include "base/banned.h"

/* A record's head and the first byte of what is in it: a ClientHello's. */
#define HEAD_LEN   6
#define HEAD_OTHER 0xff

struct text {
	char name[CLEAR_NAME_MAX + 1];
	enum clear_violation violation;
};

struct clear_texts {
	unsigned refs;
	struct text v[CLEAR_TEXTS_MAX];
	struct needles *needles;
	/* clear_back(): the carry of who was searched last, before that. */
	uint8_t back[CLEAR_TEXT_MAX];
	size_t back_len;
};

struct clear {
	struct clear_texts *texts;
	struct needle_watch watch;
	uint8_t head; /* so many bytes were a hello's; HEAD_OTHER: it is none */
	uint8_t head_back; /* before the last call */
	bool passed;       /* one was let through: told once a flow */
};

_Static_assert(CLEAR_TEXTS_MAX <= NEEDLES_MAX && CLEAR_TEXT_MIN >= 2,
               "they are needles");

/* ---- what to look for ---------------------------------------------------- */

int clear_texts_new(const struct clear_text *v, size_t n,
                    struct clear_texts **ret)
{
	struct clear_texts *t = calloc(1, sizeof(*t));
	struct needle needle[CLEAR_TEXTS_MAX];

	if (!t)
		return -ENOMEM;
	t->refs = 1;
	for (size_t i = 0; i < n; i++) {
		needle[i] = (struct needle){v[i].text, strlen(v[i].text)};
		(void)snprintf(t->v[i].name, sizeof(t->v[i].name), "%s",
		               v[i].name);
		t->v[i].violation = v[i].violation;
	}
	t->needles = needles_new(needle, n);
	if (!t->needles) {
		clear_texts_unref(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

struct clear_texts *clear_texts_ref(struct clear_texts *t)
{
	t->refs++;
	return t;
}

void clear_texts_unref(struct clear_texts *t)
{
	if (!t || --t->refs)
		return;
	needles_free(t->needles);
	free(t);
}

/* ---- what follows from a hit --------------------------------------------- */

static const char *const ends[] = {
	[CLEAR_LOG] = "blocked; a value is put in only inside TLS, on the way "
		      "to hosts that are allowed for it",
	[CLEAR_TERMINATE] = "blocked, and the sandbox ends",
	[CLEAR_PASS] = "it passed, as its option says",
};

/* "93.184.216.34:80 (example.com)" */
static void peer_text(struct net *n, const struct tuple *t, char *buf,
                      size_t size)
{
	const char *names[PIN_NAMES_MAX];
	size_t nnames = pins_names(n->pins, &t->peer, net_now(n), names);
	bool v4 = addr_is_v4(&t->peer);
	char addr[ADDR_TEXT_MAX];

	(void)snprintf(buf, size, "%s%s%s:%u%s%s%s", v4 ? "" : "[",
	               addr_text(&t->peer, addr), v4 ? "" : "]", t->pport,
	               nnames ? " (" : "", nnames ? names[0] : "",
	               nnames ? ")" : "");
}

static void report(struct net *n, const struct text *x, const struct tuple *t)
{
	char peer[ADDR_TEXT_MAX + POLICY_NAME_MAX + 16], line[NET_SAY_MAX];

	atomic_fetch_add_explicit(&n->counters.secret_violations, 1,
	                          memory_order_relaxed);
	if (!ends[x->violation])
		return;
	peer_text(n, t, peer, sizeof(peer));
	(void)snprintf(line, sizeof(line),
	               "secret %s: its placeholder was sent in clear text to "
	               "%s: %s",
	               x->name, peer, ends[x->violation]);
	net_tell(n, "%s", line);
	if (x->violation == CLEAR_TERMINATE)
		intercept_violated(n, line);
}

/* Of all that is found in one go the one whose end is the worst. */
struct found {
	const struct clear_texts *texts;
	const struct text *worst; /* NULL: nothing */
};

static void on_hit(void *arg, unsigned index)
{
	/* From the mildest on. */
	static const uint8_t severity[] = {
		[CLEAR_PASS] = 0,
		[CLEAR_BLOCK] = 1,
		[CLEAR_LOG] = 2,
		[CLEAR_TERMINATE] = 3,
	};
	struct found *f = arg;
	const struct text *x = &f->texts->v[index];

	if (!f->worst || severity[x->violation] > severity[f->worst->violation])
		f->worst = x;
}

/* ---- streams ------------------------------------------------------------- */

static bool is_hello_byte(unsigned at, uint8_t c)
{
	static const struct {
		uint8_t min, max;
	} form[HEAD_LEN] = {
		{0x16, 0x16}, /* a handshake */
		{3,    3   },
                {0,    4   },
                {0,    0x40}, /* of at most 16 KiB */
		{0,    0xff},
                {1,    1   }, /* whose first message is a ClientHello */
	};

	return c >= form[at].min && c <= form[at].max;
}

/* @head, and the first @len bytes of @v behind it. */
static uint8_t head_after(uint8_t head, const struct iovec *v, unsigned nv,
                          size_t len)
{
	for (unsigned i = 0; i < nv && len && head < HEAD_LEN; i++) {
		const uint8_t *c = v[i].iov_base;
		size_t n = MIN(v[i].iov_len, len);

		len -= n;
		for (size_t at = 0; at < n && head < HEAD_LEN; at++)
			head = is_hello_byte(head, c[at]) ? head + 1
			                                  : HEAD_OTHER;
	}
	return head;
}

static struct clear *clear_new(struct clear_texts *texts)
{
	struct clear *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->texts = clear_texts_ref(texts);
	c->watch.s = texts->needles;
	return c;
}

void clear_free(struct clear *c)
{
	if (!c)
		return;
	needle_watch_release(&c->watch);
	clear_texts_unref(c->texts);
	free(c);
}

/* Other texts from now on; they may have begun in what was seen last. */
static int follow(struct clear **at, struct clear_texts *texts)
{
	struct clear *old = *at, *new;

	if (old && old->texts == texts)
		return 0;
	new = clear_new(texts);
	if (!new)
		return -ENOMEM;
	if (old && old->watch.len)
		(void)needle_watch(&new->watch, old->watch.carry,
		                   old->watch.len);
	if (old) {
		new->head = old->head;
		new->passed = old->passed;
	}
	clear_free(old);
	*at = new;
	return 0;
}

static void keep_carry(struct clear *c)
{
	c->texts->back_len = c->watch.len;
	if (c->watch.len)
		memcpy(c->texts->back, c->watch.carry, c->watch.len);
}

/* The first @len bytes of @v. */
static int watch(struct clear *c, const struct iovec *v, unsigned nv,
                 size_t len, struct found *f)
{
	int r = 0;

	for (unsigned i = 0; i < nv && len && r == 0; i++) {
		size_t part = MIN(v[i].iov_len, len);

		if (part)
			r = needle_watch_all(&c->watch, v[i].iov_base, part,
			                     on_hit, f);
		len -= part;
	}
	return r;
}

int clear_stream(struct net *n, struct clear **at, struct clear_texts *texts,
                 const struct tuple *t, const struct iovec *v, unsigned nv)
{
	struct found f = {.texts = texts};
	struct clear *c;

	if (follow(at, texts) < 0)
		return -ENOMEM;
	c = *at;
	c->head_back = c->head;
	c->head = head_after(c->head, v, nv, SIZE_MAX);
	if (c->head == HEAD_LEN)
		return CLEAR_TLS;
	keep_carry(c);
	if (watch(c, v, nv, SIZE_MAX, &f) < 0) {
		clear_back(c, v, nv, 0);
		return -ENOMEM;
	}
	if (!f.worst || (f.worst->violation == CLEAR_PASS && c->passed))
		return CLEAR_FINE;
	report(n, f.worst, t);
	c->passed = true;
	return f.worst->violation == CLEAR_PASS ? CLEAR_FINE : CLEAR_STOP;
}

/* The carry is as it was, and sees again what was taken. */
void clear_back(struct clear *c, const struct iovec *v, unsigned nv, size_t len)
{
	struct needle_watch *w = &c->watch;
	struct found f = {.texts = c->texts};

	c->head = head_after(c->head_back, v, nv, len);
	w->len = w->carry ? c->texts->back_len : 0;
	if (w->len)
		memcpy(w->carry, c->texts->back, w->len);
	(void)watch(c, v, nv, len, &f); /* what is in it was told */
}

/* ---- datagrams ----------------------------------------------------------- */

bool clear_datagram(struct net *n, struct clear_texts *texts,
                    const struct tuple *t, const uint8_t *data, size_t len)
{
	struct found f = {.texts = texts};
	size_t at = 0;
	int i;

	while ((i = needles_find(texts->needles, data, len, at, &at)) >= 0) {
		on_hit(&f, (unsigned)i);
		at++;
	}
	if (f.worst)
		report(n, f.worst, t);
	return !f.worst || f.worst->violation == CLEAR_PASS;
}
