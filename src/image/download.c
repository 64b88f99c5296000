#include "image/download.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "image/install.h"

#include "base/banned.h"

#define WAIT_MS 100

struct download {
	struct store *s;
	struct registry *reg;
	const struct descriptor *blob;
	uint32_t layer;
	char part[96], digest[DIGEST_TEXT_LEN + 1];
	int fd;
	bool resumed; /* the file had bytes when we came */

	pthread_mutex_t lock;
	pthread_cond_t grown;
	uint64_t have; /* whole bytes in the file; only the thread adds */
	bool ended, stop;
	int code; /* of the thread, once ended */
	struct err err;

	uint64_t done; /* the reader's place */
	struct digest_ctx hash;
	bool checked;
};

static int part_open(struct download *d, struct err *err)
{
	char hex[DIGEST_HEX_LEN + 1];
	struct stat st;

	(void)snprintf(d->part, sizeof(d->part), "blobs/%s.part",
	               digest_hex(&d->blob->digest, hex));
	(void)digest_text(&d->blob->digest, d->digest);
	d->fd = openat(d->s->fd, d->part,
	               O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (d->fd < 0 || fstat(d->fd, &st) < 0)
		return err_set(err, -errno, "cannot open %s/store/%s: %s",
		               d->s->home, d->part, strerror(errno));
	d->have = (uint64_t)st.st_size;
	if (d->have > d->blob->size) {
		if (ftruncate(d->fd, 0) < 0)
			return err_set(err, -errno, "cannot empty %s: %s",
			               d->part, strerror(errno));
		d->have = 0;
	}
	d->resumed = d->have > 0;
	return 0;
}

static void part_drop(struct download *d)
{
	(void)unlinkat(d->s->fd, d->part, 0);
}

static int write_failed(struct download *d, int r, struct err *err)
{
	err_set(err, r, "cannot write %s/store/%s: %s", d->s->home, d->part,
	        strerror(-r));
	if (r == -ENOSPC || r == -EDQUOT)
		err_hint(err, "free some space, e.g. with msb image prune");
	return r;
}

/*
 * A server that cannot resume sends all from the start: what is there already
 * is left as it is, for the reader may be past it.
 */
static int on_bytes(void *arg, uint64_t offset, const void *data, size_t len,
                    struct err *err)
{
	struct download *d = arg;
	const uint8_t *p = data;
	uint64_t skip = d->have > offset ? d->have - offset : 0;
	bool stop;
	int r;

	r = skip < len
	            ? fd_pwrite_full(d->fd, p + skip, len - skip, offset + skip)
	            : 0;
	if (r < 0)
		return write_failed(d, r, err);
	(void)pthread_mutex_lock(&d->lock);
	d->have = MAX(d->have, offset + len);
	stop = d->stop;
	(void)pthread_cond_signal(&d->grown);
	(void)pthread_mutex_unlock(&d->lock);
	if (stop || meter_bytes(d->reg->meter, d->layer, d->have) < 0)
		return err_set(err, -ECANCELED, "cancelled");
	return 0;
}

/*
 * All bytes are there: then it does not matter how the exchange ended. Too few
 * although the server saw nothing wrong: it has another blob under that name.
 */
static int fetch(struct download *d, struct err *err)
{
	const struct registry_request q = {
		.kind = "blobs",
		.name = d->digest,
		.body = on_bytes,
		.arg = d,
		.have = &d->have,
		.size = d->blob->size,
	};
	struct http_answer a = {0};
	int r = 0;

	if (d->have < d->blob->size)
		r = registry_do(d->reg, &q, &a, err);
	http_answer_release(&a);
	if (r != -EFBIG && d->have == d->blob->size)
		return 0;
	if (r == 0)
		r = err_set(err, -EBADMSG,
		            "%s is %llu bytes long, not %llu as the manifest "
		            "says",
		            d->digest, (unsigned long long)d->have,
		            (unsigned long long)d->blob->size);
	return r;
}

static void *fetch_thread(void *arg)
{
	struct download *d = arg;
	struct err err = {0};
	int r;

	(void)cancel_use(d->reg->meter->cancel);
	r = fetch(d, &err);
	(void)pthread_mutex_lock(&d->lock);
	d->code = r;
	d->err = err;
	d->ended = true;
	(void)pthread_cond_signal(&d->grown);
	(void)pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* Bytes that can be read now: 0 only at the end. */
static int wait_for_bytes(struct download *d, uint64_t *ret, struct err *err)
{
	int r = 0;

	(void)pthread_mutex_lock(&d->lock);
	while (d->have == d->done && !d->ended && r == 0) {
		struct timespec ts;

		(void)clock_gettime(CLOCK_MONOTONIC, &ts);
		ts.tv_nsec += WAIT_MS * 1000000L;
		ts.tv_sec += ts.tv_nsec / 1000000000L;
		ts.tv_nsec %= 1000000000L;
		(void)pthread_cond_timedwait(&d->grown, &d->lock, &ts);
		if (meter_is_stopped(d->reg->meter))
			r = err_set(err, -ECANCELED, "cancelled");
	}
	*ret = d->have - d->done;
	if (r == 0 && *ret == 0 && d->code < 0) {
		r = d->code;
		if (err)
			*err = d->err;
	}
	(void)pthread_mutex_unlock(&d->lock);
	return r;
}

static int check_digest(struct download *d, struct err *err)
{
	char text[DIGEST_TEXT_LEN + 1];
	struct digest got;

	if (d->checked)
		return 0;
	digest_final(&d->hash, &got);
	d->checked = true;
	if (digest_equal(&got, &d->blob->digest))
		return 0;
	return err_set(err, -EBADMSG,
	               "the layer that came has the digest %s, not %s",
	               digest_text(&got, text), d->digest);
}

static ssize_t on_read(void *arg, void *data, size_t len, struct err *err)
{
	struct download *d = arg;
	uint64_t ready;
	ssize_t n;
	int r = wait_for_bytes(d, &ready, err);

	if (r < 0)
		return r;
	if (ready == 0)
		return check_digest(d, err);
	n = fd_pread_full(d->fd, data, MIN(len, ready), d->done);
	if (n <= 0)
		return err_set(err, n < 0 ? (int)n : -EIO,
		               "cannot read %s/store/%s back", d->s->home,
		               d->part);
	digest_add(&d->hash, data, (size_t)n);
	d->done += (uint64_t)n;
	return n;
}

static int run(struct download *d, const struct digest *diff_id,
               struct err *err)
{
	struct layer_source src = {on_read, d};
	struct layer_info info;
	pthread_t thread;
	bool threaded = pthread_create(&thread, NULL, fetch_thread, d) == 0;
	int r;

	if (!threaded)
		(void)fetch_thread(d); /* one after the other, then */
	r = layer_ingest(d->s, &src, diff_id, NULL, NULL, NULL, &info, err);
	(void)pthread_mutex_lock(&d->lock);
	d->stop = true;
	(void)pthread_mutex_unlock(&d->lock);
	if (threaded)
		(void)pthread_join(thread, NULL);
	return r;
}

/* 1: what an earlier pull left was wrong and is gone, try without it. */
static int settle(struct download *d, int r)
{
	bool wrong =
		r == -EBADMSG || r == -ERANGE || r == -EFBIG || r == -EPROTO;

	if (r == 0 || wrong || r == -ENOSPC || r == -EDQUOT || d->have == 0)
		part_drop(d);
	return wrong && d->resumed ? 1 : r;
}

static int attempt(struct store *s, struct registry *reg,
                   const struct descriptor *blob, const struct digest *diff_id,
                   uint32_t layer, struct err *err)
{
	struct download d = {
		.s = s, .reg = reg, .blob = blob, .layer = layer, .fd = -1};
	pthread_condattr_t attr;
	int r;

	(void)pthread_mutex_init(&d.lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&d.grown, &attr);
	(void)pthread_condattr_destroy(&attr);
	r = digest_init(&d.hash);
	r = r < 0 ? err_set(err, r, "out of memory") : part_open(&d, err);
	if (r == 0)
		r = settle(&d, run(&d, diff_id, err));
	digest_release(&d.hash);
	close_fd(&d.fd);
	(void)pthread_cond_destroy(&d.grown);
	(void)pthread_mutex_destroy(&d.lock);
	return r;
}

struct waited {
	struct store *s;
	struct registry *reg;
	const struct descriptor *blob;
	uint32_t layer;
};

static void watch_part(void *arg)
{
	const struct waited *w = arg;

	(void)meter_bytes(w->reg->meter, w->layer,
	                  install_part_size(w->s, &w->blob->digest));
}

/*
 * The blob has a lock of its own: two images may claim different diff_ids for
 * one blob, and then two layer locks lead to one file.
 */
int download_layer(struct store *s, struct registry *reg,
                   const struct descriptor *blob, const struct digest *diff_id,
                   uint32_t layer, struct err *err)
{
	struct waited w = {s, reg, blob, layer};
	cleanup_close int lock = install_lock(s, "blob", &blob->digest,
	                                      reg->meter, watch_part, &w, err);
	int r;

	if (lock < 0)
		return lock;
	r = attempt(s, reg, blob, diff_id, layer, err);
	if (r == 1)
		r = attempt(s, reg, blob, diff_id, layer, err);
	return r == 1 ? err_set(err, -EBADMSG, "cannot fetch the layer") : r;
}
