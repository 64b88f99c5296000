#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/num.h"
#include "tls/relay.h"

#include "base/banned.h"

/*
 * A request line begins with a token, a space, and a path, '*' or an URI with
 * http; CONNECT's authority makes it HTTP as well. What has not shown it yet is
 * held: as long as it could still be one, an HTTP/1 reader would not send it on
 * either. A server that speaks first speaks no HTTP/1.
 */
#define METHOD_MAX 24
#define FIRST_MAX  (METHOD_MAX + 8)

struct guess {
	struct relay relay;
	struct relay *chosen; /* NULL: nobody knows yet */
	uint8_t first[FIRST_MAX];
	size_t nfirst;
};

enum kind { KIND_OPEN, KIND_HTTP, KIND_OTHER };

static bool is_token(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* What follows the method and the space. */
static enum kind target_kind(const uint8_t *p, size_t len)
{
	static const char scheme[] = "http";
	size_t n = MIN(len, strlen(scheme));

	if (len == 0)
		return KIND_OPEN;
	if (*p == '/' || *p == '*')
		return KIND_HTTP;
	if (strncasecmp((const char *)p, scheme, n) != 0)
		return KIND_OTHER;
	if (len <= strlen(scheme))
		return KIND_OPEN;
	return p[n] == ':' || p[n] == 's' || p[n] == 'S' ? KIND_HTTP
	                                                 : KIND_OTHER;
}

static enum kind kind_of(const uint8_t *p, size_t len)
{
	static const char preface[] = "PRI * HTTP/2";
	size_t n = 0;

	while (n < len && is_token(p[n]))
		n++;
	if (n == len)
		return n > METHOD_MAX ? KIND_OTHER : KIND_OPEN;
	if (n == 0 || n > METHOD_MAX || p[n] != ' ')
		return KIND_OTHER;
	if (n == 7 && memcmp(p, "CONNECT", 7) == 0)
		return KIND_HTTP;
	if (n == 3 && memcmp(p, preface, MIN(len, strlen(preface))) == 0)
		return len < strlen(preface) ? KIND_OPEN : KIND_OTHER;
	return target_kind(p + n + 1, len - n - 1);
}

/* Lend the chosen one our out[], or take it back: there is but one of each. */
static void swap_out(struct guess *g)
{
	for (int s = 0; s < 2; s++) {
		struct buf b = g->relay.out[s];

		g->relay.out[s] = g->chosen->out[s];
		g->chosen->out[s] = b;
	}
}

static int chosen_input(struct guess *g, enum side from, const uint8_t *data,
                        size_t len)
{
	int r;

	swap_out(g);
	r = g->chosen->ops->input(g->chosen, from, data, len);
	swap_out(g);
	return r;
}

static int choose(struct guess *g, enum kind k)
{
	const struct relay *r = &g->relay;
	struct relay_env env = {.gate = r->gate,
	                        .secrets = r->secrets,
	                        .secrets_arg = r->secrets_arg,
	                        .sink = r->sink};

	g->chosen = k == KIND_HTTP ? http1_new(&env) : opaque_new(&env);
	if (!g->chosen)
		return -ENOMEM;
	return g->nfirst ? chosen_input(g, SIDE_GUEST, g->first, g->nfirst) : 0;
}

static int guess_input(struct relay *r, enum side from, const uint8_t *data,
                       size_t len)
{
	struct guess *g = container_of(r, struct guess, relay);
	enum kind k = KIND_OTHER;
	size_t n = 0;
	int e;

	if (!g->chosen && from == SIDE_GUEST) {
		n = MIN(len, FIRST_MAX - g->nfirst);
		memcpy(g->first + g->nfirst, data, n);
		g->nfirst += n;
		k = kind_of(g->first, g->nfirst);
		if (k == KIND_OPEN)
			return 0;
	}
	e = g->chosen ? 0 : choose(g, k);
	if (e < 0 || n == len)
		return e;
	return chosen_input(g, from, data + n, len - n);
}

static int guess_eof(struct relay *r, enum side from)
{
	struct guess *g = container_of(r, struct guess, relay);
	int e = g->chosen ? 0 : choose(g, KIND_OTHER);

	if (e < 0)
		return e;
	swap_out(g);
	e = g->chosen->ops->eof(g->chosen, from);
	swap_out(g);
	return e;
}

static int guess_room(struct relay *r)
{
	struct guess *g = container_of(r, struct guess, relay);

	int e;

	if (!g->chosen || !g->chosen->ops->room)
		return 0;
	swap_out(g);
	e = g->chosen->ops->room(g->chosen);
	swap_out(g);
	return e;
}

static bool guess_wants(const struct relay *r, enum side from)
{
	const struct guess *g = container_of(r, struct guess, relay);

	return !g->chosen || !g->chosen->ops->wants ||
	       g->chosen->ops->wants(g->chosen, from);
}

static void guess_free(struct relay *r)
{
	struct guess *g = container_of(r, struct guess, relay);

	if (g->chosen)
		g->chosen->ops->free(g->chosen);
	relay_release(r);
	free(g);
}

static const struct relay_ops guess_ops = {
	.name = "guess",
	.input = guess_input,
	.eof = guess_eof,
	.room = guess_room,
	.wants = guess_wants,
	.free = guess_free,
};

struct relay *guess_new(const struct relay_env *env)
{
	struct guess *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	relay_init(&g->relay, &guess_ops, env);
	return &g->relay;
}
