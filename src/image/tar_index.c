#include "image/tar_index.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/escape.h"
#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

#define BLOCK         512
#define MEMBERS_MAX   200000 /* of all images of an archive together */
#define LONG_NAME_MAX 4096
#define PAX_MAX       (64 * KIB)
#define LINKS_MAX     8

/* What extended headers said about the member that follows them. */
struct pending {
	char *name, *link;
	uint64_t size;
	bool has_size;
};

static void pending_release(struct pending *p)
{
	free(p->name);
	free(p->link);
	*p = (struct pending){0};
}

static int broken(struct err *err, uint64_t offset, const char *why)
{
	return err_set(err, -EBADMSG, "damaged tar archive at byte %llu: %s",
	               (unsigned long long)offset, why);
}

/* Octal, or base 256 when the top bit of the first byte is set. */
static bool get_number(const uint8_t *p, size_t len, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;

	if (p[0] & 0x80) {
		if (p[0] != 0x80)
			return false; /* negative or beyond 64 bits */
		for (i = 1; i < len; i++) {
			if (v >> 55)
				return false;
			v = v << 8 | p[i];
		}
		*ret = v;
		return true;
	}
	while (i < len && p[i] == ' ')
		i++;
	for (; i < len && p[i] >= '0' && p[i] <= '7'; i++)
		v = v << 3 | (uint64_t)(p[i] - '0');
	if (i < len && p[i] != '\0' && p[i] != ' ')
		return false;
	*ret = v;
	return true;
}

static bool checksum_ok(const uint8_t *h)
{
	uint64_t want, sum = 0;

	for (size_t i = 0; i < BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : h[i];
	return get_number(h + 148, 8, &want) && want == sum;
}

/* Relative, without "." and empty parts; NULL (0) when it tries to leave. */
static int clean_path(const char *base, const char *path, char **ret)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(2 * LONG_NAME_MAX + 2);

	*ret = NULL;
	if (path[0] == '/')
		return 0;
	(void)buf_adds(&b, base);
	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && memcmp(path, "..", 2) == 0) {
			const char *slash;

			if (b.len == 0)
				return 0;
			slash = strrchr(buf_str(&b), '/');
			b.len = slash ? (size_t)(slash - buf_str(&b)) : 0;
			b.data[b.len] = '\0';
		} else if (len && !(len == 1 && path[0] == '.')) {
			if (b.len)
				(void)buf_addc(&b, '/');
			(void)buf_add(&b, path, len);
		}
		path += len + (path[len] == '/');
	}
	if (!buf_ok(&b))
		return -ENOMEM;
	*ret = strdup(buf_str(&b));
	return *ret ? 0 : -ENOMEM;
}

static bool has_dotdot(const char *path)
{
	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && memcmp(path, "..", 2) == 0)
			return true;
		path += len + (path[len] == '/');
	}
	return false;
}

static int add_member(struct tar_index *ix, char *name, char *link,
                      uint64_t offset, uint64_t size)
{
	if (ix->n == ix->cap) {
		uint32_t cap = ix->cap ? ix->cap * 2 : 64;
		struct tar_member *more =
			cap > 2 * MEMBERS_MAX
				? NULL
				: reallocarray(ix->members, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		ix->members = more;
		ix->cap = cap;
	}
	ix->members[ix->n++] = (struct tar_member){name, link, offset, size};
	return 0;
}

/* The folder part of @path, "" when it has none. */
static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strndup(path, slash ? (size_t)(slash - path) : 0);
}

static int take_member(struct tar_index *ix, uint8_t type, const char *name,
                       const char *link, uint64_t offset, uint64_t size)
{
	char *cleanup_free clean = NULL, *cleanup_free target = NULL;
	char *cleanup_free dir = NULL;
	bool is_link = type == '1' || type == '2';
	int r;

	if (!is_link && type != '0' && type != '\0' && type != '7')
		return 0;
	r = has_dotdot(name) ? 0 : clean_path("", name, &clean);
	if (r < 0 || !clean)
		return r;
	if (is_link) {
		dir = type == '2' ? parent_of(clean) : strdup("");
		if (!dir)
			return -ENOMEM;
		r = clean_path(dir, link, &target);
		if (r < 0 || !target)
			return r;
	}
	r = add_member(ix, clean, target, offset, is_link ? 0 : size);
	if (r == 0) {
		clean = NULL;
		target = NULL;
	}
	return r;
}

/* "LEN KEY=VALUE\n" records; only what names and sizes a member matters. */
static int parse_pax(struct pending *p, const char *data, size_t len)
{
	while (len > 0) {
		size_t digits = 0, n = 0;
		const char *key, *eq;
		char *value, **text;

		while (digits < len && digits < 7 && data[digits] >= '0' &&
		       data[digits] <= '9')
			n = n * 10 + (size_t)(data[digits++] - '0');
		if (digits == 0 || n > len || n < digits + 4 ||
		    data[digits] != ' ' || data[n - 1] != '\n')
			return -EBADMSG;
		key = data + digits + 1;
		eq = memchr(key, '=', n - digits - 2);
		if (!eq || memchr(key, '\0', n - digits - 2))
			return -EBADMSG;
		value = strndup(eq + 1, (size_t)(data + n - 1 - eq - 1));
		if (!value)
			return -ENOMEM;
		text = strncmp(key, "path=", 5) == 0       ? &p->name
		       : strncmp(key, "linkpath=", 9) == 0 ? &p->link
		                                           : NULL;
		if (text) {
			free(*text);
			*text = take_ptr(value);
		} else if (strncmp(key, "size=", 5) == 0) {
			p->has_size = num_parse_u64(value, INT64_MAX, &p->size);
			if (!p->has_size) {
				free(value);
				return -EBADMSG;
			}
		}
		free(value);
		data += n;
		len -= n;
	}
	return 0;
}

/* A header that extends the next one: GNU 'L' and 'K', pax 'x'. */
static int take_extension(int fd, uint8_t type, uint64_t offset, uint64_t size,
                          struct pending *p)
{
	uint64_t max = type == 'x' ? PAX_MAX : LONG_NAME_MAX;
	char *cleanup_free data = NULL;
	ssize_t n;

	if (size > max)
		return -EBADMSG;
	data = calloc(1, size + 1);
	if (!data)
		return -ENOMEM;
	n = fd_pread_full(fd, data, size, offset);
	if (n != (ssize_t)size)
		return n < 0 ? (int)n : -EBADMSG;
	if (type == 'x')
		return parse_pax(p, data, size);
	if (type == 'L') {
		free(p->name);
		p->name = take_ptr(data);
	} else {
		free(p->link);
		p->link = take_ptr(data);
	}
	return 0;
}

static void header_name(const uint8_t *h, char *out, size_t out_len)
{
	bool ustar = memcmp(h + 257, "ustar\0", 6) == 0;

	(void)snprintf(out, out_len, "%.*s%s%.100s", ustar ? 155 : 0,
	               (const char *)h + 345, ustar && h[345] ? "/" : "",
	               (const char *)h);
}

static int one_header(int fd, const uint8_t *h, uint64_t file_size,
                      uint64_t *off, struct pending *p, struct tar_index *ix,
                      struct err *err)
{
	uint64_t data = *off + BLOCK, size;
	char name[300], link[101];
	uint8_t type = h[156];
	int r;

	if (!checksum_ok(h))
		return broken(err, *off, "wrong checksum of a header");
	if (!get_number(h + 124, 12, &size))
		return broken(err, *off, "bad size");
	if (type == 'L' || type == 'K' || type == 'x') {
		r = take_extension(fd, type, data, size, p);
	} else if (type == 'g') {
		r = size > PAX_MAX ? -EBADMSG : 0;
	} else {
		header_name(h, name, sizeof(name));
		(void)snprintf(link, sizeof(link), "%.100s",
		               (const char *)h + 157);
		if (p->has_size)
			size = p->size;
		r = size > file_size - data
		            ? -EBADMSG
		            : take_member(ix, type, p->name ? p->name : name,
		                          p->link ? p->link : link, data, size);
		pending_release(p);
	}
	if (r == -EBADMSG || size > file_size - data)
		return broken(err, *off, "bad header, or the archive is cut");
	if (r < 0)
		return err_set(err, r, "cannot read the archive: %s",
		               strerror(-r));
	if (ix->n > MEMBERS_MAX)
		return broken(err, *off, "too many members");
	*off = data + num_align_up(size, BLOCK);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct tar_member *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int walk(int fd, uint64_t size, struct tar_index *ix, struct pending *p,
                struct err *err)
{
	static const uint8_t zeros[BLOCK];
	uint8_t h[BLOCK];
	uint64_t off = 0;
	int r = 0;

	while (r == 0) {
		ssize_t n =
			off >= size ? 0 : fd_pread_full(fd, h, sizeof(h), off);

		if (n < 0)
			return err_set(err, (int)n,
			               "cannot read the archive: %s",
			               strerror((int)-n));
		if (off == size && ix->n)
			return 0; /* without the two closing blocks */
		if (n != BLOCK)
			return broken(err, off, "it ends too early");
		if (memcmp(h, zeros, BLOCK) == 0)
			return 0;
		r = one_header(fd, h, size, &off, p, ix, err);
	}
	return r;
}

int tar_index_build(int fd, uint64_t size, struct tar_index *ret,
                    struct err *err)
{
	struct tar_index ix = {0};
	struct pending p = {0};
	int r = walk(fd, size, &ix, &p, err);

	pending_release(&p);
	if (r < 0) {
		tar_index_release(&ix);
		return r;
	}
	if (ix.n)
		qsort(ix.members, ix.n, sizeof(*ix.members), by_name);
	*ret = ix;
	return 0;
}

void tar_index_release(struct tar_index *ix)
{
	for (uint32_t i = 0; i < ix->n; i++) {
		free(ix->members[i].name);
		free(ix->members[i].link);
	}
	free(ix->members);
	*ix = (struct tar_index){0};
}

static int refuse(struct err *err, int code, const char *name, const char *why)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(1024);

	(void)escape_text(&b, name, strnlen(name, 200), 0);
	return err_set(err, code, "%s in the archive %s", buf_str(&b), why);
}

int tar_index_find(const struct tar_index *ix, const char *name,
                   const struct tar_member **ret, struct err *err)
{
	struct tar_member key = {.name = (char *)(uintptr_t)name};

	for (int hops = 0; hops <= LINKS_MAX; hops++) {
		const struct tar_member *m =
			ix->n ? bsearch(&key, ix->members, ix->n, sizeof(*m),
		                        by_name)
			      : NULL;

		if (!m)
			return refuse(err, -ENOENT, key.name, "is missing");
		if ((m > ix->members && by_name(m, m - 1) == 0) ||
		    (m + 1 < ix->members + ix->n && by_name(m, m + 1) == 0))
			return refuse(err, -EBADMSG, key.name,
			              "is there twice");
		if (!m->link) {
			*ret = m;
			return 0;
		}
		key.name = m->link;
	}
	return refuse(err, -ELOOP, name, "is a link that goes round");
}
