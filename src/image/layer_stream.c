#include "image/layer_stream.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/cancel.h"
#include "base/num.h"
#include "image/inflate.h"

#include "base/banned.h"

#define SLOTS       8
#define SLOT_BYTES  MIB
#define RATIO_ABOVE GIB /* smaller layers may be as empty as they like */

enum reader { HASH, CALLER, READERS };

/*
 * Counters only grow; slot n is at n % SLOTS. filled - min(left) <= SLOTS.
 * The lock covers the counters, end and failed; a slot's bytes belong to the
 * inflate thread before `filled` passes it and to the readers after.
 */
struct layer_stream {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t filled, left[READERS];
	bool end, cancel;
	struct err failed; /* code 0: no failure */

	struct inflate *z;
	struct layer_limits lim;
	uint64_t total;
	bool holding; /* the caller has a slot */
	struct digest_ctx hash;
	bool has_hash;
	struct cancel *token; /* of the caller: the source may wait */
	pthread_t threads[READERS];
	unsigned nthreads;
	size_t len[SLOTS];
	uint8_t *data; /* SLOTS * SLOT_BYTES */
};

static uint8_t *slot(struct layer_stream *s, uint64_t n)
{
	return s->data + n % SLOTS * SLOT_BYTES;
}

static bool has_room(const struct layer_stream *s)
{
	return s->filled - MIN(s->left[HASH], s->left[CALLER]) < SLOTS;
}

static int too_big(const struct layer_stream *s, struct err *err)
{
	uint64_t in = inflate_taken(s->z);
	char text[32];

	if (s->total > s->lim.tar_bytes)
		return err_set(
			err, -EFBIG, "layer is over the limit of %s",
			num_format_size(s->lim.tar_bytes, text, sizeof(text)));
	if (s->total > RATIO_ABOVE && s->total / s->lim.ratio > in)
		return err_set(err, -EFBIG,
		               "layer expands more than %llu times: refused as "
		               "a decompression bomb",
		               (unsigned long long)s->lim.ratio);
	return 0;
}

/* The next slot's content: 1, 0 at the end, or a negative errno. */
static int fill_slot(struct layer_stream *s, uint64_t n, struct err *err)
{
	int r = cancel_check(err);
	ssize_t got =
		r < 0 ? r : inflate_read(s->z, slot(s, n), SLOT_BYTES, err);

	if (got <= 0)
		return (int)got;
	s->len[n % SLOTS] = (size_t)got;
	s->total += (uint64_t)got;
	r = too_big(s, err);
	return r < 0 ? r : 1;
}

static void *inflate_main(void *arg)
{
	struct layer_stream *s = arg;
	struct err err = {0};
	int r = 1;

	(void)cancel_use(s->token);
	(void)pthread_mutex_lock(&s->lock);
	while (r > 0 && !s->cancel) {
		if (!has_room(s)) {
			(void)pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		(void)pthread_mutex_unlock(&s->lock);
		r = fill_slot(s, s->filled, &err); /* only we change filled */
		(void)pthread_mutex_lock(&s->lock);
		if (r > 0)
			s->filled++;
		(void)pthread_cond_broadcast(&s->changed);
	}
	s->end = true;
	if (r < 0) {
		s->failed = err;
		s->failed.code = r;
	}
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* Wait for @who's next slot: true, or false at the end. Lock held. */
static bool wait_slot(struct layer_stream *s, enum reader who)
{
	while (s->left[who] == s->filled && !s->end && !s->cancel)
		(void)pthread_cond_wait(&s->changed, &s->lock);
	return s->left[who] < s->filled && !s->cancel;
}

static void leave_slot(struct layer_stream *s, enum reader who)
{
	s->left[who]++;
	(void)pthread_cond_broadcast(&s->changed);
}

static void *hash_main(void *arg)
{
	struct layer_stream *s = arg;

	(void)pthread_mutex_lock(&s->lock);
	while (wait_slot(s, HASH)) {
		uint64_t n = s->left[HASH];

		(void)pthread_mutex_unlock(&s->lock);
		digest_add(&s->hash, slot(s, n), s->len[n % SLOTS]);
		(void)pthread_mutex_lock(&s->lock);
		leave_slot(s, HASH);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

static int start_threads(struct layer_stream *s)
{
	void *(*const mains[])(void *) = {inflate_main, hash_main};

	for (size_t i = 0; i < ARRAY_SIZE(mains); i++) {
		int r = pthread_create(&s->threads[i], NULL, mains[i], s);

		if (r)
			return -r;
		s->nthreads++;
	}
	return 0;
}

int layer_stream_new(const struct layer_source *src,
                     const struct layer_limits *lim, struct layer_stream **ret,
                     struct err *err)
{
	struct layer_stream *s cleanup_layer_stream = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(err, -ENOMEM, "out of memory");
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->changed, NULL);
	s->lim = *lim;
	s->token = cancel_now();
	s->z = inflate_new(src);
	s->data = malloc(SLOTS * SLOT_BYTES);
	r = s->z && s->data ? digest_init(&s->hash) : -ENOMEM;
	s->has_hash = r == 0;
	if (r == 0)
		r = start_threads(s);
	if (r < 0)
		return err_set(err, r, "cannot start reading a layer: %s",
		               strerror(-r));
	*ret = take_ptr(s);
	return 0;
}

static void join(struct layer_stream *s)
{
	for (; s->nthreads; s->nthreads--)
		(void)pthread_join(s->threads[s->nthreads - 1], NULL);
}

void layer_stream_free(struct layer_stream *s)
{
	if (!s)
		return;
	(void)pthread_mutex_lock(&s->lock);
	s->cancel = true;
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
	join(s);
	if (s->has_hash)
		digest_release(&s->hash);
	inflate_free(s->z);
	free(s->data);
	(void)pthread_cond_destroy(&s->changed);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

ssize_t layer_stream_next(void *arg, const uint8_t **ret, struct err *err)
{
	struct layer_stream *s = arg;
	ssize_t n = 0;

	(void)pthread_mutex_lock(&s->lock);
	if (s->holding)
		leave_slot(s, CALLER);
	s->holding = wait_slot(s, CALLER);
	if (s->holding) {
		*ret = slot(s, s->left[CALLER]);
		n = (ssize_t)s->len[s->left[CALLER] % SLOTS];
	} else if (s->failed.code) {
		n = s->failed.code;
		if (err)
			*err = s->failed;
	}
	(void)pthread_mutex_unlock(&s->lock);
	return n;
}

void layer_stream_finish(struct layer_stream *s, struct digest *ret_diff_id,
                         uint64_t *ret_tar_bytes)
{
	join(s);
	digest_final(&s->hash, ret_diff_id);
	*ret_tar_bytes = s->total;
}
