/*
 * bus.h - what answers at the ports and addresses that are not memory.
 *
 * Ports: the serial port and the reset line of the old keyboard controller.
 * Addresses: one page of virtio-mmio registers for each device from
 * BUS_MMIO_BASE on, interrupt line BUS_IRQ_BASE + i. Everywhere else nothing
 * answers: reads give ones as on a real bus, so that probing drivers go away
 * at once, and writes vanish.
 *
 * The table is filled before the first processor runs and frozen then; any
 * thread may read and write through it.
 */
#ifndef VMM_KVM_BUS_H
#define VMM_KVM_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtio/mmio.h"
#include "vmm/engine.h"
#include "vmm/kvm/serial.h"

#define BUS_MMIO_BASE 0xd0000000ull
#define BUS_IRQ_BASE  5u

/* What an access was, for the statistics. */
enum bus_kind {
	BUS_SERIAL,
	BUS_RESET, /* the guest asked for a reset */
	BUS_PORT,  /* nothing there */
	BUS_VIRTIO,
	BUS_NOTIFY,  /* should have been an ioeventfd */
	BUS_ADDRESS, /* nothing there */
	BUS_KINDS,
};

extern const char *const bus_kind_names[BUS_KINDS];

struct bus {
	struct serial *serial;
	struct mmio *devices[ENGINE_DEVICES_MAX]; /* NULL: none */
};

/* @len is 1, 2 or 4; @data is read or written. */
enum bus_kind bus_port(struct bus *b, uint16_t port, bool is_write, void *data,
                       uint32_t len);

/* @len is 1 to 8. */
enum bus_kind bus_address(struct bus *b, uint64_t gpa, bool is_write,
                          void *data, uint32_t len);

#endif
