/* Functions of the public header that are still being written. */
#include "lib/error.h"

#include "base/banned.h"

#define PENDING(proto)                                                         \
	int proto                                                              \
	{                                                                      \
		return error_set(error, -EOPNOTSUPP, "not there yet");         \
	}
#define E struct msb_error *error
#define S struct msb_sandbox *s
#define H struct msb_home *h

#pragma GCC diagnostic ignored "-Wunused-parameter"

/* METRICS */
PENDING(msb_sandbox_ping(S, int t, uint64_t *r, E))
PENDING(msb_sandbox_metrics(S, struct msb_metrics *r, E))
