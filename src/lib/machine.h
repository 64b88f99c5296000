/*
 * machine.h - the library's side of one msb-vmm: its control socket and its
 * process.
 *
 *	STARTING --VMM_READY--> READY --VMM_EXITED--> STOPPED or CRASHED
 *	    `------VMM_FAILED--> FAILED
 *
 * A control socket that ends without either message means that msb-vmm died:
 * FAILED or CRASHED with a message that says how. What msb-vmm sends is
 * checked as if it came from the guest: a guest may have taken it over.
 *
 * Many threads may share one: then it has a lock, with which all of these are
 * called, and which those that wait let go meanwhile. Each takes what arrives
 * for whom it may concern: an answer goes to who asked, and a new state wakes
 * all who wait.
 */
#ifndef LIB_MACHINE_H
#define LIB_MACHINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/strv.h"
#include "microsandbox.h"
#include "proto/proto.h"

struct machine_waiter;

struct machine {
	pthread_mutex_t *lock; /* NULL: it is one thread's */
	struct machine_waiter *waiters;
	uint64_t takes, taken; /* questions of TAKE, and answers to them */
	pid_t pid;             /* 0: reaped */
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

/* An end for @reason was asked for, or is as good: STOPPED, else CRASHED. */
bool machine_is_clean_end(const char *reason);

/*
 * Wait until it has; @timeout_ms -1: as long as it takes. -ETIMEDOUT, or
 * -ECANCELED.
 */
int machine_wait_end(struct machine *m, int64_t timeout_ms);
/* The same, until it is ready or has ended. */
int machine_wait_ready(struct machine *m, int64_t timeout_ms);

/*
 * A place in the list of who waits. @fd becomes readable with each new state:
 * an eventfd of the owner's, or -1.
 */
struct machine_waiter {
	struct machine_waiter *next;
	int fd;
	/* Of a question: */
	enum proto_type type;
	uint64_t number;
	struct machine_answer *answer; /* NULL: none */
	bool found;
};

void machine_waiter_add(struct machine *m, struct machine_waiter *w);
void machine_waiter_del(struct machine *m, struct machine_waiter *w);

/*
 * Send a message, with @fd unless it is -1 (stays the caller's). Waits for
 * room, a moment: -EAGAIN.
 */
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

/*
 * See sandbox_ask(), for which this is. -ECANCELED: it may have been asked, and
 * done, all the same.
 */
int machine_ask(struct machine *m, const struct proto_msg *msg, int fd,
                enum proto_type type, int timeout_ms,
                struct machine_answer *ret);

/*
 * VMM_STOP, wait, then kill; a child is reaped afterwards. -ECANCELED: it goes
 * on with that by itself.
 */
int machine_stop(struct machine *m, uint32_t timeout_ms);

/*
 * End it now: msb-vmm kills QEMU and exits when its control socket closes, and
 * gets SIGKILL (QEMU dies with it) when that takes too long. Reaps it.
 * -ECANCELED: it ends, but was not waited for.
 */
int machine_kill(struct machine *m);

/*
 * Wait for the end of the process of @pidfd, anybody's: 0, -ETIMEDOUT or
 * -ECANCELED. A signal to the caller's program is no reason to hurry.
 */
int machine_await_process(int pidfd, uint32_t timeout_ms);

/* The reason as an error: -LIB_EBOOT or -LIB_EGONE, after the end only. */
int machine_end_error(const struct machine *m, struct err *err);

/* Kills what has not only joined. No other thread has it any more. */
void machine_release(struct machine *m);

#endif
