/* All devices at once on one memory and one loop: a program (world.h). */
#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	world_play((1u << WORLD_DEVICES) - 1, data, len);
	return 0;
}
