/*
 * ping.h - whose PING the agent's PONG answers.
 *
 * Each question gets a number of our own, so that clients cannot answer each
 * other's and an answer to nobody is known as such. At most PINGS_MAX wait: an
 * agent that does not answer hears no more of them.
 */
#ifndef VMM_PING_H
#define VMM_PING_H

#include <stdbool.h>
#include <stdint.h>

#define PINGS_MAX 32

struct client;

struct pings {
	struct {
		uint64_t number;     /* 0: a free place */
		struct client *from; /* NULL: it is gone */
		uint64_t cookie;
	} list[PINGS_MAX];
	uint64_t last;
};

/* The number to ask by; 0 when too many wait. */
uint64_t pings_add(struct pings *p, struct client *from, uint64_t cookie);

/* It was answered. False if nobody asked, or who did is gone. */
bool pings_take(struct pings *p, uint64_t number, struct client **ret_from,
                uint64_t *ret_cookie);

void pings_forget(struct pings *p, const struct client *from);

#endif
