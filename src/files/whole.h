/*
 * whole.h - a file that appears under its name when it is complete: written
 * under another name beside it, then renamed.
 */
#ifndef FILES_WHOLE_H
#define FILES_WHOLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/err.h"

struct files_whole {
	int dir_fd; /* the caller's */
	int fd;     /* to write to; -1: nothing is under way */
	bool in_place;
	char name[256];
};

#define FILES_WHOLE_INIT                                                       \
	{                                                                      \
		.dir_fd = -1, .fd = -1                                         \
	}

/* Mode 0600, ours. */
int files_whole_begin(struct files_whole *w, int dir_fd);

/*
 * Under @name at once, which nothing may have: -EEXIST. Where nobody looks yet:
 * in a folder that was made just now. It is published as it is.
 */
int files_whole_begin_new(struct files_whole *w, int dir_fd, const char *name);

/*
 * Give it the name @name. With @exclusive -EEXIST when there is one. What is
 * mounted under that name (a single file of a share) cannot be replaced: it is
 * written to instead. Ends it, in every case.
 */
int files_whole_publish(struct files_whole *w, const char *name,
                        bool exclusive);

/* Nothing of it is left. Fine when nothing is under way. */
void files_whole_drop(struct files_whole *w);

/* A name that nothing has, most likely; @out has 32 bytes. */
void files_whole_name(char *out);

#endif
