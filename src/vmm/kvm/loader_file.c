#include "vmm/kvm/loader_plan.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

#define PAGE 4096u

int loader_file_open(int fd, const char *name, int code,
                     struct loader_file *ret, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set(err, -EIO, "cannot look at the %s file: %s",
		               name, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, code, "the %s is not a regular file", name);
	if (st.st_size <= 0)
		return err_set(err, code, "the %s file is empty", name);
	*ret = (struct loader_file){
		.fd = fd, .size = (uint64_t)st.st_size, .name = name};
	return 0;
}

bool loader_file_has(const struct loader_file *f, uint64_t offset, uint64_t len)
{
	uint64_t end;

	return num_add(offset, len, &end) && end <= f->size;
}

int loader_file_read(const struct loader_file *f, uint64_t offset, void *data,
                     uint64_t len, struct err *err)
{
	ssize_t n = fd_pread_full(f->fd, data, (size_t)len, offset);

	if (n < 0)
		return err_set(err, -EIO, "cannot read the %s file: %s",
		               f->name, strerror((int)-n));
	if ((uint64_t)n != len)
		return err_set(err, -EIO,
		               "the %s file became shorter while it was read",
		               f->name);
	return 0;
}

/*
 * Sealed, or nobody but root and we may write to it: who could take its pages
 * away could as well end this process.
 */
bool loader_file_is_steady(const struct loader_file *f)
{
	const int want = F_SEAL_SHRINK | F_SEAL_WRITE;
	int seals = fcntl(f->fd, F_GET_SEALS);
	struct stat st;

	if (seals >= 0 && (seals & want) == want)
		return true;
	return fstat(f->fd, &st) == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH)) &&
	       (st.st_uid == 0 || st.st_uid == geteuid());
}

/* Whole pages only: what follows the last byte on its page stays as it was. */
static int map_pages(const struct loader_file *f, uint64_t offset, void *host,
                     uint64_t len)
{
	void *p = mmap(host, (size_t)len, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, f->fd,
	               (off_t)offset);

	if (p == MAP_FAILED)
		return -errno;
	(void)madvise(host, (size_t)len, MADV_DONTDUMP);
	return 0;
}

int loader_file_map(const struct loader_file *f, uint64_t offset, void *host,
                    uint64_t len, struct err *err)
{
	uint64_t head = (PAGE - offset % PAGE) % PAGE;
	uint64_t pages = len > head ? (len - head) / PAGE * PAGE : 0;
	uint8_t *p = host;
	int r;

	if (!pages || offset % PAGE != (uintptr_t)host % PAGE ||
	    map_pages(f, offset + head, p + head, pages) < 0)
		return loader_file_read(f, offset, host, len, err);
	r = loader_file_read(f, offset, p, head, err);
	if (r < 0)
		return r;
	head += pages;
	return loader_file_read(f, offset + head, p + head, len - head, err);
}
