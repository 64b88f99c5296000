/*
 * Any bytes as a layer's tar, through the reader and the rules for entries.
 * The first byte chooses the pieces they come in, and whether the checksums
 * are made right first, without which few inputs would get past them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "image/layer_entry.h"
#include "image/layer_path.h"
#include "image/tar_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct feed {
	const uint8_t *data;
	size_t len, at, step;
	uint64_t raw;
};

#define MUST(x)                                                                \
	do {                                                                   \
		if (!(x))                                                      \
			abort();                                               \
	} while (0)

static ssize_t feed_next(void *arg, const uint8_t **ret, struct err *err)
{
	struct feed *f = arg;
	size_t n = MIN(f->step, f->len - f->at);

	(void)err;
	*ret = f->data + f->at;
	f->at += n;
	return (ssize_t)n;
}

static int feed_raw(void *arg, const void *data, size_t len, struct err *err)
{
	struct feed *f = arg;

	(void)data;
	(void)err;
	f->raw += len;
	return 0;
}

static void fix_checksums(uint8_t *p, size_t len)
{
	for (; len >= TAR_BLOCK; p += TAR_BLOCK, len -= TAR_BLOCK) {
		unsigned sum = 0;

		if (memcmp(p + 257, "ustar", 5) != 0)
			continue;
		memset(p + 148, ' ', 8);
		for (int i = 0; i < TAR_BLOCK; i++)
			sum += p[i];
		for (int i = 5; i >= 0; i--, sum >>= 3)
			p[148 + i] = (uint8_t)('0' + (sum & 7));
		p[154] = '\0';
	}
}

static void check_entry(const struct tar_reader *t, const struct tar_entry *e,
                        struct layer_names *names)
{
	struct index_entry x;
	struct err err;

	if (layer_entry_convert(t, e, names, &x, &err) <= 0)
		return;
	MUST(layer_path_is_clean(names->path.data, names->path.len));
	MUST(x.type && x.type < INDEX_TYPES && x.mode <= 07777);
	if (x.type == INDEX_HARD)
		MUST(layer_path_is_clean(names->link.data, names->link.len));
}

static uint64_t read_content(struct tar_reader *t, const struct tar_entry *e,
                             int *r)
{
	struct tar_piece p;
	struct err err;
	uint64_t sum = 0, at = 0;

	while ((*r = tar_data(t, &p, &err)) > 0) {
		MUST(p.len > 0 && p.off >= at);
		at = p.off + p.len;
		MUST(at <= e->size);
		sum += p.len;
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct layer_names names = LAYER_NAMES_INIT;
	struct feed f = {.len = size ? size - 1 : 0};
	struct tar_source src = {feed_next, feed_raw, &f};
	uint64_t given = 0;
	struct tar_reader t;
	struct tar_entry e;
	struct err err;
	uint8_t *copy;
	int r;

	if (size == 0)
		return 0;
	copy = malloc(f.len + 1);
	MUST(copy);
	memcpy(copy, data + 1, f.len);
	if (data[0] & 1)
		fix_checksums(copy, f.len);
	f.data = copy;
	f.step = data[0] & 2 ? 1 + (data[0] >> 2) : SIZE_MAX;
	tar_init(&t, &src);
	while ((r = tar_next(&t, &e, &err)) > 0) {
		check_entry(&t, &e, &names);
		if (!(data[0] & 128))
			given += read_content(&t, &e, &r);
		if (r < 0)
			break;
	}
	if (r == 0)
		MUST(f.raw + given == f.len);
	tar_release(&t);
	layer_names_release(&names);
	free(copy);
	return 0;
}
