#include "lib/sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/clock.h"
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
#include "lib/tls_launch.h"

#include "base/banned.h"

#define UPPER_MIN    (16 * MIB)
#define UPPER_MAX    (8ULL << 40)
#define HOSTNAME_LEN 63
#define BOOT_MIN_MS  100
#define BOOT_MAX_MS  3600000

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

static int check_secrets(const struct msb_sandbox_opts *o, struct err *err)
{
	return secrets_check(&(struct secret_checked){.secrets = o->secrets,
	                                              .tls = o->tls,
	                                              .env = o->env,
	                                              .network = o->network},
	                     err);
}

/* Once more, with those that were made. */
static int check_placeholders(const struct sandbox_config *c, struct err *err)
{
	return secrets_check(
		&(struct secret_checked){.secrets = secrets_get(&c->secrets),
	                                 .tls = &c->tls,
	                                 .recorded = true},
		err);
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
	if (r == 0)
		r = check_secrets(o, err);
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

struct msb_sandbox *sandbox_new(void)
{
	struct msb_sandbox *sb = calloc(1, sizeof(*sb));

	if (!sb)
		return NULL;
	sb->create_ns = clock_now_ns();
	sb->refs = 1;
	sb->machine = (struct machine)MACHINE_INIT;
	sb->place = (struct place)PLACE_INIT;
	sb->news.fd = sb->news_fd = -1;
	(void)pthread_mutex_init(&sb->lock, NULL);
	(void)pthread_mutex_init(&sb->recording, NULL);
	sb->machine.lock = &sb->lock;
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
	sb = sandbox_new();
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
		r = check_placeholders(&sb->config, &err);
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

	if (!options_take(&o, sizeof(o), opts) ||
	    o.flags & ~(uint32_t)MSB_START_NO_LINKS)
		return error_set(error, -EINVAL, "msb_start_opts are wrong");
	sb = sandbox_new();
	if (!sb)
		return error_return(error, -ENOMEM, NULL);
	r = life_start(home, name, &o, sb, &err);
	return give(sb, r, &err, ret_sandbox, error);
}

int msb_sandbox_open(struct msb_home *home, const char *name,
                     struct msb_sandbox **ret_sandbox, struct msb_error *error)
{
	struct msb_sandbox *sb = sandbox_new();
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
	struct msb_start_opts o = MSB_START_OPTS_INIT;
	struct msb_error local = {0};
	struct msb_sandbox *sb = NULL;
	struct err err = {0};
	int r;

	error = error ? error : &local;
	if (!options_take(&o, sizeof(o), opts))
		return error_set(error, -EINVAL, "msb_start_opts are wrong");
	r = life_may_start(home, name, &o, &err);
	if (r < 0)
		return error_return(error, r, &err);
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

/* Children that live on are waited for by the home. */
static void leave_children(struct msb_sandbox *sb)
{
	struct machine *m = &sb->machine;

	if (!m->joined)
		return;
	if (m->pid > 0 && waitpid(m->pid, NULL, WNOHANG) == 0)
		home_leave_child(sb->home, m->pid);
	if (sb->tls_pid > 0 && waitpid(sb->tls_pid, NULL, WNOHANG) == 0)
		home_leave_child(sb->home, sb->tls_pid);
	sb->tls_pid = 0;
}

void sandbox_unref(struct msb_sandbox *sb)
{
	struct cancel *cleanup_cancel held = cancel_hold();
	unsigned left;

	(void)pthread_mutex_lock(&sb->lock);
	left = --sb->refs;
	(void)pthread_mutex_unlock(&sb->lock);
	if (left)
		return;
	leave_children(sb);
	machine_release(&sb->machine);
	tls_launch_reap(&sb->tls_pid);
	close_fd(&sb->news_fd);
	close_fd(&sb->news.fd);
	place_release(&sb->place);
	sandbox_config_release(&sb->config);
	if (sb->home)
		home_unref(sb->home);
	(void)pthread_mutex_destroy(&sb->recording);
	(void)pthread_mutex_destroy(&sb->lock);
	free(sb);
}

const char *msb_sandbox_name(const struct msb_sandbox *sb)
{
	return sb->name;
}

const char *msb_sandbox_id(const struct msb_sandbox *sb)
{
	return sb->id;
}

#define EMULATED                                                               \
	"KVM is emulated on this host (the processor shows neither vmx nor "   \
	"svm): a whole Linux does not run on it"

const char *msb_sandbox_warning(const struct msb_sandbox *sb)
{
	return sb->emulated ? EMULATED : "";
}

void msb_sandbox_times(struct msb_sandbox *sb,
                       struct msb_sandbox_times *ret_times)
{
	struct msb_sandbox_times t = {.create_ns = sb->create_ns,
	                              .launched_ns = sb->launched_ns};

	sandbox_look(sb);
	(void)pthread_mutex_lock(&sb->lock);
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
