#include "files/name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#include "base/banned.h"

#define LINKS_MAX 40 /* as the kernel's */

static bool is_dots(const char *s, size_t len)
{
	return (len == 1 && s[0] == '.') ||
	       (len == 2 && s[0] == '.' && s[1] == '.');
}

bool files_name_is_clean(const char *path)
{
	size_t len = strlen(path);

	if (len >= FILES_PATH_MAX)
		return false;
	for (const char *p = path; len > 0; p++) {
		size_t part = strcspn(p, "/");

		if (part == 0 || part >= FILES_NAME_MAX || is_dots(p, part))
			return false;
		p += part;
		if (*p == '\0')
			return true;
	}
	return true;
}

bool files_name_is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return len == 0 || (strncmp(path, folder, len) == 0 &&
	                    (path[len] == '\0' || path[len] == '/'));
}

int files_split(const char *path, char *dir, char *name)
{
	size_t end = strlen(path), begin;

	if (end >= FILES_PATH_MAX)
		return -ENAMETOOLONG;
	while (end > 0 && path[end - 1] == '/')
		end--;
	begin = end;
	while (begin > 0 && path[begin - 1] != '/')
		begin--;
	if (end - begin >= FILES_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, path + begin, end - begin);
	name[end - begin] = '\0';
	end = begin;
	while (end > 1 && path[end - 1] == '/')
		end--;
	memcpy(dir, path, end);
	dir[end] = '\0';
	if (end == 0)
		(void)snprintf(dir, 2, *path == '/' ? "/" : ".");
	return 0;
}

int files_split_target(const char *path, char *dir, char *name)
{
	char text[2 * FILES_PATH_MAX], link[FILES_PATH_MAX];
	ssize_t n;
	int r;

	if (strlen(path) >= FILES_PATH_MAX)
		return -ENAMETOOLONG;
	(void)snprintf(text, sizeof(text), "%s", path);
	for (int i = 0; i < LINKS_MAX; i++) {
		r = files_split(text, dir, name);
		if (r < 0)
			return r;
		(void)snprintf(text, sizeof(text), "%s/%s", dir, name);
		n = readlink(text, link, sizeof(link) - 1);
		if (n < 0)
			return 0; /* no link: it is there or not */
		link[n] = '\0';
		if (*link == '/')
			(void)snprintf(text, sizeof(text), "%s", link);
		else
			(void)snprintf(text, sizeof(text), "%s/%s", dir, link);
	}
	return -ELOOP;
}

int files_source_parse(const char *text, struct files_source *ret,
                       struct err *err)
{
	struct files_source s = {0};
	char dir[FILES_PATH_MAX], name[FILES_PATH_MAX];
	size_t len = strlen(text);

	if (len == 0)
		return err_set(err, -EINVAL, "the source has no name");
	if (len >= FILES_PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "the name is too long");
	while (len > 1 && text[len - 1] == '/') {
		s.folder = true;
		len--;
	}
	while ((len > 2 && text[len - 1] == '.' && text[len - 2] == '/') ||
	       (len == 1 && *text == '.')) {
		s.content = s.folder = true;
		len--;
		while (len > 1 && text[len - 1] == '/')
			len--;
		if (len == 0)
			break;
	}
	memcpy(s.path, text, len);
	if (len == 0)
		(void)snprintf(s.path, sizeof(s.path), ".");
	if (files_split(s.path, dir, name) < 0)
		return err_set(err, -ENAMETOOLONG, "the name is too long");
	/* ".." and "/" have no name of their own: what is in them goes. */
	if (*name == '\0' || is_dots(name, strlen(name)))
		s.content = s.folder = true;
	else
		(void)snprintf(s.name, sizeof(s.name), "%.255s", name);
	*ret = s;
	return 0;
}

bool files_is_held(const char *path)
{
	static const char held[] = "/proc/self/fd/";
	const char *name;

	if (strncmp(path, held, sizeof(held) - 1) != 0)
		return false;
	path += sizeof(held) - 1;
	name = path + strspn(path, "0123456789");
	return name > path && name[0] == '/' && name[1];
}

static int open_folder(const char *path, int *ret, struct err *err)
{
	*ret = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC |
	                          (files_is_held(path) ? O_NOFOLLOW : 0));
	if (*ret >= 0)
		return 0;
	return err_set(err, -errno, "cannot open the folder %s: %s", path,
	               strerror(errno));
}

static int place_inside(const char *to, const char *name, bool into,
                        struct files_place *ret, struct err *err)
{
	struct files_place p = {-1, ""};
	int r;

	if (!into)
		(void)snprintf(p.base, sizeof(p.base), "%.255s", name);
	r = open_folder(to, &p.dir_fd, err);
	if (r == 0)
		*ret = p;
	return r;
}

static int place_as(const char *to, struct files_place *ret, struct err *err)
{
	char dir[FILES_PATH_MAX], name[FILES_PATH_MAX];
	struct files_place p = {-1, ""};
	int r = files_is_held(to) ? files_split(to, dir, name)
	                          : files_split_target(to, dir, name);

	if (r == 0 && (*name == '\0' || is_dots(name, strlen(name))))
		r = -ENOENT;
	if (r < 0)
		return err_set(err, r, "cannot write to %s: %s", to,
		               strerror(-r));
	(void)snprintf(p.base, sizeof(p.base), "%.255s", name);
	r = open_folder(dir, &p.dir_fd, err);
	if (r == 0)
		*ret = p;
	return r;
}

int files_place(const char *to, const char *name, bool is_dir, bool content,
                struct files_place *ret, struct err *err)
{
	size_t len = strlen(to);
	bool slash = len > 0 && to[len - 1] == '/';
	int look = files_is_held(to) ? AT_SYMLINK_NOFOLLOW : 0, r;
	struct stat st;

	if (len == 0)
		return err_set(err, -EINVAL, "the target has no name");
	r = fstatat(AT_FDCWD, to, &st, look) < 0 ? -errno : 0;
	if (r == 0 && S_ISDIR(st.st_mode)) {
		if (!is_dir && *name == '\0')
			return err_set(err, -EINVAL, "the file has no name");
		return place_inside(to, name, is_dir && (content || !*name),
		                    ret, err);
	}
	if (r == 0) {
		if (is_dir)
			return err_set(err, -EEXIST,
			               "%s is a file: a folder cannot be "
			               "copied to it",
			               to);
		if (!S_ISREG(st.st_mode))
			return err_set(err, -EINVAL,
			               "%s is neither a file nor a folder", to);
	} else if (r != -ENOENT) {
		return err_set(err, r, "cannot write to %s: %s", to,
		               strerror(-r));
	} else if (slash && !is_dir) {
		return err_set(err, -ENOENT, "there is no folder %s", to);
	}
	return place_as(to, ret, err);
}
