/*
 * dir.c - OPENDIR, READDIR, READDIRPLUS.
 *
 * Offsets are the host's own (d_off), so that a folder of any size is read in
 * pieces and nothing of it is kept but the last chunk.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "fs/server.h"

#include "base/banned.h"

struct host_dirent {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

/*
 * A list that the guest keeps saves little and costs much unless what is in
 * the folder is kept as well: listed anew, READDIRPLUS tells of all files at
 * once; listed from memory, each of them is asked for by a LOOKUP of its own
 * after its second (a walk of 15,000 files: 4 times as many requests).
 */
static uint32_t list_flags(const struct req *q)
{
	if (!q->share || q->share->cfg.cache == FS_CACHE_ALWAYS)
		return FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE;
	return 0;
}

int op_opendir(struct req *q)
{
	struct fuse_open_out out = {0};
	cleanup_close int fd = -1;
	int r;

	if (q->in->len < sizeof(out))
		return -EINVAL;
	if (q->share) {
		r = node_dir_fd(q->fs, q->node);
		if (r >= 0)
			fd = r = node_open_entry(r, ".", O_RDONLY | O_DIRECTORY,
			                         0);
		if (r < 0)
			return r;
	}
	out.open_flags = list_flags(q);
	r = handle_new(q->fs, q->node, HANDLE_DIR, fd, &out.fh);
	if (r < 0)
		return r;
	(void)take_fd(fd);
	return req_put(q, &out, sizeof(out));
}

int op_releasedir(struct req *q)
{
	if (!handle_at(q->fs, q->a.release.fh, NULL, HANDLE_DIR))
		return -EBADF;
	handle_free(q->fs, q->a.release.fh);
	return 0;
}

/* One entry of the answer, while it is made. */
struct out_entry {
	struct fuse_entry_out entry;
	struct {
		uint64_t ino, off;
		uint32_t name_len, type;
	} head; /* struct fuse_dirent */
	char name[FUSE_DIRENT_ALIGN(WIRE_NAME_MAX + 1)];
};

struct listing {
	struct req *q;
	struct handle *h;
	bool plus;
	size_t room;
};

static size_t entry_size(const struct listing *l, size_t name_len)
{
	return FUSE_DIRENT_ALIGN(
		(l->plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET) +
		name_len);
}

/* false when there is no room for it any more. */
static bool put_entry(struct listing *l, struct out_entry *e, const char *name)
{
	size_t len = strlen(name), size = entry_size(l, len);
	const uint8_t *from = l->plus ? (uint8_t *)e : (uint8_t *)&e->head;

	if (size > l->room)
		return false;
	e->head.name_len = (uint32_t)len;
	memset(e->name, 0, sizeof(e->name));
	memcpy(e->name, name, len);
	if (req_put(l->q, from, size) < 0)
		return false;
	l->room -= size;
	return true;
}

/*
 * What is a file on the host may be a device for the guest: only what was
 * looked at already is known.
 */
static uint32_t plain_type(const struct req *q, const struct host_dirent *d)
{
	const struct node *n;

	if (d->type != DT_REG)
		return d->type;
	n = node_by_number(q->fs, q->share, q->node->dev, d->ino);
	return n ? (n->shown_mode & S_IFMT) >> 12 : DT_UNKNOWN;
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* The whole entry of READDIRPLUS; a file that is gone already has none. */
static void fill_entry(struct listing *l, struct out_entry *e, const char *name)
{
	if (lookup_entry(l->q, l->q->node, l->h->fd, name, &e->entry) < 0) {
		e->entry = (struct fuse_entry_out){0};
		return;
	}
	e->head.type = (e->entry.attr.mode & S_IFMT) >> 12;
	e->head.ino = e->entry.attr.ino;
}

static bool put_host(struct listing *l, const struct host_dirent *d)
{
	struct req *q = l->q;
	struct out_entry e = {0};
	size_t len = strlen(d->name);
	bool dots = is_dots(d->name);

	if (!dots && !name_is_plain(d->name, len))
		return true; /* no name that could be asked for */
	if (entry_size(l, len) > l->room)
		return false;
	e.head.ino = wire_ino(q->fs, q->node->dev, d->ino);
	e.head.off = (uint64_t)d->off;
	e.head.type = plain_type(q, d);
	if (l->plus && !dots)
		fill_entry(l, &e, d->name);
	return put_entry(l, &e, d->name);
}

static int fill_chunk(struct fs *fs, const struct handle *h)
{
	long n = syscall(SYS_getdents64, h->fd, fs->dir.data, DIR_CHUNK);

	fs->dir.at = 0;
	fs->dir.end = n > 0 ? (size_t)n : 0;
	fs->dir.last = n == 0;
	return n < 0 ? -errno : (int)n;
}

/* Make the chunk the one of @h at @offset, unless it is already. */
static int seek_chunk(struct fs *fs, struct handle *h, uint64_t offset)
{
	struct dir_chunk *d = &fs->dir;
	uint32_t index = (uint32_t)(h - fs->handles);

	if (d->valid && d->index == index && d->gen == h->gen && offset &&
	    h->pos == offset)
		return 0;
	d->valid = false;
	if ((offset || h->begun) && lseek(h->fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	*d = (struct dir_chunk){
		.index = index, .gen = h->gen, .data = d->data, .valid = true};
	h->pos = offset;
	h->begun = true;
	return 0;
}

/* 1: the entry is in the answer, 0: no room, or no more entries. */
static int next_entry(struct listing *l)
{
	struct dir_chunk *c = &l->q->fs->dir;
	const struct host_dirent *d;
	int r;

	if (c->at >= c->end) {
		if (c->last)
			return 0;
		r = fill_chunk(l->q->fs, l->h);
		if (r <= 0)
			return r;
	}
	d = (const struct host_dirent *)(void *)(c->data + c->at);
	if (!put_host(l, d))
		return 0;
	c->at += d->reclen;
	l->h->pos = (uint64_t)d->off;
	return 1;
}

static int list_folder(struct listing *l, uint64_t offset)
{
	int r = seek_chunk(l->q->fs, l->h, offset);

	while (r >= 0) {
		r = next_entry(l);
		if (r == 0)
			break;
	}
	/*
	 * That it is the end is said once from what was read; who asks again
	 * gets what is new. What was listed before a fault is an answer.
	 */
	if (r < 0 || !l->q->body)
		l->q->fs->dir.valid = false;
	return l->q->body ? 0 : r;
}

/* The root: ".", "..", then each share. */
static int list_shares(struct listing *l, uint64_t offset)
{
	struct fs *fs = l->q->fs;

	for (uint64_t i = offset; i < fs->nshares + 2; i++) {
		static const char *const dots[] = {".", ".."};
		const struct node *n = i < 2 ? NULL : fs->shares[i - 2].root;
		struct out_entry e = {0};

		e.head.off = i + 1;
		e.head.ino = n ? wire_ino(fs, n->dev, n->ino) : UINT64_MAX;
		e.head.type = n ? n->type >> 12 : DT_DIR;
		if (!put_entry(l, &e, n ? n->name : dots[i]))
			break;
	}
	return 0;
}

static int list(struct req *q, bool plus)
{
	const struct fuse_read_in *a = &q->a.read;
	struct listing l = {.q = q, .plus = plus};
	int r;

	l.h = handle_get(q, a->fh, HANDLE_DIR);
	if (!l.h)
		return -EBADF;
	l.room = MIN(a->size, q->in->len);
	if (!q->share)
		return list_shares(&l, a->offset);
	/* Entries are of a folder that is still in the share. */
	r = plus ? node_dir_fd(q->fs, q->node) : 0;
	return r < 0 ? r : list_folder(&l, a->offset);
}

int op_readdir(struct req *q)
{
	return list(q, false);
}

int op_readdirplus(struct req *q)
{
	return list(q, true);
}
