#include "lib/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

/* Variables that are ours to give a meaning. */
#define RESERVED "MSB_"

static const char *const rlimit_names[] = {
	"as",      "core",     "cpu",        "data",   "fsize", "locks",
	"memlock", "msgqueue", "nice",       "nofile", "nproc", "rss",
	"rtprio",  "rttime",   "sigpending", "stack",
};

static int add_list(struct strv *s, const char *const *list)
{
	return strv_add_all(s, (char *const *)(uintptr_t)list);
}

/* Where there is no sandbox: nothing is set. */
static const struct sandbox_config nothing;

/* SHELL, or SHELL -c SCRIPT SHELL ARGUMENT... */
static int compose_shell(const struct sandbox_config *sb,
                         const struct msb_exec_opts *o, struct strv *argv)
{
	const char *shell = sb->shell && *sb->shell ? sb->shell : COMMAND_SHELL;
	int r = strv_add(argv, shell);

	if (r < 0 || !o->argv || !o->argv[0])
		return r;
	r = strv_add(argv, "-c");
	if (r == 0)
		r = strv_add(argv, o->argv[0]);
	if (r == 0)
		r = strv_add(argv, shell); /* what it calls itself: $0 */
	return r < 0 ? r : add_list(argv, o->argv + 1);
}

/* ENTRYPOINT + (arguments or CMD); an own entrypoint drops the image's CMD. */
static int compose_argv(const struct image_config *image,
                        const struct sandbox_config *sb,
                        const struct msb_exec_opts *o, struct strv *argv)
{
	bool given = o->argv && o->argv[0];
	bool whole = o->flags & MSB_EXEC_IMAGE_COMMAND;
	const char *own = o->entrypoint;
	int r = 0;

	if (o->flags & MSB_EXEC_SHELL)
		return compose_shell(sb, o, argv);
	if (!own && whole)
		own = sb->entrypoint;
	if (own && *own)
		r = strv_add(argv, own);
	else if (!own && whole)
		r = strv_add_all(argv, image->entrypoint.v);
	if (r == 0 && given)
		r = add_list(argv, o->argv);
	else if (r == 0 && !own && whole)
		r = strv_add_all(argv, image->cmd.v);
	return r;
}

/* The value of @key, or NULL. */
static const char *env_get(const struct strv *env, const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], key, len) == 0 && env->v[i][len] == '=')
			return env->v[i] + len + 1;
	return NULL;
}

static int set_default(struct strv *env, const char *key, const char *value)
{
	return env_get(env, key) ? 0 : strv_addf(env, "%s=%s", key, value);
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
		if (strncmp(*list, RESERVED, strlen(RESERVED)) == 0)
			return err_set(err, -EINVAL,
			               "environment: %.*s is reserved, as all "
			               "names that begin with " RESERVED,
			               (int)(eq - *list), *list);
		r = strv_env_set(env, *list);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What stands for a secret in the guest. */
static int set_placeholders(struct strv *env, const struct secret_list *secrets)
{
	int r = 0;

	for (size_t i = 0; i < secrets->n && r == 0; i++) {
		const struct msb_secret *s = secrets->v[i];
		cleanup_free char *text = NULL;

		if (asprintf(&text, "%s=%s", s->env, s->placeholder) < 0) {
			text = NULL;
			return -ENOMEM;
		}
		r = strv_env_set(env, text);
	}
	return r;
}

/* Scripts are found first, whatever PATH the image or the caller wants. */
static int add_scripts(struct strv *env)
{
	const char *path = env_get(env, "PATH");
	cleanup_free char *with = NULL;
	size_t len = strlen(COMMAND_SCRIPTS);

	if (strncmp(path, COMMAND_SCRIPTS, len) == 0 &&
	    (path[len] == ':' || path[len] == '\0'))
		return 0;
	if (asprintf(&with, "PATH=" COMMAND_SCRIPTS "%s%s", *path ? ":" : "",
	             path) < 0) {
		with = NULL;
		return -ENOMEM;
	}
	return strv_env_set(env, with);
}

static int compose_env(const struct image_config *image,
                       const struct sandbox_config *sb,
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
		r = set_all(env, (const char *const *)strv_list(&sb->env), err);
	if (r == 0)
		r = set_placeholders(env, &sb->secrets);
	if (r == 0)
		r = set_all(env, o->env, err);
	if (r == 0)
		r = set_default(env, "PATH", MSB_DEFAULT_PATH);
	if (r == 0 && sb->scripts.n)
		r = add_scripts(env);
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

/* NAME=SOFT[:HARD] as the agent wants it: name=soft:hard. The last one wins. */
static int add_rlimit(struct strv *out, const char *text, struct err *err)
{
	size_t len = strcspn(text, "=");
	uint64_t soft, hard;
	char value[64], whole[128];
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
	(void)snprintf(whole, sizeof(whole), "%.*s=%llu:%llu", (int)len, text,
	               (unsigned long long)soft, (unsigned long long)hard);
	return strv_env_set(out, whole);
bad:
	err_set(err, -EINVAL, "rlimit %s is not RESOURCE=SOFT[:HARD]", text);
	err_hint(err, "for example nofile=1024:4096; a value may be unlimited");
	return -EINVAL;
}

static int add_rlimits(struct strv *out, const char *const *list,
                       struct err *err)
{
	int r = 0;

	for (; list && *list && r == 0; list++)
		r = add_rlimit(out, *list, err);
	return r;
}

/* The first that says something. */
static const char *choose(const char *exec, const char *sandbox,
                          const char *image)
{
	if (exec && *exec)
		return exec;
	if (sandbox && *sandbox)
		return sandbox;
	return image ? image : "";
}

/* An image's relative WORKDIR counts from /, a person's is a mistake. */
static int choose_cwd(const char *exec, const char *sandbox, const char *image,
                      char **ret, struct err *err)
{
	const char *own = choose(exec, sandbox, NULL);
	const char *cwd = *own ? own : choose(NULL, NULL, image);

	if (*own && *own != '/')
		return err_set(err, -EINVAL,
		               "working folder %s is not an absolute path",
		               own);
	if (asprintf(ret, "%s%s", *cwd == '/' ? "" : "/", cwd) < 0)
		*ret = NULL;
	return *ret ? 0 : -ENOMEM;
}

/* All but what is run. */
static int compose_rest(const struct image_config *image,
                        const struct sandbox_config *sb,
                        const struct msb_exec_opts *o, struct command *c,
                        struct err *err)
{
	int r = compose_env(image, sb, o, &c->env, err);

	if (r == 0)
		r = add_rlimits(&c->rlimits,
		                (const char *const *)strv_list(&sb->rlimits),
		                err);
	if (r == 0)
		r = add_rlimits(&c->rlimits, o->rlimits, err);
	if (r == 0)
		r = choose_cwd(o->cwd, sb->workdir, image->workdir, &c->cwd,
		               err);
	if (r < 0)
		return r;
	c->user = strdup(choose(o->user, sb->user, image->user));
	return c->user ? 0 : -ENOMEM;
}

int command_compose(const struct image_config *image,
                    const struct sandbox_config *sb,
                    const struct msb_exec_opts *o, struct command *ret,
                    struct err *err)
{
	struct command cleanup_command c = {0};
	int r;

	if (!sb)
		sb = &nothing;
	r = compose_argv(image, sb, o, &c.argv);
	if (r == 0 && c.argv.n == 0) {
		err_set(err, -EINVAL, "there is no command to run");
		err_hint(err, "the image names none; give one after --");
		return -EINVAL;
	}
	if (r == 0)
		r = compose_rest(image, sb, o, &c, err);
	if (r < 0)
		return r;
	*ret = c;
	c = (struct command){0};
	return 0;
}

int command_check(const struct sandbox_config *sb, struct err *err)
{
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;
	struct command cleanup_command c = {0};
	struct image_config image = {0};

	if (sb->shell && *sb->shell && *sb->shell != '/')
		return err_set(err, -EINVAL, "shell %s is not an absolute path",
		               sb->shell);
	return compose_rest(&image, sb, &o, &c, err);
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
