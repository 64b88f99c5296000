/*
 * tlslink.h - what msb-vmm's network thread and msb-tls say to each other: a
 * SOCK_SEQPACKET pair, one message a packet, both on this host and of one
 * build.
 *
 *	CONFIG	tls -> net  JSON: what to hand over, what to look for. First of
 *			    all, and again after each change.
 *	FLOW	net -> tls  with two descriptors: the guest's stream (an end of
 *			    a socket pair) and the server's socket, connected.
 *	ABORT	tls -> net  the flow's guest gets a RST, then its stream ends.
 *	EVENT	tls -> net  a line for the log, a count, the machine's end.
 *
 * Who parses the guest's frames is not believed: msb-tls checks FLOW as if the
 * guest had sent it, and puts a value only where the server's certificate was
 * verified for a name that is allowed. The guest's bytes that were looked at
 * before are still in the stream. Either side ends a flow by closing its end; a
 * link that ends closes them all: who is left refuses what would need it.
 *
 * CONFIG, all keys always there; names as policy_name() has them, patterns are
 * NAME, *.NAME (NAME and all below) or * :
 *	{"ports": [443], "block_quic": true,
 *	 "intercept": ["*"],             names that are handed over,
 *	 "bypass": ["*.bank.example"],   but for these
 *	 "placeholders": [{"name": "KEY", "text": "MSB_...", "violation":
 *	                   "block-and-log"}]}
 */
#ifndef BASE_TLSLINK_H
#define BASE_TLSLINK_H

#include <stdint.h>

#define TLSLINK_NAME_MAX   253
#define TLSLINK_TEXT_MAX   1000
#define TLSLINK_CONFIG_MAX (128u << 10) /* bytes of JSON */
#define TLSLINK_PACKET_MAX (TLSLINK_CONFIG_MAX + 64)

enum tlslink_type {
	TLSLINK_CONFIG = 1,
	TLSLINK_FLOW,
	TLSLINK_ABORT,
	TLSLINK_EVENT,
};

enum tlslink_kind {
	TLSLINK_TLS = 1, /* a ClientHello comes */
	TLSLINK_CONNECT, /* an HTTP/1 CONNECT to a proxy comes, then that */
};

struct tlslink_flow {
	uint32_t type; /* TLSLINK_FLOW */
	uint8_t kind;
	/* The peer's address was given to the guest for `name`, by our name
	   server; CONNECT: it is the authority's, which the proxy looks up. */
	uint8_t pinned;
	uint16_t port; /* that the guest connected to; CONNECT: authority's */
	uint64_t id;   /* never 0, never used again */
	uint8_t peer[16];
	char name[TLSLINK_NAME_MAX + 3]; /* SNI or authority; "": an address */
};

struct tlslink_abort {
	uint32_t type;
	uint32_t zero;
	uint64_t id;
};

enum tlslink_what {
	TLSLINK_NOTE = 1,  /* a line that people want to know */
	TLSLINK_USED,      /* values were put in, `count` of them; no text */
	TLSLINK_VIOLATION, /* a placeholder went where it must not */
	TLSLINK_REFUSED,   /* a flow could not be intercepted; text says why */
	TLSLINK_MASKED,    /* values in answers became placeholders; no text */
};

#define TLSLINK_TERMINATE 1u /* the machine is to end; text is the reason */

struct tlslink_event {
	uint32_t type;
	uint8_t what, flags;
	uint16_t zero;
	uint32_t count;
	char text[TLSLINK_TEXT_MAX + 4]; /* one line of printable ASCII, NUL;
	                                    never a value */
};

/* The head of CONFIG; JSON follows, without a NUL. */
struct tlslink_config {
	uint32_t type;
};

#endif
