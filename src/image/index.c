#include "image/index.h"

#include <errno.h>
#include <isa-l/crc.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/num.h"
#include "image/layer_path.h"

#include "base/banned.h"

#define CRC_STEP (1u << 30)
#define NS_MAX   999999999u

uint32_t index_crc(uint32_t crc, const void *data, uint64_t len)
{
	const uint8_t *p = data;

	while (len) {
		uint64_t n = MIN(len, (uint64_t)CRC_STEP);

		crc = crc32_iscsi((unsigned char *)p, (int)n, crc);
		p += n;
		len -= n;
	}
	return crc;
}

uint32_t index_header_crc(const struct index_header *h)
{
	struct index_header copy = *h;

	copy.header_crc = 0;
	return index_crc(INDEX_CRC_INIT, &copy, sizeof(copy));
}

static bool in_pool(const struct index *ix, uint64_t off, uint64_t len)
{
	return off + len <= ix->header->pool_bytes; /* both are 32 bits */
}

static bool xattrs_ok(const uint8_t *p, uint32_t len)
{
	const uint8_t *end = p + len;

	while (p < end) {
		uint32_t whole;

		if (end - p < 3)
			return false;
		whole = 3u + p[0] + get_le16(p + 1);
		if (p[0] == 0 || whole > (uint64_t)(end - p))
			return false;
		p += whole;
	}
	return true;
}

/* What a type's `link`, `size` and `block` may be. */
static bool content_ok(const struct index *ix, const struct index_entry *e)
{
	const uint8_t *link = ix->pool + e->link_off;
	uint64_t blocks;

	if (e->type == INDEX_REG && !(e->flags & INDEX_F_INLINE)) {
		blocks = (e->size + INDEX_BLOCK - 1) / INDEX_BLOCK;
		return e->link_len == 0 && e->size <= INDEX_DATA_MAX &&
		       e->block <= ix->header->data_blocks &&
		       blocks <= ix->header->data_blocks - e->block;
	}
	if (e->type == INDEX_REG)
		return e->size == e->link_len && e->size <= INDEX_INLINE_MAX;
	if (e->type == INDEX_SYM)
		return e->link_len > 0 && e->link_len <= INDEX_PATH_MAX &&
		       !memchr(link, 0, e->link_len);
	if (e->type == INDEX_HARD)
		return layer_path_is_clean(link, e->link_len);
	return e->link_len == 0;
}

static bool entry_ok(const struct index *ix, const struct index_entry *e)
{
	if (!in_pool(ix, e->path_off, e->path_len) ||
	    !in_pool(ix, e->link_off, e->link_len) ||
	    !in_pool(ix, e->xattr_off, e->xattr_len))
		return false;
	if (e->type == 0 || e->type >= INDEX_TYPES || e->mode > 07777 ||
	    e->mtime_ns > NS_MAX || (e->flags & ~INDEX_F_INLINE) ||
	    (e->flags && e->type != INDEX_REG) ||
	    (e->type == INDEX_CHR && e->rdev == 0))
		return false;
	return layer_path_is_clean(ix->pool + e->path_off, e->path_len) &&
	       xattrs_ok(ix->pool + e->xattr_off, e->xattr_len) &&
	       content_ok(ix, e);
}

static bool header_ok(const struct index_header *h)
{
	return h->magic == INDEX_MAGIC && h->version == INDEX_VERSION &&
	       h->header_crc == index_header_crc(h) &&
	       h->entries <= INDEX_ENTRIES_MAX && h->pool_bytes <= UINT32_MAX &&
	       h->data_blocks <= INDEX_DATA_MAX / INDEX_BLOCK;
}

static uint64_t file_bytes(const struct index_header *h)
{
	return INDEX_HEADER + h->entries * sizeof(struct index_entry) +
	       h->pool_bytes;
}

int index_check(const void *data, uint64_t len, struct index *ret,
                const char **ret_why)
{
	struct index ix = {.map = data, .map_len = len, .header = data};
	uint64_t entries_bytes;

	*ret_why = "wrong header";
	if (len < INDEX_HEADER || !header_ok(ix.header) ||
	    file_bytes(ix.header) != len)
		return -EBADMSG;
	ix.n = (uint32_t)ix.header->entries;
	entries_bytes = ix.n * sizeof(struct index_entry);
	ix.entries = (const void *)(ix.map + INDEX_HEADER);
	ix.pool = ix.map + INDEX_HEADER + entries_bytes;
	*ret_why = "wrong checksum";
	if (index_crc(INDEX_CRC_INIT, ix.entries, entries_bytes) !=
	            ix.header->entries_crc ||
	    index_crc(INDEX_CRC_INIT, ix.pool, ix.header->pool_bytes) !=
	            ix.header->pool_crc)
		return -EBADMSG;
	*ret_why = "malformed entry";
	for (uint32_t i = 0; i < ix.n; i++)
		if (!entry_ok(&ix, &ix.entries[i]))
			return -EBADMSG;
	*ret = ix;
	return 0;
}

int index_open(int fd, struct index *ret, struct err *err)
{
	const char *why;
	struct stat st;
	void *map;
	int r;

	if (fstat(fd, &st) < 0)
		return err_set(err, -errno, "index: %s", strerror(errno));
	if (st.st_size < INDEX_HEADER)
		return err_set(err, -EBADMSG, "index: cut short");
	map = mmap(NULL, (size_t)st.st_size, PROT_READ,
	           MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		return err_set(err, -errno, "index: %s", strerror(errno));
	r = index_check(map, (uint64_t)st.st_size, ret, &why);
	if (r < 0) {
		(void)munmap(map, (size_t)st.st_size);
		return err_set(err, r, "index: %s", why);
	}
	return 0;
}

void index_close(struct index *ix)
{
	if (ix->map)
		(void)munmap((void *)ix->map, (size_t)ix->map_len);
	*ix = (struct index){0};
}

int index_read_header(int fd, struct index_header *ret)
{
	struct index_header h;
	struct stat st;
	ssize_t n = fd_pread_full(fd, &h, sizeof(h), 0);

	if (n < 0)
		return (int)n;
	if (n != sizeof(h) || fstat(fd, &st) < 0 || !header_ok(&h) ||
	    (uint64_t)st.st_size != file_bytes(&h))
		return -EBADMSG;
	*ret = h;
	return 0;
}
