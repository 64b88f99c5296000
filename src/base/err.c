#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/banned.h"

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	err->hint[0] = '\0';
	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char old[ERR_MSG_MAX];
	va_list ap;
	int n;

	if (!err)
		return -EIO;
	memcpy(old, err->msg, sizeof(old));
	va_start(ap, fmt);
	n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(err->msg))
		(void)snprintf(err->msg + n, sizeof(err->msg) - (size_t)n,
		               ": %s", old);
	return err->code;
}

void err_hint(struct err *err, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
}

/* A table and not strerrorname_np(): musl, which the guest uses, lacks it. */
static const struct {
	int code;
	const char *name;
} names[] = {
#define N(x)                                                                   \
	{                                                                      \
		x, #x                                                          \
	}
	N(EPERM),        N(ENOENT),          N(ESRCH),        N(EINTR),
	N(EIO),          N(ENXIO),           N(E2BIG),        N(ENOEXEC),
	N(EBADF),        N(ECHILD),          N(EAGAIN),       N(ENOMEM),
	N(EACCES),       N(EFAULT),          N(EBUSY),        N(EEXIST),
	N(EXDEV),        N(ENODEV),          N(ENOTDIR),      N(EISDIR),
	N(EINVAL),       N(ENFILE),          N(EMFILE),       N(ENOTTY),
	N(EFBIG),        N(ENOSPC),          N(ESPIPE),       N(EROFS),
	N(EMLINK),       N(EPIPE),           N(ERANGE),       N(ENAMETOOLONG),
	N(ENOSYS),       N(ENOTEMPTY),       N(ELOOP),        N(EPROTO),
	N(EBADMSG),      N(EOVERFLOW),       N(ENOTSUP),      N(ETIMEDOUT),
	N(ECONNREFUSED), N(ECONNRESET),      N(EHOSTUNREACH), N(ENETUNREACH),
	N(ECANCELED),    N(ESTALE),          N(EDQUOT),       N(ETXTBSY),
	N(EUCLEAN),      N(EPROTONOSUPPORT),
#undef N
};

const char *err_name(int code)
{
	int want = code < 0 ? -code : code;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].code == want)
			return names[i].name;
	return "E?";
}
