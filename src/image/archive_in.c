#include "image/archive_in.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/escape.h"
#include "base/fdio.h"
#include "base/num.h"
#include "image/inflate.h"

#include "base/banned.h"

#define SPOOL_MAX    MANIFEST_MAX_BLOB
#define SPOOL_CHUNK  (256 * KIB)
#define SPOOL_CHECK  (64 * MIB) /* look at the free space this often */
#define NAME_LEN_MAX 1024

enum packing { PLAIN, PACKED, UNKNOWN_PACKING };

static enum packing packing_of(int fd, const char **ret_name)
{
	static const struct {
		const char *name, *magic;
		size_t len;
		enum packing packing;
	} kinds[] = {
		{"gzip",  "\x1f\x8b",         2, PACKED         },
		{"zstd",  "\x28\xb5\x2f\xfd", 4, PACKED         },
		{"xz",
	         "\xfd"
	         "7zXZ",	              5, UNKNOWN_PACKING},
		{"bzip2", "BZh",              3, UNKNOWN_PACKING},
	};
	uint8_t head[8] = {0};

	(void)fd_pread_full(fd, head, sizeof(head), 0);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (memcmp(head, kinds[i].magic, kinds[i].len) != 0)
			continue;
		*ret_name = kinds[i].name;
		return kinds[i].packing;
	}
	return PLAIN;
}

/* Where staged bytes go, with all its bounds in one place. */
struct spool {
	struct store *s;
	struct meter *p;
	int fd;
	uint64_t len, checked;
};

static int spool_add(struct spool *sp, const void *data, size_t len,
                     struct err *err)
{
	int r;

	if (meter_poll(sp->p) < 0)
		return err_set(err, -ECANCELED, "cancelled");
	if (len > SPOOL_MAX - sp->len)
		return err_set(err, -EFBIG,
		               "the archive is larger than 64 GiB");
	if (sp->len + len > sp->checked) {
		r = store_reserve(sp->s, SPOOL_CHECK, err);
		if (r < 0)
			return r;
		sp->checked = sp->len + SPOOL_CHECK;
	}
	r = fd_write_full(sp->fd, data, len);
	sp->len += len;
	return r < 0 ? err_set(err, r, "cannot write the staged archive: %s",
	                       strerror(-r))
	             : 0;
}

/* A new file of the staging folder, which is made when there is none. */
static int spool_open(struct archive *a, struct meter *p, const char *name,
                      struct spool *ret, struct err *err)
{
	int r = a->tmp.name[0] ? 0 : store_tmp_new(a->s, &a->tmp, err);

	if (r < 0)
		return r;
	*ret = (struct spool){.s = a->s, .p = p};
	ret->fd = openat(a->tmp.dir_fd, name,
	                 O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return ret->fd < 0
	               ? err_set(err, -errno, "cannot stage the archive: %s",
	                         strerror(errno))
	               : 0;
}

/* Standard input or a pipe: everything that follows needs to seek. */
static int spool_stream(struct archive *a, struct meter *p, struct err *err)
{
	char *cleanup_free chunk = malloc(SPOOL_CHUNK);
	struct spool sp;
	ssize_t n;
	int r = chunk ? spool_open(a, p, "stream", &sp, err)
	              : err_set(err, -ENOMEM, "out of memory");

	if (r < 0)
		return r;
	do {
		n = cancel_read(a->fd, chunk, SPOOL_CHUNK);
		r = n == -ECANCELED ? err_set(err, (int)n, "cancelled")
		    : n < 0         ? err_set(err, (int)n,
		                              "cannot read the archive: %s",
		                              strerror((int)-n))
		                    : spool_add(&sp, chunk, (size_t)n, err);
	} while (r == 0 && n > 0);
	close_fd(&a->fd);
	a->fd = sp.fd;
	return r;
}

struct fd_reader {
	int fd;
	uint64_t off;
};

static ssize_t fd_reader_read(void *arg, void *data, size_t len,
                              struct err *err)
{
	struct fd_reader *f = arg;
	ssize_t n = fd_pread_full(f->fd, data, len, f->off);

	if (n < 0)
		return err_set(err, (int)n, "cannot read the archive: %s",
		               strerror((int)-n));
	f->off += (uint64_t)n;
	return n;
}

static int unpack(struct archive *a, struct meter *p, struct err *err)
{
	struct fd_reader reader = {.fd = a->fd};
	struct layer_source src = {fd_reader_read, &reader};
	struct inflate *cleanup_inflate in = inflate_new(&src);
	char *cleanup_free chunk = malloc(SPOOL_CHUNK);
	struct spool sp;
	ssize_t n = 0;
	int r = in && chunk ? spool_open(a, p, "plain", &sp, err)
	                    : err_set(err, -ENOMEM, "out of memory");

	if (r < 0)
		return r;
	while (r == 0 && (n = inflate_read(in, chunk, SPOOL_CHUNK, err)) > 0)
		r = spool_add(&sp, chunk, (size_t)n, err);
	close_fd(&a->fd);
	a->fd = sp.fd;
	return n < 0 ? (int)n : r;
}

static int make_plain(struct archive *a, struct meter *p, struct err *err)
{
	const char *name = NULL;
	int r;

	switch (packing_of(a->fd, &name)) {
	case PLAIN:
		return 0;
	case PACKED:
		break;
	case UNKNOWN_PACKING:
		err_set(err, -ENOTSUP,
		        "archives packed with %s are not "
		        "supported",
		        name);
		err_hint(err, "unpack it first");
		return -ENOTSUP;
	}
	r = unpack(a, p, err);
	if (r < 0)
		return r;
	if (packing_of(a->fd, &name) != PLAIN)
		return err_set(err, -EBADMSG,
		               "the archive is compressed twice");
	return 0;
}

static int open_tar(struct archive *a, struct meter *p, struct err *err)
{
	struct stat st;
	int r = 0;

	if (lseek(a->fd, 0, SEEK_CUR) < 0)
		r = spool_stream(a, p, err);
	if (r == 0)
		r = make_plain(a, p, err);
	if (r < 0)
		return r;
	if (fstat(a->fd, &st) < 0)
		return err_set(err, -errno, "cannot look at the archive: %s",
		               strerror(errno));
	return tar_index_build(a->fd, (uint64_t)st.st_size, &a->ix, err);
}

static int open_path(const char *path, bool no_links, struct err *err)
{
	const enum file_links links = no_links ? LINKS_NONE : LINKS_ANY;
	int fd;

	if (strcmp(path, "-") == 0) {
		fd = fcntl(0, F_DUPFD_CLOEXEC, 3);
		fd = fd < 0 ? -errno : fd;
	} else {
		fd = file_open(path, O_RDONLY | O_NOCTTY, links);
	}
	return fd < 0 ? err_set(err, fd, "cannot open %s: %s", path,
	                        file_open_text(fd, links))
	              : fd;
}

int archive_open(struct store *s, const char *path, bool no_links,
                 struct meter *p, struct archive *ret, struct err *err)
{
	struct archive a = {.s = s, .fd = -1};
	struct stat st;
	int r = 0;

	a.fd = open_path(path, no_links, err);
	if (a.fd < 0)
		return a.fd;
	if (fstat(a.fd, &st) < 0)
		r = err_set(err, -errno, "cannot open %s: %s", path,
		            strerror(errno));
	else if (S_ISDIR(st.st_mode))
		a.is_dir = true;
	else
		r = open_tar(&a, p, err);
	if (r < 0) {
		archive_close(&a);
		return r;
	}
	*ret = a;
	return 0;
}

void archive_close(struct archive *a)
{
	tar_index_release(&a->ix);
	close_fd(&a->fd);
	store_tmp_drop(a->s, &a->tmp);
}

static int refuse(struct err *err, int code, const char *name, const char *why)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(1024);

	(void)escape_text(&b, name, strnlen(name, 200), 0);
	return err_set(err, code, "%s in the image folder %s", buf_str(&b),
	               why);
}

/* One part after the other, none of them a link, none of them "..". */
static int open_beneath(int dir_fd, const char *name, struct err *err)
{
	cleanup_close int at = -1;
	const char *p = name;

	for (;;) {
		size_t len = strcspn(p, "/");
		bool last = p[len] == '\0';
		char part[NAME_LEN_MAX];
		int fd;

		if (len == 0 || len >= sizeof(part) || p[0] == '.')
			return refuse(err, -EBADMSG, name, "is a bad path");
		memcpy(part, p, len);
		part[len] = '\0';
		fd = openat(at < 0 ? dir_fd : at, part,
		            O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY |
		                    O_NONBLOCK | (last ? 0 : O_DIRECTORY));
		if (fd < 0)
			return refuse(err, errno == ENOENT ? -ENOENT : -EBADMSG,
			              name,
			              errno == ENOENT ? "is missing"
			                              : "cannot be opened");
		close_fd(&at);
		at = fd;
		if (last)
			return take_fd(at);
		p += len + 1;
	}
}

static int dir_member(const struct archive *a, const char *name,
                      struct archive_member *ret, struct err *err)
{
	cleanup_close int fd = open_beneath(a->fd, name, err);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return refuse(err, -EBADMSG, name, "is not a file");
	*ret = (struct archive_member){.fd = take_fd(fd),
	                               .size = (uint64_t)st.st_size};
	return 0;
}

int archive_member(const struct archive *a, const char *name,
                   struct archive_member *ret, struct err *err)
{
	const struct tar_member *m;
	int r, fd;

	if (a->is_dir)
		return dir_member(a, name, ret, err);
	r = tar_index_find(&a->ix, name, &m, err);
	if (r < 0)
		return r;
	fd = fcntl(a->fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return err_set(err, -errno, "cannot read the archive: %s",
		               strerror(errno));
	*ret = (struct archive_member){fd, m->offset, m->size};
	return 0;
}

void archive_member_release(struct archive_member *m)
{
	close_fd(&m->fd);
}

int archive_read(const struct archive *a, const char *name, struct buf *b,
                 struct err *err)
{
	struct archive_member m;
	int r = archive_member(a, name, &m, err);
	ssize_t n;

	if (r < 0)
		return r;
	if (m.size > b->max - b->len)
		r = refuse(err, -EFBIG, name, "is too large");
	else if (buf_reserve(b, m.size) < 0)
		r = err_set(err, -ENOMEM, "out of memory");
	if (r == 0) {
		n = fd_pread_full(m.fd, b->data + b->len, m.size, m.offset);
		if (n == (ssize_t)m.size)
			buf_commit(b, m.size);
		else
			r = refuse(err, -EIO, name, "cannot be read");
	}
	archive_member_release(&m);
	return r;
}

static void blob_name(const struct digest *d, char *out, size_t out_len)
{
	char hex[DIGEST_HEX_LEN + 1];

	(void)snprintf(out, out_len, "blobs/sha256/%s", digest_hex(d, hex));
}

int archive_document(const struct archive *a, const struct descriptor *d,
                     struct buf *b, struct err *err)
{
	struct digest got;
	char name[96];
	int r;

	blob_name(&d->digest, name, sizeof(name));
	b->max = MANIFEST_MAX_BYTES;
	r = archive_read(a, name, b, err);
	if (r < 0)
		return r;
	digest_of(b->data, b->len, &got);
	if (b->len != d->size || !digest_equal(&got, &d->digest))
		return refuse(err, -EBADMSG, name,
		              "does not have that size and digest");
	return 0;
}

int archive_source_open(const struct archive *a, const char *name,
                        const struct digest *want, struct meter *p,
                        uint32_t layer, struct archive_source *ret,
                        struct err *err)
{
	struct archive_source src = {.want = want, .p = p, .layer = layer};
	int r = archive_member(a, name, &src.m, err);

	if (r < 0)
		return r;
	r = digest_init(&src.hash);
	if (r < 0) {
		archive_member_release(&src.m);
		return err_set(err, r, "out of memory");
	}
	*ret = src;
	return 0;
}

static int source_end(struct archive_source *src, struct err *err)
{
	struct digest got;

	if (!src->want || src->checked)
		return 0;
	digest_final(&src->hash, &got);
	src->checked = digest_equal(&got, src->want);
	return src->checked
	               ? 0
	               : err_set(err, -EBADMSG,
	                         "a layer in the archive does not have the "
	                         "digest that its manifest names");
}

ssize_t archive_source_read(void *arg, void *data, size_t len, struct err *err)
{
	struct archive_source *src = arg;
	uint64_t left = src->m.size - src->done;
	ssize_t n;

	if (meter_bytes(src->p, src->layer, src->done) < 0 ||
	    meter_poll(src->p) < 0)
		return err_set(err, -ECANCELED, "cancelled");
	if (left == 0)
		return source_end(src, err);
	n = fd_pread_full(src->m.fd, data, MIN(len, left),
	                  src->m.offset + src->done);
	if (n <= 0)
		return err_set(err, n < 0 ? (int)n : -EIO,
		               "cannot read the archive: %s",
		               n < 0 ? strerror((int)-n) : "it got shorter");
	if (src->want)
		digest_add(&src->hash, data, (size_t)n);
	src->done += (uint64_t)n;
	return n;
}

void archive_source_close(struct archive_source *src)
{
	digest_release(&src->hash);
	archive_member_release(&src->m);
}
