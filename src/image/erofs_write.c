#include "image/erofs_write.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

#define SUPER_AT      1024
#define SUPER_BYTES   128
#define FIRST_INODE   (SUPER_AT + SUPER_BYTES)
#define INODE_BYTES   64
#define INODE_ALIGN   32
#define DIRENT_BYTES  12
#define OUT_BYTES     (256 * 1024) /* at least a block: see out_flush() */
#define XATTR_HEAD    12
#define XATTR_MAX     (XATTR_HEAD + 4 * 65534)
#define MAGIC         0xE0F5E1E2u
#define COMPAT        3 /* checksum, mtime */
#define LAYOUT_PLAIN  0
#define LAYOUT_INLINE 2

/* Where things of an inode go; by inode number of the tree. */
struct place {
	uint64_t pos;   /* of the inode in the file */
	uint64_t size;  /* i_size */
	uint32_t block; /* folders: first full block, counted from `split` */
	uint32_t xattr; /* bytes with header, 0: none */
	uint32_t tail;  /* bytes behind the attributes */
};

struct dir_name {
	const uint8_t *text;
	uint32_t len, inode;
};

struct out {
	uint8_t *buf;
	size_t len;
	uint64_t off;
	uint32_t crc;
};

struct erofs {
	const struct tree *t;
	int fd;
	const uint8_t *uuid;
	struct place *at;
	struct dir_name *names; /* of the folder at hand */
	uint32_t nnames, cap_names;
	uint64_t *layer_block; /* first block of each layer's data */
	uint64_t dir_blocks, split, bytes, blocks;
	struct out inodes, dirs;
	struct err *err;
};

static int no_memory(struct erofs *w)
{
	return err_set(w->err, -ENOMEM, "out of memory while writing metadata");
}

/* --- attributes -------------------------------------------------------- */

/* The file system stores a number for these beginnings. */
static const struct {
	const char *text;
	uint8_t index;
	bool whole; /* nothing may follow */
} prefixes[] = {
	{"user.",		    1, false},
	{"system.posix_acl_access",  2, true },
	{"system.posix_acl_default", 3, true },
	{"trusted.",                 4, false},
	{"security.",                6, false},
};

struct xattr {
	const uint8_t *name, *value; /* name without its prefix */
	uint8_t name_len, index;
	uint16_t value_len;
};

/* The next attribute of the index's form at *p; index 0: not for us. */
static struct xattr next_xattr(const uint8_t **p)
{
	const uint8_t *name = *p + 3;
	struct xattr x = {.name_len = **p, .value_len = get_le16(*p + 1)};

	x.value = name + x.name_len;
	*p = x.value + x.value_len;
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t n = strlen(prefixes[i].text);

		if (x.name_len < n || memcmp(name, prefixes[i].text, n) != 0 ||
		    (prefixes[i].whole && x.name_len != n))
			continue;
		x.index = prefixes[i].index;
		x.name = name + n;
		x.name_len = (uint8_t)(x.name_len - n);
		break;
	}
	return x;
}

static const struct index *layer_of(const struct erofs *w, uint32_t inode)
{
	return &w->t->layers[w->t->inodes[inode].layer];
}

static uint32_t xattr_bytes(const struct erofs *w, uint32_t inode)
{
	const struct index_entry *e = w->t->inodes[inode].e;
	const uint8_t *p, *end;
	uint32_t n = XATTR_HEAD;

	if (!e || !e->xattr_len)
		return 0;
	p = layer_of(w, inode)->pool + e->xattr_off;
	end = p + e->xattr_len;
	while (p < end) {
		struct xattr x = next_xattr(&p);

		if (x.index)
			n += 4 + (uint32_t)num_align_up(
					 (uint32_t)x.name_len + x.value_len, 4);
		if (n > XATTR_MAX)
			return n;
	}
	return n > XATTR_HEAD ? n : 0;
}

/* --- folders ----------------------------------------------------------- */

static int add_name(struct erofs *w, const uint8_t *text, uint32_t len,
                    uint32_t inode)
{
	if (w->nnames == w->cap_names) {
		uint32_t cap = w->cap_names ? w->cap_names * 2 : 1024;
		void *v = reallocarray(w->names, cap, sizeof(*w->names));

		if (!v)
			return no_memory(w);
		w->names = v;
		w->cap_names = cap;
	}
	w->names[w->nnames++] = (struct dir_name){text, len, inode};
	return 0;
}

static bool sorts_before(const struct tree_name *d, const char *dots,
                         size_t len)
{
	int c = memcmp(d->text, dots, MIN((size_t)d->len, len));

	return c < 0 || (c == 0 && d->len < len);
}

/* All names of a folder in the order of their bytes, "." and ".." too. */
static int list_dir(struct erofs *w, uint32_t dir)
{
	const struct tree *t = w->t;
	uint32_t i = t->inodes[dir].first_child;
	const uint32_t self[] = {dir, t->inodes[dir].parent};

	w->nnames = 0;
	for (uint32_t dots = 1; dots <= 2; dots++) {
		for (; i != TREE_NONE && sorts_before(&t->names[i], "..", dots);
		     i = t->names[i].next)
			if (add_name(w, t->names[i].text, t->names[i].len,
			             t->names[i].inode) < 0)
				return -ENOMEM;
		if (add_name(w, (const uint8_t *)"..", dots, self[dots - 1]) <
		    0)
			return -ENOMEM;
	}
	for (; i != TREE_NONE; i = t->names[i].next)
		if (add_name(w, t->names[i].text, t->names[i].len,
		             t->names[i].inode) < 0)
			return -ENOMEM;
	return 0;
}

/* How many names from @first fit into a block; *ret_used: their bytes. */
static uint32_t block_names(const struct erofs *w, uint32_t first,
                            uint32_t *ret_used)
{
	uint32_t n = first, used = 0;

	while (n < w->nnames &&
	       used + DIRENT_BYTES + w->names[n].len <= EROFS_BLOCK)
		used += DIRENT_BYTES + w->names[n++].len;
	*ret_used = used;
	return n - first;
}

/* --- layout ------------------------------------------------------------ */

/*
 * Find the place for an inode of @head bytes with its attributes, and @tail
 * bytes that must not cross a block. False: no place can hold the tail.
 */
static bool place(uint64_t *pos, uint32_t head, uint32_t tail)
{
	uint64_t at = num_align_up(*pos, INODE_ALIGN);
	uint64_t room = EROFS_BLOCK - (at + head) % EROFS_BLOCK;

	if (tail > room)
		at = num_align_up(at + room, INODE_ALIGN);
	if (tail > EROFS_BLOCK - (at + head) % EROFS_BLOCK)
		return false;
	*pos = at;
	return true;
}

static int measure_dir(struct erofs *w, uint32_t inode, struct place *p)
{
	uint32_t first = 0, used = 0, full = 0;
	int r = list_dir(w, inode);

	if (r < 0)
		return r;
	for (;;) {
		first += block_names(w, first, &used);
		if (first == w->nnames)
			break;
		full++;
	}
	p->size = (uint64_t)full * EROFS_BLOCK + used;
	p->tail = used % EROFS_BLOCK;
	p->block = full + used / EROFS_BLOCK; /* for now; see layout() */
	return 0;
}

static int measure(struct erofs *w, uint32_t inode, struct place *p)
{
	const struct index_entry *e = w->t->inodes[inode].e;

	p->xattr = xattr_bytes(w, inode);
	if (p->xattr > XATTR_MAX)
		return err_set(w->err, -E2BIG,
		               "a file's attributes are too large");
	if (tree_is_dir(w->t, inode))
		return measure_dir(w, inode, p);
	if (e->type == INDEX_SYM)
		p->size = p->tail = e->link_len;
	if (e->type == INDEX_REG)
		p->size = e->size;
	if (e->flags & INDEX_F_INLINE)
		p->tail = e->link_len;
	return 0;
}

/*
 * Everything's place. A tail that cannot stand behind its inode goes to the
 * folder area as a block of its own.
 */
static int layout(struct erofs *w)
{
	uint64_t pos = FIRST_INODE;

	for (uint32_t i = 0; i < w->t->norder; i++) {
		uint32_t inode = w->t->order[i], full;
		struct place *p = &w->at[inode];
		int r = measure(w, inode, p);

		if (r < 0)
			return r;
		full = p->block;
		if (!place(&pos, INODE_BYTES + p->xattr, p->tail)) {
			p->tail = 0;
			full++;
			(void)place(&pos, INODE_BYTES + p->xattr, 0);
		}
		p->pos = pos;
		p->block = (uint32_t)w->dir_blocks;
		w->dir_blocks += full;
		pos += INODE_BYTES + p->xattr + p->tail;
	}
	w->split = num_align_up(pos, EROFS_BLOCK);
	w->bytes = w->split + w->dir_blocks * EROFS_BLOCK;
	w->blocks = w->bytes / EROFS_BLOCK;
	for (uint32_t i = 0; i < w->t->nlayers; i++) {
		w->layer_block[i] = w->blocks;
		w->blocks += w->t->layers[i].header->data_blocks;
	}
	return w->blocks > UINT32_MAX
	               ? err_set(w->err, -EFBIG, "image is over 16 TiB")
	               : 0;
}

/* --- output ------------------------------------------------------------ */

/*
 * The super block's checksum covers the rest of the first block, which is
 * complete in the first buffer that is written.
 */
static void sign_super(uint8_t *block)
{
	put_le32(block + SUPER_AT + 4,
	         index_crc(INDEX_CRC_INIT, block + SUPER_AT,
	                   EROFS_BLOCK - SUPER_AT));
}

static int out_flush(struct erofs *w, struct out *o)
{
	int r;

	if (o->off == 0 && o == &w->inodes)
		sign_super(o->buf);
	r = fd_pwrite_full(w->fd, o->buf, o->len, o->off);
	if (r < 0)
		return err_set(w->err, r, "cannot write metadata: %s",
		               strerror(-r));
	o->crc = index_crc(o->crc, o->buf, o->len);
	o->off += o->len;
	o->len = 0;
	return 0;
}

/* @data NULL: zeros. */
static int out_add(struct erofs *w, struct out *o, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		size_t n = MIN(len, OUT_BYTES - o->len);

		if (p) {
			memcpy(o->buf + o->len, p, n);
			p += n;
		} else {
			memset(o->buf + o->len, 0, n);
		}
		o->len += n;
		len -= n;
		if (o->len == OUT_BYTES && out_flush(w, o) < 0)
			return -EIO;
	}
	return 0;
}

static int out_seek(struct erofs *w, struct out *o, uint64_t pos)
{
	return out_add(w, o, NULL, (size_t)(pos - o->off - o->len));
}

static int write_super(struct erofs *w)
{
	uint8_t s[SUPER_BYTES] = {0};

	put_le32(s, MAGIC);
	put_le32(s + 8, COMPAT);
	s[12] = 12; /* log2 of the block size */
	put_le16(s + 14, (uint16_t)(w->at[TREE_ROOT].pos / INODE_ALIGN));
	put_le64(s + 16, w->t->norder);
	put_le32(s + 36, (uint32_t)w->blocks);
	memcpy(s + 48, w->uuid, 16);
	if (out_seek(w, &w->inodes, SUPER_AT) < 0)
		return -EIO;
	return out_add(w, &w->inodes, s, sizeof(s));
}

/* What a tar says of a link's permissions counts for nothing in Linux. */
static uint16_t mode_of(const struct index_entry *e)
{
	static const uint16_t bits[INDEX_TYPES] = {
		[INDEX_REG] = S_IFREG, [INDEX_DIR] = S_IFDIR,
		[INDEX_SYM] = S_IFLNK, [INDEX_CHR] = S_IFCHR,
		[INDEX_BLK] = S_IFBLK, [INDEX_FIFO] = S_IFIFO,
	};

	if (!e)
		return S_IFDIR | 0755;
	return bits[e->type] | (e->type == INDEX_SYM ? 0777 : e->mode);
}

/* Block address or device number. */
static uint32_t inode_where(const struct erofs *w, uint32_t inode)
{
	const struct tree_inode *n = &w->t->inodes[inode];
	const struct place *p = &w->at[inode];

	if (n->e && (n->e->type == INDEX_CHR || n->e->type == INDEX_BLK))
		return n->e->rdev;
	if (n->e && n->e->type == INDEX_REG && n->e->size &&
	    !(n->e->flags & INDEX_F_INLINE))
		return (uint32_t)(w->layer_block[n->layer] + n->e->block);
	return (uint32_t)(w->split / EROFS_BLOCK + p->block);
}

static int write_inode(struct erofs *w, uint32_t inode, uint32_t number)
{
	const struct tree_inode *n = &w->t->inodes[inode];
	const struct index_entry *e = n->e;
	const struct place *p = &w->at[inode];
	uint8_t d[INODE_BYTES] = {0};
	uint16_t layout = p->tail ? LAYOUT_INLINE : LAYOUT_PLAIN;

	put_le16(d, (uint16_t)(1 | layout << 1));
	if (p->xattr)
		put_le16(d + 2, (uint16_t)((p->xattr - XATTR_HEAD) / 4 + 1));
	put_le16(d + 4, mode_of(e));
	put_le64(d + 8, p->size);
	put_le32(d + 16, inode_where(w, inode));
	put_le32(d + 20, number);
	put_le32(d + 24, e ? e->uid : 0);
	put_le32(d + 28, e ? e->gid : 0);
	put_le64(d + 32, e ? (uint64_t)e->mtime : 0);
	put_le32(d + 40, e ? e->mtime_ns : 0);
	put_le32(d + 44, n->nlink);
	if (out_seek(w, &w->inodes, p->pos) < 0)
		return -EIO;
	return out_add(w, &w->inodes, d, sizeof(d));
}

static int write_xattrs(struct erofs *w, uint32_t inode)
{
	const struct index_entry *e = w->t->inodes[inode].e;
	struct out *o = &w->inodes;
	const uint8_t *p, *end;

	if (!w->at[inode].xattr)
		return 0;
	p = layer_of(w, inode)->pool + e->xattr_off;
	end = p + e->xattr_len;
	if (out_add(w, o, NULL, XATTR_HEAD) < 0)
		return -EIO;
	while (p < end) {
		struct xattr x = next_xattr(&p);
		uint8_t head[4] = {x.name_len, x.index};

		if (!x.index)
			continue;
		put_le16(head + 2, x.value_len);
		if (out_add(w, o, head, sizeof(head)) < 0 ||
		    out_add(w, o, x.name, x.name_len) < 0 ||
		    out_add(w, o, x.value, x.value_len) < 0 ||
		    out_add(w, o, NULL, -(x.name_len + x.value_len) & 3u) < 0)
			return -EIO;
	}
	return 0;
}

static uint8_t dirent_type(const struct index_entry *e)
{
	static const uint8_t codes[INDEX_TYPES] = {
		[INDEX_REG] = 1, [INDEX_DIR] = 2,  [INDEX_CHR] = 3,
		[INDEX_BLK] = 4, [INDEX_FIFO] = 5, [INDEX_SYM] = 7,
	};

	return e ? codes[e->type] : 2;
}

static void fill_block(const struct erofs *w, uint32_t first, uint32_t n,
                       uint8_t *block)
{
	uint32_t name_at = n * DIRENT_BYTES;

	for (uint32_t i = 0; i < n; i++) {
		const struct dir_name *d = &w->names[first + i];
		uint8_t *e = block + i * DIRENT_BYTES;

		put_le64(e, w->at[d->inode].pos / INODE_ALIGN);
		put_le16(e + 8, (uint16_t)name_at);
		e[10] = dirent_type(w->t->inodes[d->inode].e);
		memcpy(block + name_at, d->text, d->len);
		name_at += d->len;
	}
}

/* Full blocks go to the folder area, the last part behind the inode. */
static int write_dir(struct erofs *w, uint32_t inode)
{
	const struct place *p = &w->at[inode];
	uint32_t first = 0;
	int r = list_dir(w, inode);

	while (r == 0 && first < w->nnames) {
		uint8_t block[EROFS_BLOCK] = {0};
		uint32_t used, n = block_names(w, first, &used);

		fill_block(w, first, n, block);
		first += n;
		if (first == w->nnames && p->tail)
			r = out_add(w, &w->inodes, block, used);
		else
			r = out_add(w, &w->dirs, block, sizeof(block));
	}
	return r;
}

/* Link text and small files. */
static int write_tail(struct erofs *w, uint32_t inode)
{
	const struct index_entry *e = w->t->inodes[inode].e;
	const struct place *p = &w->at[inode];
	const uint8_t *text = layer_of(w, inode)->pool + e->link_off;
	int r;

	if (p->tail)
		return out_add(w, &w->inodes, text, p->tail);
	if (e->type != INDEX_SYM && !(e->flags & INDEX_F_INLINE && e->size))
		return 0;
	r = out_add(w, &w->dirs, text, e->link_len);
	if (r == 0)
		r = out_add(w, &w->dirs, NULL, -e->link_len % EROFS_BLOCK);
	return r;
}

static int write_all(struct erofs *w)
{
	int r = write_super(w);

	w->dirs.off = w->split;
	for (uint32_t i = 0; r == 0 && i < w->t->norder; i++) {
		uint32_t inode = w->t->order[i];

		r = write_inode(w, inode, i + 1);
		if (r == 0)
			r = write_xattrs(w, inode);
		if (r == 0)
			r = tree_is_dir(w->t, inode) ? write_dir(w, inode)
			                             : write_tail(w, inode);
	}
	if (r == 0)
		r = out_seek(w, &w->inodes, w->split);
	if (r == 0)
		r = out_flush(w, &w->inodes);
	return r < 0 ? r : out_flush(w, &w->dirs);
}

static int allocate(struct erofs *w)
{
	w->at = calloc(w->t->ninodes, sizeof(*w->at));
	w->layer_block = calloc(w->t->nlayers + 1, sizeof(*w->layer_block));
	w->inodes.buf = malloc(OUT_BYTES);
	w->dirs.buf = malloc(OUT_BYTES);
	w->inodes.crc = w->dirs.crc = INDEX_CRC_INIT;
	return w->at && w->layer_block && w->inodes.buf && w->dirs.buf
	               ? 0
	               : no_memory(w);
}

int erofs_write(const struct tree *t, const uint8_t uuid[16], int fd,
                struct erofs_info *ret, struct err *err)
{
	struct erofs w = {.t = t, .fd = fd, .uuid = uuid, .err = err};
	int r = allocate(&w);

	if (r == 0)
		r = layout(&w);
	if (r == 0)
		r = write_all(&w);
	if (r == 0)
		*ret = (struct erofs_info){
			.bytes = w.bytes,
			.inodes = t->norder,
			.split = w.split,
			.crc = {w.inodes.crc, w.dirs.crc},
		};
	free(w.at);
	free(w.layer_block);
	free(w.names);
	free(w.inodes.buf);
	free(w.dirs.buf);
	return r;
}
