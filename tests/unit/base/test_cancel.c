/* Tokens: each kind of wait ends by one, from a thread and from a signal. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "base/spawn.h"

#define SOON_MS 2000 /* from a token's end to the wait's, on a busy host */

struct later {
	struct cancel *token;
	pthread_t thread;
	uint64_t fired_ns;
};

static void *fire_later(void *arg)
{
	struct later *l = arg;

	(void)usleep(30000);
	l->fired_ns = clock_now_ns();
	cancel_fire(l->token);
	return NULL;
}

/* A token that this thread uses and another one fires soon. */
static void begin(struct later *l, struct cancel *token)
{
	assert_int_equal(cancel_init(token), 0);
	assert_null(cancel_use(token));
	*l = (struct later){.token = token};
	assert_int_equal(pthread_create(&l->thread, NULL, fire_later, l), 0);
}

static void end(struct later *l)
{
	uint64_t now = clock_now_ns();

	assert_int_equal(pthread_join(l->thread, NULL), 0);
	assert_true(now < l->fired_ns + SOON_MS * NS_PER_MS);
	assert_ptr_equal(cancel_use(NULL), l->token);
	cancel_release(l->token);
}

static void a_poll_ends(void **state)
{
	struct cancel token;
	struct pollfd pf = {.events = POLLIN};
	struct later l;
	int pair[2];

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pf.fd = pair[0];
	begin(&l, &token);
	assert_int_equal(cancel_poll(&pf, 1, 10000), -ECANCELED);
	end(&l);
	close(pair[0]);
	close(pair[1]);
}

static void what_need_not_wait_does_not_hear_of_it(void **state)
{
	struct cancel token;
	struct pollfd pf = {.events = POLLIN};
	struct err err = {0};
	int pair[2];

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(write(pair[1], "x", 1), 1);
	pf.fd = pair[0];
	assert_int_equal(cancel_poll(&pf, 1, -1), 1); /* without a token */
	assert_int_equal(cancel_check(&err), 0);
	assert_int_equal(cancel_init(&token), 0);
	(void)cancel_use(&token);
	assert_int_equal(cancel_poll(&pf, 1, -1), 1);
	assert_int_equal(pf.revents, POLLIN);
	cancel_fire(&token);
	assert_int_equal(cancel_poll(&pf, 1, 0), 1);
	assert_int_equal(cancel_poll(&pf, 1, 1), -ECANCELED);
	assert_int_equal(cancel_check(&err), -ECANCELED);
	assert_string_equal(err.msg, "cancelled");
	{
		struct cancel *cleanup_cancel held = cancel_hold();

		assert_false(cancel_fired());
		assert_int_equal(cancel_poll(&pf, 1, 1), 1);
	}
	assert_true(cancel_fired());
	cancel_reset(&token);
	assert_false(cancel_fired());
	assert_int_equal(cancel_poll(&pf, 1, 1), 1);
	assert_int_equal(cancel_poll(NULL, 0, 1), 0);
	(void)cancel_use(NULL);
	cancel_release(&token);
	close(pair[0]);
	close(pair[1]);
}

/* The descriptor alone says nothing: reset and fire may meet. */
static void a_reset_token_that_is_readable_is_not_fired(void **state)
{
	struct cancel token;
	uint64_t one = 1;

	(void)state;
	assert_int_equal(cancel_init(&token), 0);
	(void)cancel_use(&token);
	assert_int_equal(write(token.fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(cancel_poll(NULL, 0, 1000), -EINTR);
	assert_int_equal(cancel_poll(NULL, 0, 1), 0);
	(void)cancel_use(NULL);
	cancel_release(&token);
}

static void sleeps_locks_and_files_end(void **state)
{
	char path[] = "/tmp/msb-test-XXXXXX";
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct cancel token;
	struct later l;
	int held = mkstemp(path), fd = open(path, O_RDONLY | O_CLOEXEC);

	(void)state;
	begin(&l, &token);
	assert_int_equal(cancel_sleep(10000), -ECANCELED);
	end(&l);
	assert_int_equal(flock(held, LOCK_EX), 0);
	begin(&l, &token);
	assert_int_equal(cancel_flock(fd, LOCK_EX | LOCK_NB), -EWOULDBLOCK);
	assert_int_equal(cancel_flock(fd, LOCK_EX), -ECANCELED);
	end(&l);
	assert_int_equal(flock(held, LOCK_UN), 0);
	begin(&l, &token);
	assert_int_equal(cancel_flock(fd, LOCK_EX), 0);
	assert_int_equal(cancel_lock(&lock), 0);
	assert_int_equal(cancel_lock(&lock), -ECANCELED);
	end(&l);
	close(held);
	close(fd);
	unlink(path);
}

static void pipes_end_both_ways(void **state)
{
	static char data[300000];
	struct cancel token;
	struct later l;
	int pair[2];

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	begin(&l, &token);
	assert_int_equal(cancel_write_full(pair[1], data, 5000), 0);
	assert_int_equal(cancel_read(pair[0], data, sizeof(data)), 5000);
	assert_int_equal(cancel_read(pair[0], data, 1), -ECANCELED);
	end(&l);
	begin(&l, &token);
	assert_int_equal(cancel_write_full(pair[1], data, sizeof(data)),
	                 -ECANCELED);
	end(&l);
	close(pair[1]);
	while (cancel_read(pair[0], data, sizeof(data)) > 0)
		;
	assert_int_equal(cancel_read(pair[0], data, 1), 0);
	close(pair[0]);
}

static void a_helper_program_is_killed(void **state)
{
	char *argv[] = {"sh", "-c", "sleep 1000 & wait", NULL};
	const struct spawn_opts o = {.argv = argv, .timeout_ms = 60000};
	struct cancel token;
	struct err err = {0};
	struct later l;

	(void)state;
	begin(&l, &token);
	assert_int_equal(spawn_run(&o, &err), -ECANCELED);
	end(&l);
	assert_string_equal(err.msg, "cancelled");
}

static struct cancel *of_the_signal;

static void on_alarm(int sig)
{
	(void)sig;
	cancel_fire(of_the_signal);
}

static void a_signal_handler_may_fire(void **state)
{
	const struct sigaction act = {.sa_handler = on_alarm};
	const struct itimerval soon = {.it_value = {.tv_usec = 30000}};
	struct sigaction was;
	struct cancel token;
	int r;

	(void)state;
	assert_int_equal(cancel_init(&token), 0);
	of_the_signal = &token;
	(void)cancel_use(&token);
	assert_int_equal(sigaction(SIGALRM, &act, &was), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	do {
		r = cancel_poll(NULL, 0, 10000);
	} while (r == -EINTR);
	assert_int_equal(r, -ECANCELED);
	assert_int_equal(sigaction(SIGALRM, &was, NULL), 0);
	(void)cancel_use(NULL);
	cancel_release(&token);
}

#define CROWD 8

static void *wait_long(void *arg)
{
	(void)cancel_use(arg);
	return (void *)(intptr_t)cancel_sleep(20000);
}

static void all_who_use_it_end(void **state)
{
	struct cancel token;
	pthread_t threads[CROWD];
	void *r;

	(void)state;
	assert_int_equal(cancel_init(&token), 0);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, wait_long, &token),
			0);
	(void)usleep(20000);
	cancel_fire(&token);
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(pthread_join(threads[i], &r), 0);
		assert_int_equal((intptr_t)r, -ECANCELED);
	}
	assert_false(cancel_fired()); /* this thread uses none */
	cancel_release(&token);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_poll_ends),
		cmocka_unit_test(what_need_not_wait_does_not_hear_of_it),
		cmocka_unit_test(a_reset_token_that_is_readable_is_not_fired),
		cmocka_unit_test(sleeps_locks_and_files_end),
		cmocka_unit_test(pipes_end_both_ways),
		cmocka_unit_test(a_helper_program_is_killed),
		cmocka_unit_test(a_signal_handler_may_fire),
		cmocka_unit_test(all_who_use_it_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
