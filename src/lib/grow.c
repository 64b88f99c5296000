#include "lib/grow.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "image/rootfs.h"

#include "base/banned.h"

#define MARK "growing"

static int failed(int r, struct err *err)
{
	return err_set(err, r, "cannot open the sandbox's root disk: %s",
	               strerror(-r));
}

static int grow(const struct place *p, int fd, uint64_t size, struct err *err)
{
	cleanup_close int mark = place_file(p, MARK, O_RDWR | O_CREAT);
	int r;

	if (mark < 0)
		return failed(mark, err);
	if (fsync(mark) < 0 || fsync(p->dir_fd) < 0)
		return failed(-errno, err);
	r = upper_grow(fd, size, err);
	if (r == 0 && unlinkat(p->dir_fd, MARK, 0) < 0)
		return failed(-errno, err);
	return r;
}

int grow_open_upper(const struct place *p, uint64_t size, int *ret_fd,
                    uint64_t *ret_size, struct err *err)
{
	cleanup_close int fd = place_file(p, GROW_UPPER_FILE, O_RDWR);
	struct stat st;
	uint64_t want;
	int r;

	if (fd < 0)
		return failed(fd, err);
	if (fstat(fd, &st) < 0)
		return failed(-errno, err);
	want = MAX(size, (uint64_t)st.st_size);
	if ((uint64_t)st.st_size < size ||
	    faccessat(p->dir_fd, MARK, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		r = grow(p, fd, want, err);
		if (r < 0)
			return r;
	}
	*ret_fd = take_fd(fd);
	*ret_size = want;
	return 0;
}
