/*
 * The balloon: guest memory with the rings, and changes to it between turns.
 *
 *	| features | n | n times (u16 address, u8 byte, u8 queue) | memory |
 */
#include "fuzz_guest.h"

#include "base/log.h"
#include "virtio/balloon.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct world {
	struct fuzz_guest g;
	struct loop *loop;
	struct virtio_dev *dev;
};

/* A byte of guest memory changes, and the device looks again. */
static void change(struct world *w, const uint8_t *c)
{
	uint8_t *p = guest_mem_at(&w->g.mem, get_le16(c), 1);
	struct virtio_dev *dev = w->dev;
	uint16_t q = c[3] & 3;
	struct balloon_stats stats;
	uint8_t raw[8];

	*p = c[2];
	if (c[3] & 0x80)
		dev->ops->write_config(dev, q, c, 4);
	if (c[3] & 0x40)
		dev->ops->read_config(dev, c[3] & 15, raw, sizeof(raw));
	if (c[3] & 0x20)
		(void)balloon_set_target(dev, (uint64_t)c[2] << 20);
	if (c[3] & 0x10)
		balloon_get_stats(dev, &stats);
	if (w->g.vqs[q].ready)
		dev->ops->notify(dev, q);
	(void)loop_step(w->loop, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct balloon_stats stats;
	struct world w;
	size_t n;

	if (len < 2)
		return 0;
	log_setup("fuzz", 2, LOG_NONE);
	w.loop = loop_new();
	if (!w.loop || balloon_new(w.loop, &w.dev, NULL) < 0)
		abort();
	n = MIN(data[1], (len - 2) / 4);
	fuzz_ram(&w.g, data + 2 + 4 * n, len - 2 - 4 * n);
	w.dev->offered &= ~(uint64_t)data[0];
	fuzz_start(&w.g, w.dev);
	for (unsigned q = 0; q < w.dev->ops->nqueues; q++)
		fuzz_kick(&w.g, w.dev, q);
	for (size_t i = 0; i < n; i++)
		change(&w, data + 2 + 4 * i);
	balloon_get_stats(w.dev, &stats);
	if (stats.inflated > FUZZ_RAM)
		abort();
	(void)loop_step(w.loop, 0);
	fuzz_stop(&w.g, w.dev);
	virtio_free(w.dev);
	loop_free(w.loop);
	return 0;
}
