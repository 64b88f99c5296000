#include "virtio/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/num.h"

#include "base/banned.h"

#define REGION_ALIGN  4096u
#define STAT_BLOCK    512u /* of st_blocks, whatever the file system's */
#define PAGES_AT_ONCE 8192u

static bool aligned(uint64_t v)
{
	return (v & (REGION_ALIGN - 1)) == 0;
}

static int insert(struct guest_mem *m, const struct guest_region *new)
{
	uint64_t end, alias_end;
	uint32_t i = 0;

	if (!new->len || !aligned(new->gpa | new->len) ||
	    !num_add(new->gpa, new->len, &end) ||
	    !num_add(new->alias, new->len, &alias_end))
		return -EINVAL;
	if (m->n == GUEST_MEM_MAX)
		return -ENOSPC;
	while (i < m->n && m->region[i].gpa < new->gpa)
		i++;
	if (i > 0 && m->region[i - 1].gpa + m->region[i - 1].len > new->gpa)
		return -EEXIST;
	if (i < m->n && end > m->region[i].gpa)
		return -EEXIST;
	memmove(&m->region[i + 1], &m->region[i],
	        (m->n - i) * sizeof(m->region[0]));
	m->region[i] = *new;
	m->n++;
	return 0;
}

int guest_mem_add(struct guest_mem *m, uint64_t gpa, uint64_t len,
                  uint64_t alias, void *host)
{
	const struct guest_region r = {.gpa = gpa,
	                               .len = len,
	                               .alias = alias,
	                               .host = host,
	                               .file = -1};

	return aligned((uintptr_t)host) ? insert(m, &r) : -EINVAL;
}

/* Nothing but a sealed file of the right size is mapped. */
static int check_file(int fd, uint64_t end)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return -EACCES;
	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_size >= 0 && end <= (uint64_t)st.st_size ? 0 : -EINVAL;
}

static void unmap(struct guest_region *r)
{
	if (!r->map)
		return;
	(void)munmap(r->map, r->map_len);
	close_fd(&r->file);
}

int guest_mem_map(struct guest_mem *m, uint64_t gpa, uint64_t len,
                  uint64_t alias, int fd, uint64_t offset)
{
	struct guest_region new = {.gpa = gpa, .len = len, .alias = alias};
	uint64_t end;
	int r;

	if (!len || !aligned(offset) || !num_add(offset, len, &end) ||
	    end > INT64_MAX)
		return -EINVAL;
	r = check_file(fd, end);
	if (r < 0)
		return r;
	new.map_len = (size_t)len;
	new.map = mmap(NULL, new.map_len, PROT_READ | PROT_WRITE,
	               MAP_SHARED | MAP_NORESERVE, fd, (off_t)offset);
	if (new.map == MAP_FAILED)
		return -errno;
	new.file = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* -1: not told then */
	(void)madvise(new.map, new.map_len, MADV_DONTDUMP);
	new.host = new.map;
	r = insert(m, &new);
	if (r < 0)
		unmap(&new);
	return r;
}

int guest_mem_remove(struct guest_mem *m, uint64_t gpa, uint64_t len)
{
	for (uint32_t i = 0; i < m->n; i++) {
		struct guest_region *r = &m->region[i];

		if (r->gpa != gpa || r->len != len)
			continue;
		unmap(r);
		m->n--;
		memmove(r, r + 1, (m->n - i) * sizeof(*r));
		return 0;
	}
	return -ENOENT;
}

void guest_mem_release(struct guest_mem *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		unmap(&m->region[i]);
	m->n = 0;
}

/* Two regions may be parts of one file, which then counts once. */
static uint64_t file_blocks(const struct guest_mem *m, uint32_t i)
{
	struct stat st, other;

	if (fstat(m->region[i].file, &st) < 0)
		return 0;
	for (uint32_t k = 0; k < i; k++)
		if (m->region[k].file >= 0 &&
		    fstat(m->region[k].file, &other) == 0 &&
		    other.st_ino == st.st_ino && other.st_dev == st.st_dev)
			return 0;
	return (uint64_t)st.st_blocks * STAT_BLOCK;
}

static uint64_t pages_present(const struct guest_region *r)
{
	uint8_t present[PAGES_AT_ONCE];
	uint64_t n = 0;

	for (uint64_t at = 0; at < r->len;) {
		size_t len =
			(size_t)MIN(r->len - at, PAGES_AT_ONCE * REGION_ALIGN);

		if (mincore(r->host + at, len, present) < 0)
			return 0;
		for (size_t i = 0; i < len / REGION_ALIGN; i++)
			n += present[i] & 1;
		at += len;
	}
	return n * REGION_ALIGN;
}

uint64_t guest_mem_resident(const struct guest_mem *m)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < m->n; i++)
		bytes += m->region[i].file >= 0 ? file_blocks(m, i)
		                                : pages_present(&m->region[i]);
	return bytes;
}

/* The region of @gpa and how many of its bytes start there, or NULL. */
static const struct guest_region *find(const struct guest_mem *m, uint64_t gpa,
                                       uint64_t *ret_left)
{
	for (uint32_t i = 0; i < m->n; i++) {
		const struct guest_region *r = &m->region[i];

		if (gpa < r->gpa || gpa - r->gpa >= r->len)
			continue;
		*ret_left = r->len - (gpa - r->gpa);
		return r;
	}
	return NULL;
}

void *guest_mem_at(const struct guest_mem *m, uint64_t gpa, uint64_t len)
{
	uint64_t left;
	const struct guest_region *r = find(m, gpa, &left);

	if (!r || !len || len > left)
		return NULL;
	return r->host + (gpa - r->gpa);
}

int guest_mem_iov(const struct guest_mem *m, uint64_t gpa, uint64_t len,
                  struct iovec *iov, unsigned max)
{
	unsigned n = 0;

	while (len) {
		uint64_t part;
		const struct guest_region *r = find(m, gpa, &part);

		if (!r)
			return -EFAULT;
		if (n == max)
			return -E2BIG;
		part = MIN(part, len);
		iov[n++] =
			(struct iovec){r->host + (gpa - r->gpa), (size_t)part};
		len -= part;
		if (!num_add(gpa, part, &gpa) && len)
			return -EFAULT;
	}
	return (int)n;
}

int guest_mem_from_alias(const struct guest_mem *m, uint64_t alias,
                         uint64_t len, uint64_t *ret_gpa)
{
	for (uint32_t i = 0; i < m->n; i++) {
		const struct guest_region *r = &m->region[i];
		uint64_t off = alias - r->alias;

		if (alias < r->alias || off >= r->len)
			continue;
		if (!len || len > r->len - off)
			return -EFAULT;
		*ret_gpa = r->gpa + off;
		return 0;
	}
	return -EFAULT;
}
