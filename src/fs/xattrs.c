/*
 * xattrs.c - extended attributes as the guest names them.
 *
 *	guest                     host
 *	user.NAME                 user.NAME, but for user.msb.*
 *	security.*, trusted.*     user.msb.x.security.*, ...
 *	system.* (ACLs)           none: EOPNOTSUPP
 *
 * So whatever the guest sets, the host's kernel takes no notice of it, and
 * nothing of the host's own security.* is shown.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "fs/server.h"

#include "base/banned.h"

#define OURS    "user.msb."
#define VIRTUAL "user.msb.x."
#define SKIP(p) (sizeof(p) - 1)

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static bool is_virtual(const char *name)
{
	return begins(name, "security.") || begins(name, "trusted.");
}

static bool is_hidden(const char *name)
{
	return begins(name, OURS) || owner_is_hidden(name);
}

/* The host's name for the guest's; @refuse: what hidden ones get. */
static int host_name(const char *name, char out[WIRE_NAME_MAX + 1], int refuse)
{
	const char *prefix = is_virtual(name) ? VIRTUAL : "";
	size_t len = strlen(name);

	if (!len || len > WIRE_NAME_MAX)
		return -ERANGE;
	if (!*prefix && !begins(name, "user."))
		return -EOPNOTSUPP;
	if (is_hidden(name))
		return refuse;
	if (strlen(prefix) + len > WIRE_NAME_MAX)
		return -ERANGE;
	memcpy(out, prefix, strlen(prefix));
	memcpy(out + strlen(prefix), name, len + 1);
	return 0;
}

/* Only files and folders can have any on the host. */
static bool has_attrs(const struct req *q)
{
	return q->share &&
	       (q->node->type == S_IFREG || q->node->type == S_IFDIR);
}

/* To look only: by its name will do. */
static int look(struct req *q, struct owner_file *ret)
{
	return has_attrs(q) ? node_place(q->fs, q->node, ret) : -EOPNOTSUPP;
}

static int target(struct req *q, struct owner_file *ret)
{
	int fd;

	if (!has_attrs(q))
		return -EOPNOTSUPP;
	fd = node_fd(q->fs, q->node);
	*ret = (struct owner_file){
		.fd = fd, .proc_fd = q->fs->proc_fd, .is_path = true};
	return fd < 0 ? fd : 0;
}

/* Either how long it is, or it. */
static int answer(struct req *q, uint32_t size, const void *data, size_t len)
{
	struct fuse_getxattr_out out = {.size = (uint32_t)len};

	if (!size)
		return req_put(q, &out, sizeof(out));
	return len > size ? -ERANGE : req_put(q, data, len);
}

int op_getxattr(struct req *q)
{
	uint32_t size = (uint32_t)MIN(q->a.xattr.size, WIRE_VALUE_MAX);
	cleanup_free char *value = NULL;
	char name[WIRE_NAME_MAX + 1];
	struct owner_file f;
	ssize_t n;
	int r = host_name(q->name, name, -ENODATA);

	if (r == 0)
		r = look(q, &f);
	if (r < 0)
		return r;
	if (size) {
		value = malloc(size);
		if (!value)
			return -ENOMEM;
	}
	n = xattr_get(&f, name, value, size);
	return n < 0 ? (int)n : answer(q, size, value, (size_t)n);
}

/* Attributes count where they are blocks of a file's. */
static uint64_t bytes_now(const struct owner_file *f)
{
	struct stat st;

	return fstat(f->fd, &st) == 0 ? view_bytes(&st) : 0;
}

static int set_attr(struct req *q, const struct owner_file *f, const char *name)
{
	struct quota *quota = &q->share->quota;
	uint64_t room = quota_room(0, q->value_len), before;
	int r = quota_take(quota, room);

	if (r < 0)
		return r;
	quota_lock(quota, q->node->ino);
	before = bytes_now(f);
	r = xattr_set(f, name, q->value, q->value_len, (int)q->a.xattr.flags);
	quota_settle(quota, room, before, bytes_now(f));
	quota_unlock(quota, q->node->ino);
	return r;
}

int op_setxattr(struct req *q)
{
	char name[WIRE_NAME_MAX + 1];
	struct owner_file f;
	int r = host_name(q->name, name, -EPERM);

	if (q->value_len > WIRE_VALUE_MAX)
		return -E2BIG;
	if (q->a.xattr.size != q->value_len ||
	    q->a.xattr.flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (r == 0)
		r = target(q, &f);
	if (r == 0)
		r = set_attr(q, &f, name);
	if (r == 0 && strcmp(name, XATTR_CAPS) == 0)
		caps_set(q->fs, q->node);
	return r;
}

int op_removexattr(struct req *q)
{
	char name[WIRE_NAME_MAX + 1];
	struct owner_file f;
	uint64_t before;
	int r = host_name(q->name, name, -EPERM);

	if (r == 0)
		r = target(q, &f);
	if (r < 0)
		return r;
	before = bytes_now(&f);
	r = xattr_remove(&f, name);
	quota_settle(&q->share->quota, 0, before, bytes_now(&f));
	return r;
}

/* Turn the host's list of @len bytes into the guest's, in place. */
static size_t translate(char *list, size_t len)
{
	size_t at = 0, to = 0;

	while (at < len) {
		size_t n = strnlen(list + at, len - at);
		const char *name = list + at;
		bool show = false;

		at += n + 1;
		if (at > len) /* no end: cannot be */
			break;
		if (begins(name, VIRTUAL) && is_virtual(name + SKIP(VIRTUAL))) {
			name += SKIP(VIRTUAL);
			n -= SKIP(VIRTUAL);
			show = true;
		} else if (begins(name, "user.")) {
			show = !is_hidden(name);
		}
		if (!show)
			continue;
		memmove(list + to, name, n + 1);
		to += n + 1;
	}
	return to;
}

int op_listxattr(struct req *q)
{
	cleanup_free char *list = NULL;
	struct owner_file f;
	ssize_t n;
	int r = look(q, &f);

	if (r == -EOPNOTSUPP)
		return answer(q, q->a.xattr.size, "", 0);
	if (r < 0)
		return r;
	list = malloc(WIRE_VALUE_MAX);
	if (!list)
		return -ENOMEM;
	n = xattr_list(&f, list, WIRE_VALUE_MAX);
	if (n < 0)
		return (int)n;
	return answer(q, q->a.xattr.size, list, translate(list, (size_t)n));
}
