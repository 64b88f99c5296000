/*
 * Whom a request is for: its first line, Host, and the flow must say the same.
 */
#include "tls/http1.h"

#include <string.h>
#include <strings.h>

#include "base/num.h"
#include "policy/addr.h"

#include "base/banned.h"

/* ---- the first line ------------------------------------------------------ */

/* Servers that fold the case of methods see another framing than we do. */
static bool is_misspelled(struct h1_text method)
{
	static const char *const exact[] = {"HEAD", "CONNECT"};

	for (size_t i = 0; i < ARRAY_SIZE(exact); i++)
		if (h1_is(method, exact[i]) &&
		    memcmp(method.p, exact[i], method.len) != 0)
			return true;
	return false;
}

static bool target_is_clean(struct h1_text t)
{
	for (size_t i = 0; i < t.len; i++)
		if (t.p[i] == ' ' || t.p[i] == '\t')
			return false; /* controls: line_check() */
	return t.len > 0;
}

static int version(struct h1_text t, bool *ret_old, struct err *err)
{
	if (t.len != 8 || memcmp(t.p, "HTTP/1.", 7) != 0 ||
	    (t.p[7] != '0' && t.p[7] != '1'))
		return err_set(err, H1_BAD,
		               "the request is neither HTTP/1.1 nor HTTP/1.0");
	*ret_old = t.p[7] == '0';
	return 0;
}

int h1_request_line(struct h1_text line, struct h1_line *ret, struct err *err)
{
	const char *first = memchr(line.p, ' ', line.len);
	const char *last = memrchr(line.p, ' ', line.len);
	struct h1_line l;
	int r;

	if (!first || first == last)
		return err_set(err, H1_BAD,
		               "the first line is not METHOD TARGET HTTP/1.1");
	l.method = h1_text(line.p, (size_t)(first - line.p));
	l.target = h1_text(first + 1, (size_t)(last - first) - 1);
	r = version(h1_text(last + 1, line.len - (size_t)(last + 1 - line.p)),
	            &l.old, err);
	if (r < 0)
		return r;
	if (!h1_is_token(l.method) || l.method.len > H1_METHOD_MAX ||
	    is_misspelled(l.method))
		return err_set(err, H1_BAD, "the method is not one");
	if (!target_is_clean(l.target))
		return err_set(err, H1_BAD,
		               "the target is empty or has a space in it");
	*ret = l;
	return 0;
}

/* ---- hosts --------------------------------------------------------------- */

struct host {
	char name[POLICY_NAME_MAX + 1]; /* "": none, or an address */
	unsigned port;                  /* 0: not said */
};

static bool port_parse(struct h1_text t, unsigned *ret)
{
	unsigned v = 0;

	if (t.len > 5)
		return false;
	for (size_t i = 0; i < t.len; i++) {
		if (t.p[i] < '0' || t.p[i] > '9')
			return false;
		v = v * 10 + (unsigned)(t.p[i] - '0');
	}
	*ret = v;
	return v <= 65535 && (v || !t.len);
}

/* [ADDRESS], and what is behind it. */
static bool in_brackets(struct h1_text t, struct h1_text *ret_rest)
{
	const char *end = memchr(t.p, ']', t.len);
	char text[ADDR_TEXT_MAX];
	struct addr a;
	size_t n;

	if (!end)
		return false;
	n = (size_t)(end - t.p) - 1;
	if (n >= sizeof(text) || !memchr(t.p, ':', n + 1))
		return false;
	h1_copy(h1_text(t.p + 1, n), text, sizeof(text));
	*ret_rest = h1_text(end + 1, t.len - n - 2);
	return addr_parse(text, &a) == 0;
}

static bool plain_host(struct h1_text t, char name[POLICY_NAME_MAX + 1])
{
	char text[POLICY_NAME_MAX + 2];
	struct addr a;

	if (t.len >= sizeof(text) || memchr(t.p, '/', t.len))
		return false;
	h1_copy(t, text, sizeof(text));
	if (addr_parse(text, &a) == 0) {
		name[0] = '\0';
		return true;
	}
	return policy_name(text, name) == 0;
}

/* host[:port], and nothing else: no user, no path, no spaces. */
static bool host_parse(struct h1_text t, struct host *ret)
{
	struct h1_text rest = {0};
	const char *colon;
	size_t n;

	*ret = (struct host){0};
	if (!t.len)
		return true;
	if (t.p[0] == '[') {
		if (!in_brackets(t, &rest))
			return false;
	} else {
		colon = memchr(t.p, ':', t.len);
		n = colon ? (size_t)(colon - t.p) : t.len;
		rest = h1_text(t.p + n, t.len - n);
		if (!plain_host(h1_text(t.p, n), ret->name))
			return false;
	}
	if (!rest.len)
		return true;
	return rest.p[0] == ':' &&
	       port_parse(h1_text(rest.p + 1, rest.len - 1), &ret->port);
}

static bool is_ours(const struct host *h, const struct gate *g)
{
	return (!h->port || h->port == g->port) &&
	       strcmp(h->name, g->name) == 0;
}

static int away(const struct gate *g, struct err *err)
{
	return err_set(err, H1_AWAY,
	               "the request is for another host or port than the "
	               "connection, which is for %s port %u (TLS server name); "
	               "open a connection of its own for it",
	               g->name, g->port);
}

static int host_check(struct h1_text t, const struct gate *g, struct host *ret,
                      struct err *err)
{
	if (!host_parse(t, ret))
		return err_set(err, H1_BAD,
		               "Host or the target's host is not NAME or "
		               "NAME:PORT");
	if (g->name[0] && !is_ours(ret, g))
		return away(g, err);
	return 0;
}

/* ---- targets ------------------------------------------------------------- */

/* scheme://authority[/path]: the authority. */
static int absolute(struct h1_text target, const struct gate *g,
                    struct h1_text *ret, struct err *err)
{
	const char *scheme = g->tls ? "https://" : "http://";
	size_t n = strlen(scheme), len = 0;

	if (target.len <= n || strncasecmp(target.p, scheme, n) != 0)
		return err_set(err, H1_BAD,
		               "the target is neither a path nor begins with "
		               "%s",
		               scheme);
	while (n + len < target.len && !strchr("/?#", target.p[n + len]))
		len++;
	if (!len)
		return err_set(err, H1_BAD, "the target names no host");
	*ret = h1_text(target.p + n, len);
	return 0;
}

static bool hosts_equal(const struct host *a, const struct host *b,
                        const struct gate *g)
{
	unsigned pa = a->port ? a->port : g->port;
	unsigned pb = b->port ? b->port : g->port;

	return strcmp(a->name, b->name) == 0 && pa == pb;
}

/* Both may be addresses, which have no name: then as they are spelled. */
static int absolute_check(struct h1_text target, struct h1_text host_text,
                          const struct host *host, const struct gate *g,
                          struct err *err)
{
	struct h1_text authority;
	struct host there;
	int r = absolute(target, g, &authority, err);

	if (r == 0)
		r = host_check(authority, g, &there, err);
	if (r < 0)
		return r;
	if (!hosts_equal(&there, host, g) ||
	    (!host->name[0] &&
	     (authority.len != host_text.len ||
	      strncasecmp(authority.p, host_text.p, host_text.len) != 0)))
		return err_set(err, H1_AWAY,
		               "the target names another host than Host");
	return 0;
}

static int form_check(const struct h1_line *line, struct h1_text host_text,
                      const struct host *host, const struct gate *g,
                      struct err *err)
{
	if (line->target.p[0] == '/')
		return 0;
	if (line->target.len == 1 && line->target.p[0] == '*' &&
	    h1_is(line->method, "OPTIONS"))
		return 0;
	return absolute_check(line->target, host_text, host, g, err);
}

int h1_target(const struct h1_line *line, const struct h1_says *s,
              const struct gate *g, char ret[POLICY_NAME_MAX + 1],
              struct err *err)
{
	unsigned n = s->count[H1_HOST];
	struct host host = {0};
	int r;

	if (h1_is(line->method, "CONNECT"))
		return err_set(err, H1_FORBID,
		               "CONNECT inside TLS would carry requests past "
		               "the checks");
	if (n > 1 || (n == 0 && !line->old))
		return err_set(err, H1_BAD,
		               "a request must have one Host header");
	if (n) {
		r = host_check(s->first[H1_HOST], g, &host, err);
		if (r < 0)
			return r;
	}
	r = form_check(line, s->first[H1_HOST], &host, g, err);
	if (r < 0)
		return r;
	memcpy(ret, host.name, sizeof(host.name));
	return 0;
}
