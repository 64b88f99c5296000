/* cmd_self.c - msb self: this installation and how to be rid of it. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/num.h"
#include "cli/command.h"
#include "cli/installed.h"
#include "cli/launcher.h"
#include "cli/out.h"

#include "base/banned.h"

COMMAND_DECLARE(self_uninstall)

struct uninstall_values {
	bool yes, keep_data, force, dry_run;
};
static_assert(sizeof(struct uninstall_values) <= COMMAND_VALUES_MAX, "grow it");

#define FIELD(f) offsetof(struct uninstall_values, f)
const struct opt cmd_self_uninstall_opts[] = {
	OPT_ROW('y', "yes", NULL, OPT_FLAG, FIELD(yes), "Do not ask"),
	OPT_ROW(0, "keep-data", NULL, OPT_FLAG, FIELD(keep_data),
                "Leave sandboxes, images and settings"),
	OPT_ROW('f', "force", NULL, OPT_FLAG, FIELD(force),
                "Also when sandboxes run: they are killed"),
	OPT_ROW(0, "dry-run", NULL, OPT_FLAG, FIELD(dry_run),
                "Only list what would go"),
	{0},
};
#undef FIELD

/*
 * What msb makes in its home folder. All else there is somebody else's: it
 * stays, and so does the folder.
 */
static const char *const home_entries[] = {
	"sandboxes",   "store",        "run",          "bin",
	"state.db",    "state.db-wal", "state.db-shm", "state.db-journal",
	"config.json", "config.toml",
};

struct uninstall {
	const struct uninstall_values *v;
	struct installed in;
	char *home;            /* NULL: there is none, or it stays */
	int home_fd;           /* -1 */
	struct msb_home *open; /* NULL: the same, or it cannot be read */
	struct msb_sandbox_list *list;
	struct msb_volumes *volumes; /* NULL: they stay */
	struct msb_error error;
	struct err err;
};

/* ---- what there is ------------------------------------------------------- */

/*
 * Opening a home makes one, and a command that takes things away should not.
 * So it is looked for first, where the library would look.
 */
static bool has_home(void)
{
	const char *set = getenv("MSB_HOME"), *user = getenv("HOME");
	char *cleanup_free path = NULL;
	struct stat st;

	if (set && *set)
		return stat(set, &st) == 0;
	if (!user || *user != '/')
		return true; /* the library asks the user database */
	return asprintf(&path, "%s/.microsandbox", user) > 0 &&
	       stat(path, &st) == 0;
}

static bool runs(const struct msb_sandbox_info *i)
{
	return i->state == MSB_STATE_READY || i->state == MSB_STATE_STARTING;
}

static void name_running(const struct uninstall *u, struct buf *ret)
{
	for (size_t i = 0; i < msb_sandbox_list_count(u->list); i++) {
		const struct msb_sandbox_info *info =
			msb_sandbox_list_get(u->list, i);

		if (runs(info))
			(void)buf_printf(ret, "%s%s", ret->len ? ", " : "",
			                 info->name);
	}
}

/* 0, or an exit code after a message. */
static int look_at_home(struct uninstall *u)
{
	struct buf cleanup_buf names = BUF_INIT;

	if (!has_home())
		return 0;
	if (msb_home_open(NULL, &u->open, &u->error) < 0 ||
	    msb_sandbox_list(u->open, NULL, &u->list, &u->error) < 0) {
		if (u->v->keep_data || (u->open && u->v->force))
			return 0;
		out_error(&u->error);
		out_note("  → --keep-data leaves the home folder alone");
		return EXIT_FAILED;
	}
	name_running(u, &names);
	if (names.len && !u->v->force) {
		out_errorf("stop them, or use --force to kill them",
		           "sandboxes run: %s", buf_str(&names));
		return EXIT_FAILED;
	}
	return 0;
}

static int take_home(struct uninstall *u)
{
	if (!u->open || u->v->keep_data)
		return 0;
	u->home = strdup(msb_home_path(u->open));
	if (!u->home)
		return -ENOMEM;
	if (msb_volume_list(u->open, NULL, &u->volumes, &u->error) < 0)
		u->volumes = NULL; /* said when one is to be removed */
	u->home_fd = open(u->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (u->home_fd < 0)
		return err_set(&u->err, -errno, "cannot open %s: %s", u->home,
		               strerror(errno));
	return 0;
}

static bool has_entry(const struct uninstall *u, const char *name)
{
	struct stat st;

	return fstatat(u->home_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- what is said -------------------------------------------------------- */

static size_t count_ours(const struct installed *in)
{
	size_t n = 1; /* the list itself */

	for (size_t i = 0; i < in->n; i++)
		n += in->files[i].state == INSTALLED_OURS;
	return n;
}

static void tell_changed(const struct installed *in)
{
	for (size_t i = 0; i < in->n; i++)
		if (in->files[i].state == INSTALLED_CHANGED)
			out_note("not as it was installed, stays: %s/%s",
			         in->prefix, in->files[i].path);
}

/* They may be of another msb or home: that is not ours to tell. */
static void tell_launchers(void)
{
	struct buf cleanup_buf names = BUF_INIT;
	cleanup_free char *folder = NULL;
	struct launcher *list = NULL;
	cleanup_close int fd = -1;
	size_t n = 0;

	if (launcher_folder(false, &folder, &fd, NULL) < 0 ||
	    launcher_list(fd, &list, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		(void)buf_printf(&names, "%s%s", i ? ", " : "", list[i].name);
		launcher_release(&list[i]);
	}
	free(list);
	if (n)
		out_note("commands of msb install stay in %s: %s", folder,
		         buf_str(&names));
}

static void show_plan(const struct uninstall *u)
{
	struct buf cleanup_buf b = BUF_INIT;

	for (size_t i = 0; i < u->in.n; i++) {
		buf_reset(&b);
		(void)buf_printf(&b, "%s/%s", u->in.prefix,
		                 u->in.files[i].path);
		if (u->in.files[i].state == INSTALLED_OURS)
			out_line(buf_str(&b));
	}
	for (size_t i = 0; u->volumes && i < msb_volumes_count(u->volumes); i++)
		out_line(msb_volumes_get(u->volumes, i)->path);
	for (size_t i = 0; u->home && i < ARRAY_SIZE(home_entries); i++) {
		buf_reset(&b);
		(void)buf_printf(&b, "%s/%s", u->home, home_entries[i]);
		if (has_entry(u, home_entries[i]))
			out_line(buf_str(&b));
	}
}

/* True: go on. */
static bool ask(const struct uninstall *u)
{
	char answer[16];

	if (u->v->yes)
		return true;
	if (!isatty(0)) {
		out_errorf("give -y", "nobody is there to be asked");
		return false;
	}
	(void)fprintf(stderr, "Remove msb (%zu files in %s)",
	              count_ours(&u->in), u->in.prefix);
	if (u->home)
		(void)fprintf(
			stderr, " and all of %s (%zu sandboxes, %zu volumes)",
			u->home, u->list ? msb_sandbox_list_count(u->list) : 0,
			u->volumes ? msb_volumes_count(u->volumes) : 0);
	(void)fprintf(stderr, "? [y/N] ");
	if (!fgets(answer, sizeof(answer), stdin))
		return false;
	return strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0;
}

/* ---- what is done -------------------------------------------------------- */

static int kill_one(struct uninstall *u, const char *name)
{
	struct msb_sandbox *sb;
	int r = msb_sandbox_open(u->open, name, &sb, &u->error);

	if (r < 0) /* it ended meanwhile */
		return r == -MSB_ERR_GONE || r == -MSB_ERR_NOT_FOUND ? 0 : r;
	r = msb_sandbox_stop(sb, 0, &u->error);
	msb_sandbox_free(sb);
	return r;
}

static int end_sandboxes(struct uninstall *u)
{
	int r = 0;

	for (size_t i = 0; i < msb_sandbox_list_count(u->list) && r == 0; i++) {
		const struct msb_sandbox_info *info =
			msb_sandbox_list_get(u->list, i);

		if (runs(info))
			r = kill_one(u, info->name);
	}
	return r;
}

/* Folders beside them are of others, such as the Rust msb's volumes. */
static int remove_volumes(struct uninstall *u)
{
	size_t n = u->volumes ? msb_volumes_count(u->volumes) : 0;
	int r = 0;

	for (size_t i = 0; i < n && r >= 0; i++) {
		r = msb_volume_remove(u->open,
		                      msb_volumes_get(u->volumes, i)->name, 1,
		                      &u->error);
		if (r == -MSB_ERR_NOT_FOUND)
			r = 0;
	}
	msb_volumes_free(u->volumes);
	u->volumes = NULL;
	return r;
}

static int remove_home(struct uninstall *u)
{
	int r = 0;

	(void)unlinkat(u->home_fd, "volumes", AT_REMOVEDIR);

	for (size_t i = 0; i < ARRAY_SIZE(home_entries) && r == 0; i++) {
		r = dir_remove(u->home_fd, home_entries[i]);
		if (r < 0)
			err_set(&u->err, r, "cannot remove %s/%s: %s", u->home,
			        home_entries[i], strerror(-r));
	}
	if (r < 0)
		return r;
	if (rmdir(u->home) < 0 && errno != ENOENT)
		out_note("%s stays: there is more in it than msb's", u->home);
	else
		out_done("Removed", u->home);
	return 0;
}

static int fail(const struct uninstall *u)
{
	if (u->err.code)
		out_err(&u->err);
	else
		out_error(&u->error);
	return EXIT_FAILED;
}

static int act(struct uninstall *u)
{
	struct buf cleanup_buf b = BUF_INIT;

	if ((u->list && end_sandboxes(u) < 0) || remove_volumes(u) < 0)
		return fail(u);
	msb_sandbox_list_free(u->list);
	u->list = NULL;
	msb_home_free(u->open);
	u->open = NULL;
	if (u->home && remove_home(u) < 0)
		return fail(u);
	if (installed_remove(&u->in, &u->err) < 0)
		return fail(u);
	(void)buf_printf(&b, "%zu files of %s", count_ours(&u->in),
	                 u->in.prefix);
	out_done("Removed", buf_str(&b));
	return EXIT_OK;
}

static int uninstall(struct uninstall *u)
{
	int code;

	if (installed_read(&u->in, &u->err) < 0)
		return fail(u);
	code = look_at_home(u);
	if (code)
		return code;
	if (take_home(u) < 0)
		return fail(u);
	tell_changed(&u->in);
	tell_launchers();
	if (u->v->dry_run) {
		show_plan(u);
		return EXIT_OK;
	}
	return ask(u) ? act(u) : EXIT_FAILED;
}

int cmd_self_uninstall(struct cli *cli, void *values)
{
	struct uninstall u = {.v = values, .in = INSTALLED_INIT, .home_fd = -1};
	int code = uninstall(&u);

	(void)cli;
	msb_volumes_free(u.volumes);
	msb_sandbox_list_free(u.list);
	msb_home_free(u.open);
	installed_release(&u.in);
	close_fd(&u.home_fd);
	free(u.home);
	return code;
}
