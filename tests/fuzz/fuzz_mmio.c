/*
 * The registers of one device and its rings: the first byte says which device,
 * the rest is a program (world.h).
 */
#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len)
		world_play(1u << data[0] % WORLD_DEVICES, data + 1, len - 1);
	return 0;
}
