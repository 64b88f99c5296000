/*
 * Theory
 *
 * Queue 0 carries what must not wait behind other requests (FORGET), queue 1
 * all the rest; the driver needs one request queue for a backend of one
 * thread. A chain is one FUSE request: what is readable is the request, what
 * is writable is room for its answer. Requests are answered one after the
 * other in the device's thread, so nothing is in flight between two
 * notifications and reset has nothing to wait for.
 */
#include "virtio/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "virtio/queue.h"

#include "base/banned.h"

/* As virtio lays it out; little-endian. */
struct fs_space {
	uint8_t tag[VIRTIO_FS_TAG_MAX]; /* not always ended by a NUL */
	uint8_t num_request_queues[4];
};

struct virtio_fs {
	struct virtio_dev dev;
	struct virtio_fs_backend backend;
	struct fs_space space;
};

static int fs_one(struct virtio_dev *d, struct vq_chain *c, uint32_t *ret_len)
{
	const struct virtio_fs_backend *b = &((struct virtio_fs *)d)->backend;

	return b->request(b->arg, &c->out, &c->in, ret_len);
}

static void fs_read_config(struct virtio_dev *d, uint32_t off, void *data,
                           uint32_t len)
{
	const struct virtio_fs *fs = (struct virtio_fs *)d;

	virtio_config_copy(&fs->space, sizeof(fs->space), off, data, len);
}

static int fs_activate(struct virtio_dev *d)
{
	(void)d;
	return 0;
}

static void fs_notify(struct virtio_dev *d, uint16_t q)
{
	virtio_serve(d, q, fs_one);
}

/* Also the guest's new start: what it knew is worth nothing any more. */
static void fs_reset_device(struct virtio_dev *d)
{
	const struct virtio_fs_backend *b = &((struct virtio_fs *)d)->backend;

	b->reset(b->arg);
}

static void fs_free_device(struct virtio_dev *d)
{
	free(d);
}

static const struct virtio_dev_ops fs_ops = {
	.name = "fs",
	.id = VIRTIO_ID_FS,
	.nqueues = 2,
	.queue_max = VQ_SIZE_MAX,
	/*
         * A request may fill a chain; Linux bounds its requests by the queue's
         * size, and keeps memory for each entry.
         */
	.queue_offered = VQ_CHAIN_MAX,
	.config_len = sizeof(struct fs_space),
	.read_config = fs_read_config,
	.activate = fs_activate,
	.notify = fs_notify,
	.reset = fs_reset_device,
	.free = fs_free_device,
};

int virtio_fs_new(const char *tag, const struct virtio_fs_backend *backend,
                  struct virtio_dev **ret, struct err *err)
{
	struct virtio_fs *fs = calloc(1, sizeof(*fs));
	size_t len = strlen(tag);

	if (!fs)
		return err_set(err, -ENOMEM, "no memory for the fs device");
	if (len == 0 || len > VIRTIO_FS_TAG_MAX) {
		free(fs);
		return err_set(err, -EINVAL,
		               "the tag of the fs device has "
		               "not 1 to 36 bytes");
	}
	memcpy(fs->space.tag, tag, len);
	put_le32(fs->space.num_request_queues, 1);
	fs->backend = *backend;
	fs->dev.ops = &fs_ops;
	fs->dev.offered = 1ULL << VIRTIO_F_VERSION_1 |
	                  1ULL << VIRTIO_F_INDIRECT_DESC |
	                  1ULL << VIRTIO_F_EVENT_IDX;
	*ret = &fs->dev;
	return 0;
}
