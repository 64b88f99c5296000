#include "image/install.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "image/layer.h"
#include "image/record.h"

#include "base/banned.h"

struct job {
	const struct install *in;
	pthread_mutex_t lock;
	uint32_t next;
	struct err err; /* the first failure */
};

struct waited {
	const struct install *in;
	uint32_t layer;
};

int install_guard(struct store *s, struct err *err)
{
	return store_lock(s, "pull", STORE_LOCK_SHARED, err);
}

int install_lock(struct store *s, const char *kind, const struct digest *d,
                 struct meter *p, void (*watch)(void *arg), void *arg,
                 struct err *err)
{
	char name[DIGEST_HEX_LEN + 32], hex[DIGEST_HEX_LEN + 1];

	(void)snprintf(name, sizeof(name), "%s-%s", kind, digest_hex(d, hex));
	for (;;) {
		int fd = store_lock(s, name, STORE_LOCK_TRY, err);

		if (fd != -EWOULDBLOCK)
			return fd;
		if (watch)
			watch(arg);
		if (meter_sleep(p, METER_POLL_MS / 2) < 0)
			return err_set(err, -ECANCELED, "cancelled");
	}
}

uint64_t install_part_size(struct store *s, const struct digest *blob)
{
	char path[96], hex[DIGEST_HEX_LEN + 1];
	struct stat st;

	(void)snprintf(path, sizeof(path), "blobs/%s.part",
	               digest_hex(blob, hex));
	return fstatat(s->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0
	               ? 0
	               : (uint64_t)st.st_size;
}

static void watch_layer(void *arg)
{
	const struct waited *w = arg;
	const struct descriptor *blob = &w->in->blobs[w->layer];

	(void)meter_bytes(w->in->meter, w->layer,
	                  install_part_size(w->in->s, &blob->digest));
}

/*
 * Present and, from now on, young: image_gc() spares it while we go on. The
 * lock keeps a sweep from coming between the two.
 */
static int present_and_kept(struct store *s, const struct digest *diff_id,
                            struct err *err)
{
	cleanup_close int lock = store_lock(s, "store", STORE_LOCK_SHARED, err);
	char path[160];
	int r;

	if (lock < 0)
		return lock;
	r = layer_present(s, diff_id);
	if (r < 0)
		return err_set(err, r, "cannot look for a layer: %s",
		               strerror(-r));
	if (r > 0)
		(void)utimensat(s->fd,
		                record_layer_path(diff_id, path, sizeof(path)),
		                NULL, AT_SYMLINK_NOFOLLOW);
	return r;
}

/* By way of a staging folder, so that no half layer keeps the name. */
static int drop_dir(struct store *s, const char *path, struct err *err)
{
	struct store_tmp t = {0};
	int r = store_tmp_new(s, &t, err);

	if (r < 0)
		return r;
	if (renameat(s->fd, path, t.dir_fd, "old") < 0 && errno != ENOENT)
		r = err_set(err, -errno, "cannot remove %s/store/%s: %s",
		            s->home, path, strerror(errno));
	store_tmp_drop(s, &t);
	return r;
}

static int one_layer(const struct install *in, uint32_t i, struct err *err)
{
	struct waited w = {.in = in, .layer = i};
	cleanup_close int lock = install_lock(in->s, "layer", &in->diff_ids[i],
	                                      in->meter, watch_layer, &w, err);
	char path[160];
	int r;

	if (lock < 0)
		return lock;
	r = present_and_kept(in->s, &in->diff_ids[i], err);
	if (r < 0)
		return r;
	if (r > 0 && !in->force)
		return meter_layer_done(in->meter, i, true);
	if (r > 0)
		r = drop_dir(
			in->s,
			record_layer_path(&in->diff_ids[i], path, sizeof(path)),
			err);
	if (r == 0)
		r = in->fetch(in->arg, i, err);
	return r < 0 ? r : meter_layer_done(in->meter, i, false);
}

/* The same layer twice in one image is brought once. */
static bool seen_before(const struct install *in, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (digest_equal(&in->diff_ids[k], &in->diff_ids[i]))
			return true;
	return false;
}

static void *worker(void *arg)
{
	struct job *job = arg;
	const struct install *in = job->in;

	(void)cancel_use(in->meter->cancel);
	for (;;) {
		struct err err = {0};
		uint32_t i;
		int r;

		(void)pthread_mutex_lock(&job->lock);
		i = job->next++;
		(void)pthread_mutex_unlock(&job->lock);
		if (i >= in->nlayers)
			return NULL;
		r = seen_before(in, i) ? meter_layer_done(in->meter, i, true)
		                       : one_layer(in, i, &err);
		if (r >= 0)
			continue;
		if (!err.code)
			err_set(&err, r, "cancelled");
		(void)pthread_mutex_lock(&job->lock);
		if (!job->err.code)
			job->err = err;
		(void)pthread_mutex_unlock(&job->lock);
		meter_stop(in->meter);
		return NULL;
	}
}

int install_layers(const struct install *in, struct err *err)
{
	struct job job = {.in = in, .lock = PTHREAD_MUTEX_INITIALIZER};
	pthread_t threads[INSTALL_WORKERS_MAX];
	uint32_t want = in->workers ? in->workers : INSTALL_WORKERS_DEFAULT;
	uint32_t n = 0;

	want = MIN(MIN(want, INSTALL_WORKERS_MAX), in->nlayers);
	/* This thread works, too; if others cannot be had, it works alone. */
	while (n + 1 < want &&
	       pthread_create(&threads[n], NULL, worker, &job) == 0)
		n++;
	(void)worker(&job);
	while (n > 0)
		(void)pthread_join(threads[--n], NULL);
	if (job.err.code && err)
		*err = job.err;
	return job.err.code;
}

static int drop_chain(struct store *s, const struct install *in,
                      struct err *err)
{
	struct digest chain;
	char path[256];

	rootfs_chain_id(in->diff_ids, in->nlayers, &chain);
	if (!record_chain_path(s, &chain, path, sizeof(path)))
		return 0;
	return drop_dir(s, path, err);
}

static uint64_t image_size(const struct install *in, const struct digest *chain)
{
	char path[256];
	uint64_t sum = 0;

	for (uint32_t i = 0; i < in->nlayers; i++)
		if (!seen_before(in, i))
			sum += record_disk_usage(
				in->s->fd,
				record_layer_path(&in->diff_ids[i], path,
			                          sizeof(path)));
	if (record_chain_path(in->s, chain, path, sizeof(path)))
		sum += record_disk_usage(in->s->fd, path);
	return sum;
}

static int write_all(const struct install *in, const struct install_image *img,
                     struct record *rec, struct err *err)
{
	int r;

	digest_of(img->manifest, img->manifest_len, &rec->manifest);
	digest_of(img->config, img->config_len, &rec->config);
	rec->has_index = img->tag_digest != NULL;
	if (img->tag_digest)
		rec->index = *img->tag_digest;
	(void)snprintf(rec->platform, sizeof(rec->platform), "%s",
	               img->platform);
	rec->size = image_size(in, &rec->chain);
	rec->pulled_unix = (int64_t)time(NULL);
	r = record_put_document(in->s, "manifests", &rec->manifest,
	                        img->manifest, img->manifest_len, err);
	if (r == 0)
		r = record_put_document(in->s, "configs", &rec->config,
		                        img->config, img->config_len, err);
	if (r == 0)
		r = record_write(in->s, img->ref, rec, err);
	return r;
}

int install_commit(const struct install *in, const struct install_image *img,
                   struct err *err)
{
	cleanup_close int lock =
		store_lock(in->s, "store", STORE_LOCK_SHARED, err);
	struct record rec = {0};
	int r = lock < 0 ? lock : 0;

	if (r == 0 && meter_state(in->meter, IMAGE_EV_MERGING) < 0)
		r = err_set(err, -ECANCELED, "cancelled");
	if (r == 0 && in->force)
		r = drop_chain(in->s, in, err);
	if (r == 0)
		r = rootfs_build(in->s, in->diff_ids, in->nlayers, &rec.chain,
		                 err);
	if (r == 0)
		r = write_all(in, img, &rec, err);
	if (r == 0)
		(void)meter_state(in->meter, IMAGE_EV_DONE);
	return r;
}

bool install_is_whole(struct store *s, const struct image *img)
{
	struct rootfs cleanup(rootfs_release) fs = {0};

	for (uint32_t i = 0; i < img->nlayers; i++)
		if (layer_present(s, &img->diff_ids[i]) != 1)
			return false;
	return rootfs_open(s, &img->chain_id, &fs, NULL) == 0;
}
