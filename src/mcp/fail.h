/* fail.h - a tool's failure in the library's form: code, message, next step. */
#ifndef MCP_FAIL_H
#define MCP_FAIL_H

#include "base/err.h"
#include "microsandbox.h"

/* Fill @e and return -@code. */
int tool_fail(struct msb_error *e, enum msb_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Add the next step; returns -@e->code. */
int tool_hint(struct msb_error *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int tool_no_memory(struct msb_error *e);
/* Of a struct err with a negative errno. */
int tool_fail_err(struct msb_error *e, const struct err *err);

#endif
