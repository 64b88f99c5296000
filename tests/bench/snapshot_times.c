/*
 * snapshot_times HOME FOLDER ROUNDS BYTES: how long a snapshot of a sandbox
 * with so much on its disk takes, and a fork of it, by the library alone; as
 * JSON, in ms, with bytes that each added on the host. FOLDER is packed as the
 * image. No machine runs: what a guest would have written is written here.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "microsandbox.h"

#define CHUNK (1u << 20)
#define START (64ull << 20) /* behind what mke2fs wrote */

static struct msb_error error;

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, error.message);
	exit(1);
}

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void create(struct msb_home *home, const struct msb_image *image,
                   const char *name, const char *snapshot)
{
	struct msb_sandbox_opts o = MSB_SANDBOX_OPTS_INIT;
	struct msb_sandbox *sb = NULL;

	o.image = snapshot ? NULL : image;
	o.snapshot = snapshot;
	o.name = name;
	o.flags = MSB_SANDBOX_KEEP | MSB_SANDBOX_NO_START;
	must(msb_sandbox_create(home, &o, &sb, &error), "create");
}

/* Into the only upper.ext4 there is. */
static void fill(const char *home, unsigned long long bytes)
{
	char path[4096], *data = malloc(CHUNK);
	struct dirent *e;
	int fd = -1;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/sandboxes", home);
	d = opendir(path);
	while (d && fd < 0 && (e = readdir(d))) {
		(void)snprintf(path, sizeof(path), "%s/sandboxes/%s/upper.ext4",
		               home, e->d_name);
		fd = open(path, O_WRONLY | O_CLOEXEC);
	}
	if (fd < 0 || !data || getrandom(data, CHUNK, 0) < 0)
		exit(1);
	for (unsigned long long at = 0; at < bytes; at += CHUNK) {
		memcpy(data, &at, sizeof(at));
		if (pwrite(fd, data, CHUNK, (off_t)(START + at)) != CHUNK)
			exit(1);
	}
	if (fsync(fd) < 0)
		exit(1);
	(void)close(fd);
	(void)closedir(d);
	free(data);
}

static unsigned long long used(const char *at, const char *folder)
{
	unsigned long long sum = 0;
	char path[4096];
	struct dirent *e;
	struct stat st;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/%s", at, folder);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode))
			sum += used(path, e->d_name);
		else /* one that has two names at the moment counts once */
			sum += (unsigned long long)st.st_blocks * 512 /
			       st.st_nlink;
	}
	if (d)
		(void)closedir(d);
	return sum;
}

static unsigned long long all(const char *home)
{
	return used(home, "sandboxes") + used(home, "disks") +
	       used(home, "snapshots");
}

int main(int argc, char **argv)
{
	struct msb_home *home;
	struct msb_image *image;
	unsigned rounds;
	unsigned long long bytes;

	if (argc != 5)
		return 2;
	rounds = (unsigned)strtoul(argv[3], NULL, 10);
	bytes = strtoull(argv[4], NULL, 10);
	must(msb_home_open(argv[1], &home, &error), "home");
	must(msb_image_pull(home, argv[2], NULL, &image, &error), "image");
	printf("[");
	for (unsigned i = 0; i < rounds; i++) {
		unsigned long long b0, b1, b2;
		double t0, t1, t2;

		create(home, image, "a", NULL);
		fill(argv[1], bytes);
		b0 = all(argv[1]);
		t0 = now_ms();
		must(msb_snapshot_create(home, "a", "s", NULL, &error), "snap");
		t1 = now_ms();
		b1 = all(argv[1]);
		t2 = now_ms();
		create(home, image, "b", "s");
		t2 = now_ms() - t2;
		b2 = all(argv[1]);
		printf("%s{\"snapshot_ms\": %.3f, \"fork_ms\": %.3f, "
		       "\"snapshot_bytes\": %lld, \"fork_bytes\": %lld}",
		       i ? ", " : "", t1 - t0, t2, (long long)(b1 - b0),
		       (long long)(b2 - b1));
		must(msb_snapshot_remove(home, "s", &error), "rm");
		must(msb_sandbox_remove(home, "a", 0, &error), "rm");
		must(msb_sandbox_remove(home, "b", 0, &error), "rm");
	}
	printf("]\n");
	msb_image_free(image);
	msb_home_free(home);
	return 0;
}
