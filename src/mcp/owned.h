/*
 * owned.h - the sandboxes that this server made or started: those that are
 * attached to it end when it lets go of them. Any thread.
 */
#ifndef MCP_OWNED_H
#define MCP_OWNED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "microsandbox.h"

struct owned_one;

struct owned {
	pthread_mutex_t lock;
	struct owned_one *first;
	uint32_t coming; /* places that are kept for those being made */
	uint32_t max;
};

void owned_init(struct owned *o, uint32_t max);
/* Ends those that are attached. */
void owned_release(struct owned *o);

/* Keep a place for one more: MSB_ERR_BUSY. Then owned_put() or owned_give(). */
int owned_reserve(struct owned *o, struct msb_error *error);
void owned_give(struct owned *o);
/* Takes @sandbox, in the place that was kept. MSB_ERR_NO_MEMORY frees it. */
int owned_put(struct owned *o, struct msb_sandbox *sandbox,
              struct msb_error *error);

/* Let go of one, by name or id: it ends if it is attached. */
void owned_drop(struct owned *o, const char *name);
/* Let go of those that have ended. */
void owned_reap(struct owned *o);
uint32_t owned_count(struct owned *o);

#endif
