/*
 * registry.h - one repository of one registry, as a pull sees it: scheme,
 * login, and which failures are worth another try.
 *
 * A struct registry is shared by the threads of a pull; each exchange borrows
 * a connection from its pool, so that connections stay open between layers.
 */
#ifndef IMAGE_REGISTRY_H
#define IMAGE_REGISTRY_H

#include "image/auth.h"
#include "image/http.h"
#include "image/ref.h"

#define REGISTRY_RETRIES       4
#define REGISTRY_BACKOFF_MS    200 /* doubled each time, and some chance */
#define REGISTRY_RETRY_AFTER_S 30  /* we wait no longer when asked to */
#define REGISTRY_CONNS_MAX     32
#define REGISTRY_PROGRESS      65536 /* bytes that make a retry worth it */
#define REGISTRY_TRIES_MAX     100   /* in all, however much comes each time */

enum registry_scheme { SCHEME_UNKNOWN, SCHEME_HTTPS, SCHEME_HTTP };

struct registry {
	const struct ref *ref;
	const struct image_pull_opts *opts;
	struct meter *meter;
	struct http_limits limits;
	const char *endpoint; /* host that is asked */

	pthread_mutex_t lock;
	_Atomic enum registry_scheme scheme; /* once one has answered */
	struct http *idle[REGISTRY_CONNS_MAX];
	unsigned nidle;

	pthread_mutex_t auth_lock; /* one thread logs in, others wait */
	char *authorization;
	unsigned logins; /* how often it was made anew */
	bool looked_for_credentials, has_credentials;
	struct credentials credentials;
	struct err note; /* why there may be none */
};

int registry_init(struct registry *r, const struct ref *ref,
                  const struct image_pull_opts *opts, struct meter *p,
                  struct err *err);
void registry_release(struct registry *r);

struct registry_request {
	const char *kind;   /* "manifests" or "blobs" */
	const char *name;   /* tag or digest */
	const char *accept; /* or NULL */
	bool head;

	/* As in http_request. Bytes below *@have are there already. */
	int (*body)(void *arg, uint64_t offset, const void *data, size_t len,
	            struct err *err);
	void *arg;
	const uint64_t *have; /* NULL: 0; changed by body() */
	uint64_t size;        /* the most that the body may have */
};

/*
 * 0: answered with 2xx. Else as http_do(), or -ENOENT (404), -EACCES (401,
 * 403), -ERANGE (416), -EBUSY (429), -EREMOTEIO (other).
 */
int registry_do(struct registry *r, const struct registry_request *q,
                struct http_answer *ret, struct err *err);

/* A document into @b, at most @max bytes; @ret_type of 128 bytes, or NULL. */
int registry_document(struct registry *r, const char *kind, const char *name,
                      uint64_t max, struct buf *b, char *ret_type,
                      struct err *err);

#endif
