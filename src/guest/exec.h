/* exec.h - the last step of a command's start: find the program, become it. */
#ifndef GUEST_EXEC_H
#define GUEST_EXEC_H

#include "base/err.h"

#define EXEC_PATH_DEFAULT                                                      \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/*
 * Replace this process by argv[0], looked up in the PATH of @env. HOME (@home),
 * PATH and what is in @defaults (KEY=VALUE, ended by NULL; may be NULL) are
 * added to the environment when it lacks them. Returns only on
 * failure: -ENOENT not found, -EACCES, -ENOEXEC and so on.
 */
int exec_command(char *const *argv, char *const *env, char *const *defaults,
                 const char *home, struct err *err);

#endif
