/*
 * error.h - the one place where the errno values that run inside the library
 * become the public `enum msb_code`.
 *
 * Some reasons have no natural errno; inside the library these stand for them.
 */
#ifndef LIB_ERROR_H
#define LIB_ERROR_H

#include <errno.h>

#include "base/err.h"
#include "microsandbox.h"

#define LIB_EINSTALL ENOPKG    /* a part of the installation is missing */
#define LIB_EBOOT    EHOSTDOWN /* the machine did not get ready */
#define LIB_EGONE    ESHUTDOWN /* the machine has ended */
#define LIB_EEXEC    ENOEXEC   /* the command never ran */

/* The code of a negative errno; MSB_ERR_IO for those without one. */
enum msb_code error_code(int r);

/*
 * Copy @err into @out (may be NULL) for a failure @r and return -code, ready
 * to be returned by a public function. An empty message gets strerror().
 */
int error_return(struct msb_error *out, int r, const struct err *err);

/* error_return() with a message of its own. */
int error_set(struct msb_error *out, int r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
