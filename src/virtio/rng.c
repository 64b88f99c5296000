#include "virtio/rng.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/num.h"
#include "virtio/queue.h"

#include "base/banned.h"

/* Linux asks for 64 bytes at a time; a larger wish is served in part. */
#define RNG_REQUEST_MAX (64 * KIB)

struct rng {
	struct virtio_dev dev;
};

/* Straight into the guest: what it does with the page is its own affair. */
static size_t fill(uint8_t *p, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = getrandom(p + done, len - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

static int rng_one(struct virtio_dev *d, struct vq_chain *c, uint32_t *ret_len)
{
	size_t done = 0;

	(void)d;
	iov_keep(&c->in, MIN(c->in.len, RNG_REQUEST_MAX));
	for (unsigned i = 0; i < c->in.n; i++)
		done += fill(c->in.v[i].iov_base, c->in.v[i].iov_len);
	*ret_len = (uint32_t)done;
	return 0;
}

static void rng_read_config(struct virtio_dev *d, uint32_t off, void *data,
                            uint32_t len)
{
	(void)d;
	virtio_config_copy(NULL, 0, off, data, len);
}

static int rng_activate(struct virtio_dev *d)
{
	(void)d;
	return 0;
}

static void rng_notify(struct virtio_dev *d, uint16_t q)
{
	virtio_serve(d, q, rng_one);
}

static void rng_reset(struct virtio_dev *d)
{
	(void)d; /* nothing is in flight between two notifications */
}

static void rng_free(struct virtio_dev *d)
{
	free(d);
}

static const struct virtio_dev_ops rng_ops = {
	.name = "rng",
	.id = VIRTIO_ID_RNG,
	.nqueues = 1,
	.queue_max = VQ_SIZE_MAX,
	.queue_offered = 16,
	.read_config = rng_read_config,
	.activate = rng_activate,
	.notify = rng_notify,
	.reset = rng_reset,
	.free = rng_free,
};

int rng_new(struct virtio_dev **ret, struct err *err)
{
	struct rng *r = calloc(1, sizeof(*r));

	if (!r)
		return err_set(err, -ENOMEM, "no memory for the rng device");
	r->dev.ops = &rng_ops;
	r->dev.offered = 1ULL << VIRTIO_F_VERSION_1 |
	                 1ULL << VIRTIO_F_INDIRECT_DESC |
	                 1ULL << VIRTIO_F_EVENT_IDX;
	*ret = &r->dev;
	return 0;
}
