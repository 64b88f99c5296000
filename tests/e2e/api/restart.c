/*
 * One kept sandbox, ended in every way that there is, and what its handles say
 * of it meanwhile.
 *
 *	restart HOME IMAGE
 *
 * Prints "done"; any failure prints where and ends with 1.
 */
#include <microsandbox.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME "again"

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

static int64_t run(struct msb_sandbox *sb, const char *script)
{
	const char *argv[] = {script, NULL};
	struct msb_exec_opts opts = MSB_EXEC_OPTS_INIT;
	struct msb_output *out = NULL;
	int64_t said;

	opts.flags = MSB_EXEC_SHELL;
	opts.argv = argv;
	CHECK(msb_exec_run(sb, &opts, NULL, 0, 0, -1, &out, &error) == 0);
	CHECK(out->code == 0);
	said = atoll(out->out);
	msb_output_free(out);
	return said;
}

static void state_is(struct msb_home *home, int32_t state, const char *reason)
{
	struct msb_sandbox_info *info;

	CHECK(msb_sandbox_inspect(home, NAME, &info, &error) == 0);
	CHECK(info->state == state);
	CHECK(strcmp(info->end_reason, reason) == 0);
	msb_sandbox_info_free(info);
}

static void make(struct msb_home *home, const char *reference)
{
	struct msb_sandbox_opts opts = MSB_SANDBOX_OPTS_INIT;
	struct msb_sandbox *none = (struct msb_sandbox *)&opts;
	struct msb_image *image;

	CHECK(msb_image_pull(home, reference, NULL, &image, &error) == 0);
	opts.image = image;
	opts.name = NAME;
	opts.flags = MSB_SANDBOX_NO_START;
	CHECK(msb_sandbox_create(home, &opts, &none, &error) ==
	      -MSB_ERR_INVALID); /* what is not started must be kept */
	opts.flags |= MSB_SANDBOX_KEEP;
	CHECK(msb_sandbox_create(home, &opts, &none, &error) == 0);
	CHECK(!none);
	msb_image_free(image);
	state_is(home, MSB_STATE_CREATED, "");
}

int main(int argc, char **argv)
{
	struct msb_sandbox *sb, *other;
	struct msb_home *home;

	CHECK(argc == 3);
	CHECK(msb_home_open(argv[1], &home, &error) == 0);
	make(home, argv[2]);
	CHECK(msb_sandbox_open(home, NAME, &other, &error) == -MSB_ERR_GONE);
	CHECK(msb_sandbox_remove(home, "nobody", 0, &error) ==
	      -MSB_ERR_NOT_FOUND);

	/* One that does not run is just started. */
	CHECK(msb_sandbox_restart(home, NAME, 5000, NULL, &sb, &error) == 0);
	CHECK(run(sb, "echo 42 > /note; cat /note") == 42);
	CHECK(msb_sandbox_start(home, NAME, NULL, &other, &error) ==
	      -MSB_ERR_BUSY);
	CHECK(msb_sandbox_remove(home, NAME, 0, &error) == -MSB_ERR_BUSY);
	CHECK(msb_sandbox_open(home, NAME, &other, &error) == 0);
	CHECK(msb_sandbox_state(other) == MSB_STATE_READY);
	CHECK(*msb_sandbox_engine(other) && *msb_sandbox_walls(other));
	CHECK(msb_sandbox_detach(sb, &error) == 0);
	CHECK(msb_sandbox_detach(sb, &error) == 0);
	msb_sandbox_free(sb);
	CHECK(run(other, "cat /note") == 42);

	/* One that runs is stopped before; its handles learn of it. */
	CHECK(msb_sandbox_restart(home, NAME, 5000, NULL, &sb, &error) == 0);
	CHECK(msb_sandbox_wait(other, 5000, &error) == 0);
	CHECK(msb_sandbox_ping(other, 1000, NULL, &error) == -MSB_ERR_GONE);
	msb_sandbox_free(other);
	CHECK(run(sb, "cat /note") == 42);
	CHECK(msb_sandbox_wait(sb, 50, &error) == -MSB_ERR_TIMEOUT);
	CHECK(msb_sandbox_kill(sb, &error) == 0);
	CHECK(msb_sandbox_kill(sb, &error) == 0);
	state_is(home, MSB_STATE_STOPPED, "killed");
	msb_sandbox_free(sb);

	/* Freed while attached: it ends with its handle, and starts again. */
	CHECK(msb_sandbox_start(home, NAME, NULL, &sb, &error) == 0);
	CHECK(run(sb, "sync; cat /note") == 42);
	msb_sandbox_free(sb);
	state_is(home, MSB_STATE_STOPPED, "killed");
	CHECK(msb_sandbox_remove(home, NAME, 0, &error) == 0);
	CHECK(msb_sandbox_restart(home, NAME, 0, NULL, &sb, &error) ==
	      -MSB_ERR_NOT_FOUND);
	msb_home_free(home);
	puts("done");
	return 0;
}
