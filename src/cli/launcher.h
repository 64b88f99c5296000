/*
 * launcher.h - small programs in the user's folder of commands, each of which
 * runs something in a sandbox.
 *
 * A launcher is a shell script of a fixed form: a marker, comments that say
 * what it is, and one exec of msb with everything quoted. The marker is what
 * makes it ours: without it a file is neither replaced nor removed.
 */
#ifndef CLI_LAUNCHER_H
#define CLI_LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strv.h"

#define LAUNCHER_NAME_MAX 128u

/* What the comments of a launcher say; text from outside, to be escaped. */
struct launcher {
	char *name, *image, *mode, *command;
};

void launcher_release(struct launcher *l);
#define cleanup_launcher cleanup(launcher_release)

/* Letters, digits, . _ -, and the first one a letter or digit. */
bool launcher_name_ok(const char *name);

/*
 * The folder: MSB_BIN, else ~/.local/bin. Open it (made first if @make) and
 * give its absolute path. -ENOENT.
 */
int launcher_folder(bool make, char **ret_path, int *ret_fd, struct err *err);

/* Whether @path is one of $PATH's. */
bool launcher_folder_in_path(int folder_fd);

/*
 * Another command of the name @name in $PATH, outside of the folder: its path,
 * to be freed, or NULL.
 */
char *launcher_shadowed(int folder_fd, const char *name);

/*
 * The text: "exec MSB ARGS... "$@"", with @msb the absolute path of msb and
 * @args its arguments. NULL when out of memory.
 */
char *launcher_text(const struct launcher *l, const char *msb, const char *home,
                    char *const *args);

/*
 * Write @name as a whole. Without @force a file that is there stays: -EEXIST.
 */
int launcher_write(int folder_fd, const char *name, const char *text,
                   bool force, struct err *err);

/* What @name is: -ENOENT, -EINVAL when it is there and not a launcher. */
int launcher_read(int folder_fd, const char *name, struct launcher *ret);

/* All launchers, by name: an array to be freed. */
int launcher_list(int folder_fd, struct launcher **ret, size_t *ret_count);

/* Append @text as one word of a shell's. */
struct buf;
int launcher_quote(struct buf *b, const char *text);

#endif
