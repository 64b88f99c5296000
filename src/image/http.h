/*
 * http.h - one HTTP exchange, with everything that a hostile server may do
 * bounded: redirects, header and body sizes, time without progress.
 *
 * Redirects are followed here, not by libcurl, so that each hop is judged:
 * only http and https, never from https to http, at most HTTP_REDIRECTS_MAX,
 * not to this machine unless the exchange began here; what is secret goes to
 * the first host (scheme, name and port) only.
 *
 * A struct http belongs to one thread and keeps its connections open between
 * exchanges.
 */
#ifndef IMAGE_HTTP_H
#define IMAGE_HTTP_H

#include "base/buf.h"
#include "base/err.h"
#include "image/meter.h"

#define HTTP_REDIRECTS_MAX 8

struct http_limits {
	unsigned connect_ms;
	unsigned stall_ms;    /* this long ... */
	unsigned stall_bytes; /* ... with fewer bytes a second than this */
};

struct http_opts {
	const char *ca_certs; /* extra PEM file, or NULL */
	bool no_verify;
	struct meter *meter;
	struct http_limits limits;
};

struct http;

int http_new(const struct http_opts *o, struct http **ret, struct err *err);
void http_free(struct http *h); /* NULL is fine */

struct http_request {
	const char *url;
	const char *accept;        /* or NULL */
	const char *authorization; /* header value, or NULL */
	const char *post;          /* form body: a POST; or NULL */
	bool head;
	uint64_t offset; /* of a Range request; 0: none */

	/*
	 * The body of a 2xx answer; @offset is where its first byte belongs
	 * (not 0 only for a 206). Not 0 ends the exchange with that code.
	 */
	int (*body)(void *arg, uint64_t offset, const void *data, size_t len,
	            struct err *err);
	void *arg;
	uint64_t body_max; /* of a 2xx answer, counted from offset 0 */
};

struct http_answer {
	long status;
	char content_type[128];
	char content_digest[80]; /* Docker-Content-Digest */
	uint64_t retry_after_s;
	struct buf challenges; /* WWW-Authenticate values, one a line */
	struct buf error_body; /* the beginning of a body that is not 2xx */
};

void http_answer_release(struct http_answer *a);

/*
 * 0: there is an answer, whatever its status. Else @err tells:
 *	-ECONNREFUSED, -EHOSTUNREACH (no such host, no route), -ETIMEDOUT,
 *	-EPIPE (broken off: worth another try), -EPROTO (not HTTP, or against
 *	the rules), -EKEYREJECTED (certificate), -EFBIG (body too long),
 *	-ERANGE (another range than asked for), -ECANCELED, or what body()
 *	returned.
 */
int http_do(struct http *h, const struct http_request *q,
            struct http_answer *ret, struct err *err);

/* Did the last http_do(), even if it failed, get a status line? */
bool http_saw_answer(const struct http *h);

#endif
