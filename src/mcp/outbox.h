/*
 * outbox.h - messages on their way out: any thread puts them, one thread
 * writes them, whole and in order.
 *
 * Bounded: who puts waits while more than OUTBOX_MAX bytes do. A reader that
 * is too slow thus slows down who works for it, and nothing grows. But the end
 * does not wait for one who reads nothing: see OUTBOX_STILL_MS.
 */
#ifndef MCP_OUTBOX_H
#define MCP_OUTBOX_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTBOX_MAX (8u << 20)

/* When no requests come any more, and nothing was read for so long. */
#define OUTBOX_STILL_MS 1000

struct outbox_line;

struct outbox {
	int fd, wake, broken_fd; /* broken_fd: readable when fd is gone */
	pthread_mutex_t lock;
	pthread_cond_t room, empty;
	pthread_t thread;
	bool running, ending, broken, writing;
	struct outbox_line *first, *last;
	size_t bytes;
	atomic_size_t written;
	/* Of those who wait for room: */
	int in, signals;
	bool no_input;
	bool full; /* nobody waits any more: what does not fit is dropped */
	size_t seen;
	uint64_t seen_ns; /* 0: not yet */
};

/*
 * @broken_fd is an eventfd of the caller's. @in is where requests come from,
 * @signals is readable when all is to end. 0 or a negative errno.
 */
int outbox_start(struct outbox *o, int fd, int broken_fd, int in, int signals);

/* No more requests come. */
void outbox_no_input(struct outbox *o);

/*
 * Queue @message as a line; steals it. Waits for room unless @optional, which
 * is then dropped. False: it will not be written.
 */
bool outbox_put(struct outbox *o, json_t *message, bool optional);

/*
 * End: what is queued is written for at most @ms, then dropped. Who waits for
 * room goes on.
 */
void outbox_stop(struct outbox *o, unsigned ms);

#endif
