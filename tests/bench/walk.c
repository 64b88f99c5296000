/*
 * walk.c - lstat() of everything below a folder, as find and git do it:
 * prints how many, and the seconds it took.
 */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static unsigned long count;

static int walk(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!d)
		return -1;
	while (r == 0 && (e = readdir(d))) {
		struct stat st;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		r = fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW);
		count++;
		if (r == 0 && S_ISDIR(st.st_mode))
			r = walk(fd, e->d_name);
	}
	closedir(d);
	return r;
}

int main(int argc, char **argv)
{
	struct timespec a, b;

	if (argc != 2)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &a);
	if (walk(AT_FDCWD, argv[1]) < 0) {
		perror(argv[1]);
		return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%lu %.6f\n", count,
	       (double)(b.tv_sec - a.tv_sec) +
	               (double)(b.tv_nsec - a.tv_nsec) / 1e9);
	return 0;
}
