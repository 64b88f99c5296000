/*
 * shared.c - one handle of one sandbox in the hands of many threads: some run
 * commands, some move files, some ask, some wait for its end, and some are cut
 * off by tokens that others fire. Two threads then stop it at once.
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared.h"

#define ROUNDS 5

static struct msb_home *home;
static struct msb_sandbox *sandbox;
static atomic_int bad;

static void check(int ok, const char *what, const struct msb_error *e)
{
	if (ok)
		return;
	fprintf(stderr, "shared: %s: %s\n", what, e ? e->message : "");
	(void)atomic_fetch_add(&bad, 1);
}

static int run(const char *script, int *ret_code, struct msb_error *e)
{
	const char *argv[] = {script, NULL};
	struct msb_exec_opts opts = MSB_EXEC_OPTS_INIT;
	struct msb_output *output = NULL;
	int r;

	opts.flags = MSB_EXEC_SHELL;
	opts.argv = argv;
	r = msb_exec_run(sandbox, &opts, NULL, 0, 0, 60000, &output, e);
	if (r == 0)
		*ret_code = output->code;
	msb_output_free(output);
	return r;
}

static void *commands(void *arg)
{
	struct msb_error e;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		int code = -1;

		check(run("echo out; echo err >&2; exit 7", &code, &e) == 0,
		      "run", &e);
		check(code == 7, "code", NULL);
	}
	return NULL;
}

static void *files(void *arg)
{
	struct msb_file_info info = MSB_FILE_INFO_INIT;
	struct msb_error e;
	char path[32];

	(void)snprintf(path, sizeof(path), "/tmp/file-%d", *(int *)arg);
	for (int i = 0; i < ROUNDS; i++) {
		void *data = NULL;
		size_t len = 0;

		check(msb_file_write(sandbox, path, path, strlen(path), 0, 0,
		                     &e) == 0,
		      "write", &e);
		check(msb_file_stat(sandbox, path, 0, &info, &e) == 0, "stat",
		      &e);
		/* Whatever other threads asked for meanwhile. */
		check(strcmp(info.path, path) == 0, "another's name", NULL);
		check(msb_file_read(sandbox, path, 0, &data, &len, &e) == 0 &&
		              len == strlen(path),
		      "read", &e);
		msb_free(data);
	}
	return NULL;
}

static void *questions(void *arg)
{
	struct msb_error e;

	(void)arg;
	for (int i = 0; i < 10 * ROUNDS; i++) {
		struct msb_metrics m = MSB_METRICS_INIT;
		struct pollfd pf = {.fd = msb_sandbox_fd(sandbox)};
		uint64_t ns;

		check(msb_sandbox_metrics(sandbox, &m, &e) == 0, "metrics", &e);
		check(msb_sandbox_ping(sandbox, 30000, &ns, &e) == 0, "ping",
		      &e);
		check(msb_sandbox_state(sandbox) == MSB_STATE_READY, "state",
		      NULL);
		check(*msb_sandbox_engine(sandbox) != '\0', "engine", NULL);
		check(poll(&pf, 1, 0) >= 0, "poll", NULL);
	}
	return NULL;
}

static void *ends(void *arg)
{
	struct msb_error e;

	(void)arg;
	check(msb_sandbox_wait(sandbox, -1, &e) == 0, "wait", &e);
	return NULL;
}

static void *stops(void *arg)
{
	struct msb_error e;

	(void)arg;
	check(msb_sandbox_stop(sandbox, 5000, &e) == 0, "stop", &e);
	return NULL;
}

/* ---- cut off ------------------------------------------------------------- */

static int sleeps(struct msb_error *e)
{
	int code;

	return run("sleep 1000", &code, e);
}

static int waits(struct msb_error *e)
{
	return msb_sandbox_wait(sandbox, -1, e);
}

static int follows(struct msb_error *e)
{
	struct msb_log_opts o = MSB_LOG_OPTS_INIT;
	struct msb_log_entry entry = MSB_LOG_ENTRY_INIT;
	struct msb_logs *logs = NULL;
	int r;

	o.follow = 1;
	r = msb_logs_open(home, msb_sandbox_id(sandbox), &o, &logs, e);
	while (r >= 0)
		r = msb_logs_next(logs, -1, &entry, e);
	msb_logs_free(logs);
	return r;
}

/* Into a pipe that nobody reads. */
static int copies(struct msb_error *e)
{
	int ends[2], r = pipe(ends);

	if (r == 0)
		r = msb_copy_out_tar(sandbox, "/bin/busybox", ends[1], NULL, e);
	(void)close(ends[0]);
	(void)close(ends[1]);
	return r;
}

static void *fires(void *token)
{
	(void)poll(NULL, 0, 100);
	msb_cancel_fire(token);
	return NULL;
}

static void *cut_off(void *arg)
{
	static int (*const calls[])(struct msb_error *) = {sleeps, waits,
	                                                   follows, copies};
	int (*call)(struct msb_error *) = calls[*(int *)arg % 4];
	struct msb_cancel *token;
	struct msb_error e;

	check(msb_cancel_new(&token, &e) == 0, "token", &e);
	for (int i = 0; i < ROUNDS; i++) {
		pthread_t other;

		msb_cancel_use(token);
		if (pthread_create(&other, NULL, fires, token) != 0)
			break;
		check(call(&e) == -MSB_ERR_CANCELLED, "not cancelled", &e);
		(void)pthread_join(other, NULL);
		msb_cancel_use(NULL);
		msb_cancel_reset(token);
	}
	msb_cancel_free(token);
	return NULL;
}

/* ---- all at once --------------------------------------------------------- */

static void together(void *(*const *mains)(void *), unsigned n)
{
	pthread_t threads[32];
	int numbers[32];

	for (unsigned i = 0; i < n; i++) {
		numbers[i] = (int)i;
		if (pthread_create(&threads[i], NULL, mains[i], &numbers[i]))
			n = i;
	}
	for (unsigned i = 0; i < n; i++)
		(void)pthread_join(threads[i], NULL);
}

int shared(struct msb_home *in, struct msb_image *image)
{
	static void *(*const work[])(void *) = {
		cut_off,  cut_off, cut_off, cut_off,   commands,
		commands, files,   files,   questions, questions};
	static void *(*const over[])(void *) = {ends, stops, ends, stops};
	struct msb_sandbox_opts opts = MSB_SANDBOX_OPTS_INIT;
	struct msb_error e;

	home = in;
	opts.image = image;
	opts.memory_bytes = 128ull << 20;
	if (msb_sandbox_create(home, &opts, &sandbox, &e) < 0) {
		check(0, "create", &e);
		return 1;
	}
	check(msb_sandbox_wait_ready(sandbox, -1, &e) == 0, "ready", &e);
	together(work, sizeof(work) / sizeof(*work));
	together(over, sizeof(over) / sizeof(*over));
	check(msb_sandbox_state(sandbox) == MSB_STATE_STOPPED, "its end", NULL);
	msb_sandbox_free(sandbox);
	return bad;
}
