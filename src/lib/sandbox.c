#include "lib/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "base/virt.h"
#include "lib/defaults.h"
#include "lib/error.h"
#include "lib/home.h"
#include "lib/image.h"
#include "lib/launch.h"
#include "lib/options.h"
#include "lib/runtime.h"

#include "base/banned.h"

#define UPPER_MIN    (16 * MIB)
#define UPPER_MAX    (16ULL << 40)
#define HOSTNAME_LEN 63
#define VMM_NAME_LEN 64 /* what msb-vmm takes; only ps shows it */
#define BOOT_MIN_MS  100
#define BOOT_MAX_MS  3600000
#define LOST_WAIT_MS 3000

#define cleanup_rootfs cleanup(rootfs_release)

static int check_opts(const struct msb_sandbox_opts *o, struct err *err)
{
	if (!o->image)
		return err_set(err, -EINVAL, "a sandbox needs an image");
	if (o->name && !running_is_name(o->name, MSB_NAME_MAX))
		return err_set(err, -EINVAL,
		               "name %s: 1 to %d letters, digits, . _ -, "
		               "beginning with a letter or digit",
		               o->name, MSB_NAME_MAX);
	if (o->hostname && !running_is_name(o->hostname, HOSTNAME_LEN))
		return err_set(err, -EINVAL,
		               "hostname %s: 1 to %d letters, digits, . _ -",
		               o->hostname, HOSTNAME_LEN);
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
	    (o->upper_bytes < UPPER_MIN || o->upper_bytes > UPPER_MAX))
		return err_set(err, -EINVAL,
		               "upper: between 16 MiB and 16 TiB");
	if (o->boot_timeout_ms && (o->boot_timeout_ms < BOOT_MIN_MS ||
	                           o->boot_timeout_ms > BOOT_MAX_MS))
		return err_set(err, -EINVAL,
		               "boot time limit: between 100 ms and 1 h");
	return 0;
}

static int make_name(const char *given, char *ret, size_t len)
{
	uint32_t random;

	if (given) {
		(void)snprintf(ret, len, "%s", given);
		return 0;
	}
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	(void)snprintf(ret, len, "msb-%08x", random);
	return 0;
}

static int copy_config(struct image_config *to, const struct image_config *from)
{
	int r = strv_add_all(&to->entrypoint, from->entrypoint.v);

	if (r == 0)
		r = strv_add_all(&to->cmd, from->cmd.v);
	if (r == 0)
		r = strv_add_all(&to->env, from->env.v);
	if (r == 0 && from->workdir && !(to->workdir = strdup(from->workdir)))
		r = -ENOMEM;
	if (r == 0 && from->user && !(to->user = strdup(from->user)))
		r = -ENOMEM;
	return r;
}

/*
 * QEMU is needed by its own engine only. Where "auto" may do without it,
 * msb-vmm decides; but a path that the user set must be right.
 */
static int find_qemu(const struct msb_sandbox_opts *o, struct runtime *rt,
                     struct err *err)
{
	bool automatic =
		o->engine == MSB_ENGINE_AUTO && o->accel == MSB_ACCEL_AUTO;
	const char *set = getenv("MSB_QEMU");
	int r;

	if (o->engine == MSB_ENGINE_KVM)
		return 0;
	r = runtime_find_qemu(&rt->qemu, err);
	if (r != -LIB_EINSTALL || !automatic || (set && *set))
		return r;
	*err = (struct err){0};
	return 0;
}

static int launch(struct msb_sandbox *sb, struct store *store,
                  const struct msb_sandbox_opts *o, struct err *err)
{
	struct runtime cleanup_runtime rt = RUNTIME_INIT;
	struct rootfs cleanup_rootfs root = {0};
	cleanup_close int upper = -1;
	struct launch l = {
		.runtime = &rt,
		.root = &root,
		.upper_bytes =
			o->upper_bytes ? o->upper_bytes : MSB_UPPER_DEFAULT,
		.hostname = o->hostname,
		.cpus = o->cpus,
		.memory_mib = (uint32_t)(o->memory_bytes / MIB),
		.boot_timeout_ms = o->boot_timeout_ms ? o->boot_timeout_ms
	                                              : MSB_BOOT_TIMEOUT_MS,
		.engine = (enum msb_engine)o->engine,
		.accel = (enum msb_accel)o->accel,
		.log_fd = o->log_fd > 0 ? o->log_fd : -1,
		.log_level = o->log_level,
	};
	char hostname[HOSTNAME_LEN + 1], name[VMM_NAME_LEN + 1];
	int r = runtime_find(&rt, err);

	if (r == 0)
		r = find_qemu(o, &rt, err);
	(void)snprintf(name, sizeof(name), "%.*s", VMM_NAME_LEN, sb->name);
	l.name = name;
	if (!l.hostname) {
		(void)snprintf(hostname, sizeof(hostname), "%.*s", HOSTNAME_LEN,
		               sb->name);
		l.hostname = hostname;
	}
	if (r == 0)
		r = lib_image_open_root(store, o->image, &root, err);
	if (r == 0)
		r = upper_create(store, l.upper_bytes, &upper, err);
	if (r < 0)
		return r;
	l.upper_fd = upper;
	return launch_start(&l, &sb->machine.pid, &sb->machine.control, err);
}

/* Whether the user wants KVM where it is only emulated. */
static bool wants_emulated_kvm(const struct msb_sandbox_opts *o)
{
	struct virt v;

	if (o->engine != MSB_ENGINE_KVM && o->accel != MSB_ACCEL_KVM)
		return false;
	virt_probe(VIRT_CPUINFO, VIRT_KVM, &v);
	return virt_is_emulated(&v);
}

/* What is needed of the options later. */
static int keep_options(struct msb_sandbox *sb,
                        const struct msb_sandbox_opts *o)
{
	const char *reference = msb_image_info(o->image)->reference;

	sb->cpus = o->cpus;
	sb->memory_bytes = o->memory_bytes;
	sb->emulated = wants_emulated_kvm(o);
	sb->started_unix = time(NULL);
	sb->image = strdup(reference ? reference : "");
	if (!sb->image)
		return -ENOMEM;
	return copy_config(&sb->config, &o->image->image.config);
}

/* Let run/NAME.json say what is; called under the lock or alone. */
static int record(struct msb_sandbox *sb, struct err *err)
{
	const struct machine *m = &sb->machine;
	const struct msb_sandbox_info info = {
		.name = sb->name,
		.image = sb->image,
		.state = (int32_t)m->state,
		.cpus = sb->cpus,
		.memory_bytes = sb->memory_bytes,
		.engine = m->engine,
		.accel = m->accel,
		.walls = (const char *const *)strv_list(&m->walls),
		.pid = m->pid,
		.owner_pid = getpid(),
		.started_unix = sb->started_unix,
	};
	int r = running_write(&sb->running, &info);

	if (r < 0)
		return err_set(err, r, "cannot write run/%s: %s",
		               sb->running.file, strerror(-r));
	sb->recorded = info.state;
	return 0;
}

/* Take what msb-vmm said. That it is ready or ended goes on record. */
static void process(struct msb_sandbox *sb)
{
	machine_process(&sb->machine);
	if (sb->recorded < 0 || sb->recorded == (int32_t)sb->machine.state)
		return;
	if (machine_has_ended(&sb->machine)) {
		sb->recorded = -1;
		running_drop(&sb->running);
	} else if (record(sb, NULL) < 0) {
		sb->recorded = (int32_t)sb->machine.state; /* once is enough */
	}
}

int msb_sandbox_create(struct msb_home *home,
                       const struct msb_sandbox_opts *opts,
                       struct msb_sandbox **ret_sandbox,
                       struct msb_error *error)
{
	struct msb_sandbox_opts o = MSB_SANDBOX_OPTS_INIT;
	struct msb_sandbox *sb;
	struct err err = {0};
	int r;

	if (!options_take(&o, sizeof(o), opts))
		return error_set(error, -EINVAL,
		                 "msb_sandbox_opts: wrong size");
	sb = calloc(1, sizeof(*sb));
	if (!sb)
		return error_return(error, -ENOMEM, NULL);
	sb->create_ns = clock_now_ns();
	sb->refs = 1;
	sb->machine = (struct machine)MACHINE_INIT;
	sb->running = (struct running)RUNNING_INIT;
	sb->recorded = -1;
	(void)pthread_mutex_init(&sb->lock, NULL);
	r = check_opts(&o, &err);
	if (r == 0)
		r = defaults_fill(&o, home->store->home, &err);
	if (r == 0)
		r = make_name(o.name, sb->name, sizeof(sb->name));
	if (r == 0)
		r = keep_options(sb, &o);
	if (r == 0)
		r = running_claim(home->store, sb->name, &sb->running, &err);
	if (r == 0)
		r = launch(sb, home->store, &o, &err);
	if (r == 0)
		r = record(sb, &err);
	if (r < 0) {
		sandbox_unref(sb);
		return error_return(error, r, &err);
	}
	sb->launched_ns = clock_now_ns();
	*ret_sandbox = sb;
	return 0;
}

struct msb_sandbox *sandbox_ref(struct msb_sandbox *sb)
{
	(void)pthread_mutex_lock(&sb->lock);
	sb->refs++;
	(void)pthread_mutex_unlock(&sb->lock);
	return sb;
}

static void config_release(struct image_config *c)
{
	strv_release(&c->entrypoint);
	strv_release(&c->cmd);
	strv_release(&c->env);
	free(c->workdir);
	free(c->user);
}

void sandbox_unref(struct msb_sandbox *sb)
{
	unsigned left;

	(void)pthread_mutex_lock(&sb->lock);
	left = --sb->refs;
	(void)pthread_mutex_unlock(&sb->lock);
	if (left)
		return;
	machine_release(&sb->machine);
	running_drop(&sb->running);
	config_release(&sb->config);
	free(sb->image);
	(void)pthread_mutex_destroy(&sb->lock);
	free(sb);
}

/* The machine ends with its handle, whoever else still refers to it. */
void msb_sandbox_free(struct msb_sandbox *sb)
{
	if (!sb)
		return;
	(void)pthread_mutex_lock(&sb->lock);
	sb->machine.stop_asked = true;
	machine_kill(&sb->machine);
	process(sb);
	(void)pthread_mutex_unlock(&sb->lock);
	sandbox_unref(sb);
}

const char *msb_sandbox_name(const struct msb_sandbox *sb)
{
	return sb->name;
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

int msb_sandbox_wait_ready(struct msb_sandbox *sb, int timeout_ms,
                           struct msb_error *error)
{
	uint64_t end =
		clock_now_ns() + (uint64_t)MAX(timeout_ms, 0) * NS_PER_MS;

	for (;;) {
		struct pollfd pf = {.fd = sb->machine.control,
		                    .events = POLLIN};
		enum msb_state state = msb_sandbox_state(sb);
		uint64_t now = clock_now_ns();
		int ms = -1;

		if (state == MSB_STATE_READY)
			return 0;
		if (state != MSB_STATE_STARTING)
			return end_error(sb, error);
		if (timeout_ms >= 0 && now >= end)
			return error_set(error, -ETIMEDOUT,
			                 "%s is not ready after %d ms",
			                 sb->name, timeout_ms);
		if (timeout_ms >= 0)
			ms = (int)((end - now) / NS_PER_MS) + 1;
		(void)poll(&pf, 1, ms);
	}
}

int msb_sandbox_stop(struct msb_sandbox *sb, uint32_t timeout_ms,
                     struct msb_error *error)
{
	(void)error;
	(void)pthread_mutex_lock(&sb->lock);
	machine_stop(&sb->machine, timeout_ms);
	process(sb);
	(void)pthread_mutex_unlock(&sb->lock);
	return 0;
}

/* Written once, at the end, so that no lock is needed once it was seen. */
const char *msb_sandbox_console(const struct msb_sandbox *sb)
{
	return sb->machine.console ? sb->machine.console : "";
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

const char *msb_sandbox_engine(const struct msb_sandbox *sb)
{
	return sb->machine.engine;
}

const char *msb_sandbox_accel(const struct msb_sandbox *sb)
{
	return sb->machine.accel;
}

const char *const *msb_sandbox_walls(const struct msb_sandbox *sb)
{
	return (const char *const *)strv_list(&sb->machine.walls);
}

int msb_sandbox_inspect(struct msb_home *home, const char *name,
                        struct msb_sandbox_info **ret_info,
                        struct msb_error *error)
{
	struct err err = {0};
	int r = running_read(home->store, name, ret_info, &err);

	return r < 0 ? error_return(error, r, &err) : 0;
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
