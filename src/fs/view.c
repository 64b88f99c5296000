/*
 * view.c - files as the host has them, and as the guest is told.
 *
 * The owner's attribute costs a call for each look at a file. Setting it
 * changes the file's ctime, so what it said stays true while ctime does. Only
 * a ctime of the present moment proves nothing: clocks of file systems tick.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/clock.h"
#include "fs/server.h"

#include "base/banned.h"

#define TICK_NS (100 * (int64_t)NS_PER_MS)

/* "Until evicted", for shares that nobody else changes. */
#define LONG_S  (24 * 3600u)
#define SHORT_S 1u

int64_t ns_of(const struct timespec *ts)
{
	return (int64_t)((uint64_t)ts->tv_sec * NS_PER_S +
	                 (uint64_t)ts->tv_nsec);
}

static struct timespec time_of(const struct statx_timestamp *t)
{
	return (struct timespec){.tv_sec = t->tv_sec, .tv_nsec = t->tv_nsec};
}

static void stat_of(const struct statx *x, struct stat *st)
{
	*st = (struct stat){
		.st_dev = makedev(x->stx_dev_major, x->stx_dev_minor),
		.st_ino = x->stx_ino,
		.st_mode = x->stx_mode,
		.st_nlink = x->stx_nlink,
		.st_uid = x->stx_uid,
		.st_gid = x->stx_gid,
		.st_rdev = makedev(x->stx_rdev_major, x->stx_rdev_minor),
		.st_size = (off_t)x->stx_size,
		.st_blksize = x->stx_blksize,
		.st_blocks = (blkcnt_t)x->stx_blocks,
		.st_atim = time_of(&x->stx_atime),
		.st_mtim = time_of(&x->stx_mtime),
		.st_ctim = time_of(&x->stx_ctime),
	};
}

int view_take(const struct owner_file *f, struct view *v)
{
	int flags = AT_NO_AUTOMOUNT |
	            (f->name ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH);
	struct statx x;

	if (statx(f->fd, f->name ? f->name : "", flags,
	          STATX_BASIC_STATS | STATX_BTIME, &x) < 0)
		return -errno;
	stat_of(&x, &v->host);
	v->btime = 0;
	if (x.stx_mask & STATX_BTIME)
		v->btime = (uint64_t)x.stx_btime.tv_sec * NS_PER_S +
		           x.stx_btime.tv_nsec;
	v->st = v->host;
	return 0;
}

static int64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return ns_of(&ts);
}

static uint32_t now_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint32_t)ts.tv_sec + 1; /* never 0 */
}

bool view_is_recent(struct fs *fs, const struct node *n)
{
	return n->shown_at && now_s() - n->shown_at < SHORT_S &&
	       node_share(fs, n)->cfg.cache != FS_CACHE_NONE;
}

static void remember(struct node *n, const struct view *v, int64_t ctime)
{
	n->shown_ctime = ctime;
	n->shown_at = now_s();
	n->shown_mode = v->st.st_mode;
	n->shown_uid = v->st.st_uid;
	n->shown_gid = v->st.st_gid;
	n->shown_rdev = (uint32_t)v->st.st_rdev;
}

/*
 * Whether a change from now on would show as another time. Some file systems
 * know only seconds (ext4 with small inodes), or every second one (FAT).
 */
static bool is_settled(const struct timespec *ts)
{
	int64_t tick = ts->tv_nsec ? TICK_NS : 2 * (int64_t)NS_PER_S + TICK_NS;

	return ns_of(ts) + tick < now_ns();
}

void view_show(struct fs *fs, const struct share *share,
               const struct owner_file *f, struct node *n, struct view *v)
{
	int64_t ctime = ns_of(&v->host.st_ctim);

	(void)fs;
	if (n && ctime && n->shown_ctime == ctime) {
		v->st.st_mode = n->shown_mode;
		v->st.st_uid = n->shown_uid;
		v->st.st_gid = n->shown_gid;
		v->st.st_rdev = n->shown_rdev;
		n->shown_at = now_s();
		return;
	}
	owner_show(f, &share->cfg.owners, &v->st);
	if (n)
		remember(n, v, is_settled(&v->host.st_ctim) ? ctime : 0);
}

/* The root: ours alone, never changed. */
static void view_root(const struct fs *fs, struct view *v)
{
	memset(v, 0, sizeof(*v));
	v->st.st_mode = S_IFDIR | 0555;
	v->st.st_nlink = (nlink_t)(2 + fs->nshares);
	v->st.st_blksize = 4096;
	v->host = v->st;
}

/* By its name if that is enough; else by its descriptor. */
int view_node(struct fs *fs, struct node *n, struct view *v)
{
	struct owner_file f;
	int r;

	if (n == &fs->root) {
		view_root(fs, v);
		return 0;
	}
	r = node_place(fs, n, &f);
	if (r == 0)
		r = view_take(&f, v);
	if (r < 0)
		return r == -ENOENT ? -ESTALE : r;
	if (!node_is(n, v))
		return -ESTALE;
	view_show(fs, node_share(fs, n), &f, n, v);
	return 0;
}

uint64_t view_bytes(const struct stat *st)
{
	return S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_blocks * 512;
}

struct share *node_share(struct fs *fs, const struct node *n)
{
	return n == &fs->root ? NULL : &fs->shares[n->share];
}

uint64_t share_timeout(const struct share *share)
{
	static const unsigned of[] = {
		[FS_CACHE_AUTO] = SHORT_S,
		[FS_CACHE_ALWAYS] = LONG_S,
		[FS_CACHE_NONE] = 0,
	};

	return share ? of[share->cfg.cache] : LONG_S;
}

/* Numbers of several devices must differ: a small index goes on top. */
uint64_t wire_ino(struct fs *fs, uint64_t dev, uint64_t ino)
{
	size_t i = 0;

	while (i < fs->ndevices && fs->devices[i] != dev)
		i++;
	if (i == fs->ndevices && i < DEVICES_MAX)
		fs->devices[fs->ndevices++] = dev;
	return ino ^ ((uint64_t)i << 56);
}

void wire_attr(struct fs *fs, const struct stat *st, struct fuse_attr *ret)
{
	*ret = (struct fuse_attr){
		.ino = st->st_ino ? wire_ino(fs, st->st_dev, st->st_ino)
	                          : UINT64_MAX, /* the root */
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = (uint64_t)st->st_atim.tv_sec,
		.mtime = (uint64_t)st->st_mtim.tv_sec,
		.ctime = (uint64_t)st->st_ctim.tv_sec,
		.atimensec = (uint32_t)st->st_atim.tv_nsec,
		.mtimensec = (uint32_t)st->st_mtim.tv_nsec,
		.ctimensec = (uint32_t)st->st_ctim.tv_nsec,
		.mode = st->st_mode,
		.nlink = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev = (uint32_t)st->st_rdev,
		.blksize = (uint32_t)st->st_blksize,
	};
}

void wire_entry(struct fs *fs, const struct node *n, const struct view *v,
                struct fuse_entry_out *ret)
{
	uint64_t seconds = share_timeout(node_share(fs, n));

	*ret = (struct fuse_entry_out){
		.nodeid = n->id,
		.entry_valid = seconds,
		.attr_valid = seconds,
	};
	/* The list of shares does not change; what they are may. */
	if (n->flags & NODE_PERMANENT)
		ret->entry_valid = LONG_S;
	wire_attr(fs, &v->st, &ret->attr);
}

bool seen_is(const struct node *n, const struct stat *st)
{
	return n->flags & NODE_SEEN && n->seen_size == st->st_size &&
	       n->seen_mtime == ns_of(&st->st_mtim);
}

void seen_set(struct node *n, const struct stat *st)
{
	n->flags |= NODE_SEEN;
	n->seen_size = st->st_size;
	n->seen_mtime = ns_of(&st->st_mtim);
}

bool seen_open(struct node *n, const struct stat *st)
{
	if (seen_is(n, st))
		return true;
	if (is_settled(&st->st_mtim))
		seen_set(n, st);
	else
		n->flags &= (uint8_t)~NODE_SEEN;
	return false;
}
