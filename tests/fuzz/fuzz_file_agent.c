/*
 * What a host may send to the agent in a file session. Only the host gets
 * there, and the agent does what root may do: the target looks for crashes,
 * hangs and descriptors that stay open, not for what is done to files. It
 * runs where all but a small tmpfs is mounted read-only, and requests with a
 * path that leads out of that are left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/mount.h>

#include "base/fdio.h"
#include "base/num.h"
#include "guest/files.h"

#define WORK "/mnt"

static int root_fd = -1;

static int set_read_only(const char *path, bool on)
{
	struct mount_attr a = {0};

	if (on)
		a.attr_set = MOUNT_ATTR_RDONLY;
	else
		a.attr_clr = MOUNT_ATTR_RDONLY;
	return (int)syscall(SYS_mount_setattr, AT_FDCWD, path,
	                    on ? AT_RECURSIVE : 0, &a, sizeof(a));
}

/* libFuzzer writes what it finds to relative paths below the current folder. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char here[4096];

	(void)argc;
	(void)argv;
	if (!getcwd(here, sizeof(here)) || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(here, here, NULL, MS_BIND, NULL) < 0 ||
	    mount("tmpfs", WORK, "tmpfs", 0, "size=16m") < 0 ||
	    set_read_only("/", true) < 0 || set_read_only(here, false) < 0 ||
	    set_read_only(WORK, false) < 0 || chdir(here) < 0) {
		(void)fprintf(stderr, "needs root and Linux 5.12: %s\n",
		              strerror(errno));
		exit(1);
	}
	root_fd = open(WORK, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return 0;
}

static bool stays(const char *path)
{
	if (*path == '/')
		return false;
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && strncmp(path, "..", 2) == 0)
			return false;
		path += n + (path[n] == '/');
	}
	return true;
}

static void make_world(void)
{
	int fd;

	(void)mkdir("d", 0755);
	(void)mkdir("d/e", 0755);
	(void)symlink("d", "l");
	(void)symlink("round", "round");
	(void)mkfifo("p", 0600);
	fd = open("f", O_CREAT | O_WRONLY | O_TRUNC, 0644);
	(void)!write(fd, "content", 7);
	(void)!ftruncate(fd, 1 << 20);
	(void)close(fd);
	(void)link("f", "d/g");
}

static void *drain(void *arg)
{
	char out[16384];

	while (recv(*(int *)arg, out, sizeof(out), 0) > 0)
		;
	return NULL;
}

static unsigned count_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void clear_world(void)
{
	(void)dir_remove(AT_FDCWD, "w");
}

static void serve(const struct proto_file_req *req, const uint8_t *rest,
                  size_t len)
{
	struct files_env env = {.upper_fd = -1, .proc_fd = -1};
	pthread_t reader;
	int s[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) < 0)
		abort();
	(void)shutdown(s[1], SHUT_WR);
	if (pthread_create(&reader, NULL, drain, &s[1]) != 0)
		abort();
	files_serve(&env, s[0], req, rest, len);
	(void)close(s[0]);
	(void)pthread_join(reader, NULL);
	(void)close(s[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proto_msg m;
	static int here = -1;
	unsigned before;
	ssize_t n;

	if (size > (64u << 10))
		return 0;
	n = proto_decode(data, size, &m);
	if (n <= 0)
		return 0;
	if (m.type == PROTO_FILE_REQ && stays(m.file_req.path) &&
	    stays(m.file_req.path2)) {
		if (here < 0)
			here = open(".", O_PATH | O_CLOEXEC);
		if (fchdir(root_fd) < 0 ||
		    (mkdir("w", 0755) < 0 && errno != EEXIST) || chdir("w") < 0)
			abort();
		make_world();
		before = count_fds();
		serve(&m.file_req, data + n, size - (size_t)n);
		if (count_fds() != before)
			abort();
		if (fchdir(root_fd) < 0)
			abort();
		clear_world();
		if (fchdir(here) < 0)
			abort();
	}
	proto_release(&m);
	return 0;
}
