#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "fs/owner.h"
#include "fs/xattr.h"

#include "base/banned.h"

#define SIZE      20 /* of both attributes */
#define LIST_SIZE 512

#define BITS_RWX     0777u
#define BITS_SPECIAL 07000u /* setuid, setgid, sticky */
#define BITS_ALL     07777u

static const char magic[4] = {'M', 'S', 'B', '1'};
static const char magic_old[4] = {1, 0, 0, 0};

/* Whether the last file had one: files next to each other are alike. */
static atomic_bool last_had;

static bool parse(const void *data, size_t len, const char *head,
                  struct owner *ret)
{
	const uint8_t *p = data;
	uint32_t mode;

	if (len != SIZE || memcmp(p, head, sizeof(magic)) != 0)
		return false;
	mode = get_le32(p + 12);
	if (mode & ~(S_IFMT | BITS_ALL))
		return false;
	*ret = (struct owner){get_le32(p + 4), get_le32(p + 8), mode,
	                      get_le32(p + 16)};
	if (!S_ISCHR(mode) && !S_ISBLK(mode))
		ret->rdev = 0;
	return S_ISREG(mode) || S_ISDIR(mode) || S_ISCHR(mode) ||
	       S_ISBLK(mode) || S_ISFIFO(mode) || S_ISSOCK(mode);
}

bool owner_parse(const void *data, size_t len, struct owner *ret)
{
	struct owner o;

	if (!parse(data, len, magic, &o))
		return false;
	*ret = o;
	return true;
}

bool owner_parse_old(const void *data, size_t len, struct owner *ret)
{
	struct owner o;

	if (!parse(data, len, magic_old, &o))
		return false;
	*ret = o;
	return true;
}

static void format(const struct owner *o, uint8_t out[SIZE])
{
	memcpy(out, magic, sizeof(magic));
	put_le32(out + 4, o->uid);
	put_le32(out + 8, o->gid);
	put_le32(out + 12, o->mode);
	put_le32(out + 16, o->rdev);
}

bool owner_is_hidden(const char *xattr)
{
	return strncmp(xattr, OWNER_PREFIX, strlen(OWNER_PREFIX)) == 0;
}

uint32_t owner_host_mode(uint32_t guest_mode, bool is_dir)
{
	uint32_t type = guest_mode & S_IFMT;

	if (is_dir && (guest_mode & S_ISVTX))
		return (guest_mode & BITS_RWX & ~0022u) | 0700;
	if (is_dir)
		return (guest_mode & BITS_RWX) | 0700;
	if (type && type != S_IFREG)
		return 0600;
	return (guest_mode & BITS_RWX) | 0600;
}

/* ---- what the host says ---- */

static bool can_have(const struct stat *st)
{
	return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode);
}

static uint32_t shown_id(uint32_t host, uint32_t ours, uint32_t shown,
                         bool is_root)
{
	if (host == ours)
		return shown;
	return is_root ? host : OWNER_NOBODY;
}

/* Without an attribute, and without squash. */
static void show_host(const struct fs_owners *map, struct stat *st)
{
	bool is_root = map->host_uid == 0;

	st->st_uid = shown_id(st->st_uid, map->host_uid, map->uid, is_root);
	st->st_gid = shown_id(st->st_gid, map->host_gid, map->gid, is_root);
}

/* ---- the attribute ---- */

/* A folder is one; a file may be all else that has no data. */
static bool fits(const struct owner *o, const struct stat *st)
{
	if (S_ISDIR(st->st_mode) || S_ISDIR(o->mode) || S_ISREG(o->mode))
		return (o->mode & S_IFMT) == (st->st_mode & S_IFMT);
	return st->st_size == 0;
}

static bool read_one(const struct owner_file *f, bool old, struct owner *ret)
{
	uint8_t data[SIZE + 1];
	ssize_t n = xattr_get(f, old ? OWNER_XATTR_OLD : OWNER_XATTR, data,
	                      sizeof(data));

	if (n < 0)
		return false;
	return old ? owner_parse_old(data, (size_t)n, ret)
	           : owner_parse(data, (size_t)n, ret);
}

/* Whether one of our names is in the file's list, or may be. */
static bool may_have(const struct owner_file *f)
{
	char names[LIST_SIZE];
	ssize_t n = xattr_list(f, names, sizeof(names));

	if (n < 0)
		return n == -ERANGE;
	for (const char *p = names; p < names + n; p += strlen(p) + 1)
		if (owner_is_hidden(p))
			return true;
	return false;
}

/* 1: there is one, and it is the predecessor's when *ret_old. */
static bool read_attr(const struct owner_file *f, struct owner *ret,
                      bool *ret_old)
{
	bool had;

	if (!last_had && !may_have(f))
		return false;
	*ret_old = false;
	had = read_one(f, false, ret);
	if (!had) {
		*ret_old = true;
		had = read_one(f, true, ret);
	}
	last_had = had;
	return had;
}

static void apply_mode(const struct owner *o, bool old, struct stat *st)
{
	bool is_dir = S_ISDIR(st->st_mode);

	if (!S_ISREG(o->mode) && !is_dir) {
		st->st_mode = o->mode;
		st->st_rdev = o->rdev;
		st->st_size = 0;
		st->st_blocks = 0;
	} else if (old || (st->st_mode & BITS_ALL) ==
	                          owner_host_mode(o->mode, is_dir)) {
		st->st_mode = o->mode;
	} else if (is_dir) {
		st->st_mode |= o->mode & BITS_SPECIAL;
	}
}

void owner_show(const struct owner_file *f, const struct fs_owners *map,
                struct stat *st)
{
	struct owner o;
	bool old = false;
	bool had = can_have(st) && read_attr(f, &o, &old) && fits(&o, st);

	show_host(map, st);
	if (had) {
		apply_mode(&o, old, st);
		if (o.uid != OWNER_UNSET)
			st->st_uid = o.uid;
		if (o.gid != OWNER_UNSET)
			st->st_gid = o.gid;
	}
	if (map->squash) {
		st->st_uid = map->uid;
		st->st_gid = map->gid;
	}
}

/* ---- keeping ---- */

static int host_chmod(const struct owner_file *f, uint32_t mode)
{
	char num[12];
	int r;

	if (!f->is_path) {
		r = fchmod(f->fd, mode);
	} else {
		(void)snprintf(num, sizeof(num), "%d", f->fd);
		r = fchmodat(f->proc_fd, num, mode, 0);
	}
	return r < 0 ? -errno : 0;
}

/* With squash nobody decides who owns it: that stays as it is kept. */
static void keep_ids(const struct owner_file *f, const struct fs_owners *map,
                     const struct stat *st, struct owner *o)
{
	struct owner was;
	bool old;

	if (!map->squash)
		return;
	o->uid = o->gid = OWNER_UNSET;
	if (!f->fresh && read_attr(f, &was, &old) && fits(&was, st)) {
		o->uid = was.uid;
		o->gid = was.gid;
	}
}

static bool is_plain(const struct fs_owners *map, const struct stat *st,
                     uint32_t host_mode, const struct owner *o)
{
	struct stat shown = *st;

	show_host(map, &shown);
	return (o->uid == shown.st_uid || o->uid == OWNER_UNSET) &&
	       (o->gid == shown.st_gid || o->gid == OWNER_UNSET) &&
	       (o->mode & S_IFMT) == (st->st_mode & S_IFMT) &&
	       (o->mode & BITS_ALL) == host_mode;
}

/* Both: without ours the predecessor's would be read again. */
static int drop_attr(const struct owner_file *f)
{
	static const char *const names[] = {OWNER_XATTR_OLD, OWNER_XATTR};

	for (size_t i = 0; !f->fresh && i < sizeof(names) / sizeof(*names);
	     i++) {
		int r = xattr_remove(f, names[i]);

		if (r < 0 && r != -ENODATA && r != -EOPNOTSUPP)
			return r;
	}
	return 0;
}

static int write_attr(const struct owner_file *f, const struct owner *o)
{
	uint8_t data[SIZE];
	int r;

	format(o, data);
	r = xattr_set(f, OWNER_XATTR, data, sizeof(data), 0);
	return r == -EOPNOTSUPP ? -EPERM : r;
}

/*
 * The mode goes first: with it we may write the attribute, and between the two
 * the file has fewer rights on the host and in the guest, not more.
 */
static int keep_file(const struct owner_file *f, const struct fs_owners *map,
                     const struct stat *st, struct owner o)
{
	uint32_t mode = owner_host_mode(o.mode, S_ISDIR(st->st_mode));
	bool other_mode = mode != (st->st_mode & BITS_ALL);
	int r = other_mode ? host_chmod(f, mode) : 0;

	if (r < 0)
		return r;
	keep_ids(f, map, st, &o);
	r = is_plain(map, st, mode, &o) ? drop_attr(f) : write_attr(f, &o);
	if (r < 0 && other_mode)
		(void)host_chmod(f, st->st_mode & BITS_ALL);
	return r;
}

/*
 * A link, or a device, fifo or socket of the host's: those act on what is
 * behind them, so nobody on the host gets a right to them from a guest.
 */
static int keep_special(const struct owner_file *f, const struct fs_owners *map,
                        const struct stat *st, const struct owner *o)
{
	uint32_t mode = o->mode & BITS_RWX;
	struct stat shown = *st;

	if (S_ISLNK(st->st_mode))
		return 0;
	show_host(map, &shown);
	if (!map->squash && (o->uid != shown.st_uid || o->gid != shown.st_gid))
		return -EPERM;
	if ((o->mode & BITS_ALL) == (st->st_mode & BITS_ALL))
		return 0;
	if (o->mode & BITS_SPECIAL || mode & ~st->st_mode)
		return -EPERM;
	return host_chmod(f, mode);
}

static int keep(const struct owner_file *f, const struct fs_owners *map,
                const struct stat *st, const struct owner *o)
{
	if (!can_have(st))
		return keep_special(f, map, st, o);
	if (!fits(o, st) || S_ISLNK(o->mode))
		return -EINVAL;
	return keep_file(f, map, st, *o);
}

/* By its own descriptor: a name may be another file with each call. */
static int keep_named(const struct owner_file *f, const struct fs_owners *map,
                      const struct stat *st, const struct owner *o)
{
	cleanup_close int fd =
		openat(f->fd, f->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct owner_file own = *f;
	struct stat now;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &now) < 0)
		return -errno;
	if (now.st_ino != st->st_ino || now.st_dev != st->st_dev ||
	    (now.st_mode & S_IFMT) != (st->st_mode & S_IFMT))
		return -ESTALE;
	own.fd = fd;
	own.is_path = true;
	own.name = NULL;
	return keep(&own, map, &now, o);
}

int owner_keep(const struct owner_file *f, const struct fs_owners *map,
               const struct stat *st, const struct owner *o)
{
	return f->name ? keep_named(f, map, st, o) : keep(f, map, st, o);
}
