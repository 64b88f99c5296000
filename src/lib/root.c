#include "lib/root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "lib/disk_open.h"
#include "lib/image.h"

#include "base/banned.h"

#define FSTYPE_DEFAULT "ext4" /* the one that the guest's kernel writes */

void root_source_release(struct root_source *s)
{
	free(s->path);
	free(s->format);
	free(s->fstype);
	*s = (struct root_source){0};
}

static int copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

int root_source_copy(struct root_source *ret, const struct root_source *from)
{
	struct root_source s = {.kind = from->kind, .no_links = from->no_links};

	if (copy_text(&s.path, from->path) < 0 ||
	    copy_text(&s.format, from->format) < 0 ||
	    copy_text(&s.fstype, from->fstype) < 0) {
		root_source_release(&s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

/* ---- a disk's reference: PATH[:KEY=VALUE[,KEY=VALUE]] ---- */

static bool ends_with(const char *s, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len > n && memcmp(s + len - n, end, n) == 0;
}

/* Where the options begin, or the end. */
static size_t path_length(const char *reference)
{
	const char *colon = strrchr(reference, ':');

	return colon && (strncmp(colon, ":format=", 8) == 0 ||
	                 strncmp(colon, ":fstype=", 8) == 0)
	               ? (size_t)(colon - reference)
	               : strlen(reference);
}

bool root_is_disk(const char *reference)
{
	size_t len = path_length(reference);

	return reference[len] || ends_with(reference, len, ".qcow2") ||
	       ends_with(reference, len, ".raw") ||
	       ends_with(reference, len, ".img");
}

static int take_option(const char *word, size_t len, struct root_source *s,
                       struct err *err)
{
	char **to = NULL;

	if (len > 7 && strncmp(word, "format=", 7) == 0)
		to = &s->format;
	else if (len > 7 && strncmp(word, "fstype=", 7) == 0)
		to = &s->fstype;
	if (!to || *to)
		return err_set(err, -EINVAL,
		               "'%.*s' is no option of a disk image: "
		               "format=raw|qcow2, fstype=ext4",
		               (int)MIN(len, (size_t)100), word);
	*to = strndup(word + 7, len - 7);
	return *to ? 0 : -ENOMEM;
}

static int take_options(const char *text, struct root_source *s,
                        struct err *err)
{
	int r = 0;

	while (r == 0 && *text) {
		size_t len = strcspn(text, ",");

		r = take_option(text, len, s, err);
		text += len + (text[len] == ',');
	}
	if (r == 0 && s->fstype && strcmp(s->fstype, FSTYPE_DEFAULT) != 0 &&
	    strcmp(s->fstype, "erofs") != 0)
		r = err_set(err, -EINVAL, "fstype %s: a root is ext4 or erofs",
		            s->fstype);
	if (r == 0 && !s->fstype)
		r = copy_text(&s->fstype, FSTYPE_DEFAULT);
	return r;
}

static enum file_links links_of(const struct root_source *s)
{
	return s->no_links ? LINKS_NONE : LINKS_ANY;
}

static int cannot_open(const struct root_source *s, const char *path, int r,
                       struct err *err)
{
	return err_set(err, r, "cannot open %s: %s", path,
	               file_open_text(r, links_of(s)));
}

/* As it is now: by the name that is open, not by another look at @path. */
static int absolute(const char *path, struct root_source *s, struct err *err)
{
	cleanup_close int fd = file_open(path, O_PATH, links_of(s));
	char self[32], text[PATH_MAX];
	ssize_t n;

	if (fd < 0)
		return cannot_open(s, path, fd, err);
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	n = readlink(self, text, sizeof(text));
	if (n < 0 || n == sizeof(text))
		return cannot_open(s, path, n < 0 ? -errno : -ENAMETOOLONG,
		                   err);
	s->path = strndup(text, (size_t)n);
	return s->path ? 0 : -ENOMEM;
}

static int open_folder(const struct root_source *s, struct err *err)
{
	int fd = file_open(s->path, O_PATH | O_DIRECTORY, links_of(s));

	return fd < 0 ? cannot_open(s, s->path, fd, err) : fd;
}

int root_look_live(const char *path, bool no_links, struct root_source *ret,
                   struct err *err)
{
	struct root_source s = {.kind = ROOT_LIVE, .no_links = no_links};
	cleanup_close int fd = -1;
	int r = absolute(path, &s, err);

	if (r == 0)
		r = fd = open_folder(&s, err);
	if (r < 0) {
		root_source_release(&s);
		return r;
	}
	*ret = s;
	return 0;
}

static int open_image_file(const struct root_source *s, struct disk_layer *ret,
                           struct err *err)
{
	const struct disk_image i = {.path = s->path,
	                             .format = s->format,
	                             .read_only = true,
	                             .links = links_of(s)};

	return disk_open_image(&i, ret, err);
}

int root_look_disk(const char *reference, bool no_links,
                   struct root_source *ret, struct err *err)
{
	struct root_source s = {.kind = ROOT_DISK, .no_links = no_links};
	struct disk_layer layer = {.fd = -1};
	size_t len = path_length(reference);
	char *path = strndup(reference, len);
	int r = path ? 0 : -ENOMEM;

	if (r == 0)
		r = absolute(path, &s, err);
	if (r == 0)
		r = take_options(reference + len + (reference[len] == ':'), &s,
		                 err);
	if (r == 0) /* what is wrong with it, before anything is made */
		r = open_image_file(&s, &layer, err);
	close_fd(&layer.fd);
	free(path);
	if (r < 0)
		root_source_release(&s);
	else
		*ret = s;
	return r;
}

/* ---- start ---- */

static int open_live(const struct root_source *root, struct launch *l,
                     struct err *err)
{
	struct launch_share *s = launch_add_share(l);

	if (!s)
		return -E2BIG;
	s->read_only = true;
	s->fd = open_folder(root, err);
	if (s->fd < 0)
		return s->fd;
	l->root_type = "share";
	l->root_name = s->name;
	return 0;
}

static int open_disk(const struct root_source *root, struct launch *l,
                     struct err *err)
{
	struct launch_disk *d = launch_add_disk(l, "root");
	int r;

	if (!d)
		return -E2BIG;
	d->read_only = true;
	d->layers[0].fd = -1;
	d->nlayers = 1;
	r = open_image_file(root, &d->layers[0], err);
	if (r == 0)
		l->root_type =
			strcmp(root->fstype, "erofs") == 0 ? "erofs" : "ext4";
	return r;
}

static int open_image(struct store *s, const struct image *image,
                      struct rootfs *extents, struct launch *l, struct err *err)
{
	struct launch_disk *d = launch_add_disk(l, "root");

	if (!d)
		return -E2BIG;
	d->read_only = true;
	d->extents = extents;
	return lib_image_open_root(s, image, extents, err);
}

int root_open(struct store *s, const struct root_source *root,
              const struct image *image, struct rootfs *extents,
              struct launch *l, struct err *err)
{
	switch (root->kind) {
	case ROOT_LIVE:
		return open_live(root, l, err);
	case ROOT_DISK:
		return open_disk(root, l, err);
	default:
		return open_image(s, image, extents, l, err);
	}
}
