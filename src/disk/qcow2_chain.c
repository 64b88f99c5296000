/* A chain of files as one disk. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/num.h"
#include "disk/qcow2.h"

#include "base/banned.h"

static int chain_flush(struct disk *d)
{
	return qcow2_commit((struct chain *)d, true);
}

static void chain_free(struct chain *c)
{
	for (unsigned i = 0; i < c->n; i++)
		qcow2_file_release(&c->q[i]);
	disk_close(c->base);
	qcow2_unpacker_free(c);
	if (c->data)
		(void)munmap(c->data, (size_t)CACHE_SLOTS * SLICE_MAX);
	free(c->bounce);
	free(c);
}

static int chain_settle(struct disk *d)
{
	struct chain *c = (struct chain *)d;
	int r = qcow2_commit(c, false);

	if (r == 0 && c->dirty) /* counts of what was given up */
		r = qcow2_commit(c, false);
	return r;
}

static void chain_close(struct disk *d)
{
	struct chain *c = (struct chain *)d;
	int r = d->read_only || c->broken ? 0 : chain_settle(d);

	if (r < 0)
		log_limited(LOG_WARN, "disk: cannot write its tables: %s",
		            strerror(-r));
	chain_free(c);
}

static void cleanup_chain(struct chain **c)
{
	if (*c)
		chain_free(*c);
}

static const struct disk_ops chain_ops = {
	.read = chain_read,
	.write = chain_write,
	.flush = chain_flush,
	.settle = chain_settle,
	.discard = chain_discard,
	.zero = chain_zero,
	.map = chain_map,
	.close = chain_close,
};

/* Memory that is touched as it is used: most machines need little of it. */
static int get_memory(struct chain *c, bool read_only, struct err *err)
{
	void *p = mmap(NULL, (size_t)CACHE_SLOTS * SLICE_MAX,
	               PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	               0);

	if (p != MAP_FAILED)
		c->data = p;
	if (!read_only)
		c->bounce = malloc(BOUNCE);
	if (!c->data || (!read_only && !c->bounce))
		return err_set(err, -ENOMEM, "out of memory");
	return 0;
}

/* What a header says of a backing file must fit with what we were given. */
static int check_backing(const struct qcow2 *q, bool below, struct err *err)
{
	if (q->h.backing_at && !below)
		return err_set(err, -EINVAL,
		               "it is based on another file, which was not "
		               "given");
	if (!q->h.backing_at && below)
		return err_set(err, -EINVAL,
		               "it is not based on another file, but one was "
		               "given");
	return 0;
}

static int open_one(struct chain *c, const struct disk_layer *l, bool writable,
                    bool below, struct err *err)
{
	struct qcow2 *q = &c->q[c->n];
	int r;

	q->fd = l->fd;
	q->layer = c->n++;
	r = qcow2_file_open(q, writable, err);
	return r < 0 ? r : check_backing(q, below, err);
}

int disk_open_qcow2(const struct disk_layer *layers, uint32_t n, bool read_only,
                    struct disk **ret, struct err *err)
{
	struct chain *cleanup(cleanup_chain) c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(err, -ENOMEM, "out of memory");
	r = get_memory(c, read_only, err);
	for (uint32_t i = 0; i < n && r == 0; i++) {
		if (layers[i].format == DISK_RAW)
			r = disk_open_raw(layers[i].fd, true, &c->base, err);
		else
			r = open_one(c, &layers[i], i == 0 && !read_only,
			             i + 1 < n, err);
		if (r < 0 && n > 1)
			(void)err_wrap(err, "layer %u", i);
	}
	if (r < 0)
		return r;
	c->d = (struct disk){&chain_ops, c->q[0].h.size, read_only};
	*ret = &take_ptr(c)->d;
	return 0;
}
