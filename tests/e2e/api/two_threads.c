/*
 * A program that uses only the public header: two machines in two threads,
 * two commands at once in the first, handles freed parents first.
 *
 *	two_threads HOME IMAGE
 *
 * Prints one line a thread and "done"; any failure prints the error and ends
 * with 1.
 */
#include <microsandbox.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
	struct msb_home *home;
	struct msb_image *image;
	const char *word;
	char out[256];
	int failed;
};

static int failed(struct job *j, const struct msb_error *e)
{
	fprintf(stderr, "%s: %s: %s (%s)\n", j->word, msb_code_name(e->code),
	        e->message, e->hint);
	j->failed = 1;
	return -1;
}

static int start(struct job *j, struct msb_sandbox *sb, const char *script,
                 struct msb_exec **ret)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct msb_exec_opts opts = MSB_EXEC_OPTS_INIT;
	struct msb_error e;

	opts.argv = argv;
	opts.flags = MSB_EXEC_STDIN;
	if (msb_exec_start(sb, &opts, ret, &e) < 0)
		return failed(j, &e);
	return 0;
}

/* Collect standard output until the end; the exit code, or -1. */
static int collect(struct job *j, struct msb_exec *x)
{
	struct pollfd pf = {.fd = msb_exec_fd(x), .events = POLLIN};
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	struct msb_error e;
	size_t used = strlen(j->out);
	int r;

	for (;;) {
		r = msb_exec_next(x, 0, &ev, &e);
		if (r < 0)
			return failed(j, &e);
		if (r == 0) {
			(void)poll(&pf, 1, -1);
			continue;
		}
		if (ev.kind == MSB_EXEC_STDOUT &&
		    ev.len < sizeof(j->out) - used) {
			memcpy(j->out + used, ev.data, ev.len);
			used += ev.len;
		}
		if (ev.kind == MSB_EXEC_EXITED)
			return ev.signal ? 128 + ev.signal : ev.code;
		if (ev.kind == MSB_EXEC_FAILED)
			return -1;
	}
}

static void *run(void *arg)
{
	struct msb_sandbox_opts opts = MSB_SANDBOX_OPTS_INIT;
	struct msb_sandbox *sb = NULL;
	struct msb_exec *a = NULL, *b = NULL;
	struct job *j = arg;
	struct msb_error e;
	int code = -1;

	opts.image = j->image;
	opts.hostname = j->word;
	opts.memory_bytes = 128ull << 20;
	if (msb_sandbox_create(j->home, &opts, &sb, &e) < 0) {
		failed(j, &e);
		return NULL;
	}
	if (start(j, sb, "read x; echo $x $(hostname); exit 7", &a) == 0 &&
	    start(j, sb, "sleep 1000", &b) == 0) {
		if (msb_exec_write(a, "input\n", 6, &e) != 6)
			failed(j, &e);
		if (msb_sandbox_wait_ready(sb, 60000, &e) < 0)
			failed(j, &e);
		if (collect(j, a) != 7)
			j->failed = 1;
		if (msb_exec_wait(b, 50, &code, &e) != -MSB_ERR_TIMEOUT ||
		    msb_exec_signal(b, 15, &e) < 0 ||
		    msb_exec_wait(b, 10000, &code, &e) < 0 || code != 143)
			j->failed = 1;
	}
	if (msb_sandbox_stop(sb, 5000, &e) < 0 ||
	    msb_sandbox_state(sb) != MSB_STATE_STOPPED)
		j->failed = 1;
	msb_sandbox_free(sb); /* before its commands */
	msb_exec_free(a);
	msb_exec_free(b);
	return NULL;
}

int main(int argc, char **argv)
{
	struct job jobs[2] = {{.word = "one"}, {.word = "two"}};
	struct msb_home *home = NULL;
	struct msb_image *image = NULL;
	struct msb_error e;
	pthread_t threads[2];

	if (argc != 3 || msb_home_open(argv[1], &home, &e) < 0 ||
	    msb_image_pull(home, argv[2], NULL, &image, &e) < 0) {
		fprintf(stderr, "%s\n", argc == 3 ? e.message : "usage");
		return 1;
	}
	for (int i = 0; i < 2; i++) {
		jobs[i].home = home;
		jobs[i].image = image;
		if (pthread_create(&threads[i], NULL, run, &jobs[i]) != 0)
			return 1;
	}
	for (int i = 0; i < 2; i++) {
		(void)pthread_join(threads[i], NULL);
		printf("%s", jobs[i].out);
	}
	msb_home_free(home);
	msb_image_free(image);
	puts("done");
	return jobs[0].failed || jobs[1].failed;
}
