#include "image/tar_read.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/escape.h"
#include "base/num.h"

#include "base/banned.h"

/* One header block. Fields hold octal text, or base-256 in GNU archives. */
struct header {
	uint8_t name[100], mode[8], uid[8], gid[8], size[12], mtime[12];
	uint8_t checksum[8], type, link[100], magic[8], uname[32], gname[32];
	uint8_t major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct header) == TAR_BLOCK, "one block");

/* Where GNU's sparse header ('S') keeps its map and the real size. */
#define OLD_SPARSE_AT    386
#define OLD_SPARSE_N     4
#define OLD_EXTENDED_AT  482
#define OLD_REALSIZE_AT  483
#define EXT_SPARSE_N     21
#define EXT_EXTENDED_AT  504
#define OLD_SPARSE_BYTES 24

void tar_init(struct tar_reader *t, const struct tar_source *src)
{
	*t = (struct tar_reader){
		.src = *src,
		.name = BUF_INIT_MAX(TAR_PAX_MAX),
		.link = BUF_INIT_MAX(TAR_PAX_MAX),
		.long_name = BUF_INIT_MAX(TAR_LONG_MAX),
		.long_link = BUF_INIT_MAX(TAR_LONG_MAX),
	};
	tar_pax_init(&t->pax);
}

void tar_release(struct tar_reader *t)
{
	tar_pax_release(&t->pax);
	tar_sparse_release(&t->sparse);
	buf_release(&t->name);
	buf_release(&t->link);
	buf_release(&t->long_name);
	buf_release(&t->long_link);
}

int tar_error(const struct tar_reader *t, struct err *err, int code,
              const char *fmt, ...)
{
	struct buf cleanup_buf name = BUF_INIT, why = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	(void)buf_vprintf(&why, fmt, ap);
	va_end(ap);
	(void)escape_text(&name, t->name.data, MIN(t->name.len, 256u), 0);
	if (!name.len)
		return err_set(err, code, "layer, byte %llu: %s",
		               (unsigned long long)t->pos, buf_str(&why));
	return err_set(err, code, "layer, byte %llu, entry %s: %s",
	               (unsigned long long)t->pos, buf_str(&name),
	               buf_str(&why));
}

/* 1 when there are bytes at p, 0 at the end of the input. */
static int fill(struct tar_reader *t, struct err *err)
{
	ssize_t n;

	if (t->p != t->end)
		return 1;
	n = t->src.next(t->src.arg, &t->p, err);
	if (n <= 0) {
		t->p = t->end = NULL;
		return (int)n;
	}
	t->end = t->p + n;
	return 1;
}

static int take(struct tar_reader *t, size_t n, struct err *err)
{
	int r = t->src.raw ? t->src.raw(t->src.arg, t->p, n, err) : 0;

	t->p += n;
	t->pos += n;
	return r;
}

static int cut_short(const struct tar_reader *t, struct err *err)
{
	return tar_error(t, err, -EBADMSG, "the archive is cut short");
}

/*
 * Pass @len bytes to the raw hook, appending them to @to unless NULL. The
 * memory grows with the bytes that are really there, not with what a header
 * claims.
 */
static int read_raw(struct tar_reader *t, struct buf *to, uint64_t len,
                    struct err *err)
{
	while (len) {
		int r = fill(t, err);
		size_t n;

		if (r <= 0)
			return r < 0 ? r : cut_short(t, err);
		n = MIN((size_t)(t->end - t->p), len);
		r = to ? buf_add(to, t->p, n) : 0;
		if (r == 0)
			r = take(t, n, err);
		else
			err_set(err, r, "out of memory");
		if (r < 0)
			return r;
		len -= n;
	}
	return 0;
}

/* The next block in t->block: 1, or 0 at the end of the input. */
static int read_block(struct tar_reader *t, struct err *err)
{
	size_t have = 0;

	while (have < TAR_BLOCK) {
		int r = fill(t, err);
		size_t n;

		if (r < 0)
			return r;
		if (r == 0)
			return have ? cut_short(t, err) : 0;
		n = MIN((size_t)(t->end - t->p), TAR_BLOCK - have);
		memcpy(t->block + have, t->p, n);
		have += n;
		r = take(t, n, err);
		if (r < 0)
			return r;
	}
	return 1;
}

static bool octal_field(const uint8_t *f, size_t len, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;

	while (i < len && f[i] == ' ')
		i++;
	for (; i < len && f[i] >= '0' && f[i] <= '7'; i++) {
		if (v >> 61)
			return false;
		v = v << 3 | (f[i] - '0');
	}
	for (; i < len; i++)
		if (f[i] != ' ' && f[i] != '\0')
			return false;
	*ret = v;
	return true;
}

/* Text in base 8, or (first bit set) a big-endian two's complement number. */
static bool number_field(const uint8_t *f, size_t len, int64_t *ret)
{
	uint8_t flip = f[0] & 0x40 ? 0xff : 0;
	uint64_t v = 0;

	if (!(f[0] & 0x80)) {
		if (!octal_field(f, len, &v) || v > INT64_MAX)
			return false;
		*ret = (int64_t)v;
		return true;
	}
	for (size_t i = 0; i < len; i++) {
		uint8_t c = f[i] ^ flip;

		if (i == 0)
			c &= 0x7f;
		if (v >> 55)
			return false;
		v = v << 8 | c;
	}
	*ret = flip ? (int64_t)~v : (int64_t)v;
	return true;
}

static bool checksum_ok(const struct header *h)
{
	const uint8_t *p = (const uint8_t *)h;
	uint64_t want, sum = 0;
	int64_t signed_sum = 0;

	if (!octal_field(h->checksum, sizeof(h->checksum), &want))
		return false;
	for (size_t i = 0; i < TAR_BLOCK; i++) {
		bool self = i >= offsetof(struct header, checksum) &&
		            i < offsetof(struct header, type);

		sum += self ? ' ' : p[i];
		signed_sum += self ? ' ' : (int8_t)p[i];
	}
	return want == sum || (int64_t)want == signed_sum; /* old Suns sign */
}

static bool all_zero(const uint8_t *p)
{
	return p[0] == 0 && memcmp(p, p + 1, TAR_BLOCK - 1) == 0;
}

static size_t field_len(const uint8_t *f, size_t len)
{
	return strnlen((const char *)f, len);
}

/*
 * ustar puts a long name's folder in `prefix`. GNU archives may hold times
 * there, v7 ones nothing; some readers take them for a folder nevertheless.
 */
static int check_magic(struct tar_reader *t, const struct header *h,
                       struct err *err)
{
	static const char posix[] = "ustar\0"
				    "00",
			  gnu[] = "ustar  ", none[8] = "";
	bool is_posix = memcmp(h->magic, posix, 8) == 0;

	if (!is_posix && memcmp(h->magic, gnu, 8) != 0 &&
	    memcmp(h->magic, none, 8) != 0)
		return tar_error(t, err, -EBADMSG, "unknown kind of header");
	if (!is_posix && h->prefix[0] && h->type != 'S')
		return tar_error(t, err, -EBADMSG,
		                 "a name's prefix where none belongs");
	return 0;
}

/* The entry's name in its own header. */
static int header_name(struct tar_reader *t, const struct header *h)
{
	size_t prefix = 0;
	int r = 0;

	if (h->magic[5] == '\0' && h->magic[0])
		prefix = field_len(h->prefix, sizeof(h->prefix));
	if (prefix) {
		r = buf_add(&t->name, h->prefix, prefix);
		if (r == 0)
			r = buf_addc(&t->name, '/');
	}
	if (r == 0)
		r = buf_add(&t->name, h->name,
		            field_len(h->name, sizeof(h->name)));
	if (r == 0)
		r = buf_add(&t->link, h->link,
		            field_len(h->link, sizeof(h->link)));
	return r;
}

static bool differs(const struct buf *a, const struct buf *b)
{
	return a->len != b->len || memcmp(a->data, b->data, a->len) != 0;
}

static int replace(struct buf *to, const struct buf *from)
{
	buf_reset(to);
	return buf_add(to, from->data, from->len);
}

/* GNU names, then pax names, over those of the header itself. */
static int entry_names(struct tar_reader *t, const struct header *h,
                       struct err *err)
{
	const struct tar_pax *x = &t->pax;
	int r;

	if (((x->has & PAX_PATH) && t->has_long_name &&
	     differs(&x->path, &t->long_name)) ||
	    ((x->has & PAX_LINK) && t->has_long_link &&
	     differs(&x->link, &t->long_link)))
		return tar_error(t, err, -EBADMSG, "two different names");
	buf_reset(&t->name);
	buf_reset(&t->link);
	r = header_name(t, h);
	if (r == 0 && t->has_long_name)
		r = replace(&t->name, &t->long_name);
	if (r == 0 && t->has_long_link)
		r = replace(&t->link, &t->long_link);
	if (r == 0 && (x->has & PAX_PATH))
		r = replace(&t->name, &x->path);
	if (r == 0 && (x->has & PAX_SPARSE_NAME))
		r = replace(&t->name, &x->sparse_name);
	if (r == 0 && (x->has & PAX_LINK))
		r = replace(&t->link, &x->link);
	return r < 0 ? err_set(err, r, "out of memory") : 0;
}

static bool id_field(const uint8_t *f, uint32_t *ret)
{
	int64_t v;

	if (!number_field(f, 8, &v) || v < 0 || v > UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

static int entry_numbers(struct tar_reader *t, const struct header *h,
                         struct tar_entry *e, struct err *err)
{
	const struct tar_pax *x = &t->pax;
	int64_t mode, size;
	bool ok = number_field(h->mode, 8, &mode) &&
	          id_field(h->uid, &e->uid) && id_field(h->gid, &e->gid) &&
	          number_field(h->size, 12, &size) && size >= 0 &&
	          number_field(h->mtime, 12, &e->mtime);

	/* others read the device whatever the type */
	if (!ok || !id_field(h->major, &e->major) ||
	    !id_field(h->minor, &e->minor))
		return tar_error(t, err, -EBADMSG, "malformed number");
	e->mode = (uint32_t)mode & 07777;
	e->size = (uint64_t)size;
	if (x->has & PAX_UID)
		e->uid = x->uid;
	if (x->has & PAX_GID)
		e->gid = x->gid;
	if (x->has & PAX_MTIME) {
		e->mtime = x->mtime;
		e->mtime_ns = x->mtime_ns;
	}
	if (x->has & PAX_SIZE)
		e->size = x->size;
	return e->size > TAR_SIZE_MAX
	               ? tar_error(t, err, -EFBIG, "impossible size")
	               : 0;
}

/* Old archives mark a folder by a slash only. */
static int entry_type(struct tar_reader *t, uint8_t flag, struct tar_entry *e,
                      struct err *err)
{
	bool slash = t->name.len && t->name.data[t->name.len - 1] == '/';

	if (flag == '\0')
		e->type = slash ? TAR_DIR : TAR_REG;
	else if (flag == '7' || flag == 'S')
		e->type = TAR_REG;
	else if (flag >= TAR_REG && flag <= TAR_FIFO)
		e->type = (enum tar_type)flag;
	else
		return tar_error(t, err, -EBADMSG, "unknown entry type 0x%02x",
		                 flag);
	if (slash && flag != '\0' && e->type != TAR_DIR)
		return tar_error(t, err, -EBADMSG,
		                 "a slash at the end, but not a folder");
	return 0;
}

/* Some archivers write the size of the file that a hard link names. */
static int entry_size(struct tar_reader *t, struct tar_entry *e,
                      struct err *err)
{
	if (e->type == TAR_HARD && !(t->pax.has & PAX_SIZE))
		e->size = 0;
	if (e->type != TAR_REG && e->size)
		return tar_error(t, err, -EBADMSG,
		                 "a size, but not a regular file");
	t->left = e->size;
	t->pad = (uint32_t)(-e->size & (TAR_BLOCK - 1));
	t->file_off = 0;
	return 0;
}

static int sparse_failed(struct tar_reader *t, int r, struct err *err)
{
	if (r == -ENOMEM)
		return err_set(err, r, "out of memory");
	return tar_error(t, err, r == -E2BIG ? -E2BIG : -EBADMSG,
	                 r == -E2BIG ? "too many sparse segments"
	                             : "malformed sparse map");
}

static int old_segments(struct tar_reader *t, const uint8_t *p, uint32_t n)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < n; i++, p += OLD_SPARSE_BYTES) {
		int64_t off, len;

		if (p[0] == '\0')
			break;
		if (!number_field(p, 12, &off) ||
		    !number_field(p + 12, 12, &len) || off < 0 || len < 0)
			return -EBADMSG;
		r = tar_sparse_add(&t->sparse, (uint64_t)off, (uint64_t)len);
	}
	return r;
}

/* GNU 'S': four segments in the header, more in the blocks behind it. */
static int old_sparse(struct tar_reader *t, struct tar_entry *e,
                      struct err *err)
{
	int64_t real;
	bool more = t->block[OLD_EXTENDED_AT];
	int r = -EBADMSG;

	if (number_field(t->block + OLD_REALSIZE_AT, 12, &real) && real >= 0)
		r = old_segments(t, t->block + OLD_SPARSE_AT, OLD_SPARSE_N);
	if (r < 0)
		return sparse_failed(t, r, err);
	while (more) {
		r = read_block(t, err);
		if (r <= 0)
			return r < 0 ? r : cut_short(t, err);
		more = t->block[EXT_EXTENDED_AT];
		r = old_segments(t, t->block, EXT_SPARSE_N);
		if (r < 0)
			return sparse_failed(t, r, err);
	}
	e->size = (uint64_t)real;
	return 0;
}

/* A line with a number from the map in front of the content (1.0). */
static int map_number(struct tar_reader *t, size_t *at, uint64_t *ret,
                      struct err *err)
{
	uint64_t v = 0;
	unsigned digits = 0;

	for (;;) {
		uint8_t c;

		if (*at == TAR_BLOCK) {
			int r = t->left < TAR_BLOCK ? 0 : read_block(t, err);

			if (r <= 0)
				return r < 0 ? r
				             : sparse_failed(t, -EBADMSG, err);
			t->left -= TAR_BLOCK;
			*at = 0;
		}
		c = t->block[(*at)++];
		if (c == '\n' && digits)
			break;
		if (c < '0' || c > '9' || ++digits > 19)
			return sparse_failed(t, -EBADMSG, err);
		v = v * 10 + (c - '0');
	}
	*ret = v;
	return 0;
}

static int new_sparse(struct tar_reader *t, struct err *err)
{
	size_t at = TAR_BLOCK;
	uint64_t n, off, len;
	int r = map_number(t, &at, &n, err);

	if (r == 0 && n > TAR_SPARSE_MAX)
		r = sparse_failed(t, -E2BIG, err);
	while (r == 0 && n--) {
		r = map_number(t, &at, &off, err);
		if (r == 0)
			r = map_number(t, &at, &len, err);
		if (r < 0)
			break;
		r = tar_sparse_add(&t->sparse, off, len);
		if (r < 0)
			r = sparse_failed(t, r, err);
	}
	return r;
}

static int pax_sparse(struct tar_reader *t, struct tar_entry *e,
                      struct err *err)
{
	struct tar_pax *x = &t->pax;
	int r = 0;

	if (!(x->has & PAX_SPARSE_SIZE))
		return sparse_failed(t, -EBADMSG, err);
	if (x->sparse_major == 1 && x->sparse_minor == 0 && !x->sparse.n)
		r = new_sparse(t, err);
	else if (x->sparse_major != 0 || x->sparse_minor > 1)
		r = tar_error(t, err, -EBADMSG, "unknown sparse format");
	for (uint32_t i = 0; r == 0 && i < x->sparse.n; i++)
		if (tar_sparse_add(&t->sparse, x->sparse.v[i].off,
		                   x->sparse.v[i].len) < 0)
			r = err_set(err, -ENOMEM, "out of memory");
	e->size = x->sparse_size;
	return r;
}

static int entry_sparse(struct tar_reader *t, uint8_t flag, struct tar_entry *e,
                        struct err *err)
{
	int r;

	t->sparse.n = t->seg = 0;
	t->seg_done = 0;
	t->is_sparse = flag == 'S' || (t->pax.has & PAX_SPARSE);
	if (!t->is_sparse)
		return t->pax.has & (PAX_SPARSE_NAME | PAX_SPARSE_SIZE)
		               ? sparse_failed(t, -EBADMSG, err)
		               : 0;
	if (e->type != TAR_REG || (flag == 'S' && (t->pax.has & PAX_SPARSE)))
		return sparse_failed(t, -EBADMSG, err);
	r = flag == 'S' ? old_sparse(t, e, err) : pax_sparse(t, e, err);
	if (r < 0)
		return r;
	if (e->size > TAR_SIZE_MAX)
		return tar_error(t, err, -EFBIG, "impossible size");
	return tar_sparse_ok(&t->sparse, e->size, t->left)
	               ? 0
	               : sparse_failed(t, -EBADMSG, err);
}

static int finish_entry(struct tar_reader *t, struct tar_entry *ret,
                        struct err *err)
{
	const struct header *h = (const struct header *)t->block;
	struct tar_entry e = {0};
	uint8_t flag = h->type;
	int r = check_magic(t, h, err);

	if (r == 0)
		r = entry_names(t, h, err);
	if (r == 0)
		r = entry_type(t, flag, &e, err);
	if (r == 0)
		r = entry_numbers(t, h, &e, err);
	if (r == 0)
		r = entry_size(t, &e, err);
	if (r == 0)
		r = entry_sparse(t, flag, &e, err);
	if (r < 0)
		return r;
	e.path = buf_str(&t->name);
	e.path_len = t->name.len;
	if (e.type == TAR_HARD || e.type == TAR_SYM) {
		e.link = buf_str(&t->link);
		e.link_len = t->link.len;
	}
	e.xattrs = (const uint8_t *)buf_str(&t->pax.xattrs);
	e.xattrs_len = t->pax.xattrs.len;
	*ret = e;
	return 1;
}

/*
 * The body of an extended header. Its size is what its own header says: a pax
 * size in front of it belongs to the entry that follows.
 */
static int read_body(struct tar_reader *t, uint64_t max, struct buf *to,
                     struct err *err)
{
	const struct header *h = (const struct header *)t->block;
	int64_t size;
	int r;

	if (!number_field(h->size, 12, &size) || size < 0)
		return tar_error(t, err, -EBADMSG, "malformed number");
	if ((uint64_t)size > max)
		return tar_error(t, err, -E2BIG,
		                 "extended header of %lld bytes, over %llu",
		                 (long long)size, (unsigned long long)max);
	buf_reset(to);
	r = read_raw(t, to, (uint64_t)size, err);
	return r < 0 ? r
	             : read_raw(t, NULL, -(uint64_t)size & (TAR_BLOCK - 1),
	                        err);
}

static int on_long_name(struct tar_reader *t, uint8_t flag, struct err *err)
{
	struct buf *b = flag == 'L' ? &t->long_name : &t->long_link;
	bool *has = flag == 'L' ? &t->has_long_name : &t->has_long_link;
	int r;

	if (*has)
		return tar_error(t, err, -EBADMSG, "two long names");
	r = read_body(t, TAR_LONG_MAX, b, err);
	if (r < 0)
		return r;
	while (b->len && b->data[b->len - 1] == '\0')
		b->len--;
	if (!b->len || memchr(b->data, 0, b->len))
		return tar_error(t, err, -EBADMSG, "malformed long name");
	*has = true;
	return 0;
}

static int on_pax(struct tar_reader *t, uint8_t flag, struct err *err)
{
	struct buf cleanup_buf body = BUF_INIT_MAX(TAR_PAX_MAX);
	const char *why = "";
	int r;

	(void)flag;
	if (t->pax.present)
		return tar_error(t, err, -EBADMSG, "two extended headers");
	r = read_body(t, TAR_PAX_MAX, &body, err);
	if (r < 0)
		return r;
	r = tar_pax_parse(&t->pax, (const uint8_t *)buf_str(&body), body.len,
	                  &why);
	return r < 0 ? tar_error(t, err, r, "%s", why) : 0;
}

static int on_global(struct tar_reader *t, uint8_t flag, struct err *err)
{
	struct buf cleanup_buf body = BUF_INIT_MAX(TAR_PAX_MAX);
	const char *why = "";
	int r;

	(void)flag;
	if (t->globals++ == TAR_GLOBAL_MAX)
		return tar_error(t, err, -E2BIG, "too many global headers");
	r = read_body(t, TAR_PAX_MAX, &body, err);
	if (r < 0)
		return r;
	r = tar_pax_check_global((const uint8_t *)buf_str(&body), body.len,
	                         &why);
	return r < 0 ? tar_error(t, err, r, "%s", why) : 0;
}

static int on_label(struct tar_reader *t, uint8_t flag, struct err *err)
{
	struct buf cleanup_buf body = BUF_INIT_MAX(TAR_LONG_MAX);

	(void)flag;
	return read_body(t, TAR_LONG_MAX, &body, err);
}

/* Headers that are about the next entry, or about none. */
static const struct {
	uint8_t flag;
	int (*read)(struct tar_reader *t, uint8_t flag, struct err *err);
} extended[] = {
	{'x', on_pax      },
        {'g', on_global   },
        {'L', on_long_name},
	{'K', on_long_name},
        {'V', on_label    },
};

static bool dangling(const struct tar_reader *t)
{
	return t->pax.present || t->has_long_name || t->has_long_link;
}

/* After the end marker: nothing of it is an entry. */
static int read_tail(struct tar_reader *t, struct err *err)
{
	uint64_t start = t->pos;
	int r;

	t->done = true;
	if (dangling(t))
		return tar_error(t, err, -EBADMSG,
		                 "an extended header without an entry");
	while ((r = fill(t, err)) > 0) {
		r = take(t, (size_t)(t->end - t->p), err);
		if (r < 0)
			return r;
		if (t->pos - start > TAR_TAIL_MAX)
			return tar_error(t, err, -E2BIG,
			                 "too much after the end");
	}
	return r;
}

/* The marker is two zero blocks; the end of the input may stand for one. */
static int on_zero_block(struct tar_reader *t, struct err *err)
{
	int r = read_block(t, err);

	if (r > 0 && !all_zero(t->block))
		return tar_error(t, err, -EBADMSG, "a lone zero block");
	return r < 0 ? r : read_tail(t, err);
}

/* What tar_data() did not hand out, and the padding. */
static int skip_content(struct tar_reader *t, struct err *err)
{
	uint64_t n = t->left + t->pad;

	t->left = t->pad = 0;
	return read_raw(t, NULL, n, err);
}

/* 1: t->block is an entry's own header. 0: the end. */
static int next_header(struct tar_reader *t, struct err *err)
{
	for (;;) {
		const struct header *h = (const struct header *)t->block;
		int r = read_block(t, err);
		size_t i = 0;

		if (r <= 0)
			return r < 0 ? r : read_tail(t, err);
		if (all_zero(t->block))
			return on_zero_block(t, err);
		if (!checksum_ok(h))
			return tar_error(t, err, -EBADMSG,
			                 "not a tar header (wrong checksum)");
		while (i < ARRAY_SIZE(extended) && extended[i].flag != h->type)
			i++;
		if (i == ARRAY_SIZE(extended))
			return 1;
		r = extended[i].read(t, h->type, err);
		if (r < 0)
			return r;
	}
}

int tar_next(struct tar_reader *t, struct tar_entry *ret, struct err *err)
{
	int r = t->done ? 0 : skip_content(t, err);

	if (r < 0 || t->done)
		return r;
	buf_reset(&t->name);
	tar_pax_reset(&t->pax);
	t->has_long_name = t->has_long_link = false;
	r = next_header(t, err);
	return r <= 0 ? r : finish_entry(t, ret, err);
}

/* How much of the content may be handed out at once, and where it belongs. */
static uint64_t piece_room(struct tar_reader *t, uint64_t *ret_off)
{
	if (!t->is_sparse) {
		*ret_off = t->file_off;
		return t->left;
	}
	while (t->seg_done == t->sparse.v[t->seg].len) {
		t->seg++;
		t->seg_done = 0;
	}
	*ret_off = t->sparse.v[t->seg].off + t->seg_done;
	return t->sparse.v[t->seg].len - t->seg_done;
}

int tar_data(struct tar_reader *t, struct tar_piece *ret, struct err *err)
{
	uint64_t room;
	int r;

	if (t->left == 0)
		return 0;
	r = fill(t, err);
	if (r <= 0)
		return r < 0 ? r : cut_short(t, err);
	room = piece_room(t, &ret->off);
	ret->data = t->p;
	ret->len = MIN((size_t)(t->end - t->p), room);
	t->p += ret->len;
	t->pos += ret->len;
	t->left -= ret->len;
	t->file_off += ret->len;
	t->seg_done += ret->len;
	return 1;
}
