#include "lib/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"
#include "base/virt.h"
#include "lib/command.h"
#include "lib/defaults.h"
#include "lib/error.h"
#include "lib/image.h"
#include "lib/life.h"
#include "lib/net.h"
#include "lib/options.h"
#include "lib/patch.h"
#include "lib/root.h"
#include "lib/snapshot.h"

#include "base/banned.h"

#define UPPER_MIN    (16 * MIB)
#define UPPER_MAX    (8ULL << 40)
#define HOSTNAME_LEN 63
#define BOOT_MIN_MS  100
#define BOOT_MAX_MS  3600000
#define LOST_WAIT_MS 3000
#define END_WAIT_MS  5000 /* from a machine's last word to its end */

bool sandbox_is_name(const char *s, size_t max)
{
	static const char inside[] = "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789._-";
	size_t len = strspn(s, inside);

	return s[len] == '\0' && len >= 1 && len <= max && !strchr("._-", *s);
}

static int check_sizes(const struct msb_sandbox_opts *o, struct err *err)
{
	if (o->cpus > MSB_CPUS_MAX)
		return err_set(err, -EINVAL, "%u cpus: at most %d",
		               (unsigned)o->cpus, MSB_CPUS_MAX);
	if (o->memory_bytes && o->memory_bytes < MSB_MEMORY_MIN)
		return err_set(err, -EINVAL, "memory: at least %llu MiB",
		               MSB_MEMORY_MIN / MIB);
	if (o->memory_bytes > MSB_MEMORY_MAX)
		return err_set(err, -EINVAL, "memory: at most %llu GiB",
		               MSB_MEMORY_MAX / GIB);
	if (o->upper_bytes &&
	    (o->upper_bytes < UPPER_MIN || o->upper_bytes > UPPER_MAX ||
	     o->upper_bytes % (4 * KIB)))
		return err_set(err, -EINVAL,
		               "root disk: between 16 MiB and 8 TiB, in "
		               "steps of 4 KiB");
	if (o->boot_timeout_ms && (o->boot_timeout_ms < BOOT_MIN_MS ||
	                           o->boot_timeout_ms > BOOT_MAX_MS))
		return err_set(err, -EINVAL,
		               "boot time limit: between 100 ms and 1 h");
	return 0;
}

static int check_labels(const char *const *list, struct err *err)
{
	for (; list && *list; list++)
		if (**list == '=' || !strchr(*list, '='))
			return err_set(err, -EINVAL,
			               "label %s is not KEY=VALUE", *list);
	return 0;
}

static bool is_utf8(const char *s)
{
	json_t *j = json_string(s);

	json_decref(j);
	return j;
}

/* A file's name that no shell and no folder takes for something else. */
static int check_script(const char *script, struct err *err)
{
	size_t len = strcspn(script, "=");
	char name[MSB_NAME_MAX + 1];

	(void)snprintf(name, sizeof(name), "%.*s",
	               (int)MIN(len, sizeof(name) - 1), script);
	if (script[len] != '=' || len >= sizeof(name) ||
	    !sandbox_is_name(name, MSB_NAME_MAX))
		return err_set(err, -EINVAL,
		               "script %s: NAME=BODY, and NAME 1 to %d "
		               "letters, digits, . _ -",
		               name, MSB_NAME_MAX);
	return is_utf8(script) ? 0
	                       : err_set(err, -EINVAL,
	                                 "script %s is not UTF-8 text", name);
}

static int check_scripts(const char *const *list, struct err *err)
{
	size_t sum = 0;
	int r = 0;

	for (; list && *list && r == 0; list++) {
		sum += strlen(*list) + 1;
		r = check_script(*list, err);
	}
	if (r == 0 && sum > MSB_SCRIPTS_MAX)
		return err_set(err, -E2BIG,
		               "the scripts are too long: at most %u KiB",
		               MSB_SCRIPTS_MAX >> 10);
	return r;
}

static int check_init(const struct msb_sandbox_opts *o, struct err *err)
{
	bool more = (o->init_args && *o->init_args) ||
	            (o->init_env && *o->init_env);

	if (!o->init && more)
		return err_set(err, -EINVAL,
		               "arguments or variables for an init, but no "
		               "init");
	if (o->init && strcmp(o->init, "auto") != 0 && *o->init != '/')
		return err_set(err, -EINVAL,
		               "init %s is neither an absolute path nor auto",
		               o->init);
	for (const char *const *l = o->init_env; l && *l; l++)
		if (**l == '=' || !strchr(*l, '='))
			return err_set(err, -EINVAL,
			               "init environment: %s is not KEY=VALUE",
			               *l);
	return 0;
}

static int check_upper(const struct msb_sandbox_opts *o, struct err *err)
{
	if (o->upper != MSB_UPPER_DISK && o->upper != MSB_UPPER_TMPFS)
		return err_set(err, -EINVAL, "no such upper: %d",
		               (int)o->upper);
	if (o->upper == MSB_UPPER_TMPFS && o->snapshot)
		return err_set(err, -EINVAL,
		               "what begins as a snapshot has a disk, no "
		               "tmpfs");
	return 0;
}

static int check_flags(const struct msb_sandbox_opts *o, struct err *err)
{
	const uint32_t known =
		MSB_SANDBOX_KEEP | MSB_SANDBOX_REPLACE | MSB_SANDBOX_NO_START;

	if (o->flags & ~known)
		return err_set(err, -EINVAL, "unknown flags 0x%x",
		               (unsigned)(o->flags & ~known));
	if ((o->flags & MSB_SANDBOX_NO_START) && !(o->flags & MSB_SANDBOX_KEEP))
		return err_set(err, -EINVAL,
		               "what is not started must be kept");
	return 0;
}

static int bad_name(const char *name, const char *what, int max,
                    struct err *err)
{
	err_set(err, -EINVAL, "'%.150s' cannot be a %s", name, what);
	err_hint(err,
	         "1 to %d letters, digits, . _ -, beginning with a letter or "
	         "digit",
	         max);
	return -EINVAL;
}

int sandbox_check_values(const struct msb_sandbox_opts *o, struct err *err)
{
	int r;

	if (o->hostname && !sandbox_is_name(o->hostname, HOSTNAME_LEN))
		return bad_name(o->hostname, "host name", HOSTNAME_LEN, err);
	r = check_sizes(o, err);
	return r < 0 ? r : check_labels(o->labels, err);
}

static int check_opts(const struct msb_sandbox_opts *o, struct err *err)
{
	int r;

	if (!o->image && !o->snapshot)
		return err_set(err, -EINVAL, "a sandbox needs an image");
	if (o->image && o->snapshot)
		return err_set(err, -EINVAL,
		               "a snapshot knows its image: there cannot be "
		               "another");
	if (o->snapshot && o->upper == MSB_UPPER_TMPFS)
		return err_set(err, -EINVAL,
		               "what a snapshot holds is on a disk: a tmpfs "
		               "cannot begin with it");
	if (o->name && !sandbox_is_name(o->name, MSB_NAME_MAX))
		return bad_name(o->name, "sandbox name", MSB_NAME_MAX, err);
	r = sandbox_check_values(o, err);
	if (r == 0)
		r = check_flags(o, err);
	if (r == 0)
		r = check_upper(o, err);
	if (r == 0)
		r = check_scripts(o->scripts, err);
	if (r == 0)
		r = mounts_check(o->mounts, err);
	if (r == 0)
		r = network_check(o->network, err);
	return r < 0 ? r : check_init(o, err);
}

/* Whether the user wants KVM where it is only emulated. */
static bool wants_emulated_kvm(uint32_t engine, uint32_t accel)
{
	struct virt v;

	if (engine != MSB_ENGINE_KVM && accel != MSB_ACCEL_KVM)
		return false;
	virt_probe(VIRT_CPUINFO, VIRT_KVM, &v);
	return virt_is_emulated(&v);
}

/* Take what msb-vmm said. That it is ready or ended goes on record. */
static void process(struct msb_sandbox *sb)
{
	struct machine *m = &sb->machine;
	struct state *st;

	machine_process(m);
	if (sb->recorded == (int32_t)m->state)
		return;
	sb->recorded = (int32_t)m->state;
	if (m->state != MSB_STATE_READY || !sb->home ||
	    home_lock(sb->home, &st, NULL) < 0)
		return;
	(void)state_set_ready(st, sb->id, m->engine, m->accel, NULL);
	home_unlock(sb->home);
}

static struct msb_sandbox *new_sandbox(void)
{
	struct msb_sandbox *sb = calloc(1, sizeof(*sb));

	if (!sb)
		return NULL;
	sb->create_ns = clock_now_ns();
	sb->refs = 1;
	sb->machine = (struct machine)MACHINE_INIT;
	sb->place = (struct place)PLACE_INIT;
	sb->recorded = -1;
	(void)pthread_mutex_init(&sb->lock, NULL);
	return sb;
}

/* Hand it out, or take it back with the error. */
static int give(struct msb_sandbox *sb, int r, const struct err *err,
                struct msb_sandbox **ret, struct msb_error *error)
{
	if (r < 0) {
		sandbox_unref(sb);
		return error_return(error, r, err);
	}
	sb->emulated = wants_emulated_kvm(sb->config.engine, sb->config.accel);
	*ret = sb;
	return 0;
}

/* What a sandbox that begins as a snapshot is made of: @o points into it. */
struct fork {
	struct snapshot snapshot;
	struct msb_image *image;
};

static void fork_release(struct fork *f)
{
	snapshot_release(&f->snapshot);
	msb_image_free(f->image);
}

static int take_snapshot(struct msb_home *home, struct msb_sandbox_opts *o,
                         struct fork *f, struct err *err)
{
	struct image image = {0};
	int r;

	if (!o->snapshot)
		return 0;
	r = snapshot_for_fork(home->store, o->snapshot, &f->snapshot, &image,
	                      &o->upper_bytes, err);
	if (r < 0)
		return r;
	f->image = lib_image_new(&image);
	o->image = f->image;
	/* Whatever the name means by the time it is forked. */
	o->snapshot = f->snapshot.digest;
	return f->image ? 0 : -ENOMEM;
}

int msb_sandbox_create(struct msb_home *home,
                       const struct msb_sandbox_opts *opts,
                       struct msb_sandbox **ret_sandbox,
                       struct msb_error *error)
{
	struct msb_sandbox_opts o = MSB_SANDBOX_OPTS_INIT;
	struct msb_sandbox *sb;
	struct defaults cleanup_defaults defaults = {0}; /* o is of it */
	struct fork cleanup(fork_release) fork = {0};    /* and of this */
	struct lib_patch cleanup_lib_patch patch =
		LIB_PATCH_INIT; /* this, too */
	struct err err = {0};
	int r;

	if (!options_take(&o, sizeof(o), opts))
		return error_set(error, -EINVAL,
		                 "msb_sandbox_opts: wrong size");
	sb = new_sandbox();
	if (!sb)
		return error_return(error, -ENOMEM, NULL);
	r = check_opts(&o, &err);
	if (r == 0)
		r = defaults_fill(&o, home->store->home, &defaults, &err);
	if (r == 0)
		r = take_snapshot(home, &o, &fork, &err);
	if (r == 0)
		r = sandbox_config_take(&sb->config, &o,
		                        &o.image->image.config);
	if (r == 0)
		r = root_source_copy(&sb->config.root, &o.image->root);
	if (r == 0)
		r = command_check(&sb->config, &err);
	if (r == 0)
		r = lib_patch_apply(home, &o, &patch, &err);
	if (r == 0)
		r = life_create(home, &o, sb, &err);
	if (r == 0 && (o.flags & MSB_SANDBOX_NO_START)) {
		sandbox_unref(sb);
		*ret_sandbox = NULL;
		return 0;
	}
	return give(sb, r, &err, ret_sandbox, error);
}

int msb_sandbox_start(struct msb_home *home, const char *name,
                      const struct msb_start_opts *opts,
                      struct msb_sandbox **ret_sandbox, struct msb_error *error)
{
	struct msb_start_opts o = MSB_START_OPTS_INIT;
	struct msb_sandbox *sb;
	struct err err = {0};
	int r;

	if (!options_take(&o, sizeof(o), opts) || o.flags)
		return error_set(error, -EINVAL, "msb_start_opts are wrong");
	sb = new_sandbox();
	if (!sb)
		return error_return(error, -ENOMEM, NULL);
	r = life_start(home, name, &o, sb, &err);
	return give(sb, r, &err, ret_sandbox, error);
}

int msb_sandbox_open(struct msb_home *home, const char *name,
                     struct msb_sandbox **ret_sandbox, struct msb_error *error)
{
	struct msb_sandbox *sb = new_sandbox();
	struct err err = {0};
	int r;

	if (!sb)
		return error_return(error, -ENOMEM, NULL);
	r = life_open(home, name, sb, &err);
	return give(sb, r, &err, ret_sandbox, error);
}

int msb_sandbox_restart(struct msb_home *home, const char *name,
                        uint32_t timeout_ms, const struct msb_start_opts *opts,
                        struct msb_sandbox **ret_sandbox,
                        struct msb_error *error)
{
	struct msb_error local = {0};
	struct msb_sandbox *sb = NULL;
	int r;

	error = error ? error : &local;
	r = msb_sandbox_open(home, name, &sb, error);
	if (r == 0)
		r = msb_sandbox_stop(sb, timeout_ms, error);
	else if (error->code == MSB_ERR_GONE)
		r = 0;
	msb_sandbox_free(sb);
	return r < 0 ? r
	             : msb_sandbox_start(home, name, opts, ret_sandbox, error);
}

int msb_sandbox_remove(struct msb_home *home, const char *name, uint32_t flags,
                       struct msb_error *error)
{
	struct err err = {0};
	int r = life_remove(home, name, flags & MSB_REMOVE_FORCE, LIFE_GRACE_MS,
	                    &err);

	return r < 0 ? error_return(error, r, &err) : 0;
}

struct msb_sandbox *sandbox_ref(struct msb_sandbox *sb)
{
	(void)pthread_mutex_lock(&sb->lock);
	sb->refs++;
	(void)pthread_mutex_unlock(&sb->lock);
	return sb;
}

/* A child that lives on is waited for by the home. */
static void leave_child(struct msb_sandbox *sb)
{
	struct machine *m = &sb->machine;

	if (m->joined && m->pid > 0 && waitpid(m->pid, NULL, WNOHANG) == 0)
		home_leave_child(sb->home, m->pid);
}

void sandbox_unref(struct msb_sandbox *sb)
{
	unsigned left;

	(void)pthread_mutex_lock(&sb->lock);
	left = --sb->refs;
	(void)pthread_mutex_unlock(&sb->lock);
	if (left)
		return;
	leave_child(sb);
	machine_release(&sb->machine);
	place_release(&sb->place);
	free(sb->file_text);
	sandbox_config_release(&sb->config);
	if (sb->home)
		home_unref(sb->home);
	(void)pthread_mutex_destroy(&sb->lock);
	free(sb);
}

/* An attached one ends with its handle, whoever else still refers to it. */
void msb_sandbox_free(struct msb_sandbox *sb)
{
	if (!sb)
		return;
	(void)pthread_mutex_lock(&sb->lock);
	if (!sb->machine.joined) {
		sb->machine.stop_asked = true;
		machine_kill(&sb->machine);
	}
	process(sb);
	if (machine_has_ended(&sb->machine))
		life_ended(sb);
	(void)pthread_mutex_unlock(&sb->lock);
	sandbox_unref(sb);
}

int msb_sandbox_detach(struct msb_sandbox *sb, struct msb_error *error)
{
	const struct proto_msg msg = {.type = PROTO_VMM_DETACH};
	struct err err = {0};
	struct state *st;
	int r;

	(void)pthread_mutex_lock(&sb->lock);
	process(sb);
	r = machine_tell(&sb->machine, &msg, -1);
	if (r == 0)
		sb->machine.joined = true;
	if (r == 0 && (r = home_lock(sb->home, &st, &err)) == 0) {
		r = state_set_detached(st, sb->id, &err);
		home_unlock(sb->home);
	}
	(void)pthread_mutex_unlock(&sb->lock);
	if (r == -EPIPE || r == -ECONNRESET || r == -LIB_EGONE)
		r = sandbox_lost(sb, &err);
	return r < 0 ? error_return(error, r, &err) : 0;
}

const char *msb_sandbox_name(const struct msb_sandbox *sb)
{
	return sb->name;
}

const char *msb_sandbox_id(const struct msb_sandbox *sb)
{
	return sb->id;
}

int msb_sandbox_fd(const struct msb_sandbox *sb)
{
	return sb->machine.control;
}

enum msb_state msb_sandbox_state(struct msb_sandbox *sb)
{
	enum msb_state state;

	(void)pthread_mutex_lock(&sb->lock);
	process(sb);
	state = sb->machine.state;
	(void)pthread_mutex_unlock(&sb->lock);
	return state;
}

#define EMULATED                                                               \
	"KVM is emulated on this host (the processor shows neither vmx nor "   \
	"svm): a whole Linux does not run on it"

const char *msb_sandbox_warning(const struct msb_sandbox *sb)
{
	return sb->emulated ? EMULATED : "";
}

/* Why it ended, under the lock. */
static int explain_end(const struct msb_sandbox *sb, struct err *err)
{
	int r = machine_end_error(&sb->machine, err);

	if (sb->emulated && r != -LIB_EGONE)
		err_hint(err, EMULATED "; leave --engine and --accel at auto, "
		                       "or take --engine qemu --accel tcg");
	return r;
}

static int end_error(struct msb_sandbox *sb, struct msb_error *error)
{
	struct err err = {0};
	int r;

	(void)pthread_mutex_lock(&sb->lock);
	r = explain_end(sb, &err);
	(void)pthread_mutex_unlock(&sb->lock);
	return error_return(error, r, &err);
}

/*
 * Wait until the state is none of the @n of @passing, which *ret_state is then
 * another of; -ETIMEDOUT.
 */
static int wait_state(struct msb_sandbox *sb, int timeout_ms,
                      const enum msb_state *passing, size_t n,
                      enum msb_state *ret_state)
{
	uint64_t end =
		clock_now_ns() + (uint64_t)MAX(timeout_ms, 0) * NS_PER_MS;

	for (;;) {
		struct pollfd pf = {.fd = sb->machine.control,
		                    .events = POLLIN};
		enum msb_state state = msb_sandbox_state(sb);
		uint64_t now = clock_now_ns();
		size_t i = 0;

		while (i < n && passing[i] != state)
			i++;
		if (i == n) {
			*ret_state = state;
			return 0;
		}
		if (timeout_ms >= 0 && now >= end)
			return -ETIMEDOUT;
		(void)poll(&pf, 1,
		           timeout_ms < 0 ? -1
		                          : (int)((end - now) / NS_PER_MS) + 1);
	}
}

int msb_sandbox_wait_ready(struct msb_sandbox *sb, int timeout_ms,
                           struct msb_error *error)
{
	static const enum msb_state passing[] = {MSB_STATE_STARTING};
	enum msb_state state;
	int r = wait_state(sb, timeout_ms, passing, ARRAY_SIZE(passing),
	                   &state);

	if (r < 0)
		return error_set(error, r, "%s is not ready after %d ms",
		                 sb->name, timeout_ms);
	return state == MSB_STATE_READY ? 0 : end_error(sb, error);
}

/*
 * Who joined cannot wait for the process. That it has ended is its own word
 * until it is gone: a guest may have taken it over.
 */
static int stop_joined(struct msb_sandbox *sb)
{
	struct machine *m = &sb->machine;
	bool over = machine_has_ended(m) || m->hung_up;
	int r = life_kill(&sb->place, m->pid > 0 ? m->pid : sb->vmm_pid,
	                  over ? END_WAIT_MS : 0);

	return r == 0 && !over ? machine_wait_end(m, LOST_WAIT_MS) : r;
}

int msb_sandbox_stop(struct msb_sandbox *sb, uint32_t timeout_ms,
                     struct msb_error *error)
{
	int r = 0;

	(void)pthread_mutex_lock(&sb->lock);
	machine_stop(&sb->machine, timeout_ms);
	process(sb);
	if (sb->machine.joined)
		r = stop_joined(sb);
	process(sb); /* its line is closed by now */
	if (r == 0)
		life_ended(sb);
	(void)pthread_mutex_unlock(&sb->lock);
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
	static const enum msb_state passing[] = {MSB_STATE_STARTING,
	                                         MSB_STATE_READY};
	enum msb_state state;
	int r = wait_state(sb, timeout_ms, passing, ARRAY_SIZE(passing),
	                   &state);

	if (r < 0)
		return error_set(error, r, "%s still runs", sb->name);
	(void)pthread_mutex_lock(&sb->lock);
	if (!sb->machine.joined)
		machine_kill(&sb->machine); /* it is over: waits for it */
	life_ended(sb);
	(void)pthread_mutex_unlock(&sb->lock);
	return 0;
}

int msb_sandbox_touch(struct msb_sandbox *sb, struct msb_error *error)
{
	const struct proto_msg msg = {.type = PROTO_VMM_TOUCH};
	int r;

	(void)pthread_mutex_lock(&sb->lock);
	process(sb);
	r = machine_tell(&sb->machine, &msg, -1);
	(void)pthread_mutex_unlock(&sb->lock);
	return r < 0 ? end_error(sb, error) : 0;
}

void msb_sandbox_times(struct msb_sandbox *sb,
                       struct msb_sandbox_times *ret_times)
{
	struct msb_sandbox_times t = {.create_ns = sb->create_ns,
	                              .launched_ns = sb->launched_ns};

	(void)pthread_mutex_lock(&sb->lock);
	process(sb);
	t.spawn_ns = sb->machine.spawn_ns;
	t.init_ns = sb->machine.init_ns;
	t.ready_ns = sb->machine.ready_ns;
	(void)pthread_mutex_unlock(&sb->lock);
	options_give(ret_times, &t, sizeof(t));
}

/*
 * What is written once, but maybe right now, by the thread of a command: the
 * lock is for the look, and what was seen stays.
 */
static pthread_mutex_t *lock_of(const struct msb_sandbox *sb)
{
	return (pthread_mutex_t *)(uintptr_t)&sb->lock;
}

static const char *look_at(const struct msb_sandbox *sb, const char *text)
{
	const char *ret;

	(void)pthread_mutex_lock(lock_of(sb));
	ret = *text ? text : "";
	(void)pthread_mutex_unlock(lock_of(sb));
	return ret;
}

const char *msb_sandbox_engine(const struct msb_sandbox *sb)
{
	return look_at(sb, sb->machine.engine);
}

const char *msb_sandbox_accel(const struct msb_sandbox *sb)
{
	return look_at(sb, sb->machine.accel);
}

const char *msb_sandbox_console(const struct msb_sandbox *sb)
{
	const char *ret;

	(void)pthread_mutex_lock(lock_of(sb));
	ret = sb->machine.console;
	(void)pthread_mutex_unlock(lock_of(sb));
	return ret ? ret : "";
}

const char *const *msb_sandbox_walls(const struct msb_sandbox *sb)
{
	const char *const *ret;

	(void)pthread_mutex_lock(lock_of(sb));
	ret = (const char *const *)strv_list(&sb->machine.walls);
	(void)pthread_mutex_unlock(lock_of(sb));
	return ret;
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
	(void)pthread_mutex_lock(&sb->lock);
	process(sb);
	r = machine_connect(&sb->machine, theirs, port);
	(void)pthread_mutex_unlock(&sb->lock);
	return r < 0 ? r : take_fd(ours);
}

int sandbox_lost(struct msb_sandbox *sb, struct err *err)
{
	int r;

	(void)pthread_mutex_lock(&sb->lock);
	r = machine_wait_end(&sb->machine, LOST_WAIT_MS);
	if (r == 0)
		r = explain_end(sb, err);
	else
		r = err_set(err, -LIB_EGONE,
		            "the guest dropped the command (was it shut down "
		            "from inside?)");
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

int sandbox_ask(struct msb_sandbox *sb, const struct proto_msg *msg, int fd,
                enum proto_type type, int timeout_ms,
                struct machine_answer *ret, struct err *err)
{
	int r;

	(void)pthread_mutex_lock(&sb->lock);
	r = machine_ask(&sb->machine, msg, fd, type, timeout_ms, ret);
	process(sb);
	if (r == -LIB_EGONE)
		r = explain_end(sb, err);
	else if (r == -ETIMEDOUT)
		r = err_set(err, r, "%s does not answer", sb->name);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}
