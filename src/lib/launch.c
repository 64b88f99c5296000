#include "lib/launch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"
#include "base/strv.h"
#include "lib/clone.h"
#include "lib/defaults.h"
#include "lib/error.h"

#include "base/banned.h"

void launch_release(struct launch *l)
{
	for (unsigned i = 0; i < l->ndisks; i++)
		for (unsigned k = 0; k < l->disks[i].nlayers; k++)
			close_fd(&l->disks[i].layers[k].fd);
	for (unsigned i = 0; i < l->nshares; i++) {
		close_fd(&l->shares[i].fd);
		close_fd(&l->shares[i].usage_fd);
	}
	for (unsigned i = 0; i < l->nlocks; i++)
		close_fd(&l->locks[i]);
	strv_release(&l->mounts);
	net_launch_release(&l->net);
	l->ndisks = l->nshares = l->nlocks = 0;
}

struct launch_disk *launch_add_disk(struct launch *l, const char *serial)
{
	struct launch_disk *d;

	if (l->ndisks == LAUNCH_DISKS_MAX)
		return NULL;
	d = &l->disks[l->ndisks++];
	*d = (struct launch_disk){0};
	(void)snprintf(d->serial, sizeof(d->serial), "%s", serial);
	return d;
}

struct launch_share *launch_add_share(struct launch *l)
{
	struct launch_share *s;

	if (l->nshares == LAUNCH_SHARES_MAX)
		return NULL;
	s = &l->shares[l->nshares];
	*s = (struct launch_share){.fd = -1, .usage_fd = -1};
	(void)snprintf(s->name, sizeof(s->name), "s%u", l->nshares++);
	return s;
}

int launch_add_lock(struct launch *l, int fd)
{
	if (l->nlocks == ARRAY_SIZE(l->locks)) {
		close_fd(&fd);
		return -E2BIG;
	}
	l->locks[l->nlocks++] = fd;
	return 0;
}

/*
 * Descriptors behind the fixed ones get their numbers in this order: told in
 * the configuration, and given to the child, by the same walk.
 */
static int each_fd(const struct launch *l, int (*fn)(void *arg, int fd),
                   void *arg)
{
	int r = 0;

	for (unsigned i = 0; i < l->ndisks; i++) {
		const struct launch_disk *d = &l->disks[i];
		uint32_t n = d->extents ? d->extents->nfds : d->nlayers;

		for (uint32_t k = 0; k < n && r == 0; k++)
			r = fn(arg, d->extents ? d->extents->fds[k]
			                       : d->layers[k].fd);
	}
	for (unsigned i = 0; i < l->nshares && r == 0; i++) {
		r = fn(arg, l->shares[i].fd);
		if (r == 0 && l->shares[i].usage_fd >= 0)
			r = fn(arg, l->shares[i].usage_fd);
	}
	for (unsigned i = 0; i < l->nlocks && r == 0; i++)
		r = fn(arg, l->locks[i]);
	return r < 0 ? r : net_launch_each_fd(&l->net, fn, arg);
}

static int count_one(void *arg, int fd)
{
	(void)fd;
	++*(unsigned *)arg;
	return 0;
}

static unsigned count_fds(const struct launch *l)
{
	unsigned n = 0;

	(void)each_fd(l, count_one, &n);
	return n;
}

static json_t *disk_extents(const struct rootfs *root, int first)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < root->nextents; i++) {
		const struct rootfs_extent *e = &root->extents[i];
		json_t *one = json_pack(
			"{s:i, s:I, s:I}", "fd", first + (int)e->fd, "offset",
			(json_int_t)e->offset, "len", (json_int_t)e->len);

		if (json_array_append_new(list, one) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *disk_layers(const struct launch_disk *d, int first)
{
	json_t *list = json_array();
	int r = 0;

	for (unsigned i = 0; i < d->nlayers && r == 0; i++)
		r = json_array_append_new(
			list,
			json_pack("{s:i, s:s}", "fd", first + (int)i, "format",
		                  d->layers[i].format == DISK_QCOW2 ? "qcow2"
		                                                    : "raw"));
	if (r < 0) {
		json_decref(list);
		return NULL;
	}
	return list;
}

static json_t *one_disk(const struct launch_disk *d, int *next)
{
	int first = *next;
	json_t *files;

	*next += (int)(d->extents ? d->extents->nfds : d->nlayers);
	files = d->extents ? disk_extents(d->extents, first)
	                   : disk_layers(d, first);
	return json_pack("{s:s, s:b, s:o}", "serial", d->serial, "read_only",
	                 d->read_only, d->extents ? "extents" : "layers",
	                 files);
}

static const char *const cache_names[] = {
	[MSB_CACHE_AUTO] = "auto",
	[MSB_CACHE_ALWAYS] = "always",
	[MSB_CACHE_NONE] = "none",
};

static json_t *one_share(const struct launch_share *s, int *next)
{
	int fd = (*next)++, usage = s->usage_fd >= 0 ? (*next)++ : -1;
	json_t *o =
		json_pack("{s:s, s:i, s:b, s:s, s:b, s:I, s:I, s:I}", "name",
	                  s->name, "fd", fd, "read_only", s->read_only, "cache",
	                  cache_names[s->cache], "squash", s->squash, "uid",
	                  (json_int_t)s->uid, "gid", (json_int_t)s->gid,
	                  "quota_bytes", (json_int_t)s->quota_bytes);

	if (o && usage >= 0)
		(void)json_object_set_new(o, "usage_fd", json_integer(usage));
	return o;
}

/* "disks", "shares", "lock_fds" and the network, numbered as each_fd() walks.
 */
static int add_more(json_t *o, const struct launch *l)
{
	json_t *disks = json_array(), *shares = json_array(),
	       *locks = json_array();
	int next = LAUNCH_FD_MORE, r = 0;

	for (unsigned i = 0; i < l->ndisks && r == 0; i++)
		r = json_array_append_new(disks, one_disk(&l->disks[i], &next));
	for (unsigned i = 0; i < l->nshares && r == 0; i++)
		r = json_array_append_new(shares,
		                          one_share(&l->shares[i], &next));
	for (unsigned i = 0; i < l->nlocks && r == 0; i++)
		r = json_array_append_new(locks, json_integer(next++));
	r |= json_object_set_new(o, "disks", disks);
	r |= json_object_set_new(o, "shares", shares);
	r |= json_object_set_new(o, "lock_fds", locks);
	return r < 0 ? r : net_launch_json(&l->net, o, &next);
}

/* Strings that are not UTF-8 cannot be told in JSON: NULL, see below. */
static int add_list(json_t *list, const struct strv *s)
{
	int r = 0;

	for (size_t i = 0; i < s->n && r == 0; i++)
		r = json_array_append_new(list, json_string(s->v[i]));
	return r;
}

/* NAME=BODY as NAME, BODY. */
static int add_scripts(json_t *list, const struct strv *s)
{
	int r = 0;

	for (size_t i = 0; i < s->n && r == 0; i++) {
		size_t len = strcspn(s->v[i], "=");
		const char *body = s->v[i] + len + (s->v[i][len] == '=');

		r = json_array_append_new(list, json_stringn(s->v[i], len));
		if (r == 0)
			r = json_array_append_new(list, json_string(body));
	}
	return r;
}

/* What is there to be told of the guest's set-up. */
static int add_guest(json_t *o, const struct launch *l)
{
	const struct sandbox_config *c = l->config;
	json_t *scripts = json_array(), *init = json_array(),
	       *env = json_array(), *mounts = json_array();
	int r = add_scripts(scripts, &c->scripts);

	if (r == 0 && c->init)
		r = json_array_append_new(init, json_string(c->init));
	if (r == 0)
		r = add_list(init, &c->init_args);
	if (r == 0)
		r = add_list(env, &c->init_env);
	if (r == 0)
		r = add_list(mounts, &l->mounts);
	r |= json_object_set_new(o, "scripts", scripts);
	r |= json_object_set_new(o, "init", init);
	r |= json_object_set_new(o, "init_env", env);
	r |= json_object_set_new(o, "mounts", mounts);
	return r;
}

char *launch_config(const struct launch *l)
{
	const struct sandbox_config *c = l->config;
	json_t *cleanup_json o = json_pack(
		"{s:i, s:s, s:s, s:s, s:s, s:I, s:I, s:i, s:i, s:s, s:s, s:s, "
		"s:I, s:s, s:I, s:i, s:i, s:i, s:[i, i], s:I, s:I}",
		"version", 1, "name", l->name, "engine",
		defaults_engines[c->engine], "accel", defaults_accels[c->accel],
		"qemu", l->runtime->qemu ? l->runtime->qemu : "", "cpus",
		(json_int_t)c->cpus, "memory_mib",
		(json_int_t)(c->memory_bytes / MIB), "kernel_fd",
		LAUNCH_FD_KERNEL, "initramfs_fd", LAUNCH_FD_INITRAMFS,
		"cmdline", l->runtime->cmdline, "root_type", l->root_type,
		"hostname", l->hostname, "boot_timeout_ms",
		(json_int_t)c->boot_timeout_ms, "root_name", l->root_name,
		"upper_bytes", (json_int_t)l->upper_bytes, "listen_fd",
		LAUNCH_FD_LISTEN, "lock_fd", LAUNCH_FD_LOCK, "end_fd",
		LAUNCH_FD_END, "log_fds", LAUNCH_FD_LOG, LAUNCH_FD_LOG + 1,
		"max_duration_s", (json_int_t)c->max_duration_s,
		"idle_timeout_s", (json_int_t)c->idle_timeout_s);

	if (!o || add_more(o, l) < 0 || add_guest(o, l) < 0)
		return NULL;
	return json_dumps(o, JSON_COMPACT);
}

static int config_fd(const struct launch *l)
{
	cleanup_close int fd =
		memfd_create("msb-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	cleanup_free char *text = launch_config(l);
	int r;

	if (fd < 0)
		return -errno;
	if (!text)
		return -ENOMEM;
	r = fd_write_full(fd, text, strlen(text));
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0 ||
	    fcntl(fd, F_ADD_SEALS,
	          F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return -errno;
	return take_fd(fd);
}

/*
 * The child's descriptors in order: fds[n] becomes n. Copies of ours above all
 * targets, so that no dup2() in the child can overwrite a later source.
 */
struct fd_list {
	int *fds;
	int n;
};

static void fd_list_release(struct fd_list *list)
{
	for (int i = 0; i < list->n; i++)
		close_fd(&list->fds[i]);
	free(list->fds);
}

static int fd_list_add(struct fd_list *list, int fd, int above)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, above);

	if (copy < 0) /* EINVAL: @above is beyond RLIMIT_NOFILE */
		return errno == EINVAL ? -EMFILE : -errno;
	list->fds[list->n++] = copy;
	return 0;
}

/* Above all targets, too. */
struct filler {
	struct fd_list *list;
	int total;
};

static int add_more_fd(void *arg, int fd)
{
	struct filler *f = arg;

	return fd_list_add(f->list, fd, f->total);
}

static int fd_list_fill(struct fd_list *list, const struct launch *l, int null,
                        int control, int config)
{
	int log = l->stderr_fd >= 0 ? l->stderr_fd : null;
	const int fixed[LAUNCH_FD_MORE] = {
		[0] = null,
		[1] = log,
		[2] = log,
		[LAUNCH_FD_CONTROL] = control,
		[LAUNCH_FD_CONFIG] = config,
		[LAUNCH_FD_KERNEL] = l->runtime->kernel_fd,
		[LAUNCH_FD_INITRAMFS] = l->runtime->initramfs_fd,
		[LAUNCH_FD_LISTEN] = l->listen_fd,
		[LAUNCH_FD_LOCK] = l->lock_fd,
		[LAUNCH_FD_END] = l->end_fd,
		[LAUNCH_FD_LOG] = l->log_fds[0],
		[LAUNCH_FD_LOG + 1] = l->log_fds[1],
	};
	struct filler f = {list, (int)(ARRAY_SIZE(fixed) + count_fds(l))};
	int r = 0;

	list->fds = calloc((size_t)f.total, sizeof(int));
	if (!list->fds)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(fixed) && r == 0; i++)
		r = fd_list_add(list, fixed[i], f.total);
	return r < 0 ? r : each_fd(l, add_more_fd, &f);
}

static int child_env(const struct launch *l, struct strv *env)
{
	const char *path = getenv("PATH");
	int r = 0;

	if (path)
		r = strv_addf(env, "PATH=%s", path);
	if (r == 0 && l->log_level)
		r = strv_addf(env, "MSB_LOG=%s", l->log_level);
	return r;
}

static int spawn_vmm(const struct launch *l, const struct fd_list *list,
                     pid_t *ret_pid)
{
	struct strv cleanup_strv env = {0};
	char program[] = "msb-vmm";
	char *argv[] = {program, (char *)(uintptr_t)l->name, NULL};
	int r = child_env(l, &env);

	if (r < 0)
		return r;
	return clone_program(&(struct clone_opts){.path = l->runtime->vmm,
	                                          .argv = argv,
	                                          .env = strv_list(&env),
	                                          .fds = list->fds,
	                                          .all_users = l->nshares > 0,
	                                          .nfds = list->n},
	                     ret_pid);
}

static int start(const struct launch *l, int control, pid_t *ret_pid)
{
	struct fd_list cleanup(fd_list_release) list = {0};
	cleanup_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	cleanup_close int config = config_fd(l);
	int r;

	if (null < 0)
		return -errno;
	if (config < 0)
		return config;
	r = fd_list_fill(&list, l, null, control, config);
	return r < 0 ? r : spawn_vmm(l, &list, ret_pid);
}

int launch_start(const struct launch *l, pid_t *ret_pid, int *ret_control,
                 struct err *err)
{
	cleanup_close int ours = -1, theirs = -1;
	int pair[2], r;

	if (count_fds(l) > LAUNCH_MORE_MAX)
		return err_set(err, -E2BIG,
		               "the image has too many layers, or the sandbox "
		               "too many mounts");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, -errno, "cannot make a control socket: %s",
		               strerror(errno));
	ours = pair[0];
	theirs = pair[1];
	r = fd_set_nonblock(ours);
	if (r == 0)
		r = start(l, theirs, ret_pid);
	if (r < 0)
		return err_set(err, r, "cannot start %s: %s", l->runtime->vmm,
		               strerror(-r));
	*ret_control = take_fd(ours);
	return 0;
}
