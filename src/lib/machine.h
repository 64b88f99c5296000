/*
 * machine.h - the library's side of one msb-vmm: its control socket and its
 * process.
 *
 *	STARTING --VMM_READY--> READY --VMM_EXITED--> STOPPED
 *	    `------VMM_FAILED--> FAILED
 *
 * A control socket that ends without either message means that msb-vmm died:
 * FAILED or STOPPED with a message that says how. What msb-vmm sends is
 * checked as if it came from the guest: a guest may have taken it over.
 *
 * Not thread-safe: struct msb_sandbox holds a lock around it.
 */
#ifndef LIB_MACHINE_H
#define LIB_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/strv.h"
#include "microsandbox.h"
#include "proto/proto.h"

struct machine {
	pid_t pid;    /* 0: reaped */
	int control;  /* open until machine_release(), so that it can be polled
	               */
	bool hung_up; /* nothing more comes from it */
	enum msb_state state;
	struct err end; /* why it ended; code 0: it was asked to */
	char *console;  /* or NULL */
	char engine[32], accel[32];
	struct strv walls; /* of the jail; empty until it is ready */
	uint64_t spawn_ns, init_ns, ready_ns;
	int wait_status;
	bool stop_asked;
	bool joined; /* it is not our child, or not to die with us any more */
	int32_t exit_code;   /* of its main command; -1: none */
	char end_reason[32]; /* as in VMM_EXITED; "" */
};

#define MACHINE_INIT                                                           \
	{                                                                      \
		.control = -1, .exit_code = -1                                 \
	}

/* Handle the messages that are there. Never blocks. */
void machine_process(struct machine *m);

bool machine_has_ended(const struct machine *m);

/* Wait until it has; -ETIMEDOUT. */
int machine_wait_end(struct machine *m, uint32_t timeout_ms);

/* Send a message, with @fd unless it is -1 (stays the caller's). */
int machine_tell(struct machine *m, const struct proto_msg *msg, int fd);

/* Ask for a connection to @port in the guest; @sock becomes its host end. */
int machine_connect(struct machine *m, int sock, uint32_t port);

/* What msb-vmm answered to a question. */
struct machine_answer {
	struct proto_msg msg; /* points into `packet` */
	uint8_t *packet;
	int fd; /* -1: none */
};

void machine_answer_release(struct machine_answer *a);

/* See sandbox_ask(), for which this is. */
int machine_ask(struct machine *m, const struct proto_msg *msg, int fd,
                enum proto_type type, int timeout_ms,
                struct machine_answer *ret);

/* VMM_STOP, wait, then kill; a child is reaped afterwards. */
void machine_stop(struct machine *m, uint32_t timeout_ms);

/*
 * End it now: msb-vmm kills QEMU and exits when its control socket closes, and
 * gets SIGKILL (QEMU dies with it) when that takes too long. Reaps it.
 */
void machine_kill(struct machine *m);

/*
 * Whether the process of @pidfd, anybody's, has ended, in time. A signal to
 * the caller's program is no reason to hurry.
 */
bool machine_await_process(int pidfd, uint32_t timeout_ms);

/* The reason as an error: -LIB_EBOOT or -LIB_EGONE, after the end only. */
int machine_end_error(const struct machine *m, struct err *err);

void machine_release(struct machine *m); /* kills what has not only joined */

#endif
