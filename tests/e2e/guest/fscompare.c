/*
 * fscompare.c - the same random calls in two folders, results compared.
 *
 *	fscompare [-s SEED] [-n CALLS] [-k] [-x GROUP,...] FOLDER FOLDER
 *
 * Call number i is a function of (seed, i) alone, never of what came before,
 * so calls can be left out: when the two folders disagree, the sequence that
 * led there is made as short as possible by running parts of it again in fresh
 * folders, and printed. Compared are return value, errno, data read, lstat()
 * of all paths named and of their folders, fstat() of the descriptors used,
 * and, every 256 calls and at the end, the whole trees.
 *
 * Not compared: inode numbers, devices, blocks, sizes of folders, access
 * times, times of pipes (a pipe's kernel does not write them down). A time
 * counts as "now" when it is not one that utimensat() has set here, so the
 * clock's steps do not matter.
 *
 * -x leaves out a group of calls or a comparison (see `groups`), -k keeps
 * going over calls that differ (to count kinds of differences).
 */
#define _GNU_SOURCE       1
#define _FILE_OFFSET_BITS 64
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SLOTS         6
#define PATH_SIZE     1200
#define DATA_MAX      (192 * 1024)
#define OLD_TIME      1000000000 /* times that we set are below twice that / 1.5 */
#define OLD_SPAN      100000000
#define MINIMISE      400 /* runs at most to shorten a sequence */
#define CHECK_EACH    256
#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))

enum group {
	G_DEV,     /* device nodes */
	G_UID,     /* calls as another user, and chown */
	G_XATTR,   /* user.* attributes */
	G_TRUST,   /* trusted.* and security.* attributes */
	G_ACL,     /* POSIX ACLs */
	G_HOLE,    /* SEEK_DATA, SEEK_HOLE */
	G_ZERO,    /* FALLOC_FL_ZERO_RANGE */
	G_SHIFT,   /* FALLOC_FL_COLLAPSE_RANGE, INSERT_RANGE */
	G_DIRECT,  /* O_DIRECT */
	G_DIRLINK, /* compare the link count of folders */
	G_LOCK,
	G_TMP,       /* O_TMPFILE */
	G_EXCHANGE,  /* RENAME_EXCHANGE */
	G_HUGE,      /* offsets beyond 4 GiB */
	G_LINKOWNER, /* compare whose symbolic links are */
	NGROUPS,
};

static const char *const groups[NGROUPS] = {
	"dev",  "uid",  "xattr",    "trust",  "acl",
	"hole", "zero", "shift",    "direct", "dirlink",
	"lock", "tmp",  "exchange", "huge",   "linkowner",
};
static bool off[NGROUPS];

/* What a call may use; all of it is drawn for each. */
struct op {
	unsigned kind;
	char a[PATH_SIZE], b[PATH_SIZE];
	unsigned slot, slot2;
	int64_t at, at2;
	size_t len;
	mode_t mode;
	uint64_t pick, pick2;
	uint32_t user; /* 0: root */
	uint32_t seed;
};

struct result {
	long ret;
	int err;
	uint64_t hash; /* of what was read */
	struct stat st[6];
	int st_err[6];
	char text[2 * PATH_SIZE + 400];
};

struct side {
	const char *root;
	int dir, fd[SLOTS];
};

/* ---- random numbers: splitmix64 ---- */

static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static uint64_t below(uint64_t *state, uint64_t n)
{
	return next(state) % n;
}

static uint64_t mix(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

/* ---- drawing a call ---- */

static void draw_name(uint64_t *s, char *out)
{
	uint64_t n = below(s, 100);

	if (n < 96)
		sprintf(out, "%c%c", "abcd"[below(s, 4)], "12"[below(s, 2)]);
	else if (n < 98)
		memset(out, 'n', 255), out[255] = 0;
	else if (n < 99)
		memset(out, 'n', 256), out[256] = 0;
	else
		strcpy(out, "\xff\xfe \\n");
}

static void draw_path(uint64_t *s, char *out)
{
	uint64_t depth = below(s, 8);
	char name[300];

	depth = depth < 4 ? 1 : depth < 7 ? 2 : 3;
	*out = 0;
	for (uint64_t i = 0; i < depth; i++) {
		draw_name(s, name);
		if (i)
			strcat(out, "/");
		strcat(out, name);
	}
}

static int64_t draw_offset(uint64_t *s)
{
	switch (below(s, 8)) {
	case 0:
		return 0;
	case 1:
		return 4096 * (int64_t)below(s, 40);
	case 2:
		return off[G_HUGE] ? 77777
		                   : (5LL << 30) + (int64_t)below(s, 9000);
	default:
		return (int64_t)below(s, 150000);
	}
}

static size_t draw_len(uint64_t *s)
{
	switch (below(s, 6)) {
	case 0:
		return below(s, 3);
	case 1:
		return 4096 * (1 + below(s, 16));
	case 2:
		return below(s, DATA_MAX);
	default:
		return below(s, 9000);
	}
}

static mode_t draw_mode(uint64_t *s)
{
	static const mode_t modes[] = {0644,  0755, 0666,  0777,  0600,
	                               0700,  0,    04755, 02775, 01777,
	                               06777, 0444, 0222};

	return modes[below(s, ARRAY_SIZE(modes))];
}

/* ---- the calls ---- */

static void __attribute__((format(printf, 2, 3)))
say(struct result *r, const char *fmt, ...)
{
	size_t have = strlen(r->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->text + have, sizeof(r->text) - have, fmt, ap);
	va_end(ap);
}

static void done(struct result *r, long ret)
{
	r->ret = ret < 0 ? -1 : ret;
	r->err = ret < 0 ? errno : 0;
}

/* Success is all that counts, not the number. */
static void done_ok(struct result *r, long ret)
{
	done(r, ret < 0 ? -1 : 0);
}

static uint8_t *fill(uint32_t seed, size_t len)
{
	static uint8_t data[DATA_MAX + 4096] __attribute__((aligned(4096)));
	uint64_t s = seed;

	for (size_t i = 0; i < len; i += 8) {
		uint64_t v = next(&s);

		memcpy(data + i, &v, len - i < 8 ? len - i : 8);
	}
	return data;
}

static uint8_t *room(void)
{
	static uint8_t data[DATA_MAX + 4096] __attribute__((aligned(4096)));

	return data;
}

static void put(struct side *s, unsigned slot, int fd)
{
	if (s->fd[slot] >= 0)
		close(s->fd[slot]);
	s->fd[slot] = fd;
}

static void do_open(struct side *s, const struct op *o, struct result *r)
{
	static const int flags[] = {
		O_CREAT,
		O_CREAT | O_EXCL,
		O_CREAT | O_TRUNC,
		O_TRUNC,
		O_APPEND,
		O_CREAT | O_APPEND,
		O_DIRECTORY,
		O_NOFOLLOW,
		O_PATH,
		O_PATH | O_NOFOLLOW,
		O_CREAT | O_SYNC,
		O_CREAT | O_DIRECT,
		O_CREAT | O_DSYNC | O_NOFOLLOW,
		O_NOATIME,
		0,
	};
	int f = flags[o->pick % ARRAY_SIZE(flags)];
	int access = (int[]){O_RDWR, O_RDWR, O_RDONLY, O_WRONLY}[o->pick2 % 4];
	int fd;

	if (f & O_DIRECT && off[G_DIRECT])
		f &= ~O_DIRECT;
	say(r, "open %s flags 0%o mode 0%o -> slot %u", o->a, f | access,
	    o->mode, o->slot);
	fd = openat(s->dir, o->a, f | access | O_NONBLOCK | O_CLOEXEC, o->mode);
	done_ok(r, fd);
	if (fd >= 0)
		put(s, o->slot, fd);
}

static void do_tmpfile(struct side *s, const struct op *o, struct result *r)
{
	int fd;

	if (off[G_TMP])
		return;
	say(r, "open O_TMPFILE in %s mode 0%o -> slot %u", o->a, o->mode,
	    o->slot);
	fd = openat(s->dir, o->pick % 4 ? "." : o->a,
	            O_TMPFILE | O_RDWR | (o->pick2 % 4 ? 0 : O_EXCL), o->mode);
	done_ok(r, fd);
	if (fd >= 0)
		put(s, o->slot, fd);
}

static void do_close(struct side *s, const struct op *o, struct result *r)
{
	say(r, "close slot %u", o->slot);
	done(r, s->fd[o->slot] < 0 ? 0 : close(s->fd[o->slot]));
	s->fd[o->slot] = -1;
}

static bool is_direct(struct side *s, unsigned slot)
{
	int f = fcntl(s->fd[slot], F_GETFL);

	return f >= 0 && f & O_DIRECT;
}

static void do_write(struct side *s, const struct op *o, struct result *r)
{
	size_t len = o->len;

	if (is_direct(s, o->slot)) { /* what is not aligned differs by disk */
		len = len / 4096 * 4096;
		lseek(s->fd[o->slot], o->at / 4096 * 4096, SEEK_SET);
	}
	say(r, "write slot %u len %zu", o->slot, len);
	done(r, write(s->fd[o->slot], fill(o->seed, len), len));
}

static void do_pwrite(struct side *s, const struct op *o, struct result *r)
{
	size_t len = o->len;
	int64_t at = o->at;

	if (is_direct(s, o->slot))
		len = len / 4096 * 4096, at = at / 4096 * 4096;
	say(r, "pwrite slot %u at %lld len %zu", o->slot, (long long)at, len);
	done(r, pwrite(s->fd[o->slot], fill(o->seed, len), len, at));
}

static void got(struct result *r, long n)
{
	done(r, n);
	if (n > 0)
		r->hash = mix(1, room(), (size_t)n);
}

static void do_read(struct side *s, const struct op *o, struct result *r)
{
	if (is_direct(s, o->slot))
		return;
	say(r, "read slot %u len %zu", o->slot, o->len);
	got(r, read(s->fd[o->slot], room(), o->len));
}

static void do_pread(struct side *s, const struct op *o, struct result *r)
{
	size_t len = o->len;
	int64_t at = o->at;

	if (is_direct(s, o->slot))
		len = len / 4096 * 4096, at = at / 4096 * 4096;
	say(r, "pread slot %u at %lld len %zu", o->slot, (long long)at, len);
	got(r, pread(s->fd[o->slot], room(), len, at));
}

static void do_lseek(struct side *s, const struct op *o, struct result *r)
{
	static const int how[] = {SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA,
	                          SEEK_HOLE};
	int w = how[o->pick % 5];
	struct stat st;

	/* Of a folder a position is the file system's own business. */
	if (fstat(s->fd[o->slot], &st) == 0 && !S_ISREG(st.st_mode))
		return;
	if (w >= SEEK_DATA && off[G_HOLE])
		return;
	say(r, "lseek slot %u at %lld whence %d", o->slot, (long long)o->at, w);
	done(r, lseek(s->fd[o->slot], o->at, w));
}

static void do_truncate(struct side *s, const struct op *o, struct result *r)
{
	char path[2 * PATH_SIZE];

	if (o->pick % 2) {
		say(r, "ftruncate slot %u to %lld", o->slot, (long long)o->at);
		done(r, ftruncate(s->fd[o->slot], o->at));
		return;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", s->dir, o->a);
	say(r, "truncate %s to %lld", o->a, (long long)o->at);
	done(r, truncate(path, o->pick % 16 ? o->at : -1));
}

static void do_rename(struct side *s, const struct op *o, struct result *r)
{
	unsigned flags = (unsigned[]){0, 0, 0, RENAME_NOREPLACE,
	                              RENAME_EXCHANGE}[o->pick % 5];

	if (flags == RENAME_EXCHANGE && off[G_EXCHANGE])
		return;
	say(r, "rename %s to %s flags %u", o->a, o->b, flags);
	done(r, renameat2(s->dir, o->a, s->dir, o->b, flags));
}

static void do_link(struct side *s, const struct op *o, struct result *r)
{
	char path[64];

	if (o->pick % 3 == 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d",
		         s->fd[o->slot]);
		say(r, "link slot %u to %s", o->slot, o->b);
		done(r,
		     linkat(AT_FDCWD, path, s->dir, o->b, AT_SYMLINK_FOLLOW));
		return;
	}
	say(r, "link %s to %s%s", o->a, o->b,
	    o->pick % 3 == 1 ? " following" : "");
	done(r, linkat(s->dir, o->a, s->dir, o->b,
	               o->pick % 3 == 1 ? AT_SYMLINK_FOLLOW : 0));
}

static void do_symlink(struct side *s, const struct op *o, struct result *r)
{
	static const char long_text[] = "x/../";
	char target[4096] = "";

	if (o->pick % 8)
		snprintf(target, sizeof(target), "%s", o->a);
	else
		for (size_t i = 0; i < o->pick2 % 500; i++)
			strcat(target, long_text);
	say(r, "symlink to %.40s as %s", target, o->b);
	done(r, symlinkat(target, s->dir, o->b));
}

static void do_readlink(struct side *s, const struct op *o, struct result *r)
{
	say(r, "readlink %s", o->a);
	got(r,
	    readlinkat(s->dir, o->a, (char *)room(), o->pick % 4 ? 5000 : 3));
}

static void do_unlink(struct side *s, const struct op *o, struct result *r)
{
	say(r, "unlink %s", o->a);
	done(r, unlinkat(s->dir, o->a, 0));
}

static void do_rmdir(struct side *s, const struct op *o, struct result *r)
{
	say(r, "rmdir %s", o->a);
	done(r, unlinkat(s->dir, o->a, AT_REMOVEDIR));
}

static void do_mkdir(struct side *s, const struct op *o, struct result *r)
{
	say(r, "mkdir %s mode 0%o", o->a, o->mode);
	done(r, mkdirat(s->dir, o->a, o->mode));
}

static void do_mknod(struct side *s, const struct op *o, struct result *r)
{
	mode_t type = (mode_t[]){S_IFIFO, S_IFSOCK, S_IFREG, S_IFCHR,
	                         S_IFBLK}[o->pick % 5];

	if ((type == S_IFCHR || type == S_IFBLK) && off[G_DEV])
		return;
	say(r, "mknod %s mode 0%o", o->a, type | o->mode);
	/* No such driver: opening gives ENXIO and changes nothing. */
	done(r, mknodat(s->dir, o->a, type | o->mode,
	                makedev(240 + o->pick2 % 8, 3)));
}

static void do_chmod(struct side *s, const struct op *o, struct result *r)
{
	if (o->pick % 3 == 0) {
		say(r, "fchmod slot %u to 0%o", o->slot, o->mode);
		done(r, fchmod(s->fd[o->slot], o->mode));
		return;
	}
	say(r, "chmod %s to 0%o", o->a, o->mode);
	done(r, fchmodat(s->dir, o->a, o->mode, 0));
}

static void do_chown(struct side *s, const struct op *o, struct result *r)
{
	static const uint32_t ids[] = {0, 1000, 1001, 100000, -1u};
	uint32_t uid = ids[o->pick % 5], gid = ids[o->pick2 % 5];

	if (off[G_UID])
		return;
	/*
	 * By one who is not the owner, of a setuid file, this is EPERM on
	 * ext4, which clears the bit in the kernel; FUSE leaves it to the
	 * server, which is not asked when nothing else changes.
	 */
	if (uid == -1u && gid == -1u)
		uid = 0;
	if (o->pick % 3 == 0) {
		say(r, "fchown slot %u to %d:%d", o->slot, (int)uid, (int)gid);
		done(r, fchown(s->fd[o->slot], uid, gid));
		return;
	}
	/* Who owns a link, a plain user's share cannot keep: no lchown. */
	say(r, "chown %s to %d:%d", o->a, (int)uid, (int)gid);
	done(r, fchownat(s->dir, o->a, uid, gid, 0));
}

static struct timespec draw_time(uint64_t pick)
{
	if (pick % 8 == 0)
		return (struct timespec){0, UTIME_NOW};
	if (pick % 8 == 1)
		return (struct timespec){0, UTIME_OMIT};
	return (struct timespec){OLD_TIME + (int64_t)(pick / 8 % OLD_SPAN),
	                         (long)(pick / 64 % 1000000000)};
}

static void do_utimens(struct side *s, const struct op *o, struct result *r)
{
	struct timespec t[2] = {draw_time(o->pick), draw_time(o->pick2)};

	if (o->seed % 4 == 0) {
		say(r, "futimens slot %u", o->slot);
		done(r, futimens(s->fd[o->slot], t));
		return;
	}
	say(r, "utimens %s %lld.%09ld %lld.%09ld%s", o->a,
	    (long long)t[0].tv_sec, t[0].tv_nsec, (long long)t[1].tv_sec,
	    t[1].tv_nsec, o->seed % 4 == 1 ? " no follow" : "");
	done(r, utimensat(s->dir, o->a, t,
	                  o->seed % 4 == 1 ? AT_SYMLINK_NOFOLLOW : 0));
}

static const char *xattr_name(const struct op *o)
{
	static const char *const all[] = {
		"user.one",   "user.two",
		"user.three", "user.",
		"trusted.t",  "security.s",
		"nothing.n",  "user.longer.name.than.most.others.are"};
	const char *name = all[o->pick % ARRAY_SIZE(all)];

	if (off[G_TRUST] && (*name == 't' || *name == 's'))
		name = "user.one";
	return name;
}

/* In the folder of the path there is no *xattrat() before Linux 6.13. */
static const char *by_proc(struct side *s, const struct op *o)
{
	static char path[2 * PATH_SIZE];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", s->dir, o->a);
	return path;
}

static void do_setxattr(struct side *s, const struct op *o, struct result *r)
{
	size_t len = o->pick2 % 7 == 0   ? 0
	             : o->pick2 % 7 == 1 ? 1900
	                                 : o->pick2 % 90;
	int flags = (int[]){0, 0, 0, XATTR_CREATE, XATTR_REPLACE}[o->seed % 5];

	if (off[G_XATTR])
		return;
	say(r, "setxattr %s %s len %zu flags %d", o->a, xattr_name(o), len,
	    flags);
	if (o->seed % 3)
		done(r, setxattr(by_proc(s, o), xattr_name(o),
		                 fill(o->seed, len), len, flags));
	else
		done(r, fsetxattr(s->fd[o->slot], xattr_name(o),
		                  fill(o->seed, len), len, flags));
}

static void do_getxattr(struct side *s, const struct op *o, struct result *r)
{
	if (off[G_XATTR])
		return;
	say(r, "getxattr %s %s", o->a, xattr_name(o));
	got(r, lgetxattr(by_proc(s, o), xattr_name(o), room(),
	                 (size_t[]){5000, 5000, 4, 0}[o->pick2 % 4]));
}

static void do_removexattr(struct side *s, const struct op *o, struct result *r)
{
	if (off[G_XATTR])
		return;
	say(r, "removexattr %s %s", o->a, xattr_name(o));
	done(r, removexattr(by_proc(s, o), xattr_name(o)));
}

/* A sum that does not depend on the order. */
static uint64_t sum_of_names(const char *list, long len)
{
	uint64_t sum = 0;

	for (const char *p = list; p < list + len; p += strlen(p) + 1)
		if (strncmp(p, "security.", 9) != 0 || !off[G_TRUST])
			sum += mix(7, p, strlen(p));
	return sum;
}

static void do_listxattr(struct side *s, const struct op *o, struct result *r)
{
	long n;

	if (off[G_XATTR])
		return;
	say(r, "listxattr %s", o->a);
	n = llistxattr(by_proc(s, o), (char *)room(), 60000);
	done(r, n);
	if (n > 0)
		r->hash = sum_of_names((char *)room(), n);
}

/* An ACL as the kernel takes it: version, then tag, permissions, id. */
static size_t make_acl(const struct op *o, uint8_t *out)
{
	const uint16_t perm = o->pick2 % 8;
	const struct {
		uint16_t tag, perm;
		uint32_t id;
	} entries[] = {
		{1,  7,    -1u },
		{2,  perm, 1000},
		{4,  5,    -1u },
		{16, 7,    -1u },
		{32, perm, -1u }
        };
	const uint32_t version = 2;

	memcpy(out, &version, 4);
	memcpy(out + 4, entries, sizeof(entries));
	return 4 + sizeof(entries);
}

static void do_acl(struct side *s, const struct op *o, struct result *r)
{
	const char *name = o->pick % 2 ? "system.posix_acl_access"
	                               : "system.posix_acl_default";
	uint8_t acl[128];
	size_t len = make_acl(o, acl);

	if (off[G_ACL])
		return;
	if (o->seed % 3 == 0) {
		say(r, "get %s of %s", name, o->a);
		got(r, getxattr(by_proc(s, o), name, room(), 5000));
	} else if (o->seed % 3 == 1) {
		say(r, "remove %s of %s", name, o->a);
		done(r, removexattr(by_proc(s, o), name));
	} else {
		say(r, "set %s of %s", name, o->a);
		done(r, setxattr(by_proc(s, o), name, acl, len, 0));
	}
}

static void do_fallocate(struct side *s, const struct op *o, struct result *r)
{
	static const int modes[] = {
		0,
		FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_COLLAPSE_RANGE,
		FALLOC_FL_INSERT_RANGE,
	};
	int mode = modes[o->pick % ARRAY_SIZE(modes)];
	int64_t at = o->at % 1000000;

	if (mode & FALLOC_FL_ZERO_RANGE && off[G_ZERO])
		return;
	if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE) &&
	    off[G_SHIFT])
		return;
	say(r, "fallocate slot %u mode %d at %lld len %zu", o->slot, mode,
	    (long long)at, o->len);
	done(r, fallocate(s->fd[o->slot], mode, at, (off_t)o->len));
}

static void do_copy_range(struct side *s, const struct op *o, struct result *r)
{
	off_t from = o->at, to = o->at2;

	if (is_direct(s, o->slot) || is_direct(s, o->slot2))
		return;
	say(r, "copy_file_range slot %u at %lld to slot %u at %lld len %zu",
	    o->slot, (long long)from, o->slot2, (long long)to, o->len);
	done(r, copy_file_range(s->fd[o->slot], &from, s->fd[o->slot2], &to,
	                        o->len, 0));
}

static void do_sendfile(struct side *s, const struct op *o, struct result *r)
{
	off_t from = o->at % 150000;

	if (is_direct(s, o->slot) || is_direct(s, o->slot2))
		return;
	say(r, "sendfile slot %u at %lld to slot %u len %zu", o->slot,
	    (long long)from, o->slot2, o->len);
	done(r, sendfile(s->fd[o->slot2], s->fd[o->slot], &from, o->len));
}

static void do_mmap(struct side *s, const struct op *o, struct result *r)
{
	size_t at = (size_t)(o->at % 150000) / 4096 * 4096, len;
	bool writes = o->pick % 2;
	struct stat st;
	uint8_t *p;

	if (fstat(s->fd[o->slot], &st) < 0 || !S_ISREG(st.st_mode))
		return;
	if (st.st_size <= (off_t)at || is_direct(s, o->slot))
		return;
	len = (size_t)(st.st_size - (off_t)at);
	if (len > o->len + 1)
		len = o->len + 1;
	say(r, "mmap slot %u at %zu len %zu %s", o->slot, at, len,
	    writes ? "write" : "read");
	p = mmap(NULL, len, PROT_READ | (writes ? PROT_WRITE : 0), MAP_SHARED,
	         s->fd[o->slot], (off_t)at);
	if (p == MAP_FAILED) {
		done(r, -1);
		return;
	}
	if (writes)
		memcpy(p, fill(o->seed, len), len);
	r->hash = mix(1, p, len);
	done(r, msync(p, len, o->pick2 % 3 ? MS_SYNC : MS_ASYNC));
	munmap(p, len);
}

static void do_fsync(struct side *s, const struct op *o, struct result *r)
{
	say(r, "fsync slot %u", o->slot);
	done(r,
	     o->pick % 2 ? fsync(s->fd[o->slot]) : fdatasync(s->fd[o->slot]));
}

/* What another process gets, while this one has a lock. */
static int as_other(struct side *s, const struct op *o)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct flock l = {.l_type = F_WRLCK,
		                  .l_start = o->at2 % 1000,
		                  .l_len = 10};
		int fd = openat(s->dir, o->a, O_RDWR | O_NONBLOCK);

		if (fd < 0)
			_exit(100);
		if (o->pick % 2)
			_exit(flock(fd, LOCK_EX | LOCK_NB) ? errno : 0);
		if (fcntl(fd, F_GETLK, &l))
			_exit(errno);
		if (l.l_type == F_UNLCK)
			_exit(0);
		_exit(200 + l.l_type + (l.l_pid == getppid() ? 10 : 0));
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return WEXITSTATUS(status);
}

static void do_lock(struct side *s, const struct op *o, struct result *r)
{
	int fd = s->fd[o->slot];

	if (off[G_LOCK])
		return;
	if (o->pick % 2) {
		int how = (int[]){LOCK_SH, LOCK_EX, LOCK_UN}[o->pick2 % 3];

		say(r, "flock slot %u %d, then other on %s", o->slot, how,
		    o->a);
		done(r, flock(fd, how | LOCK_NB));
	} else {
		struct flock l = {
			.l_type = (short[]){F_RDLCK, F_WRLCK,
		                            F_UNLCK}
                          [o->pick2 % 3],
			.l_start = o->at % 1000,
			.l_len = (off_t)(o->len % 100)
                };

		say(r, "setlk slot %u %d, then other on %s", o->slot, l.l_type,
		    o->a);
		done(r, fcntl(fd, F_SETLK, &l));
	}
	r->hash = (uint64_t)as_other(s, o);
}

static uint64_t entry_sum(const struct dirent *e)
{
	uint8_t type = e->d_type;

	return mix(mix(3, e->d_name, strlen(e->d_name)), &type, 1);
}

/* The whole folder, and its rest again from a place remembered. */
static void do_readdir(struct side *s, const struct op *o, struct result *r)
{
	uint64_t sum = 0, rest = 0, again = 0;
	long place = 0, n = 0;
	struct dirent *e;
	DIR *d;
	int fd;

	say(r, "readdir %s", o->pick % 2 ? "." : o->a);
	fd = openat(s->dir, o->pick % 2 ? "." : o->a, O_RDONLY | O_DIRECTORY);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		done(r, -1);
		return;
	}
	for (; (e = readdir(d)); n++) {
		sum += entry_sum(e);
		if (n > (long)(o->pick2 % 8))
			rest += entry_sum(e);
		if (n == (long)(o->pick2 % 8))
			place = telldir(d);
	}
	if (n > (long)(o->pick2 % 8)) {
		seekdir(d, place);
		while ((e = readdir(d)))
			again += entry_sum(e);
	}
	closedir(d);
	done(r, n);
	r->hash = again == rest ? sum : 0xbad;
}

static void do_statfs(struct side *s, const struct op *o, struct result *r)
{
	struct statfs st;

	say(r, "statfs slot %u", o->slot);
	done(r, fstatfs(s->dir, &st));
	r->hash = st.f_namelen == 255 && st.f_bsize > 0 && st.f_blocks > 0 &&
	          st.f_bfree <= st.f_blocks && st.f_bavail <= st.f_bfree;
}

static void do_access(struct side *s, const struct op *o, struct result *r)
{
	int how = (int)(o->pick % 8);

	say(r, "access %s %d", o->a, how);
	done(r, syscall(SYS_faccessat2, s->dir, o->a, how,
	                AT_EACCESS | (o->pick2 % 2 ? AT_SYMLINK_NOFOLLOW : 0)));
}

static void do_stat(struct side *s, const struct op *o, struct result *r)
{
	struct stat st;
	int ret = fstatat(s->dir, o->a, &st, 0);

	say(r, "stat %s", o->a);
	done(r, ret);
	if (ret == 0)
		r->hash = ((uint64_t)st.st_mode << 32) ^ st.st_uid ^ st.st_gid;
}

/* To a folder below that has gone meanwhile, and what is there then. */
static void do_at_slot(struct side *s, const struct op *o, struct result *r)
{
	const char *last = strrchr(o->a, '/');
	int fd;

	last = last ? last + 1 : o->a;
	say(r, "create %s in slot %u", last, o->slot);
	fd = openat(s->fd[o->slot], last, O_CREAT | O_EXCL | O_WRONLY, o->mode);
	done_ok(r, fd);
	if (fd >= 0)
		close(fd);
}

static const struct {
	void (*run)(struct side *s, const struct op *o, struct result *r);
	unsigned weight;
	bool a, b, slot, slot2; /* what it uses, to be looked at after */
} kinds[] = {
	{do_open,        26, 1, 0, 1, 0},
        {do_tmpfile,     2,  1, 0, 1, 0},
	{do_close,       4,  0, 0, 0, 0},
        {do_write,       12, 0, 0, 1, 0},
	{do_pwrite,      10, 0, 0, 1, 0},
        {do_read,        6,  0, 0, 1, 0},
	{do_pread,       6,  0, 0, 1, 0},
        {do_lseek,       6,  0, 0, 1, 0},
	{do_truncate,    6,  1, 0, 1, 0},
        {do_rename,      12, 1, 1, 0, 0},
	{do_link,        6,  1, 1, 1, 0},
        {do_symlink,     5,  0, 1, 0, 0},
	{do_readlink,    2,  1, 0, 0, 0},
        {do_unlink,      6,  1, 0, 0, 0},
	{do_rmdir,       4,  1, 0, 0, 0},
        {do_mkdir,       12, 1, 0, 0, 0},
	{do_mknod,       4,  1, 0, 0, 0},
        {do_chmod,       6,  1, 0, 1, 0},
	{do_chown,       6,  1, 0, 1, 0},
        {do_utimens,     8,  1, 0, 1, 0},
	{do_setxattr,    6,  1, 0, 1, 0},
        {do_getxattr,    3,  1, 0, 0, 0},
	{do_removexattr, 2,  1, 0, 0, 0},
        {do_listxattr,   2,  1, 0, 0, 0},
	{do_acl,         4,  1, 0, 0, 0},
        {do_fallocate,   6,  0, 0, 1, 0},
	{do_copy_range,  5,  0, 0, 1, 1},
        {do_sendfile,    3,  0, 0, 1, 1},
	{do_mmap,        5,  0, 0, 1, 0},
        {do_fsync,       2,  0, 0, 1, 0},
	{do_lock,        3,  1, 0, 1, 0},
        {do_readdir,     5,  1, 0, 0, 0},
	{do_statfs,      1,  0, 0, 0, 0},
        {do_access,      4,  1, 0, 0, 0},
	{do_stat,        3,  1, 0, 0, 0},
        {do_at_slot,     2,  0, 0, 1, 0},
};

static void draw(uint64_t seed, unsigned i, struct op *o)
{
	uint64_t s = seed * 1000003 + i, sum = 0, at;

	next(&s);
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		sum += kinds[k].weight;
	at = below(&s, sum);
	for (o->kind = 0; at >= kinds[o->kind].weight; o->kind++)
		at -= kinds[o->kind].weight;
	draw_path(&s, o->a);
	draw_path(&s, o->b);
	o->slot = (unsigned)below(&s, SLOTS);
	o->slot2 = (unsigned)below(&s, SLOTS);
	o->at = draw_offset(&s);
	o->at2 = draw_offset(&s);
	o->len = draw_len(&s);
	o->mode = draw_mode(&s);
	o->pick = next(&s) >> 8;
	o->pick2 = next(&s) >> 8;
	o->seed = (uint32_t)next(&s);
	o->user = below(&s, 5) == 0 ? 1000 + (uint32_t)below(&s, 2) : 0;
	if (off[G_UID])
		o->user = 0;
}

/* ---- what the two sides say ---- */

static bool is_set(const struct timespec *t)
{
	return t->tv_sec < OLD_TIME + OLD_SPAN;
}

static const char *time_differs(const struct timespec *x,
                                const struct timespec *y)
{
	if (is_set(x) != is_set(y))
		return is_set(x) ? "changed in the second only"
		                 : "changed in the first only";
	if (is_set(x) && (x->tv_sec != y->tv_sec || x->tv_nsec != y->tv_nsec))
		return "differs";
	return NULL;
}

static const char *stat_differs(const struct stat *x, const struct stat *y)
{
	static char text[200];
	const char *t = NULL;
	bool dir = S_ISDIR(x->st_mode);

	/* A pipe's times are what its own kernel makes of them: not kept. */
	if (!S_ISFIFO(x->st_mode))
		t = time_differs(&x->st_mtim, &y->st_mtim);
	if (x->st_mode != y->st_mode)
		sprintf(text, "mode 0%o and 0%o", x->st_mode, y->st_mode);
	else if (!(S_ISLNK(x->st_mode) && off[G_LINKOWNER]) &&
	         (x->st_uid != y->st_uid || x->st_gid != y->st_gid))
		sprintf(text, "owner %u:%u and %u:%u", x->st_uid, x->st_gid,
		        y->st_uid, y->st_gid);
	else if (!dir && x->st_size != y->st_size)
		sprintf(text, "size %lld and %lld", (long long)x->st_size,
		        (long long)y->st_size);
	else if (!(dir && off[G_DIRLINK]) && x->st_nlink != y->st_nlink)
		sprintf(text, "links %lu and %lu", (long)x->st_nlink,
		        (long)y->st_nlink);
	else if (x->st_rdev != y->st_rdev)
		sprintf(text, "rdev %lx and %lx", (long)x->st_rdev,
		        (long)y->st_rdev);
	else if (t)
		sprintf(text, "mtime %s: %lld.%09ld and %lld.%09ld", t,
		        (long long)x->st_mtim.tv_sec, x->st_mtim.tv_nsec,
		        (long long)y->st_mtim.tv_sec, y->st_mtim.tv_nsec);
	else
		return NULL;
	return text;
}

static void look(struct side *s, const char *path, bool parent,
                 struct result *r, int i)
{
	char copy[PATH_SIZE], *slash;

	snprintf(copy, sizeof(copy), "%s", path);
	slash = strrchr(copy, '/');
	if (parent && slash)
		*slash = 0;
	else if (parent)
		strcpy(copy, ".");
	if (fstatat(s->dir, copy, &r->st[i], AT_SYMLINK_NOFOLLOW) < 0)
		r->st_err[i] = errno;
}

static void run_one(struct side *s, const struct op *o, struct result *r)
{
	memset(r, 0, sizeof(*r));
	if (o->user) {
		setfsgid(o->user);
		setfsuid(o->user);
		say(r, "as %u: ", o->user);
	}
	errno = 0;
	kinds[o->kind].run(s, o, r);
	if (o->user) {
		setfsuid(0);
		setfsgid(0);
	}
	for (int i = 0; i < 6; i++)
		r->st_err[i] = 0;
	if (kinds[o->kind].a) {
		look(s, o->a, false, r, 0);
		look(s, o->a, true, r, 1);
	}
	if (kinds[o->kind].b) {
		look(s, o->b, false, r, 2);
		look(s, o->b, true, r, 3);
	}
	if (kinds[o->kind].slot && fstat(s->fd[o->slot], &r->st[4]) < 0)
		r->st_err[4] = errno;
	if (kinds[o->kind].slot2 && fstat(s->fd[o->slot2], &r->st[5]) < 0)
		r->st_err[5] = errno;
}

static const char *differs(const struct result *x, const struct result *y)
{
	static const char *const what[] = {"path",        "its folder",
	                                   "second path", "its folder",
	                                   "slot",        "second slot"};
	static char text[400];

	if (x->ret != y->ret || x->err != y->err) {
		sprintf(text, "%ld (%s) and %ld (%s)", x->ret,
		        x->err ? strerrorname_np(x->err) : "fine", y->ret,
		        y->err ? strerrorname_np(y->err) : "fine");
		return text;
	}
	if (x->hash != y->hash) {
		sprintf(text, "what was read: %llx and %llx",
		        (long long)x->hash, (long long)y->hash);
		return text;
	}
	for (int i = 0; i < 6; i++) {
		const char *d = NULL;

		if (x->st_err[i] != y->st_err[i])
			sprintf(text, "stat of %s: error %d and %d", what[i],
			        x->st_err[i], y->st_err[i]);
		else if (!x->st_err[i] &&
		         (d = stat_differs(&x->st[i], &y->st[i])))
			sprintf(text, "stat of %s: %s", what[i], d);
		else
			continue;
		return text;
	}
	return NULL;
}

/* ---- whole trees ---- */

static uint64_t content(int fd, off_t size)
{
	static const uint8_t zero[4096];
	uint64_t h = 5;
	off_t at = 0;

	while (at < size) {
		uint8_t block[4096];
		ssize_t n;

		if (size > 8 << 20 && at % (1 << 20) == 0) {
			off_t data = lseek(fd, at, SEEK_DATA);

			if (data < 0)
				return errno == ENXIO ? h : 0;
			at = data / 4096 * 4096;
		}
		n = pread(fd, block, sizeof(block), at);
		if (n <= 0)
			return n < 0 ? 0 : h;
		if (memcmp(block, zero, (size_t)n) != 0)
			h = mix(mix(h, &at, sizeof(at)), block, (size_t)n);
		at += n;
	}
	return h;
}

/* All attributes of it by name and value, in any order. */
static uint64_t attributes(int dir, const char *name)
{
	char path[600], list[8192], value[8192];
	uint64_t sum = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name);
	n = off[G_XATTR] ? 0 : llistxattr(path, list, sizeof(list));
	for (const char *p = list; n > 0 && p < list + n; p += strlen(p) + 1) {
		ssize_t len = lgetxattr(path, p, value, sizeof(value));

		if (strncmp(p, "security.", 9) == 0 && off[G_TRUST])
			continue;
		sum += mix(mix(9, p, strlen(p)), value,
		           len < 0 ? 0 : (size_t)len);
	}
	return sum;
}

static int by_name(const struct dirent **x, const struct dirent **y)
{
	return strcmp((*x)->d_name, (*y)->d_name);
}

static int no_dots(const struct dirent *e)
{
	return strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
}

static const char *tree_differs(int x, int y, const char *where);

static const char *entry_differs(int x, int y, const char *name,
                                 const char *where)
{
	static char text[2 * PATH_SIZE];
	char below_[PATH_SIZE];
	const char *d = NULL;
	struct stat sx, sy;
	int fx, fy;

	snprintf(below_, sizeof(below_), "%s/%s", where, name);
	if (fstatat(x, name, &sx, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fstatat(y, name, &sy, AT_SYMLINK_NOFOLLOW) < 0) {
		snprintf(text, sizeof(text), "%s cannot be looked at", below_);
		return text;
	}
	d = stat_differs(&sx, &sy);
	if (!d && attributes(x, name) != attributes(y, name))
		d = "attributes differ";
	if (d) {
		snprintf(text, sizeof(text), "%s: %s", below_, d);
		return text;
	}
	if (!S_ISREG(sx.st_mode) && !S_ISDIR(sx.st_mode))
		return NULL;
	fx = openat(x, name, O_RDONLY | O_NOFOLLOW);
	fy = openat(y, name, O_RDONLY | O_NOFOLLOW);
	if (S_ISDIR(sx.st_mode)) {
		d = tree_differs(fx, fy, below_);
	} else if (content(fx, sx.st_size) != content(fy, sy.st_size)) {
		snprintf(text, sizeof(text), "%s: content", below_);
		d = text;
	}
	close(fx);
	close(fy);
	return d;
}

static const char *tree_differs(int x, int y, const char *where)
{
	static char text[PATH_SIZE];
	struct dirent **ex = NULL, **ey = NULL;
	int nx = scandirat(x, ".", &ex, no_dots, by_name);
	int ny = scandirat(y, ".", &ey, no_dots, by_name);
	const char *d = NULL;

	if (nx != ny) {
		snprintf(text, sizeof(text), "%s has %d and %d entries", where,
		         nx, ny);
		d = text;
	}
	for (int i = 0; i < nx && !d; i++) {
		if (strcmp(ex[i]->d_name, ey[i]->d_name) != 0) {
			snprintf(text, sizeof(text), "%s: %s and %s", where,
			         ex[i]->d_name, ey[i]->d_name);
			d = text;
		} else {
			d = entry_differs(x, y, ex[i]->d_name, where);
		}
	}
	for (int i = 0; i < nx; i++)
		free(ex[i]);
	for (int i = 0; i < ny; i++)
		free(ey[i]);
	free(ex);
	free(ey);
	return d;
}

/* ---- a run ---- */

static void remove_tree(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	struct dirent **e = NULL;
	int n;

	if (fd < 0) {
		unlinkat(parent, name, 0);
		return;
	}
	n = scandirat(fd, ".", &e, no_dots, NULL);
	for (int i = 0; i < n; i++) {
		remove_tree(fd, e[i]->d_name);
		free(e[i]);
	}
	free(e);
	close(fd);
	unlinkat(parent, name, AT_REMOVEDIR);
}

static int side_open(struct side *s, const char *root)
{
	int parent = open(root, O_RDONLY | O_DIRECTORY);

	s->root = root;
	s->dir = -1;
	for (int i = 0; i < SLOTS; i++)
		s->fd[i] = -1;
	if (parent < 0)
		return -1;
	remove_tree(parent, "fscompare");
	if (mkdirat(parent, "fscompare", 0777) == 0)
		s->dir = openat(parent, "fscompare", O_RDONLY | O_DIRECTORY);
	close(parent);
	return s->dir < 0 ? -1 : 0;
}

static void side_close(struct side *s)
{
	int parent = open(s->root, O_RDONLY | O_DIRECTORY);

	for (int i = 0; i < SLOTS; i++)
		if (s->fd[i] >= 0)
			close(s->fd[i]);
	close(s->dir);
	remove_tree(parent, "fscompare");
	close(parent);
}

struct plan {
	const char *root[2];
	uint64_t seed;
	unsigned n;
	uint8_t *leave_out;
	bool keep_going;
	unsigned kinds[ARRAY_SIZE(kinds)]; /* differences */
	unsigned fine;                     /* calls that succeeded */
};

static void report(unsigned i, const struct result *r, const char *d)
{
	printf("%6u %s\n", i, r->text);
	if (d)
		printf("       DIFFERS: %s\n", d);
}

/* The first call after which the sides differ; -1: none. -2: cannot run. */
static long run(struct plan *p, unsigned n, bool tell)
{
	static struct result r[2];
	const char *d = NULL;
	struct side s[2];
	struct op o;
	long bad = -1;

	if (side_open(&s[0], p->root[0]) < 0 ||
	    side_open(&s[1], p->root[1]) < 0)
		return -2;
	for (unsigned i = 0; i < n && bad < 0; i++) {
		if (p->leave_out[i])
			continue;
		draw(p->seed, i, &o);
		run_one(&s[0], &o, &r[0]);
		run_one(&s[1], &o, &r[1]);
		p->fine += !r[0].err && *r[0].text;
		d = differs(&r[0], &r[1]);
		if (!d && (i % CHECK_EACH == CHECK_EACH - 1 || i == n - 1)) {
			d = tree_differs(s[0].dir, s[1].dir, "");
		}
		if (d && p->keep_going) {
			p->kinds[o.kind]++;
			report(i, &r[0], d);
			d = NULL;
		}
		if (d)
			bad = i;
		if (tell)
			report(i, &r[0], d);
	}
	side_close(&s[0]);
	side_close(&s[1]);
	return bad;
}

/* Leave out what the difference does not need. */
static long minimise(struct plan *p, long bad)
{
	unsigned runs = 0;

	for (size_t chunk = (size_t)bad / 2; chunk && runs < MINIMISE;
	     chunk /= 2) {
		for (size_t at = 0; at < (size_t)bad && runs < MINIMISE;
		     at += chunk) {
			uint8_t *before = malloc(p->n);
			bool any = false;
			long again;

			memcpy(before, p->leave_out, p->n);
			for (size_t i = at; i < at + chunk && i < (size_t)bad;
			     i++) {
				any = any || !p->leave_out[i];
				p->leave_out[i] = 1;
			}
			again = any ? (runs++, run(p, (unsigned)bad + 1, false))
			            : bad;
			if (again < 0)
				memcpy(p->leave_out, before, p->n);
			else
				bad = again;
			free(before);
		}
	}
	return bad;
}

static int leave_out(char *list)
{
	for (char *w = strtok(list, ","); w; w = strtok(NULL, ",")) {
		size_t g = 0;

		while (g < NGROUPS && strcmp(groups[g], w) != 0)
			g++;
		if (g == NGROUPS) {
			fprintf(stderr, "fscompare: no group %s\n", w);
			return -1;
		}
		off[g] = true;
	}
	return 0;
}

static int parse(struct plan *p, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "s:n:x:k")) != -1)
		switch (c) {
		case 's':
			p->seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			p->n = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'k':
			p->keep_going = true;
			break;
		case 'x':
			if (leave_out(optarg) < 0)
				return -1;
			break;
		default:
			return -1;
		}
	if (optind + 2 != argc || p->n == 0)
		return -1;
	p->root[0] = argv[optind];
	p->root[1] = argv[optind + 1];
	return 0;
}

int main(int argc, char **argv)
{
	struct plan p = {.seed = 1, .n = 2000};
	unsigned differences = 0;
	long bad;

	if (parse(&p, argc, argv) < 0) {
		fprintf(stderr, "usage: fscompare [-s SEED] [-n CALLS] [-k] "
		                "[-x GROUP,...] FOLDER FOLDER\n");
		return 2;
	}
	umask(0022);
	p.leave_out = calloc(p.n, 1);
	bad = run(&p, p.n, false);
	if (bad == -2) {
		perror("fscompare: cannot make the folders");
		return 2;
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		differences += p.kinds[i];
	if (bad < 0) {
		printf("seed %llu: %u calls, %u of them fine, %u differ\n",
		       (unsigned long long)p.seed, p.n, p.fine, differences);
		return differences > 0;
	}
	printf("seed %llu: call %ld of %u differs; the shortest way there:\n",
	       (unsigned long long)p.seed, bad, p.n);
	bad = minimise(&p, bad);
	run(&p, (unsigned)bad + 1, true);
	return 1;
}
