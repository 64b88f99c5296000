/*
 * tls.h - one msb-tls: the sandbox's interception, in a process of its own,
 * apart from the one that parses what the guest sends.
 *
 *	msb-vmm's net thread --FLOW, two descriptors--> link.c -> flow.c
 *	    guest's TLS (ca.c) <- flow.c -> server's TLS (upstream.c)
 *	              HTTP: http1.c, http2.c, with subst.c and vault.c
 *	library --values--> setup.c -> vault.c
 *
 * One thread, one loop. The start, in one list: main.c.
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/strv.h"
#include "base/tlslink.h"
#include "tls/ca.h"
#include "tls/gate.h"
#include "tls/upstream.h"
#include "tls/vault.h"

#define TLS_FLOWS_MAX 4096

struct tls_options {
	bool all, block_quic;
	uint16_t ports[TLS_PORTS_MAX];
	unsigned nports;
	struct strv bypass;
};

struct tls_flow;

struct tls {
	struct loop *loop;
	struct link *link; /* to msb-vmm: link.h */
	struct tls_options options;
	struct secrets *secrets; /* now */
	struct ca *ca;
	struct upstreams *upstreams;
	struct sink sink; /* to the link */
	/* flow.c's; all begin as zero. */
	struct tls_flow *flows, *again, *waiting;
	unsigned nflows, nhandshakes;
	struct loop_timer sweep, soon;
	uint64_t handshake_ns; /* 0: FLOW_HANDSHAKE_NS; tests have less */
};

/* ---- flow.c -------------------------------------------------------------- */

/*
 * One intercepted connection; takes both descriptors, also on failure. @f is
 * checked here. 0, or why it was refused: then the guest's stream is closed
 * after ABORT.
 */
int flow_start(struct tls *t, const struct tlslink_flow *f, int guest_fd,
               int server_fd);
void flow_end_all(struct tls *t);

/* ---- link.c -------------------------------------------------------------- */

/* @fd: TLS_FD_LINK. The loop stops when the other side is gone. */
int link_new(struct tls *t, int fd, struct link **ret);
void link_free(struct link *l);

/* CONFIG, from the options and the secrets now. 0, -ENOMEM, -E2BIG, -EPIPE. */
int link_send_config(struct link *l);
void link_send_abort(struct link *l, uint64_t id);
/* As struct sink wants it; events that find no room are counted and told of
   later, a TERMINATE is never lost. */
void link_event(void *arg, const struct tls_event *ev);

/* ---- setup.c ------------------------------------------------------------- */

/* The first request, answered when all is well; waits for it. */
int setup_read(struct tls *t, int fd, struct err *err);
/* The answer when it is not, or the start failed elsewhere. */
void setup_refuse(int fd, const struct err *err);
/* Serve tls.sock. */
int setup_listen(struct tls *t, int fd);

/* ---- cage.c -------------------------------------------------------------- */

/* First in main(): no core, not traced, memory locked and wiped when freed. */
int cage_early(struct err *err);
/* All is open that will ever be: namespaces, an empty root, capabilities,
   system calls. */
int cage_enter(struct err *err);

#endif
