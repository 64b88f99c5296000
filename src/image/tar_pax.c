#include "image/tar_pax.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

int tar_sparse_add(struct tar_sparse *s, uint64_t off, uint64_t len)
{
	if (s->n == TAR_SPARSE_MAX)
		return -E2BIG;
	if (s->n == s->cap) {
		uint32_t cap = s->cap ? s->cap * 2 : 16;
		void *v = reallocarray(s->v, cap, sizeof(*s->v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = (struct tar_segment){off, len};
	return 0;
}

void tar_sparse_release(struct tar_sparse *s)
{
	free(s->v);
	*s = (struct tar_sparse){0};
}

bool tar_sparse_ok(const struct tar_sparse *s, uint64_t size, uint64_t stored)
{
	uint64_t at = 0, sum = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		const struct tar_segment *g = &s->v[i];

		if (g->off < at || !num_add(g->off, g->len, &at) || at > size)
			return false;
		sum += g->len; /* at most @size */
	}
	return sum == stored;
}

void tar_pax_init(struct tar_pax *x)
{
	*x = (struct tar_pax){
		.path = BUF_INIT_MAX(TAR_PAX_MAX),
		.link = BUF_INIT_MAX(TAR_PAX_MAX),
		.sparse_name = BUF_INIT_MAX(TAR_PAX_MAX),
		.xattrs = BUF_INIT_MAX(TAR_XATTR_BYTES),
	};
}

void tar_pax_reset(struct tar_pax *x)
{
	x->present = false;
	x->has = 0;
	x->nxattrs = 0;
	x->sparse_major = x->sparse_minor = 0;
	x->sparse.n = 0;
	buf_reset(&x->path);
	buf_reset(&x->link);
	buf_reset(&x->sparse_name);
	buf_reset(&x->xattrs);
}

void tar_pax_release(struct tar_pax *x)
{
	buf_release(&x->path);
	buf_release(&x->link);
	buf_release(&x->sparse_name);
	buf_release(&x->xattrs);
	tar_sparse_release(&x->sparse);
}

/* A decimal number at the front of *p; stops at the first other byte. */
static bool take_digits(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
	const uint8_t *start = *p;
	uint64_t v = 0;

	for (; *p < end && **p >= '0' && **p <= '9'; (*p)++)
		if (!num_mul(v, 10, &v) || !num_add(v, **p - '0', &v))
			return false;
	*ret = v;
	return *p > start;
}

static bool whole_number(const uint8_t *v, size_t len, uint64_t max,
                         uint64_t *ret)
{
	const uint8_t *p = v;
	uint64_t n;

	if (!take_digits(&p, v + len, &n) || p != v + len || n > max)
		return false;
	*ret = n;
	return true;
}

/* One value of a record; -EBADMSG when it is malformed. */
struct pax_key {
	const char *name;
	int (*set)(struct tar_pax *x, unsigned bit, const uint8_t *v,
	           size_t len);
	unsigned bit;
};

/*
 * An empty value takes the entry's own again, POSIX says; not all readers know,
 * so it is refused here and below.
 */
static int set_name(struct tar_pax *x, unsigned bit, const uint8_t *v,
                    size_t len)
{
	struct buf *b = bit == PAX_PATH   ? &x->path
	                : bit == PAX_LINK ? &x->link
	                                  : &x->sparse_name;

	if ((x->has & bit) || len == 0 || memchr(v, 0, len))
		return -EBADMSG;
	x->has |= bit;
	return buf_add(b, v, len);
}

/* Twice in one header is refused: readers differ on which one counts. */
static int set_size(struct tar_pax *x, unsigned bit, const uint8_t *v,
                    size_t len)
{
	uint64_t *to = bit == PAX_SIZE ? &x->size : &x->sparse_size;

	if ((x->has & bit) || !whole_number(v, len, INT64_MAX, to))
		return -EBADMSG;
	x->has |= bit;
	return 0;
}

static int set_id(struct tar_pax *x, unsigned bit, const uint8_t *v, size_t len)
{
	uint64_t id;

	if (!whole_number(v, len, UINT32_MAX, &id))
		return -EBADMSG;
	*(bit == PAX_UID ? &x->uid : &x->gid) = (uint32_t)id;
	x->has |= bit;
	return 0;
}

static uint32_t take_nanoseconds(const uint8_t **p, const uint8_t *end)
{
	uint32_t ns = 0, unit = 100000000;

	for (; *p < end && **p >= '0' && **p <= '9'; (*p)++, unit /= 10)
		ns += (uint32_t)(**p - '0') * unit;
	return ns;
}

/* [-]SECONDS[.FRACTION]; -1.25 is second -2 and 750 ms. */
static int set_mtime(struct tar_pax *x, unsigned bit, const uint8_t *v,
                     size_t len)
{
	const uint8_t *p = v, *end = v + len;
	bool minus = len && *v == '-';
	uint64_t sec;
	uint32_t ns = 0;

	p += minus;
	if (!take_digits(&p, end, &sec) || sec >= INT64_MAX)
		return -EBADMSG;
	if (p < end && *p == '.') {
		p++;
		ns = take_nanoseconds(&p, end);
	}
	if (p != end)
		return -EBADMSG;
	x->mtime = minus ? -(int64_t)sec : (int64_t)sec;
	x->mtime_ns = ns;
	if (minus && ns) {
		x->mtime--;
		x->mtime_ns = (uint32_t)1000000000 - ns;
	}
	x->has |= bit;
	return 0;
}

static int set_version(struct tar_pax *x, unsigned bit, const uint8_t *v,
                       size_t len)
{
	uint64_t *to = bit == 0 ? &x->sparse_major : &x->sparse_minor;

	x->has |= PAX_SPARSE;
	return whole_number(v, len, 1000, to) ? 0 : -EBADMSG;
}

/* How many segments: implied by the map itself. */
static int set_count(struct tar_pax *x, unsigned bit, const uint8_t *v,
                     size_t len)
{
	uint64_t n;

	(void)bit;
	x->has |= PAX_SPARSE;
	return whole_number(v, len, UINT32_MAX, &n) ? 0 : -EBADMSG;
}

/* 0.0: offset, numbytes, offset, numbytes, ... */
static int set_segment(struct tar_pax *x, unsigned bit, const uint8_t *v,
                       size_t len)
{
	bool is_offset = bit == PAX_SPARSE_OFFSET;
	uint64_t n;

	if (!whole_number(v, len, INT64_MAX, &n) ||
	    is_offset == !!(x->has & PAX_SPARSE_OFFSET))
		return -EBADMSG;
	x->has ^= PAX_SPARSE_OFFSET;
	x->has |= PAX_SPARSE;
	if (!is_offset)
		return tar_sparse_add(&x->sparse, x->sparse_offset, n);
	x->sparse_offset = n;
	return 0;
}

/* 0.1: "offset,length,offset,length" */
static int set_map(struct tar_pax *x, unsigned bit, const uint8_t *v,
                   size_t len)
{
	const uint8_t *p = v, *end = v + len;
	uint64_t off, n;
	int r = 0;

	if (x->has & bit || x->sparse.n)
		return -EBADMSG;
	x->has |= bit | PAX_SPARSE;
	while (r == 0 && p < end) {
		if (!take_digits(&p, end, &off) || p == end || *p++ != ',' ||
		    !take_digits(&p, end, &n) || (p < end && *p++ != ',') ||
		    off > INT64_MAX || n > INT64_MAX)
			return -EBADMSG;
		r = tar_sparse_add(&x->sparse, off, n);
	}
	return r;
}

static const struct pax_key keys[] = {
	{"path",		 set_name,    PAX_PATH         },
	{"linkpath",             set_name,    PAX_LINK         },
	{"size",		 set_size,    PAX_SIZE         },
	{"uid",		  set_id,      PAX_UID          },
	{"gid",		  set_id,      PAX_GID          },
	{"mtime",                set_mtime,   PAX_MTIME        },
	{"GNU.sparse.name",      set_name,    PAX_SPARSE_NAME  },
	{"GNU.sparse.size",      set_size,    PAX_SPARSE_SIZE  },
	{"GNU.sparse.realsize",  set_size,    PAX_SPARSE_SIZE  },
	{"GNU.sparse.major",     set_version, 0                },
	{"GNU.sparse.minor",     set_version, 1                },
	{"GNU.sparse.numblocks", set_count,   0                },
	{"GNU.sparse.offset",    set_segment, PAX_SPARSE_OFFSET},
	{"GNU.sparse.numbytes",  set_segment, 0                },
	{"GNU.sparse.map",       set_map,     PAX_SPARSE_MAP   },
};

static const struct pax_key *find_key(const uint8_t *key, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strlen(keys[i].name) == len &&
		    memcmp(keys[i].name, key, len) == 0)
			return &keys[i];
	return NULL;
}

/* Drop an earlier attribute of this name: the last one counts. */
static void xattr_drop(struct tar_pax *x, const uint8_t *name, size_t len)
{
	struct buf *b = &x->xattrs;
	size_t at = 0;

	while (at < b->len) {
		uint8_t *e = b->data + at;
		size_t whole = 3u + e[0] + get_le16(e + 1);

		if (e[0] == len && memcmp(e + 3, name, len) == 0) {
			memmove(e, e + whole, b->len - at - whole);
			b->len -= whole;
			x->nxattrs--;
			return;
		}
		at += whole;
	}
}

static int set_xattr(struct tar_pax *x, const uint8_t *name, size_t name_len,
                     const uint8_t *v, size_t len)
{
	uint8_t head[3] = {(uint8_t)name_len};

	if (name_len == 0 || name_len > 255 || len > UINT16_MAX)
		return -E2BIG;
	xattr_drop(x, name, name_len);
	if (x->nxattrs++ == TAR_XATTRS_MAX)
		return -E2BIG;
	put_le16(head + 1, (uint16_t)len);
	if (buf_add(&x->xattrs, head, 3) < 0 ||
	    buf_add(&x->xattrs, name, name_len) < 0)
		return -E2BIG;
	return buf_add(&x->xattrs, v, len);
}

struct record {
	const uint8_t *key, *value;
	size_t key_len, value_len;
};

/* "LEN KEY=VALUE\n", LEN counting all of it. */
static bool take_record(const uint8_t **p, const uint8_t *end,
                        struct record *ret)
{
	const uint8_t *start = *p, *eq;
	uint64_t len;

	if (!take_digits(p, end, &len) || *p == end || **p != ' ')
		return false;
	(*p)++;
	if (len > (uint64_t)(end - start) || len <= (uint64_t)(*p - start) ||
	    start[len - 1] != '\n')
		return false;
	eq = memchr(*p, '=', (size_t)(start + len - 1 - *p));
	if (!eq || eq == *p || memchr(*p, 0, (size_t)(eq - *p)))
		return false;
	*ret = (struct record){*p, eq + 1, (size_t)(eq - *p),
	                       (size_t)(start + len - 1 - (eq + 1))};
	*p = start + len;
	return true;
}

#define XATTR     "SCHILY.xattr."
#define XATTR_LEN (sizeof(XATTR) - 1)

static bool is_xattr(const struct record *rec)
{
	return rec->key_len >= XATTR_LEN &&
	       memcmp(rec->key, XATTR, XATTR_LEN) == 0;
}

static int apply(struct tar_pax *x, const struct record *rec)
{
	const struct pax_key *k = find_key(rec->key, rec->key_len);

	if (k)
		return k->set(x, k->bit, rec->value, rec->value_len);
	if (is_xattr(rec))
		return set_xattr(x, rec->key + XATTR_LEN,
		                 rec->key_len - XATTR_LEN, rec->value,
		                 rec->value_len);
	return 0; /* atime, comment, uname, ... */
}

int tar_pax_parse(struct tar_pax *x, const uint8_t *data, size_t len,
                  const char **ret_why)
{
	const uint8_t *p = data, *end = data + len;
	struct record rec;
	int r = 0;

	x->present = true;
	while (r == 0 && p < end) {
		*ret_why = "malformed extended header";
		if (!take_record(&p, end, &rec))
			return -EBADMSG;
		r = apply(x, &rec);
		if (r == -EBADMSG)
			*ret_why = "malformed value in an extended header";
		else if (r == -E2BIG)
			*ret_why = "too many attributes or sparse segments";
	}
	if (r == 0 && (x->has & PAX_SPARSE_OFFSET)) {
		*ret_why = "sparse offset without a length";
		return -EBADMSG;
	}
	return r;
}

int tar_pax_check_global(const uint8_t *data, size_t len, const char **ret_why)
{
	const uint8_t *p = data, *end = data + len;
	struct record rec;

	while (p < end) {
		*ret_why = "malformed global header";
		if (!take_record(&p, end, &rec))
			return -EBADMSG;
		*ret_why = "global header with values for all entries";
		if (find_key(rec.key, rec.key_len) || is_xattr(&rec))
			return -EBADMSG;
	}
	return 0;
}
