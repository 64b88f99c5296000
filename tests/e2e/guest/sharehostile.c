/*
 * sharehostile.c - runs in a guest.
 *
 *	sharehostile race FOLDER SECONDS     use FOLDER/f and FOLDER/d while the
 *	                                     host swaps them for links
 *	sharehostile owners FOLDER           Linux's rules of owners and modes,
 *	                                     one line for each; to be compared
 *	                                     with the same in another folder
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/* ---- race ---- */

static struct {
	unsigned long reads, writes, lists, refused, canaries;
} count;

static void use(int dir, const char *name)
{
	char data[64] = {0};
	int fd = openat(dir, name, O_RDWR | O_CREAT, 0644);
	ssize_t n;

	if (fd < 0) {
		count.refused++;
		return;
	}
	n = pread(fd, data, sizeof(data) - 1, 0);
	if (n > 0 && strncmp(data, "canary", 6) == 0)
		count.canaries++;
	count.reads += n > 0;
	count.writes += pwrite(fd, "!", 1, 30) == 1;
	(void)fchmod(fd, 04755);
	(void)fsetxattr(fd, "user.hostile", "x", 1, 0);
	(void)ftruncate(fd, 31);
	close(fd);
}

static void use_folder(int dir)
{
	int fd = openat(dir, "d", O_RDONLY | O_DIRECTORY);
	DIR *list;

	if (fd < 0) {
		count.refused++;
		return;
	}
	use(fd, "secret");
	(void)mkdirat(fd, "made", 0755);
	(void)unlinkat(fd, "made", AT_REMOVEDIR);
	(void)symlinkat("/", fd, "l");
	(void)renameat(fd, "l", fd, "l2");
	(void)unlinkat(fd, "l2", 0);
	list = fdopendir(fd);
	for (struct dirent *e; list && (e = readdir(list));)
		if (strcmp(e->d_name, "only-outside") == 0)
			count.canaries++;
	count.lists += list != NULL;
	if (list)
		closedir(list);
}

static int race(const char *folder, int seconds)
{
	int dir = open(folder, O_RDONLY | O_DIRECTORY);
	time_t end = time(NULL) + seconds;

	while (time(NULL) < end) {
		use(dir, "f");
		use_folder(dir);
	}
	printf("reads %lu writes %lu lists %lu refused %lu canaries %lu\n",
	       count.reads, count.writes, count.lists, count.refused,
	       count.canaries);
	return 0;
}

/* ---- owners ---- */

static int top;

static void show(const char *what, int r, const char *name)
{
	struct stat st;
	int e = r < 0 ? errno : 0;

	if (fstatat(top, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		printf("%s: %d, no %s\n", what, e, name);
	else
		printf("%s: %d, %o %u:%u rdev %llx\n", what, e, st.st_mode,
		       S_ISLNK(st.st_mode) ? 0 : st.st_uid,
		       S_ISLNK(st.st_mode) ? 0 : st.st_gid,
		       (unsigned long long)st.st_rdev);
	fflush(stdout);
}

/* In a child with that uid, gid and one more group; 0 or its errno. */
static int as(uid_t uid, gid_t gid, gid_t more, int (*act)(const char *),
              const char *name)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgroups(1, &more) < 0 || setresgid(gid, gid, gid) < 0 ||
		    setresuid(uid, uid, uid) < 0)
			_exit(250);
		errno = 0;
		_exit(act(name) < 0 ? errno : 0);
	}
	waitpid(pid, &status, 0);
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

#define USER(act, name) as(1000, 1000, 2000, act, name)

static int make(const char *name)
{
	int fd = openat(top, name, O_CREAT | O_EXCL | O_RDWR, 0666);

	return fd < 0 ? -1 : close(fd);
}

static int make_2755(const char *name)
{
	int fd = openat(top, name, O_CREAT | O_EXCL | O_RDWR, 02755);

	return fd < 0 ? -1 : close(fd);
}

static int make_6711(const char *name)
{
	int fd = openat(top, name, O_CREAT | O_EXCL | O_RDWR, 06711);

	return fd < 0 ? -1 : close(fd);
}

static int make_dir(const char *name)
{
	return mkdirat(top, name, 0777);
}

static int make_fifo(const char *name)
{
	return mknodat(top, name, S_IFIFO | 0666, 0);
}

static int make_null(const char *name)
{
	return mknodat(top, name, S_IFCHR | 0666, 0x103);
}

static int make_sock(const char *name)
{
	return mknodat(top, name, S_IFSOCK | 0666, 0);
}

static int make_link(const char *name)
{
	return symlinkat("x", top, name);
}

static int make_tmpfile(const char *name)
{
	char folder[64], path[64];
	int fd;

	snprintf(folder, sizeof(folder), "%s", name);
	*strrchr(folder, '/') = '\0';
	fd = openat(top, folder, O_TMPFILE | O_RDWR, 02770);
	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, top, name, AT_SYMLINK_FOLLOW);
}

static int rm(const char *name)
{
	return unlinkat(top, name, 0);
}

static int move(const char *name)
{
	return renameat(top, name, top, "moved");
}

static int chmod_6755(const char *name)
{
	return fchmodat(top, name, 06755, 0);
}

static int chmod_2644(const char *name)
{
	return fchmodat(top, name, 02644, 0);
}

static int chmod_1777(const char *name)
{
	return fchmodat(top, name, 01777, 0);
}

static int give_away(const char *name)
{
	return fchownat(top, name, 1001, -1, 0);
}

static int chgrp_2000(const char *name)
{
	return fchownat(top, name, -1, 2000, 0);
}

static int chgrp_3000(const char *name)
{
	return fchownat(top, name, -1, 3000, 0);
}

static int write_1(const char *name)
{
	int fd = openat(top, name, O_WRONLY);

	return fd < 0 || write(fd, "x", 1) != 1 ? -1 : close(fd);
}

static int write_0(const char *name)
{
	int fd = openat(top, name, O_WRONLY);

	return fd < 0 || write(fd, "", 0) != 0 ? -1 : close(fd);
}

static int map_1(const char *name)
{
	int fd = openat(top, name, O_RDWR);
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -1;
	*p = 'm';
	return msync(p, 4096, MS_SYNC) < 0 || munmap(p, 4096) < 0 ? -1
	                                                          : close(fd);
}

static int read_1(const char *name)
{
	char c;
	int fd = openat(top, name, O_RDONLY);

	return fd < 0 || read(fd, &c, 1) < 0 ? -1 : close(fd);
}

static int truncate_it(const char *name)
{
	int fd = openat(top, name, O_WRONLY);

	return fd < 0 || ftruncate(fd, 1) < 0 ? -1 : close(fd);
}

static int open_trunc(const char *name)
{
	int fd = openat(top, name, O_WRONLY | O_TRUNC);

	return fd < 0 ? -1 : close(fd);
}

static int allocate(const char *name)
{
	int fd = openat(top, name, O_WRONLY);

	return fd < 0 || fallocate(fd, 0, 0, 5000) < 0 ? -1 : close(fd);
}

static int copy_into(const char *name)
{
	int in = openat(top, "source", O_RDONLY),
	    fd = openat(top, name, O_WRONLY);

	return fd < 0 || in < 0 ||
	                       syscall(SYS_copy_file_range, in, NULL, fd, NULL,
	                               4, 0) != 4
	               ? -1
	               : close(fd);
}

static int touch_now(const char *name)
{
	return utimensat(top, name, NULL, 0);
}

static int touch_then(const char *name)
{
	struct timespec t[2] = {
		{5, 0},
                {5, 0}
        };

	return utimensat(top, name, t, 0);
}

static int set_user(const char *name)
{
	int fd = openat(top, name, O_RDONLY);

	return fd < 0 || fsetxattr(fd, "user.x", "y", 1, 0) < 0 ? -1
	                                                        : close(fd);
}

static int set_trusted(const char *name)
{
	int fd = openat(top, name, O_RDONLY);

	return fd < 0 || fsetxattr(fd, "trusted.x", "y", 1, 0) < 0 ? -1
	                                                           : close(fd);
}

static int link_it(const char *name)
{
	return linkat(top, name, top, "linked", 0);
}

static const struct {
	const char *what;
	int (*act)(const char *);
	unsigned mode;
	int uid, gid;
	const char *name;
} on_file[] = {
  /* A file of that mode and owner, then the act by 1000:1000,2000. */
	{"chmod 6755 of the own",            chmod_6755,  0644,  1000, 1000, "f"},
	{"chmod 6755, of a group of mine",   chmod_6755,  0644,  1000, 2000, "f"},
	{"chmod 6755, of another's group",   chmod_6755,  0644,  1000, 3000, "f"},
	{"chmod 2644, of another's group",   chmod_2644,  0644,  1000, 3000, "f"},
	{"chmod 1777 of the own",            chmod_1777,  0644,  1000, 1000, "f"},
	{"chmod of another's",               chmod_6755,  0666,  1001, 1000, "f"},
	{"chown to another",                 give_away,   0644,  1000, 1000, "f"},
	{"chgrp to mine",                    chgrp_2000,  06755, 1000, 1000, "f"},
	{"chgrp to mine, no x",              chgrp_2000,  06644, 1000, 1000, "f"},
	{"chgrp to another's",               chgrp_3000,  06755, 1000, 1000, "f"},
	{"chgrp of another's",               chgrp_2000,  0666,  1001, 2000, "f"},
	{"write to setuid",                  write_1,     06777, 0,    0,    "f"},
	{"write to setuid of the own",       write_1,     06755, 1000, 1000, "f"},
	{"write to setgid without x",        write_1,     02666, 0,    0,    "f"},
	{"write of nothing to setuid",       write_0,     06777, 0,    0,    "f"},
	{"write through a mapping",          map_1,       06777, 0,    0,    "f"},
	{"truncate of setuid",               truncate_it, 06777, 0,    0,    "f"},
	{"open with O_TRUNC of setuid",      open_trunc,  06777, 0,    0,    "f"},
	{"fallocate in setuid",              allocate,    06777, 0,    0,    "f"},
	{"copy_file_range into setuid",      copy_into,   06777, 0,    0,    "f"},
	{"read of 0600 of another",          read_1,      0600,  0,    0,    "f"},
	{"read of 0640 by group",            read_1,      0640,  0,    2000, "f"},
	{"read of 0604 in the group",        read_1,      0604,  0,    2000, "f"},
	{"read of 0000 of the own",          read_1,      0000,  1000, 1000, "f"},
	{"write of 0444 of the own",         write_1,     0444,  1000, 1000, "f"},
	{"touch of another's, writable",     touch_now,   0666,  0,    0,    "f"},
	{"touch of another's, not writable", touch_now,   0644,  0,    0,    "f"},
	{"times of another's, writable",     touch_then,  0666,  0,    0,    "f"},
	{"times of the own",                 touch_then,  0400,  1000, 1000, "f"},
	{"user.x of the own",                set_user,    0600,  1000, 1000, "f"},
	{"user.x of another's",              set_user,    0644,  0,    0,    "f"},
	{"trusted.x by a user",              set_trusted, 0600,  1000, 1000, "f"},
	{"link of another's setuid",         link_it,     04755, 0,    0,    "f"},
	{"link of the own",                  link_it,     0600,  1000, 1000, "f"},
};

static void reset(const char *name, unsigned mode, int uid, int gid)
{
	int fd;

	(void)unlinkat(top, name, 0);
	(void)unlinkat(top, "linked", 0);
	fd = openat(top, name, O_CREAT | O_RDWR, 0600);
	if (fd < 0 || write(fd, "12345678", 8) != 8 ||
	    fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0 || close(fd) < 0)
		printf("cannot make %s: %d\n", name, errno);
}

static void files(void)
{
	reset("source", 0644, 0, 0);
	for (size_t i = 0; i < sizeof(on_file) / sizeof(*on_file); i++) {
		reset(on_file[i].name, on_file[i].mode, on_file[i].uid,
		      on_file[i].gid);
		show(on_file[i].what, USER(on_file[i].act, on_file[i].name),
		     on_file[i].name);
		/* And by root. */
		reset(on_file[i].name, on_file[i].mode, on_file[i].uid,
		      on_file[i].gid);
		show(on_file[i].what, on_file[i].act(on_file[i].name),
		     on_file[i].name);
	}
}

static const struct {
	const char *what;
	int (*act)(const char *);
	const char *name;
} in_folder[] = {
	{"file",             make,         "s/f"  },
	{"file 2755",        make_2755,    "s/g"  },
	{"file 6711",        make_6711,    "s/h"  },
	{"folder",           make_dir,     "s/d"  },
	{"file in folder",   make,         "s/d/f"},
	{"folder in folder", make_dir,     "s/d/d"},
	{"fifo",             make_fifo,    "s/p"  },
	{"device",           make_null,    "s/c"  },
	{"socket",           make_sock,    "s/s"  },
	{"link",             make_link,    "s/l"  },
	{"tmpfile",          make_tmpfile, "s/t"  },
};

static void clean(void)
{
	static const char *const order[] = {"s/d/f", "s/d/d", "s/d", "s/f",
	                                    "s/g",   "s/h",   "s/p", "s/c",
	                                    "s/s",   "s/l",   "s/t", "s"};

	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
		if (unlinkat(top, order[i], 0) < 0)
			(void)unlinkat(top, order[i], AT_REMOVEDIR);
}

static void folders(void)
{
	static const struct {
		unsigned mode;
		int gid;
	} parents[] = {
		{0777,  3000},
		{02777, 2000},
		{02777, 3000},
		{03777, 2000},
		{02755, 2000}
        };

	for (size_t i = 0; i < sizeof(parents) / sizeof(*parents); i++) {
		for (int root = 0; root < 2; root++) {
			clean();
			(void)mkdirat(top, "s", 0700);
			(void)fchownat(top, "s", 0, parents[i].gid, 0);
			(void)fchmodat(top, "s", parents[i].mode, 0);
			printf("in %o of %d by %s\n", parents[i].mode,
			       parents[i].gid, root ? "root" : "user");
			for (size_t k = 0;
			     k < sizeof(in_folder) / sizeof(*in_folder); k++)
				show(in_folder[k].what,
				     root ? in_folder[k].act(in_folder[k].name)
				          : USER(in_folder[k].act,
				                 in_folder[k].name),
				     in_folder[k].name);
		}
	}
	clean();
}

static void sticky(void)
{
	static const struct {
		const char *name;
		int uid;
	} made[] = {
		{"s/f", 1000},
                {"s/g", 1001},
                {"s/h", 0   }
        };

	clean();
	(void)mkdirat(top, "s", 0700);
	(void)fchmodat(top, "s", 01777, 0);
	for (size_t i = 0; i < 3; i++) {
		reset(made[i].name, 0666, made[i].uid, made[i].uid);
		show("move out of sticky", USER(move, made[i].name),
		     made[i].name);
		(void)renameat(top, "moved", top, made[i].name);
		show("remove in sticky", USER(rm, made[i].name), made[i].name);
	}
	(void)fchownat(top, "s", 1000, 1000, 0);
	reset("s/g", 0600, 1001, 1001);
	show("remove in the own sticky", USER(rm, "s/g"), "s/g");
	show("chgrp of a setgid folder", chgrp_2000("s"), "s");
	(void)fchmodat(top, "s", 06755, 0);
	show("chown of a 6755 folder", give_away("s"), "s");
	clean();
}

static void capabilities(void)
{
	static const unsigned char caps[20] = {1, 0, 0, 2, 1};
	char got[64];
	int (*const acts[])(const char *) = {write_1,    truncate_it,
	                                     open_trunc, chmod_6755,
	                                     give_away,  read_1};

	for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++) {
		int fd;
		ssize_t n;

		reset("f", 0777, 0, 0);
		fd = openat(top, "f", O_RDONLY);
		if (fsetxattr(fd, "security.capability", caps, sizeof(caps),
		              0) < 0)
			printf("no capabilities: %d\n", errno);
		(void)acts[i]("f");
		n = fgetxattr(fd, "security.capability", got, sizeof(got));
		printf("capabilities after act %zu: %zd\n", i, n);
		close(fd);
	}
}

static int owners(const char *folder)
{
	umask(0);
	top = open(folder, O_RDONLY | O_DIRECTORY);
	if (top < 0)
		return 1;
	(void)fchmod(top, 0777);
	files();
	folders();
	sticky();
	capabilities();
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "race") == 0)
		return race(argv[2], atoi(argv[3]));
	if (argc == 3 && strcmp(argv[1], "owners") == 0)
		return owners(argv[2]);
	fprintf(stderr, "usage: sharehostile race FOLDER SECONDS | "
	                "owners FOLDER\n");
	return 2;
}
