/*
 * tls_launch.h - start msb-tls before the machine that needs it, and talk to it
 * later.
 *
 *	tls_launch_open()   all that can fail without having changed anything:
 *	                    files and values are read
 *	tls_launch_listen() its socket in the sandbox's folder, or none: before
 *	                    agent.sock is there, so that who joins the machine
 *	                    finds out what it has (place_has_tls())
 *	tls_launch_start()  its process; what the machine gets of it goes into
 *	                    struct net_launch: one end of its link, and its CA
 *
 * msb-tls ends by itself when the other end of its link does, which msb-vmm
 * has: nobody need stop it. Who started it waits for it (tls_launch_reap()).
 */
#ifndef LIB_TLS_LAUNCH_H
#define LIB_TLS_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "lib/net_launch.h"
#include "lib/record.h"
#include "lib/runtime.h"
#include "lib/tls_request.h"

struct place;

struct tls_launch {
	json_t *request; /* NULL: nothing is intercepted */
	struct tls_values values;
	char *program;
	int listen_fd; /* -1: none */
	pid_t pid;     /* 0: none, or handed over */
};

#define TLS_LAUNCH_INIT                                                        \
	{                                                                      \
		.listen_fd = -1                                                \
	}

/* Wipes values, ends a process that was not handed over. */
void tls_launch_release(struct tls_launch *t);
#define cleanup_tls_launch cleanup(tls_launch_release)

/*
 * @given: values that the caller has, see msb_start_opts. Nothing to do where
 * nothing is to be intercepted. -LIB_EINSTALL, -EINVAL (a value is missing).
 */
int tls_launch_open(struct tls_launch *t, const struct runtime *rt,
                    const struct sandbox_config *c,
                    const struct msb_secret *const *given, struct err *err);

int tls_launch_listen(struct tls_launch *t, const struct place *p,
                      struct err *err);

/* Where it logs: @log_fd (-1: nowhere), @log_level (NULL: its default). */
int tls_launch_start(struct tls_launch *t, const char *name, int log_fd,
                     const char *log_level, struct net_launch *net,
                     struct err *err);

/*
 * Wait for a process that ends now; kill it when it does not. *@pid is 0 then,
 * but not after a cancel.
 */
void tls_launch_reap(pid_t *pid);

/*
 * Change the secrets of a machine that runs: all or nothing. @set have values
 * in the order of @values, or none where @has_value is false.
 */
struct tls_update {
	struct {
		const struct msb_secret *secret;
		bool has_value;
	} set[TLS_SECRETS_MAX];
	size_t nset;
	const char *remove[TLS_SECRETS_MAX];
	size_t nremove;
	struct tls_values values;
};
int tls_launch_update(const struct place *p, const struct msb_tls *tls,
                      const struct tls_update *u, struct err *err);

#endif
