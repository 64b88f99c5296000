/*
 * sdkexec.c - what SDKs are compared with: `true` in a sandbox that runs, by
 * the C call, N times. Prints {"exec_us": [...]}.
 */
#include <microsandbox.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 200

static double now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int one(struct msb_sandbox *sandbox, double *ret_us,
               struct msb_error *error)
{
	static const char *const argv[] = {"true", NULL};
	struct msb_exec_opts opts = MSB_EXEC_OPTS_INIT;
	struct msb_output *out;
	double start = now_us();
	int r;

	opts.argv = argv;
	r = msb_exec_run(sandbox, &opts, NULL, 0, 0, -1, &out, error);
	if (r < 0)
		return r;
	*ret_us = now_us() - start;
	msb_output_free(out);
	return 0;
}

int main(void)
{
	const char *name = getenv("MSB_BENCH_SANDBOX");
	struct msb_sandbox *sandbox = NULL;
	struct msb_home *home = NULL;
	struct msb_error error;
	double us;
	int r = msb_home_open(NULL, &home, &error);

	if (r == 0)
		r = msb_sandbox_open(home, name ? name : "", &sandbox, &error);
	for (int i = 0; i < ROUNDS && r == 0; i++) {
		r = one(sandbox, &us, &error);
		if (r == 0)
			(void)printf("%s%.1f", i ? ", " : "{\"exec_us\": [",
			             us);
	}
	if (r < 0)
		(void)fprintf(stderr, "sdkexec: %s\n", error.message);
	else
		(void)printf("]}\n");
	msb_sandbox_free(sandbox);
	msb_home_free(home);
	return r < 0;
}
