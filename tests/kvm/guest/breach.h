/* breach.h - the ways to break a ring: what hostile.c tries on every queue. */
#ifndef GUEST_BREACH_H
#define GUEST_BREACH_H

#include "virtio.h"

/* What a device may do with it. */
enum verdict {
	BREACH,  /* must stop: NEEDS_RESET */
	SHRUG,   /* must go on */
	ANYTHING /* but be of use afterwards */
};

struct breach {
	const char *name;
	void (*run)(void);
	enum verdict verdict;
};

extern const struct breach breaches[];
extern const uint32_t nbreaches;

/* The victim; @k is its queue @q, empty. */
extern struct virtio *v;
extern struct queue *k;
extern uint32_t q;
extern uint8_t *page;

#endif
