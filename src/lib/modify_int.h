/*
 * modify_int.h - one modification, for modify.c and for what it does about
 * secrets (modify_secret.c).
 */
#ifndef LIB_MODIFY_INT_H
#define LIB_MODIFY_INT_H

#include "lib/home.h"
#include "lib/place.h"
#include "lib/record.h"
#include "lib/tls_launch.h"

struct msb_plan {
	struct msb_change *changes;
	size_t n;
};

/* One modification, from the row to the row. */
struct edit {
	struct msb_home *home;
	struct msb_modify_opts o;
	struct place place;
	int mutex, lock;          /* lock -1: the machine runs */
	bool runs, has_tls;       /* it runs with msb-tls */
	struct tls_update update; /* for that */
	struct state_sandbox row;
	struct sandbox_config was, now;
	struct strv labels;
	struct msb_plan *plan;
};

/* NULL values stand for none. @live: a machine that runs has it, too. */
int modify_plan(struct edit *e, bool live, const char *field,
                const char *before, const char *after);

/* In this order; plan: behind check, which reads the values. */
int modify_apply_secrets(struct edit *e, struct err *err);
int modify_check_secrets(struct edit *e, struct err *err);
int modify_plan_secrets(struct edit *e);

/* To msb-tls, all or nothing, before the record: see modify.c. */
int modify_send_secrets(struct edit *e, struct err *err);

#endif
