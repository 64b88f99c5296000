/*
 * Theory
 *
 * Every proxy protocol here is a talk in turns: we say something of bounded
 * length, the proxy answers, and from the answer follows the next thing to say,
 * the end, or that more of the answer is to come. So one engine sends `out`,
 * then has one function of the protocol eat the answer, by `expect` bytes at a
 * time; that is the only thing that differs.
 *
 * What comes behind the last answer is the peer's first bytes (a mail server's
 * greeting, say), and nobody else would see them if they were read here. SOCKS
 * answers tell their length in their first bytes. An HTTP head ends anywhere:
 * it is looked at with MSG_PEEK, and taken up to where it ends.
 *
 * The proxy is the user's choice and not the guest's, but what it says is
 * bounded and checked all the same; names from the guest go to it only if no
 * byte of them means anything to the protocol.
 */
#include "net/dial_proxy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/num.h"

#include "base/banned.h"

#define OUT_MAX  2048 /* a CONNECT with two names, and 511 bytes in base64 */
#define IN_MAX   272 /* of a SOCKS answer's part: a name of 255 bytes, a port */
#define HEAD_MAX 8192 /* of an HTTP answer */

struct dial_proxy {
	const struct net_proxy *cfg;
	struct addr peer;
	uint16_t port;
	char name[POLICY_NAME_MAX + 1]; /* "": by address */
	uint8_t out[OUT_MAX];
	size_t out_len, sent;
	/* 0: all is said and answered; -EAGAIN; the flow's error */
	int (*answer)(struct dial_proxy *d, int fd);
	uint8_t in[IN_MAX];
	size_t got, expect;
	size_t head, line;  /* bytes of the HTTP head, of its line at hand */
	bool status_line;   /* that line is the first */
	unsigned http_code; /* 0: not known yet */
};

static void say(struct dial_proxy *d, const void *data, size_t len)
{
	if (len > sizeof(d->out) - d->out_len)
		len = 0; /* the parts' limits do not add up to this */
	memcpy(d->out + d->out_len, data, len);
	d->out_len += len;
}

static void say_u8(struct dial_proxy *d, unsigned v)
{
	uint8_t b = (uint8_t)v;

	say(d, &b, 1);
}

static void say_be16(struct dial_proxy *d, uint16_t v)
{
	uint8_t b[2];

	put_be16(b, v);
	say(d, b, sizeof(b));
}

static void say_text(struct dial_proxy *d, const char *s)
{
	say(d, s, strlen(s));
}

/* Now that this was said, @expect bytes come, then answer() is called. */
static int wait_for(struct dial_proxy *d, size_t expect,
                    int (*answer)(struct dial_proxy *d, int fd))
{
	d->got = 0;
	d->expect = expect;
	d->answer = answer;
	return -EAGAIN;
}

/* recv() with its errors as the flow's. */
static ssize_t take(int fd, void *data, size_t len, int flags)
{
	ssize_t n;

	do {
		n = recv(fd, data, len, flags);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return -ECONNRESET;
	return n < 0 ? -errno : n;
}

/* d->in[0..expect) is there: 0; -EAGAIN, or an error. */
static int fill(struct dial_proxy *d, int fd)
{
	while (d->got < d->expect) {
		ssize_t n = take(fd, d->in + d->got, d->expect - d->got, 0);

		if (n < 0)
			return (int)n;
		d->got += (size_t)n;
	}
	return 0;
}

static int odd(const char *what)
{
	log_limited(LOG_WARN, "network: the proxy's answer is none: %s", what);
	return -EPROTO;
}

static int refused(const char *what)
{
	log_limited(LOG_WARN, "network: the proxy refuses: %s", what);
	return -EACCES;
}

/* ---- SOCKS4, 4a ---------------------------------------------------------- */

#define SOCKS4_ANSWER 8

static int socks4_answer(struct dial_proxy *d, int fd)
{
	int r = fill(d, fd);

	if (r < 0)
		return r;
	if (d->in[0] != 0)
		return odd("its version is not 0");
	switch (d->in[1]) {
	case 90:
		return 0;
	case 91:
		return -ECONNREFUSED;
	case 92:
	case 93:
		return refused("it does not believe the user id");
	default:
		return odd("an unknown code");
	}
}

static int socks4_begin(struct dial_proxy *d)
{
	static const uint8_t by_name[4] = {0, 0, 0, 1};

	if (!d->name[0] && !addr_is_v4(&d->peer))
		return -ENETUNREACH;
	say_u8(d, 4);
	say_u8(d, 1); /* connect */
	say_be16(d, d->port);
	say(d, d->name[0] ? by_name : d->peer.b + 12, 4);
	say(d, d->cfg->user, strlen(d->cfg->user) + 1);
	if (d->name[0])
		say(d, d->name, strlen(d->name) + 1);
	return wait_for(d, SOCKS4_ANSWER, socks4_answer);
}

/* ---- SOCKS5 -------------------------------------------------------------- */

enum { SOCKS5_NO_AUTH = 0, SOCKS5_PASSWORD = 2, SOCKS5_NONE = 0xff };
enum { SOCKS5_IPV4 = 1, SOCKS5_NAME = 3, SOCKS5_IPV6 = 4 };

static const int socks5_errors[] = {
	[1] = -ECONNREFUSED, /* it does not say why */
	[2] = -EACCES,       [3] = -ENETUNREACH, [4] = -EHOSTUNREACH,
	[5] = -ECONNREFUSED, [6] = -ETIMEDOUT,   [7] = -EOPNOTSUPP,
	[8] = -ENETUNREACH, /* a kind of address that it does not know */
};

static int socks5_end(struct dial_proxy *d, int fd)
{
	return fill(d, fd);
}

/*
 * What it bound: the first five bytes tell the rest's length. The shortest
 * answer of all, with an empty name, has seven.
 */
static int socks5_answer(struct dial_proxy *d, int fd)
{
	int r = fill(d, fd);
	size_t rest;

	if (d->got >= 2 && d->in[0] == 5 && d->in[1] != 0 &&
	    d->in[1] < ARRAY_SIZE(socks5_errors))
		return socks5_errors[d->in[1]]; /* it may close right here */
	if (r < 0)
		return r;
	if (d->in[0] != 5 || d->in[1] != 0)
		return odd("an unknown code");
	if (d->in[3] == SOCKS5_IPV4)
		rest = 3 + 2;
	else if (d->in[3] == SOCKS5_IPV6)
		rest = 15 + 2;
	else if (d->in[3] == SOCKS5_NAME)
		rest = d->in[4] + 2u;
	else
		return odd("an unknown kind of address");
	(void)wait_for(d, rest, socks5_end);
	return socks5_end(d, fd);
}

static int socks5_connect(struct dial_proxy *d)
{
	say_u8(d, 5);
	say_u8(d, 1); /* connect */
	say_u8(d, 0);
	if (d->name[0]) {
		say_u8(d, SOCKS5_NAME);
		say_u8(d, (unsigned)strlen(d->name));
		say_text(d, d->name);
	} else if (addr_is_v4(&d->peer)) {
		say_u8(d, SOCKS5_IPV4);
		say(d, d->peer.b + 12, 4);
	} else {
		say_u8(d, SOCKS5_IPV6);
		say(d, d->peer.b, 16);
	}
	say_be16(d, d->port);
	return wait_for(d, 5, socks5_answer);
}

static int socks5_believed(struct dial_proxy *d, int fd)
{
	int r = fill(d, fd);

	if (r < 0)
		return r;
	if (d->in[0] != 1)
		return odd("the version of its user check is not 1");
	if (d->in[1] != 0)
		return refused("user name or password");
	return socks5_connect(d);
}

static int socks5_login(struct dial_proxy *d)
{
	say_u8(d, 1);
	say_u8(d, (unsigned)strlen(d->cfg->user));
	say_text(d, d->cfg->user);
	say_u8(d, (unsigned)strlen(d->cfg->password));
	say_text(d, d->cfg->password);
	return wait_for(d, 2, socks5_believed);
}

static int socks5_method(struct dial_proxy *d, int fd)
{
	int r = fill(d, fd);

	if (r < 0)
		return r;
	if (d->in[0] != 5)
		return odd("its version is not 5");
	if (d->in[1] == SOCKS5_NO_AUTH)
		return socks5_connect(d);
	if (d->in[1] == SOCKS5_PASSWORD && d->cfg->user[0])
		return socks5_login(d);
	if (d->in[1] == SOCKS5_NONE)
		return refused(d->cfg->user[0] ? "our ways to log in"
		                               : "it wants a user name");
	return odd("a way to log in that was not offered");
}

static int socks5_begin(struct dial_proxy *d)
{
	say_u8(d, 5);
	say_u8(d, d->cfg->user[0] ? 2 : 1);
	say_u8(d, SOCKS5_NO_AUTH);
	if (d->cfg->user[0])
		say_u8(d, SOCKS5_PASSWORD);
	return wait_for(d, 2, socks5_method);
}

/* ---- HTTP CONNECT -------------------------------------------------------- */

static const struct {
	unsigned code;
	int error;
} http_errors[] = {
	{403, -EACCES      },
        {404, -EHOSTUNREACH},
        {408, -ETIMEDOUT   },
	{500, -ECONNREFUSED},
        {502, -ECONNREFUSED},
        {503, -ECONNREFUSED},
	{504, -ETIMEDOUT   },
};

/* The head is whole: 0, -EAGAIN when another follows, or an error. */
static int http_verdict(struct dial_proxy *d)
{
	unsigned code = d->http_code;

	d->http_code = 0;
	d->status_line = true;
	if (code >= 200 && code < 300)
		return 0;
	if (code < 200 && code != 101)
		return -EAGAIN;
	if (code == 407 || code == 401) /* tinyproxy's */
		return refused("user name or password");
	for (size_t i = 0; i < ARRAY_SIZE(http_errors); i++)
		if (http_errors[i].code == code)
			return http_errors[i].error;
	return odd("an unknown status");
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.x ddd", and nothing or a space behind it; it is in d->in. */
static int http_status(struct dial_proxy *d)
{
	const uint8_t *s = d->in;

	if (d->line < 12 || memcmp(s, "HTTP/1.", 7) != 0 || !is_digit(s[7]) ||
	    s[8] != ' ' || !is_digit(s[9]) || !is_digit(s[10]) ||
	    !is_digit(s[11]) || s[9] == '0')
		return odd("no HTTP status");
	if (d->line > 12 && s[12] != ' ' && s[12] != '\r')
		return odd("no HTTP status");
	d->http_code =
		(s[9] - '0') * 100u + (s[10] - '0') * 10u + (s[11] - '0');
	return 0;
}

/* One more byte of the head: 0 when it was the last of all; -EAGAIN; error. */
static int http_byte(struct dial_proxy *d, uint8_t c)
{
	bool empty = d->line == 0 || (d->line == 1 && d->in[0] == '\r');
	int r;

	if (++d->head > HEAD_MAX)
		return odd("its head has no end");
	if (c == '\0')
		return odd("a zero in its head");
	if (c != '\n') {
		if (d->line < sizeof(d->in))
			d->in[d->line] = c;
		d->line++;
		return -EAGAIN;
	}
	r = -EAGAIN;
	if (d->status_line) {
		r = http_status(d);
		d->status_line = false;
		r = r < 0 ? r : -EAGAIN;
	} else if (empty) {
		r = http_verdict(d);
	}
	d->line = 0;
	return r;
}

/* What was looked at and belongs to the head is taken out of the socket. */
static int drop(int fd, size_t len)
{
	uint8_t bin[512];

	while (len > 0) {
		ssize_t n = take(fd, bin, MIN(len, sizeof(bin)), 0);

		if (n < 0)
			return n == -EAGAIN ? -EIO : (int)n;
		len -= (size_t)n;
	}
	return 0;
}

static int http_answer(struct dial_proxy *d, int fd)
{
	uint8_t piece[512];

	for (;;) {
		ssize_t n = take(fd, piece, sizeof(piece), MSG_PEEK);
		int r = -EAGAIN, dropped;
		ssize_t i = 0;

		if (n < 0)
			return (int)n;
		while (i < n && r == -EAGAIN)
			r = http_byte(d, piece[i++]);
		dropped = drop(fd, (size_t)i);
		if (dropped < 0)
			return dropped;
		if (r != -EAGAIN)
			return r;
	}
}

static void say_base64(struct dial_proxy *d, const uint8_t *p, size_t len)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqr"
				  "stuvwxyz0123456789+/";

	for (; len > 0; p += MIN(len, 3), len -= MIN(len, 3)) {
		uint32_t v = (uint32_t)p[0] << 16 |
		             (len > 1 ? (uint32_t)p[1] << 8 : 0) |
		             (len > 2 ? p[2] : 0);

		say_u8(d, set[v >> 18]);
		say_u8(d, set[v >> 12 & 63]);
		say_u8(d, len > 1 ? set[v >> 6 & 63] : '=');
		say_u8(d, len > 2 ? set[v & 63] : '=');
	}
}

static void http_login(struct dial_proxy *d)
{
	char both[sizeof(d->cfg->user) + sizeof(d->cfg->password)];
	int n;

	n = snprintf(both, sizeof(both), "%s:%s", d->cfg->user,
	             d->cfg->password);
	say_text(d, "Proxy-Authorization: Basic ");
	say_base64(d, (const uint8_t *)both, (size_t)n);
	say_text(d, "\r\n");
	explicit_bzero(both, sizeof(both));
}

static int http_begin(struct dial_proxy *d)
{
	char host[POLICY_NAME_MAX + 16], text[ADDR_TEXT_MAX];

	if (d->name[0])
		(void)snprintf(host, sizeof(host), "%s:%u", d->name, d->port);
	else
		(void)snprintf(host, sizeof(host),
		               addr_is_v4(&d->peer) ? "%s:%u" : "[%s]:%u",
		               addr_text(&d->peer, text), d->port);
	say_text(d, "CONNECT ");
	say_text(d, host);
	say_text(d, " HTTP/1.1\r\nHost: ");
	say_text(d, host);
	say_text(d, "\r\n");
	if (d->cfg->user[0])
		http_login(d);
	say_text(d, "\r\n");
	d->status_line = true;
	return wait_for(d, 0, http_answer);
}

/* ---- all ----------------------------------------------------------------- */

static int (*const begins[])(struct dial_proxy *d) = {
	[NET_SOCKS4] = socks4_begin,
	[NET_SOCKS5] = socks5_begin,
	[NET_CONNECT] = http_begin,
};

/*
 * No byte of it is another thing than part of a name, for any proxy; and it is
 * no address ("10.1", "0x7f000001") of which nobody judged whether it may be
 * reached: no top-level domain begins with a digit.
 */
static bool is_plain(const char *name)
{
	size_t n = strlen(name);
	const char *dot = strrchr(name, '.');

	uint8_t last = (uint8_t)(dot ? dot[1] : name[0]);

	return n > 0 && n <= POLICY_NAME_MAX && last && !is_digit(last) &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == n;
}

int dial_proxy_new(const struct net_proxy *p, const struct addr *peer,
                   uint16_t port, const char *name, struct dial_proxy **ret)
{
	struct dial_proxy *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	d->cfg = p;
	d->peer = *peer;
	d->port = port;
	if (name && is_plain(name))
		memcpy(d->name, name, strlen(name) + 1);
	r = begins[p->kind](d);
	if (r != -EAGAIN) {
		dial_proxy_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

void dial_proxy_free(struct dial_proxy *d)
{
	if (!d)
		return;
	explicit_bzero(d->out, sizeof(d->out)); /* the password */
	free(d);
}

/* 0 when all was said; -EAGAIN, or an error. */
static int push(struct dial_proxy *d, int fd)
{
	while (d->sent < d->out_len) {
		ssize_t n = send(fd, d->out + d->sent, d->out_len - d->sent,
		                 MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return -errno;
		d->sent += n < 0 ? 0 : (size_t)n;
	}
	d->sent = d->out_len = 0;
	return 0;
}

int dial_proxy_step(struct dial_proxy *d, int fd, uint32_t *ret_events)
{
	for (;;) {
		int r = push(d, fd);

		if (r < 0) {
			*ret_events = EPOLLOUT;
			return r;
		}
		r = d->answer(d, fd);
		if (r != -EAGAIN)
			return r;
		if (d->out_len > 0)
			continue;
		*ret_events = EPOLLIN;
		return r;
	}
}
