/*
 * Any bytes as the entries and strings of an index, with right checksums: what
 * the loader lets through must merge and become metadata without a fault.
 *
 *	byte 0: entries; then those; the rest is the pool
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/num.h"
#include "image/erofs_write.h"
#include "image/index.h"
#include "image/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DATA_BLOCKS 1000

static void *make_index(const uint8_t *data, size_t size, size_t *ret_len)
{
	struct index_header h = {.magic = INDEX_MAGIC,
	                         .version = INDEX_VERSION,
	                         .data_blocks = DATA_BLOCKS};
	uint64_t entries_bytes;
	uint8_t *p;

	h.entries =
		MIN((size_t)data[0], (size - 1) / sizeof(struct index_entry));
	entries_bytes = h.entries * sizeof(struct index_entry);
	h.pool_bytes = size - 1 - entries_bytes;
	h.entries_crc = index_crc(INDEX_CRC_INIT, data + 1, entries_bytes);
	h.pool_crc = index_crc(INDEX_CRC_INIT, data + 1 + entries_bytes,
	                       h.pool_bytes);
	h.header_crc = index_header_crc(&h);
	*ret_len = INDEX_HEADER + size - 1;
	p = calloc(1, *ret_len);
	if (!p)
		abort();
	memcpy(p, &h, sizeof(h));
	memcpy(p + INDEX_HEADER, data + 1, size - 1);
	return p;
}

static void use(const struct index *layers, uint32_t n, int fd)
{
	static const uint8_t uuid[16];
	struct erofs_info info;
	struct tree *t = NULL;
	struct err err;

	if (tree_build(layers, n, &t, &err) == 0 &&
	    erofs_write(t, uuid, fd, &info, &err) == 0 &&
	    (info.bytes % EROFS_BLOCK || info.inodes != t->norder))
		abort();
	tree_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct index ix[2];
	const char *why;
	size_t len;
	void *p;

	if (fd < 0)
		fd = memfd_create("fsmeta", MFD_CLOEXEC);
	if (size == 0)
		return 0;
	p = make_index(data, size, &len);
	if (index_check(p, len, &ix[0], &why) == 0) {
		ix[1] = ix[0]; /* once more on top of itself */
		use(ix, 1, fd);
		use(ix, 2, fd);
	}
	free(p);
	return 0;
}
