/*
 * mem.h - the guest's memory, as the device side reaches it.
 *
 * There is no way to turn an address alone into a pointer: each call takes
 * the address *and* the length, and gives an answer only if every byte lies
 * in plain RAM. So device registers, ROM, holes and addresses that wrap can
 * not be reached, whoever wrote the address.
 *
 * A region has up to three addresses: where the guest sees it (gpa), where we
 * mapped it (host), and where the other process that shares it mapped it
 * (alias: vhost-user gives ring addresses in QEMU's address space).
 *
 * A table belongs to one thread. Pointers that it gave out are dead once the
 * region is removed: a device keeps none across two of its callbacks.
 */
#ifndef VIRTIO_MEM_H
#define VIRTIO_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* QEMU's microvm has 2 or 3 regions; KVM hot-plug may add some. */
#define GUEST_MEM_MAX 32

struct guest_region {
	uint64_t gpa, len, alias;
	uint8_t *host;
	void *map; /* to unmap; NULL when borrowed */
	size_t map_len;
	int file; /* of a mapping: to ask what it holds; else -1 */
};

struct guest_mem {
	struct guest_region region[GUEST_MEM_MAX]; /* sorted by gpa */
	uint32_t n;
};

/*
 * Add @len bytes at @gpa, which are at @host in this process (borrowed: they
 * must stay until the region is removed). -EINVAL if empty, wrapping or
 * misaligned to 4 KiB, -EEXIST if it overlaps, -ENOSPC if the table is full.
 */
int guest_mem_add(struct guest_mem *m, uint64_t gpa, uint64_t len,
                  uint64_t alias, void *host);

/*
 * The same, mapped here from @offset of @fd (a copy is kept). The file must be
 * sealed against shrinking: else who shares it could take pages away under
 * us, which is a SIGBUS. -EACCES if it is not.
 */
int guest_mem_map(struct guest_mem *m, uint64_t gpa, uint64_t len,
                  uint64_t alias, int fd, uint64_t offset);

/* Drop the region that was added as exactly (@gpa, @len), else -ENOENT. */
int guest_mem_remove(struct guest_mem *m, uint64_t gpa, uint64_t len);
void guest_mem_release(struct guest_mem *m);

/*
 * Bytes of it for which the host has memory (or swap) now; the guest is not
 * asked. A file is asked once, whatever its size; of other memory each page.
 */
uint64_t guest_mem_resident(const struct guest_mem *m);

/* @len > 0 bytes inside one region, or NULL. */
void *guest_mem_at(const struct guest_mem *m, uint64_t gpa, uint64_t len);

/*
 * Describe @len bytes at @gpa by at most @max entries of @iov: one for each
 * region touched (regions may follow each other without a gap). Returns how
 * many, -EFAULT if a byte is not RAM, -E2BIG if @max is too small.
 */
int guest_mem_iov(const struct guest_mem *m, uint64_t gpa, uint64_t len,
                  struct iovec *iov, unsigned max);

/* The guest address of @len > 0 alias bytes inside one region; -EFAULT. */
int guest_mem_from_alias(const struct guest_mem *m, uint64_t alias,
                         uint64_t len, uint64_t *ret_gpa);

#endif
