/*
 * life.c - a sandbox with a name: made, left running by one handle, found by
 * its name by another, stopped, started with its data still there, removed.
 *
 *	cc life.c -o life $(pkg-config --cflags --libs microsandbox)
 *	./life alpine my-box
 */
#include <microsandbox.h>

#include <stdio.h>

#define GRACE_MS 10000

static int fail(const struct msb_error *error)
{
	fprintf(stderr, "error: %s (%s)\n", error->message,
	        msb_code_name(error->code));
	return -1;
}

/* A script for the sandbox's shell; its output goes to ours. */
static int shell(struct msb_sandbox *sandbox, const char *script)
{
	const char *argv[] = {script, NULL};
	struct msb_exec_opts opts = MSB_EXEC_OPTS_INIT;
	struct msb_output *output = NULL;
	struct msb_error error;
	int r;

	opts.flags = MSB_EXEC_SHELL;
	opts.argv = argv;
	r = msb_exec_run(sandbox, &opts, NULL, 0, 0, -1, &output, &error);
	if (r < 0)
		fail(&error);
	else
		fwrite(output->out, 1, output->out_len, stdout);
	msb_output_free(output);
	return r;
}

static int create(struct msb_home *home, const char *reference,
                  const char *name)
{
	const char *labels[] = {"made-by=example", NULL};
	struct msb_sandbox_opts opts = MSB_SANDBOX_OPTS_INIT;
	struct msb_sandbox *sandbox = NULL;
	struct msb_image *image;
	struct msb_error error;
	int r = msb_image_pull(home, reference, NULL, &image, &error);

	if (r < 0)
		return fail(&error);
	opts.image = image;
	opts.name = name;
	opts.labels = labels;
	opts.flags = MSB_SANDBOX_KEEP; /* until it is removed */
	r = msb_sandbox_create(home, &opts, &sandbox, &error);
	if (r == 0)
		r = msb_sandbox_wait_ready(sandbox, -1, &error);
	if (r == 0)
		r = msb_sandbox_detach(sandbox, &error); /* lives on */
	msb_sandbox_free(sandbox);
	msb_image_free(image);
	return r < 0 ? fail(&error) : 0;
}

/* Any program of this user could do this. */
static int use_and_stop(struct msb_home *home, const char *name)
{
	struct msb_sandbox *sandbox = NULL;
	struct msb_error error;
	int r = msb_sandbox_open(home, name, &sandbox, &error);

	if (r < 0)
		return fail(&error);
	r = shell(sandbox, "echo remember me > /note; echo written");
	if (r == 0 && msb_sandbox_stop(sandbox, GRACE_MS, &error) < 0)
		r = fail(&error);
	msb_sandbox_free(sandbox);
	return r;
}

static int start_again(struct msb_home *home, const char *name)
{
	struct msb_sandbox *sandbox = NULL;
	struct msb_error error;
	int r = msb_sandbox_start(home, name, NULL, &sandbox, &error);

	if (r < 0)
		return fail(&error);
	r = shell(sandbox, "cat /note");
	msb_sandbox_free(sandbox); /* attached to us, so it ends with this */
	return r;
}

int main(int argc, char **argv)
{
	struct msb_home *home;
	struct msb_error error;
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: life IMAGE NAME\n");
		return 2;
	}
	r = msb_home_open(NULL, &home, &error);
	if (r < 0)
		return -fail(&error);
	r = create(home, argv[1], argv[2]);
	if (r == 0)
		r = use_and_stop(home, argv[2]);
	if (r == 0)
		r = start_again(home, argv[2]);
	if (r == 0 && msb_sandbox_remove(home, argv[2], 0, &error) < 0)
		r = fail(&error);
	msb_home_free(home);
	return r < 0;
}
