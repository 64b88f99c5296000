/*
 * tls_link.h - msb-tls's end of its link with the network, and a guest's
 * ClientHello, as tests need them. Behind lib/test.h.
 */
#ifndef TEST_NET_TLS_LINK_H
#define TEST_NET_TLS_LINK_H

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "base/tlslink.h"

/* What a CONFIG of a test begins and ends with. */
#define TLS_CONFIG(names, bypass, placeholders)                                \
	"{\"ports\": [443, 8443], \"block_quic\": true, \"intercept\": "       \
	"[" names "], \"bypass\": [" bypass                                    \
	"], \"placeholders\": [" placeholders "]}"
#define TLS_TEXT(name, text, violation)                                        \
	"{\"name\": \"" name "\", \"text\": \"" text                           \
	"\", \"violation\": \"" violation "\"}"

static inline void tls_send(int link, const void *p, size_t len)
{
	assert_int_equal(send(link, p, len, MSG_NOSIGNAL), len);
}

static inline void tls_config(int link, const char *json)
{
	const struct tlslink_config head = {TLSLINK_CONFIG};
	size_t len = strlen(json);
	uint8_t *p = malloc(sizeof(head) + len);

	memcpy(p, &head, sizeof(head));
	memcpy(p + sizeof(head), json, len);
	tls_send(link, p, sizeof(head) + len);
	free(p);
}

static inline void tls_abort(int link, uint64_t id)
{
	const struct tlslink_abort a = {.type = TLSLINK_ABORT, .id = id};

	tls_send(link, &a, sizeof(a));
}

static inline void tls_event(int link, enum tlslink_what what, uint8_t flags,
                             uint32_t count, const char *text)
{
	struct tlslink_event e = {.type = TLSLINK_EVENT,
	                          .what = (uint8_t)what,
	                          .flags = flags,
	                          .count = count};

	memcpy(e.text, text, strlen(text));
	tls_send(link, &e, sizeof(e));
}

/* A flow that was handed over. */
struct tls_got {
	struct tlslink_flow m;
	int guest, server;
};

/* The next one; false: there is none. */
static inline bool tls_flow(int link, struct tls_got *ret)
{
	int fds[FD_PASS_MAX];
	size_t nfds = 0;
	ssize_t n = fd_recv(link, &ret->m, sizeof(ret->m), fds, &nfds);

	if (n < 0)
		return false;
	assert_int_equal(n, sizeof(ret->m));
	assert_int_equal(nfds, 2);
	assert_int_equal(ret->m.type, TLSLINK_FLOW);
	assert_non_null(memchr(ret->m.name, 0, sizeof(ret->m.name)));
	ret->guest = fds[0];
	ret->server = fds[1];
	return true;
}

static inline void tls_close(struct tls_got *g)
{
	(void)close(g->guest);
	(void)close(g->server);
}

/* A ClientHello in one record, for @name (NULL: without); its length. */
static inline size_t tls_hello(uint8_t *p, const char *name, bool ech)
{
	size_t n = name ? strlen(name) : 0, at = 9;
	size_t ext = (name ? n + 9 : 0) + (ech ? 5 : 0) + 4;

	memset(p, 0, 9);
	put_be16(p + at, 0x0303);
	memset(p + at + 2, 0x55, 32);
	at += 34;
	p[at++] = 0;
	put_be16(p + at, 2);
	put_be16(p + at + 2, 0x1301);
	put_be16(p + at + 4, 0x0100);
	put_be16(p + at + 6, (uint16_t)ext);
	at += 8;
	put_be16(p + at, 0x0a0a);
	put_be16(p + at + 2, 0);
	at += 4;
	if (name) {
		put_be16(p + at, 0);
		put_be16(p + at + 2, (uint16_t)(n + 5));
		put_be16(p + at + 4, (uint16_t)(n + 3));
		p[at + 6] = 0;
		put_be16(p + at + 7, (uint16_t)n);
		memcpy(p + at + 9, name, n);
		at += 9 + n;
	}
	if (ech) {
		put_be16(p + at, 0xfe0d);
		put_be16(p + at + 2, 1);
		p[at + 4] = 1;
		at += 5;
	}
	p[0] = 0x16;
	put_be16(p + 1, 0x0301);
	put_be16(p + 3, (uint16_t)(at - 5));
	p[5] = 1;
	put_be16(p + 7, (uint16_t)(at - 9));
	return at;
}

#endif
