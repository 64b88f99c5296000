/*
 * Theory
 *
 * The guest asks a proxy for a tunnel, in clear text:
 *
 *	CONNECT name:443 HTTP/1.1 CRLF headers CRLF CRLF
 *
 * What it asks for must be what the flow was handed over for, or a value would
 * go to another host than the one that was looked at. The proxy sees the head
 * as it was sent: it is outside of TLS, so a placeholder in it is a violation.
 * Heads are read up to their last byte and no further (by MSG_PEEK), so what
 * follows is still in the socket, for TLS.
 *
 * After an answer that is not 2xx the connection goes on as it is, in clear.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/num.h"
#include "policy/policy.h"
#include "tls/flow.h"
#include "tls/subst.h"

#include "base/banned.h"

#define HEAD_MAX  (16u << 10)
#define REPLY_MAX (8u << 10)

struct connect {
	struct buf head, reply;
	bool sent; /* the head, to the proxy */
};

void flow_connect_free(struct connect *c)
{
	if (!c)
		return;
	buf_release(&c->head);
	buf_release(&c->reply);
	free(c);
}

int flow_connect_begin(struct tls_flow *f)
{
	f->connect = calloc(1, sizeof(*f->connect));
	if (!f->connect)
		return -ENOMEM;
	f->connect->head.max = HEAD_MAX;
	f->connect->reply.max = REPLY_MAX;
	return 0;
}

/* ---- heads --------------------------------------------------------------- */

/* How much of @data belongs to the head that @b begins; @ret_whole: its end. */
static size_t head_part(const struct buf *b, const char *data, size_t len,
                        bool *ret_whole)
{
	static const char end[] = "\r\n\r\n";
	size_t have = MIN(b->len, 3u);
	char join[6];
	const char *p;

	/* An end that began in what is there already. */
	if (have) {
		size_t more = MIN(len, 3u);

		memcpy(join, b->data + b->len - have, have);
		memcpy(join + have, data, more);
		p = memmem(join, have + more, end, 4);
		if (p) {
			*ret_whole = true;
			return (size_t)(p - join) + 4 - have;
		}
	}
	p = memmem(data, len, end, 4);
	*ret_whole = p != NULL;
	return p ? (size_t)(p - data) + 4 : len;
}

/* 1: @b is a whole head. 0: wait. -E2BIG, -ENODATA, or the socket's errno. */
static int head_read(struct end *e, struct buf *b)
{
	for (;;) {
		char data[4096];
		bool whole;
		size_t part;
		ssize_t n = recv(e->source.fd, data, sizeof(data), MSG_PEEK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n < 0) {
			e->want_in = true;
			return 0;
		}
		if (n == 0)
			return -ENODATA;
		part = head_part(b, data, (size_t)n, &whole);
		if (buf_add(b, data, part) < 0)
			return -E2BIG;
		if (recv(e->source.fd, data, part, 0) != (ssize_t)part)
			return -EIO;
		if (whole)
			return 1;
	}
}

static bool is_token(const char *s, size_t len)
{
	static const char chars[] = "!#$%&'*+-.^_`|~0123456789"
				    "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	for (size_t i = 0; i < len; i++)
		if (!s[i] || !strchr(chars, s[i]))
			return false;
	return len > 0;
}

/* The line at *@at without its CRLF, which *@at is set behind. NULL: bad. */
static char *next_line(char **at, size_t *ret_len)
{
	char *line = *at, *end = strstr(line, "\r\n");

	if (!end)
		return NULL;
	for (char *p = line; p < end; p++)
		if ((unsigned char)*p < ' ' && *p != '\t')
			return NULL;
	*end = '\0';
	*at = end + 2;
	*ret_len = (size_t)(end - line);
	return line;
}

/* "name:443", or "[::1]:443": is it what the flow is for? */
static bool is_authority(const struct tls_flow *f, char *text)
{
	char name[POLICY_NAME_MAX + 1], *colon = strrchr(text, ':');
	char ip[ADDR_TEXT_MAX];
	struct addr a;
	uint64_t port;

	if (!colon || !num_parse_u64(colon + 1, 65535, &port) ||
	    port != f->gate.port)
		return false;
	*colon = '\0';
	if (text[0] == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		text++;
	}
	if (!f->gate.name[0])
		return addr_parse(text, &a) == 0 &&
		       strcmp(addr_text(&a, ip), f->ip) == 0;
	return policy_name(text, name) == 0 && strcmp(name, f->gate.name) == 0;
}

/* A header: no folding, no body, its value searched. 0, -EINVAL, -EACCES. */
static int check_header(char *line, size_t len, struct subst *s)
{
	static const char *const bodies[] = {"content-length",
	                                     "transfer-encoding"};
	char *colon = strchr(line, ':'), *value, *end = line + len;
	size_t n = colon ? (size_t)(colon - line) : 0;
	cleanup_buf struct buf out = BUF_INIT;
	bool has;

	if (!is_token(line, n))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		if (strlen(bodies[i]) == n &&
		    strncasecmp(line, bodies[i], n) == 0)
			return -EINVAL;
	value = colon + 1 + strspn(colon + 1, " \t");
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return subst_header(s, line, n, value, (size_t)(end - value), &out,
	                    &has);
}

static int check_lines(const struct tls_flow *f, char *text, struct subst *s)
{
	static const char method[] = "CONNECT ";
	char *line, *space;
	size_t len;

	line = next_line(&text, &len);
	if (!line || strncmp(line, method, strlen(method)) != 0)
		return -EINVAL;
	line += strlen(method);
	space = strchr(line, ' ');
	if (!space || (strcmp(space, " HTTP/1.1") != 0 &&
	               strcmp(space, " HTTP/1.0") != 0))
		return -EINVAL;
	*space = '\0';
	if (!is_authority(f, line))
		return -ENOTUNIQ;
	while ((line = next_line(&text, &len)) && len > 0) {
		int r = check_header(line, len, s);

		if (r < 0)
			return r;
	}
	return line && !*text ? 0 : -EINVAL;
}

/* -EINVAL, -ENOTUNIQ: another authority, -EACCES, -ENOMEM. */
static int check_head(struct tls_flow *f, const struct buf *head)
{
	struct gate clear = f->gate;
	struct subst_request rq = {.protocol = "cleartext",
	                           .method = "CONNECT",
	                           .path = flow_who(f),
	                           .authority = f->gate.name};
	cleanup_free char *text = malloc(head->len + 1);
	struct subst *s;
	int r;

	clear.tls = false;
	s = subst_new(f->tls->secrets, &clear, &f->tls->sink, &rq);
	if (!text || !s) {
		subst_free(s);
		return -ENOMEM;
	}
	memcpy(text, head->data, head->len);
	text[head->len] = '\0';
	r = memchr(head->data, '\0', head->len) ? -EINVAL
	                                        : check_lines(f, text, s);
	subst_free(s);
	return r;
}

/* ---- answers ------------------------------------------------------------- */

static int answer(struct tls_flow *f, const char *status, const char *body)
{
	char text[1024];
	int len = snprintf(text, sizeof(text),
	                   "HTTP/1.1 %s\r\nContent-Type: text/plain\r\n"
	                   "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
	                   status, strlen(body), body);

	(void)end_write(&f->end[SIDE_GUEST], text,
	                MIN((size_t)len, sizeof(text) - 1));
	return flow_close(f, true);
}

static int refuse(struct tls_flow *f, int why)
{
	if (why == -ENOMEM)
		return -ENOMEM;
	if (why == -EACCES)
		return answer(f, "403 Forbidden",
		              "microsandbox: a secret's placeholder is in a "
		              "CONNECT, which is not encrypted\n");
	flow_refused(f,
	             why == -ENOTUNIQ
	                     ? "%s: the CONNECT to the proxy is for another "
	                       "host or port"
	             : why == -E2BIG
	                     ? "%s: the CONNECT to the proxy is too long"
	                     : "%s: the CONNECT to the proxy is broken",
	             flow_who(f));
	return answer(f, "400 Bad Request",
	              "microsandbox: this CONNECT is broken, or for another "
	              "host than the connection was made for\n");
}

/* ---- the step ------------------------------------------------------------ */

/* "HTTP/1.1 200 ..." -> 200; 0: it is none. */
static unsigned status_of(const struct buf *reply)
{
	const char *s = buf_str(reply);
	char digits[4];
	uint64_t n;

	if (reply->len < 12 || strncmp(s, "HTTP/1.", 7) != 0 || s[8] != ' ')
		return 0;
	memcpy(digits, s + 9, 3);
	digits[3] = '\0';
	return num_parse_u64(digits, 999, &n) ? (unsigned)n : 0;
}

static struct secrets *secrets_now(void *arg)
{
	return ((struct tls *)arg)->secrets;
}

static int go_on_clear(struct tls_flow *f)
{
	struct relay_env env = {.gate = &f->gate,
	                        .secrets = secrets_now,
	                        .secrets_arg = f->tls,
	                        .sink = &f->tls->sink};

	return flow_relay(f, opaque_new(&env));
}

static int step_head(struct tls_flow *f)
{
	struct connect *c = f->connect;
	int r = head_read(&f->end[SIDE_GUEST], &c->head);

	if (r == 0)
		return FLOW_WAIT;
	if (r == -ENODATA)
		return FLOW_DONE;
	if (r == 1)
		r = check_head(f, &c->head);
	if (r < 0)
		return refuse(f, r);
	if (end_write(&f->end[SIDE_SERVER], c->head.data, c->head.len) !=
	    (ssize_t)c->head.len)
		return -EIO; /* what is gathered begins empty: it fits */
	c->sent = true;
	return FLOW_NEXT;
}

static int step_reply(struct tls_flow *f)
{
	struct connect *c = f->connect;
	struct end *server = &f->end[SIDE_SERVER];
	unsigned status;
	int r = end_flush(server);

	if (f->end[SIDE_GUEST].gone)
		return FLOW_DONE;
	if (r < 0 && r != -EAGAIN)
		return r;
	r = head_read(server, &c->reply);
	if (r == 0)
		return FLOW_WAIT;
	if (r < 0) {
		flow_refused(f, "%s: the proxy's answer to CONNECT is %s",
		             flow_who(f), r == -E2BIG ? "too long" : "missing");
		return r;
	}
	if (end_write(&f->end[SIDE_GUEST], c->reply.data, c->reply.len) !=
	    (ssize_t)c->reply.len)
		return -EIO;
	status = status_of(&c->reply);
	flow_connect_free(take_ptr(f->connect));
	if (status / 100 == 1)
		return flow_connect_begin(f) < 0
		               ? -ENOMEM
		               : (f->connect->sent = true, FLOW_NEXT);
	if (status / 100 != 2)
		return go_on_clear(f);
	r = flow_hello_begin(f);
	if (r < 0)
		return r;
	f->state = FLOW_HELLO;
	return FLOW_NEXT;
}

int flow_step_connect(struct tls_flow *f)
{
	return f->connect->sent ? step_reply(f) : step_head(f);
}
