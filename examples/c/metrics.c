/*
 * metrics.c - what a sandbox uses, once a second. Rates are made of two looks
 * at counters that only grow.
 *
 *	cc metrics.c -o metrics $(pkg-config --cflags --libs microsandbox)
 *	./metrics box 10
 */
#include <microsandbox.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int fail(const struct msb_error *error)
{
	fprintf(stderr, "error: %s\n", error->message);
	return 1;
}

static void show(const struct msb_metrics *a, const struct msb_metrics *b)
{
	double s = (double)(b->time_ns - a->time_ns) / 1e9;
	double cpu = (double)(b->cpu_ns - a->cpu_ns) / 1e9;
	double read = (double)(b->disk_read_bytes - a->disk_read_bytes);
	double written = (double)(b->disk_write_bytes - a->disk_write_bytes);

	printf("cpu %5.1f%%  memory %.1f of %.1f MiB  "
	       "disk %.1f + %.1f KiB/s  up %.0f s\n",
	       cpu / s * 100, (double)b->memory_resident_bytes / 1048576,
	       (double)b->memory_bytes / 1048576, read / 1024 / s,
	       written / 1024 / s, (double)b->uptime_ns / 1e9);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct msb_metrics before = MSB_METRICS_INIT, now = MSB_METRICS_INIT;
	struct msb_sandbox *sandbox = NULL;
	struct msb_home *home = NULL;
	struct msb_error error;
	int r, times = argc > 2 ? atoi(argv[2]) : 1;

	if (argc < 2) {
		fprintf(stderr, "usage: metrics NAME [SECONDS]\n");
		return 2;
	}
	r = msb_home_open(NULL, &home, &error);
	if (r == 0)
		r = msb_sandbox_open(home, argv[1], &sandbox, &error);
	if (r == 0)
		r = msb_sandbox_metrics(sandbox, &before, &error);
	while (r == 0 && times-- > 0) {
		sleep(1);
		r = msb_sandbox_metrics(sandbox, &now, &error);
		if (r == 0)
			show(&before, &now);
		before = now;
	}
	if (r < 0)
		r = fail(&error);
	msb_sandbox_free(sandbox); /* it was opened: the machine stays */
	msb_home_free(home);
	return r;
}
