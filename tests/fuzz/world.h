/*
 * world.h - a machine for the fuzzer: devices behind virtio-mmio, memory that
 * they share, a hostile driver for them, and a host that does things meanwhile.
 *
 * The input is a program: steps of one byte (device << 4 | step) and what the
 * step reads. Everything runs in one thread, the loop included, so an input
 * always does the same. After each step the registers and the models are
 * checked against what must hold whatever a guest does; see world_check().
 */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include <stddef.h>
#include <stdint.h>

enum world_device {
	WORLD_BLK,
	WORLD_BLK_READ_ONLY,
	WORLD_RNG,
	WORLD_VSOCK,
	WORLD_CONSOLE,
	WORLD_BALLOON,
	WORLD_DEVICES
};

/* Play @data on a machine with the devices of the bit mask @set. */
void world_play(unsigned set, const uint8_t *data, size_t len);

#endif
