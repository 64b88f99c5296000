/*
 * A host directory as a layer: walked once, in the order of names, and given
 * to layer_ingest() as the tar that any archiver would make of it. So it goes
 * through the same checks as a layer from a registry, the same tree always has
 * the same diff_id, and packing it again costs no space.
 *
 * No link is followed and no other file system entered: every name is opened
 * alone, below the descriptor of the folder that holds it. A folder that is a
 * mount point comes out empty. The store itself is left out.
 *
 * The tar is made piece by piece in read(), which layer_ingest() calls from
 * its own thread.
 */
#include "image/rootfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/log.h"
#include "base/num.h"
#include "base/openat2.h"
#include "image/index.h"
#include "image/layer.h"
#include "image/tar_write.h"

#include "base/banned.h"

#define DEPTH_MAX      INDEX_DEPTH_MAX
#define NAMES_MAX      (256ULL * MIB) /* bytes of the names in one folder */
#define LINK_PATHS_MAX (512ULL * MIB) /* bytes of paths of linked files */
#define LIST_MAX       (64 * 1024)    /* bytes of one file's xattr names */
#define LINKS_FIRST    1024

struct level {
	int fd;
	struct buf names; /* each with its NUL */
	uint32_t *sorted; /* offsets into names */
	uint32_t n, next;
	size_t path_len; /* of the folder; 0 for the root */
};

/* A file with several names that has been seen, by its number. */
struct seen {
	uint64_t dev, ino;
	uint32_t path, path_len; /* in link_paths; path_len 0: free */
};

struct pack {
	struct store *store;
	struct stat home; /* of the store's folder: not to be packed */
	bool is_root;
	struct level levels[DEPTH_MAX];
	unsigned depth;
	struct buf path;
	struct buf head; /* bytes to hand out first */
	size_t head_at;
	int file_fd;
	uint64_t file_left;
	uint32_t pad;
	bool ended;
	struct seen *seen;
	uint32_t nseen, cap_seen; /* cap: a power of two */
	struct buf link_paths;
	struct buf xattrs;
	struct err *err;
};

static const char *shown(const struct pack *p, struct buf *b)
{
	(void)escape_text(b, p->path.data, MIN(p->path.len, 256u), 0);
	return b->len ? buf_str(b) : ".";
}

static int failed(struct pack *p, int r)
{
	struct buf cleanup_buf name = BUF_INIT;

	return err_set(p->err, r, "cannot pack %s: %s", shown(p, &name),
	               strerror(-r));
}

static int refused(struct pack *p, const char *why)
{
	struct buf cleanup_buf name = BUF_INIT;

	return err_set(p->err, -EINVAL, "cannot pack %s: %s", shown(p, &name),
	               why);
}

static void left_out(struct pack *p, const char *why)
{
	struct buf cleanup_buf name = BUF_INIT;

	log_limited(LOG_WARN, "%s is left out: %s", shown(p, &name), why);
}

/* One part of a name, never a link, never another file system. */
static int open_part(int dir_fd, const char *name, int flags)
{
	return open_resolved(dir_fd, name, flags | O_RDONLY | O_NOFOLLOW, 0,
	                     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
	                             RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS);
}

/* --- folders ----------------------------------------------------------- */

static int by_text(const void *a, const void *b, void *names)
{
	const char *text = names;

	return strcmp(text + *(const uint32_t *)a, text + *(const uint32_t *)b);
}

static int read_names(DIR *d, struct level *l)
{
	struct dirent *e;
	uint32_t n = 0;

	errno = 0;
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (buf_add(&l->names, e->d_name, strlen(e->d_name) + 1) < 0)
			return -ENOMEM;
		n++;
	}
	if (errno)
		return -errno;
	l->sorted = calloc(n + 1, sizeof(*l->sorted));
	if (!l->sorted)
		return -ENOMEM;
	for (uint32_t at = 0; l->n < n; l->n++) {
		l->sorted[l->n] = at;
		at += (uint32_t)strlen((char *)l->names.data + at) + 1;
	}
	if (n)
		qsort_r(l->sorted, n, sizeof(*l->sorted), by_text,
		        l->names.data);
	return 0;
}

static void leave_dir(struct pack *p)
{
	struct level *l = &p->levels[--p->depth];

	close_fd(&l->fd);
	buf_release(&l->names);
	free(l->sorted);
	l->sorted = NULL;
}

/* Takes @fd over. */
static int enter_dir(struct pack *p, int fd)
{
	struct level *l = &p->levels[p->depth];
	int r, again;
	DIR *d;

	if (p->depth == DEPTH_MAX) {
		(void)close(fd);
		return refused(p, "too deep");
	}
	*l = (struct level){.fd = fd,
	                    .names = BUF_INIT_MAX(NAMES_MAX),
	                    .path_len = p->path.len};
	p->depth++;
	again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = again < 0 ? NULL : fdopendir(again);
	if (!d) {
		r = -errno;
		close_fd(&again);
		return failed(p, r);
	}
	r = read_names(d, l);
	(void)closedir(d);
	return r < 0 ? failed(p, r) : 0;
}

/* --- attributes and links ---------------------------------------------- */

/* What means the same inside as outside: host labels (SELinux, IMA) do not. */
static bool xattr_wanted(const char *name)
{
	return strncmp(name, "user.", 5) == 0 ||
	       strncmp(name, "trusted.", 8) == 0 ||
	       strncmp(name, "system.posix_acl_", 17) == 0 ||
	       strcmp(name, "security.capability") == 0;
}

static int add_xattr(struct pack *p, const char *path, const char *name)
{
	static _Thread_local uint8_t value[UINT16_MAX];
	size_t name_len = strlen(name);
	ssize_t n = lgetxattr(path, name, value, sizeof(value));
	uint8_t head[3] = {(uint8_t)name_len};

	if (n < 0)
		return 0; /* not ours to read, or gone */
	put_le16(head + 1, (uint16_t)n);
	if (buf_add(&p->xattrs, head, 3) < 0 ||
	    buf_add(&p->xattrs, name, name_len) < 0 ||
	    buf_add(&p->xattrs, value, (size_t)n) < 0)
		return refused(p, "too many attributes");
	return 0;
}

/* Through /proc, as there is no call that takes a folder and a name. */
static int read_xattrs(struct pack *p, int dir_fd, const char *name)
{
	static _Thread_local char list[LIST_MAX];
	struct buf cleanup_buf path = BUF_INIT;
	ssize_t n, at;
	int r = buf_printf(&path, "/proc/self/fd/%d/%s", dir_fd, name);

	buf_reset(&p->xattrs);
	if (r < 0)
		return failed(p, r);
	n = llistxattr(buf_str(&path), list, sizeof(list));
	for (at = 0; r == 0 && at < n; at += (ssize_t)strlen(list + at) + 1)
		if (xattr_wanted(list + at))
			r = add_xattr(p, buf_str(&path), list + at);
	return r;
}

static struct seen *find_seen(struct pack *p, const struct stat *st)
{
	uint64_t h = (st->st_ino ^ st->st_dev << 32) * 0x9e3779b97f4a7c15ULL;
	uint32_t i = (uint32_t)(h >> 32) & (p->cap_seen - 1);

	while (p->seen[i].path_len &&
	       (p->seen[i].ino != st->st_ino || p->seen[i].dev != st->st_dev))
		i = (i + 1) & (p->cap_seen - 1);
	return &p->seen[i];
}

static int grow_seen(struct pack *p)
{
	struct pack old = *p;

	if (p->nseen * 2 < p->cap_seen)
		return 0;
	p->cap_seen = old.cap_seen ? old.cap_seen * 2 : LINKS_FIRST;
	p->seen = calloc(p->cap_seen, sizeof(*p->seen));
	if (!p->seen) {
		p->seen = old.seen;
		p->cap_seen = old.cap_seen;
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < old.cap_seen; i++) {
		struct stat st = {.st_dev = old.seen[i].dev,
		                  .st_ino = old.seen[i].ino};

		if (old.seen[i].path_len)
			*find_seen(p, &st) = old.seen[i];
	}
	free(old.seen);
	return 0;
}

/*
 * A file with several names: the first one seen carries the content, the
 * others are links to it. 1 when @e has become a link.
 */
static int check_link(struct pack *p, const struct stat *st,
                      struct tar_entry *e)
{
	struct seen *s;

	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return 0;
	if (grow_seen(p) < 0)
		return failed(p, -ENOMEM);
	s = find_seen(p, st);
	if (s->path_len) {
		e->type = TAR_HARD;
		e->link = (const char *)p->link_paths.data + s->path;
		e->link_len = s->path_len;
		e->size = 0;
		return 1;
	}
	*s = (struct seen){st->st_dev, st->st_ino, (uint32_t)p->link_paths.len,
	                   (uint32_t)p->path.len};
	p->nseen++;
	return buf_add(&p->link_paths, p->path.data, p->path.len) < 0
	               ? failed(p, -ENOMEM)
	               : 0;
}

/* --- entries ----------------------------------------------------------- */

static struct tar_entry entry_of(const struct pack *p, const struct stat *st,
                                 enum tar_type type)
{
	bool own = !p->is_root && st->st_uid == geteuid();
	bool own_group = !p->is_root && st->st_gid == getegid();

	return (struct tar_entry){
		.type = type,
		.path = buf_str(&p->path),
		.path_len = p->path.len,
		.mode = st->st_mode & 07777,
		.uid = own ? 0 : st->st_uid,
		.gid = own_group ? 0 : st->st_gid,
		.mtime = st->st_mtim.tv_sec,
		.mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
		.size = type == TAR_REG ? (uint64_t)st->st_size : 0,
		.xattrs = (const uint8_t *)buf_str(&p->xattrs),
		.xattrs_len = p->xattrs.len,
	};
}

static int put_header(struct pack *p, const struct tar_entry *e)
{
	buf_reset(&p->head);
	p->head_at = 0;
	return tar_put_header(&p->head, e) < 0 ? failed(p, -ENOMEM) : 0;
}

static int pack_dir(struct pack *p, int at, const char *name,
                    const struct stat *st)
{
	struct tar_entry e = entry_of(p, st, TAR_DIR);
	int fd, r = put_header(p, &e);

	if (r < 0)
		return r;
	if (st->st_dev == p->home.st_dev && st->st_ino == p->home.st_ino) {
		left_out(p, "it is the image store");
		return 0;
	}
	fd = open_part(at, name, O_DIRECTORY);
	if (fd == -EXDEV) {
		left_out(p, "it is a mount point, its content");
		return 0;
	}
	return fd < 0 ? failed(p, fd) : enter_dir(p, fd);
}

static int pack_file(struct pack *p, int at, const char *name,
                     const struct stat *st)
{
	struct tar_entry e = entry_of(p, st, TAR_REG);
	cleanup_close int fd = -1;
	struct stat now;
	int r = check_link(p, st, &e);

	if (r != 0)
		return r < 0 ? r : put_header(p, &e);
	fd = open_part(at, name, O_NONBLOCK);
	if (fd == -EXDEV) {
		left_out(p, "it is a mount point");
		return 0;
	}
	if (fd < 0)
		return failed(p, fd);
	if (fstat(fd, &now) < 0)
		return failed(p, -errno);
	if (now.st_ino != st->st_ino || now.st_dev != st->st_dev)
		return refused(p, "it changes while it is read");
	e.size = (uint64_t)now.st_size;
	r = put_header(p, &e);
	if (r < 0)
		return r;
	p->file_left = e.size;
	p->pad = tar_padding(e.size);
	if (e.size)
		p->file_fd = take_fd(fd);
	return 0;
}

static int pack_symlink(struct pack *p, int at, const char *name,
                        const struct stat *st)
{
	char text[INDEX_PATH_MAX + 1];
	struct tar_entry e = entry_of(p, st, TAR_SYM);
	ssize_t n = readlinkat(at, name, text, sizeof(text));
	int r;

	if (n < 0)
		return failed(p, -errno);
	e.link = text;
	e.link_len = (size_t)n;
	r = check_link(p, st, &e);
	return r < 0 ? r : put_header(p, &e);
}

static int pack_special(struct pack *p, int at, const char *name,
                        const struct stat *st)
{
	struct tar_entry e = entry_of(p, st,
	                              S_ISFIFO(st->st_mode)  ? TAR_FIFO
	                              : S_ISCHR(st->st_mode) ? TAR_CHR
	                                                     : TAR_BLK);
	int r;

	(void)at;
	(void)name;
	if (e.type != TAR_FIFO) {
		e.major = major(st->st_rdev);
		e.minor = minor(st->st_rdev);
	}
	r = check_link(p, st, &e);
	return r < 0 ? r : put_header(p, &e);
}

static int pack_socket(struct pack *p, int at, const char *name,
                       const struct stat *st)
{
	(void)at;
	(void)name;
	(void)st;
	left_out(p, "it is a socket");
	return 0;
}

static const struct {
	mode_t type;
	int (*pack)(struct pack *p, int at, const char *name,
	            const struct stat *st);
} kinds[] = {
	{S_IFREG,  pack_file   },
        {S_IFDIR,  pack_dir    },
	{S_IFLNK,  pack_symlink},
        {S_IFSOCK, pack_socket },
	{S_IFIFO,  pack_special},
        {S_IFCHR,  pack_special},
	{S_IFBLK,  pack_special},
};

static int pack_entry(struct pack *p, int at, const char *name)
{
	struct stat st;
	int r;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return failed(p, -errno);
	r = read_xattrs(p, at, name);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].type == (st.st_mode & S_IFMT))
			return kinds[i].pack(p, at, name, &st);
	return r;
}

/* The next name of the walk, or the end marker. */
static int advance(struct pack *p)
{
	while (p->depth) {
		struct level *l = &p->levels[p->depth - 1];
		const char *name;

		if (l->next == l->n) {
			leave_dir(p);
			continue;
		}
		name = (const char *)l->names.data + l->sorted[l->next++];
		p->path.len = l->path_len;
		if ((l->path_len && buf_addc(&p->path, '/') < 0) ||
		    buf_adds(&p->path, name) < 0)
			return failed(p, -ENOMEM);
		if (strncmp(name, ".wh.", 4) == 0)
			return refused(p, "names that start with .wh. have a "
			                  "meaning in images");
		return pack_entry(p, l->fd, name);
	}
	p->ended = true;
	buf_reset(&p->head);
	p->head_at = 0;
	return tar_put_end(&p->head) < 0 ? failed(p, -ENOMEM) : 0;
}

static ssize_t give_file(struct pack *p, void *out, size_t len)
{
	ssize_t n;

	do {
		n = read(p->file_fd, out, MIN(len, p->file_left));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return failed(p, -errno);
	if (n == 0)
		return refused(p, "it got shorter while it was read");
	p->file_left -= (uint64_t)n;
	if (p->file_left == 0)
		close_fd(&p->file_fd);
	return n;
}

/* One piece, at least a byte; 0 at the end. */
static ssize_t give(struct pack *p, uint8_t *out, size_t len)
{
	static const uint8_t zeros[TAR_BLOCK];
	size_t n = p->head.len - p->head_at;

	if (n) {
		n = MIN(n, len);
		memcpy(out, p->head.data + p->head_at, n);
		p->head_at += n;
	} else if (p->file_left) {
		return give_file(p, out, len);
	} else if (p->pad) {
		n = MIN(p->pad, len);
		memcpy(out, zeros, n);
		p->pad -= (uint32_t)n;
	}
	return (ssize_t)n;
}

static ssize_t pack_read(void *arg, void *data, size_t len, struct err *err)
{
	struct pack *p = arg;
	uint8_t *out = data;
	size_t done = 0;

	p->err = err;
	while (done < len) {
		ssize_t n = give(p, out + done, len - done);

		if (n < 0)
			return n;
		done += (size_t)n;
		if (n == 0) {
			int r = p->ended ? 0 : advance(p);

			if (r < 0)
				return r;
			if (p->ended && p->head_at == p->head.len)
				break;
		}
	}
	return (ssize_t)done;
}

/* The directory itself gives the root's mode, owner and time. */
static int start(struct pack *p, int dir_fd)
{
	struct tar_entry e;
	struct stat st;
	int fd, r;

	if (fstat(dir_fd, &st) < 0 || fstat(p->store->home_fd, &p->home) < 0)
		return failed(p, -errno);
	if (!S_ISDIR(st.st_mode))
		return failed(p, -ENOTDIR);
	r = read_xattrs(p, dir_fd, ".");
	if (r < 0)
		return r;
	e = entry_of(p, &st, TAR_DIR);
	e.path = "./";
	e.path_len = 2;
	r = put_header(p, &e);
	if (r < 0)
		return r;
	fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? failed(p, -errno) : enter_dir(p, fd);
}

static void pack_release(struct pack *p)
{
	while (p->depth)
		leave_dir(p);
	close_fd(&p->file_fd);
	buf_release(&p->path);
	buf_release(&p->head);
	buf_release(&p->link_paths);
	buf_release(&p->xattrs);
	free(p->seen);
	free(p);
}

int rootfs_pack_dir(struct store *s, int dir_fd, struct digest *ret_chain_id,
                    struct err *err)
{
	struct pack *p = calloc(1, sizeof(*p));
	struct layer_source src = {pack_read, p};
	struct layer_info info;
	int r;

	if (!p)
		return err_set(err, -ENOMEM, "out of memory");
	p->store = s;
	p->is_root = geteuid() == 0;
	p->file_fd = -1;
	p->err = err;
	p->path.max = p->head.max = BUF_MAX_DEFAULT;
	p->xattrs.max = TAR_XATTR_BYTES;
	p->link_paths.max = LINK_PATHS_MAX;
	r = start(p, dir_fd);
	if (r == 0)
		r = layer_ingest(s, &src, NULL, NULL, NULL, NULL, &info, err);
	pack_release(p);
	if (r < 0)
		return r;
	return rootfs_build(s, &info.diff_id, 1, ret_chain_id, err);
}
