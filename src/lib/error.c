#include "lib/error.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

static const struct {
	int sys;
	enum msb_code code;
} codes[] = {
	{LIB_EINSTALL,    MSB_ERR_INSTALL    },
	{LIB_EBOOT,       MSB_ERR_BOOT       },
	{LIB_EGONE,       MSB_ERR_GONE       },
	{LIB_EEXEC,       MSB_ERR_EXEC       },
	{EINVAL,          MSB_ERR_INVALID    },
	{ERANGE,          MSB_ERR_INVALID    },
	{E2BIG,           MSB_ERR_INVALID    },
	{ENAMETOOLONG,    MSB_ERR_INVALID    },
	{ENOENT,          MSB_ERR_NOT_FOUND  },
	{ENOTDIR,         MSB_ERR_NOT_FOUND  },
	{ENOTUNIQ,        MSB_ERR_INVALID    },
	{ELOOP,           MSB_ERR_INVALID    },
	{EEXIST,          MSB_ERR_EXISTS     },
	{EBUSY,           MSB_ERR_BUSY       },
	{EADDRINUSE,      MSB_ERR_BUSY       },
	{EADDRNOTAVAIL,   MSB_ERR_INVALID    },
	{EAGAIN,          MSB_ERR_BUSY       },
	{ENOMEM,          MSB_ERR_NO_MEMORY  },
	{ENOSPC,          MSB_ERR_NO_SPACE   },
	{EDQUOT,          MSB_ERR_NO_SPACE   },
	{EACCES,          MSB_ERR_PERMISSION },
	{EPERM,           MSB_ERR_PERMISSION },
	{EROFS,           MSB_ERR_PERMISSION },
	{ENOSYS,          MSB_ERR_UNSUPPORTED},
	{EOPNOTSUPP,      MSB_ERR_UNSUPPORTED},
	{EPROTONOSUPPORT, MSB_ERR_UNSUPPORTED},
	{EUCLEAN,         MSB_ERR_IO         },
	{ESTALE,          MSB_ERR_IO         },
	{ETIMEDOUT,       MSB_ERR_TIMEOUT    },
	{ETIME,           MSB_ERR_TIMEOUT    },
	{ECANCELED,       MSB_ERR_CANCELLED  },
	{EKEYREJECTED,    MSB_ERR_AUTH       },
	{ENOKEY,          MSB_ERR_AUTH       },
	{EBADMSG,         MSB_ERR_DIGEST     },
	{EPROTO,          MSB_ERR_PROTOCOL   },
	{ECONNREFUSED,    MSB_ERR_NETWORK    },
	{ECONNRESET,      MSB_ERR_NETWORK    },
	{ECONNABORTED,    MSB_ERR_NETWORK    },
	{EHOSTUNREACH,    MSB_ERR_NETWORK    },
	{ENETUNREACH,     MSB_ERR_NETWORK    },
	{ENETDOWN,        MSB_ERR_NETWORK    },
	{ENONET,          MSB_ERR_NETWORK    },
	{ENOTCONN,        MSB_ERR_NETWORK    },
	{EREMOTEIO,       MSB_ERR_NETWORK    },
	{ENOTRECOVERABLE, MSB_ERR_INTERNAL   },
};

static const char no_space[] =
	"remove sandboxes with msb rm, images with msb image rm, or set "
	"MSB_HOME to a larger disk";

enum msb_code error_code(int r)
{
	if (r >= 0)
		return MSB_OK;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i].sys == -r)
			return codes[i].code;
	return MSB_ERR_IO;
}

int error_return(struct msb_error *out, int r, const struct err *err)
{
	enum msb_code code = error_code(r);

	if (!out)
		return -(int)code;
	*out = (struct msb_error){.code = (int32_t)code, .sys_errno = -r};
	(void)snprintf(out->message, sizeof(out->message), "%s",
	               err && err->msg[0] ? err->msg
	               : r == -ECANCELED  ? "cancelled"
	                                  : strerror(-r));
	(void)snprintf(out->hint, sizeof(out->hint), "%s",
	               err && err->hint[0]        ? err->hint
	               : code == MSB_ERR_NO_SPACE ? no_space
	                                          : "");
	return -(int)code;
}

int error_set(struct msb_error *out, int r, const char *fmt, ...)
{
	struct err err = {.code = r};
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err.msg, sizeof(err.msg), fmt, ap);
	va_end(ap);
	return error_return(out, r, &err);
}

const char *msb_code_name(int32_t code)
{
	static const char *const names[] = {
		[MSB_OK] = "ok",
		[MSB_ERR_INTERNAL] = "internal",
		[MSB_ERR_INVALID] = "invalid",
		[MSB_ERR_NOT_FOUND] = "not_found",
		[MSB_ERR_EXISTS] = "exists",
		[MSB_ERR_BUSY] = "busy",
		[MSB_ERR_NO_MEMORY] = "no_memory",
		[MSB_ERR_NO_SPACE] = "no_space",
		[MSB_ERR_IO] = "io",
		[MSB_ERR_PERMISSION] = "permission",
		[MSB_ERR_UNSUPPORTED] = "unsupported",
		[MSB_ERR_TIMEOUT] = "timeout",
		[MSB_ERR_CANCELLED] = "cancelled",
		[MSB_ERR_AUTH] = "auth",
		[MSB_ERR_NETWORK] = "network",
		[MSB_ERR_DIGEST] = "digest",
		[MSB_ERR_INSTALL] = "install",
		[MSB_ERR_BOOT] = "boot",
		[MSB_ERR_GONE] = "gone",
		[MSB_ERR_PROTOCOL] = "protocol",
		[MSB_ERR_EXEC] = "exec",
	};

	if (code < 0 || (size_t)code >= ARRAY_SIZE(names))
		return "unknown";
	return names[code];
}

const char *msb_version(void)
{
	return MSB_VERSION;
}
