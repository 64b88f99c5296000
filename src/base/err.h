/*
 * err.h - an error that a person will read.
 *
 * A function that can fail returns 0 (or more) on success and a negative errno
 * on failure. If a person will read the reason, its last parameter is
 * `struct err *err`, which may be NULL:
 *
 *	return err_set(err, -ENOENT, "image %s is not in the store", ref);
 *
 * The struct is a value: no allocation, no free, so error paths cannot fail.
 * A hint is the next step that the user can take; it is optional.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>

#define ERR_MSG_MAX  768
#define ERR_HINT_MAX 512

struct err {
	int code; /* negative errno, 0 when unset */
	char msg[ERR_MSG_MAX];
	char hint[ERR_HINT_MAX];
};

/* Fill @err (may be NULL) and return @code, which must be negative. */
int err_set(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "context: " before the message that is already there; returns code. */
int err_wrap(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Add the next step for the user, e.g. "install qemu-system-x86". */
void err_hint(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Name of an errno value such as "ENOENT"; "E?" when unknown. Never NULL. */
const char *err_name(int code);

#endif
