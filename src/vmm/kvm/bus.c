#include "vmm/kvm/bus.h"

#include <string.h>

#include "base/banned.h"

#define KEYBOARD_COMMAND 0x64u
#define PULSE_RESET      0xfeu

const char *const bus_kind_names[BUS_KINDS] = {
	[BUS_SERIAL] = "serial", [BUS_RESET] = "reset",
	[BUS_PORT] = "port",     [BUS_VIRTIO] = "virtio",
	[BUS_NOTIFY] = "notify", [BUS_ADDRESS] = "address",
};

static void nothing(bool is_write, void *data, uint32_t len)
{
	if (!is_write)
		memset(data, 0xff, len);
}

/* The port has 8-bit registers; a wider access is not one to it. */
static void serial_access(struct bus *b, uint16_t reg, bool is_write,
                          uint8_t *data, uint32_t len)
{
	if (len != 1)
		nothing(is_write, data, len);
	else if (is_write)
		serial_write(b->serial, reg, *data);
	else
		*data = serial_read(b->serial, reg);
}

enum bus_kind bus_port(struct bus *b, uint16_t port, bool is_write, void *data,
                       uint32_t len)
{
	const uint8_t *bytes = data;

	if (port >= SERIAL_BASE && port - SERIAL_BASE < SERIAL_PORTS) {
		serial_access(b, (uint16_t)(port - SERIAL_BASE), is_write, data,
		              len);
		return BUS_SERIAL;
	}
	if (port == KEYBOARD_COMMAND && is_write && len == 1 &&
	    bytes[0] == PULSE_RESET)
		return BUS_RESET;
	nothing(is_write, data, len);
	return BUS_PORT;
}

enum bus_kind bus_address(struct bus *b, uint64_t gpa, bool is_write,
                          void *data, uint32_t len)
{
	uint64_t slot = (gpa - BUS_MMIO_BASE) / MMIO_SIZE;
	uint64_t off = gpa % MMIO_SIZE;

	if (gpa < BUS_MMIO_BASE || slot >= ENGINE_DEVICES_MAX ||
	    !b->devices[slot] || off + len > MMIO_SIZE) {
		nothing(is_write, data, len);
		return BUS_ADDRESS;
	}
	if (is_write)
		mmio_write(b->devices[slot], off, data, len);
	else
		mmio_read(b->devices[slot], off, data, len);
	return is_write && off == MMIO_NOTIFY ? BUS_NOTIFY : BUS_VIRTIO;
}
