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

/* FOUNDER */
PENDING(msb_sandbox_start(H, const char *n, const struct msb_start_opts *o,
                          struct msb_sandbox **r, E))
PENDING(msb_sandbox_run_main(S, E))
PENDING(msb_sandbox_open(H, const char *n, struct msb_sandbox **r, E))
PENDING(msb_sandbox_detach(S, E))
PENDING(msb_sandbox_wait(S, int t, E))
PENDING(msb_sandbox_touch(S, E))
PENDING(msb_sandbox_list(H, const char *const *l, struct msb_sandbox_list **r,
                         E))
PENDING(msb_sandbox_remove(H, const char *n, uint32_t f, E))
const char *msb_sandbox_id(const struct msb_sandbox *s)
{
	return "";
}
const char *msb_state_name(int32_t s)
{
	return "";
}
void msb_sandbox_list_free(struct msb_sandbox_list *l)
{
}
size_t msb_sandbox_list_count(const struct msb_sandbox_list *l)
{
	return 0;
}
const struct msb_sandbox_info *
msb_sandbox_list_get(const struct msb_sandbox_list *l, size_t i)
{
	return NULL;
}

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

/* LOGS */
PENDING(msb_logs_open(H, const char *n, const struct msb_log_opts *o,
                      struct msb_logs **r, E))
PENDING(msb_logs_next(struct msb_logs *l, int t, struct msb_log_entry *r, E))
void msb_logs_free(struct msb_logs *l)
{
}
int msb_logs_fd(const struct msb_logs *l)
{
	return -1;
}
int msb_logs_ended(const struct msb_logs *l)
{
	return 1;
}

/* EXEC */
PENDING(msb_exec_detach(struct msb_exec *x, E))
PENDING(msb_exec_attach(S, uint64_t n, struct msb_exec **r, E))
PENDING(msb_exec_run(S, const struct msb_exec_opts *o, const void *i, size_t l,
                     size_t m, int t, struct msb_output **r, E))
void msb_output_free(struct msb_output *o)
{
}
uint64_t msb_exec_session(const struct msb_exec *x)
{
	return 0;
}
int msb_exec_is_tty(const struct msb_exec *x)
{
	return 0;
}

/* STORE */
PENDING(msb_image_users(H, const char *n, char ***r, E))
