/*
 * clear.h - placeholders of secrets in what the guest sends to somebody in the
 * open: TCP that is neither TLS nor msb-tls's to look at, and datagrams.
 *
 * A placeholder is no secret, so this is no wall: it tells people that a
 * program sent one where no value is ever put in, and stops it. So it does not
 * matter that the guest may change its memory while it is read here, or call a
 * flow TLS that is none: all that it wins is that its placeholder gets through.
 * Looked for are its bytes as they are, however they are cut.
 *
 * Not looked at: what a server in the guest answers to a client of a published
 * port, who is on the host's side and has no business with secrets.
 */
#ifndef NET_CLEAR_H
#define NET_CLEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "base/iov.h"
#include "net/flow.h"
#include "policy/policy.h"

#define CLEAR_TEXTS_MAX 64
#define CLEAR_TEXT_MIN  4
#define CLEAR_TEXT_MAX  1024
#define CLEAR_NAME_MAX  128

struct net;

enum clear_violation { CLEAR_BLOCK, CLEAR_LOG, CLEAR_TERMINATE, CLEAR_PASS };

struct clear_text {
	const char *name, *text;
	enum clear_violation violation;
};

/* What to look for. Never changed, but for its count of users. */
struct clear_texts;

/* Copies all; at most CLEAR_TEXTS_MAX, at least one. -ENOMEM. */
int clear_texts_new(const struct clear_text *v, size_t n,
                    struct clear_texts **ret);
struct clear_texts *clear_texts_ref(struct clear_texts *t);
void clear_texts_unref(struct clear_texts *t); /* NULL is fine */

/* What is known of a flow's bytes so far. */
struct clear;

enum clear_result {
	CLEAR_FINE,
	CLEAR_STOP, /* told and counted: nothing of it may go out */
	CLEAR_TLS,  /* it is TLS: it need not be looked at any more */
};

/*
 * The next bytes of the guest in a flow to @t->peer, before they go anywhere.
 * *@c is made when needed (NULL: there is none yet) and follows @texts, should
 * they be others than before. enum clear_result; -ENOMEM: nothing was looked
 * at.
 */
int clear_stream(struct net *n, struct clear **c, struct clear_texts *texts,
                 const struct tuple *t, const struct iovec *v, unsigned nv);
/* Of the last call's bytes only the first @len were taken. */
void clear_back(struct clear *c, const struct iovec *v, unsigned nv,
                size_t len);
void clear_free(struct clear *c); /* NULL is fine */

/* A datagram: may it go? @data is in one piece. */
bool clear_datagram(struct net *n, struct clear_texts *texts,
                    const struct tuple *t, const uint8_t *data, size_t len);

#endif
