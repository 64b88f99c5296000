#include "lib/life.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "image/image.h"
#include "lib/error.h"
#include "lib/tls_launch.h"
#include "lib/upper.h"

#include "base/banned.h"

#define END_MS       5000 /* from a machine's last word to its lock's release */
#define LOCK_MS      3000
#define LOCK_LOOK_MS 5
#define KILL_MS      3000 /* what the kernel takes to free a large guest */

/* ---- what has ended ------------------------------------------------------ */

int32_t life_state(const struct state_sandbox *row, bool locked)
{
	if (locked && !row->ended_ms && row->started_ms)
		return row->ready_ms ? MSB_STATE_READY : MSB_STATE_STARTING;
	if (!row->started_ms)
		return MSB_STATE_CREATED;
	if (strcmp(row->end_reason, "failed") == 0)
		return MSB_STATE_FAILED;
	return machine_is_clean_end(row->end_reason) ? MSB_STATE_STOPPED
	                                             : MSB_STATE_CRASHED;
}

/* Whether files of others were below its disk. */
static bool is_chained(struct msb_home *home, const char *id)
{
	struct place cleanup_place p = PLACE_INIT;

	return place_open(home->store, id, &p, NULL) == 0 &&
	       faccessat(p.dir_fd, DISKS_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The row first: a folder without it is swept by its mark. */
int life_drop(struct msb_home *home, struct state *st, const char *id,
              struct err *err)
{
	bool chained = is_chained(home, id);
	int r = state_remove(st, id, err);

	if (r < 0 && r != -ENOENT)
		return r;
	(void)image_unpin(home->store, id);
	r = place_remove(home->store, id, err);
	if (r == 0 && chained)
		disks_sweep(home->store);
	return r;
}

/* Under its lock, or without a folder: @p NULL. */
static void settle_locked(struct msb_home *home, struct state *st,
                          const struct place *p,
                          const struct state_sandbox *row)
{
	const int64_t now = (int64_t)(clock_unix_ns() / NS_PER_MS);
	struct place_end end = {.exit_code = -1};

	if (row->ephemeral) {
		(void)life_drop(home, st, row->id, NULL);
		return;
	}
	if (!row->started_ms || row->ended_ms)
		return;
	if (p)
		(void)place_read_end(p, &end);
	/* It may be anything: what the record refuses would never be settled.
	 */
	if (end.ended_ms <= 0 || end.ended_ms > now)
		end.ended_ms = now;
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

/* One thread waits for it. */
static void reap_tls(struct msb_sandbox *sb)
{
	pid_t pid;

	(void)pthread_mutex_lock(&sb->lock);
	pid = sb->tls_pid;
	sb->tls_pid = 0;
	(void)pthread_mutex_unlock(&sb->lock);
	tls_launch_reap(&pid);
	if (pid <= 0)
		return;
	(void)pthread_mutex_lock(&sb->lock);
	sb->tls_pid = pid;
	(void)pthread_mutex_unlock(&sb->lock);
}

int life_ended(struct msb_sandbox *sb)
{
	struct state_sandbox cleanup_state_sandbox row = {0};
	int r;

	if (sb->place.dir_fd < 0)
		return 0;
	r = place_wait_unlocked(&sb->place, END_MS);
	if (r == -ECANCELED)
		return r;
	reap_tls(sb);
	r = life_get(sb->home, sb->id, &row, NULL);
	return r == -ECANCELED ? r : 0;
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
int life_kill(const struct place *p, int64_t pid, uint32_t grace_ms)
{
	cleanup_close int fd = -1;
	int r;

	if (pid <= 0 || pid > INT32_MAX || !place_is_locked(p))
		return 0;
	fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	if (fd < 0 || !is_vmm(pid) || !place_is_locked(p))
		return 0;
	r = grace_ms ? machine_await_process(fd, grace_ms) : -ETIMEDOUT;
	if (r != -ETIMEDOUT)
		return r;
	(void)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	return machine_await_process(fd, KILL_MS);
}

int life_no_such(const char *name, struct err *err)
{
	err_set(err, -ENOENT, "there is no sandbox %s", name);
	err_hint(err, "msb ls shows which there are");
	return -ENOENT;
}

/* A machine that runs listens; who holds the lock otherwise is soon done. */
static bool listens(const struct place *p)
{
	cleanup_close int fd = place_connect(p);

	return fd >= 0 || fd == -EAGAIN;
}

int life_lock(const struct place *p, const char *name, struct err *err)
{
	uint64_t end = clock_now_ns() + LOCK_MS * NS_PER_MS;
	int r;

	while ((r = place_lock(p, NULL)) == -EBUSY && !listens(p)) {
		if (clock_now_ns() >= end) {
			err_set(err, -EAGAIN, "another msb is busy with %s",
			        name);
			err_hint(err, "try again when it is done");
			return -EAGAIN;
		}
		if (cancel_sleep(LOCK_LOOK_MS) < 0)
			return err_set(err, -ECANCELED, "cancelled");
	}
	if (r == -ENOENT)
		return life_no_such(name, err);
	if (r == -EBUSY)
		return err_set(err, r, "%s is running", name);
	return r < 0 ? err_set(err, r, "cannot lock %s: %s", name, strerror(-r))
	             : r;
}

/*
 * The mark comes before the row goes. If that does not go, the mark must: what
 * has one is rubbish as soon as the record is lost.
 */
static int remove_row(struct state *st, const struct place *p, const char *id,
                      struct err *err)
{
	bool marked = p && place_is_marked(p);
	int r = p ? place_mark(p) : 0;

	if (r < 0)
		return err_set(err, r, "cannot write to its folder: %s",
		               strerror(-r));
	r = state_remove(st, id, err);
	if (r < 0 && r != -ENOENT && p && !marked)
		(void)place_unmark(p);
	return r;
}

static int remove_locked(struct msb_home *home, const struct place *p,
                         const char *id, struct err *err)
{
	struct state *st;
	int r = home_lock(home, &st, err);

	if (r < 0)
		return r;
	r = remove_row(st, p, id, err);
	/* On a full disk the row needs room, and its data go in any case. */
	if (r == -ENOSPC && p && upper_remove(p) == 0)
		r = remove_row(st, p, id, err);
	if (r == 0 || r == -ENOENT)
		r = life_drop(home, st, id, err);
	home_unlock(home);
	return r;
}

/* *ret_runs: that is why not. The record may be busy, too. */
static int try_remove(struct msb_home *home, const struct state_sandbox *row,
                      bool *ret_runs, struct err *err)
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
	lock = life_lock(&p, row->name, err);
	*ret_runs = lock == -EBUSY;
	return lock < 0 ? lock : remove_locked(home, &p, row->id, err);
}

/* By its id: the name may be another's by then. */
static int stop_it(struct msb_home *home, const struct state_sandbox *row,
                   uint32_t grace_ms, struct err *err)
{
	struct msb_sandbox *sb = NULL;

	if (msb_sandbox_open(home, row->id, &sb, NULL) == 0)
		(void)msb_sandbox_stop(sb, grace_ms, NULL);
	msb_sandbox_free(sb);
	return cancel_check(err);
}

int life_remove(struct msb_home *home, const char *name, bool force,
                uint32_t grace_ms, struct err *err)
{
	struct state_sandbox cleanup_state_sandbox row = {0};
	struct err local = {0};
	bool runs = false;
	int r;

	err = err ? err : &local;
	r = life_get(home, name, &row, err);
	if (r == 0)
		r = try_remove(home, &row, &runs, err);
	if (runs && force) {
		*err = (struct err){0};
		runs = false;
		r = stop_it(home, &row, grace_ms, err);
		if (r == 0)
			r = try_remove(home, &row, &runs, err);
		if (r == -ENOENT) /* it was ephemeral, and ended */
			r = 0;
	}
	if (runs)
		err_hint(err, "stop it first, or remove it with --force");
	return r;
}
