#include "cli/launcher.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/escape.h"
#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

#define COMMENT_MAX 200u
#define HEAD_MAX    8192u
#define FILES_MAX   65536u

static const char marker[] = "#!/bin/sh\n# msb launcher 1: ";

void launcher_release(struct launcher *l)
{
	free(l->name);
	free(l->image);
	free(l->mode);
	free(l->command);
	*l = (struct launcher){0};
}

bool launcher_name_ok(const char *name)
{
	static const char inside[] = "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789._-";
	size_t len = strspn(name, inside);

	return len && len <= LAUNCHER_NAME_MAX && name[len] == '\0' &&
	       !strchr("._-", *name);
}

/* ---- the folder ---------------------------------------------------------- */

static int folder_path(char **ret, struct err *err)
{
	const char *own = getenv("MSB_BIN"), *home = getenv("HOME");
	int n;

	if (own && *own == '/')
		n = asprintf(ret, "%s", own);
	else if (own && *own)
		return err_set(err, -EINVAL,
		               "MSB_BIN=%s is not an absolute path", own);
	else if (home && *home == '/')
		n = asprintf(ret, "%s/.local/bin", home);
	else
		return err_set(err, -EINVAL,
		               "neither MSB_BIN nor HOME says "
		               "where commands are kept");
	return n < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

int launcher_folder(bool make, char **ret_path, int *ret_fd, struct err *err)
{
	cleanup_free char *path = NULL;
	int fd, r = folder_path(&path, err);

	if (r < 0) {
		path = NULL;
		return r;
	}
	if (make)
		r = dir_make(AT_FDCWD, path, 0755);
	if (r < 0)
		return err_set(err, r, "cannot make %s: %s", path,
		               strerror(-r));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -errno, "cannot open %s: %s", path,
		               strerror(errno));
	*ret_path = take_ptr(path);
	*ret_fd = fd;
	return 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Call @visit for each folder of $PATH until it says true. */
static bool each_of_path(bool (*visit)(const char *folder, void *arg),
                         void *arg)
{
	const char *p = getenv("PATH");

	while (p && *p) {
		size_t len = strcspn(p, ":");
		cleanup_free char *folder = strndup(p, len);

		if (folder && *folder == '/' && visit(folder, arg))
			return true;
		p += len + (p[len] == ':');
	}
	return false;
}

static bool is_folder(const char *folder, void *arg)
{
	struct stat st;

	return stat(folder, &st) == 0 && same_file(&st, arg);
}

bool launcher_folder_in_path(int folder_fd)
{
	struct stat st;

	return fstat(folder_fd, &st) == 0 && each_of_path(is_folder, &st);
}

struct search {
	struct stat own; /* the folder that does not count */
	const char *name;
	char *found;
};

static bool has_command(const char *folder, void *arg)
{
	struct search *s = arg;
	struct stat st;

	if (stat(folder, &st) < 0 || same_file(&st, &s->own) ||
	    asprintf(&s->found, "%s/%s", folder, s->name) < 0)
		return false;
	if (stat(s->found, &st) == 0 && S_ISREG(st.st_mode) &&
	    access(s->found, X_OK) == 0)
		return true;
	free(s->found);
	s->found = NULL;
	return false;
}

char *launcher_shadowed(int folder_fd, const char *name)
{
	struct search s = {.name = name};

	if (fstat(folder_fd, &s.own) < 0)
		return NULL;
	return each_of_path(has_command, &s) ? s.found : NULL;
}

/* ---- the text ------------------------------------------------------------ */

int launcher_quote(struct buf *b, const char *text)
{
	(void)buf_addc(b, '\'');
	for (; *text; text++) {
		if (*text == '\'')
			(void)buf_adds(b, "'\\''");
		else
			(void)buf_addc(b, *text);
	}
	return buf_addc(b, '\'');
}

/* One line, whatever is in @text. */
static void comment(struct buf *b, const char *key, const char *text)
{
	size_t len = strlen(text), cut = MIN(len, COMMENT_MAX);

	while (cut < len && cut && ((unsigned char)text[cut] & 0xc0) == 0x80)
		cut--; /* not within a character */
	(void)buf_printf(b, "# %s: ", key);
	(void)escape_text(b, text, cut, 0);
	(void)buf_adds(b, cut < len ? "...\n" : "\n");
}

char *launcher_text(const struct launcher *l, const char *msb, const char *home,
                    char *const *args)
{
	struct buf cleanup_buf b = BUF_INIT;

	(void)buf_printf(&b,
	                 "%smade by 'msb install', removed by 'msb uninstall "
	                 "%s'\n",
	                 marker, l->name);
	comment(&b, "image", l->image);
	comment(&b, "mode", l->mode);
	comment(&b, "command", l->command);
	(void)buf_adds(&b, "msb=");
	(void)launcher_quote(&b, msb);
	(void)buf_adds(&b, "\n[ -x \"$msb\" ] || msb=msb\n");
	if (home) {
		(void)buf_adds(&b, "[ -n \"${MSB_HOME:-}\" ] || MSB_HOME=");
		(void)launcher_quote(&b, home);
		(void)buf_adds(&b, "\nexport MSB_HOME\n");
	}
	(void)buf_adds(&b, "exec \"$msb\"");
	for (; *args; args++) {
		(void)buf_addc(&b, ' ');
		(void)launcher_quote(&b, *args);
	}
	(void)buf_adds(&b, " \"$@\"\n");
	return buf_ok(&b) ? buf_steal(&b) : NULL;
}

/* ---- files --------------------------------------------------------------- */

/* A file of that name must not appear in between; some file systems cannot. */
static int rename_new(int fd, const char *from, const char *to, bool force)
{
	if (force)
		return renameat(fd, from, fd, to) < 0 ? -errno : 0;
	if (renameat2(fd, from, fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (faccessat(fd, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	return renameat(fd, from, fd, to) < 0 ? -errno : 0;
}

/* Only for the user: variables in it may be nobody else's business. */
int launcher_write(int folder_fd, const char *name, const char *text,
                   bool force, struct err *err)
{
	char temporary[LAUNCHER_NAME_MAX + 32];
	int r;

	(void)snprintf(temporary, sizeof(temporary), ".%s.msb-%ld", name,
	               (long)getpid());
	r = file_write_atomic(folder_fd, temporary, text, strlen(text), 0700);
	if (r == 0) {
		r = rename_new(folder_fd, temporary, name, force);
		if (r < 0)
			(void)unlinkat(folder_fd, temporary, 0);
	}
	if (r < 0)
		return err_set(err, r, "cannot write the launcher %s: %s", name,
		               strerror(-r));
	return 0;
}

/* The rest of the line that begins with @key, "" when there is none. */
static char *comment_of(const char *head, const char *key)
{
	char start[32];
	const char *at;

	(void)snprintf(start, sizeof(start), "\n# %s: ", key);
	at = strstr(head, start);
	if (!at)
		return strdup("");
	at += strlen(start);
	return strndup(at, strcspn(at, "\n"));
}

static ssize_t read_head(int folder_fd, const char *name, char *head)
{
	cleanup_close int fd = openat(folder_fd, name,
	                              O_RDONLY | O_CLOEXEC | O_NONBLOCK |
	                                      O_NOFOLLOW | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return errno == ELOOP || errno == EACCES || errno == ENXIO
		               ? -EINVAL
		               : -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EINVAL;
	return fd_read_full(fd, head, HEAD_MAX);
}

int launcher_read(int folder_fd, const char *name, struct launcher *ret)
{
	struct launcher cleanup_launcher l = {0};
	char head[HEAD_MAX + 1];
	ssize_t n = read_head(folder_fd, name, head);

	if (n < 0)
		return (int)n;
	head[n] = '\0';
	if (strncmp(head, marker, sizeof(marker) - 1) != 0)
		return -EINVAL;
	l.name = strdup(name);
	l.image = comment_of(head, "image");
	l.mode = comment_of(head, "mode");
	l.command = comment_of(head, "command");
	if (!l.name || !l.image || !l.mode || !l.command)
		return -ENOMEM;
	*ret = l;
	l = (struct launcher){0};
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct launcher *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int add(struct launcher **all, size_t *n, int folder_fd,
               const char *name)
{
	struct launcher l = {0}, *grown;
	int r = launcher_name_ok(name) ? launcher_read(folder_fd, name, &l)
	                               : -EINVAL;

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return 0;
	grown = realloc(*all, (*n + 1) * sizeof(l));
	if (!grown) {
		launcher_release(&l);
		return -ENOMEM;
	}
	*all = grown;
	grown[(*n)++] = l;
	return 0;
}

int launcher_list(int folder_fd, struct launcher **ret, size_t *ret_count)
{
	int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct launcher *all = NULL;
	struct dirent *e;
	size_t n = 0, seen = 0;
	int r = d ? 0 : -errno;

	if (!d && fd >= 0)
		(void)close(fd);
	while (r == 0 && seen++ < FILES_MAX && (e = readdir(d)) != NULL)
		r = add(&all, &n, folder_fd, e->d_name);
	if (d)
		(void)closedir(d);
	if (r < 0) {
		for (size_t i = 0; i < n; i++)
			launcher_release(&all[i]);
		free(all);
		return r;
	}
	if (n)
		qsort(all, n, sizeof(*all), by_name);
	*ret = all;
	*ret_count = n;
	return 0;
}
