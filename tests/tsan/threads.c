/*
 * threads.c - the thread rules of microsandbox.h, kept by a program with many
 * threads and real machines, and watched by ThreadSanitizer.
 *
 *	tsan_threads HOME OCI-LAYOUT
 *	tsan_threads --race
 *
 * One home for all threads. Two sandboxes; of each several commands, each in a
 * thread of its own, while their owner asks for metrics, pings and logs, and
 * other threads list, inspect and open the same sandboxes by name. Then parents
 * are freed before their children, and while these are in use. At last one
 * handle of one sandbox is used by many (shared.c).
 *
 * Exit code 0 and "done" when all went well; TSan makes it 66 after a race, as
 * --race shows with one of its own.
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "microsandbox.h"
#include "shared.h"

#define SANDBOXES 2
#define COMMANDS  4
#define ROUNDS    4
#define IMAGE     "tsan/busybox:1"

static struct msb_home *home;
static struct msb_image *image;
static atomic_int stop, failures;

static int complain(const char *what, const struct msb_error *e)
{
	fprintf(stderr, "%s: %s: %s\n", what, msb_code_name(e->code),
	        e->message);
	return atomic_fetch_add(&failures, 1);
}

static void check(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s\n", what);
	(void)atomic_fetch_add(&failures, 1);
}

/* ---- a command in a thread of its own ------------------------------------ */

struct command {
	pthread_t thread;
	struct msb_exec *exec;
	int until_gone; /* it runs until its machine is ended under it */
	unsigned lines;
};

static void count_lines(struct command *c, const struct msb_exec_event *ev)
{
	const char *p = ev->data;

	for (size_t i = 0; i < ev->len; i++)
		c->lines += p[i] == '\n';
}

static int end_of(struct command *c, const struct msb_exec_event *ev)
{
	if (ev->kind == MSB_EXEC_STDOUT)
		count_lines(c, ev);
	return ev->kind == MSB_EXEC_EXITED || ev->kind == MSB_EXEC_FAILED;
}

/* Feed it line by line and read what comes back: cat. */
static void *talk(void *arg)
{
	struct command *c = arg;
	struct pollfd pf = {.fd = msb_exec_fd(c->exec), .events = POLLIN};
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	unsigned sent = 0;
	struct msb_error e;
	int r = 0, over = 0;

	while (!over && r >= 0) {
		if (sent < 200 && msb_exec_write(c->exec, "line\n", 5, &e) == 5)
			sent++;
		if (sent == 200 && !c->until_gone)
			(void)msb_exec_close_stdin(c->exec, NULL);
		r = msb_exec_next(c->exec, 0, &ev, &e);
		if (r > 0)
			over = end_of(c, &ev);
		else if (r == 0)
			(void)poll(&pf, 1, 20);
	}
	if (c->until_gone)
		check(r == -MSB_ERR_GONE, "a command outlived its machine");
	else if (r < 0)
		complain("next", &e);
	else
		check(c->lines == 200, "not all lines came back");
	msb_exec_free(c->exec);
	return NULL;
}

/* Started by the sandbox's thread, as its handle is that thread's. */
static void start(struct msb_sandbox *sandbox, struct command *c,
                  int until_gone)
{
	const char *argv[] = {"cat", NULL};
	struct msb_exec_opts opts = MSB_EXEC_OPTS_INIT;
	struct msb_error e;

	*c = (struct command){.until_gone = until_gone};
	opts.flags = MSB_EXEC_STDIN;
	opts.argv = argv;
	if (msb_exec_start(sandbox, &opts, &c->exec, &e) < 0) {
		complain("exec", &e);
		abort();
	}
	if (pthread_create(&c->thread, NULL, talk, c) != 0)
		abort();
}

/* ---- a sandbox in a thread of its own ------------------------------------ */

static void ask(struct msb_sandbox *sandbox)
{
	struct msb_sandbox_times times = MSB_SANDBOX_TIMES_INIT;
	struct msb_metrics metrics = MSB_METRICS_INIT;
	struct msb_error e;
	uint64_t ns;

	if (msb_sandbox_metrics(sandbox, &metrics, &e) < 0)
		complain("metrics", &e);
	if (msb_sandbox_ping(sandbox, 10000, &ns, &e) < 0)
		complain("ping", &e);
	if (msb_sandbox_touch(sandbox, &e) < 0)
		complain("touch", &e);
	check(msb_sandbox_state(sandbox) == MSB_STATE_READY, "not ready");
	msb_sandbox_times(sandbox, &times);
	check(times.ready_ns > times.create_ns, "times");
}

static void collect(struct msb_sandbox *sandbox)
{
	const char *argv[] = {"sh", "-c", "echo collected; exit 3", NULL};
	struct msb_exec_opts opts = MSB_EXEC_OPTS_INIT;
	struct msb_output *output = NULL;
	struct msb_error e;

	opts.argv = argv;
	if (msb_exec_run(sandbox, &opts, "", 0, 0, 30000, &output, &e) < 0)
		complain("run", &e);
	else
		check(output->code == 3 && output->out_len == 10, "output");
	msb_output_free(output);
}

/* The names are "a" and "b". */
static void *live(void *arg)
{
	struct msb_sandbox_opts opts = MSB_SANDBOX_OPTS_INIT;
	struct command commands[COMMANDS], last[2];
	struct msb_sandbox *sandbox;
	struct msb_error e;

	opts.image = image;
	opts.name = arg;
	opts.memory_bytes = 128ull << 20;
	if (msb_sandbox_create(home, &opts, &sandbox, &e) < 0) {
		complain("create", &e);
		return NULL;
	}
	if (msb_sandbox_wait_ready(sandbox, -1, &e) < 0)
		complain("ready", &e);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < COMMANDS; i++)
			start(sandbox, &commands[i], 0);
		ask(sandbox);
		collect(sandbox);
		for (int i = 0; i < COMMANDS; i++)
			(void)pthread_join(commands[i].thread, NULL);
	}
	start(sandbox, &last[0], 1);
	start(sandbox, &last[1], 1);
	ask(sandbox);
	msb_sandbox_free(sandbox); /* under commands that are in use */
	(void)pthread_join(last[0].thread, NULL);
	(void)pthread_join(last[1].thread, NULL);
	return NULL;
}

/* ---- others on the same home --------------------------------------------- */

static void *look_on(void *arg)
{
	(void)arg;
	while (!stop) {
		struct msb_sandbox_list *list = NULL;
		struct msb_image **images = NULL;
		struct msb_error e;
		size_t n = 0;

		if (msb_sandbox_list(home, NULL, &list, &e) < 0)
			complain("list", &e);
		check(msb_sandbox_list_count(list) <= SANDBOXES, "too many");
		msb_sandbox_list_free(list);
		if (msb_image_list(home, &images, &n, &e) < 0)
			complain("images", &e);
		check(n == 1, "one image");
		msb_image_list_free(images, n);
		(void)poll(NULL, 0, 5);
	}
	return NULL;
}

/* Not there, starting or ended is fine: only the rules are tested here. */
static void *join_in(void *arg)
{
	while (!stop) {
		struct msb_sandbox_info *info = NULL;
		struct msb_sandbox *second = NULL;
		struct msb_metrics m = MSB_METRICS_INIT;
		struct msb_logs *logs = NULL;
		struct msb_log_entry entry = MSB_LOG_ENTRY_INIT;

		if (msb_sandbox_open(home, arg, &second, NULL) == 0) {
			(void)msb_sandbox_metrics(second, &m, NULL);
			(void)msb_sandbox_ping(second, 1000, NULL, NULL);
		}
		(void)msb_sandbox_inspect(home, arg, &info, NULL);
		if (msb_logs_open(home, arg, NULL, &logs, NULL) == 0)
			while (msb_logs_next(logs, 0, &entry, NULL) == 1)
				;
		msb_logs_free(logs);
		msb_sandbox_info_free(info);
		msb_sandbox_free(second);
		(void)poll(NULL, 0, 20);
	}
	return NULL;
}

static void *follow(void *arg)
{
	struct msb_log_entry entry = MSB_LOG_ENTRY_INIT;
	struct msb_log_opts opts = MSB_LOG_OPTS_INIT;
	struct msb_logs *logs = NULL;

	opts.follow = 1;
	opts.sources = MSB_LOG_ALL;
	while (!stop && msb_logs_open(home, arg, &opts, &logs, NULL) < 0)
		(void)poll(NULL, 0, 5);
	while (!stop && logs && !msb_logs_ended(logs))
		(void)msb_logs_next(logs, 50, &entry, NULL);
	msb_logs_free(logs);
	return NULL;
}

static int prepare(char **argv)
{
	char **references = NULL;
	struct msb_error e;

	if (msb_home_open(argv[1], &home, &e) < 0 ||
	    msb_image_load(home, argv[2], IMAGE, NULL, &references, &e) < 0 ||
	    msb_image_open(home, IMAGE, &image, &e) < 0) {
		complain("prepare", &e);
		return -1;
	}
	msb_strings_free(references);
	return 0;
}

static void *break_the_rules(void *arg)
{
	for (int i = 0; i < 100000; i++)
		++*(volatile int *)arg;
	return NULL;
}

static int race(void)
{
	static int counter;
	pthread_t thread;

	if (pthread_create(&thread, NULL, break_the_rules, &counter) != 0)
		return 1;
	(void)break_the_rules(&counter);
	(void)pthread_join(thread, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	static char names[SANDBOXES][2] = {"a", "b"};
	static void *(*const others[])(void *) = {look_on, look_on, join_in,
	                                          join_in, follow,  follow};
	pthread_t owners[SANDBOXES], rest[6];

	if (argc == 2 && strcmp(argv[1], "--race") == 0)
		return race();
	if (argc != 3 || prepare(argv) < 0)
		return 1;
	for (int i = 0; i < SANDBOXES; i++)
		if (pthread_create(&owners[i], NULL, live, names[i]) != 0)
			return 1;
	for (int i = 0; i < 6; i++)
		if (pthread_create(&rest[i], NULL, others[i],
		                   names[i % SANDBOXES]) != 0)
			return 1;
	for (int i = 0; i < SANDBOXES; i++)
		(void)pthread_join(owners[i], NULL);
	stop = 1;
	for (int i = 0; i < 6; i++)
		(void)pthread_join(rest[i], NULL);
	failures += shared(home, image);
	msb_home_free(home); /* before its image */
	msb_image_free(image);
	if (failures == 0)
		puts("done");
	return failures != 0;
}
