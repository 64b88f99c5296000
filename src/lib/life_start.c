/* The beginnings: a sandbox's files, its machine, and who joins it later. */
#include "lib/life.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "image/image.h"
#include "lib/error.h"
#include "lib/image.h"
#include "lib/launch.h"
#include "lib/modify.h"
#include "lib/root.h"
#include "lib/snapshot.h"
#include "lib/tls_launch.h"

#include "base/banned.h"

#define HOSTNAME_LEN 63
#define VMM_NAME_LEN 64 /* what msb-vmm takes; only ps shows it */
#define JOIN_MS      2000
#define HEAR_MS      1000

#define cleanup_rootfs cleanup(rootfs_release)
#define cleanup_image  cleanup(image_release)

/* ---- the machine --------------------------------------------------------- */

/*
 * QEMU is needed by its own engine only. Where "auto" may do without it,
 * msb-vmm decides; but a path that the user set must be right.
 */
static int find_qemu(const struct sandbox_config *c, struct runtime *rt,
                     struct err *err)
{
	bool automatic =
		c->engine == MSB_ENGINE_AUTO && c->accel == MSB_ACCEL_AUTO;
	const char *set = getenv("MSB_QEMU");
	int r;

	if (c->engine == MSB_ENGINE_KVM)
		return 0;
	r = runtime_find_qemu(&rt->qemu, err);
	if (r != -LIB_EINSTALL || !automatic || (set && *set))
		return r;
	*err = (struct err){0};
	return 0;
}

/* What a launch opens besides the runtime, disks and shares. */
struct files {
	struct rootfs root;
	int listen, end, logs[2];
};

#define FILES_INIT                                                             \
	{                                                                      \
		.listen = -1, .end = -1, .logs = { -1, -1 }                    \
	}

static void files_release(struct files *f)
{
	rootfs_release(&f->root);
	close_fd(&f->listen);
	close_fd(&f->end);
	close_fd(&f->logs[0]);
	close_fd(&f->logs[1]);
}
#define cleanup_files cleanup(files_release)

static int open_file(const struct place *p, const char *name, int flags,
                     int *ret, struct err *err)
{
	*ret = place_file(p, name, flags);
	return *ret < 0 ? err_set(err, *ret, "cannot open its %s: %s", name,
	                          strerror(-*ret))
	                : 0;
}

/* Of one that is not kept the files go here: it holds them open. */
static int open_files_of_upper(struct msb_sandbox *sb, struct launch_disk *d,
                               struct err *err)
{
	struct upper u;
	int r = upper_open(sb->home->store, &sb->place, sb->config.upper_bytes,
	                   false, &u, err);

	if (r < 0)
		return r;
	memcpy(d->layers, u.layers, sizeof(u.layers));
	d->nlayers = u.n;
	sb->config.upper_bytes = u.bytes;
	if (sb->ephemeral)
		upper_forget(&sb->place);
	return 0;
}

/*
 * A disk that is to be larger becomes so here, with a hole at its end. The
 * guest's agent lets the file system fill it (src/guest/mount.c): no program
 * of the host reads what a guest wrote.
 */
static int open_upper(struct msb_sandbox *sb, struct launch *l, struct err *err)
{
	struct launch_disk *d;

	if (sb->config.upper == MSB_UPPER_TMPFS) {
		l->upper_bytes = sb->config.upper_bytes;
		return 0;
	}
	d = launch_add_disk(l, "upper");
	if (!d)
		return -E2BIG;
	if (!sb->ephemeral || upper_is_forked(&sb->place))
		return open_files_of_upper(sb, d, err);
	d->layers[0] = (struct disk_layer){-1, DISK_RAW};
	d->nlayers = 1;
	return upper_create(sb->home->store, sb->config.upper_bytes,
	                    &d->layers[0].fd, err);
}

static int open_files(struct msb_sandbox *sb, const struct image *image,
                      struct files *f, struct launch *l, struct err *err)
{
	const struct place *p = &sb->place;
	int r = root_open(sb->home->store, &sb->config.root, image, &f->root, l,
	                  err);

	if (r == 0)
		r = open_upper(sb, l, err);
	if (r == 0)
		r = mounts_open(sb, image, l, err);
	if (r == 0)
		r = open_file(p, "end.json", O_RDWR | O_CREAT | O_TRUNC,
		              &f->end, err);
	if (r == 0)
		r = open_file(p, "vm.log.0", O_RDWR | O_CREAT, &f->logs[0],
		              err);
	if (r == 0)
		r = open_file(p, "vm.log.1", O_RDWR | O_CREAT, &f->logs[1],
		              err);
	if (r < 0)
		return r;
	f->listen = place_listen(p, err);
	return f->listen < 0 ? f->listen : 0;
}

static int launch(struct msb_sandbox *sb, const struct image *image, int lock,
                  const struct msb_start_opts *o, struct err *err)
{
	struct runtime cleanup_runtime rt = RUNTIME_INIT;
	struct files cleanup_files f = FILES_INIT;
	char hostname[HOSTNAME_LEN + 1], name[VMM_NAME_LEN + 1];
	struct launch cleanup_launch l = LAUNCH_INIT;
	struct tls_launch cleanup_tls_launch tls = TLS_LAUNCH_INIT;
	int r = runtime_find(&rt, err);

	(void)snprintf(name, sizeof(name), "%.*s", VMM_NAME_LEN, sb->name);
	(void)snprintf(hostname, sizeof(hostname), "%.*s", HOSTNAME_LEN,
	               sb->name);
	if (r == 0)
		r = find_qemu(&sb->config, &rt, err);
	/* What changes nothing first: a port that is taken makes no volume. */
	if (r == 0)
		r = net_launch_open(&l.net, &sb->config.network, sb->id,
		                    sb->home, err);
	if (r == 0)
		r = tls_launch_open(&tls, &rt, &sb->config, o->secrets, err);
	if (r == 0)
		r = tls_launch_listen(&tls, &sb->place, err);
	if (r == 0)
		r = open_files(sb, image, &f, &l, err);
	if (r == 0)
		r = net_launch_commit(&l.net, &sb->place, err);
	if (r == 0)
		r = tls_launch_start(&tls, name, o->log_fd > 0 ? o->log_fd : -1,
		                     o->log_level, &l.net, err);
	if (r < 0)
		return r;
	l.runtime = &rt;
	l.name = name;
	l.hostname = sb->config.hostname ? sb->config.hostname : hostname;
	l.config = &sb->config;
	l.lock_fd = lock;
	l.stderr_fd = o->log_fd > 0 ? o->log_fd : -1;
	l.log_level = o->log_level;
	l.listen_fd = f.listen;
	l.end_fd = f.end;
	l.log_fds[0] = f.logs[0];
	l.log_fds[1] = f.logs[1];
	r = launch_start(&l, &sb->machine.pid, &sb->machine.control, err);
	if (r < 0)
		return r;
	sb->tls_pid = tls.pid; /* its end comes with the machine's */
	tls.pid = 0;
	return 0;
}

static int record_start(struct msb_sandbox *sb, struct err *err)
{
	struct state *st;
	int r = home_lock(sb->home, &st, err);

	if (r < 0)
		return r;
	r = state_set_started(st, sb->id, sb->machine.pid, err);
	home_unlock(sb->home);
	return r;
}

static int start_machine(struct msb_sandbox *sb, const struct image *image,
                         int lock, const struct msb_start_opts *o,
                         struct err *err)
{
	int r = launch(sb, image, lock, o, err);

	if (r == 0)
		r = record_start(sb, err);
	sb->launched_ns = clock_now_ns();
	return r;
}

/* ---- create -------------------------------------------------------------- */

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

/* All but id and created_ms, which come later. */
static int make_row(const struct msb_sandbox *sb,
                    const struct msb_sandbox_opts *o, struct state_sandbox *row)
{
	const struct msb_image_info *i = msb_image_info(o->image);

	memcpy(row->id, sb->id, sizeof(row->id));
	row->name = strdup(sb->name);
	row->image = strdup(i->reference ? i->reference : "");
	row->image_id = strdup(i->id ? i->id : "");
	row->config = sandbox_config_write(&sb->config);
	row->ephemeral = sb->ephemeral;
	if (!row->name || !row->image || !row->image_id || !row->config)
		return -ENOMEM;
	return strv_add_all(&row->labels, (char *const *)(uintptr_t)o->labels);
}

/* What is in its folder before it is on record. */
static int fill_folder(struct msb_sandbox *sb, const struct msb_sandbox_opts *o,
                       struct err *err)
{
	struct store *s = sb->home->store;
	uint64_t bytes = sb->config.upper_bytes;
	int r = 0;

	if (o->snapshot)
		r = snapshot_fork(s, o->snapshot, &sb->place, bytes, err);
	else if (!sb->ephemeral && sb->config.upper == MSB_UPPER_DISK)
		r = upper_make(s, &sb->place, bytes, err);
	if (r == 0 && !sb->ephemeral && sb->config.root.kind == ROOT_IMAGE)
		r = image_pin(s, &o->image->image, sb->id, err);
	return r;
}

static int add_row(struct msb_sandbox *sb, struct state_sandbox *row,
                   struct err *err)
{
	struct state *st;
	int r = home_lock(sb->home, &st, err);

	if (r < 0)
		return r;
	r = state_add(st, row, err);
	home_unlock(sb->home);
	return r;
}

static int put_on_record(struct msb_sandbox *sb,
                         const struct msb_sandbox_opts *o, bool *ret_added,
                         struct err *err)
{
	struct state_sandbox cleanup_state_sandbox row = {0};
	int r = make_row(sb, o, &row);

	if (r == 0)
		r = fill_folder(sb, o, err);
	if (r == 0)
		r = add_row(sb, &row, err);
	*ret_added = r == 0;
	if (r == 0 && !sb->ephemeral)
		r = place_write_json(&sb->place, &row, err);
	if (r == 0 && !sb->ephemeral)
		r = place_unmark(&sb->place);
	return r;
}

/* Take it all back, under its lock. */
static void undo(struct msb_sandbox *sb, bool added)
{
	struct cancel *cleanup_cancel held = cancel_hold();
	struct state *st;

	machine_release(&sb->machine);
	sb->machine = (struct machine)MACHINE_INIT;
	tls_launch_reap(&sb->tls_pid);
	(void)place_mark(&sb->place);
	if (!added) {
		(void)image_unpin(sb->home->store, sb->id);
		(void)place_remove(sb->home->store, sb->id, NULL);
	} else if (home_lock(sb->home, &st, NULL) == 0) {
		(void)life_drop(sb->home, st, sb->id, NULL);
		home_unlock(sb->home);
	}
	place_release(&sb->place);
}

/* What only who starts it has. */
static int has_values(const struct sandbox_config *c,
                      const struct msb_secret *const *given, struct err *err)
{
	struct tls_launch cleanup_tls_launch tls = TLS_LAUNCH_INIT;
	struct runtime cleanup_runtime rt = RUNTIME_INIT;
	int r = runtime_find(&rt, err);

	return r < 0 ? r : tls_launch_open(&tls, &rt, c, given, err);
}

int life_may_start(struct msb_home *home, const char *name,
                   const struct msb_start_opts *o, struct err *err)
{
	struct state_sandbox cleanup_state_sandbox row = {0};
	struct sandbox_config cleanup_sandbox_config config = {0};
	int r = life_get(home, name, &row, err);

	if (r == 0)
		r = sandbox_config_read(row.config, &config, err);
	return r < 0 ? r : has_values(&config, o->secrets, err);
}

static int replace(struct msb_home *home, const struct msb_sandbox_opts *o,
                   struct err *err)
{
	int r = life_remove(home, o->name, true,
	                    o->replace_timeout_ms ? o->replace_timeout_ms
	                                          : LIFE_GRACE_MS,
	                    err);

	if (r == -ENOENT)
		*err = (struct err){0};
	return r == -ENOENT ? 0 : r;
}

static int create_in(struct msb_sandbox *sb, const struct msb_sandbox_opts *o,
                     struct err *err)
{
	const struct msb_start_opts start = {.log_fd = o->log_fd,
	                                     .log_level = o->log_level,
	                                     .secrets = o->secrets};
	cleanup_close int lock = place_lock(&sb->place, err);
	bool added = false;
	int r = lock < 0 ? lock : put_on_record(sb, o, &added, err);

	if (r == 0) /* from here on there is something to be had */
		r = cancel_check(err);
	if (r == 0 && !(o->flags & MSB_SANDBOX_NO_START))
		r = start_machine(sb, &o->image->image, lock, &start, err);
	if (r < 0)
		undo(sb, added);
	return r;
}

/* Before anything is made that would have to go again. */
static int check_record(struct msb_home *home, struct err *err)
{
	struct state *st;
	int r = home_lock(home, &st, err);

	if (r == 0)
		home_unlock(home);
	return r;
}

int life_create(struct msb_home *home, const struct msb_sandbox_opts *o,
                struct msb_sandbox *sb, struct err *err)
{
	int r = cancel_check(err);

	if (r == 0)
		r = make_name(o->name, sb->name, sizeof(sb->name));
	sb->home = home_ref(home);
	sb->ephemeral = !(o->flags & MSB_SANDBOX_KEEP);
	if (r == 0)
		r = check_record(home, err);
	if (r == 0)
		r = mounts_look(home, &sb->config.mounts, err);
	if (r == 0)
		life_reap(home);
	if (r == 0 && sb->config.secrets.n &&
	    !(o->flags & MSB_SANDBOX_NO_START))
		r = has_values(&sb->config, o->secrets, err);
	if (r == 0 && (o->flags & MSB_SANDBOX_REPLACE) && o->name)
		r = replace(home, o, err);
	if (r == 0)
		r = state_new_id(sb->id, err);
	if (r == 0)
		r = place_make(home->store, sb->id, &sb->place, err);
	return r < 0 ? r : create_in(sb, o, err);
}

/* ---- start and join ------------------------------------------------------ */

static int take_row(struct msb_sandbox *sb, const struct state_sandbox *row,
                    struct err *err)
{
	(void)snprintf(sb->name, sizeof(sb->name), "%s", row->name);
	memcpy(sb->id, row->id, sizeof(sb->id));
	sb->ephemeral = row->ephemeral;
	sb->vmm_pid = row->pid;
	return sandbox_config_read(row->config, &sb->config, err);
}

static int busy(const char *name, struct err *err)
{
	err_set(err, -EBUSY, "%s is running", name);
	err_hint(err, "msb exec %s runs a command in it, msb stop %s ends it",
	         name, name);
	return -EBUSY;
}

/* The row again: what was read before the lock may be gone or changed. */
static int start_locked(struct msb_sandbox *sb, const char *id, int lock,
                        const struct msb_start_opts *o, struct err *err)
{
	struct state_sandbox cleanup_state_sandbox row = {0};
	struct image cleanup_image image = {0};
	int r = life_get(sb->home, id, &row, err);

	if (r == 0)
		r = take_row(sb, &row, err);
	if (row.started_ms) /* its volumes were there: an empty one is a loss */
		mounts_must_exist(&sb->config.mounts);
	if (o->flags & MSB_START_NO_LINKS) {
		mounts_refuse_links(&sb->config.mounts);
		sb->config.root.no_links = true;
	}
	(void)unlinkat(sb->place.dir_fd, MODIFY_ACTIVE_FILE, 0);
	if (r == 0 && sb->config.root.kind == ROOT_IMAGE)
		r = image_find_pinned(sb->home->store, sb->id, &image, err);
	return r < 0 ? r : start_machine(sb, &image, lock, o, err);
}

int life_start(struct msb_home *home, const char *name,
               const struct msb_start_opts *o, struct msb_sandbox *sb,
               struct err *err)
{
	struct state_sandbox cleanup_state_sandbox row = {0};
	cleanup_close int lock = -1;
	int r = life_get(home, name, &row, err);

	sb->home = home_ref(home);
	if (r == 0)
		r = place_open(home->store, row.id, &sb->place, err);
	if (r < 0)
		return r;
	lock = life_lock(&sb->place, row.name, err);
	if (lock == -EBUSY)
		return busy(row.name, err);
	return lock < 0 ? lock : start_locked(sb, row.id, lock, o, err);
}

static int not_running(const char *name, struct err *err)
{
	err_set(err, -LIB_EGONE, "%s is not running", name);
	err_hint(err, "msb start %s starts it", name);
	return -LIB_EGONE;
}

/* Who starts it holds the lock a moment before there is a socket. */
static int join(struct msb_sandbox *sb)
{
	uint64_t end = clock_now_ns() + JOIN_MS * NS_PER_MS;

	while (place_is_locked(&sb->place)) {
		int fd = place_connect(&sb->place);

		if (fd >= 0 || clock_now_ns() >= end)
			return fd;
		if (cancel_sleep(1) < 0)
			return -ECANCELED;
	}
	return -LIB_EGONE;
}

/*
 * msb-vmm says to each who joins how the machine is, before it answers
 * anything: whoever looks at the handle then sees it. One that does not answer
 * is joined all the same, to be killed.
 */
static int hear_state(struct msb_sandbox *sb, struct err *err)
{
	const struct proto_msg msg = {.type = PROTO_VMM_STATS};
	struct machine_answer a = {.fd = -1};
	struct err why = {0};
	int r = sandbox_ask(sb, &msg, -1, PROTO_VMM_STATS_REPLY, HEAR_MS, &a,
	                    &why);

	if (r == 0)
		machine_answer_release(&a);
	return r == -ECANCELED ? err_set(err, r, "cancelled") : 0;
}

int life_open(struct msb_home *home, const char *name, struct msb_sandbox *sb,
              struct err *err)
{
	struct state_sandbox cleanup_state_sandbox row = {0};
	int r = life_get(home, name, &row, err);

	sb->home = home_ref(home);
	if (r == 0)
		r = take_row(sb, &row, err);
	if (r < 0)
		return r;
	r = place_open(home->store, row.id, &sb->place, err);
	if (r == -ENOENT)
		return not_running(row.name, err);
	if (r < 0)
		return r;
	sb->machine.joined = true;
	r = join(sb);
	if (r == -LIB_EGONE)
		return not_running(row.name, err);
	if (r == -ECANCELED)
		return err_set(err, r, "cancelled");
	if (r < 0)
		return err_set(err, r, "cannot reach %s: %s", row.name,
		               strerror(-r));
	sb->machine.control = r;
	if (!place_has_tls(&sb->place)) /* they wait for its next start */
		secrets_release(&sb->config.secrets);
	if (row.ready_ms && !row.ended_ms) /* nobody need write it again */
		atomic_store(&sb->recorded, true);
	return hear_state(sb, err);
}
