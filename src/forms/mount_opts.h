/*
 * mount_opts.h - mounts as people write them: options of a command line, and
 * the same text in a file.
 *
 *	SOURCE:TARGET[:OPTIONS]        all but --tmpfs
 *	TARGET[:SIZE][:OPTIONS]        --tmpfs
 *
 * OPTIONS are comma-separated. A ':' of a path is written "\:", a '\' before
 * it "\\"; any other backslash stands for itself. Where the option does not
 * say what SOURCE is (--volume), one that begins with '/', '.' or '~/' or has
 * a '/' is a path, a file or folder as it is there now, and a bare word a
 * volume.
 */
#ifndef FORMS_MOUNT_OPTS_H
#define FORMS_MOUNT_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"
#include "microsandbox.h"

/* NULL-terminated when not empty; structs and strings are owned. */
struct mount_opts {
	struct msb_mount **v;
	size_t n;
};

void mount_opts_release(struct mount_opts *m);
#define cleanup_mount_opts cleanup(mount_opts_release)

/* Add one, zeroed but for its size: NULL when out of memory. */
struct msb_mount *mount_opts_new(struct mount_opts *m);

/* Set one of its texts to a copy. */
int mount_opts_text(const char **to, const char *text);

/*
 * Add what @option ("volume", "mount-dir", "mount-file", "mount-named",
 * "mount-disk", "tmpfs") says by @text. -EINVAL names option and word.
 */
int mount_opts_add(struct mount_opts *m, const char *option, const char *text,
                   struct err *err);

/* The same of "OPTION:TEXT" each, as OPT_NAMED gathers them. */
int mount_opts_add_all(struct mount_opts *m, const struct strv *list,
                       struct err *err);

/* Move all of @from behind @to. */
int mount_opts_move(struct mount_opts *to, struct mount_opts *from);

/* Whether SOURCE of --volume is a path of the host. */
bool mount_opts_is_path(const char *source);

/* MSB_MOUNT_FILE or MSB_MOUNT_DIR, by what is there; a folder when nothing. */
int32_t mount_opts_path_kind(const char *path);

/*
 * @list ("OPTION:TEXT") with relative sources made absolute, for a command that
 * will be called from elsewhere.
 */
int mount_opts_absolute(const struct strv *list, struct strv *ret);

#endif
