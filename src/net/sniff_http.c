/*
 * The head of an HTTP/1 request (RFC 9112), read as strictly as any server
 * might: where two servers could see two different hosts, nobody is named and
 * the flow is refused. Lines end with CR LF, nothing is folded, there is one
 * Host, and an authority in the first line says the same.
 *
 * A text that is no HTTP at all (mail, SSH) is none of our business: that is
 * known from the first line.
 */
#include "net/sniff_int.h"

#include <string.h>
#include <strings.h>

#include "base/num.h"
#include "policy/addr.h"

#include "base/banned.h"

#define METHOD_MAX 32

struct text {
	const uint8_t *p;
	size_t len;
};

/* Of a Host or an authority. */
struct host {
	char name[POLICY_NAME_MAX + 1];
	struct addr addr; /* if it is one; name is "" then */
	bool is_addr;
	uint32_t port; /* NO_PORT */
};

#define NO_PORT 0x10000u

struct head {
	struct text method, target;
	unsigned minor; /* of HTTP/1.x */
	struct text host;
	unsigned nhosts;
};

static bool text_is(struct text t, const char *s)
{
	return t.len == strlen(s) &&
	       strncasecmp((const char *)t.p, s, t.len) == 0;
}

static bool is_token(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') ||
	       (c && c < 0x80 && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_control(uint8_t c)
{
	return c < ' ' || c == 0x7f;
}

/* ---- hosts --------------------------------------------------------------- */

/* "" is as good as none; otherwise up to 65535. */
static bool read_port(struct text t, uint32_t *ret)
{
	uint32_t v = 0;

	if (t.len > 5)
		return false;
	for (size_t i = 0; i < t.len; i++) {
		if (t.p[i] < '0' || t.p[i] > '9')
			return false;
		v = v * 10 + (t.p[i] - '0');
	}
	*ret = t.len ? v : NO_PORT;
	return v <= 65535;
}

/* Behind "[". */
static bool read_ip6(struct text t, struct host *ret, struct text *ret_rest)
{
	const uint8_t *end = memchr(t.p, ']', t.len);
	char copy[ADDR_TEXT_MAX];
	size_t n;

	if (!end)
		return false;
	n = (size_t)(end - t.p);
	if (n >= sizeof(copy) || memchr(t.p, '\0', n) || !memchr(t.p, ':', n))
		return false;
	memcpy(copy, t.p, n);
	copy[n] = '\0';
	ret->is_addr = true;
	*ret_rest = (struct text){end + 1, t.len - n - 1};
	return addr_parse(copy, &ret->addr) == 0;
}

static bool read_plain(struct text t, struct host *ret, struct text *ret_rest)
{
	const uint8_t *colon = memchr(t.p, ':', t.len);
	size_t n = colon ? (size_t)(colon - t.p) : t.len;
	char copy[ADDR_TEXT_MAX];

	*ret_rest = (struct text){t.p + n, t.len - n};
	if (!sniff_name(t.p, n, ret->name))
		return false;
	if (ret->name[0])
		return true;
	memcpy(copy, t.p, n); /* an address, so it is short */
	copy[n] = '\0';
	ret->is_addr = true;
	return addr_parse(copy, &ret->addr) == 0;
}

/* host[:port]; userinfo and all else that is no host is refused. */
static bool read_host(struct text t, struct host *ret)
{
	struct text rest;

	*ret = (struct host){.port = NO_PORT};
	if (t.len == 0)
		return false;
	if (t.p[0] == '[') {
		if (!read_ip6((struct text){t.p + 1, t.len - 1}, ret, &rest))
			return false;
	} else if (!read_plain(t, ret, &rest)) {
		return false;
	}
	if (rest.len == 0)
		return true;
	return rest.p[0] == ':' &&
	       read_port((struct text){rest.p + 1, rest.len - 1}, &ret->port);
}

/* @port is what both mean when they have none. */
static bool same_host(const struct host *a, const struct host *b, uint32_t port)
{
	uint32_t x = a->port == NO_PORT ? port : a->port;
	uint32_t y = b->port == NO_PORT ? port : b->port;

	return x == y && a->is_addr == b->is_addr &&
	       strcmp(a->name, b->name) == 0 && addr_eq(&a->addr, &b->addr);
}

/* ---- lines --------------------------------------------------------------- */

/*
 * The next line without its end. SNIFF_MORE; SNIFF_BAD when it does not end
 * with CR LF, or has another CR; else SNIFF_HTTP.
 */
static enum sniff_kind next_line(struct text *t, struct text *ret)
{
	for (size_t i = 0; i < t->len; i++) {
		if (t->p[i] == '\n')
			return SNIFF_BAD;
		if (t->p[i] != '\r')
			continue;
		if (i + 1 == t->len)
			return SNIFF_MORE;
		if (t->p[i + 1] != '\n')
			return SNIFF_BAD;
		*ret = (struct text){t->p, i};
		t->p += i + 2;
		t->len -= i + 2;
		return SNIFF_HTTP;
	}
	return SNIFF_MORE;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\v' || c == '\f';
}

/* Could these be the first bytes of a request? SNIFF_OTHER if not. */
static enum sniff_kind check_method(struct text t)
{
	for (size_t i = 0; i < t.len; i++) {
		if (is_space(t.p[i]))
			return i > 0 ? SNIFF_HTTP : SNIFF_OTHER;
		if (!is_token(t.p[i]) || i == METHOD_MAX)
			return SNIFF_OTHER;
	}
	return SNIFF_MORE;
}

/*
 * Does the first line, however it ends, say HTTP? There are servers that take
 * more for a request than they should: those lines are refused further on.
 */
static enum sniff_kind check_first(struct text t)
{
	static const char http2[] = "PRI * HTTP/2.0";
	size_t n = 0;

	while (n < t.len && t.p[n] != '\r' && t.p[n] != '\n')
		n++;
	if (n == t.len)
		return SNIFF_MORE;
	if (n == strlen(http2) && memcmp(t.p, http2, n) == 0)
		return SNIFF_OTHER;
	for (size_t i = 0; i + 5 <= n; i++)
		if (strncasecmp((const char *)t.p + i, "http/", 5) == 0)
			return SNIFF_HTTP;
	return SNIFF_OTHER;
}

/* The line ends with " HTTP/1.x": it is cut before that. */
static bool take_version(struct text *line, unsigned *ret_minor)
{
	static const char version[] = " HTTP/1.";
	const size_t n = sizeof(version); /* with the digit */
	const uint8_t *v;

	if (line->len < n)
		return false;
	v = line->p + line->len - n;
	if (memcmp(v, version, n - 1) != 0 || v[n - 1] < '0' || v[n - 1] > '9')
		return false;
	*ret_minor = v[n - 1] - '0';
	line->len -= n;
	return true;
}

/* METHOD SP TARGET SP VERSION */
static bool read_first(struct text line, struct head *ret)
{
	const uint8_t *space;

	if (!take_version(&line, &ret->minor))
		return false;
	space = memchr(line.p, ' ', line.len);
	if (!space)
		return false;
	for (const uint8_t *c = line.p; c < space; c++)
		if (!is_token(*c))
			return false;
	ret->method = (struct text){line.p, (size_t)(space - line.p)};
	ret->target.p = space + 1;
	ret->target.len = line.len - ret->method.len - 1;
	for (size_t i = 0; i < ret->target.len; i++)
		if (is_control(ret->target.p[i]) || ret->target.p[i] == ' ')
			return false;
	return ret->target.len > 0;
}

static struct text trim(struct text t)
{
	while (t.len && (t.p[0] == ' ' || t.p[0] == '\t')) {
		t.p++;
		t.len--;
	}
	while (t.len && (t.p[t.len - 1] == ' ' || t.p[t.len - 1] == '\t'))
		t.len--;
	return t;
}

static bool read_field(struct text line, struct head *h)
{
	const uint8_t *colon = memchr(line.p, ':', line.len);
	struct text name, value;

	if (!colon || colon == line.p)
		return false;
	name = (struct text){line.p, (size_t)(colon - line.p)};
	value = trim((struct text){colon + 1, line.len - name.len - 1});
	for (size_t i = 0; i < name.len; i++)
		if (!is_token(name.p[i]))
			return false;
	for (size_t i = 0; i < value.len; i++)
		if (is_control(value.p[i]) && value.p[i] != '\t')
			return false;
	if (text_is(name, "host")) {
		h->host = value;
		h->nhosts++;
	}
	return true;
}

/* ---- whom it names ------------------------------------------------------- */

/* scheme://authority, with @ret_port as what its scheme means. */
static bool take_authority(struct text target, struct text *ret,
                           uint32_t *ret_port)
{
	static const struct {
		const char *scheme;
		uint32_t port;
	} schemes[] = {
		{"http://",  80 },
		{"https://", 443},
		{"ws://",    80 },
		{"wss://",   443},
	};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t n = strlen(schemes[i].scheme), end = n;

		if (target.len < n ||
		    strncasecmp((const char *)target.p, schemes[i].scheme, n))
			continue;
		while (end < target.len && !strchr("/?#", target.p[end]))
			end++;
		*ret = (struct text){target.p + n, end - n};
		*ret_port = schemes[i].port;
		return true;
	}
	return false;
}

/* @said, if there is one, must be the same as the Host, if there is one. */
static bool agree(const struct head *h, const struct host *said, uint32_t port,
                  struct host *ret)
{
	struct host host;

	if (h->host.len > 0) {
		if (!read_host(h->host, &host) ||
		    (said && !same_host(&host, said, port)))
			return false;
		*ret = host;
	} else if (said) {
		*ret = *said;
	} else {
		*ret = (struct host){.port = NO_PORT};
	}
	return true;
}

static enum sniff_kind judge_connect(const struct head *h, struct sniff *ret)
{
	struct host to, host;

	if (!read_host(h->target, &to) || to.port == NO_PORT || to.port == 0)
		return SNIFF_BAD;
	if (!agree(h, &to, to.port, &host))
		return SNIFF_BAD;
	memcpy(ret->name, to.name, sizeof(ret->name));
	ret->port = (uint16_t)to.port;
	ret->has_addr = to.is_addr;
	ret->addr = to.addr;
	return SNIFF_CONNECT;
}

static enum sniff_kind judge(const struct head *h, struct sniff *ret)
{
	struct host said, host;
	struct text authority;
	uint32_t port = NO_PORT;
	bool has_said;

	if (h->nhosts > 1 || (h->nhosts == 0 && h->minor > 0))
		return SNIFF_BAD;
	if (h->method.len == 7 && memcmp(h->method.p, "CONNECT", 7) == 0)
		return judge_connect(h, ret);
	has_said = take_authority(h->target, &authority, &port);
	if (!has_said && h->target.p[0] != '/' && !text_is(h->target, "*"))
		return SNIFF_BAD;
	if (has_said && !read_host(authority, &said))
		return SNIFF_BAD;
	if (!agree(h, has_said ? &said : NULL, port, &host))
		return SNIFF_BAD;
	memcpy(ret->name, host.name, sizeof(ret->name));
	return SNIFF_HTTP;
}

/* Behind the first line: whom the whole head names. */
static enum sniff_kind read_fields(struct text *t, struct head *h,
                                   struct sniff *ret)
{
	struct text line;
	enum sniff_kind k;

	while ((k = next_line(t, &line)) == SNIFF_HTTP) {
		if (line.len == 0)
			return judge(h, ret);
		if (!read_field(line, h))
			return SNIFF_BAD;
	}
	return k;
}

enum sniff_kind sniff_http(const uint8_t *data, size_t len, struct sniff *ret)
{
	struct text t = {data, len}, line;
	struct head h = {0};
	enum sniff_kind k;

	while (t.len && (t.p[0] == '\r' || t.p[0] == '\n')) {
		t.p++; /* servers do so, too */
		t.len--;
	}
	k = check_method(t);
	if (k == SNIFF_HTTP)
		k = check_first(t);
	if (k == SNIFF_HTTP)
		k = next_line(&t, &line);
	if (k != SNIFF_HTTP)
		return k;
	return read_first(line, &h) ? read_fields(&t, &h, ret) : SNIFF_BAD;
}
