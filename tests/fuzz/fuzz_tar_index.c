/* An outer tar: members lie inside the file, links end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "image/tar_index.h"

#include "base/banned.h"

static void check(const struct tar_index *ix, size_t len)
{
	for (uint32_t i = 0; i < ix->n; i++) {
		const struct tar_member *m;

		if (tar_index_find(ix, ix->members[i].name, &m, NULL) < 0)
			continue;
		if (m->link || m->offset > len || m->size > len - m->offset ||
		    m->name[0] == '/' || strncmp(m->name, "../", 3) == 0)
			abort();
	}
}

/* Wrong sums would end nearly every run, so they are made right. */
static void fix_sums(uint8_t *data, size_t len)
{
	for (size_t at = 0; at + 512 <= len; at += 512) {
		unsigned sum = 0;

		if (memcmp(data + at + 257, "ustar", 5) != 0)
			continue;
		for (size_t i = 0; i < 512; i++)
			sum += i >= 148 && i < 156 ? ' ' : data[at + i];
		for (int i = 5; i >= 0; i--, sum >>= 3)
			data[at + 148 + (size_t)i] = (uint8_t)('0' + (sum & 7));
		data[at + 154] = data[at + 155] = 0;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static int fd = -1;
	struct tar_index ix;
	uint8_t *copy = malloc(len + 1);

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (!copy || fd < 0)
		abort();
	memcpy(copy, data, len);
	fix_sums(copy, len);
	if (ftruncate(fd, 0) < 0 || fd_pwrite_full(fd, copy, len, 0) < 0)
		abort();
	if (tar_index_build(fd, len, &ix, NULL) == 0) {
		check(&ix, len);
		tar_index_release(&ix);
	}
	free(copy);
	return 0;
}
