/*
 * A qcow2 file of a larger disk. Its L1 table has whole clusters, which are
 * its own and zeros behind the entries in use: the entries of the new part are
 * made zeros all the same, and then the header says both new numbers in one
 * write within its first sector, so a crash leaves the old size or the new one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "disk/qcow2.h"

#include "base/banned.h"

#define SIZE_AT 24
#define L1_N_AT 36

/* Entries that the L1 table needs for @size bytes. */
static uint64_t entries(const struct qcow2_header *h, uint64_t size)
{
	const uint64_t covers =
		(1ULL << h->cluster_bits) * ((1ULL << h->cluster_bits) / 8);

	return size / covers + (size % covers != 0);
}

static int check(const struct qcow2_header *h, uint64_t size, uint64_t len,
                 struct err *err)
{
	const uint64_t cluster = 1ULL << h->cluster_bits;
	const uint64_t room = num_align_up((uint64_t)h->l1_n * 8, cluster);

	if (size < h->size || size % 512 || size > DISK_SIZE_MAX)
		return err_set(err, -EINVAL,
		               "a disk of %llu bytes cannot become one of %llu",
		               (unsigned long long)h->size,
		               (unsigned long long)size);
	if (entries(h, size) * 8 > room ||
	    h->l1_at + room > num_align_up(len, cluster))
		return err_set(err, -EFBIG,
		               "its qcow2 file has no room in its tables to "
		               "grow that much");
	return 0;
}

static int clear_entries(int fd, const struct qcow2_header *h, uint64_t n)
{
	uint64_t len = n > h->l1_n ? (n - h->l1_n) * 8 : 0;
	cleanup_free uint8_t *zeros = calloc(1, len ? len : 1);
	int r;

	if (!zeros)
		return -ENOMEM;
	r = file_put(fd, zeros, len, h->l1_at + (uint64_t)h->l1_n * 8);
	return r == 0 && fdatasync(fd) < 0 ? -errno : r;
}

int qcow2_grow(int fd, uint64_t size, struct err *err)
{
	struct qcow2_header h;
	uint8_t numbers[L1_N_AT + 4 - SIZE_AT];
	uint64_t len = 0, n;
	int r = file_length(fd, &len);

	if (r == 0)
		r = qcow2_header_read(fd, len, &h, err);
	if (r < 0)
		return r;
	r = check(&h, size, len, err);
	if (r < 0)
		return r;
	n = entries(&h, size);
	r = clear_entries(fd, &h, n);
	if (r == 0)
		r = file_get(fd, numbers, sizeof(numbers), SIZE_AT);
	put_be64(numbers, size);
	put_be32(numbers + L1_N_AT - SIZE_AT,
	         (uint32_t)MAX(n, (uint64_t)h.l1_n));
	if (r == 0)
		r = file_put(fd, numbers, sizeof(numbers), SIZE_AT);
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	return r < 0 ? err_set(err, r, "cannot make a qcow2 file larger: %s",
	                       strerror(-r))
	             : 0;
}
