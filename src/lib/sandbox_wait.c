/*
 * sandbox_wait.c - a sandbox's machine, looked at, asked, waited for and
 * ended, by any number of threads at once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/fdio.h"
#include "lib/error.h"
#include "lib/life.h"
#include "lib/sandbox.h"

#include "base/banned.h"

#define HANGUP_WAIT_MS 3000
#define END_WAIT_MS    5000 /* from a machine's last word to its end */

void sandbox_lock(struct msb_sandbox *sb)
{
	(void)pthread_mutex_lock(&sb->lock);
}

/* ---- its state ----------------------------------------------------------- */

/* Once; who comes second waits for the first. */
static void record_ready(struct msb_sandbox *sb)
{
	struct machine *m = &sb->machine;
	struct state *st;
	int r;

	(void)pthread_mutex_lock(&sb->recording);
	if (!atomic_load(&sb->recorded) && sb->home) {
		r = home_lock(sb->home, &st, NULL);
		if (r == 0) {
			/* They do not change any more. */
			r = state_set_ready(st, sb->id, m->engine, m->accel,
			                    NULL);
			home_unlock(sb->home);
		}
		atomic_store(&sb->recorded, r != -ECANCELED);
	}
	(void)pthread_mutex_unlock(&sb->recording);
}

void sandbox_unlock(struct msb_sandbox *sb)
{
	bool ready = sb->machine.state == MSB_STATE_READY;

	(void)pthread_mutex_unlock(&sb->lock);
	if (ready && !atomic_load(&sb->recorded))
		record_ready(sb);
}

void sandbox_look(struct msb_sandbox *sb)
{
	sandbox_lock(sb);
	machine_process(&sb->machine);
	sandbox_unlock(sb);
}

enum msb_state msb_sandbox_state(struct msb_sandbox *sb)
{
	enum msb_state state;
	uint64_t count;
	ssize_t n = 0;

	sandbox_lock(sb);
	machine_process(&sb->machine);
	if (sb->news.fd >= 0) /* no news any more */
		n = read(sb->news.fd, &count, sizeof(count));
	(void)n;
	state = sb->machine.state;
	sandbox_unlock(sb);
	return state;
}

/* What another thread took from the line is told by an eventfd. */
static int open_news(struct msb_sandbox *sb)
{
	struct epoll_event ev = {.events = EPOLLIN};
	cleanup_close int fd = epoll_create1(EPOLL_CLOEXEC);
	cleanup_close int news = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0 || news < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, news, &ev) < 0 ||
	    epoll_ctl(fd, EPOLL_CTL_ADD, sb->machine.control, &ev) < 0)
		return -errno;
	sb->news.fd = take_fd(news);
	sb->news_fd = take_fd(fd);
	machine_waiter_add(&sb->machine, &sb->news);
	return 0;
}

int msb_sandbox_fd(const struct msb_sandbox *sandbox)
{
	struct msb_sandbox *sb = (struct msb_sandbox *)(uintptr_t)sandbox;
	int fd;

	(void)pthread_mutex_lock(&sb->lock);
	if (sb->news_fd < 0)
		(void)open_news(sb);
	/* Without it: good enough for one thread. */
	fd = sb->news_fd >= 0 ? sb->news_fd : sb->machine.control;
	(void)pthread_mutex_unlock(&sb->lock);
	return fd;
}

int sandbox_explain_end(const struct msb_sandbox *sb, struct err *err)
{
	int r = machine_end_error(&sb->machine, err);

	if (sb->emulated && r != -LIB_EGONE)
		err_hint(err,
		         "%s; leave --engine and --accel at auto, or take "
		         "--engine qemu --accel tcg",
		         msb_sandbox_warning(sb));
	return r;
}

static int end_error(struct msb_sandbox *sb, struct msb_error *error)
{
	struct err err = {0};
	int r;

	sandbox_lock(sb);
	r = sandbox_explain_end(sb, &err);
	sandbox_unlock(sb);
	return error_return(error, r, &err);
}

int msb_sandbox_wait_ready(struct msb_sandbox *sb, int timeout_ms,
                           struct msb_error *error)
{
	enum msb_state state;
	int r;

	sandbox_lock(sb);
	r = machine_wait_ready(&sb->machine, timeout_ms);
	state = sb->machine.state;
	sandbox_unlock(sb);
	if (r == -ECANCELED)
		return error_return(error, r, NULL);
	if (r < 0)
		return error_set(error, r, "%s is not ready after %d ms",
		                 sb->name, timeout_ms);
	return state == MSB_STATE_READY ? 0 : end_error(sb, error);
}

/* ---- its end ------------------------------------------------------------- */

/*
 * Who joined cannot wait for the process. That it has ended is its own word
 * until it is gone: a guest may have taken it over. With the lock.
 */
static int stop_joined(struct msb_sandbox *sb)
{
	struct machine *m = &sb->machine;
	bool over = machine_has_ended(m) || m->hung_up;
	int64_t pid = m->pid > 0 ? m->pid : sb->vmm_pid;
	int r;

	(void)pthread_mutex_unlock(&sb->lock);
	r = life_kill(&sb->place, pid, over ? END_WAIT_MS : 0);
	sandbox_lock(sb);
	return r == 0 && !over ? machine_wait_end(m, HANGUP_WAIT_MS) : r;
}

int msb_sandbox_stop(struct msb_sandbox *sb, uint32_t timeout_ms,
                     struct msb_error *error)
{
	int r;

	sandbox_lock(sb);
	r = machine_stop(&sb->machine, timeout_ms);
	machine_process(&sb->machine);
	if (r == 0 && sb->machine.joined)
		r = stop_joined(sb);
	machine_process(&sb->machine); /* its line is closed by now */
	sandbox_unlock(sb);
	if (r == 0)
		r = life_ended(sb);
	if (r == -ECANCELED)
		return error_return(error, r, NULL);
	if (r < 0)
		return error_set(error, r, "%s cannot be killed: process %lld",
		                 sb->name, (long long)sb->vmm_pid);
	return 0;
}

int msb_sandbox_kill(struct msb_sandbox *sb, struct msb_error *error)
{
	return msb_sandbox_stop(sb, 0, error);
}

int msb_sandbox_wait(struct msb_sandbox *sb, int timeout_ms,
                     struct msb_error *error)
{
	int r;

	sandbox_lock(sb);
	r = machine_wait_end(&sb->machine, timeout_ms);
	if (r == 0 && !sb->machine.joined)
		r = machine_kill(&sb->machine); /* it is over: waits for it */
	sandbox_unlock(sb);
	if (r == 0)
		r = life_ended(sb);
	if (r == -ECANCELED)
		return error_return(error, r, NULL);
	return r < 0 ? error_set(error, r, "%s still runs", sb->name) : 0;
}

/* An attached one ends with its handle, whoever else still refers to it. */
void msb_sandbox_free(struct msb_sandbox *sb)
{
	struct cancel *cleanup_cancel held = cancel_hold();
	bool ended;

	if (!sb)
		return;
	sandbox_lock(sb);
	if (!sb->machine.joined) {
		sb->machine.stop_asked = true;
		(void)machine_kill(&sb->machine);
	}
	machine_process(&sb->machine);
	ended = machine_has_ended(&sb->machine);
	sandbox_unlock(sb);
	if (ended)
		(void)life_ended(sb);
	sandbox_unref(sb);
}

/* ---- messages ------------------------------------------------------------ */

static int detach(struct msb_sandbox *sb, struct err *err)
{
	const struct proto_msg msg = {.type = PROTO_VMM_DETACH};
	/* What msb-vmm knows must be on record. */
	struct cancel *cleanup_cancel held = cancel_hold();
	struct state *st;
	int r;

	sandbox_lock(sb);
	machine_process(&sb->machine);
	r = machine_tell(&sb->machine, &msg, -1);
	if (r == 0)
		sb->machine.joined = true;
	sandbox_unlock(sb);
	if (r < 0)
		return r;
	r = home_lock(sb->home, &st, err);
	if (r < 0)
		return r;
	r = state_set_detached(st, sb->id, err);
	home_unlock(sb->home);
	return r;
}

int msb_sandbox_detach(struct msb_sandbox *sb, struct msb_error *error)
{
	struct err err = {0};
	int r = detach(sb, &err);

	if (r == -EPIPE || r == -ECONNRESET || r == -LIB_EGONE)
		r = sandbox_lost(sb, &err);
	return r < 0 ? error_return(error, r, &err) : 0;
}

int msb_sandbox_touch(struct msb_sandbox *sb, struct msb_error *error)
{
	const struct proto_msg msg = {.type = PROTO_VMM_TOUCH};
	int r;

	sandbox_lock(sb);
	machine_process(&sb->machine);
	r = machine_tell(&sb->machine, &msg, -1);
	sandbox_unlock(sb);
	if (r == -ECANCELED)
		return error_return(error, r, NULL);
	return r < 0 ? end_error(sb, error) : 0;
}

int sandbox_connect(struct msb_sandbox *sb, uint32_t port)
{
	cleanup_close int ours = -1, theirs = -1;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	r = fd_set_nonblock(ours);
	if (r < 0)
		return r;
	sandbox_lock(sb);
	machine_process(&sb->machine);
	r = machine_connect(&sb->machine, theirs, port);
	sandbox_unlock(sb);
	return r < 0 ? r : take_fd(ours);
}

/* By which its answer is known, whoever else asks. */
static void give_number(struct msb_sandbox *sb, struct proto_msg *msg)
{
	uint64_t number = ++sb->asked;

	if (msg->type == PROTO_VMM_PING)
		msg->vmm_ping.cookie = number;
	else if (msg->type == PROTO_VMM_STATS)
		msg->vmm_stats.cookie = number;
	else if (msg->type == PROTO_VMM_NET_EXPLAIN)
		msg->vmm_net_explain.cookie = number;
}

int sandbox_ask(struct msb_sandbox *sb, const struct proto_msg *msg, int fd,
                enum proto_type type, int timeout_ms,
                struct machine_answer *ret, struct err *err)
{
	struct proto_msg question = *msg;
	int r;

	sandbox_lock(sb);
	give_number(sb, &question);
	r = machine_ask(&sb->machine, &question, fd, type, timeout_ms, ret);
	machine_process(&sb->machine);
	if (r == -LIB_EGONE)
		r = sandbox_explain_end(sb, err);
	else if (r == -ETIMEDOUT)
		r = err_set(err, r, "%s does not answer", sb->name);
	else if (r == -ECANCELED)
		r = err_set(err, r, "cancelled");
	sandbox_unlock(sb);
	return r;
}
