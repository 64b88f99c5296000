/*
 * sandbox.h - a machine shared by its handle and its commands: counted, with
 * a lock, so that handles may be freed in any order and commands be used by
 * different threads.
 */
#ifndef LIB_SANDBOX_H
#define LIB_SANDBOX_H

#include <pthread.h>

#include "lib/home.h"
#include "lib/machine.h"
#include "lib/place.h"
#include "lib/record.h"
#include "microsandbox.h"

struct msb_sandbox {
	pthread_mutex_t lock;
	unsigned refs; /* the handle and each msb_exec */
	struct machine machine;
	int32_t recorded; /* the state that the record knows of */
	char *file_text;  /* strings of msb_file_stat()'s last answer */
	/* the members to here: under the lock */
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

/* Whether @s may name a sandbox, a host or a script. */
bool sandbox_is_name(const char *s, size_t max);

#endif
