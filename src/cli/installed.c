#include "cli/installed.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/json.h"

#include "base/banned.h"

#define OWN_DIR   "libexec/microsandbox"
#define LIST      OWN_DIR "/installed.json"
#define LIST_MAX  (1u << 20)
#define FILES_MAX 4096
#define PROGRAM   "bin/msb"
#define VERSION   1

/* The prefix of /PREFIX/bin/msb. */
static int find_prefix(struct installed *in, struct err *err)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	size_t tail = strlen("/" PROGRAM);

	if (n < 0)
		return err_set(err, -errno, "cannot find out where msb is: %s",
		               strerror(errno));
	path[n] = '\0';
	if ((size_t)n < tail || strcmp(path + n - tail, "/" PROGRAM) != 0) {
		err_set(err, -ENOENT, "%s was not put there by make install",
		        path);
		err_hint(err, "remove it as it came");
		return -ENOENT;
	}
	path[(size_t)n - tail] = '\0';
	in->prefix = strdup(path);
	in->prefix_fd =
		open(*path ? path : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!in->prefix)
		return -ENOMEM;
	if (in->prefix_fd < 0)
		return err_set(err, -errno, "cannot open %s: %s", path,
		               strerror(errno));
	return 0;
}

/* Below the prefix, whatever somebody wrote into the list. */
static bool is_inside(const char *path)
{
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') ||
		    (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n;
		if (*p == '/' && !*++p)
			return false;
	}
	return *path;
}

static int add_file(struct installed *in, const json_t *j)
{
	const char *path = json_str(j, "path", "");
	const char *link = json_str(j, "link", NULL);
	struct installed_file *f = &in->files[in->n];

	if (!is_inside(path) ||
	    (!link && !digest_parse_hex(json_str(j, "sha256", ""), &f->digest)))
		return -EBADMSG;
	f->path = strdup(path);
	f->link = link ? strdup(link) : NULL;
	in->n++;
	return f->path && (!link || f->link) ? 0 : -ENOMEM;
}

static int parse(struct installed *in, const struct buf *b, struct err *err)
{
	json_t *cleanup_json j = json_parse(b->data, b->len, LIST, err);
	const json_t *list = json_object_get(j, "files");
	size_t n = json_array_size(list);
	int r = 0;

	if (!j)
		return -EBADMSG;
	if (json_int(j, "version", -1) != VERSION || n > FILES_MAX)
		return err_set(err, -EBADMSG, "%s/%s is of another version",
		               in->prefix, LIST);
	in->files = calloc(n + 1, sizeof(*in->files));
	if (!in->files)
		return -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++)
		r = add_file(in, json_array_get(list, i));
	if (r == -EBADMSG)
		return err_set(err, r, "%s/%s is damaged", in->prefix, LIST);
	return r;
}

static bool is_same_link(int dir_fd, const struct installed_file *f)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir_fd, f->path, target, sizeof(target) - 1);

	if (n < 0)
		return false;
	target[n] = '\0';
	return strcmp(target, f->link) == 0;
}

static bool is_same_file(int dir_fd, const struct installed_file *f)
{
	cleanup_close int fd =
		openat(dir_fd, f->path,
	               O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct digest now;
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       digest_of_fd(fd, &now) == 0 && digest_equal(&now, &f->digest);
}

static enum installed_state look(int dir_fd, const struct installed_file *f)
{
	struct stat st;

	if (fstatat(dir_fd, f->path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return INSTALLED_MISSING;
	if (f->link ? is_same_link(dir_fd, f) : is_same_file(dir_fd, f))
		return INSTALLED_OURS;
	return INSTALLED_CHANGED;
}

/* Before anything is removed: half an uninstall helps nobody. */
static int check_folder(const struct installed *in, const char *path,
                        struct err *err)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	(void)snprintf(dir, sizeof(dir), "%.*s",
	               slash ? (int)(slash - path) : 1, slash ? path : ".");
	if (faccessat(in->prefix_fd, dir, W_OK, AT_EACCESS) == 0)
		return 0;
	err_set(err, -errno, "cannot remove %s/%s: %s", in->prefix, path,
	        strerror(errno));
	err_hint(err, "run it as the user who installed it, root perhaps");
	return -EACCES;
}

int installed_read(struct installed *ret, struct err *err)
{
	struct installed cleanup_installed in = INSTALLED_INIT;
	struct buf cleanup_buf b = BUF_INIT_MAX(LIST_MAX);
	int r = find_prefix(&in, err);

	if (r < 0)
		return r;
	r = file_read(in.prefix_fd, LIST, &b);
	if (r < 0) {
		err_set(err, r, "cannot read %s/%s: %s", in.prefix, LIST,
		        strerror(-r));
		err_hint(err, "what make install did not put there, it "
		              "cannot take away");
		return r;
	}
	r = parse(&in, &b, err);
	for (size_t i = 0; i < in.n && r == 0; i++) {
		in.files[i].state = look(in.prefix_fd, &in.files[i]);
		if (in.files[i].state == INSTALLED_OURS)
			r = check_folder(&in, in.files[i].path, err);
	}
	if (r == 0)
		r = check_folder(&in, LIST, err);
	if (r < 0)
		return r;
	*ret = in;
	in = (struct installed)INSTALLED_INIT;
	return 0;
}

void installed_release(struct installed *in)
{
	if (!in)
		return;
	for (size_t i = 0; i < in->n; i++) {
		free(in->files[i].path);
		free(in->files[i].link);
	}
	free(in->files);
	free(in->prefix);
	close_fd(&in->prefix_fd);
}

static int remove_one(const struct installed *in, const char *path,
                      struct err *err)
{
	if (unlinkat(in->prefix_fd, path, 0) == 0 || errno == ENOENT)
		return 0;
	return err_set(err, -errno, "cannot remove %s/%s: %s", in->prefix, path,
	               strerror(errno));
}

int installed_remove(const struct installed *in, struct err *err)
{
	bool program = false;
	int r = 0;

	for (size_t i = 0; i < in->n && r == 0; i++) {
		const struct installed_file *f = &in->files[i];

		if (f->state != INSTALLED_OURS)
			continue;
		if (strcmp(f->path, PROGRAM) == 0)
			program = true;
		else
			r = remove_one(in, f->path, err);
	}
	if (r == 0 && program)
		r = remove_one(in, PROGRAM, err);
	if (r == 0)
		r = remove_one(in, LIST, err);
	if (r == 0 && unlinkat(in->prefix_fd, OWN_DIR, AT_REMOVEDIR) < 0 &&
	    errno != ENOENT && errno != ENOTEMPTY)
		r = err_set(err, -errno, "cannot remove %s/%s: %s", in->prefix,
		            OWN_DIR, strerror(errno));
	return r;
}
