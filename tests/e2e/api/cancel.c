/*
 * Every call that waits, ended by a token from another thread, and what is left
 * of it afterwards: nothing half done, and handles that can be used on.
 *
 *	cancel HOME IMAGE SLOW FOLDER
 *
 * SLOW is a reference whose registry takes for ever. Prints how long each call
 * took to end after its token was fired, and "done"; any failure prints where
 * and ends with 1.
 */
#include <microsandbox.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAME    "box"
#define FIRE_MS 150  /* so long it waits first */
#define BOOT_MS 20   /* the fastest start takes longer */
#define CUTS    5    /* tries to hit a call that does work */
#define BEFORE  0    /* the token was fired */
#define WITHIN  -1   /* the call's event function fires it */
#define LATE_MS 3000 /* 200 are promised; this host may be busy */
#define BIG     "24" /* MiB */

static struct msb_error error;
static struct msb_home *home;
static struct msb_image *image;
static struct msb_sandbox *box;
static struct msb_exec *command;
static const char *slow, *folder;
static int never_read, never_written; /* pipes */

struct firing {
	struct msb_cancel *token;
	int after_ms;
	double at_ms;
};
static struct firing *within;

static void check(int ok, int line, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "line %d: %s; last error: %s: %s\n", line, what,
	        msb_code_name(error.code), error.message);
	exit(1);
}
#define CHECK(cond) check(cond, __LINE__, #cond)

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static const char *in_folder(const char *name)
{
	static char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static int count(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	CHECK(d != NULL);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n - 2;
}

/* ---- calls --------------------------------------------------------------- */

static int start(const char *script, struct msb_exec **ret)
{
	const char *argv[] = {script, NULL};
	struct msb_exec_opts opts = MSB_EXEC_OPTS_INIT;

	opts.flags = MSB_EXEC_SHELL;
	opts.argv = argv;
	return msb_exec_start(box, &opts, ret, &error);
}

/* Its exit code, or a negative one of ours. */
static int run(const char *script)
{
	struct msb_exec *x;
	int code = -1, r = start(script, &x);

	if (r == 0)
		r = msb_exec_wait(x, -1, &code, &error);
	msb_exec_free(x);
	return r < 0 ? r : code;
}

static int pulls(void)
{
	struct msb_pull_opts o = MSB_PULL_OPTS_INIT;
	struct msb_image *none;

	o.insecure = 1;
	return msb_image_pull(home, slow, &o, &none, &error);
}

static int loads(void)
{
	char **names;

	return msb_image_load(home, "-", NULL, NULL, &names, &error);
}

static int saves(void)
{
	const char *names[] = {msb_image_info(image)->reference, NULL};

	return msb_image_save(home, names, NULL, "-", &error);
}

static int creates(void)
{
	struct msb_sandbox_opts opts = MSB_SANDBOX_OPTS_INIT;
	struct msb_sandbox *none;

	opts.image = image;
	opts.name = "never";
	return msb_sandbox_create(home, &opts, &none, &error);
}

static int gets_ready(void)
{
	return msb_sandbox_wait_ready(box, -1, &error);
}

static int ends(void)
{
	return msb_sandbox_wait(box, -1, &error);
}

static int stops(void)
{
	return msb_sandbox_stop(box, 60000, &error);
}

static int runs(void)
{
	const char *argv[] = {"sleep", "1000", NULL};
	struct msb_exec_opts opts = MSB_EXEC_OPTS_INIT;
	struct msb_output *out;

	opts.argv = argv;
	return msb_exec_run(box, &opts, NULL, 0, 0, -1, &out, &error);
}

static int runs_and_says(void)
{
	const char *argv[] = {"yes", NULL};
	struct msb_exec_opts opts = MSB_EXEC_OPTS_INIT;
	struct msb_output *out;

	opts.argv = argv;
	return msb_exec_run(box, &opts, NULL, 0, 0, -1, &out, &error);
}

static int nexts(void)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	int r;

	do
		r = msb_exec_next(command, -1, &ev, &error);
	while (r > 0);
	return r;
}

static int waits(void)
{
	int code;

	return msb_exec_wait(command, -1, &code, &error);
}

static int follows(void)
{
	struct msb_log_opts o = MSB_LOG_OPTS_INIT;
	struct msb_log_entry entry = MSB_LOG_ENTRY_INIT;
	struct msb_logs *logs;
	int r;

	o.follow = 1;
	CHECK(msb_logs_open(home, NAME, &o, &logs, &error) == 0);
	do
		r = msb_logs_next(logs, -1, &entry, &error);
	while (r > 0);
	msb_logs_free(logs);
	return r;
}

static int reads(void)
{
	void *data;
	size_t len;

	int r = msb_file_read(box, "/big", 0, &data, &len, &error);

	if (r == 0)
		msb_free(data);
	return r;
}

/* Only the token is to end it. */
static int on_event(void *arg, const struct msb_copy_event *event)
{
	(void)arg;
	(void)event;
	if (within->after_ms == WITHIN) {
		within->after_ms = 0;
		within->at_ms = now_ms();
		msb_cancel_fire(within->token);
	}
	return 0;
}

static const struct msb_copy_opts firing_opts = {.size = sizeof(firing_opts),
                                                 .event = on_event};

static int copies_in(void)
{
	return msb_copy_in(box, in_folder("big"), "/copy", &firing_opts,
	                   &error);
}

static int copies_out(void)
{
	return msb_copy_out(box, "/big", in_folder("out/copy"), &firing_opts,
	                    &error);
}

static int tars_in(void)
{
	return msb_copy_in_tar(box, never_written, "/copies", NULL, &error);
}

static int tars_out(void)
{
	return msb_copy_out_tar(box, "/big", never_read, NULL, &error);
}

static int copies_across(void)
{
	return msb_copy_across(box, "/big", box, "/copy", &firing_opts, &error);
}

static int commits(void)
{
	return msb_image_commit(home, NAME, "never/made:1", NULL, NULL, &error);
}

static void removes_image(void)
{
	CHECK(msb_image_remove(home, "never/made:1", &error) == 0);
}

static void nothing(void)
{
}

static int snapshots(void)
{
	struct msb_snapshot_opts o = MSB_SNAPSHOT_OPTS_INIT;

	o.flags = MSB_SNAPSHOT_INTEGRITY;
	return msb_snapshot_create(home, NAME, "shot", &o, &error);
}

static int verifies(void)
{
	return msb_snapshot_verify(home, "shot", &error);
}

static int saves_snapshot(void)
{
	return msb_snapshot_save(home, "shot", in_folder("out/shot"), 0,
	                         &error);
}

static int loads_snapshot(void)
{
	return msb_snapshot_load(home, in_folder("shot.msb"), "again", NULL,
	                         &error);
}

static int makes_volume(void)
{
	struct msb_volume_opts o = MSB_VOLUME_OPTS_INIT;

	o.kind = MSB_VOLUME_DISK;
	o.size_bytes = 1ull << 30;
	return msb_volume_create(home, "never", &o, &error);
}

/* ---- cancelled ----------------------------------------------------------- */

static void *fire(void *arg)
{
	struct firing *f = arg;

	(void)poll(NULL, 0, f->after_ms);
	f->at_ms = now_ms();
	msb_cancel_fire(f->token);
	return NULL;
}

/* What @call returned. */
static int fired(const char *name, int (*call)(void), int after_ms)
{
	struct firing f = {.after_ms = after_ms, .at_ms = now_ms()};
	pthread_t other;
	double took;
	int r;

	CHECK(msb_cancel_new(&f.token, &error) == 0);
	within = &f;
	if (after_ms == BEFORE)
		msb_cancel_fire(f.token);
	else if (after_ms > 0)
		CHECK(pthread_create(&other, NULL, fire, &f) == 0);
	msb_cancel_use(f.token);
	r = call();
	msb_cancel_use(NULL);
	took = now_ms();
	if (after_ms > 0)
		(void)pthread_join(other, NULL);
	took -= f.at_ms;
	msb_cancel_free(f.token);
	fprintf(stderr, "%-16s %6.1f ms\n", name, took);
	CHECK(took < LATE_MS);
	return r;
}

static void cancelled(const char *name, int (*call)(void), int after_ms)
{
	CHECK(fired(name, call, after_ms) == -MSB_ERR_CANCELLED);
	CHECK(error.code == MSB_ERR_CANCELLED);
}

/*
 * A call that does work and ends by itself, in the midst of it: how long it
 * takes is measured. One that came to its end first is undone, and cut earlier.
 */
static void cut(const char *name, int (*call)(void), void (*undo)(void))
{
	double took = now_ms();
	int r = call();

	CHECK(r == 0);
	took = now_ms() - took;
	for (int i = 0; r == 0 && i < CUTS; i++) {
		undo();
		took /= 4;
		r = fired(name, call, 1 + (int)took);
	}
	CHECK(r == -MSB_ERR_CANCELLED);
	CHECK(error.code == MSB_ERR_CANCELLED);
}

/* The guest kills what nobody holds any more: soon. */
static void is_gone_in_guest(const char *name)
{
	char script[64];

	(void)snprintf(script, sizeof(script), "pidof %s", name);
	for (int i = 0; run(script) == 0; i++) {
		CHECK(i < 50);
		(void)poll(NULL, 0, 100);
	}
}

static void images(void)
{
	struct msb_image **list;
	size_t n;

	cancelled("pull", pulls, FIRE_MS);
	cancelled("load", loads, FIRE_MS);
	cancelled("save", saves, FIRE_MS);
	CHECK(msb_image_list(home, &list, &n, &error) == 0);
	CHECK(n == 1);
	msb_image_list_free(list, n);
}

static void boot(void)
{
	struct msb_sandbox_opts opts = MSB_SANDBOX_OPTS_INIT;
	struct msb_sandbox_list *list;

	cancelled("create", creates, BEFORE);
	CHECK(msb_sandbox_list(home, NULL, &list, &error) == 0);
	CHECK(msb_sandbox_list_count(list) == 0);
	msb_sandbox_list_free(list);
	opts.image = image;
	opts.name = NAME;
	opts.memory_bytes = 128ull << 20;
	opts.flags = MSB_SANDBOX_KEEP;
	CHECK(msb_sandbox_create(home, &opts, &box, &error) == 0);
	cancelled("wait_ready", gets_ready, BOOT_MS);
	CHECK(msb_sandbox_wait_ready(box, -1, &error) == 0);
}

static void commands(void)
{
	int code;

	cancelled("exec_run", runs, FIRE_MS);
	is_gone_in_guest("sleep");
	cancelled("exec_run of yes", runs_and_says, FIRE_MS);
	is_gone_in_guest("yes");
	CHECK(start("sleep 1000", &command) == 0);
	cancelled("exec_next", nexts, FIRE_MS);
	cancelled("exec_wait", waits, FIRE_MS);
	CHECK(msb_exec_signal(command, SIGKILL, &error) == 0);
	CHECK(msb_exec_wait(command, -1, &code, &error) == 0);
	CHECK(code == 128 + SIGKILL);
	msb_exec_free(command);
	cancelled("logs", follows, FIRE_MS);
	cancelled("wait", ends, FIRE_MS);
}

static void copies(void)
{
	CHECK(mkdir(in_folder("out"), 0700) == 0);
	CHECK(run("mkdir /copies; yes | head -c " BIG "m > /big") == 0);
	CHECK(msb_copy_out(box, "/big", in_folder("big"), NULL, &error) == 0);
	cut("file_read", reads, nothing);
	cancelled("copy_in", copies_in, WITHIN);
	cancelled("copy_in_tar", tars_in, FIRE_MS);
	cancelled("copy_out", copies_out, WITHIN);
	cancelled("copy_out_tar", tars_out, FIRE_MS);
	cancelled("copy_across", copies_across, WITHIN);
	CHECK(count(in_folder("out")) == 0);
	for (int i = 0; run("ls -A / /copies | grep -e cop.*[0-9] -e '^copy' "
	                    "-e msb-") == 0;
	     i++) {
		CHECK(i < 50);
		(void)poll(NULL, 0, 100);
	}
	cut("commit", commits, removes_image);
	CHECK(msb_image_open(home, "never/made:1", &(struct msb_image *){0},
	                     NULL) == -MSB_ERR_NOT_FOUND);
}

/* What is asked for is a stop: that goes on. */
static void stop(void)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;

	CHECK(start("trap '' TERM; echo up; while :; do sleep 1; done",
	            &command) == 0);
	do
		CHECK(msb_exec_next(command, -1, &ev, &error) == 1);
	while (ev.kind != MSB_EXEC_STDOUT); /* it is deaf now */
	cancelled("stop", stops, FIRE_MS);
	CHECK(msb_sandbox_state(box) == MSB_STATE_READY);
	CHECK(msb_sandbox_stop(box, 0, &error) == 0);
	CHECK(msb_sandbox_state(box) == MSB_STATE_STOPPED);
	msb_exec_free(command);
	msb_sandbox_free(box);
}

static void kept(void)
{
	struct msb_snapshots *none;
	struct msb_volumes *volumes;

	cancelled("snapshot", snapshots, BEFORE);
	CHECK(msb_snapshot_list(home, "shot", &none, NULL) ==
	      -MSB_ERR_NOT_FOUND);
	CHECK(snapshots() == 0);
	cancelled("verify", verifies, BEFORE);
	CHECK(verifies() == 0);
	cancelled("snapshot_save", saves_snapshot, BEFORE);
	CHECK(count(in_folder("out")) == 0);
	CHECK(msb_snapshot_save(home, "shot", in_folder("shot.msb"), 0,
	                        &error) == 0);
	cancelled("snapshot_load", loads_snapshot, BEFORE);
	CHECK(msb_snapshot_list(home, "again", &none, NULL) ==
	      -MSB_ERR_NOT_FOUND);
	cancelled("volume", makes_volume, BEFORE);
	CHECK(msb_volume_list(home, "never", &volumes, NULL) ==
	      -MSB_ERR_NOT_FOUND);
}

/* Standard input that never says anything, and output that nobody reads. */
static int replace_stdio(void)
{
	int in[2], out[2], kept_out = dup(1);

	CHECK(pipe(in) == 0 && pipe(out) == 0);
	CHECK(dup2(in[0], 0) == 0 && dup2(out[1], 1) == 1);
	never_written = in[0];
	never_read = out[1];
	return kept_out;
}

int main(int argc, char **argv)
{
	int out, fds;

	CHECK(argc == 5);
	slow = argv[3];
	folder = argv[4];
	out = replace_stdio();
	fds = count("/proc/self/fd");
	CHECK(msb_home_open(argv[1], &home, &error) == 0);
	CHECK(msb_image_open(home, argv[2], &image, &error) == 0);
	images();
	boot();
	commands();
	copies();
	stop();
	kept();
	msb_image_free(image);
	msb_home_free(home);
	CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
	CHECK(count("/proc/self/fd") == fds);
	CHECK(write(out, "done\n", 5) == 5);
	return 0;
}
