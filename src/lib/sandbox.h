/*
 * sandbox.h - a machine shared by its handle, which many threads may use at
 * once, and its commands: counted, with a lock, so that handles may be freed in
 * any order.
 *
 * The lock is held for moments only: who waits lets it go (machine.h), and what
 * goes on record is written without it. Order: recording, lock; the home's lock
 * is not taken with `lock`.
 */
#ifndef LIB_SANDBOX_H
#define LIB_SANDBOX_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/home.h"
#include "lib/machine.h"
#include "lib/place.h"
#include "lib/record.h"
#include "microsandbox.h"

struct msb_sandbox {
	pthread_mutex_t lock;
	unsigned refs; /* the handle and each msb_exec */
	struct machine machine;
	uint64_t asked;             /* numbers of questions */
	pid_t tls_pid;              /* our child msb-tls, which ends with the
	                               machine; 0 */
	struct machine_waiter news; /* behind msb_sandbox_fd() */
	int news_fd;                /* an epoll; -1: nobody asked for it */
	/* the members to here: under the lock */
	pthread_mutex_t recording;
	atomic_bool recorded;  /* that it is ready */
	struct msb_home *home; /* a reference; NULL in unit tests */
	struct place place;
	char name[MSB_NAME_MAX + 1];
	char id[STATE_ID_LEN + 1];
	struct sandbox_config config;
	bool ephemeral;
	bool emulated;   /* KVM was asked for where it is emulated */
	int64_t vmm_pid; /* of a joined one, as the record has it */
	uint64_t create_ns, launched_ns;
};

/* Sizes, hostname and labels of @o: -EINVAL says what cannot be. */
int sandbox_check_values(const struct msb_sandbox_opts *o, struct err *err);

/* One of which nothing is known yet, with one reference; or NULL. */
struct msb_sandbox *sandbox_new(void);
struct msb_sandbox *sandbox_ref(struct msb_sandbox *sb);
void sandbox_unref(struct msb_sandbox *sb);

/* A stream to @port in the guest; a descriptor or a negative errno. */
int sandbox_connect(struct msb_sandbox *sb, uint32_t port);

/*
 * Ask msb-vmm: send @msg, with the descriptor @fd unless it is -1 (stays the
 * caller's), and wait for an answer of @type. What else arrives is handled.
 * -ETIMEDOUT, -ECANCELED, or -LIB_EGONE with the reason. A number in @msg by
 * which the answer is known is given here. Release @ret with
 * machine_answer_release().
 */
int sandbox_ask(struct msb_sandbox *sb, const struct proto_msg *msg, int fd,
                enum proto_type type, int timeout_ms,
                struct machine_answer *ret, struct err *err);

/* At the end, that the machine is ready goes on record. */
void sandbox_lock(struct msb_sandbox *sb);
void sandbox_unlock(struct msb_sandbox *sb);

/* Take what msb-vmm said. */
void sandbox_look(struct msb_sandbox *sb);

/* Why it has ended, under the lock. Negative. */
int sandbox_explain_end(const struct msb_sandbox *sb, struct err *err);

/*
 * A stream from the guest ended early: say why. Waits a moment for msb-vmm to
 * tell. Always negative.
 */
int sandbox_lost(struct msb_sandbox *sb, struct err *err);

/* The same for who must not wait. */
struct sandbox_loss {
	struct machine_waiter news;
	int timer;
	uint64_t end_ns; /* msb-vmm has nothing to tell if not by then */
};
#define SANDBOX_LOSS_INIT                                                      \
	{                                                                      \
		.news = {.fd = -1}, .timer = -1                                \
	}

/*
 * @epfd becomes readable when sandbox_loss_look() may know. A negative errno
 * when it will not; looking is fine all the same.
 */
int sandbox_loss_begin(struct msb_sandbox *sb, struct sandbox_loss *l,
                       int epfd);
/* As sandbox_lost(), but -EAGAIN when nobody knows yet. */
int sandbox_loss_look(struct msb_sandbox *sb, struct sandbox_loss *l,
                      struct err *err);
void sandbox_loss_end(struct msb_sandbox *sb, struct sandbox_loss *l);

/* Whether @s may name a sandbox, a host or a script. */
bool sandbox_is_name(const char *s, size_t max);

#endif
