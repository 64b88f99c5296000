/*
 * meter.h - one pull's events and its cancellation.
 *
 * The caller's function is called by one thread at a time, for a layer at most
 * every 50 ms, and for all together at least every 100 ms while someone polls:
 * that is how a caller cancels a pull that waits. All functions that return an
 * int give -ECANCELED from the first refusal on, after meter_stop(), and when
 * the token of the thread that called meter_init() is fired.
 */
#ifndef IMAGE_METER_H
#define IMAGE_METER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/cancel.h"
#include "image/image.h"

#define METER_POLL_MS 100

struct meter {
	pthread_mutex_t lock;
	image_event_fn fn;
	void *arg;
	const char *ref;
	uint32_t nlayers;
	struct meter_layer {
		char digest[DIGEST_TEXT_LEN + 1];
		uint64_t last_ns, done, total;
		bool finished;
	} * layers;
	bool merging;
	uint64_t last_ns;
	atomic_bool stopped;
	struct cancel *cancel; /* of who began it; its threads use it, too */
};

void meter_init(struct meter *p, const struct image_pull_opts *opts,
                const char *ref);
void meter_release(struct meter *p);

/* Tell how many layers there are; @digests and @sizes are copied. */
int meter_layers(struct meter *p, uint32_t n, struct err *err);
void meter_layer_is(struct meter *p, uint32_t layer, const struct digest *d,
                    uint64_t total);

/* RESOLVING, RESOLVED, MERGING, DONE. */
int meter_state(struct meter *p, enum image_event_kind kind);
int meter_bytes(struct meter *p, uint32_t layer, uint64_t done);
int meter_layer_done(struct meter *p, uint32_t layer, bool cached);

/* Call it in every wait: repeats where the pull is. */
int meter_poll(struct meter *p);

bool meter_is_stopped(const struct meter *p);

/* Make all other threads of this pull give up. */
void meter_stop(struct meter *p);

/* Sleep, polling; 0 or -ECANCELED. */
int meter_sleep(struct meter *p, uint64_t ms);

#endif
