/*
 * disk.h - the machine's disks, told apart by their virtio-blk serial.
 *
 * The order of devices is the VMM's own affair, a serial is a promise. Reading
 * one is a request to the device, so all are read once and kept.
 */
#ifndef GUEST_DISK_H
#define GUEST_DISK_H

#include <stddef.h>

#include "base/err.h"

#define DISK_MAX        16
#define DISK_NAME_MAX   16
#define DISK_SERIAL_MAX 20 /* VIRTIO_BLK_ID_BYTES */

struct disk {
	char name[DISK_NAME_MAX]; /* "vda" */
	char serial[DISK_SERIAL_MAX + 1];
};

struct disks {
	struct disk v[DISK_MAX];
	size_t n;
};

/* Find all disks below @block_dir ("/sys/block"). */
int disks_scan(const char *block_dir, struct disks *ret, struct err *err);

/* The name of the disk with this serial, or NULL. */
const char *disks_find(const struct disks *d, const char *serial);

#endif
