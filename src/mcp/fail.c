#include "mcp/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

int tool_fail(struct msb_error *e, enum msb_code code, const char *fmt, ...)
{
	va_list ap;

	*e = (struct msb_error){.code = (int32_t)code};
	va_start(ap, fmt);
	(void)vsnprintf(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
	return -e->code;
}

int tool_hint(struct msb_error *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(e->hint, sizeof(e->hint), fmt, ap);
	va_end(ap);
	return -e->code;
}

int tool_no_memory(struct msb_error *e)
{
	return tool_fail(e, MSB_ERR_NO_MEMORY, "out of memory");
}

int tool_fail_err(struct msb_error *e, const struct err *err)
{
	static const struct {
		int error_no;
		enum msb_code code;
	} codes[] = {
		{EINVAL, MSB_ERR_INVALID   },
                {ENOENT, MSB_ERR_NOT_FOUND },
		{ENOMEM, MSB_ERR_NO_MEMORY },
                {EACCES, MSB_ERR_PERMISSION},
		{EPERM,  MSB_ERR_PERMISSION},
                {EEXIST, MSB_ERR_EXISTS    },
		{E2BIG,  MSB_ERR_INVALID   },
                {ENOSPC, MSB_ERR_NO_SPACE  },
	};
	enum msb_code code = MSB_ERR_IO;

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i].error_no == -err->code)
			code = codes[i].code;
	(void)tool_fail(e, code, "%s", err->msg);
	e->sys_errno = -err->code;
	return tool_hint(e, "%s", err->hint);
}
