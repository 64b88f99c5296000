#include "lib/life.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "base/virt.h"
#include "image/image.h"
#include "lib/error.h"
#include "lib/image.h"
#include "lib/launch.h"

#include "base/banned.h"

#define HOSTNAME_LEN 63
#define VMM_NAME_LEN 64 /* what msb-vmm takes; only ps shows it */
#define JOIN_MS      2000
#define END_MS       5000 /* from a machine's last word to its lock's release */
#define UPPER_FILE   "upper.ext4"

#define cleanup_rootfs cleanup(rootfs_release)
#define cleanup_image  cleanup(image_release)

/* ---- what has ended ------------------------------------------------------ */

/* An end that the user asked for, or that is as good. */
static bool is_clean(const char *reason)
{
	static const char *const clean[] = {
		"poweroff",     "exited", "idle_timeout",
		"max_duration", "killed", "stopped",
	};

	for (size_t i = 0; i < ARRAY_SIZE(clean); i++)
		if (strcmp(reason, clean[i]) == 0)
			return true;
	return false;
}

int32_t life_state(const struct state_sandbox *row, bool locked)
{
	if (locked && !row->ended_ms && row->started_ms)
		return row->ready_ms ? MSB_STATE_READY : MSB_STATE_STARTING;
	if (!row->started_ms)
		return MSB_STATE_CREATED;
	if (strcmp(row->end_reason, "failed") == 0)
		return MSB_STATE_FAILED;
	return is_clean(row->end_reason) ? MSB_STATE_STOPPED
	                                 : MSB_STATE_CRASHED;
}

/* The row first: a folder without it is swept by its mark. */
static int remove_both(struct msb_home *home, struct state *st, const char *id,
                       struct err *err)
{
	int r = state_remove(st, id, err);

	if (r < 0 && r != -ENOENT)
		return r;
	(void)image_unpin(home->store, id);
	return place_remove(home->store, id, err);
}

/* Under its lock, or without a folder: @p NULL. */
static void settle_locked(struct msb_home *home, struct state *st,
                          const struct place *p,
                          const struct state_sandbox *row)
{
	struct place_end end = {.exit_code = -1};

	if (row->ephemeral) {
		(void)remove_both(home, st, row->id, NULL);
		return;
	}
	if (!row->started_ms || row->ended_ms)
		return;
	if (p)
		(void)place_read_end(p, &end);
	if (!end.ended_ms)
		end.ended_ms = (int64_t)(clock_unix_ns() / NS_PER_MS);
	if (!*end.reason)
		(void)snprintf(end.reason, sizeof(end.reason), "crashed");
	if (!*end.message && strcmp(end.reason, "crashed") == 0)
		(void)snprintf(end.message, sizeof(end.message), "%s",
		               p ? "msb-vmm died unexpectedly"
		                 : "its folder is gone");
	(void)state_set_ended(st, row->id, row->started_ms, end.ended_ms,
	                      end.reason, end.message, end.exit_code, NULL);
}

/* With the record at hand. Quick, and nothing when it lives. */
static void settle(struct msb_home *home, struct state *st,
                   const struct state_sandbox *row)
{
	struct place cleanup_place p = PLACE_INIT;
	cleanup_close int lock = -1;
	int r = place_open(home->store, row->id, &p, NULL);

	if (r == -ENOENT) {
		settle_locked(home, st, NULL, row);
		return;
	}
	if (r < 0)
		return;
	lock = place_lock(&p, NULL);
	if (lock >= 0)
		settle_locked(home, st, &p, row);
}

void life_reap(struct msb_home *home)
{
	struct state_sandbox *list = NULL;
	struct state *st;
	size_t n = 0;

	if (home_lock(home, &st, NULL) < 0)
		return;
	if (state_unended(st, &list, &n, NULL) == 0)
		for (size_t i = 0; i < n; i++)
			settle(home, st, &list[i]);
	state_list_free(list, n);
	home_unlock(home);
}

static bool is_open(const struct state_sandbox *row)
{
	return row->ephemeral || (row->started_ms && !row->ended_ms);
}

int life_get(struct msb_home *home, const char *name, struct state_sandbox *ret,
             struct err *err)
{
	struct state *st;
	int r = home_lock(home, &st, err);

	if (r < 0)
		return r;
	r = state_get(st, name, ret, err);
	if (r == 0 && is_open(ret)) {
		settle(home, st, ret);
		state_sandbox_release(ret);
		r = state_get(st, name, ret, err);
	}
	home_unlock(home);
	return r;
}

void life_ended(struct msb_sandbox *sb)
{
	struct state_sandbox cleanup_state_sandbox row = {0};

	if (sb->place.dir_fd < 0)
		return;
	(void)place_wait_unlocked(&sb->place, END_MS);
	(void)life_get(sb->home, sb->id, &row, NULL);
}

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

/* What a launch opens besides the runtime. */
struct files {
	struct rootfs root;
	int upper, listen, end, logs[2];
};

#define FILES_INIT                                                             \
	{                                                                      \
		.upper = -1, .listen = -1, .end = -1, .logs = { -1, -1 }       \
	}

static void files_release(struct files *f)
{
	rootfs_release(&f->root);
	close_fd(&f->upper);
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

static int open_upper(struct msb_sandbox *sb, struct files *f, struct err *err)
{
	struct stat st;
	int r;

	if (sb->ephemeral)
		return upper_create(sb->home->store, sb->config.upper_bytes,
		                    &f->upper, err);
	r = open_file(&sb->place, UPPER_FILE, O_RDWR, &f->upper, err);
	if (r == 0 && fstat(f->upper, &st) < 0)
		r = -errno;
	if (r == 0 && (uint64_t)st.st_size != sb->config.upper_bytes)
		r = err_set(err, -EUCLEAN,
		            "its " UPPER_FILE " has %llu bytes, not %llu",
		            (unsigned long long)st.st_size,
		            (unsigned long long)sb->config.upper_bytes);
	return r;
}

static int open_files(struct msb_sandbox *sb, const struct image *image,
                      struct files *f, struct err *err)
{
	const struct place *p = &sb->place;
	int r = lib_image_open_root(sb->home->store, image, &f->root, err);

	if (r == 0)
		r = open_upper(sb, f, err);
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
	struct launch l = {
		.runtime = &rt,
		.root = &f.root,
		.upper_bytes = sb->config.upper_bytes,
		.name = name,
		.hostname = sb->config.hostname,
		.config = &sb->config,
		.lock_fd = lock,
		.stderr_fd = o->log_fd > 0 ? o->log_fd : -1,
		.log_level = o->log_level,
	};
	int r = runtime_find(&rt, err);

	(void)snprintf(name, sizeof(name), "%.*s", VMM_NAME_LEN, sb->name);
	(void)snprintf(hostname, sizeof(hostname), "%.*s", HOSTNAME_LEN,
	               sb->name);
	if (!l.hostname)
		l.hostname = hostname;
	if (r == 0)
		r = find_qemu(&sb->config, &rt, err);
	if (r == 0)
		r = open_files(sb, image, &f, err);
	if (r < 0)
		return r;
	l.upper_fd = f.upper;
	l.listen_fd = f.listen;
	l.end_fd = f.end;
	l.log_fds[0] = f.logs[0];
	l.log_fds[1] = f.logs[1];
	return launch_start(&l, &sb->machine.pid, &sb->machine.control, err);
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

/* What a kept one has in its folder before it is on record. */
static int fill_folder(struct msb_sandbox *sb, const struct image *image,
                       struct err *err)
{
	int r = upper_create_at(sb->home->store, sb->config.upper_bytes,
	                        sb->place.dir_fd, UPPER_FILE, err);

	return r < 0 ? r : image_pin(sb->home->store, image, sb->id, err);
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
                         const struct msb_sandbox_opts *o, struct err *err)
{
	struct state_sandbox cleanup_state_sandbox row = {0};
	int r = make_row(sb, o, &row);

	if (r == 0 && !sb->ephemeral)
		r = fill_folder(sb, &o->image->image, err);
	if (r == 0)
		r = add_row(sb, &row, err);
	if (r == 0 && !sb->ephemeral)
		r = place_write_json(&sb->place, &row, err);
	if (r == 0 && !sb->ephemeral)
		r = place_unmark(&sb->place);
	return r;
}

/* Take it all back, under its lock. */
static void undo(struct msb_sandbox *sb)
{
	struct state *st;

	machine_release(&sb->machine);
	sb->machine = (struct machine)MACHINE_INIT;
	(void)place_mark(&sb->place);
	if (home_lock(sb->home, &st, NULL) == 0) {
		(void)remove_both(sb->home, st, sb->id, NULL);
		home_unlock(sb->home);
	}
	place_release(&sb->place);
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
	                                     .log_level = o->log_level};
	cleanup_close int lock = place_lock(&sb->place, err);
	int r = lock < 0 ? lock : put_on_record(sb, o, err);

	if (r == 0 && !(o->flags & MSB_SANDBOX_NO_START))
		r = start_machine(sb, &o->image->image, lock, &start, err);
	if (r < 0)
		undo(sb);
	return r;
}

int life_create(struct msb_home *home, const struct msb_sandbox_opts *o,
                struct msb_sandbox *sb, struct err *err)
{
	int r = make_name(o->name, sb->name, sizeof(sb->name));

	sb->home = home_ref(home);
	sb->ephemeral = !(o->flags & MSB_SANDBOX_KEEP);
	life_reap(home);
	if (r == 0 && (o->flags & MSB_SANDBOX_REPLACE) && o->name)
		r = replace(home, o, err);
	if (r == 0)
		r = sandbox_config_take(&sb->config, o,
		                        &o->image->image.config);
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

static int start_locked(struct msb_sandbox *sb, int lock,
                        const struct msb_start_opts *o, struct err *err)
{
	struct image cleanup_image image = {0};
	int r = image_find_pinned(sb->home->store, sb->id, &image, err);

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
		r = take_row(sb, &row, err);
	if (r == 0)
		r = place_open(home->store, row.id, &sb->place, err);
	if (r < 0)
		return r;
	lock = place_lock(&sb->place, err);
	if (lock == -EBUSY)
		return busy(row.name, err);
	return lock < 0 ? lock : start_locked(sb, lock, o, err);
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
		(void)usleep(1000);
	}
	return -LIB_EGONE;
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
	if (r < 0)
		return err_set(err, r, "cannot reach %s: %s", row.name,
		               strerror(-r));
	sb->machine.control = r;
	machine_process(&sb->machine);
	return 0;
}

/* ---- kill and remove ----------------------------------------------------- */

static bool is_vmm(int64_t pid)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(64);
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%lld/comm", (long long)pid);
	return file_read(AT_FDCWD, path, &b) == 0 &&
	       strcmp(buf_str(&b), "msb-vmm\n") == 0;
}

/* The descriptor is there before the look, so that it is about the same one. */
void life_kill(const struct place *p, int64_t pid)
{
	cleanup_close int fd = -1;

	if (pid <= 0 || pid > INT32_MAX || !place_is_locked(p))
		return;
	fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	if (fd >= 0 && is_vmm(pid) && place_is_locked(p))
		(void)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
}

static int remove_locked(struct msb_home *home, const struct place *p,
                         const char *id, struct err *err)
{
	struct state *st;
	int r = p ? place_mark(p) : 0;

	if (r < 0)
		return err_set(err, r, "cannot write to its folder: %s",
		               strerror(-r));
	r = home_lock(home, &st, err);
	if (r < 0)
		return r;
	r = remove_both(home, st, id, err);
	home_unlock(home);
	return r;
}

/* -EBUSY when it runs. */
static int try_remove(struct msb_home *home, const struct state_sandbox *row,
                      struct err *err)
{
	struct place cleanup_place p = PLACE_INIT;
	cleanup_close int lock = -1;
	int r = place_open(home->store, row->id, &p, err);

	if (r == -ENOENT) {
		*err = (struct err){0};
		return remove_locked(home, NULL, row->id, err);
	}
	if (r < 0)
		return r;
	lock = place_lock(&p, err);
	return lock < 0 ? lock : remove_locked(home, &p, row->id, err);
}

/* By its id: the name may be another's by then. */
static void stop_it(struct msb_home *home, const struct state_sandbox *row,
                    uint32_t grace_ms)
{
	struct msb_sandbox *sb = NULL;

	if (msb_sandbox_open(home, row->id, &sb, NULL) == 0)
		(void)msb_sandbox_stop(sb, grace_ms, NULL);
	msb_sandbox_free(sb);
}

int life_remove(struct msb_home *home, const char *name, bool force,
                uint32_t grace_ms, struct err *err)
{
	struct state_sandbox cleanup_state_sandbox row = {0};
	struct err local = {0};
	int r;

	err = err ? err : &local;
	r = life_get(home, name, &row, err);
	if (r == 0)
		r = try_remove(home, &row, err);
	if (r == -EBUSY && force) {
		*err = (struct err){0};
		stop_it(home, &row, grace_ms);
		r = try_remove(home, &row, err);
		if (r == -ENOENT) /* it was ephemeral, and ended */
			r = 0;
	}
	if (r == -EBUSY) {
		err_set(err, r, "%s is running", row.name);
		err_hint(err, "stop it first, or remove it with --force");
	}
	return r;
}
