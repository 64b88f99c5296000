/*
 * Theory
 *
 *	parent                      child
 *	machine_run() <--- pipe --- serial port's lines, and the host's
 *	  time limit                kvm engine, devices and their threads
 *	  waitpid()                 script: does what "please ..." asks
 *
 * The child leaves by _exit(): the engine keeps guest memory until then.
 */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "host.h"
#include "vmm/engine.h"
#include "vmm/jail.h"

#define PAUSE_MS 400
#define HANG_MS  200
#define JOLTS    10 /* at least */

/* ---- in the child ---- */

static int out_fd = -1; /* the pipe */

static struct child {
	struct loop *loop;
	struct engine *engine;
	struct host host;
	int serial; /* our end */
	struct loop_fd serial_src;
	struct loop_timer timer;
	char line[512];
	size_t len;
	uint64_t serial_bytes, bytes_when_paused;
	unsigned jolts;
	uint64_t jolts_end;
	bool ended;
} child;

static void vsay(const char *prefix, const char *fmt, va_list ap)
{
	char text[1024];
	int n = snprintf(text, sizeof(text), "%s", prefix);

	n += vsnprintf(text + n, sizeof(text) - (size_t)n - 1, fmt, ap);
	if ((size_t)n > sizeof(text) - 2)
		n = sizeof(text) - 2;
	text[n++] = '\n';
	(void)fd_write_full(out_fd, text, (size_t)n);
}

void host_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay("", fmt, ap);
	va_end(ap);
}

void host_check(bool good, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(good ? "ok host: " : "not ok host: ", fmt, ap);
	va_end(ap);
}

void host_die(const char *what, const char *why)
{
	host_say("not ok host: %s: %s", what, why);
	_exit(2);
}

static void after(uint32_t ms, void (*cb)(void *arg))
{
	loop_timer_set(child.loop, &child.timer,
	               clock_now_ns() + ms * NS_PER_MS, cb, NULL);
}

static void read_serial(void);

static void resume(void *arg)
{
	(void)arg;
	read_serial();
	host_check(child.serial_bytes == child.bytes_when_paused,
	           "silent while paused");
	host_check(engine_kvm.pause(child.engine) == 0, "paused twice");
	host_check(engine_kvm.resume(child.engine) == 0, "resumed");
}

static void pause_it(void)
{
	host_check(engine_kvm.pause(child.engine) == 0, "paused");
	read_serial();
	child.bytes_when_paused = child.serial_bytes;
	after(PAUSE_MS, resume);
}

/*
 * Again and again, whatever the processors and devices are at; but not for
 * ever: on a busy host a processor may get nowhere between two pauses.
 */
static void jolt(void *arg)
{
	(void)arg;
	if (!child.jolts)
		child.jolts_end = clock_now_ns() + 3 * NS_PER_S;
	if (clock_now_ns() > child.jolts_end)
		return;
	if (engine_kvm.pause(child.engine) < 0)
		host_die("jolt", "no pause");
	usleep(2000);
	if (engine_kvm.resume(child.engine) < 0)
		host_die("jolt", "no resume");
	child.jolts++;
	after(4, jolt);
}

static void kill_it(void *arg)
{
	uint64_t start = clock_now_ns();

	(void)arg;
	engine_kvm.kill(child.engine);
	host_check(clock_now_ns() - start < 5 * NS_PER_S, "killed at once");
}

static void heed(const char *words)
{
	if (!strcmp(words, "pause"))
		pause_it();
	else if (!strcmp(words, "jolt"))
		jolt(NULL);
	else if (!strcmp(words, "kill"))
		after(HANG_MS, kill_it);
	else if (!host_please(&child.host, words))
		host_die("the guest asks for", words);
}

/* Lines go on as they are; some are for us. */
static void take_char(char c)
{
	if (c != '\n') {
		if (child.len < sizeof(child.line) - 1)
			child.line[child.len++] = c;
		return;
	}
	child.line[child.len] = 0;
	child.len = 0;
	host_say("%s", child.line);
	if (!strncmp(child.line, "please ", 7))
		heed(child.line + 7);
}

static void read_serial(void)
{
	char data[4096];
	ssize_t n;

	while ((n = recv(child.serial, data, sizeof(data), MSG_DONTWAIT)) > 0) {
		child.serial_bytes += (uint64_t)n;
		for (ssize_t i = 0; i < n; i++)
			take_char(data[i]);
	}
}

static void on_serial(void *arg, uint32_t events)
{
	(void)arg;
	(void)events;
	read_serial();
}

static void on_started(void *arg)
{
	(void)arg;
	host_say("host: started");
}

static void on_ended(void *arg, const struct engine_end *end)
{
	(void)arg;
	host_check(!child.ended, "ended once");
	child.ended = true;
	read_serial();
	if (child.len)
		take_char('\n');
	if (end->clean)
		host_say("host: ended clean");
	else
		host_say("host: ended: %s (%s)", end->text,
		         err_name(end->error));
	loop_stop(child.loop);
}

static int memory_file(const char *text)
{
	int fd = memfd_create("initramfs", MFD_CLOEXEC);

	if (fd < 0 || fd_write_full(fd, text, strlen(text)) < 0)
		host_die("initramfs", strerror(errno));
	return fd;
}

static void configure(const struct machine *m, struct vmm_config *c)
{
	snprintf(c->name, sizeof(c->name), "test");
	if (m->cmdline)
		snprintf(c->cmdline, sizeof(c->cmdline), "%s", m->cmdline);
	c->cpus = m->cpus ? m->cpus : 1;
	c->memory_mib = m->memory_mib ? m->memory_mib : 64;
	c->kernel_fd = open(m->guest, O_RDONLY | O_CLOEXEC);
	if (c->kernel_fd < 0)
		host_die(m->guest, strerror(errno));
	c->initramfs_fd = m->initramfs ? memory_file(m->initramfs) : -1;
	c->console_fd = -1;
}

static void end_early(enum machine_early when)
{
	if (when == MACHINE_KILLED_AT_ONCE) {
		engine_kvm.kill(child.engine);
		return;
	}
	engine_kvm.free(child.engine);
	host_say("host: freed");
	_exit(0);
}

static void start(const struct vmm_config *cfg, int serial,
                  enum machine_early early)
{
	struct engine_host host = {.kvm_fd = -1};
	struct engine_opts o = {
		.loop = child.loop,
		.cfg = cfg,
		.host = &host,
		.slots = child.host.slots,
		.nslots = child.host.n,
		.serial_fd = serial,
		.events = {.started = on_started, .ended = on_ended}
        };
	struct err err = {0};

	if (engine_kvm.probe(cfg, true, &host, &err) < 0 ||
	    engine_kvm.start(&o, &child.engine, &err) < 0)
		host_die("start", err.msg);
	host_attach(&child.host, child.engine, child.loop);
	if (early == MACHINE_FREED_UNRUN)
		end_early(early);
	if (engine_kvm.run(child.engine, &err) < 0)
		host_die("run", err.msg);
	if (early != MACHINE_LIVES)
		end_early(early);
}

static void run_child(const struct machine *m)
{
	static struct vmm_config cfg;
	const char *level = getenv("MSB_LOG");
	struct err err = {0};
	int sp[2];

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	log_setup("test_kvm", 2,
	          level && !strcmp(level, "debug") ? LOG_DEBUG : LOG_ERROR);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		host_die("socketpair", strerror(errno));
	if (jail_early(&err) < 0) /* what a thread's seccomp needs */
		host_die("jail", err.msg);
	child.serial = sp[0];
	child.loop = loop_new();
	configure(m, &cfg);
	child.host.slow_console = m->slow_console;
	host_plan(&child.host, m->devices);
	if (!child.loop || loop_add(child.loop, &child.serial_src, sp[0],
	                            EPOLLIN, on_serial, NULL) < 0)
		host_die("loop", strerror(errno));
	start(&cfg, sp[1], m->early);
	if (loop_run(child.loop) < 0)
		host_die("loop_run", strerror(errno));
	if (child.jolts)
		host_check(child.jolts >= JOLTS, "%u jolts", child.jolts);
	host_report(&child.host);
	engine_kvm.free(child.engine);
	host_say("host: freed");
	_exit(0);
}

/* ---- in the parent ---- */

static void collect(int fd, uint64_t deadline, struct machine_result *ret)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (ret->len < MACHINE_TEXT_MAX) {
		const uint64_t now = clock_now_ns();
		ssize_t n;

		ret->timed_out = now >= deadline;
		if (ret->timed_out)
			return;
		if (poll(&p, 1, (int)((deadline - now) / NS_PER_MS) + 1) <= 0)
			continue;
		n = read(fd, ret->text + ret->len, MACHINE_TEXT_MAX - ret->len);
		if (n <= 0)
			return;
		ret->len += (size_t)n;
	}
}

void machine_run(const struct machine *m, uint32_t limit_ms,
                 struct machine_result *ret)
{
	int fds[2];
	pid_t pid;

	*ret = (struct machine_result){.status = -1};
	if (pipe2(fds, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		out_fd = fds[1];
		run_child(m);
	}
	close(fds[1]);
	if (pid > 0) {
		collect(fds[0], clock_now_ns() + limit_ms * NS_PER_MS, ret);
		if (ret->timed_out)
			(void)kill(pid, SIGKILL);
		(void)waitpid(pid, &ret->status, 0);
	}
	close(fds[0]);
	ret->text[ret->len] = 0;
}

bool machine_fits(const struct machine *m)
{
	uint64_t pages = (uint64_t)sysconf(_SC_PHYS_PAGES);

	return m->memory_mib < pages / 256;
}

const char *machine_missing(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return strerror(errno);
	close(fd);
	return NULL;
}
