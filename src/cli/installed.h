/*
 * installed.h - what `make install` put in place, by the list that it left
 * (tools/install-list.py): relative paths, each with what the file must be.
 *
 * A file that is not as it was installed is somebody else's by now. It is told
 * and left.
 */
#ifndef CLI_INSTALLED_H
#define CLI_INSTALLED_H

#include <stddef.h>

#include "base/digest.h"
#include "base/err.h"

enum installed_state { INSTALLED_OURS, INSTALLED_CHANGED, INSTALLED_MISSING };

struct installed_file {
	char *path; /* below the prefix */
	char *link; /* what it points to; NULL: a file with `digest` */
	struct digest digest;
	enum installed_state state; /* when the list was read */
};

struct installed {
	char *prefix;
	int prefix_fd;
	struct installed_file *files;
	size_t n;
};

#define INSTALLED_INIT                                                         \
	{                                                                      \
		.prefix_fd = -1                                                \
	}

/*
 * Read the list of the installation that this program is of, and look at each
 * file. -ENOENT when it was not installed; -EACCES when we may not remove it.
 */
int installed_read(struct installed *ret, struct err *err);
void installed_release(struct installed *in); /* NULL is fine */

/*
 * Remove what is still ours, this program and the list last, and our own
 * folder when it is empty. What is gone already is fine.
 */
int installed_remove(const struct installed *in, struct err *err);

#define cleanup_installed cleanup(installed_release)

#endif
