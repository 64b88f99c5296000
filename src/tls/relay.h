/*
 * relay.h - what turns the bytes of one side into bytes for the other, without
 * any descriptor: HTTP/1, HTTP/2, or as they are. flow.c moves the bytes.
 *
 * The rules for both: input() takes all that it is given (at most RELAY_CHUNK)
 * and puts what follows from it into out[]; it is not called for a side while
 * the other side's out[] holds RELAY_HIGH or more, or wants() says no. room()
 * is called after out[] was emptied some; flow.c calls it for HTTP/2's sake,
 * whose session may have more to send.
 */
#ifndef TLS_RELAY_H
#define TLS_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "tls/gate.h"
#include "tls/vault.h"

#define RELAY_CHUNK   (16u << 10)
#define RELAY_HIGH    (64u << 10)
#define RELAY_OUT_MAX (32u << 20) /* the largest body that is held, twice */

enum side { SIDE_GUEST, SIDE_SERVER };

static inline enum side side_other(enum side s)
{
	return s == SIDE_GUEST ? SIDE_SERVER : SIDE_GUEST;
}

struct relay;

struct relay_ops {
	const char *name; /* "HTTP/1", "HTTP/2", "opaque" */
	/*
	 * 0; -ECONNABORTED: end both sides now, hard; -ESHUTDOWN: send what is
	 * in out[], end both sides properly. Another errno as ECONNABORTED.
	 */
	int (*input)(struct relay *r, enum side from, const uint8_t *data,
	             size_t len);
	/* @from's stream has ended properly (close_notify, or FIN of a clear
	   side); returns as input(). 0: the other side is told when out[] is
	   empty, and its direction goes on: a half-close. 1: the other side is
	   not told; input() or room() say -ESHUTDOWN when all is delivered. */
	int (*eof)(struct relay *r, enum side from);
	int (*room)(struct relay *r); /* NULL: nothing ever waits */
	bool (*wants)(const struct relay *r, enum side from); /* NULL: yes */
	void (*free)(struct relay *r);
};

/* The first member of each kind's own struct. */
struct relay {
	const struct relay_ops *ops;
	const struct gate *gate; /* borrowed: the flow's */
	/* The secrets now: a request takes its reference when it begins. */
	struct secrets *(*secrets)(void *arg);
	void *secrets_arg;
	const struct sink *sink;
	struct buf out[2]; /* by enum side: to whom; RELAY_OUT_MAX each */
};

/* What the constructors need; fills @r but for ops. */
struct relay_env {
	const struct gate *gate;
	struct secrets *(*secrets)(void *arg); /* borrowed reference */
	void *secrets_arg;
	const struct sink *sink;
};
void relay_init(struct relay *r, const struct relay_ops *ops,
                const struct relay_env *env);
void relay_release(struct relay *r); /* out[] */

/* NULL: no memory. */
struct relay *http1_new(const struct relay_env *env);
struct relay *http2_new(const struct relay_env *env);
/*
 * Bytes as they are, in both directions; the guest's are searched for
 * placeholders, which are all violations here.
 */
struct relay *opaque_new(const struct relay_env *env);
/*
 * Chooses between HTTP/1 and opaque by the guest's first bytes (HTTP/1 unless
 * they cannot be a request line): for flows without ALPN.
 */
struct relay *guess_new(const struct relay_env *env);

#endif
