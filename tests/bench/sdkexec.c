/*
 * sdkexec.c - what SDKs are compared with: for each line of standard input,
 * which is a count, `true` that often by the C call in a sandbox that runs;
 * answered by a line {"exec_us": [...]}.
 */
#include <microsandbox.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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

static int answer(struct msb_sandbox *sandbox, int n, struct msb_error *error)
{
	double us;
	int r;

	(void)printf("{\"exec_us\": [");
	for (int i = 0; i < n; i++) {
		r = one(sandbox, &us, error);
		if (r < 0)
			return r;
		(void)printf("%s%.1f", i ? ", " : "", us);
	}
	(void)printf("]}\n");
	(void)fflush(stdout);
	return 0;
}

int main(void)
{
	const char *name = getenv("MSB_BENCH_SANDBOX");
	struct msb_sandbox *sandbox = NULL;
	struct msb_home *home = NULL;
	struct msb_error error;
	char line[16];
	int r = msb_home_open(NULL, &home, &error);

	if (r == 0)
		r = msb_sandbox_open(home, name ? name : "", &sandbox, &error);
	while (r == 0 && fgets(line, sizeof(line), stdin))
		r = answer(sandbox, atoi(line), &error);
	if (r < 0)
		(void)fprintf(stderr, "sdkexec: %s\n", error.message);
	msb_sandbox_free(sandbox);
	msb_home_free(home);
	return r < 0;
}
