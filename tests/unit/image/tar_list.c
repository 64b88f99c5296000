/*
 * Tars one after another, each with its length in front (le32), from standard
 * input; what the reader sees of each to standard output: a line an entry,
 * then "ok" or "refused: why". For tests/e2e/test_tar_readers.py.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/num.h"
#include "image/tar_read.h"

struct archive {
	struct buf data;
	bool given;
};

static ssize_t next(void *arg, const uint8_t **ret, struct err *err)
{
	struct archive *a = arg;

	(void)err;
	if (a->given)
		return 0;
	a->given = true;
	*ret = a->data.data;
	return (ssize_t)a->data.len;
}

static void put_hex(const char *text, size_t len)
{
	(void)putchar('.');
	for (size_t i = 0; i < len; i++)
		(void)printf("%02x", (unsigned char)text[i]);
	(void)putchar(' ');
}

/* Type, path, link, mode, owner, time, size, and a sum over the content. */
static int show(struct tar_reader *t, const struct tar_entry *e,
                struct err *err)
{
	uint64_t sum = 0;
	struct tar_piece p;
	int r;

	while ((r = tar_data(t, &p, err)) > 0)
		for (size_t i = 0; i < p.len; i++)
			sum += (p.off + i + 1) * p.data[i];
	(void)printf("%c ", e->type);
	put_hex(e->path, e->path_len);
	put_hex(e->link ? e->link : "", e->link_len);
	(void)printf("%o %u %u %" PRId64 ".%09u %" PRIu64 " %" PRIu64 "\n",
	             e->mode, e->uid, e->gid, e->mtime, e->mtime_ns, e->size,
	             sum);
	return r;
}

static void list(struct archive *a)
{
	struct tar_source src = {next, NULL, a};
	struct tar_reader t;
	struct tar_entry e;
	struct err err = {0};
	int r;

	tar_init(&t, &src);
	while ((r = tar_next(&t, &e, &err)) > 0) {
		r = show(&t, &e, &err);
		if (r < 0)
			break;
	}
	tar_release(&t);
	(void)printf(r < 0 ? "refused: %s\n" : "ok\n", err.msg);
}

int main(void)
{
	uint8_t len[4];

	while (fd_read_full(0, len, 4) == 4) {
		struct archive a = {.data = BUF_INIT};
		size_t n = get_le32(len);

		if (buf_reserve(&a.data, n + 1) < 0 ||
		    fd_read_full(0, a.data.data, n) != (ssize_t)n)
			return 1;
		a.data.len = n;
		list(&a);
		buf_release(&a.data);
	}
	return 0;
}
