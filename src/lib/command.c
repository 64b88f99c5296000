#include "lib/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

static const char *const rlimit_names[] = {
	"as",      "core",     "cpu",        "data",   "fsize", "locks",
	"memlock", "msgqueue", "nice",       "nofile", "nproc", "rss",
	"rtprio",  "rttime",   "sigpending", "stack",
};

static int add_list(struct strv *s, const char *const *list)
{
	return strv_add_all(s, (char *const *)(uintptr_t)list);
}

/* ENTRYPOINT + (arguments or CMD); an own entrypoint drops the image's CMD. */
static int compose_argv(const struct image_config *image,
                        const struct msb_exec_opts *o, struct strv *argv)
{
	bool given = o->argv && o->argv[0];
	int r = 0;

	if (o->entrypoint && *o->entrypoint)
		r = strv_add(argv, o->entrypoint);
	else if (!o->entrypoint && (o->flags & MSB_EXEC_IMAGE_COMMAND))
		r = strv_add_all(argv, image->entrypoint.v);
	if (r == 0 && given)
		r = add_list(argv, o->argv);
	else if (r == 0 && !o->entrypoint &&
	         (o->flags & MSB_EXEC_IMAGE_COMMAND))
		r = strv_add_all(argv, image->cmd.v);
	return r;
}

static int set_default(struct strv *env, const char *key, const char *value)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], key, len) == 0 && env->v[i][len] == '=')
			return 0;
	return strv_addf(env, "%s=%s", key, value);
}

static int set_all(struct strv *env, const char *const *list, struct err *err)
{
	for (; list && *list; list++) {
		const char *eq = strchr(*list, '=');
		int r;

		if (!eq || eq == *list)
			return err_set(err, -EINVAL,
			               "environment: %s is not KEY=VALUE",
			               *list);
		r = strv_env_set(env, *list);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compose_env(const struct image_config *image,
                       const struct msb_exec_opts *o, struct strv *env,
                       struct err *err)
{
	int r = 0;

	/* An image's malformed entry is dropped, as docker does. */
	for (size_t i = 0; i < image->env.n && r == 0; i++) {
		const char *eq = strchr(image->env.v[i], '=');

		if (eq && eq != image->env.v[i])
			r = strv_env_set(env, image->env.v[i]);
	}
	if (r == 0)
		r = set_all(env, o->env, err);
	if (r == 0)
		r = set_default(env, "PATH", MSB_DEFAULT_PATH);
	if (r == 0 && (o->flags & MSB_EXEC_TTY))
		r = set_default(env, "TERM", "xterm");
	return r;
}

static bool rlimit_value(const char *s, uint64_t *ret)
{
	if (strcmp(s, "unlimited") == 0 || strcmp(s, "-1") == 0) {
		*ret = UINT64_MAX;
		return true;
	}
	return num_parse_u64(s, UINT64_MAX - 1, ret);
}

static bool rlimit_known(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(rlimit_names); i++)
		if (strlen(rlimit_names[i]) == len &&
		    strncmp(rlimit_names[i], name, len) == 0)
			return true;
	return false;
}

/* NAME=SOFT[:HARD] as the agent wants it: name=soft:hard. */
static int add_rlimit(struct strv *out, const char *text, struct err *err)
{
	size_t len = strcspn(text, "=");
	uint64_t soft, hard;
	char value[64];
	char *colon;

	if (text[len] != '=' || !rlimit_known(text, len) ||
	    strlen(text + len + 1) >= sizeof(value))
		goto bad;
	memcpy(value, text + len + 1, strlen(text + len + 1) + 1);
	colon = strchr(value, ':');
	if (colon)
		*colon++ = '\0';
	if (!rlimit_value(value, &soft) ||
	    !rlimit_value(colon ? colon : value, &hard))
		goto bad;
	if (soft > hard)
		return err_set(
			err, -EINVAL,
			"rlimit %s: the soft limit is above the hard one",
			text);
	return strv_addf(out, "%.*s=%llu:%llu", (int)len, text,
	                 (unsigned long long)soft, (unsigned long long)hard);
bad:
	err_set(err, -EINVAL, "rlimit %s is not RESOURCE=SOFT[:HARD]", text);
	err_hint(err, "for example nofile=1024:4096; a value may be unlimited");
	return -EINVAL;
}

static char *choose_user(const char *given, const char *image)
{
	if (given && *given)
		return strdup(given);
	return strdup(image ? image : "");
}

/* An image's relative WORKDIR counts from /, a caller's is a mistake. */
static int choose_cwd(const char *given, const char *image, char **ret,
                      struct err *err)
{
	if (given && *given && *given != '/')
		return err_set(err, -EINVAL,
		               "working folder %s is not an absolute path",
		               given);
	if (given && *given)
		*ret = strdup(given);
	else if (asprintf(ret, "%s%s", image && *image == '/' ? "" : "/",
	                  image ? image : "") < 0)
		*ret = NULL;
	return *ret ? 0 : -ENOMEM;
}

int command_compose(const struct image_config *image,
                    const struct msb_exec_opts *o, struct command *ret,
                    struct err *err)
{
	struct command cleanup_command c = {0};
	int r = compose_argv(image, o, &c.argv);

	if (r == 0 && c.argv.n == 0) {
		err_set(err, -EINVAL, "there is no command to run");
		err_hint(err, "the image names none; give one after --");
		return -EINVAL;
	}
	if (r == 0)
		r = compose_env(image, o, &c.env, err);
	for (const char *const *l = o->rlimits; l && *l && r == 0; l++)
		r = add_rlimit(&c.rlimits, *l, err);
	if (r == 0)
		r = choose_cwd(o->cwd, image->workdir, &c.cwd, err);
	if (r < 0)
		return r;
	c.user = choose_user(o->user, image->user);
	if (!c.user)
		return -ENOMEM;
	*ret = c;
	c = (struct command){0};
	return 0;
}

void command_release(struct command *c)
{
	if (!c)
		return;
	strv_release(&c->argv);
	strv_release(&c->env);
	strv_release(&c->rlimits);
	free(c->cwd);
	free(c->user);
	*c = (struct command){0};
}
