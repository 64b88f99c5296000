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

static json_t *extent(int fd, uint64_t offset, uint64_t len)
{
	return json_pack("{s:i, s:I, s:I}", "fd", fd, "offset",
	                 (json_int_t)offset, "len", (json_int_t)len);
}

static json_t *disk(const char *serial, bool read_only, json_t *extents)
{
	return json_pack("{s:s, s:b, s:o}", "serial", serial, "read_only",
	                 read_only, "extents", extents);
}

static json_t *root_disk(const struct rootfs *root)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < root->nextents; i++) {
		const struct rootfs_extent *e = &root->extents[i];

		if (json_array_append_new(list,
		                          extent(LAUNCH_FD_DISKS + (int)e->fd,
		                                 e->offset, e->len)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return disk("root", true, list);
}

static json_t *disks(const struct launch *l)
{
	int upper = LAUNCH_FD_DISKS + (int)l->root->nfds;
	json_t *whole = json_pack("[o]", extent(upper, 0, l->upper_bytes));

	return json_pack("[o, o]", root_disk(l->root),
	                 disk("upper", false, whole));
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
static int add_guest(json_t *o, const struct sandbox_config *c)
{
	json_t *scripts = json_array(), *init = json_array(),
	       *env = json_array();
	int r = add_scripts(scripts, &c->scripts);

	if (r == 0 && c->init)
		r = json_array_append_new(init, json_string(c->init));
	if (r == 0)
		r = add_list(init, &c->init_args);
	if (r == 0)
		r = add_list(env, &c->init_env);
	r |= json_object_set_new(o, "scripts", scripts);
	r |= json_object_set_new(o, "init", init);
	r |= json_object_set_new(o, "init_env", env);
	return r;
}

char *launch_config(const struct launch *l)
{
	const struct sandbox_config *c = l->config;
	json_t *cleanup_json o = json_pack(
		"{s:i, s:s, s:s, s:s, s:s, s:I, s:I, s:i, s:i, s:s, s:o, s:s, "
		"s:I, s:i, s:i, s:i, s:[i, i], s:I, s:I}",
		"version", 1, "name", l->name, "engine",
		defaults_engines[c->engine], "accel", defaults_accels[c->accel],
		"qemu", l->runtime->qemu ? l->runtime->qemu : "", "cpus",
		(json_int_t)c->cpus, "memory_mib",
		(json_int_t)(c->memory_bytes / MIB), "kernel_fd",
		LAUNCH_FD_KERNEL, "initramfs_fd", LAUNCH_FD_INITRAMFS,
		"cmdline", l->runtime->cmdline, "disks", disks(l), "hostname",
		l->hostname, "boot_timeout_ms", (json_int_t)c->boot_timeout_ms,
		"listen_fd", LAUNCH_FD_LISTEN, "lock_fd", LAUNCH_FD_LOCK,
		"end_fd", LAUNCH_FD_END, "log_fds", LAUNCH_FD_LOG,
		LAUNCH_FD_LOG + 1, "max_duration_s",
		(json_int_t)c->max_duration_s, "idle_timeout_s",
		(json_int_t)c->idle_timeout_s);

	if (!o || add_guest(o, c) < 0)
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

static int fd_list_fill(struct fd_list *list, const struct launch *l, int null,
                        int control, int config)
{
	int log = l->stderr_fd >= 0 ? l->stderr_fd : null;
	const int fixed[LAUNCH_FD_DISKS] = {
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
	int total = (int)(ARRAY_SIZE(fixed) + l->root->nfds + 1);
	int r = 0;

	list->fds = calloc((size_t)total, sizeof(int));
	if (!list->fds)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(fixed) && r == 0; i++)
		r = fd_list_add(list, fixed[i], total);
	for (uint32_t i = 0; i < l->root->nfds && r == 0; i++)
		r = fd_list_add(list, l->root->fds[i], total);
	return r < 0 ? r : fd_list_add(list, l->upper_fd, total);
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

	if (l->root->nfds > LAUNCH_DISK_FDS_MAX)
		return err_set(err, -E2BIG, "the image has too many layers");
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
