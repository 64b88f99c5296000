/*
 * Secrets whose values a program gives itself: at the creation, at a start and
 * in a modification. Nothing of it may be left, no dead child either.
 *
 *	secrets HOME IMAGE
 *
 * Prints "done"; any failure prints where and ends with 1.
 */
#include <microsandbox.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME  "keeper"
#define VALUE "a-value-that-the-program-has"

static struct msb_error error;

static void check(int ok, int line, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "line %d: %s; last error: %s\n", line, what,
	        error.message);
	exit(1);
}
#define CHECK(cond) check(cond, __LINE__, #cond)

static const char *const hosts[] = {"a.example", NULL};

static struct msb_secret secret(const char *env, const char *value)
{
	struct msb_secret s = MSB_SECRET_INIT;

	s.env = env;
	s.value = value;
	s.hosts = hosts;
	return s;
}

/* What the guest has in @name is as long as a placeholder, and no value. */
static void guest_has(struct msb_sandbox *sb, const char *name, int there)
{
	struct msb_exec_opts opts = MSB_EXEC_OPTS_INIT;
	const char *argv[] = {NULL, NULL};
	struct msb_output *out = NULL;
	char script[64];

	snprintf(script, sizeof(script), "printf %%s \"$%s\"", name);
	argv[0] = script;
	opts.flags = MSB_EXEC_SHELL;
	opts.argv = argv;
	CHECK(msb_exec_run(sb, &opts, NULL, 0, 0, -1, &out, &error) == 0);
	CHECK(out->out_len == (there ? 36u : 0u));
	CHECK(!there || memcmp(out->out, "MSB_", 4) == 0);
	msb_output_free(out);
}

/* A child that ended and nobody waited for would be found here. */
static void no_children(void)
{
	CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

static struct msb_sandbox *create(struct msb_home *home, const char *reference)
{
	struct msb_sandbox_opts opts = MSB_SANDBOX_OPTS_INIT;
	const struct msb_secret a = secret("A", VALUE);
	const struct msb_secret *list[] = {&a, NULL};
	struct msb_sandbox *sb = NULL;
	struct msb_image *image;

	CHECK(msb_image_pull(home, reference, NULL, &image, &error) == 0);
	opts.image = image;
	opts.name = NAME;
	opts.flags = MSB_SANDBOX_KEEP;
	opts.secrets = list;
	CHECK(msb_sandbox_create(home, &opts, &sb, &error) == 0);
	msb_image_free(image);
	return sb;
}

static struct msb_sandbox *start(struct msb_home *home)
{
	struct msb_start_opts opts = MSB_START_OPTS_INIT;
	const struct msb_secret a = {
		.size = sizeof(a), .env = "A", .value = VALUE};
	const struct msb_secret *list[] = {&a, NULL};
	struct msb_sandbox *sb = NULL;

	CHECK(msb_sandbox_start(home, NAME, NULL, &sb, &error) ==
	      -MSB_ERR_INVALID);
	CHECK(strstr(error.message, "the variable A") != NULL);
	no_children();
	opts.secrets = list;
	CHECK(msb_sandbox_start(home, NAME, &opts, &sb, &error) == 0);
	return sb;
}

static void rotate(struct msb_home *home)
{
	struct msb_modify_opts opts = MSB_MODIFY_OPTS_INIT;
	const struct msb_secret a = {.size = sizeof(a),
	                             .env = "A",
	                             .value = "another"},
				b = secret("B", "one more");
	const struct msb_secret *list[] = {&a, &b, NULL};
	const char *gone[] = {"B", NULL};
	struct msb_sandbox *sb = NULL;

	opts.secrets = list;
	CHECK(msb_sandbox_modify(home, NAME, &opts, NULL, &error) == 0);
	CHECK(msb_sandbox_open(home, NAME, &sb, &error) == 0);
	guest_has(sb, "A", 1);
	guest_has(sb, "B", 1);
	msb_sandbox_free(sb);
	opts.secrets = NULL;
	opts.secrets_rm = gone;
	CHECK(msb_sandbox_modify(home, NAME, &opts, NULL, &error) == 0);
	CHECK(msb_sandbox_open(home, NAME, &sb, &error) == 0);
	guest_has(sb, "B", 0);
	msb_sandbox_free(sb);
}

static void info_has_no_value(struct msb_home *home)
{
	struct msb_sandbox_info *info;

	CHECK(msb_sandbox_inspect(home, NAME, &info, &error) == 0);
	CHECK(strcmp(info->secrets[0]->env, "A") == 0);
	CHECK(info->secrets[0]->value == NULL && info->secrets[1] == NULL);
	CHECK(strcmp(info->secrets[0]->hosts[0], "a.example") == 0);
	msb_sandbox_info_free(info);
}

int main(int argc, char **argv)
{
	struct msb_home *home;
	struct msb_sandbox *sb;

	if (argc != 3)
		return 2;
	unsetenv("A");
	CHECK(msb_home_open(argv[1], &home, &error) == 0);
	sb = create(home, argv[2]);
	guest_has(sb, "A", 1);
	CHECK(msb_sandbox_stop(sb, 5000, &error) == 0);
	msb_sandbox_free(sb);
	no_children();
	info_has_no_value(home);
	sb = start(home);
	guest_has(sb, "A", 1);
	rotate(home);
	CHECK(msb_sandbox_detach(sb, &error) == 0);
	msb_sandbox_free(sb);
	CHECK(msb_sandbox_remove(home, NAME, MSB_REMOVE_FORCE, &error) == 0);
	sleep(3);
	msb_home_free(home); /* waits for those let go of that have ended */
	no_children();
	puts("done");
	return 0;
}
