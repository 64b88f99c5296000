#include "guest/etc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "guest/net.h"

#include "base/banned.h"

/* From linux/mount.h, which excludes sys/mount.h. */
#define TREE_CLONE      1u
#define TREE_CLOEXEC    ((unsigned)O_CLOEXEC)
#define MOVE_EMPTY_PATH 4u
#define MOVE_EMPTY_TO   0x40u
#define TREE_SYSCALL    428
#define MOVE_SYSCALL    429

#define LINKS_MAX 8
/* Nothing is taken until somebody writes; who edits them has room. */
#define TMPFS_SMALL "mode=0755,size=1m,nr_inodes=32"
#define TMPFS_LARGE "mode=0755,size=24m,nr_inodes=32" /* with trust stores */

/* ---- what they say ---- */

static int own_line(struct buf *to, const char *address, const char *hostname)
{
	if (!address)
		return 0;
	return buf_printf(to, "%.*s\t%.250s\n", (int)strcspn(address, "/"),
	                  address, hostname);
}

int etc_hosts_text(struct buf *to, const char *hostname,
                   const struct proto_strs *net)
{
	const char *line;

	if (!*hostname)
		hostname = "sandbox";
	(void)buf_adds(to, "127.0.0.1\tlocalhost\n"
	                   "::1\tlocalhost ip6-localhost ip6-loopback\n");
	(void)own_line(to, net_value(net, "ip4", 0), hostname);
	(void)own_line(to, net_value(net, "ip6", 0), hostname);
	for (unsigned i = 0; (line = net_value(net, "host", i)); i++)
		(void)buf_printf(to, "%s\n", line);
	return buf_ok(to) ? 0 : -ENOMEM;
}

int etc_resolv_text(struct buf *to, const struct proto_strs *net)
{
	const char *server;

	for (unsigned i = 0; (server = net_value(net, "dns", i)); i++)
		(void)buf_printf(to, "nameserver %s\n", server);
	return buf_ok(to) ? 0 : -ENOMEM;
}

/* ---- where they go ---- */

static int resolve(int root_fd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned)(O_PATH | O_CLOEXEC | flags),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* The folder that @path, which is cut there, lies in; *ret_name is the rest. */
static int open_parent(int root_fd, char *path, const char **ret_name)
{
	char *slash = strrchr(path, '/');
	int fd;

	if (!slash)
		return -EINVAL;
	*slash = '\0';
	fd = resolve(root_fd, *path ? path : "/", O_DIRECTORY);
	*slash = '/';
	*ret_name = slash + 1;
	return fd;
}

static int make_folder(int root_fd, char *path)
{
	cleanup_close int fd = resolve(root_fd, path, O_DIRECTORY);
	cleanup_close int parent = -1;
	const char *name;

	if (fd != -ENOENT)
		return fd < 0 ? fd : 0;
	parent = open_parent(root_fd, path, &name);
	if (parent < 0)
		return parent;
	return mkdirat(parent, name, 0755) < 0 ? -errno : 0;
}

/* An empty file @path, and the folders above it. */
static int make_file(int root_fd, char *path)
{
	cleanup_close int parent = -1, fd = -1;
	const char *name;

	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		int r;

		*p = '\0';
		r = make_folder(root_fd, path);
		*p = '/';
		if (r < 0)
			return r;
	}
	parent = open_parent(root_fd, path, &name);
	if (parent < 0)
		return parent;
	fd = openat(parent, name,
	            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : 0;
}

/* Put what the link @fd at @path says in the place of its last part. */
static int follow(int fd, char path[PATH_MAX])
{
	char link[PATH_MAX];
	ssize_t n = readlinkat(fd, "", link, sizeof(link) - 1);
	char *slash = strrchr(path, '/');
	size_t keep = slash ? (size_t)(slash - path) + 1 : 0;

	if (n <= 0)
		return n < 0 ? -errno : -ENOENT;
	link[n] = '\0';
	if (link[0] == '/')
		keep = 0;
	if (keep + (size_t)n >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(path + keep, link, (size_t)n + 1);
	return 0;
}

/* Walk the links of @path to their end, and make the file that is not there. */
static int make_end(int root_fd, const char *path)
{
	char end[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(end))
		return -ENAMETOOLONG;
	memcpy(end, path, len + 1);
	for (int i = 0; i < LINKS_MAX; i++) {
		cleanup_close int fd = resolve(root_fd, end, O_NOFOLLOW);
		struct stat st;
		int r;

		if (fd == -ENOENT)
			return make_file(root_fd, end);
		if (fd < 0)
			return fd;
		if (fstat(fd, &st) < 0)
			return -errno;
		if (!S_ISLNK(st.st_mode))
			return 0;
		r = follow(fd, end);
		if (r < 0)
			return r;
	}
	return -ELOOP;
}

int etc_open(int root_fd, const char *path, bool make)
{
	cleanup_close int fd = resolve(root_fd, path, 0);
	struct stat st;

	if (fd == -ENOENT && make) {
		int r = make_end(root_fd, path);

		if (r < 0)
			return r;
		fd = resolve(root_fd, path, 0);
	}
	if (fd < 0)
		return take_fd(fd);
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? take_fd(fd) : -EINVAL;
}

/* ---- binding ---- */

struct cover {
	int root_fd;
	const char *scratch;
	int tmpfs_fd;
	dev_t dev; /* of the tmpfs: what has it is covered already */
	unsigned n;
};

static bool is_covered(const struct cover *c, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == c->dev;
}

static int bind_over(const struct cover *c, const char *name, int target)
{
	cleanup_close int tree = (int)syscall(TREE_SYSCALL, c->tmpfs_fd, name,
	                                      TREE_CLONE | TREE_CLOEXEC);

	if (tree < 0)
		return -errno;
	return syscall(MOVE_SYSCALL, tree, "", target, "",
	               MOVE_EMPTY_PATH | MOVE_EMPTY_TO) < 0
	               ? -errno
	               : 0;
}

/* A file of the tmpfs with @text, over the one that @target is. */
static int cover_fd(struct cover *c, int target, const struct buf *text)
{
	cleanup_close int fd = -1;
	char name[16];
	int r;

	(void)snprintf(name, sizeof(name), "%u", c->n++);
	fd = openat(c->tmpfs_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
	            0644);
	if (fd < 0)
		return -errno;
	r = fd_write_full(fd, text->data, text->len);
	if (r == 0 && fchmod(fd, 0644) < 0) /* whatever the umask */
		r = -errno;
	return r < 0 ? r : bind_over(c, name, target);
}

static void cover_path(struct cover *c, const char *path,
                       const struct buf *text)
{
	cleanup_close int target = etc_open(c->root_fd, path, true);
	int r = target;

	if (r >= 0)
		r = is_covered(c, target) ? 0 : cover_fd(c, target, text);
	if (r < 0)
		log_warn("cannot provide %s: %s", path, strerror(-r));
}

static int cover_begin(struct cover *c, const char *options)
{
	struct stat st;

	if (mount("tmpfs", c->scratch, "tmpfs",
	          MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		return -errno;
	c->tmpfs_fd = open(c->scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->tmpfs_fd < 0 || fstat(c->tmpfs_fd, &st) < 0)
		return -errno;
	c->dev = st.st_dev;
	return 0;
}

/* The bound files keep it; the folder itself is nobody's business. */
static void cover_end(struct cover *c)
{
	close_fd(&c->tmpfs_fd);
	(void)umount2(c->scratch, MNT_DETACH);
}

/* ---- the network's files ---- */

static void cover_network(struct cover *c, const char *hostname,
                          const struct proto_strs *net)
{
	struct buf cleanup_buf hosts = BUF_INIT_MAX(256u << 10);
	struct buf cleanup_buf resolv = BUF_INIT_MAX(64u << 10);
	struct buf cleanup_buf name = BUF_INIT_MAX(1u << 10);

	if (etc_hosts_text(&hosts, hostname, net) == 0)
		cover_path(c, "/etc/hosts", &hosts);
	if (etc_resolv_text(&resolv, net) == 0)
		cover_path(c, "/etc/resolv.conf", &resolv);
	if (buf_printf(&name, "%.250s\n", hostname) == 0)
		cover_path(c, "/etc/hostname", &name);
}

/* ---- trust ---- */

/* One file that has all certificates, as each family of systems keeps it. */
static const char *const stores[] = {
	"/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine, Arch */
	"/etc/ssl/cert.pem",                  /* Alpine, BSD's ways */
	"/etc/pki/tls/certs/ca-bundle.crt",   /* Red Hat */
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/ca-bundle.pem", /* SUSE */
	"/var/lib/ca-certificates/ca-bundle.pem",
};

/*
 * @fd is a place only, and of a regular file, so this opens no device; some
 * files of /proc would wait for data.
 */
static int read_store(int fd, struct buf *to)
{
	cleanup_close int file = -1;
	char path[32];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	file = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (file < 0)
		return -errno;
	for (;;) {
		ssize_t n;

		r = buf_reserve(to, 64u << 10);
		if (r < 0)
			return r;
		n = read(file, to->data + to->len, 64u << 10);
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		buf_commit(to, (size_t)n);
	}
}

static int trust_in(struct cover *c, int target, const struct proto_bytes *pem)
{
	struct buf cleanup_buf text = BUF_INIT_MAX(ETC_STORE_MAX + pem->n + 2);
	int r = read_store(target, &text);

	if (r == 0 && text.len && text.data[text.len - 1] != '\n')
		r = buf_addc(&text, '\n');
	if (r == 0)
		r = buf_add(&text, pem->p, pem->n);
	return r < 0 ? r : cover_fd(c, target, &text);
}

static void cover_stores(struct cover *c, const struct proto_bytes *pem)
{
	for (size_t i = 0; i < ARRAY_SIZE(stores); i++) {
		cleanup_close int fd = etc_open(c->root_fd, stores[i], false);
		int r = fd;

		if (fd >= 0)
			r = is_covered(c, fd) ? 0 : trust_in(c, fd, pem);
		if (r < 0 && r != -ENOENT)
			log_warn("cannot add certificates to %s: %s", stores[i],
			         strerror(-r));
	}
}

void etc_provide(int root_fd, const char *scratch, const char *hostname,
                 const struct proto_strs *net, const struct proto_bytes *pem)
{
	struct cover c = {
		.root_fd = root_fd, .scratch = scratch, .tmpfs_fd = -1};
	int r;

	if (net->n == 0 && pem->n == 0)
		return;
	r = cover_begin(&c, pem->n ? TMPFS_LARGE : TMPFS_SMALL);
	if (r < 0) {
		log_warn("cannot mount a tmpfs for files of /etc: %s",
		         strerror(-r));
	} else {
		if (net->n)
			cover_network(&c, hostname, net);
		if (pem->n)
			cover_stores(&c, pem);
	}
	cover_end(&c);
}
