/*
 * progress.h - one pull's events and its cancellation.
 *
 * The caller's function is called by one thread at a time, for a layer at most
 * every 50 ms, and for all together at least every 100 ms while someone polls:
 * that is how a caller cancels a pull that waits. All functions that return an
 * int give -ECANCELED from the first refusal on, and after progress_stop().
 */
#ifndef IMAGE_PROGRESS_H
#define IMAGE_PROGRESS_H

#include <pthread.h>
#include <stdatomic.h>

#include "image/image.h"

#define PROGRESS_POLL_MS 100

struct progress {
	pthread_mutex_t lock;
	image_event_fn fn;
	void *arg;
	const char *ref;
	uint32_t nlayers;
	struct progress_layer {
		char digest[DIGEST_TEXT_LEN + 1];
		uint64_t last_ns, done, total;
		bool finished;
	} * layers;
	bool merging;
	uint64_t last_ns;
	atomic_bool stopped;
};

void progress_init(struct progress *p, const struct image_pull_opts *opts,
                   const char *ref);
void progress_release(struct progress *p);

/* Tell how many layers there are; @digests and @sizes are copied. */
int progress_layers(struct progress *p, uint32_t n, struct err *err);
void progress_layer_is(struct progress *p, uint32_t layer,
                       const struct digest *d, uint64_t total);

/* RESOLVING, RESOLVED, MERGING, DONE. */
int progress_state(struct progress *p, enum image_event_kind kind);
int progress_bytes(struct progress *p, uint32_t layer, uint64_t done);
int progress_layer_done(struct progress *p, uint32_t layer, bool cached);

/* Call it in every wait: repeats where the pull is. */
int progress_poll(struct progress *p);

/* Make all other threads of this pull give up. */
void progress_stop(struct progress *p);

/* Sleep, polling; 0 or -ECANCELED. */
int progress_sleep(struct progress *p, uint64_t ms);

#endif
