#include "vmm/vm.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/log.h"
#include "base/num.h"
#include "virtio/vsock.h"

#include "base/banned.h"

/* A guest that panicked or lost its agent ends by itself, or is ended. */
#define LAST_WORDS_MS 1000

/* How long SIGTERM lets the guest power off. */
#define TERM_TIMEOUT_MS 5000
#define STOP_MAX_MS     (24u * 3600 * 1000)

static const struct engine_ops *const engines[] = {&engine_kvm, &engine_qemu};

/* ---- reports ---- */

/* Before there are clients it goes straight to the library. */
static void say(struct vm *vm, const struct proto_msg *m)
{
	int r;

	if (vm->clients.loop) {
		clients_say(&vm->clients, m);
		return;
	}
	r = control_send(vm->control_fd, m);
	if (r < 0)
		log_warn("cannot tell the library %s: %s",
		         proto_type_name(m->type), strerror(-r));
}

/* For who comes when we are gone. */
static void record_end(struct vm *vm, const char *reason, const char *message)
{
	json_t *cleanup_json o = NULL;
	cleanup_free char *text = NULL;
	int r = -ENOMEM;

	if (vm->cfg.end_fd < 0)
		return;
	o = json_pack("{s:s, s:s, s:I}", "reason", reason, "message", message,
	              "ended_ms", (json_int_t)(clock_unix_ns() / NS_PER_MS));
	text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	if (text)
		r = fd_write_full(vm->cfg.end_fd, text, strlen(text));
	if (r < 0)
		log_warn("cannot write down the end: %s", strerror(-r));
}

static struct proto_bytes console_tail(struct vm *vm)
{
	struct proto_bytes b;
	size_t len;

	console_drain(&vm->console);
	b.p = tail_get(&vm->console.tail, &len);
	b.n = (uint32_t)len;
	return b;
}

static void finish(struct vm *vm, int exit_code)
{
	vm->state = VM_ENDED;
	vm->exit_code = exit_code;
	if (vm->loop)
		loop_stop(vm->loop);
}

static void end_engine(struct vm *vm)
{
	if (vm->engine)
		vm->ops->free(vm->engine);
	vm->engine = NULL;
}

void vm_fail(struct vm *vm, const char *stage, const struct err *err)
{
	struct proto_msg m = {.type = PROTO_VMM_FAILED};

	if (vm->state == VM_ENDED)
		return;
	end_engine(vm);
	log_error("%s: %s", stage, err->msg);
	m.vmm_failed = (struct proto_vmm_failed){.error = -err->code,
	                                         .stage = stage,
	                                         .message = err->msg,
	                                         .hint = err->hint,
	                                         .console = console_tail(vm)};
	record_end(vm, "failed", err->msg);
	say(vm, &m);
	finish(vm, 1);
}

static void exited(struct vm *vm, const char *reason, const char *message)
{
	struct proto_msg m = {.type = PROTO_VMM_EXITED};

	log_info("the machine ended: %s%s%s", reason, *message ? ": " : "",
	         message);
	reason = vm->expired ? vm->expired : reason;
	record_end(vm, reason, message);
	m.vmm_exited = (struct proto_vmm_exited){.reason = reason,
	                                         .message = message,
	                                         .console = console_tail(vm)};
	say(vm, &m);
	finish(vm, 0);
}

/* ---- the engine ---- */

static void on_started(void *arg)
{
	struct vm *vm = arg;
	const struct proto_msg m = {
		.type = PROTO_VMM_STARTED,
		.vmm_started = {.engine = vm->ops->name,
	                        .accel = vm->ops->accel(vm->engine),
	                        .spawn_ns = vm->ops->spawn_ns(vm->engine)}
        };

	say(vm, &m);
}

/* The engine ended and the agent had never been ready. */
static void died_in_boot(struct vm *vm, const struct engine_end *end)
{
	struct err err = {0};

	if (vm->state == VM_CANCELLED) {
		err_set(&err, -ECANCELED, "stopped before it was ready");
	} else if (!end->clean) {
		err_set(&err, end->error, "%s", end->text);
		err_hint(&err, "%s", end->hint);
	} else if (vm->console.panicked) {
		err_set(&err, -EIO, "guest kernel panic: %s",
		        vm->console.panic);
	} else {
		err_set(&err, -EIO,
		        "the guest powered off or reset before its agent was "
		        "ready");
	}
	vm_fail(vm, end->clean || vm->state == VM_CANCELLED ? "boot" : "engine",
	        &err);
}

static void on_ended(void *arg, const struct engine_end *end)
{
	struct vm *vm = arg;

	console_drain(&vm->console);
	if (vm->state == VM_STARTING || vm->state == VM_CANCELLED)
		died_in_boot(vm, end);
	else if (vm->state == VM_ENDED)
		return;
	else if (vm->killed)
		exited(vm, "killed", "");
	else if (!end->clean)
		exited(vm, "crashed", end->text);
	else if (vm->console.panicked && !vm->asked)
		exited(vm, "panic", vm->console.panic);
	else
		exited(vm, "poweroff", "");
}

/* on_ended() follows. */
static void kill_engine(struct vm *vm)
{
	vm->killed = true;
	vm->ops->kill(vm->engine);
}

/* ---- time limits ---- */

static void set_deadline(struct vm *vm, uint32_t ms, void (*cb)(void *arg))
{
	loop_timer_set(vm->loop, &vm->deadline, clock_now_ns() + ms * NS_PER_MS,
	               cb, vm);
}

static void boot_timed_out(void *arg)
{
	struct vm *vm = arg;
	struct err err = {0};

	err_set(&err, -ETIMEDOUT, "the guest was not ready within %u.%u s",
	        vm->cfg.boot_timeout_ms / 1000,
	        vm->cfg.boot_timeout_ms % 1000 / 100);
	err_hint(&err, "its console says how far it came; on a busy host it "
	               "may need more time or fewer CPUs (-c)");
	vm_fail(vm, "boot", &err);
}

static void panic_lasts(void *arg)
{
	struct vm *vm = arg;
	struct err err = {0};

	err_set(&err, -EIO, "guest kernel panic: %s", vm->console.panic);
	vm_fail(vm, "boot", &err);
}

static void agent_is_gone(void *arg)
{
	struct err err = {0};

	err_set(&err, -ECONNRESET,
	        "the guest's agent went away before it was ready");
	vm_fail(arg, "agent", &err);
}

static void stop_timed_out(void *arg)
{
	struct vm *vm = arg;

	log_info("the guest did not power off in time");
	kill_engine(vm);
}

/* Without panic=-1 a kernel stays; later the text may be any program's. */
static void on_panic(void *arg)
{
	struct vm *vm = arg;

	if (vm->state == VM_STARTING)
		set_deadline(vm, LAST_WORDS_MS, panic_lasts);
}

/* ---- the agent ---- */

/* After this no file of this host can be opened, and no process started. */
static int seal(struct vm *vm, struct err *err)
{
	if (vm->sealed)
		return 0;
	vm->sealed = true;
	close_fd(&vm->cfg.kernel_fd);
	close_fd(&vm->cfg.initramfs_fd);
	return jail_seal(vm->ops->child ? vm->ops->child(vm->engine) : -1, err);
}

/* Only our kernel and agent ran so far; BOOT lets the image in. */
static void on_hello(void *arg, const struct proto_hello *m)
{
	struct vm *vm = arg;
	uint64_t now = clock_now_ns();
	uint64_t most = now - vm->ops->spawn_ns(vm->engine);
	struct err err = {0};

	vm->init_ns = now - MIN(m->since_init_ns, most);
	log_debug("the agent is there, version %u", m->version);
	if (seal(vm, &err) < 0)
		vm_fail(vm, "engine", &err);
}

static void stop(struct vm *vm, uint32_t timeout_ms);

static unsigned open_sessions(void *arg)
{
	struct vm *vm = arg;

	return vsock_sessions(vm->devices.vsock);
}

static void on_expired(void *arg, const char *why)
{
	struct vm *vm = arg;

	log_info("the machine ends: %s", why);
	vm->expired = why;
	stop(vm, TERM_TIMEOUT_MS);
}

static void start_lifetime(struct vm *vm)
{
	lifetime_start(&vm->lifetime, vm->loop,
	               &(struct lifetime_opts){.max_s = vm->cfg.max_duration_s,
	                                       .idle_s = vm->cfg.idle_timeout_s,
	                                       .sessions = open_sessions,
	                                       .expired = on_expired,
	                                       .arg = vm});
}

static void on_ready(void *arg, const struct proto_ready *m)
{
	struct vm *vm = arg;
	const uint64_t spawn_ns = vm->ops->spawn_ns(vm->engine);
	char *walls[JAIL_WALLS + 1];
	const struct proto_msg msg = {
		.type = PROTO_VMM_READY,
		.vmm_ready = {.spawn_ns = spawn_ns,
	                      .init_ns = vm->init_ns,
	                      .ready_ns = clock_now_ns(),
	                      .jail = {walls, (uint32_t)jail_names(walls)}}
        };

	(void)m;
	if (vm->state != VM_STARTING)
		return;
	vm->state = VM_READY;
	loop_timer_del(vm->loop, &vm->deadline);
	say(vm, &msg);
	log_info("ready %llu ms after the engine's start, init after %llu ms",
	         (unsigned long long)((msg.vmm_ready.ready_ns - spawn_ns) /
	                              NS_PER_MS),
	         (unsigned long long)((vm->init_ns - spawn_ns) / NS_PER_MS));
	relay_ready(&vm->relay, vm->devices.vsock);
	start_lifetime(vm);
}

/* Words of the guest in an error message. */
static void add_guest_words(struct buf *b, const char *s)
{
	(void)escape_text(b, s, strnlen(s, 300), 0);
}

static void on_agent_failed(void *arg, const struct proto_failed *m)
{
	struct vm *vm = arg;
	struct buf cleanup_buf b = BUF_INIT_MAX(4 * KIB);
	struct err err = {0};
	int code = m->error > 0 && m->error < 4096 ? -m->error : -EIO;

	(void)buf_adds(&b, "the guest could not start (");
	add_guest_words(&b, m->stage);
	(void)buf_adds(&b, "): ");
	add_guest_words(&b, m->message);
	err_set(&err, code, "%s", buf_str(&b));
	if (vm->state == VM_STARTING)
		vm_fail(vm, "boot", &err);
}

static void on_boot_closed(void *arg, const char *why)
{
	struct vm *vm = arg;
	struct err err = {0};

	if (vm->state == VM_STARTING && why) {
		err_set(&err, -EPROTO, "the guest's agent: %s", why);
		vm_fail(vm, "agent", &err);
	} else if (vm->state == VM_STARTING) {
		set_deadline(vm, LAST_WORDS_MS, agent_is_gone);
	} else if (why) {
		log_limited(LOG_WARN, "the guest's agent: %s", why);
	}
}

/* ---- the library ---- */

static void stop(struct vm *vm, uint32_t timeout_ms)
{
	/* The agent kills what is left at three quarters, then syncs. */
	uint32_t guest_ms = timeout_ms - timeout_ms / 4;

	if (vm->state == VM_STARTING)
		vm->state = VM_CANCELLED;
	else if (vm->state == VM_READY)
		vm->state = VM_STOPPING;
	if (vm->state == VM_STOPPING && timeout_ms && !vm->asked &&
	    boot_shutdown(&vm->boot, guest_ms) == 0) {
		vm->asked = true;
		set_deadline(vm, MIN(timeout_ms, STOP_MAX_MS), stop_timed_out);
	} else if (vm->state != VM_ENDED && (!vm->asked || !timeout_ms)) {
		kill_engine(vm);
	}
}

static void on_connect(void *arg, uint32_t port, int fd)
{
	struct vm *vm = arg;

	if (vm->state == VM_STARTING || vm->state == VM_READY) {
		lifetime_touch(&vm->lifetime);
		relay_connect(&vm->relay, port, fd);
	} else {
		close_fd(&fd);
	}
}

static void on_stop(void *arg, uint32_t timeout_ms)
{
	stop(arg, timeout_ms);
}

static void on_touch(void *arg)
{
	struct vm *vm = arg;

	lifetime_touch(&vm->lifetime);
}

static void on_owner_gone(void *arg, const char *why)
{
	struct vm *vm = arg;

	if (why)
		log_error("the library: %s", why);
	if (vm->cfg.detached)
		return;
	log_debug("the library is gone, so is the machine");
	end_engine(vm);
	record_end(vm, "killed", "the process that it was attached to ended");
	finish(vm, why ? 1 : 0);
}

/* SIGTERM, SIGINT, SIGHUP: power off; a second one: at once. */
static void on_signal(void *arg, uint32_t events)
{
	struct vm *vm = arg;
	struct signalfd_siginfo si;

	(void)events;
	if (read(vm->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		stop(vm, vm->asked ? 0 : TERM_TIMEOUT_MS);
}

/* ---- the start ---- */

int vm_open_loop(struct vm *vm, struct err *err)
{
	sigset_t set;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	vm->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	vm->loop = vm->signal_fd < 0 ? NULL : loop_new();
	if (!vm->loop || loop_add(vm->loop, &vm->signals, vm->signal_fd,
	                          EPOLLIN, on_signal, vm) < 0)
		return err_set(err, -errno, "cannot make a loop: %s",
		               strerror(errno));
	return 0;
}

int vm_read_config(struct vm *vm, struct err *err)
{
	int r = config_read(&vm->cfg, VMM_FD_CONFIG, err);

	(void)close(VMM_FD_CONFIG);
	return r;
}

int vm_open_control(struct vm *vm, struct err *err)
{
	const struct clients_events events = {on_connect, on_stop, on_touch,
	                                      on_owner_gone, vm};

	return clients_init(&vm->clients, vm->loop, vm->control_fd,
	                    vm->cfg.listen_fd, &events, err);
}

/* Whether the config leaves @e in the race. */
static bool may_run(const struct vmm_config *c, const struct engine_ops *e)
{
	const char *name = vmm_engine_names[c->engine];

	if (strcmp(name, "auto") != 0)
		return strcmp(name, e->name) == 0;
	/* An accelerator is the qemu engine's: who names one means that. */
	return c->accel == ACCEL_AUTO || strcmp(e->name, "qemu") == 0;
}

/* The newest refusal leads; what kept the others is told behind it. */
static void add_refusal(struct err *err, const char *earlier,
                        const struct err *before)
{
	struct err last = *err;

	err_set(err, last.code, "%s, and the %s engine cannot run: %s",
	        last.msg, earlier, before->msg);
	if (before->hint[0])
		err_hint(err, "%s%s%s", last.hint, last.hint[0] ? "; or: " : "",
		         before->hint);
	else
		err_hint(err, "%s", last.hint);
}

/* The one that is named, or the first that works here. */
int vm_pick_engine(struct vm *vm, struct err *err)
{
	const char *name = vmm_engine_names[vm->cfg.engine], *earlier = NULL;
	bool named = strcmp(name, "auto") != 0;
	int r = err_set(err, -ENOENT, "this msb-vmm has no engine %s", name);

	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		struct err before = *err;

		if (!may_run(&vm->cfg, engines[i]))
			continue;
		*err = (struct err){0};
		r = engines[i]->probe(&vm->cfg, named, &vm->host, err);
		if (r == 0) {
			vm->ops = engines[i];
			return 0;
		}
		if (earlier && r != -ENOMEM) /* that is no engine's fault */
			add_refusal(err, earlier, &before);
		earlier = engines[i]->name;
	}
	return r;
}

/* Beside those of the disks. */
#define CONFIG_FDS 6

/* Every descriptor that the config names; how many. */
static size_t config_fds(const struct vmm_config *c, int *fds)
{
	const int fixed[CONFIG_FDS] = {c->kernel_fd,  c->initramfs_fd,
	                               c->console_fd, c->listen_fd,
	                               c->lock_fd,    c->end_fd};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		if (fixed[i] >= 0)
			fds[n++] = fixed[i];
	for (unsigned i = 0; i < c->ndisks; i++)
		for (uint32_t k = 0; k < c->disks[i].nextents; k++)
			fds[n++] = c->disks[i].extents[k].fd;
	return n;
}

int vm_close_others(struct vm *vm, struct err *err)
{
	size_t n = CONFIG_FDS;
	cleanup_free int *fds = NULL;
	int r = -ENOMEM;

	for (unsigned i = 0; i < vm->cfg.ndisks; i++)
		n += vm->cfg.disks[i].nextents;
	fds = calloc(n, sizeof(*fds));
	if (fds)
		r = jail_close_others(fds, config_fds(&vm->cfg, fds));
	if (r < 0)
		return err_set(err, r, "cannot close what is not ours: %s",
		               strerror(-r));
	return 0;
}

/* Disks have their size; the console has a bound of its own. */
static uint64_t file_max(const struct vmm_config *c)
{
	uint64_t most = 64 * MIB;
	struct stat st;

	if (c->console_fd >= 0 && fstat(c->console_fd, &st) == 0)
		most = MAX(most, (uint64_t)st.st_size + 2 * CONSOLE_FILE_MAX);
	for (unsigned i = 0; i < c->ndisks; i++) {
		const struct vmm_disk *d = &c->disks[i];

		for (uint32_t k = 0; k < d->nextents && !d->read_only; k++)
			most = MAX(most,
			           d->extents[k].offset + d->extents[k].len);
	}
	return most;
}

int vm_enter_jail(struct vm *vm, struct err *err)
{
	bool program = vm->ops->child;

	return jail_enter(
		&(struct jail_needs){.program = program ? vm->cfg.qemu : "",
	                             .kvm = program &&
	                                    vm->host.accel == ACCEL_KVM,
	                             .file_max = file_max(&vm->cfg),
	                             .kernel_fd = vm->cfg.kernel_fd,
	                             .initramfs_fd = vm->cfg.initramfs_fd},
		&vm->paths, err);
}

int vm_start_engine(struct vm *vm, struct err *err)
{
	int r = console_init(&vm->console, vm->loop, vm->cfg.console_fd,
	                     on_panic, vm, &vm->serial_fd, err);

	if (r < 0)
		return r;
	devices_plan(&vm->devices, &vm->cfg, vm->ops, vm->loop, vm->serial_fd);
	return vm->ops->start(
		&(struct engine_opts){
			.loop = vm->loop,
			.cfg = &vm->cfg,
			.host = &vm->host,
			.paths = &vm->paths,
			.slots = vm->devices.slots,
			.nslots = vm->devices.n,
			.serial_fd = vm->serial_fd,
			.events = {on_started, on_ended, vm}
        },
		&vm->engine, err);
}

int vm_start_devices(struct vm *vm, struct err *err)
{
	return devices_start(&vm->devices, vm->ops, vm->engine, err);
}

int vm_run_engine(struct vm *vm, struct err *err)
{
	int r = vm->ops->run ? vm->ops->run(vm->engine, err) : 0;

	/* Without a program of its own an engine needs no file any more. */
	return r == 0 && !vm->ops->child ? seal(vm, err) : r;
}

int vm_await_agent(struct vm *vm, struct err *err)
{
	const struct boot_events events = {on_hello, on_ready, on_agent_failed,
	                                   on_boot_closed, vm};
	int r;

	boot_init(&vm->boot, vm->loop, &vm->cfg, &events);
	r = vsock_listen(vm->devices.vsock, PROTO_PORT_BOOT, boot_accept,
	                 &vm->boot);
	if (r < 0)
		return err_set(err, r, "cannot listen for the agent: %s",
		               strerror(-r));
	set_deadline(vm, vm->cfg.boot_timeout_ms, boot_timed_out);
	return 0;
}

int vm_run(struct vm *vm)
{
	struct err err = {0};
	int r = vm->state == VM_ENDED ? 0 : loop_run(vm->loop);

	if (r < 0) {
		err_set(&err, r, "msb-vmm's loop failed: %s", strerror(-r));
		vm_fail(vm, "engine", &err);
	}
	end_engine(vm);
	return vm->exit_code;
}
