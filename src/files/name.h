/*
 * name.h - names of files in trees, and where a copy goes.
 *
 * A name inside of a tree is relative and clean: parts of 1 to 255 bytes, none
 * of them "." or "..", with one slash between them, 4095 bytes at most. The
 * root's is "". All other bytes may be in it.
 */
#ifndef FILES_NAME_H
#define FILES_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define FILES_PATH_MAX 4096 /* with its NUL */
#define FILES_NAME_MAX 256

bool files_name_is_clean(const char *path);

/* Whether @path is @folder or below it; both are clean, "" has all in it. */
bool files_name_is_below(const char *path, const char *folder);

/*
 * Split @path at its last part, which may be followed by slashes: @dir gets
 * what is before it ("." or "/" when that is nothing), @name the part, "" for
 * "/". Both have FILES_PATH_MAX bytes. -ENAMETOOLONG.
 */
int files_split(const char *path, char *dir, char *name);

/*
 * As files_split(), but of what the links that @path ends with lead to, be it
 * there or not. @dir itself may still have links. -ELOOP.
 */
int files_split_target(const char *path, char *dir, char *name);

/*
 * A path through a descriptor, as /proc/self/fd/5/name: who holds the folder
 * means what is in it, so a link of that name is not followed.
 */
bool files_is_held(const char *path);

/* A source as a person writes it: what is copied, and under which name. */
struct files_source {
	char path[FILES_PATH_MAX]; /* without "/." and slashes at its end */
	char name[FILES_NAME_MAX]; /* "": a root, only the content can go */
	bool content;              /* it ended with "/.": what is in it */
	bool folder;               /* it must be one (and a link is followed) */
};

int files_source_parse(const char *text, struct files_source *ret,
                       struct err *err);

/* Where it goes: below a folder, as @base; "": into the folder itself. */
struct files_place {
	int dir_fd;
	char base[FILES_NAME_MAX];
};

/*
 * The rules of docker cp: what @to is, decides. @name is the source's, @is_dir
 * its type; @content as in struct files_source. Opens the folder.
 */
int files_place(const char *to, const char *name, bool is_dir, bool content,
                struct files_place *ret, struct err *err);

#endif
