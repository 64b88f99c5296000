/*
 * Requests of a hostile guest, and changes on the host between them, on a
 * small tree. Nothing outside changes, no descriptor is left, and the limit
 * holds.
 *
 *	input = { opcode u8 | node u8 | handle u8 | room u8 | len u16 |
 *	          len bytes: what follows the header }
 *
 * node and handle pick numbers that the server gave (or, from 0xf0 on, never
 * gave); those in arguments are put there. opcode 0xff is the host's turn.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "fs/fs.h"
#include "fs/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KNOWN 64
#define LIMIT (1u << 20)
#define SLACK (256u << 10) /* of the host's own structures */
#define BODY  8192

struct play {
	struct fs *fs;
	int top;
	uint64_t nodes[KNOWN], handles[KNOWN];
	size_t nnodes, nhandles;
	uint8_t reply[16 + 4096];
};

static void need(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

static void make(int at, const char *name, const char *text)
{
	int fd = openat(at, name, O_CREAT | O_WRONLY | O_TRUNC, 0644);

	need(fd >= 0, name);
	need(write(fd, text, strlen(text)) == (ssize_t)strlen(text), name);
	need(close(fd) == 0, name);
}

static void make_tree(int top)
{
	need(mkdirat(top, "a", 0755) == 0, "a");
	need(mkdirat(top, "a/d", 0755) == 0, "a/d");
	need(mkdirat(top, "a/d/e", 0755) == 0, "a/d/e");
	need(mkdirat(top, "b", 0755) == 0, "b");
	need(mkdirat(top, "out", 0755) == 0, "out");
	make(top, "a/f", "file");
	make(top, "a/d/g", "deeper");
	make(top, "b/r", "read only");
	make(top, "out/secret", "secret");
	need(symlinkat("../out/secret", top, "a/l") == 0, "a/l");
}

static void node_known(struct play *p, uint64_t id)
{
	if (id)
		p->nodes[p->nnodes++ % KNOWN] = id;
}

static uint64_t at_u64(const uint8_t *p)
{
	return get_le64(p);
}

/* What the answer taught us. */
static void learn(struct play *p, uint8_t opcode, size_t len)
{
	const uint8_t *body = p->reply + 16;

	if (len < 16 || get_le32(p->reply + 4) != 0)
		return;
	len -= 16;
	if (opcode == FUSE_OPEN || opcode == FUSE_OPENDIR) {
		p->handles[p->nhandles++ % KNOWN] = at_u64(body);
	} else if (opcode == FUSE_READDIRPLUS) {
		for (size_t at = 0; at + 152 <= len;) {
			node_known(p, at_u64(body + at));
			at += num_align_up(152 + get_le32(body + at + 128 + 16),
			                   8);
		}
	} else if (len >= sizeof(struct fuse_entry_out) &&
	           opcode != FUSE_READ && opcode != FUSE_GETXATTR) {
		node_known(p, at_u64(body));
		if (len > sizeof(struct fuse_entry_out))
			p->handles[p->nhandles++ % KNOWN] =
				at_u64(body + sizeof(struct fuse_entry_out));
	}
}

static uint64_t pick(const uint64_t *from, size_t n, uint8_t which)
{
	static const uint64_t odd[] = {0, 1, 999, 1ull << 32, UINT64_MAX};

	if (which >= 0xf0 || !n)
		return odd[which % ARRAY_SIZE(odd)];
	return from[which % MIN(n, KNOWN)];
}

static void put_u64(uint8_t *p, uint64_t v)
{
	put_le64(p, v);
}

/* Numbers inside of arguments. */
static void patch(struct play *p, const uint8_t *head, uint8_t *body,
                  size_t len)
{
	uint64_t node = pick(p->nodes, p->nnodes, head[2]);
	uint64_t fh = pick(p->handles, p->nhandles, head[2]);

	switch (head[0]) {
	case FUSE_RENAME:
	case FUSE_RENAME2:
	case FUSE_LINK:
		if (len >= 8)
			put_u64(body, node);
		break;
	case FUSE_COPY_FILE_RANGE:
		if (len >= 32) {
			put_u64(body, fh);
			put_u64(body + 16, pick(p->nodes, p->nnodes, head[3]));
			put_u64(body + 24,
			        pick(p->handles, p->nhandles, head[3]));
		}
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		if (len >= 16)
			put_u64(body + 8, fh);
		break;
	case FUSE_READ:
	case FUSE_WRITE:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
	case FUSE_FALLOCATE:
	case FUSE_LSEEK:
		if (len >= 8)
			put_u64(body, fh);
		break;
	default:
		break;
	}
}

static unsigned cut(struct iovec *v, uint8_t *data, size_t len, size_t part)
{
	unsigned n = 0;

	while (len) {
		size_t now = n < 200 ? MIN(part, len) : len;

		v[n++] = (struct iovec){data, now};
		data += now;
		len -= now;
	}
	return n;
}

static void ask(struct play *p, const uint8_t *head, const uint8_t *data,
                size_t len)
{
	static uint8_t msg[sizeof(struct fuse_in_header) + BODY];
	struct fuse_in_header h = {
		.len = (uint32_t)(sizeof(h) + len),
		.opcode = head[0],
		.unique = 7,
		.nodeid = pick(p->nodes, p->nnodes, head[1]),
		.uid = head[3] & 1 ? 1000 : 0,
	};
	size_t part = head[3] & 2 ? 7 : 4096;
	size_t room =
		head[3] >= 0x80 ? sizeof(p->reply) : 8 + (size_t)head[3] * 4;
	struct iovec out_v[256], in_v[256];
	struct iov out = {.v = out_v, .len = h.len};
	struct iov in = {.v = in_v, .len = room};
	uint32_t answered = 0;
	int r;

	memcpy(msg, &h, sizeof(h));
	memcpy(msg + sizeof(h), data, len);
	patch(p, head, msg + sizeof(h), len);
	memset(p->reply, 0, sizeof(p->reply));
	out.n = cut(out_v, msg, h.len, part);
	in.n = cut(in_v, p->reply, room, part);
	r = fs_request(p->fs, &out, &in, &answered);
	if (r < 0)
		need(r == -EPROTO, "what a request gives");
	else
		need(answered <= room, "room");
	if (r == 0)
		learn(p, head[0], answered);
}

/* What others do on the host meanwhile. */
static void host_turn(const struct play *p, uint8_t which)
{
	switch (which % 8) {
	case 0:
		(void)renameat(p->top, "a/d", p->top, "out/d");
		break;
	case 1:
		(void)renameat(p->top, "out/d", p->top, "a/d");
		break;
	case 2:
		(void)renameat(p->top, "a/f", p->top, "a/f.old");
		(void)symlinkat("../out/secret", p->top, "a/f");
		break;
	case 3:
		(void)renameat(p->top, "a/d", p->top, "a/d.old");
		(void)symlinkat("../out", p->top, "a/d");
		break;
	case 4:
		(void)unlinkat(p->top, "a/f", 0);
		(void)mkfifoat(p->top, "a/f", 0666);
		break;
	case 5:
		(void)renameat(p->top, "a/d/e", p->top, "a/e");
		(void)renameat(p->top, "a/d", p->top, "a/e/d");
		break;
	case 6:
		(void)unlinkat(p->top, "a/f", 0);
		make(p->top, "a/g", "new");
		break;
	default:
		fs_reset(p->fs);
		break;
	}
}

static void begin(struct play *p)
{
	static const struct fuse_init_in init = {
		.major = 7, .minor = 41, .flags = UINT32_MAX, .flags2 = 0xff};
	static const uint8_t head[4] = {FUSE_INIT, 1, 0, 0xff};
	static const uint8_t lookup[4] = {FUSE_LOOKUP, 0xf1, 0, 0xff};

	ask(p, head, (const uint8_t *)&init, sizeof(init));
	ask(p, lookup, (const uint8_t *)"a", 2);
	ask(p, lookup, (const uint8_t *)"b", 2);
	need(p->nnodes == 2, "shares");
}

static uint64_t total;

static int add(const char *path, const struct stat *st, int type,
               struct FTW *ftw)
{
	(void)path;
	(void)type;
	(void)ftw;
	if (S_ISREG(st->st_mode))
		total += (uint64_t)st->st_blocks * 512;
	need(!(st->st_mode & 07000), "harmless modes");
	return 0;
}

static void check(const struct play *p, const char *top)
{
	char text[16] = {0}, path[64];
	int fd = openat(p->top, "out/secret", O_RDONLY);

	need(fd >= 0 && read(fd, text, sizeof(text)) == 6 &&
	             strcmp(text, "secret") == 0,
	     "the secret is untouched");
	(void)close(fd);
	fd = openat(p->top, "b/r", O_RDONLY);
	need(fd >= 0 && read(fd, text, sizeof(text)) == 9, "read only");
	(void)close(fd);
	total = 0;
	(void)snprintf(path, sizeof(path), "%s/a", top);
	need(nftw(path, add, 16, FTW_PHYS) == 0, "the tree");
	need(total <= LIMIT + SLACK, "the limit");
}

static int lowest_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)close(fd);
	return fd;
}

static struct play *start(const char *top)
{
	static struct fs_share shares[2];
	static struct play p;
	struct fs_config cfg = {.shares = shares,
	                        .nshares = 2,
	                        .inodes_max = 50,
	                        .handles_max = 20,
	                        .fds_max = 1};

	p = (struct play){.top = open(top, O_PATH | O_CLOEXEC)};
	need(p.top >= 0, top);
	make_tree(p.top);
	for (int i = 0; i < 2; i++) {
		shares[i] = (struct fs_share){
			.name = {(char)('a' + i), 0},
			.usage_fd = -1,
			.quota_bytes = LIMIT,
			.read_only = i,
			.cache = FS_CACHE_AUTO
                };
		shares[i].fd = openat(p.top, shares[i].name, O_PATH);
	}
	cfg.proc_fd = open("/proc/self/fd", O_PATH);
	need(fs_new(&cfg, &p.fs, NULL) == 0, "fs_new");
	begin(&p);
	return &p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char top[] = "/dev/shm/fuzz-fuse-XXXXXX";
	int before = lowest_fd();
	struct play *p;

	need(mkdtemp(top) != NULL, top);
	p = start(top);
	while (size >= 6) {
		size_t len = MIN((size_t)get_le16(data + 4), size - 6);

		len = MIN(len, BODY);
		if (data[0] == 0xff)
			host_turn(p, data[1]);
		else
			ask(p, data, data + 6, len);
		data += 6 + len;
		size -= 6 + len;
	}
	fs_free(p->fs);
	check(p, top);
	/* The caller's own: the folder, two shares, and proc. */
	for (int i = 0; i < 4; i++)
		(void)close(before + i);
	need(lowest_fd() == before, "descriptors");
	need(dir_remove(AT_FDCWD, top) == 0, "dir_remove");
	return 0;
}
