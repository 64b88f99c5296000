/*
 * prepare.c - what a start costs on the host before a machine exists: open the
 * image's root disk and make a fresh upper.
 *
 *	prepare HOME REFERENCE ROUNDS
 *
 * Prints one line per round: microseconds for the root disk, for the upper.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "image/image.h"

static uint64_t us_since(uint64_t start)
{
	return (clock_now_ns() - start) / 1000;
}

static int one_round(struct store *s, const struct image *img, struct err *err)
{
	struct rootfs root = {0};
	uint64_t start = clock_now_ns(), open_us;
	int fd = -1;
	int r = rootfs_open(s, &img->chain_id, &root, err);

	open_us = us_since(start);
	start = clock_now_ns();
	if (r == 0)
		r = upper_create(s, 8 * GIB, &fd, err);
	if (r == 0)
		printf("%llu %llu\n", (unsigned long long)open_us,
		       (unsigned long long)us_since(start));
	rootfs_release(&root);
	if (fd >= 0)
		(void)close(fd);
	return r;
}

int main(int argc, char **argv)
{
	struct store *cleanup_store s = NULL;
	struct image img = {0};
	struct err err = {0};
	uint64_t rounds;
	int r;

	if (argc != 4 || !num_parse_u64(argv[3], 1000, &rounds))
		return 2;
	r = store_open(argv[1], &s, &err);
	if (r == 0)
		r = image_find(s, argv[2], &img, &err);
	for (uint64_t i = 0; r == 0 && i < rounds; i++)
		r = one_round(s, &img, &err);
	image_release(&img);
	if (r < 0)
		(void)fprintf(stderr, "prepare: %s\n", err.msg);
	return r < 0;
}
