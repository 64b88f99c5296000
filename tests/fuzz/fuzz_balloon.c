/*
 * The balloon: guest memory with the rings, and changes to it between turns.
 *
 *	| features | n | n times (u16 address, u8 byte, u8 queue) | memory |
 */
#include "fuzz_guest.h"

#include "base/log.h"
#include "virtio/balloon.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct loop *loop;
static struct virtio_dev *dev;

static void make_device(void)
{
	log_setup("fuzz", 2, LOG_NONE);
	loop = loop_new();
	if (!loop || balloon_new(loop, &dev, NULL) < 0)
		abort();
}

/* A byte of guest memory changes, and the device looks again. */
static void change(struct fuzz_guest *g, const uint8_t *c)
{
	uint8_t *p = guest_mem_at(&g->mem, get_le16(c), 1);
	uint8_t raw[8];

	*p = c[2];
	if (c[3] & 0x80)
		dev->ops->write_config(dev, c[3] & 3, c, 4);
	if (c[3] & 0x40)
		dev->ops->read_config(dev, c[3] & 15, raw, sizeof(raw));
	if (c[3] & 0x20)
		(void)balloon_set_target(dev, (uint64_t)c[2] << 20);
	if (g->vqs[c[3] & 3].ready)
		dev->ops->notify(dev, c[3] & 3);
	(void)loop_step(loop, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct balloon_stats stats;
	struct fuzz_guest g;
	uint64_t all;
	size_t n;

	if (!dev)
		make_device();
	if (len < 2)
		return 0;
	n = MIN(data[1], (len - 2) / 4);
	fuzz_ram(&g, data + 2 + 4 * n, len - 2 - 4 * n);
	all = dev->offered;
	dev->offered &= ~(uint64_t)data[0];
	fuzz_start(&g, dev);
	dev->offered = all;
	for (unsigned q = 0; q < dev->ops->nqueues; q++)
		fuzz_kick(&g, dev, q);
	for (size_t i = 0; i < n; i++)
		change(&g, data + 2 + 4 * i);
	balloon_get_stats(dev, &stats);
	if (stats.inflated > FUZZ_RAM)
		abort();
	(void)loop_step(loop, 0);
	fuzz_stop(&g, dev);
	return 0;
}
