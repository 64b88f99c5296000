/*
 * secret.c - a machine whose requests to HOST carry a key that it never has:
 * a command sees a placeholder, and what happened is counted. Then the key is
 * rotated while the machine runs.
 *
 *	cc secret.c -o secret $(pkg-config --cflags --libs microsandbox)
 *	./secret alpine api.example.com wget -O - https://api.example.com/
 */
#include <microsandbox.h>

#include <inttypes.h>
#include <stdio.h>

#define TIMEOUT_MS 60000

static int fail(const struct msb_error *error)
{
	fprintf(stderr, "error: %s\n", error->message);
	if (*error->hint)
		fprintf(stderr, "  %s\n", error->hint);
	return 1;
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
	code = r < 0 ? fail(&error) : output->code;
	if (output)
		fwrite(output->out, 1, output->out_len, stdout);
	msb_output_free(output);
	return code;
}

/* The next request has the new value; hosts and placeholder stay. */
static int rotate(struct msb_home *home, const char *name, const char *value)
{
	struct msb_secret secret = MSB_SECRET_INIT;
	const struct msb_secret *const secrets[] = {&secret, NULL};
	struct msb_modify_opts opts = MSB_MODIFY_OPTS_INIT;
	struct msb_error error;
	int r;

	secret.env = "API_KEY";
	secret.value = value;
	opts.secrets = secrets;
	r = msb_sandbox_modify(home, name, &opts, NULL, &error);
	return r < 0 ? fail(&error) : 0;
}

static int count(struct msb_sandbox *sandbox)
{
	struct msb_metrics m = MSB_METRICS_INIT;
	struct msb_error error;

	if (msb_sandbox_metrics(sandbox, &m, &error) < 0)
		return fail(&error);
	printf("%" PRIu64 " values put in, %" PRIu64 " violations\n",
	       m.secrets_used, m.secret_violations);
	return 0;
}

static int with_secret(struct msb_home *home, const struct msb_image *image,
                       const char *host, char **argv)
{
	const char *const hosts[] = {host, NULL};
	struct msb_secret secret = MSB_SECRET_INIT;
	const struct msb_secret *const secrets[] = {&secret, NULL};
	struct msb_sandbox_opts opts = MSB_SANDBOX_OPTS_INIT;
	struct msb_sandbox *sandbox;
	struct msb_error error;
	int code;

	secret.env = "API_KEY";
	secret.value = "from wherever this program keeps its keys";
	secret.hosts = hosts;
	opts.image = image;
	opts.secrets = secrets;
	if (msb_sandbox_create(home, &opts, &sandbox, &error) < 0)
		return fail(&error);
	code = run(sandbox, argv);
	if (code == 0)
		code = rotate(home, msb_sandbox_name(sandbox), "a new key");
	if (code == 0)
		code = run(sandbox, argv);
	if (code == 0)
		code = count(sandbox);
	msb_sandbox_free(sandbox); /* ends the machine */
	return code;
}

int main(int argc, char **argv)
{
	struct msb_home *home;
	struct msb_image *image;
	struct msb_error error;
	int code = 1;

	if (argc < 4) {
		fprintf(stderr, "usage: secret IMAGE HOST COMMAND...\n");
		return 2;
	}
	if (msb_home_open(NULL, &home, &error) < 0)
		return fail(&error);
	if (msb_image_pull(home, argv[1], NULL, &image, &error) < 0) {
		fail(&error);
	} else {
		code = with_secret(home, image, argv[2], argv + 3);
		msb_image_free(image);
	}
	msb_home_free(home);
	return code;
}
