/*
 * A program that starts more commands at once than a guest can take.
 *
 *	burst HOME IMAGE
 *
 * Prints "done"; any failure prints the error and ends with 1.
 */
#include <microsandbox.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BURST   400 /* more than the agent serves, and its queue once had */
#define SERVED  256
#define WAIT_MS 120000

#define CHECK(what)                                                            \
	do {                                                                   \
		if (!(what)) {                                                 \
			fprintf(stderr, "%d: %s: %s\n", __LINE__, #what,       \
			        error.message);                                \
			exit(1);                                               \
		}                                                              \
	} while (0)

static struct msb_error error;
static struct msb_sandbox *box;

static struct msb_exec *start(const char *command)
{
	const char *argv[] = {command, NULL};
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;
	struct msb_exec *x = NULL;

	o.argv = argv;
	o.flags = MSB_EXEC_STDIN | MSB_EXEC_NO_LOG;
	CHECK(msb_exec_start(box, &o, &x, &error) == 0);
	return x;
}

/* The next event's kind, 0 when there is none in time. */
static int next(struct msb_exec *x, int timeout_ms, struct msb_exec_event *ev)
{
	int r = msb_exec_next(x, timeout_ms, ev, &error);

	CHECK(r >= 0);
	return r ? ev->kind : 0;
}

/* None is lost, however many wait for their turn. */
static void all_run(void)
{
	static struct msb_exec *x[BURST];

	for (int i = 0; i < BURST; i++)
		x[i] = start("true");
	for (int i = 0; i < BURST; i++) {
		int code = -1;

		CHECK(msb_exec_wait(x[i], WAIT_MS, &code, &error) == 0);
		CHECK(code == 0);
		msb_exec_free(x[i]);
	}
}

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void the_bound_is_told(void)
{
	static struct msb_exec *x[SERVED];
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	struct msb_exec *late;
	double begun;

	for (int i = 0; i < SERVED; i++)
		x[i] = start("cat");
	for (int i = 0; i < SERVED; i++)
		CHECK(next(x[i], WAIT_MS, &ev) == MSB_EXEC_STARTED);
	/* One that comes waits for one that ends... */
	late = start("cat");
	CHECK(next(late, 300, &ev) == 0);
	msb_exec_free(x[0]);
	CHECK(next(late, WAIT_MS, &ev) == MSB_EXEC_STARTED);
	x[0] = late;
	/* ... but not for ever. */
	begun = now();
	late = start("cat");
	CHECK(next(late, WAIT_MS, &ev) == MSB_EXEC_FAILED);
	CHECK(now() - begun > 4);
	CHECK(ev.error_no == EAGAIN);
	CHECK(strstr(ev.message, "runs 256 commands"));
	msb_exec_free(late);
	for (int i = 0; i < SERVED; i++)
		msb_exec_free(x[i]);
	/* All of them are gone soon, and it works as before. */
	all_run();
}

int main(int argc, char **argv)
{
	struct msb_sandbox_opts o = MSB_SANDBOX_OPTS_INIT;
	struct msb_home *home = NULL;
	struct msb_image *image = NULL;

	CHECK(argc == 3);
	CHECK(msb_home_open(argv[1], &home, &error) == 0);
	CHECK(msb_image_pull(home, argv[2], NULL, &image, &error) == 0);
	o.image = image;
	o.memory_bytes = 256ull << 20;
	CHECK(msb_sandbox_create(home, &o, &box, &error) == 0);
	CHECK(msb_sandbox_wait_ready(box, WAIT_MS, &error) == 0);
	all_run();
	the_bound_is_told();
	CHECK(msb_sandbox_state(box) == MSB_STATE_READY);
	msb_sandbox_free(box);
	msb_image_free(image);
	msb_home_free(home);
	puts("done");
	return 0;
}
