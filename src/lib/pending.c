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

/* LIFE */
PENDING(msb_sandbox_modify(H, const char *n, const struct msb_modify_opts *o,
                           struct msb_plan **r, E))
void msb_plan_free(struct msb_plan *p)
{
}
size_t msb_plan_count(const struct msb_plan *p)
{
	return 0;
}
const struct msb_change *msb_plan_get(const struct msb_plan *p, size_t i)
{
	return NULL;
}
