#include "image/meter.h"

#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "base/num.h"

#include "base/banned.h"

#define LAYER_GAP_NS (50 * NS_PER_MS)

void meter_init(struct meter *p, const struct image_pull_opts *opts,
                const char *ref)
{
	*p = (struct meter){
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.fn = opts->event,
		.arg = opts->event_arg,
		.ref = ref,
		.cancel = cancel_now(),
	};
}

void meter_release(struct meter *p)
{
	free(p->layers);
	p->layers = NULL;
}

int meter_layers(struct meter *p, uint32_t n, struct err *err)
{
	free(p->layers);
	p->nlayers = n;
	p->layers = calloc(n + 1u, sizeof(*p->layers));
	return p->layers ? 0 : err_set(err, -ENOMEM, "out of memory");
}

void meter_layer_is(struct meter *p, uint32_t layer, const struct digest *d,
                    uint64_t total)
{
	(void)digest_text(d, p->layers[layer].digest);
	p->layers[layer].total = total;
}

bool meter_is_stopped(const struct meter *p)
{
	return atomic_load(&p->stopped) || cancel_is_fired(p->cancel);
}

static int result(const struct meter *p)
{
	return meter_is_stopped(p) ? -ECANCELED : 0;
}

/* With the lock held. */
static int emit(struct meter *p, const struct image_event *ev)
{
	if (result(p) < 0)
		return -ECANCELED;
	p->last_ns = clock_now_ns();
	if (p->fn && p->fn(p->arg, ev) != 0)
		atomic_store(&p->stopped, true);
	return result(p);
}

static struct image_event layer_event(const struct meter *p, uint32_t i,
                                      enum image_event_kind kind)
{
	return (struct image_event){
		.kind = kind,
		.ref = p->ref,
		.digest = p->layers[i].digest,
		.layer = i,
		.nlayers = p->nlayers,
		.done = p->layers[i].done,
		.total = p->layers[i].total,
	};
}

int meter_state(struct meter *p, enum image_event_kind kind)
{
	struct image_event ev = {.kind = kind, .ref = p->ref};
	int r;

	ev.nlayers = p->nlayers;
	for (uint32_t i = 0; i < p->nlayers; i++)
		ev.total += p->layers[i].total;
	(void)pthread_mutex_lock(&p->lock);
	p->merging = kind == IMAGE_EV_MERGING;
	r = emit(p, &ev);
	(void)pthread_mutex_unlock(&p->lock);
	return r;
}

int meter_bytes(struct meter *p, uint32_t layer, uint64_t done)
{
	struct meter_layer *l = &p->layers[layer];
	uint64_t now = clock_now_ns();
	int r = result(p);

	(void)pthread_mutex_lock(&p->lock);
	l->done = done;
	if (r == 0 && now - l->last_ns >= LAYER_GAP_NS) {
		struct image_event ev = layer_event(p, layer, IMAGE_EV_LAYER);

		l->last_ns = now;
		r = emit(p, &ev);
	}
	(void)pthread_mutex_unlock(&p->lock);
	return r;
}

int meter_layer_done(struct meter *p, uint32_t layer, bool cached)
{
	struct image_event ev;
	int r;

	(void)pthread_mutex_lock(&p->lock);
	p->layers[layer].done = p->layers[layer].total;
	p->layers[layer].finished = true;
	ev = layer_event(p, layer, IMAGE_EV_LAYER_DONE);
	ev.cached = cached;
	r = emit(p, &ev);
	(void)pthread_mutex_unlock(&p->lock);
	return r;
}

/* A layer that is under way, so that no finished one seems to start again. */
static struct image_event current(const struct meter *p)
{
	for (uint32_t i = 0; i < p->nlayers && !p->merging; i++)
		if (!p->layers[i].finished)
			return layer_event(p, i, IMAGE_EV_LAYER);
	return (struct image_event){
		.kind = p->nlayers ? IMAGE_EV_MERGING : IMAGE_EV_RESOLVING,
		.ref = p->ref,
		.nlayers = p->nlayers,
	};
}

int meter_poll(struct meter *p)
{
	int r = result(p);

	(void)pthread_mutex_lock(&p->lock);
	if (r == 0 &&
	    clock_now_ns() - p->last_ns >= METER_POLL_MS * NS_PER_MS) {
		struct image_event ev = current(p);

		r = emit(p, &ev);
	}
	(void)pthread_mutex_unlock(&p->lock);
	return r;
}

void meter_stop(struct meter *p)
{
	atomic_store(&p->stopped, true);
}

int meter_sleep(struct meter *p, uint64_t ms)
{
	uint64_t end = clock_now_ns() + ms * NS_PER_MS;
	int r = meter_poll(p);

	while (r == 0) {
		uint64_t now = clock_now_ns();

		if (now >= end)
			return 0;
		(void)cancel_poll(
			NULL, 0,
			(int)MIN((end - now) / NS_PER_MS + 1, METER_POLL_MS));
		r = meter_poll(p);
	}
	return r;
}
