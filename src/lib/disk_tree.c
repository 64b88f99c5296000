#include "lib/disk_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

#define CHUNK (16 * DISK_TREE_BLOCK)

static const char title[] = "msb-disk-tree-1\n";

int disk_tree_init(struct disk_tree *t, uint64_t size)
{
	uint8_t le[8];
	int r;

	*t = (struct disk_tree){.size = size};
	t->block = calloc(1, DISK_TREE_BLOCK);
	r = t->block ? digest_init(&t->all) : -ENOMEM;
	if (r < 0)
		return r;
	put_le64(le, size);
	digest_add(&t->all, title, sizeof(title) - 1);
	digest_add(&t->all, le, sizeof(le));
	return 0;
}

void disk_tree_release(struct disk_tree *t)
{
	free(t->block);
	digest_release(&t->all);
	*t = (struct disk_tree){0};
}

static void end_block(struct disk_tree *t)
{
	uint64_t at = t->number * DISK_TREE_BLOCK;
	size_t len = (size_t)MIN(t->size - at, (uint64_t)DISK_TREE_BLOCK);
	struct digest d;
	uint8_t le[8];

	if (!t->used)
		return;
	t->used = false;
	if (t->block[0] == 0 && memcmp(t->block, t->block + 1, len - 1) == 0)
		return;
	digest_of(t->block, len, &d);
	put_le64(le, t->number);
	digest_add(&t->all, le, sizeof(le));
	digest_add(&t->all, d.b, sizeof(d.b));
	memset(t->block, 0, DISK_TREE_BLOCK);
}

void disk_tree_add(struct disk_tree *t, uint64_t at, const void *data,
                   size_t len)
{
	const uint8_t *p = data;

	while (len) {
		size_t in = at % DISK_TREE_BLOCK;
		size_t n = MIN(len, DISK_TREE_BLOCK - in);

		if (at / DISK_TREE_BLOCK != t->number)
			end_block(t);
		t->number = at / DISK_TREE_BLOCK;
		memcpy(t->block + in, p, n);
		t->used = true;
		at += n;
		p += n;
		len -= n;
	}
}

void disk_tree_final(struct disk_tree *t, struct digest *ret)
{
	end_block(t);
	digest_final(&t->all, ret);
}

static int each_in(struct disk *d, uint64_t at, uint64_t len, uint8_t *buf,
                   disk_piece_fn fn, void *arg)
{
	int r = 0;

	while (len && r == 0) {
		size_t n = (size_t)MIN(len, CHUNK - at % CHUNK);
		struct iovec iov = {buf, n};

		r = disk_read(d, &iov, 1, at);
		for (size_t i = 0; r == 0 && i < n;) {
			size_t one =
				MIN(n - i, DISK_TREE_BLOCK -
			                           (at + i) % DISK_TREE_BLOCK);

			r = fn(arg, at + i, buf + i, one);
			i += one;
		}
		at += n;
		len -= n;
	}
	return r;
}

int disk_each_piece(struct disk *d, disk_piece_fn fn, void *arg)
{
	uint64_t at = 0, size = disk_size(d), len = 0;
	cleanup_free uint8_t *buf = malloc(CHUNK);
	bool hole;
	int r = buf ? 0 : -ENOMEM;

	while (r == 0 && at < size) {
		r = disk_map(d, at, size - at, &hole, &len);
		if (r == 0 && !hole)
			r = each_in(d, at, len, buf, fn, arg);
		at += len;
	}
	return r;
}

struct hashing {
	struct disk_tree tree;
	int (*tick)(void *arg, uint64_t bytes);
	void *arg;
};

static int add_piece(void *arg, uint64_t at, const void *data, size_t len)
{
	struct hashing *h = arg;

	disk_tree_add(&h->tree, at, data, len);
	return h->tick && h->tick(h->arg, len) ? -ECANCELED : 0;
}

int disk_tree_of(struct disk *d, int (*tick)(void *arg, uint64_t bytes),
                 void *arg, struct digest *ret, struct err *err)
{
	struct hashing h = {.tick = tick, .arg = arg};
	int r = disk_tree_init(&h.tree, disk_size(d));

	if (r == 0)
		r = disk_each_piece(d, add_piece, &h);
	if (r == 0)
		disk_tree_final(&h.tree, ret);
	disk_tree_release(&h.tree);
	if (r == -ECANCELED)
		return err_set(err, r, "cancelled");
	return r < 0 ? err_set(err, r, "cannot read the disk: %s", strerror(-r))
	             : 0;
}
