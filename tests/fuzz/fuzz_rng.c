/* Requests for entropy: guest memory with the ring. */
#include "fuzz_guest.h"

#include "base/log.h"
#include "virtio/rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct virtio_dev *dev;
	struct fuzz_guest g;

	if (!dev) {
		log_setup("fuzz", 2, LOG_NONE);
		if (rng_new(&dev, NULL) < 0)
			abort();
	}
	fuzz_ram(&g, data, len);
	fuzz_start(&g, dev);
	fuzz_kick(&g, dev, 0);
	fuzz_stop(&g, dev);
	return 0;
}
