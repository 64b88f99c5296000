/*
 * The network device: guest memory with both rings. Each frame is sent back at
 * once, so that both ways are at work.
 */
#include "fuzz_guest.h"

#include "base/log.h"
#include "virtio/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct virtio_dev *dev;

static void on_features(void *arg, bool csum, bool tso4, bool tso6)
{
	(void)arg;
	(void)csum;
	(void)tso4;
	(void)tso6;
}

static bool on_wants(void *arg)
{
	(void)arg;
	return true;
}

static void on_frame(void *arg, const struct vnet_hdr *h, struct iov *frame)
{
	uint8_t head[64];

	(void)arg;
	(void)virtio_net_send(dev, h, frame->v, frame->n, frame->len);
	(void)iov_get(frame, head, sizeof(head));
}

static void nothing(void *arg)
{
	(void)arg;
	virtio_net_flush(dev);
}

static void gone(void *arg)
{
	(void)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct virtio_net_backend be = {
		on_features, on_wants, on_frame, nothing, nothing, gone, NULL};
	static const uint8_t mac[6] = {2};
	struct fuzz_guest g;

	if (!dev) {
		log_setup("fuzz", 2, LOG_NONE);
		if (virtio_net_new(mac, 1500, &be, &dev, NULL) < 0)
			abort();
	}
	fuzz_ram(&g, data, len);
	fuzz_start(&g, dev);
	fuzz_kick(&g, dev, 1);
	fuzz_kick(&g, dev, 0);
	fuzz_kick(&g, dev, 1);
	fuzz_stop(&g, dev);
	return 0;
}
