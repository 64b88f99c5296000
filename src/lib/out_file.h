#ifndef MSB_LIB_OUT_FILE_H
#define MSB_LIB_OUT_FILE_H

/*
 * The file that an archive goes to. It has no name while it grows, so whoever
 * is killed or interrupted leaves nothing, and nobody sees half of it. "-" is
 * standard output; a pipe or a device is written as it is; a link is followed.
 */
#include <stdbool.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"

struct out_file {
	int fd;
	int dir_fd;
	mode_t mode;
	char *path; /* links followed, when it is there already */
	const char *base;
	char temp[32]; /* a name in the folder, where files must have one */
	bool direct;
};

#define OUT_FILE_INIT                                                          \
	{                                                                      \
		.fd = -1, .dir_fd = -1                                         \
	}

/* Write to @f->fd then; release it in any case. @mode is for a new file. */
int out_file_open(struct out_file *f, const char *path, mode_t mode,
                  struct err *err);

/* All was written: it is synced, and appears in place of what was there. */
int out_file_finish(struct out_file *f, const char *path, struct err *err);

void out_file_release(struct out_file *f);
#define cleanup_out_file cleanup(out_file_release)

#endif
