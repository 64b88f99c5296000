/*
 * ref.h - image references with docker's defaults.
 *
 *	[host[:port]/]repository[:tag][@sha256:digest]
 *
 * "busybox" means docker.io/library/busybox:latest. A first part is a host if
 * it has a '.', a ':' or an upper-case letter, or is "localhost". Everything
 * that is accepted is safe as a file name (see ref_path()) and in a URL.
 */
#ifndef IMAGE_REF_H
#define IMAGE_REF_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"

#define REF_NAME_MAX 255 /* host and repository, as docker limits them */
#define REF_TAG_MAX  128

struct ref {
	char host[REF_NAME_MAX + 1]; /* "docker.io", "[::1]:5000" */
	char repo[REF_NAME_MAX + 1]; /* "library/busybox" */
	char tag[REF_TAG_MAX + 1];   /* "" when only the digest names it */
	bool has_digest;
	struct digest digest;
};

int ref_parse(const char *text, struct ref *ret, struct err *err);

/* The normal form: host/repo[:tag][@digest]. */
int ref_text(const struct ref *r, struct buf *b);

/*
 * Where the reference's record lives below the store's folder. A file's name
 * starts with '_' or '@', which no part of a repository does, so the record of
 * one reference is never the folder of another.
 */
int ref_path(const struct ref *r, struct buf *b);

/* What a registry is asked for: the digest, else the tag. */
int ref_wanted(const struct ref *r, struct buf *b);

/* Is @host ("name", "name:port", "[v6]:port") this machine itself? */
bool ref_host_is_loopback(const char *host);

#endif
