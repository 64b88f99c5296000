/*
 * main.c - PID 1 of the machine: boots it, serves it, ends it.
 *
 * One process, one thread, one event loop. As the first process of its PID
 * namespace it cannot be killed by signals and is exempt from the OOM killer,
 * so there is nothing to protect it by. It must never return: the kernel
 * panics when PID 1 ends. With an init of the image all of this is different:
 * handoff.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "guest/boot.h"
#include "guest/power.h"
#include "guest/system.h"

#include "base/banned.h"

struct machine {
	struct link link;
	struct server server;
	struct power power;
	struct handoff handoff;
};

static void on_shutdown(void *arg, uint32_t timeout_ms)
{
	struct machine *m = arg;

	server_close(&m->server);
	if (m->handoff.active)
		handoff_stop(&m->handoff, m->power.loop, timeout_ms);
	power_begin(&m->power, timeout_ms);
}

static void on_clock(void *arg, uint64_t unix_ns)
{
	struct err err = {0};

	(void)arg;
	if (system_set_clock(unix_ns, &err) < 0)
		log_warn("%s", err.msg);
}

static void on_lost(void *arg)
{
	on_shutdown(arg, 0);
}

static void on_change(void *arg)
{
	struct machine *m = arg;

	power_check(&m->power);
}

/* An init ends its processes, and the machine, itself while it has time. */
static bool init_ends(const struct machine *m)
{
	return m->handoff.active && m->power.state == POWER_TERM;
}

static bool idle(void *arg)
{
	const struct machine *m = arg;

	return !init_ends(m) && server_idle(&m->server);
}

static void kill_all(void *arg, int signo)
{
	const struct machine *m = arg;

	if (!m->handoff.active || signo == SIGKILL)
		power_kill_all(NULL, signo);
}

static const struct link_ops link_ops = {on_shutdown, on_clock, on_lost};
static const struct power_ops power_ops = {kill_all, power_end, idle};

/* Descriptors 0 to 2 must be taken, else a pipe of ours could become one. */
static void fill_standard_fds(void)
{
	int fd;

	do {
		fd = open("/", O_RDONLY | O_CLOEXEC);
	} while (fd >= 0 && fd < 3);
	if (fd >= 0)
		(void)close(fd);
}

static int serve(struct machine *m, struct loop *loop, struct boot *b)
{
	int r;

	b->link = &m->link;
	b->server = &m->server;
	b->handoff = &m->handoff;
	b->loop = loop;
	b->changed = on_change;
	b->arg = m;
	r = boot_run(b);
	proto_release(&b->config);
	m->power = (struct power){.loop = loop,
	                          .ops = &power_ops,
	                          .arg = m,
	                          .upper_fd = b->upper_fd};
	if (r == 0)
		r = link_watch(&m->link, loop, &link_ops, m);
	return r < 0 ? r : loop_run(loop);
}

int main(int argc, char **argv)
{
	static struct machine m = {.link = LINK_INIT, .handoff = HANDOFF_INIT};
	static char nameless[] = "?";
	struct boot b = {.start_ns = clock_now_ns(),
	                 .argv0 = argc > 0 ? argv[0] : nameless,
	                 .upper_fd = -1,
	                 .changes_fd = -1};
	struct loop *loop;
	int r;

	if (getpid() != 1) {
		fprintf(stderr, "agent: this is PID 1 of a microsandbox "
		                "machine, not a command\n");
		return 2;
	}
	fill_standard_fds();
	log_setup("agent", 2, LOG_WARN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)umask(022);
	loop = loop_new();
	r = loop ? serve(&m, loop, &b) : -errno;
	if (r < 0)
		log_error("the machine ends: %s", strerror(-r));
	power_end(-1);
	for (;;)
		(void)pause();
}
