/*
 * user.h - who a command runs as: "NAME", "UID", each with ":GROUP" or ":GID".
 *
 * Looked up in the image's own files, which may be hostile: they are read with
 * bounds, never waited for, and a line that is no entry is skipped. The rules
 * are docker's: digits are always an id and need no entry; without a group
 * part the entry's own group and all groups that list the name are taken;
 * with one, that group alone. "" is user 0.
 */
#ifndef GUEST_USER_H
#define GUEST_USER_H

#include <sys/types.h>

#include "base/err.h"

#define USER_GROUPS_MAX 1024
#define USER_HOME_MAX   4096
#define USER_FILE_MAX   (4u << 20)

struct user {
	uid_t uid;
	gid_t gid;
	size_t ngroups; /* supplementary */
	gid_t groups[USER_GROUPS_MAX];
	char home[USER_HOME_MAX]; /* "/" without an entry */
};

int user_lookup(const char *spec, const char *passwd_path,
                const char *group_path, struct user *ret, struct err *err);

#endif
