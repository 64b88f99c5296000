/*
 * Theory
 *
 * The qemu engine: one child process that has the guest's processors, memory
 * and virtio registers, and nothing else. It reaches our device models over
 * vhost-user, each through a socketpair made before it starts; it waits in its
 * own start-up until the models answer, so they can be made meanwhile.
 *
 * The child is watched through four descriptors of struct child: execfd says
 * whether exec worked, errfd carries QEMU's own words (their tail is kept for
 * error messages), pidfd says that it ended. The guest's serial port is the
 * caller's. There is no monitor: QEMU cannot be told anything, only killed.
 *
 *	start -> execfd at end -> started() -> pidfd readable -> ended()
 *
 * A model whose peer breaks vhost-user's rules reports from its own thread;
 * that is posted to the main loop and kills the child: only a QEMU that was
 * taken over does this.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/log.h"
#include "base/num.h"
#include "virtio/vhost_user.h"
#include "vmm/child.h"
#include "vmm/engine.h"
#include "vmm/qemu_argv.h"
#include "vmm/qemu_sock.h"
#include "vmm/tail.h"
#include "vmm/tsc.h"

#include "base/banned.h"

#define QEMU_HINT                                                              \
	"install QEMU (on Debian: apt install qemu-system-x86), or name it "   \
	"in MSB_QEMU"

#define KVM_HINT                                                               \
	"use --accel tcg: the KVM of this host may not run a whole kernel"

/* Words of QEMU in an error message: the end of what it said. */
#define WORDS_MAX 400

struct qemu_slot {
	struct engine *e;
	const char *name;
	int ours, theirs; /* ends of its vhost-user socket */
	struct vhost_user *vu;
};

struct engine {
	struct loop *loop;
	struct engine_events events;
	enum accel accel;
	uint64_t spawn_ns;
	struct child child;
	struct loop_fd on_exec, on_exit, on_words;
	bool started, ended;
	int exec_error; /* positive errno */
	bool broke;     /* it broke vhost-user's rules */
	struct tail words;
	struct qemu_sock net; /* how it gets its end of the network's */
	struct qemu_slot slots[ENGINE_DEVICES_MAX];
	size_t nslots;
};

static int qemu_probe(const struct vmm_config *cfg, bool named,
                      struct engine_host *host, struct err *err)
{
	int r;

	(void)named;
	if (cfg->qemu[0] != '/') {
		err_set(err, -ENOENT, "qemu-system-x86_64 was not found");
		err_hint(err, QEMU_HINT);
		return -ENOENT;
	}
	if (access(cfg->qemu, X_OK) < 0) {
		r = err_set(err, -errno, "cannot run QEMU (%s): %s", cfg->qemu,
		            strerror(errno));

		err_hint(err, QEMU_HINT);
		return r;
	}
	r = engine_check_memory(cfg, err);
	if (r < 0)
		return r;
	r = accel_resolve(cfg->accel, &host->accel, err);
	if (r == 0 && host->accel == ACCEL_TCG && tsc_is_clock())
		host->tsc = tsc_now(); /* measured while the jail is built */
	return r;
}

/*
 * Take what QEMU has printed so far. Bounded: a QEMU that prints without end
 * is read again only after the loop served the others.
 */
static void read_words(struct engine *e)
{
	for (int i = 0; i < 16; i++) {
		char chunk[4096];
		ssize_t n = read(e->child.errfd, chunk, sizeof(chunk));

		if (n > 0) {
			tail_add(&e->words, chunk, (size_t)n);
			continue;
		}
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			loop_del(e->loop, &e->on_words);
		return;
	}
}

static void words_ready(void *arg, uint32_t events)
{
	(void)events;
	read_words(arg);
}

/* exec worked (end of file) or did not (its errno); the child then exits. */
static void exec_done(void *arg, uint32_t events)
{
	struct engine *e = arg;
	int code = 0;
	ssize_t n = read(e->child.execfd, &code, sizeof(code));

	(void)events;
	if (n < 0)
		return; /* EAGAIN: not yet */
	loop_del(e->loop, &e->on_exec);
	if (n == (ssize_t)sizeof(code)) {
		e->exec_error = code;
		return;
	}
	e->started = true;
	log_debug("qemu runs as process %d", (int)e->child.pid);
	e->events.started(e->events.arg);
}

/* The end of what QEMU said, on one line, harmless for a terminal. */
static void add_words(const struct engine *e, struct buf *b)
{
	size_t len;
	const uint8_t *p = tail_get(&e->words, &len);

	while (len && (p[len - 1] == '\n' || p[len - 1] == ' '))
		len--;
	if (len > WORDS_MAX) {
		p += len - WORDS_MAX;
		len = WORDS_MAX;
	}
	while (len) {
		const uint8_t *nl = memchr(p, '\n', len);
		size_t line = nl ? (size_t)(nl - p) : len;

		(void)escape_text(b, p, line, 0);
		if (nl)
			(void)buf_adds(b, "; ");
		p += line + (nl ? 1 : 0);
		len -= line + (nl ? 1 : 0);
	}
}

static void say_status(struct buf *b, const siginfo_t *si)
{
	if (si->si_code == CLD_EXITED)
		(void)buf_printf(b, "exit code %d", si->si_status);
	else
		(void)buf_printf(b, "signal %d%s", si->si_status,
		                 si->si_status == SIGKILL
		                         ? ", perhaps the host is out of memory"
		                         : "");
}

/* QEMU's words for too little memory, and the sign of the kernel's. */
static bool is_memory(const struct engine *e, const siginfo_t *si)
{
	size_t len;
	const uint8_t *p = tail_get(&e->words, &len);

	return (si->si_code != CLD_EXITED && si->si_status == SIGKILL) ||
	       memmem(p, len, "guest memory", 12) ||
	       memmem(p, len, "allocate memory", 15);
}

static void describe_end(const struct engine *e, const siginfo_t *si,
                         struct engine_end *end, struct buf *text)
{
	*end = (struct engine_end){.hint = ""};
	if (e->exec_error) {
		end->hint = QEMU_HINT;
		end->error = -e->exec_error;
		(void)buf_printf(text, "cannot run QEMU: %s",
		                 strerror(e->exec_error));
	} else if (e->broke) {
		end->error = -EPROTO;
		(void)buf_adds(text, "QEMU broke the vhost-user protocol");
	} else if (si->si_code == CLD_EXITED && si->si_status == 0) {
		end->clean = true;
	} else {
		end->error = -ECHILD;
		(void)buf_adds(text, "QEMU ended (");
		say_status(text, si);
		(void)buf_adds(text, ")");
		if (e->accel == ACCEL_KVM)
			end->hint = KVM_HINT;
		if (is_memory(e, si))
			end->hint = ENGINE_MEMORY_HINT;
		if (e->words.len)
			(void)buf_adds(text, ": ");
		add_words(e, text);
	}
	end->text = buf_str(text);
}

static void child_ended(void *arg, uint32_t events)
{
	struct engine *e = arg;
	struct buf cleanup_buf text = BUF_INIT_MAX(4 * KIB);
	siginfo_t si = {0};
	struct engine_end end;

	(void)events;
	if (waitid(P_PIDFD, (id_t)e->child.pidfd, &si, WEXITED | WNOHANG) < 0 ||
	    si.si_pid == 0)
		return;
	e->child.pid = -1; /* waited for: the number is no longer ours */
	loop_del(e->loop, &e->on_exit);
	if (e->on_exec.added)
		exec_done(e, 0);
	read_words(e);
	e->ended = true;
	describe_end(e, &si, &end, &text);
	log_debug("qemu ended: %s", end.clean ? "clean" : end.text);
	e->events.ended(e->events.arg, &end);
}

static void close_slots(struct engine *e)
{
	for (size_t i = 0; i < e->nslots; i++) {
		close_fd(&e->slots[i].ours);
		close_fd(&e->slots[i].theirs);
	}
}

static void qemu_free(struct engine *e)
{
	if (!e)
		return;
	loop_del(e->loop, &e->on_exec);
	loop_del(e->loop, &e->on_exit);
	loop_del(e->loop, &e->on_words);
	child_release(&e->child);
	qemu_sock_release(&e->net);
	close_slots(e);
	free(e);
}

static void cleanup_qemu_fn(struct engine **e)
{
	qemu_free(*e);
}

static int open_slots(struct engine *e, const struct engine_opts *o)
{
	if (o->nslots > ENGINE_DEVICES_MAX)
		return -E2BIG;
	for (size_t i = 0; i < o->nslots; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) <
		    0)
			return -errno;
		e->slots[i] = (struct qemu_slot){e, o->slots[i].name, pair[0],
		                                 pair[1], NULL};
		e->nslots = i + 1;
		if (o->slots[i].virtio_id == VIRTIO_ID_NET) {
			int r = qemu_sock_init(&e->net, e->loop,
			                       take_fd(e->slots[i].theirs));

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static void log_command_line(const struct strv *v)
{
	struct buf cleanup_buf b = BUF_INIT;

	if (log_get_level() < LOG_DEBUG)
		return;
	for (size_t i = 0; i < v->n; i++) { /* a log line has its limit */
		if (i && v->v[i][0] == '-' && b.len > 400) {
			log_debug("starting:%s", buf_str(&b));
			buf_reset(&b);
		}
		(void)buf_printf(&b, " %s", v->v[i]);
	}
	log_debug("starting:%s", buf_str(&b));
}

static int spawn(struct engine *e, const struct engine_opts *o, struct err *err)
{
	struct strv cleanup_strv argv = {0};
	int slot_fds[ENGINE_DEVICES_MAX];
	int keep[ENGINE_DEVICES_MAX + 3];
	unsigned namespaces = 0;
	uint32_t tsc_khz = 0;
	size_t n = 0;
	int r;

	if (o->host->tsc.ns)
		tsc_khz = tsc_khz_since(o->host->tsc);
	for (size_t i = 0; i < e->nslots; i++) {
		slot_fds[i] = e->slots[i].theirs;
		if (slot_fds[i] >= 0)
			keep[n++] = slot_fds[i];
	}
	keep[n++] = o->serial_fd;
	if (!(jail_state() & JAIL_ROOT)) { /* in there they have names */
		keep[n++] = o->cfg->kernel_fd;
		keep[n++] = o->cfg->initramfs_fd;
	}
	r = qemu_argv(&(struct qemu_args){.cfg = o->cfg,
	                                  .accel = e->accel,
	                                  .slots = o->slots,
	                                  .slot_fds = slot_fds,
	                                  .nslots = e->nslots,
	                                  .paths = o->paths,
	                                  .serial_fd = o->serial_fd,
	                                  .tsc_khz = tsc_khz,
	                                  .no_balloon = o->no_balloon},
	              &argv);
	if (r < 0)
		return err_set(err, r, "cannot make QEMU's command line: %s",
		               strerror(-r));
	log_command_line(&argv);
	e->spawn_ns = clock_now_ns();
	r = child_spawn(&(struct child_opts){.argv = argv.v,
	                                     .fds = keep,
	                                     .nfds = n,
	                                     .namespaces = jail_child_flags(),
	                                     .enter = jail_child,
	                                     .ask = e->net.ask[1]},
	                &e->child, &namespaces, err);
	jail_child_made(namespaces);
	qemu_sock_started(&e->net);
	for (size_t i = 0; i < e->nslots; i++)
		close_fd(&e->slots[i].theirs);
	return r;
}

static int watch(struct engine *e)
{
	int r = loop_add(e->loop, &e->on_exec, e->child.execfd, EPOLLIN,
	                 exec_done, e);

	if (r == 0)
		r = loop_add(e->loop, &e->on_words, e->child.errfd, EPOLLIN,
		             words_ready, e);
	if (r == 0)
		r = loop_add(e->loop, &e->on_exit, e->child.pidfd, EPOLLIN,
		             child_ended, e);
	return r;
}

static int qemu_start(const struct engine_opts *o, struct engine **ret,
                      struct err *err)
{
	struct engine *cleanup(cleanup_qemu_fn) e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return err_set(err, -ENOMEM, "out of memory");
	e->loop = o->loop;
	e->events = o->events;
	e->child = (struct child)CHILD_INIT;
	e->net = (struct qemu_sock)QEMU_SOCK_INIT;
	e->accel = o->host->accel;
	r = open_slots(e, o);
	if (r < 0)
		return err_set(err, r, "cannot make the devices' sockets: %s",
		               strerror(-r));
	r = spawn(e, o, err);
	if (r < 0)
		return r;
	r = watch(e);
	if (r < 0)
		return err_set(err, r, "cannot watch QEMU: %s", strerror(-r));
	*ret = take_ptr(e);
	return 0;
}

static void qemu_kill(struct engine *e)
{
	(void)child_signal(&e->child, SIGKILL);
}

static void peer_broke(void *arg)
{
	struct engine *e = arg;

	e->broke = true;
	qemu_kill(e);
}

/* In the device's thread. A plain close is how every machine ends. */
static void peer_closed(void *arg, const char *why)
{
	struct qemu_slot *s = arg;

	if (!why)
		return;
	log_limited(LOG_WARN, "device %s: %s", s->name, why);
	if (loop_post(s->e->loop, peer_broke, s->e) < 0)
		log_limited(LOG_ERROR, "out of memory");
}

static int qemu_attach(struct engine *e, size_t i, struct virtio_dev *dev,
                       struct loop *l, struct err *err)
{
	struct qemu_slot *s = &e->slots[i];

	return vhost_user_new(l, take_fd(s->ours), dev, peer_closed, s, &s->vu,
	                      err);
}

/* A stopped process runs no processor; its devices are ours and idle. */
static int qemu_pause(struct engine *e)
{
	return child_signal(&e->child, SIGSTOP);
}

static int qemu_resume(struct engine *e)
{
	return child_signal(&e->child, SIGCONT);
}

static pid_t qemu_child(const struct engine *e)
{
	return e->child.pid;
}

static const char *qemu_accel(const struct engine *e)
{
	return accel_names[e->accel];
}

static uint64_t qemu_spawn_ns(const struct engine *e)
{
	return e->spawn_ns;
}

const struct engine_ops engine_qemu = {
	.name = "qemu",
	.own_console = true,
	.slots_max = 8, /* of the microvm board, see hw/i386/microvm.c */
	.probe = qemu_probe,
	.start = qemu_start,
	.attach = qemu_attach,
	.pause = qemu_pause,
	.resume = qemu_resume,
	.accel = qemu_accel,
	.child = qemu_child,
	.spawn_ns = qemu_spawn_ns,
	.kill = qemu_kill,
	.free = qemu_free,
};
