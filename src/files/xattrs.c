#include "files/xattrs.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/num.h"

#include "base/banned.h"

#define LIST_MAX  (64u << 10) /* the kernel's own bounds */
#define VALUE_MAX (64u << 10)
#define CAPS      "security.capability"
#define OURS      "user.msb." /* src/fs/owner.h: what a share's files are */

bool files_xattrs_are_sound(const struct proto_bytes *x)
{
	const uint8_t *p = x->p, *end;

	if (x->n == 0 || x->n > PROTO_XATTRS_MAX)
		return x->n == 0;
	end = p + x->n;
	while (p < end) {
		size_t name, value;

		if (end - p < 3)
			return false;
		name = p[0];
		value = get_le16(p + 1);
		p += 3;
		if (name == 0 || name + value > (size_t)(end - p) ||
		    memchr(p, '\0', name))
			return false;
		p += name + value;
	}
	return true;
}

static bool usual(const char *name)
{
	return strncmp(name, "user.", 5) == 0 || strcmp(name, CAPS) == 0;
}

static int read_one(int fd, const char *name, struct buf *b)
{
	size_t len = strlen(name);
	uint8_t head[3] = {(uint8_t)len};
	ssize_t n;
	int r;

	if (len > 255)
		return 0;
	r = buf_reserve(b, 3 + len + VALUE_MAX);
	if (r < 0)
		return r;
	n = fgetxattr(fd, name, b->data + b->len + 3 + len, VALUE_MAX - 1);
	if (n < 0)
		return errno == ENODATA || errno == ENOTSUP ? 0 : -errno;
	put_le16(head + 1, (uint16_t)n);
	memcpy(b->data + b->len, head, 3);
	memcpy(b->data + b->len + 3, name, len);
	buf_commit(b, 3 + len + (size_t)n);
	return b->len > PROTO_XATTRS_MAX ? -E2BIG : 0;
}

int files_xattrs_read(int fd, bool (*wanted)(const char *name), struct buf *b)
{
	cleanup_free char *list = NULL;
	ssize_t n = flistxattr(fd, NULL, 0);
	int r = 0;

	if (n <= 0)
		return 0;
	list = malloc(LIST_MAX);
	if (!list)
		return -ENOMEM;
	n = flistxattr(fd, list, LIST_MAX);
	for (char *p = list; n > 0 && p < list + n && r == 0;
	     p += strlen(p) + 1)
		if ((wanted ? wanted : usual)(p))
			r = read_one(fd, p, b);
	return r;
}

static int write_one(int fd, const char *name, const void *value, size_t len)
{
	if (fsetxattr(fd, name, value, len, 0) == 0)
		return 0;
	return errno == ENOTSUP || errno == EPERM ? 0 : -errno;
}

/* Ours would make a guest's file set-id or a device in the next share. */
static bool may_write(const char *name, bool caps)
{
	if (strncmp(name, OURS, strlen(OURS)) == 0)
		return false;
	return strncmp(name, "user.", 5) == 0 ||
	       (caps && strcmp(name, CAPS) == 0);
}

int files_xattrs_write(int fd, const struct proto_bytes *x, bool caps)
{
	const uint8_t *p = x->p, *end = x->n ? p + x->n : p;
	int r = 0;

	while (p < end && r == 0) {
		size_t len = p[0], value = get_le16(p + 1);
		char name[256];

		memcpy(name, p + 3, len);
		name[len] = '\0';
		if (may_write(name, caps))
			r = write_one(fd, name, p + 3 + len, value);
		p += 3 + len + value;
	}
	return r;
}
