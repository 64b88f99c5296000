/*
 * sandbox.h - a machine shared by its handle and its commands: counted, with
 * a lock, so that handles may be freed in any order and commands be used by
 * different threads.
 */
#ifndef LIB_SANDBOX_H
#define LIB_SANDBOX_H

#include <pthread.h>

#include "image/image.h"
#include "lib/machine.h"
#include "lib/running.h"
#include "microsandbox.h"

struct msb_sandbox {
	pthread_mutex_t lock;
	unsigned refs; /* the handle and each msb_exec */
	struct machine machine;
	struct running running;
	int32_t recorded; /* the state that `running` says; -1: none yet */
	/* the members to here: under the lock */
	char name[MSB_NAME_MAX + 1];
	char *image; /* its reference */
	uint32_t cpus;
	uint64_t memory_bytes;
	int64_t started_unix;
	bool emulated; /* KVM was asked for where it is emulated */
	struct image_config config;
	uint64_t create_ns, launched_ns;
};

struct msb_sandbox *sandbox_ref(struct msb_sandbox *sb);
void sandbox_unref(struct msb_sandbox *sb);

/* A stream to @port in the guest; a descriptor or a negative errno. */
int sandbox_connect(struct msb_sandbox *sb, uint32_t port);

/*
 * Ask msb-vmm: send @msg, with the descriptor @fd unless it is -1 (stays the
 * caller's), and wait for an answer of @type. What else arrives is handled.
 * -ETIMEDOUT, or -LIB_EGONE with the reason. Release @ret with
 * machine_answer_release().
 */
int sandbox_ask(struct msb_sandbox *sb, const struct proto_msg *msg, int fd,
                enum proto_type type, int timeout_ms,
                struct machine_answer *ret, struct err *err);

/*
 * A stream from the guest ended early: say why. Waits a moment for msb-vmm to
 * tell. Always negative.
 */
int sandbox_lost(struct msb_sandbox *sb, struct err *err);

#endif
