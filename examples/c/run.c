/*
 * run.c - fetch an image, run a command in a machine of its own, and print
 * what it wrote. The machine is gone when the program ends.
 *
 *	cc run.c -o run $(pkg-config --cflags --libs microsandbox)
 *	./run alpine echo hello
 */
#include <microsandbox.h>

#include <stdio.h>

#define TIMEOUT_MS 60000

static int fail(const struct msb_error *error)
{
	fprintf(stderr, "error: %s\n", error->message);
	if (*error->hint)
		fprintf(stderr, "  %s\n", error->hint);
	return 1;
}

/* The command's exit code, 128+n when signal n ended it. */
static int show(const struct msb_output *output)
{
	fwrite(output->out, 1, output->out_len, stdout);
	fwrite(output->err, 1, output->err_len, stderr);
	if (output->truncated)
		fprintf(stderr, "(it wrote more than was kept)\n");
	return output->signal ? 128 + output->signal : output->code;
}

static int run(struct msb_sandbox *sandbox, char **argv)
{
	struct msb_exec_opts opts = MSB_EXEC_OPTS_INIT;
	struct msb_output *output = NULL;
	struct msb_error error;
	int code, r;

	opts.argv = (const char *const *)argv;
	r = msb_exec_run(sandbox, &opts, NULL, 0, 0, TIMEOUT_MS, &output,
	                 &error);
	code = r < 0 ? fail(&error) : show(output);
	msb_output_free(output); /* after a time-out there is one, too */
	return code;
}

static int run_image(struct msb_home *home, const char *reference, char **argv)
{
	struct msb_sandbox_opts opts = MSB_SANDBOX_OPTS_INIT;
	struct msb_sandbox *sandbox;
	struct msb_image *image;
	struct msb_error error;
	int code;

	if (msb_image_pull(home, reference, NULL, &image, &error) < 0)
		return fail(&error);
	opts.image = image;
	opts.memory_bytes = 256ull << 20;
	if (msb_sandbox_create(home, &opts, &sandbox, &error) < 0) {
		msb_image_free(image);
		return fail(&error);
	}
	code = run(sandbox, argv);
	msb_sandbox_free(sandbox); /* ends the machine */
	msb_image_free(image);
	return code;
}

int main(int argc, char **argv)
{
	struct msb_home *home;
	struct msb_error error;
	int code;

	if (argc < 3) {
		fprintf(stderr, "usage: run IMAGE COMMAND...\n");
		return 2;
	}
	if (msb_home_open(NULL, &home, &error) < 0)
		return fail(&error);
	code = run_image(home, argv[1], argv + 2);
	msb_home_free(home);
	return code;
}
