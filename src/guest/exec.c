#include "guest/exec.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "base/strv.h"

#include "base/banned.h"

/* @key ends with its string, or with '='. */
static const char *env_get(char *const *env, const char *key)
{
	size_t len = strcspn(key, "=");

	for (; *env; env++)
		if (strncmp(*env, key, len) == 0 && (*env)[len] == '=')
			return *env + len + 1;
	return NULL;
}

/* ENOENT for a file that exists speaks of its interpreter or loader. */
static int explain(const char *path, int code, struct err *err)
{
	if (code == ENOENT && access(path, F_OK) == 0)
		return err_set(err, -code,
		               "cannot run %s: its interpreter or dynamic "
		               "loader is not in the image",
		               path);
	return err_set(err, -code, "cannot run %s: %s", path, strerror(code));
}

/* Errors that let the search go on; EACCES is kept if nothing better comes. */
static bool go_on(int code)
{
	return code == ENOENT || code == ENOTDIR || code == EACCES ||
	       code == ENAMETOOLONG;
}

static int search(char *const *argv, char *const *env, const char *path,
                  struct err *err)
{
	char full[PATH_MAX];
	int denied = 0;

	for (;;) {
		size_t n = strcspn(path, ":");
		int len = snprintf(full, sizeof(full), "%.*s%s%s", (int)n, path,
		                   n ? "/" : "./", argv[0]);

		if (len > 0 && (size_t)len < sizeof(full)) {
			(void)execve(full, argv, env);
			if (!go_on(errno))
				return explain(full, errno, err);
			if (errno == EACCES)
				denied = explain(full, errno, err);
			else if (access(full, F_OK) == 0)
				return explain(full, errno, err);
		}
		if (path[n] == '\0')
			break;
		path += n + 1;
	}
	if (denied)
		return denied;
	return err_set(err, -ENOENT, "'%s': no such command in PATH", argv[0]);
}

int exec_command(char *const *argv, char *const *env, char *const *defaults,
                 const char *home, struct err *err)
{
	struct strv cleanup_strv full = {0};
	const char *path = env_get(env, "PATH");
	int r = strv_add_all(&full, env);

	if (!argv[0] || !*argv[0])
		return err_set(err, -ENOENT, "there is no command to run");
	if (r == 0 && !path) {
		path = EXEC_PATH_DEFAULT;
		r = strv_addf(&full, "PATH=%s", path);
	}
	if (r == 0 && !env_get(env, "HOME"))
		r = strv_addf(&full, "HOME=%s", home);
	for (; r == 0 && defaults && *defaults; defaults++)
		if (!env_get(env, *defaults))
			r = strv_add(&full, *defaults);
	if (r < 0)
		return err_set(err, r, "cannot build the environment: %s",
		               strerror(-r));
	if (!strchr(argv[0], '/'))
		return search(argv, strv_list(&full), path, err);
	(void)execve(argv[0], argv, strv_list(&full));
	return explain(argv[0], errno, err);
}
