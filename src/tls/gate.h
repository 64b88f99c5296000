/*
 * gate.h - what is known of an intercepted flow, the same for all its requests,
 * and where events go to. All that decides whether a value may be put in is
 * here or in the request itself.
 */
#ifndef TLS_GATE_H
#define TLS_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tlslink.h"

#define GATE_TOLD 10

struct gate {
	/* SNI or CONNECT's authority, as policy_name() has it; "": none, the
	   guest spoke to an address. */
	char name[TLSLINK_NAME_MAX + 1];
	uint16_t port;
	bool tls;      /* the guest's side is encrypted */
	bool pinned;   /* the address is the name's, as our name server said */
	bool verified; /* the server's certificate is the name's */
	/* GATE_TOLD words, zeroed, of the flow: what people were told once and
	   need not be told again (subst.c's). NULL: nobody remembers. */
	uint64_t *told;
};

/*
 * A value may be put in, as far as the flow goes; the secret's hosts and the
 * request's authority come on top.
 */
static inline bool gate_open(const struct gate *g)
{
	return g->tls && g->pinned && g->verified && g->name[0];
}

struct tls_event {
	enum tlslink_what what;
	bool terminate;
	uint32_t count;
	const char *text; /* printable ASCII, no value; NULL */
};

/* Takes events; @ev is copied before it returns. Never fails. */
struct sink {
	void (*event)(void *arg, const struct tls_event *ev);
	void *arg;
};

/* A line, by printf; bytes of the guest are made harmless in it. */
void sink_say(const struct sink *s, enum tlslink_what what, bool terminate,
              const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void sink_count(const struct sink *s, enum tlslink_what what, uint32_t count);

#endif
