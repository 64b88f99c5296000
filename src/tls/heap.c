/*
 * Theory
 *
 * What is freed is wiped: a request with a value in it passes through buffers
 * of ours, of OpenSSL and of nghttp2, and none may keep it once it is through.
 *
 * glibc's own way, M_PERTURB, leaves out what goes into its per-thread cache:
 * all blocks up to 1 KiB. So free() and what else gives blocks back are ours;
 * the program's symbols go before libc's, for all libraries.
 *
 * Part of msb-tls alone: the library does nothing like that to its callers.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NO_HEAP
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NO_HEAP
#endif

#if !defined(NO_HEAP)

void __libc_free(void *p); /* glibc's, for who takes the place of free() */

/* Not inlined: a caller knows a block's size only as it asked for it. */
#define APART __attribute__((noinline))

APART void free(void *p)
{
	if (!p)
		return;
	explicit_bzero(p, malloc_usable_size(p));
	__libc_free(p);
}

/* A block that shrinks by a little stays where it is. */
APART void *realloc(void *p, size_t len)
{
	size_t had = p ? malloc_usable_size(p) : 0;
	void *q;

	if (p && len && len <= had && len >= had / 2) {
		explicit_bzero((char *)p + len, had - len);
		return p;
	}
	if (p && !len) {
		free(p);
		return NULL;
	}
	q = malloc(len);
	if (q && p) {
		memcpy(q, p, MIN(had, len));
		free(p);
	}
	return q;
}

APART void *reallocarray(void *p, size_t n, size_t size)
{
	size_t len;

	if (__builtin_mul_overflow(n, size, &len)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, len);
}

#endif
