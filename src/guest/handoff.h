/*
 * handoff.h - another program as process 1, the agent beside it.
 *
 *	PID 1: machine is set up --fork--> waits --"go"--> execs the init
 *	                            |                ^         |
 *	agent:                      +--> listens ----+    end of file: it runs
 *
 * The init must be process 1, so the process that booted becomes it and its
 * child is the agent from then on. The init is not to start before the agent
 * listens, and the agent does not say READY before the init runs; a socket
 * pair carries both words. When the agent is lost before, PID 1 resets the
 * machine.
 *
 * What protected the agent as process 1 is made up for: it has a cgroup of its
 * own (an init kills by cgroup), a session of its own, all signals blocked,
 * no part in the OOM killer's choice, and the mark by which systemd spares it
 * when it kills what is left at the end. Root can still kill it: the host
 * sees the connection close, and ends the machine.
 *
 * The init also ends the machine. SHUTDOWN asks it: systemd by its signal for
 * power-off, all others by SIGTERM, which ends busybox's and what is written
 * for containers, and after half of the time by SIGPWR, which is sysvinit's.
 * power.h has the last word.
 */
#ifndef GUEST_HANDOFF_H
#define GUEST_HANDOFF_H

#include <stdbool.h>

#include "base/err.h"
#include "base/loop.h"
#include "proto/proto.h"

struct handoff {
	bool active; /* this process is the agent and not PID 1 */
	int fd;      /* to PID 1, until the init runs */
	struct loop_timer timer;
};

#define HANDOFF_INIT                                                           \
	{                                                                      \
		.fd = -1                                                       \
	}

/*
 * The program to become PID 1: @name, which is absolute, or for "auto" the
 * first that can be run of those that distributions have (*ret).
 */
int handoff_find(const char *name, const char **ret, struct err *err);

/*
 * Fork. Returns in the agent only; PID 1 waits in here for handoff_start().
 * @argv[0] is a name for handoff_find(); @defaults (NULL: none) are in the
 * init's environment, unless @env says something else.
 */
int handoff_fork(struct handoff *h, const struct proto_strs *argv,
                 const struct proto_strs *env, char *const *defaults,
                 struct err *err);

/* Make this process fit to live beside an init; @argv0 is its own. */
int handoff_settle(char *argv0, struct err *err);

/* Let PID 1 become the init; 0 when it has. */
int handoff_start(struct handoff *h, struct err *err);

/* Ask the init to power off, within @timeout_ms. Again: with less patience. */
void handoff_stop(struct handoff *h, struct loop *loop, uint32_t timeout_ms);

#endif
