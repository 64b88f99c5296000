#include "vmm/vm.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/log.h"
#include "base/num.h"
#include "virtio/vsock.h"
#include "vmm/vm_int.h"

#include "base/banned.h"

/* A guest that panicked or lost its agent ends by itself, or is ended. */
#define LAST_WORDS_MS  1000
#define AGENT_GRACE_MS 10000

#define STOP_MAX_MS (24u * 3600 * 1000)

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

	journal_mark(&vm->journal, 0, "ended: %s%s%s", reason,
	             *message ? ": " : "", message);
	if (vm->cfg.end_fd < 0)
		return;
	o = json_pack("{s:s, s:s, s:I, s:i}", "reason", reason, "message",
	              message, "ended_ms",
	              (json_int_t)(clock_unix_ns() / NS_PER_MS), "exit_code",
	              vm->main_code);
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
	devices_settle(&vm->devices);
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
	reason = vm->reason ? vm->reason : reason;
	message = *vm->message ? vm->message : message;
	m.vmm_exited = (struct proto_vmm_exited){.reason = reason,
	                                         .message = message,
	                                         .console = console_tail(vm),
	                                         .exit_code = vm->main_code};
	record_end(vm, reason, message);
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

	journal_mark(&vm->journal, 0, "started engine=%s accel=%s",
	             m.vmm_started.engine, m.vmm_started.accel);
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
	devices_settle(&vm->devices); /* before anybody is told of the end */
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

/* It was ready once. Nobody could run a command there, or stop it. */
static void agent_is_lost(void *arg)
{
	struct vm *vm = arg;

	journal_mark(&vm->journal, 0, "killed: the agent is gone");
	end_engine(vm);
	exited(vm, "agent_lost", "the guest's agent ended before the machine");
}

static void stop_timed_out(void *arg)
{
	struct vm *vm = arg;

	log_info("the guest did not power off in time");
	kill_engine(vm);
}

/* Without panic=-1 a kernel stays; later the text may be any program's. */
void vm_on_panic(void *arg)
{
	struct vm *vm = arg;

	if (vm->state == VM_STARTING)
		set_deadline(vm, LAST_WORDS_MS, panic_lasts);
}

void vm_stop(struct vm *vm, uint32_t timeout_ms)
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

void vm_stop_because(struct vm *vm, const char *reason)
{
	log_info("the machine ends: %s", reason);
	journal_mark(&vm->journal, 0, "stopping: %s", reason);
	vm->reason = reason;
	vm_stop(vm, VM_TERM_TIMEOUT_MS);
}

void vm_end_violated(struct vm *vm, const char *why)
{
	if (vm->state == VM_ENDED)
		return;
	log_info("the machine ends: %s", why);
	(void)snprintf(vm->message, sizeof(vm->message), "%s", why);
	vm->reason = "secret_violation";
	vm_stop(vm, 0);
}

static void main_is_lost(void *arg)
{
	struct vm *vm = arg;

	log_info("the machine ends: its main command is gone");
	journal_mark(&vm->journal, 0, "stopping: the main command is gone");
	vm_stop(vm, VM_TERM_TIMEOUT_MS);
}

/*
 * Often all of the guest is going down: that is the reason to tell then. An
 * agent that is gone as well has its own deadline already.
 */
void vm_lost_main(struct vm *vm)
{
	if (vm->state == VM_READY && !vm->deadline.armed)
		set_deadline(vm, LAST_WORDS_MS, main_is_lost);
}

void vm_abandon(struct vm *vm, const char *why)
{
	if (vm->state == VM_ENDED)
		return;
	if (why)
		log_error("the library: %s", why);
	log_debug("the library is gone, so is the machine");
	end_engine(vm);
	console_drain(&vm->console);
	record_end(vm, "killed", "the process that it was attached to ended");
	finish(vm, why ? 1 : 0);
}

void vm_start_deadline(struct vm *vm)
{
	set_deadline(vm, vm->cfg.boot_timeout_ms, boot_timed_out);
}

/* ---- the agent ---- */

int vm_seal(struct vm *vm, struct err *err)
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
	if (vm_seal(vm, &err) < 0)
		vm_fail(vm, "engine", &err);
}

static unsigned open_sessions(void *arg)
{
	struct vm *vm = arg;

	return vsock_sessions(vm->devices.vsock);
}

static void on_expired(void *arg, const char *why)
{
	vm_stop_because(arg, why);
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
	vm->ready_ns = msg.vmm_ready.ready_ns;
	loop_timer_del(vm->loop, &vm->deadline);
	journal_mark(&vm->journal, 0, "ready");
	say(vm, &msg);
	log_info("ready %llu ms after the engine's start, init after %llu ms",
	         (unsigned long long)((msg.vmm_ready.ready_ns - spawn_ns) /
	                              NS_PER_MS),
	         (unsigned long long)((vm->init_ns - spawn_ns) / NS_PER_MS));
	relay_ready(&vm->relay, vm->devices.vsock);
	vm_ask_pings(vm);
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
	} else if (vm->state == VM_READY) {
		/* An init that powers off may kill it some time before. */
		set_deadline(vm, AGENT_GRACE_MS, agent_is_lost);
	}
}

struct engine_events vm_engine_events(struct vm *vm)
{
	return (struct engine_events){on_started, on_ended, vm};
}

struct boot_events vm_boot_events(struct vm *vm)
{
	return (struct boot_events){.hello = on_hello,
	                            .ready = on_ready,
	                            .failed = on_agent_failed,
	                            .pong = vm_pong,
	                            .closed = on_boot_closed,
	                            .arg = vm};
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
