#include "virtio/device.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/num.h"
#include "virtio/queue.h"

#include "base/banned.h"

void virtio_signal(struct virtio_dev *d, uint16_t q)
{
	if (vq_must_interrupt(&d->vqs[q]))
		d->transport->interrupt(d, q);
}

void virtio_broken(struct virtio_dev *d, const char *why)
{
	if (d->broken)
		return;
	d->broken = true;
	log_limited(LOG_WARN, "%s: guest broke the rules: %s; device stopped",
	            d->ops->name, why);
	d->transport->broken(d, why);
}

void virtio_config_changed(struct virtio_dev *d)
{
	if (d->transport && d->transport->config_changed)
		d->transport->config_changed(d);
}

/*
 * One interrupt for a whole batch is cheap, but the driver should not wait
 * for many large transfers when the first is done.
 */
#define SIGNAL_BYTES (512u << 10)

/* How a turn ended. */
enum turn { TURN_EMPTY, TURN_MORE, TURN_BLOCKED, TURN_BROKEN };

static enum turn run_batch(struct virtio_dev *d, uint16_t q,
                           int (*one)(struct virtio_dev *d, struct vq_chain *c,
                                      uint32_t *ret_len))
{
	struct vq *vq = &d->vqs[q];
	struct vq_chain c;
	size_t moved = 0;

	for (unsigned i = 0; i < VIRTIO_BATCH; i++) {
		uint32_t len = 0;
		int r = vq_pop(vq, d->mem, &c);

		if (r == 0 && !vq_rearm(vq))
			return TURN_EMPTY;
		if (r == 0)
			continue;
		if (r < 0)
			return TURN_BROKEN;
		moved += c.out.len + c.in.len;
		r = one(d, &c, &len);
		if (r == -EAGAIN) {
			vq_unpop(vq);
			return TURN_BLOCKED;
		}
		if (r < 0)
			return TURN_BROKEN;
		vq_push(vq, c.head, len);
		if (moved >= SIGNAL_BYTES) {
			virtio_signal(d, q);
			moved = 0;
		}
	}
	return TURN_MORE;
}

void virtio_serve(struct virtio_dev *d, uint16_t q,
                  int (*one)(struct virtio_dev *d, struct vq_chain *c,
                             uint32_t *ret_len))
{
	struct vq *vq = &d->vqs[q];
	enum turn end;

	if (!vq->ready)
		return;
	vq_disarm(vq);
	end = run_batch(d, q, one);
	virtio_signal(d, q);
	if (end == TURN_BROKEN)
		virtio_broken(d, vq->why ? vq->why : "malformed request");
	else if (end == TURN_MORE)
		d->transport->again(d, q);
}

void virtio_free(struct virtio_dev *d)
{
	if (d)
		d->ops->free(d);
}

void virtio_config_copy(const void *config, uint32_t config_len, uint32_t off,
                        void *data, uint32_t len)
{
	memset(data, 0, len);
	if (off < config_len)
		memcpy(data, (const uint8_t *)config + off,
		       MIN(len, config_len - off));
}
