/*
 * Ways out of a share by what is in it: links, folders that are swapped for
 * links, mounts, devices, setuid files (attacks.md C2, C3; incidents 25-28).
 * Changes come from the guest, and from the host while the guest looks.
 */
#include "hostile.h"
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "fs/owner.h"

/* ---- links ---- */

static const char *const targets[] = {
	"/etc/passwd",
	"../outside",
	"../outside/secret",
	"/proc/self/root/etc/passwd",
	"/proc/self/fd/3",
	"/proc/self/cwd",
	"/proc/1/root",
	"/dev/kvm",
	"..",
	".",
	"/",
};

static void check_link(struct world *w, const char *name, const char *target)
{
	struct fuse_setattr_in size = {.valid = FATTR_SIZE, .size = 0};
	struct fuse_attr attr;
	char text[4096];
	uint64_t fh;
	int64_t n = d_lookup(&w->d, w->a, name);

	assert_true(n > 0);
	assert_int_equal(d_getattr(&w->d, (uint64_t)n, &attr), 0);
	assert_true(S_ISLNK(attr.mode));
	assert_int_equal(d_readlink(&w->d, (uint64_t)n, text, sizeof(text)),
	                 strlen(target));
	assert_string_equal(text, target);
	/* It is no folder, no file, and has nothing below. */
	assert_true(d_open(&w->d, (uint64_t)n, O_RDONLY, &fh, NULL) < 0);
	assert_true(d_open(&w->d, (uint64_t)n, O_RDWR | O_TRUNC, &fh, NULL) <
	            0);
	assert_int_equal(d_opendir(&w->d, (uint64_t)n, &fh), -ENOTDIR);
	assert_int_equal(d_lookup(&w->d, (uint64_t)n, "secret"), -ENOTDIR);
	assert_int_equal(d_mkdir(&w->d, (uint64_t)n, "x", 0755), -ENOTDIR);
	assert_int_equal(d_unlink(&w->d, (uint64_t)n, "secret"), -ENOTDIR);
	assert_int_equal(d_rename(&w->d, (uint64_t)n, "secret", w->a, "got", 0),
	                 -ENOTDIR);
	assert_true(d_setattr(&w->d, (uint64_t)n, &size, NULL) < 0);
	assert_int_equal(d_chmod(&w->d, (uint64_t)n, 0777), -EOPNOTSUPP);
	assert_int_equal(d_chown(&w->d, (uint64_t)n, 1, 1), 0);
	assert_true(d_setxattr(&w->d, (uint64_t)n, "user.x", "v", 1, 0) < 0);
	assert_true(d_getxattr(&w->d, (uint64_t)n, "user.x", text, 10) < 0);
	/* Its own times, and another name for itself. */
	assert_int_equal(d_setattr(&w->d, (uint64_t)n,
	                           &(struct fuse_setattr_in){
					   .valid = FATTR_MTIME, .mtime = 5},
	                           &attr),
	                 0);
	assert_int_equal(attr.mtime, 5);
	assert_int_equal(d_link(&w->d, (uint64_t)n, w->a, "hard"), n);
	assert_true(S_ISLNK(host_mode(w->a_fd, "hard")));
	assert_int_equal(d_unlink(&w->d, w->a, "hard"), 0);
}

static void links_are_text_and_lead_nowhere(void **state)
{
	struct world *w = *state;
	struct stat before, after;

	assert_int_equal(fstat(w->out_fd, &before), 0);
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		assert_int_equal(symlinkat(targets[i], w->a_fd, "host"), 0);
		check_link(w, "host", targets[i]);
		assert_true(d_symlink(&w->d, w->a, "guest", targets[i]) > 0);
		check_link(w, "guest", targets[i]);
		assert_int_equal(d_unlink(&w->d, w->a, "host"), 0);
		assert_int_equal(d_unlink(&w->d, w->a, "guest"), 0);
		check_outside(w);
	}
	assert_int_equal(fstat(w->out_fd, &after), 0);
	assert_memory_equal(&before.st_ctim, &after.st_ctim,
	                    sizeof(before.st_ctim));
}

/* CREATE, MKNOD and the like where a link has the name: not through it. */
static void nothing_is_made_through_a_link(void **state)
{
	struct world *w = *state;
	uint64_t n, fh;

	assert_int_equal(symlinkat("../outside/new", w->a_fd, "l"), 0);
	assert_true(d_create(&w->d, w->a, "l", O_RDWR, 0644, &n, &fh) < 0);
	assert_true(d_create(&w->d, w->a, "l", O_RDWR | O_TRUNC, 0644, &n,
	                     &fh) < 0);
	assert_int_equal(d_mkdir(&w->d, w->a, "l", 0755), -EEXIST);
	assert_int_equal(d_mknod(&w->d, w->a, "l", S_IFREG | 0644, 0), -EEXIST);
	assert_int_equal(d_symlink(&w->d, w->a, "l", "x"), -EEXIST);
	assert_int_equal(faccessat(w->out_fd, "new", F_OK, 0), -1);
	check_outside(w);
}

/* ---- swapped while the guest looks ---- */

struct swapper {
	int fd;
	const char *a, *b;
	bool stop;
	unsigned long swaps;
};

static void *swap(void *arg)
{
	struct swapper *s = arg;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		(void)renameat2(s->fd, s->a, s->fd, s->b, RENAME_EXCHANGE);
		(void)__atomic_add_fetch(&s->swaps, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

struct outcome {
	unsigned long reads, writes, refused, folders;
};

/* What is read is of the share, or nothing is. */
static void use_file(struct world *w, uint64_t dir, const char *name,
                     struct outcome *o)
{
	int64_t n = d_lookup(&w->d, dir, name);
	char data[256];
	uint64_t fh;
	int len;

	if (n < 0) {
		o->refused++;
		return;
	}
	(void)d_readlink(&w->d, (uint64_t)n, data, sizeof(data));
	(void)d_chmod(&w->d, (uint64_t)n, 0640);
	(void)d_setxattr(&w->d, (uint64_t)n, "user.mark", "x", 1, 0);
	if (d_open(&w->d, (uint64_t)n, O_RDWR, &fh, NULL) == 0) {
		len = d_read(&w->d, (uint64_t)n, fh, 0, data, sizeof(data));
		assert_true(len >= 0);
		if (strncmp(data, "inside", 6) != 0 && len)
			fail_msg("read: %.*s", len, data);
		o->reads += len > 0;
		o->writes += d_write(&w->d, (uint64_t)n, fh, 26, "!", 1) == 1;
		assert_int_equal(d_release(&w->d, (uint64_t)n, fh, false), 0);
	} else {
		o->refused++;
	}
	d_forget(&w->d, (uint64_t)n, 1);
}

static void use_folder(struct world *w, const char *name, struct outcome *o)
{
	int64_t n = d_lookup(&w->d, w->a, name);
	char data[8192];
	uint64_t fh, made;

	if (n < 0) {
		o->refused++;
		return;
	}
	use_file(w, (uint64_t)n, "secret", o);
	if (d_create(&w->d, (uint64_t)n, "made", O_RDWR, 0644, &made, &fh) ==
	    0) {
		(void)d_release(&w->d, made, fh, false);
		d_forget(&w->d, made, 1);
	}
	(void)d_unlink(&w->d, (uint64_t)n, "made");
	(void)d_symlink(&w->d, (uint64_t)n, "ln", "x");
	(void)d_rename(&w->d, (uint64_t)n, "ln", (uint64_t)n, "ln2", 0);
	(void)d_unlink(&w->d, (uint64_t)n, "ln2");
	if (d_opendir(&w->d, (uint64_t)n, &fh) == 0) {
		assert_true(d_readdir(&w->d, (uint64_t)n, fh, 0, false, data,
		                      sizeof(data)) >= 0);
		assert_int_equal(d_release(&w->d, (uint64_t)n, fh, true), 0);
		o->folders++;
	}
	d_forget(&w->d, (uint64_t)n, 1);
}

#define RACE_NS (1500 * NS_PER_MS)
#define WAIT_NS (30 * NS_PER_S) /* more, of a busy host */

/* Both sides: else nothing was shown. */
static bool had_their_turn(const struct swapper *s, const struct outcome *o)
{
	return __atomic_load_n(&s->swaps, __ATOMIC_RELAXED) > 100 &&
	       o->refused > 0 && o->reads > 0;
}

static void race(struct world *w, const char *name, bool folder)
{
	struct swapper s = {.fd = w->a_fd, .a = name, .b = "other"};
	struct outcome o = {0};
	pthread_t thread;
	uint64_t end;

	assert_int_equal(pthread_create(&thread, NULL, swap, &s), 0);
	end = clock_now_ns() + RACE_NS;
	while (clock_now_ns() < end ||
	       (!had_their_turn(&s, &o) && clock_now_ns() < end + WAIT_NS))
		for (int i = 0; i < 50; i++) {
			if (folder)
				use_folder(w, name, &o);
			else
				use_file(w, w->a, name, &o);
		}
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	print_message("# %lu swaps, %lu reads, %lu writes, %lu lists, "
	              "%lu refused\n",
	              s.swaps, o.reads, o.writes, o.folders, o.refused);
	assert_true(had_their_turn(&s, &o));
	check_outside(w);
}

static void a_file_that_becomes_a_link_and_back_is_never_followed(void **state)
{
	struct world *w = *state;

	host_file(w->a_fd, "f", INSIDE);
	assert_int_equal(symlinkat("../outside/secret", w->a_fd, "other"), 0);
	race(w, "f", false);
}

static void
a_folder_that_becomes_a_link_and_back_is_never_followed(void **state)
{
	struct world *w = *state;
	int fd;

	assert_int_equal(mkdirat(w->a_fd, "d", 0755), 0);
	fd = openat(w->a_fd, "d", O_RDONLY);
	host_file(fd, "secret", INSIDE);
	(void)close(fd);
	assert_int_equal(symlinkat("../outside", w->a_fd, "other"), 0);
	race(w, "d", true);
}

static void few_fds(struct driver *d)
{
	d->cfg.fds_max = 64;
}

static int few_fds_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	world_open(w, "/var/tmp", few_fds);
	*state = w;
	return 0;
}

/* So many others that descriptors are closed and opened again. */
static void use_others(struct world *w)
{
	for (int i = 0; i < 100; i++) {
		char name[32];
		int64_t n;

		(void)snprintf(name, sizeof(name), "fill%d", i);
		n = d_lookup(&w->d, w->a, name);
		assert_true(n > 0);
		assert_int_equal(d_lookup(&w->d, (uint64_t)n, "x"), -ENOENT);
		d_forget(&w->d, (uint64_t)n, 1);
	}
}

/* The same where the way back is walked anew for each request. */
static void walks_through_a_folder_that_is_swapped_stay_inside(void **state)
{
	struct world *w = *state;
	struct swapper s = {.fd = w->a_fd, .a = "d", .b = "other"};
	struct outcome o = {0};
	pthread_t thread;
	int64_t deep = (int64_t)w->a;
	uint64_t end;
	char name[32];
	int fd;

	assert_int_equal(mkdirat(w->a_fd, "d", 0755), 0);
	deep = d_lookup(&w->d, w->a, "d");
	deep = d_mkdir(&w->d, (uint64_t)deep, "e", 0755);
	fd = openat(w->a_fd, "d/e", O_RDONLY);
	host_file(fd, "secret", INSIDE);
	(void)close(fd);
	assert_int_equal(mkdirat(w->out_fd, "e", 0755), 0);
	fd = openat(w->out_fd, "e", O_RDONLY);
	host_file(fd, "secret", CANARY);
	(void)close(fd);
	assert_int_equal(symlinkat("../outside", w->a_fd, "other"), 0);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "fill%d", i);
		assert_true(d_mkdir(&w->d, w->a, name, 0755) > 0);
	}
	assert_int_equal(pthread_create(&thread, NULL, swap, &s), 0);
	end = clock_now_ns() + RACE_NS;
	while (clock_now_ns() < end ||
	       (!had_their_turn(&s, &o) && clock_now_ns() < end + WAIT_NS)) {
		use_file(w, (uint64_t)deep, "secret", &o);
		use_others(w);
	}
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	print_message("# %lu swaps, %lu reads, %lu refused\n", s.swaps, o.reads,
	              o.refused);
	assert_true(o.reads > 0 && o.refused > 0);
}

/* ---- moved, mounted, linked ---- */

/*
 * What was moved out of the share while the guest held it: nothing around it
 * is reachable.
 */
static void a_folder_moved_out_gives_nothing_of_its_new_place(void **state)
{
	struct world *w = *state;
	uint64_t n;

	assert_int_equal(mkdirat(w->a_fd, "d", 0755), 0);
	n = (uint64_t)d_lookup(&w->d, w->a, "d");
	assert_int_equal(renameat(w->a_fd, "d", w->out_fd, "gone"), 0);
	while (read(w->watch_fd, (char[4096]){0}, 4096) > 0)
		;
	assert_true(d_lookup(&w->d, n, "..") < 0);
	assert_true(d_lookup(&w->d, n, "secret") < 0);
	assert_true(d_rename(&w->d, n, "secret", w->a, "later", 0) < 0);
	check_outside(w);
}

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif

/* As the jail has it: the share is a mount of its own. */
static void own_mount(struct driver *d)
{
	int fd = (int)syscall(SYS_open_tree, d->shares[0].fd, "",
	                      OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH);

	if (fd < 0)
		_exit(77);
	(void)close(d->shares[0].fd);
	d->shares[0].fd = fd;
}

/* Then the folder itself is lost, and all that comes into it there. */
static int with_own_mount(void)
{
	static const struct timespec second = {1, 20 * 1000 * 1000};
	struct world w;
	uint64_t n, e, fh = 0;
	char data[8192];
	int fd;

	world_open(&w, "/var/tmp", own_mount);
	if (mkdirat(w.a_fd, "d", 0755) < 0 || mkdirat(w.a_fd, "d/e", 0755) < 0)
		return 1;
	n = (uint64_t)d_lookup(&w.d, w.a, "d");
	e = (uint64_t)d_lookup(&w.d, n, "e");
	if (d_opendir(&w.d, n, &fh) != 0 || d_lookup(&w.d, e, "x") != -ENOENT)
		return 2;
	/* In another place of the share it is the same folder. */
	if (mkdirat(w.a_fd, "new", 0755) < 0 ||
	    renameat(w.a_fd, "d", w.a_fd, "new/d") < 0 ||
	    nanosleep(&second, NULL) < 0 ||
	    d_lookup(&w.d, n, "e") != (int64_t)e)
		return 3;
	if (renameat(w.a_fd, "new/d", w.d.top_fd, "gone") < 0 ||
	    nanosleep(&second, NULL) < 0)
		return 4;
	fd = openat(w.d.top_fd, "gone/e", O_RDONLY);
	host_file(fd, "later", CANARY);
	(void)close(fd);
	fd = openat(w.d.top_fd, "gone", O_RDONLY);
	host_file(fd, "later", CANARY);
	(void)close(fd);
	if (d_lookup(&w.d, n, "later") != -ESTALE ||
	    d_lookup(&w.d, e, "later") != -ESTALE ||
	    d_mkdir(&w.d, n, "x", 0755) != -ESTALE ||
	    d_unlink(&w.d, e, "later") != -ESTALE ||
	    d_readdir(&w.d, n, fh, 0, true, data, sizeof(data)) != -ESTALE ||
	    d_opendir(&w.d, n, &fh) != -ESTALE)
		return 5;
	world_close(&w);
	return 0;
}

static void a_folder_moved_out_of_a_share_of_its_own_is_lost(void **state)
{
	int rc = in_child(with_own_mount);

	(void)state;
	if (rc == 77)
		print_message("# no mounts of our own here: not tried\n");
	else
		assert_int_equal(rc, 0);
}

static int with_mount(void)
{
	struct world w;
	char path[128], data[64];
	int64_t m, f;
	struct fuse_attr top, below;
	uint64_t fh;
	int fd;

	world_open(&w, "/var/tmp", NULL);
	(void)snprintf(path, sizeof(path), "%s/a/m", w.d.top);
	if (mkdir(path, 0755) < 0 ||
	    mount("none", path, "tmpfs", 0, "size=1m") < 0)
		return 77;
	fd = open(path, O_RDONLY);
	host_file(fd, "f", INSIDE);
	host_file(w.a_fd, "g", INSIDE);
	m = d_lookup(&w.d, w.a, "m");
	f = m > 0 ? d_lookup(&w.d, (uint64_t)m, "f") : m;
	/* It belongs to the share as it does on the host. */
	if (m < 0 || f < 0 ||
	    d_open(&w.d, (uint64_t)f, O_RDONLY, &fh, NULL) != 0 ||
	    d_read(&w.d, (uint64_t)f, fh, 0, data, 64) != sizeof(INSIDE) - 1)
		return 1;
	/* Numbers differ, and nothing crosses. */
	if (d_getattr(&w.d, w.a, &top) != 0 ||
	    d_getattr(&w.d, (uint64_t)m, &below) != 0 || top.ino == below.ino)
		return 2;
	if (d_rename(&w.d, w.a, "g", (uint64_t)m, "g", 0) != -EXDEV ||
	    d_link(&w.d, (uint64_t)f, w.a, "f") != -EXDEV ||
	    d_rmdir(&w.d, w.a, "m") != -EBUSY ||
	    d_rename(&w.d, w.a, "m", w.a, "m2", 0) != -EBUSY ||
	    d_lookup(&w.d, (uint64_t)m, "..") > 0)
		return 3;
	(void)d_release(&w.d, (uint64_t)f, fh, false);
	(void)close(fd);
	/* Gone with all in it: what the guest had is stale. */
	if (umount2(path, MNT_DETACH) < 0)
		return 4;
	d_forget(&w.d, (uint64_t)m, 1);
	m = d_lookup(&w.d, w.a, "m");
	if (m < 0 || d_lookup(&w.d, (uint64_t)m, "f") > 0)
		return 5;
	world_close(&w);
	return 0;
}

static void what_is_mounted_inside_is_inside_and_apart(void **state)
{
	int rc = in_child(with_mount);

	(void)state;
	if (rc == 77)
		print_message("# no mounts of our own here: not tried\n");
	else
		assert_int_equal(rc, 0);
}

/* A file has no parent: who links it into the share gives it to the guest. */
static void a_hard_link_from_outside_is_a_file_of_the_share(void **state)
{
	struct world *w = *state;
	char data[64];
	uint64_t fh;
	int64_t n;

	host_file(w->out_fd, "given", INSIDE);
	assert_int_equal(linkat(w->out_fd, "given", w->a_fd, "f", 0), 0);
	n = d_lookup(&w->d, w->a, "f");
	assert_int_equal(d_open(&w->d, (uint64_t)n, O_RDONLY, &fh, NULL), 0);
	assert_int_equal(d_read(&w->d, (uint64_t)n, fh, 0, data, sizeof(data)),
	                 sizeof(INSIDE) - 1);
	/* Only the name in the share can go. */
	assert_int_equal(d_unlink(&w->d, w->a, "f"), 0);
	assert_true(S_ISREG(host_mode(w->out_fd, "given")));
}

/* ---- devices, fifos, sockets ---- */

static void check_special(struct world *w, const char *name, uint32_t type)
{
	static const uint32_t flags[] = {O_RDONLY, O_WRONLY, O_RDWR,
	                                 O_RDONLY | O_TRUNC,
	                                 O_WRONLY | O_NONBLOCK};
	int64_t n = d_lookup(&w->d, w->a, name);
	struct fuse_attr attr;
	uint64_t fh, m;

	assert_true(n > 0);
	assert_int_equal(d_getattr(&w->d, (uint64_t)n, &attr), 0);
	assert_int_equal(attr.mode & S_IFMT, type);
	(void)alarm(5); /* open() of a fifo would hang */
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		assert_true(d_open(&w->d, (uint64_t)n, flags[i], &fh, NULL) <
		            0);
	assert_true(d_create(&w->d, w->a, name, O_RDWR, 0644, &m, &fh) < 0);
	assert_true(d_truncate(&w->d, (uint64_t)n, 0) < 0);
	assert_true(d_opendir(&w->d, (uint64_t)n, &fh) < 0);
	assert_true(d_setxattr(&w->d, (uint64_t)n, "user.x", "v", 1, 0) < 0);
	assert_int_equal(driver_call(&w->d, FUSE_IOCTL, (uint64_t)n, "", 0,
	                             NULL, 0, NULL, 0),
	                 -ENOSYS);
	(void)alarm(0);
}

static void special_files_of_the_host_are_shown_and_never_opened(void **state)
{
	struct world *w = *state;
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int fifo;

	assert_int_equal(mkfifoat(w->a_fd, "fifo", 0666), 0);
	check_special(w, "fifo", S_IFIFO);
	/* Nobody was there: who writes finds no reader. */
	fifo = openat(w->a_fd, "fifo", O_WRONLY | O_NONBLOCK);
	assert_int_equal(fifo, -1);
	assert_int_equal(errno, ENXIO);
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/a/sock",
	               w->d.top);
	assert_int_equal(bind(sock, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(sock, 1), 0);
	check_special(w, "sock", S_IFSOCK);
	assert_int_equal(accept(sock, NULL, NULL), -1);
	(void)close(sock);
	if (mknodat(w->a_fd, "null", S_IFCHR | 0666, makedev(1, 3)) == 0 &&
	    mknodat(w->a_fd, "kvm", S_IFCHR | 0666, makedev(10, 232)) == 0 &&
	    mknodat(w->a_fd, "disk", S_IFBLK | 0666, makedev(254, 0)) == 0) {
		check_special(w, "null", S_IFCHR);
		check_special(w, "kvm", S_IFCHR);
		check_special(w, "disk", S_IFBLK);
	}
}

static int with_device_mount(void)
{
	struct world w;
	char path[128];
	uint64_t fh;
	int64_t n;

	world_open(&w, "/var/tmp", NULL);
	host_file(w.a_fd, "dev", "");
	(void)snprintf(path, sizeof(path), "%s/a/dev", w.d.top);
	if (mount("/dev/null", path, NULL, MS_BIND, NULL) < 0)
		return 77;
	n = d_lookup(&w.d, w.a, "dev");
	if (n < 0 || d_open(&w.d, (uint64_t)n, O_RDWR, &fh, NULL) != -EPERM ||
	    d_truncate(&w.d, (uint64_t)n, 0) >= 0)
		return 1;
	(void)umount2(path, MNT_DETACH);
	world_close(&w);
	return 0;
}

static void a_device_bound_over_a_file_is_not_opened(void **state)
{
	int rc = in_child(with_device_mount);

	(void)state;
	if (rc == 77)
		print_message("# no mounts of our own here: not tried\n");
	else
		assert_int_equal(rc, 0);
}

static void devices_of_the_guest_are_none_on_the_host(void **state)
{
	static const uint32_t modes[] = {S_IFCHR | 0666, S_IFBLK | 0660,
	                                 S_IFIFO | 0644, S_IFSOCK | 0755,
	                                 S_IFCHR | 06777};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		int64_t n = d_mknod(&w->d, w->a, "n", modes[i], 0x0a00e8);
		struct fuse_attr attr;
		uint64_t fh;

		assert_true(n > 0);
		assert_int_equal(host_mode(w->a_fd, "n"), S_IFREG | 0600);
		assert_int_equal(d_getattr(&w->d, (uint64_t)n, &attr), 0);
		assert_int_equal(attr.mode, modes[i]);
		assert_int_equal(
			attr.rdev,
			S_ISCHR(modes[i]) || S_ISBLK(modes[i]) ? 0x0a00e8 : 0);
		/* It is a file with data for nobody. */
		assert_int_equal(d_open(&w->d, (uint64_t)n, O_RDWR, &fh, NULL),
		                 -EPERM);
		assert_true(d_truncate(&w->d, (uint64_t)n, 100) < 0);
		assert_int_equal(d_chmod(&w->d, (uint64_t)n, 07777), 0);
		assert_int_equal(d_chown(&w->d, (uint64_t)n, 7, 8), 0);
		assert_int_equal(d_link(&w->d, (uint64_t)n, w->a, "n2"), n);
		assert_int_equal(d_rename(&w->d, w->a, "n", w->a, "n3", 0), 0);
		check_harmless(w->a_fd);
		assert_int_equal(d_unlink(&w->d, w->a, "n2"), 0);
		assert_int_equal(d_unlink(&w->d, w->a, "n3"), 0);
		d_forget(&w->d, (uint64_t)n, 2);
	}
	assert_int_equal(d_mknod(&w->d, w->a, "n", S_IFDIR | 0755, 0), -EINVAL);
	assert_int_equal(d_mknod(&w->d, w->a, "n", S_IFLNK | 0777, 0), -EINVAL);
	assert_int_equal(d_mknod(&w->d, w->a, "n", 0170000, 0), -EINVAL);
}

/* ---- setuid ---- */

static void setuid_is_the_guests_alone_whatever_is_done(void **state)
{
	struct world *w = *state;
	struct fuse_copy_file_range_in copy = {.len = 3};
	struct fuse_write_out out;
	struct fuse_attr attr;
	uint64_t f, fh, g, gh;
	int64_t d;

	assert_int_equal(d_create(&w->d, w->a, "f", O_RDWR, 06777, &f, &fh), 0);
	check_harmless(w->a_fd);
	assert_int_equal(d_write(&w->d, f, fh, 0, "#!/bin/sh\n", 10), 10);
	check_harmless(w->a_fd);
	for (uint32_t mode = 0; mode <= 07777; mode += 0111) {
		assert_int_equal(d_chmod(&w->d, f, mode), 0);
		assert_int_equal(host_mode(w->a_fd, "f") & 07000, 0);
		assert_int_equal(d_getattr(&w->d, f, &attr), 0);
		assert_int_equal(attr.mode, S_IFREG | mode);
	}
	assert_int_equal(d_chmod(&w->d, f, 06755), 0);
	assert_int_equal(d_chown(&w->d, f, 0, 0), 0);
	check_harmless(w->a_fd);
	assert_int_equal(d_chmod(&w->d, f, 06755), 0);
	assert_int_equal(d_create(&w->d, w->a, "g", O_RDWR, 04755, &g, &gh), 0);
	copy.fh_in = fh;
	copy.fh_out = gh;
	copy.nodeid_out = g;
	assert_int_equal(driver_call(&w->d, FUSE_COPY_FILE_RANGE, f, &copy,
	                             sizeof(copy), NULL, 0, &out, sizeof(out)),
	                 sizeof(out));
	assert_true(d_link(&w->d, f, w->a, "l") > 0);
	assert_int_equal(d_rename(&w->d, w->a, "f", w->a, "g", 0), 0);
	assert_int_equal(d_truncate(&w->d, f, 3), 0);
	assert_int_equal(d_fallocate(&w->d, f, fh, 0, 0, 100), 0);
	d = d_mkdir(&w->d, w->a, "d", 03777);
	assert_true(d > 0);
	assert_true(d_mkdir(&w->d, (uint64_t)d, "e", 0777) > 0);
	assert_true(d_mknod(&w->d, (uint64_t)d, "m", S_IFREG | 06755, 0) > 0);
	check_harmless(w->a_fd);
	/* A folder that anybody may write to has its sticky bit on the guest's
	 * side only: on the host nobody else may. */
	assert_int_equal(host_mode(w->a_fd, "d"), S_IFDIR | 0755);
}

static void
tmpfiles_with_setuid_are_harmless_once_they_have_a_name(void **state)
{
	struct world *w = *state;
	struct fuse_create_in a = {.flags = O_RDWR, .mode = 06755};
	struct {
		struct fuse_entry_out e;
		struct fuse_open_out o;
	} out;

	assert_int_equal(driver_call(&w->d, FUSE_TMPFILE, w->a, &a, sizeof(a),
	                             "", 1, &out, sizeof(out)),
	                 sizeof(out));
	assert_int_equal(out.e.attr.mode, S_IFREG | 06755);
	assert_int_equal(d_link(&w->d, out.e.nodeid, w->a, "t"), out.e.nodeid);
	assert_int_equal(host_mode(w->a_fd, "t"), S_IFREG | 0755);
}

/*
 * A setuid file that the host's user has in the share: before the guest's own
 * bytes are in it, it is no setuid file any more. Here as whoever runs the
 * tests, with all of root's capabilities if that is root, so it is not the
 * host's kernel that does it.
 */
static void
setuid_files_of_the_host_lose_it_before_the_guest_writes(void **state)
{
	struct world *w = *state;
	struct fuse_copy_file_range_in copy = {.len = 5};
	struct fuse_write_out out;
	uint64_t src, sh;

	assert_int_equal(d_create(&w->d, w->a, "src", O_RDWR, 0644, &src, &sh),
	                 0);
	assert_int_equal(d_write(&w->d, src, sh, 0, "bytes", 5), 5);
	for (int how = 0; how < 6; how++) {
		uint64_t fh = 0;
		int64_t n;

		host_file(w->a_fd, "f", INSIDE);
		assert_int_equal(fchmodat(w->a_fd, "f", 06755, 0), 0);
		n = d_lookup(&w->d, w->a, "f");
		switch (how) {
		case 0:
			assert_int_equal(d_truncate(&w->d, (uint64_t)n, 3), 0);
			break;
		case 1:
			assert_int_equal(d_open(&w->d, (uint64_t)n,
			                        O_WRONLY | O_TRUNC, &fh, NULL),
			                 0);
			break;
		default:
			assert_int_equal(
				d_open(&w->d, (uint64_t)n, O_RDWR, &fh, NULL),
				0);
		}
		if (how == 2 || how == 1)
			assert_int_equal(
				d_write(&w->d, (uint64_t)n, fh, 0, "x", 1), 1);
		if (how == 3)
			assert_int_equal(d_write_flags(&w->d, (uint64_t)n, fh,
			                               0, "x", 1,
			                               FUSE_WRITE_CACHE),
			                 1);
		if (how == 4)
			assert_int_equal(
				d_fallocate(&w->d, (uint64_t)n, fh, 0, 0, 5000),
				0);
		if (how == 5) {
			copy.fh_in = sh;
			copy.fh_out = fh;
			copy.nodeid_out = (uint64_t)n;
			assert_int_equal(driver_call(&w->d,
			                             FUSE_COPY_FILE_RANGE, src,
			                             &copy, sizeof(copy), NULL,
			                             0, &out, sizeof(out)),
			                 sizeof(out));
		}
		if (host_mode(w->a_fd, "f") & 06000)
			fail_msg("way %d: the host's mode is %o", how,
			         host_mode(w->a_fd, "f"));
		if (fh)
			assert_int_equal(
				d_release(&w->d, (uint64_t)n, fh, false), 0);
		assert_int_equal(d_unlink(&w->d, w->a, "f"), 0);
		d_forget(&w->d, (uint64_t)n, 1);
	}
}

static void capabilities_of_the_guest_are_none_of_the_hosts(void **state)
{
	struct world *w = *state;
	static const uint8_t caps[20] = {1, 0, 0, 2, 0xff, 0xff, 0xff, 0xff};
	char list[256], value[64];
	uint64_t f, fh;
	int fd;

	assert_int_equal(d_create(&w->d, w->a, "f", O_RDWR, 0755, &f, &fh), 0);
	assert_int_equal(d_setxattr(&w->d, f, "security.capability", caps,
	                            sizeof(caps), 0),
	                 0);
	assert_int_equal(
		d_setxattr(&w->d, f, "trusted.overlay.opaque", "y", 1, 0), 0);
	fd = openat(w->a_fd, "f", O_RDONLY);
	assert_int_equal(
		fgetxattr(fd, "security.capability", value, sizeof(value)), -1);
	assert_int_equal(
		fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value)),
		-1);
	(void)close(fd);
	assert_int_equal(d_getxattr(&w->d, f, "security.capability", value,
	                            sizeof(value)),
	                 sizeof(caps));
	assert_true(d_listxattr(&w->d, f, list, sizeof(list)) > 0);
	/* They end with the first byte that is written. */
	assert_int_equal(d_write(&w->d, f, fh, 0, "x", 1), 1);
	assert_int_equal(d_getxattr(&w->d, f, "security.capability", value,
	                            sizeof(value)),
	                 -ENODATA);
	/* ACLs would be the host's: none. */
	assert_int_equal(d_setxattr(&w->d, f, "system.posix_acl_access", caps,
	                            sizeof(caps), 0),
	                 -EOPNOTSUPP);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(links_are_text_and_lead_nowhere),
		T(nothing_is_made_through_a_link),
		T(a_file_that_becomes_a_link_and_back_is_never_followed),
		T(a_folder_that_becomes_a_link_and_back_is_never_followed),
		cmocka_unit_test_setup_teardown(
			walks_through_a_folder_that_is_swapped_stay_inside,
			few_fds_setup, world_teardown),
		T(a_folder_moved_out_gives_nothing_of_its_new_place),
		cmocka_unit_test(
			a_folder_moved_out_of_a_share_of_its_own_is_lost),
		cmocka_unit_test(what_is_mounted_inside_is_inside_and_apart),
		T(a_hard_link_from_outside_is_a_file_of_the_share),
		T(special_files_of_the_host_are_shown_and_never_opened),
		cmocka_unit_test(a_device_bound_over_a_file_is_not_opened),
		T(devices_of_the_guest_are_none_on_the_host),
		T(setuid_is_the_guests_alone_whatever_is_done),
		T(tmpfiles_with_setuid_are_harmless_once_they_have_a_name),
		T(setuid_files_of_the_host_lose_it_before_the_guest_writes),
		T(capabilities_of_the_guest_are_none_of_the_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
