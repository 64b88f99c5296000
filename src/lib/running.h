/*
 * running.h - which machines run now: one file each, run/NAME.json in the home
 * folder (0600), for msb inspect. The name is taken as long as it is there.
 *
 * The process that a machine is attached to holds a lock on the file (an open
 * file description lock) for as long as the machine lives, and removes it
 * then. A process that was killed leaves a file without a lock: it means
 * nothing, and goes when somebody comes across it. So a name is taken by
 *
 *	open or create it - lock it - see that it is still the named file
 *
 * and what it says is replaced as a whole by renaming a locked file over it:
 * a reader sees all of the old or all of the new.
 */
#ifndef LIB_RUNNING_H
#define LIB_RUNNING_H

#include "base/err.h"
#include "microsandbox.h"
#include "store/store.h"

struct running {
	int dir_fd, fd; /* -1: nothing is taken */
	char file[MSB_NAME_MAX + 8];
};

#define RUNNING_INIT                                                           \
	{                                                                      \
		.dir_fd = -1, .fd = -1                                         \
	}

/* Letters, digits, . _ -, beginning with a letter or a digit, 1 to @max. */
bool running_is_name(const char *s, size_t max);

/* Take @name. -EEXIST with a message when a machine that lives has it. */
int running_claim(const struct store *s, const char *name, struct running *ret,
                  struct err *err);

/* Say this; strings may be anything that is not NULL. */
int running_write(struct running *r, const struct msb_sandbox_info *info);

/* Remove it and give the name back; twice is fine. */
void running_drop(struct running *r);

/*
 * What the machine @name says; -ENOENT when there is none. *ret and all it
 * points to are freed by msb_sandbox_info_free().
 */
int running_read(const struct store *s, const char *name,
                 struct msb_sandbox_info **ret, struct err *err);

#endif
