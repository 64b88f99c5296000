#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "lib/test.h"

#define BUFFERS 300

void driver_open(struct driver *d, const char *base, size_t nshares,
                 void (*tune)(struct driver *d))
{
	struct err err = {0};

	*d = (struct driver){.cfg = {.nshares = nshares}};
	(void)snprintf(d->top, sizeof(d->top), "%s/msb-fs-XXXXXX", base);
	assert_non_null(mkdtemp(d->top));
	d->top_fd = open(d->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(d->top_fd >= 0);
	for (size_t i = 0; i < nshares; i++) {
		struct fs_share *s = &d->shares[i];

		s->name[0] = (char)('a' + i);
		assert_int_equal(mkdirat(d->top_fd, s->name, 0755), 0);
		s->fd = openat(d->top_fd, s->name, O_PATH | O_CLOEXEC);
		s->usage_fd = -1;
		s->owners = (struct fs_owners){.host_uid = getuid(),
		                               .host_gid = getgid()};
	}
	d->cfg.shares = d->shares;
	d->cfg.proc_fd = open("/proc/self/fd", O_PATH | O_CLOEXEC);
	if (tune)
		tune(d);
	if (fs_new(&d->cfg, &d->fs, &err) < 0)
		fail_msg("fs_new: %s", err.msg);
	assert_int_equal(driver_init(d, WIRE_MINOR, UINT64_MAX, NULL), 0);
}

/* As deep as a guest may go, which is deeper than dir_remove() does. */
static void remove_tree(const char *path)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		(void)execlp("rm", "rm", "-rf", "--", path, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

void driver_close(struct driver *d)
{
	fs_free(d->fs);
	for (size_t i = 0; i < d->cfg.nshares; i++)
		(void)close(d->shares[i].fd);
	(void)close(d->cfg.proc_fd);
	(void)close(d->top_fd);
	remove_tree(d->top);
}

static unsigned add(struct iovec *v, unsigned n, void *data, size_t len,
                    unsigned cut)
{
	uint8_t *p = data;

	while (len) {
		size_t part = cut && n < BUFFERS - 8 ? MIN(cut, len) : len;

		v[n++] = (struct iovec){p, part};
		p += part;
		len -= part;
	}
	return n;
}

int driver_call(struct driver *d, uint32_t opcode, uint64_t node,
                const void *args, size_t args_len, const void *data,
                size_t data_len, void *reply, size_t room)
{
	struct fuse_in_header h = {
		.len = (uint32_t)(sizeof(h) + args_len + data_len),
		.opcode = opcode,
		.unique = ++d->unique,
		.nodeid = node,
		.uid = d->uid,
		.gid = d->gid,
	};
	struct fuse_out_header answer = {0};
	struct iovec out_v[BUFFERS], in_v[BUFFERS];
	struct iov out = {.v = out_v, .len = h.len};
	struct iov in = {.v = in_v, .len = sizeof(answer) + room};
	uint32_t len = 0;

	out.n = add(out_v, 0, &h, sizeof(h), d->cut);
	out.n = add(out_v, out.n, (void *)(uintptr_t)args, args_len, d->cut);
	out.n = add(out_v, out.n, (void *)(uintptr_t)data, data_len, d->cut);
	in.n = add(in_v, 0, &answer, sizeof(answer), d->cut);
	in.n = add(in_v, in.n, reply, room, d->cut);
	d->raw = fs_request(d->fs, &out, &in, &len);
	if (d->raw < 0)
		return d->raw;
	if (!len)
		return 0;
	assert_true(len >= sizeof(answer) && len <= sizeof(answer) + room);
	assert_int_equal(answer.len, len);
	assert_int_equal(answer.unique, h.unique);
	assert_true(answer.error <= 0);
	if (answer.error)
		assert_int_equal(len, sizeof(answer));
	return answer.error ? answer.error : (int)(len - sizeof(answer));
}

int driver_init(struct driver *d, uint32_t minor, uint64_t flags,
                struct fuse_init_out *ret)
{
	struct fuse_init_in a = {.major = 7,
	                         .minor = minor,
	                         .max_readahead = 131072,
	                         .flags = (uint32_t)flags,
	                         .flags2 = (uint32_t)(flags >> 32)};
	struct fuse_init_out out;
	int r = driver_call(d, FUSE_INIT, 0, &a, sizeof(a), NULL, 0, &out,
	                    sizeof(out));

	if (r < 0)
		return r;
	if (ret)
		*ret = out;
	return 0;
}

/* An operation with one name that is answered with an entry. */
static int entry_call(struct driver *d, uint32_t opcode, uint64_t parent,
                      const void *args, size_t args_len, const char *text,
                      size_t text_len, struct fuse_entry_out *ret)
{
	struct fuse_entry_out e;
	int r = driver_call(d, opcode, parent, args, args_len, text, text_len,
	                    &e, sizeof(e));

	if (r < 0)
		return r;
	assert_int_equal(r, sizeof(e));
	if (!e.nodeid)
		return -ENOENT;
	*ret = e;
	return 0;
}

static int64_t node_call(struct driver *d, uint32_t opcode, uint64_t parent,
                         const void *args, size_t args_len, const char *text,
                         size_t text_len)
{
	struct fuse_entry_out e;
	int r = entry_call(d, opcode, parent, args, args_len, text, text_len,
	                   &e);

	return r < 0 ? r : (int64_t)e.nodeid;
}

int d_entry(struct driver *d, uint64_t parent, const char *name,
            struct fuse_entry_out *ret)
{
	return entry_call(d, FUSE_LOOKUP, parent, NULL, 0, name,
	                  strlen(name) + 1, ret);
}

int64_t d_lookup(struct driver *d, uint64_t parent, const char *name)
{
	return node_call(d, FUSE_LOOKUP, parent, NULL, 0, name,
	                 strlen(name) + 1);
}

int64_t d_share(struct driver *d, const char *name)
{
	return d_lookup(d, FUSE_ROOT_ID, name);
}

int64_t d_mkdir(struct driver *d, uint64_t parent, const char *name,
                uint32_t mode)
{
	struct fuse_mkdir_in a = {.mode = mode};

	return node_call(d, FUSE_MKDIR, parent, &a, sizeof(a), name,
	                 strlen(name) + 1);
}

int64_t d_mknod(struct driver *d, uint64_t parent, const char *name,
                uint32_t mode, uint32_t rdev)
{
	struct fuse_mknod_in a = {.mode = mode, .rdev = rdev};

	return node_call(d, FUSE_MKNOD, parent, &a, sizeof(a), name,
	                 strlen(name) + 1);
}

static size_t two(char *out, size_t room, const char *a, const char *b)
{
	int n = snprintf(out, room, "%s%c%s", a, '\0', b);

	assert_true(n > 0 && (size_t)n < room);
	return (size_t)n + 1;
}

int64_t d_symlink(struct driver *d, uint64_t parent, const char *name,
                  const char *text)
{
	char both[8192];
	size_t len = two(both, sizeof(both), name, text);

	return node_call(d, FUSE_SYMLINK, parent, NULL, 0, both, len);
}

int d_create(struct driver *d, uint64_t parent, const char *name,
             uint32_t flags, uint32_t mode, uint64_t *ret_node,
             uint64_t *ret_fh)
{
	struct fuse_create_in a = {.flags = flags, .mode = mode};
	struct {
		struct fuse_entry_out e;
		struct fuse_open_out o;
	} out;
	int r = driver_call(d, FUSE_CREATE, parent, &a, sizeof(a), name,
	                    strlen(name) + 1, &out, sizeof(out));

	if (r < 0)
		return r;
	assert_int_equal(r, sizeof(out));
	*ret_node = out.e.nodeid;
	*ret_fh = out.o.fh;
	return 0;
}

int d_unlink(struct driver *d, uint64_t parent, const char *name)
{
	return driver_call(d, FUSE_UNLINK, parent, NULL, 0, name,
	                   strlen(name) + 1, NULL, 0);
}

int d_rmdir(struct driver *d, uint64_t parent, const char *name)
{
	return driver_call(d, FUSE_RMDIR, parent, NULL, 0, name,
	                   strlen(name) + 1, NULL, 0);
}

int d_rename(struct driver *d, uint64_t from, const char *name, uint64_t to,
             const char *name2, uint32_t flags)
{
	struct fuse_rename2_in a = {.newdir = to, .flags = flags};
	char both[600];
	size_t len = two(both, sizeof(both), name, name2);

	return driver_call(d, FUSE_RENAME2, from, &a, sizeof(a), both, len,
	                   NULL, 0);
}

int64_t d_link(struct driver *d, uint64_t node, uint64_t parent,
               const char *name)
{
	struct fuse_link_in a = {.oldnodeid = node};

	return node_call(d, FUSE_LINK, parent, &a, sizeof(a), name,
	                 strlen(name) + 1);
}

static int open_call(struct driver *d, uint32_t opcode, uint64_t node,
                     uint32_t flags, struct fuse_open_out *ret)
{
	struct fuse_open_in a = {.flags = flags};
	int r = driver_call(d, opcode, node, &a, sizeof(a), NULL, 0, ret,
	                    sizeof(*ret));

	return r < 0 ? r : 0;
}

int d_open(struct driver *d, uint64_t node, uint32_t flags, uint64_t *ret_fh,
           uint32_t *ret_flags)
{
	struct fuse_open_out out;
	int r = open_call(d, FUSE_OPEN, node, flags, &out);

	if (r < 0)
		return r;
	if (ret_fh)
		*ret_fh = out.fh;
	if (ret_flags)
		*ret_flags = out.open_flags;
	return 0;
}

int d_opendir(struct driver *d, uint64_t node, uint64_t *ret_fh)
{
	struct fuse_open_out out;
	int r = open_call(d, FUSE_OPENDIR, node, O_RDONLY, &out);

	if (r == 0)
		*ret_fh = out.fh;
	return r;
}

int d_release(struct driver *d, uint64_t node, uint64_t fh, bool dir)
{
	struct fuse_release_in a = {.fh = fh};

	return driver_call(d, dir ? FUSE_RELEASEDIR : FUSE_RELEASE, node, &a,
	                   sizeof(a), NULL, 0, NULL, 0);
}

int d_read(struct driver *d, uint64_t node, uint64_t fh, uint64_t off,
           void *data, size_t len)
{
	struct fuse_read_in a = {
		.fh = fh, .offset = off, .size = (uint32_t)len};

	return driver_call(d, FUSE_READ, node, &a, sizeof(a), NULL, 0, data,
	                   len);
}

int d_write_flags(struct driver *d, uint64_t node, uint64_t fh, uint64_t off,
                  const void *data, size_t len, uint32_t flags)
{
	struct fuse_write_in a = {.fh = fh,
	                          .offset = off,
	                          .size = (uint32_t)len,
	                          .write_flags = flags};
	struct fuse_write_out out;
	int r = driver_call(d, FUSE_WRITE, node, &a, sizeof(a), data, len, &out,
	                    sizeof(out));

	return r < 0 ? r : (int)out.size;
}

int d_write(struct driver *d, uint64_t node, uint64_t fh, uint64_t off,
            const void *data, size_t len)
{
	return d_write_flags(d, node, fh, off, data, len, 0);
}

int d_getattr(struct driver *d, uint64_t node, struct fuse_attr *ret)
{
	struct fuse_getattr_in a = {0};
	struct fuse_attr_out out;
	int r = driver_call(d, FUSE_GETATTR, node, &a, sizeof(a), NULL, 0, &out,
	                    sizeof(out));

	if (r < 0)
		return r;
	if (ret)
		*ret = out.attr;
	return 0;
}

int d_setattr(struct driver *d, uint64_t node, const struct fuse_setattr_in *a,
              struct fuse_attr *ret)
{
	struct fuse_attr_out out;
	int r = driver_call(d, FUSE_SETATTR, node, a, sizeof(*a), NULL, 0, &out,
	                    sizeof(out));

	if (r < 0)
		return r;
	if (ret)
		*ret = out.attr;
	return 0;
}

int d_chmod(struct driver *d, uint64_t node, uint32_t mode)
{
	return d_setattr(
		d, node,
		&(struct fuse_setattr_in){.valid = FATTR_MODE, .mode = mode},
		NULL);
}

int d_chown(struct driver *d, uint64_t node, uint32_t uid, uint32_t gid)
{
	return d_setattr(
		d, node,
		&(struct fuse_setattr_in){
			.valid = FATTR_UID | FATTR_GID, .uid = uid, .gid = gid},
		NULL);
}

int d_truncate(struct driver *d, uint64_t node, uint64_t size)
{
	return d_setattr(
		d, node,
		&(struct fuse_setattr_in){.valid = FATTR_SIZE, .size = size},
		NULL);
}

int d_readlink(struct driver *d, uint64_t node, char *out, size_t room)
{
	int r = driver_call(d, FUSE_READLINK, node, NULL, 0, NULL, 0, out,
	                    room - 1);

	if (r >= 0)
		out[r] = '\0';
	return r;
}

int d_setxattr(struct driver *d, uint64_t node, const char *name,
               const void *value, size_t len, uint32_t flags)
{
	struct {
		uint32_t size, flags;
	} a = {(uint32_t)len, flags};
	size_t name_len = strlen(name) + 1;
	char *text = malloc(name_len + len);
	int r;

	assert_non_null(text);
	memcpy(text, name, name_len);
	if (len)
		memcpy(text + name_len, value, len);
	r = driver_call(d, FUSE_SETXATTR, node, &a, sizeof(a), text,
	                name_len + len, NULL, 0);
	free(text);
	return r;
}

int d_getxattr(struct driver *d, uint64_t node, const char *name, void *value,
               size_t room)
{
	struct fuse_getxattr_in a = {.size = (uint32_t)room};
	struct fuse_getxattr_out out;
	int r = driver_call(d, FUSE_GETXATTR, node, &a, sizeof(a), name,
	                    strlen(name) + 1, room ? value : &out,
	                    room ? room : sizeof(out));

	return r < 0 || room ? r : (int)out.size;
}

int d_listxattr(struct driver *d, uint64_t node, char *list, size_t room)
{
	struct fuse_getxattr_in a = {.size = (uint32_t)room};
	struct fuse_getxattr_out out;
	int r = driver_call(d, FUSE_LISTXATTR, node, &a, sizeof(a), NULL, 0,
	                    room ? (void *)list : &out,
	                    room ? room : sizeof(out));

	return r < 0 || room ? r : (int)out.size;
}

int d_removexattr(struct driver *d, uint64_t node, const char *name)
{
	return driver_call(d, FUSE_REMOVEXATTR, node, NULL, 0, name,
	                   strlen(name) + 1, NULL, 0);
}

void d_forget(struct driver *d, uint64_t node, uint64_t count)
{
	struct fuse_forget_in a = {.nlookup = count};

	assert_int_equal(driver_call(d, FUSE_FORGET, node, &a, sizeof(a), NULL,
	                             0, NULL, 0),
	                 0);
}

int d_fallocate(struct driver *d, uint64_t node, uint64_t fh, uint32_t mode,
                uint64_t off, uint64_t len)
{
	struct fuse_fallocate_in a = {
		.fh = fh, .offset = off, .length = len, .mode = mode};

	return driver_call(d, FUSE_FALLOCATE, node, &a, sizeof(a), NULL, 0,
	                   NULL, 0);
}

int d_readdir(struct driver *d, uint64_t node, uint64_t fh, uint64_t off,
              bool plus, void *data, size_t room)
{
	struct fuse_read_in a = {
		.fh = fh, .offset = off, .size = (uint32_t)room};

	return driver_call(d, plus ? FUSE_READDIRPLUS : FUSE_READDIR, node, &a,
	                   sizeof(a), NULL, 0, data, room);
}
