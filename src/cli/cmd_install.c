/* msb install and msb uninstall: a sandbox as a command of the user's. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/num.h"
#include "cli/command.h"
#include "cli/create_image.h"
#include "cli/launcher.h"
#include "cli/out.h"
#include "forms/create_opts.h"
#include "forms/patch_opts.h"

#include "base/banned.h"

COMMAND_DECLARE(install)
COMMAND_DECLARE(uninstall)

struct install_values {
	struct create_values create; /* first: CREATE_OPTS */
	int32_t format;              /* index into opt_format_choices */
	bool force, no_pull, tmp, list;
};
static_assert(sizeof(struct install_values) <= COMMAND_VALUES_MAX, "grow it");
static_assert(offsetof(struct install_values, create) == 0, "CREATE_OPTS");

#define FIELD(f) offsetof(struct install_values, f)
const struct opt cmd_install_opts[] = {
	CREATE_OPTS OPT_ROW(0, "tmp", NULL, OPT_FLAG, FIELD(tmp),
                            "A fresh machine each time, of which nothing "
                            "stays"),
	OPT_ROW(0, "no-pull", NULL, OPT_FLAG, FIELD(no_pull),
                "Do not fetch the image now"),
	OPT_ROW('f', "force", NULL, OPT_FLAG, FIELD(force),
                "Replace a file of that name, hide a command of that name"),
	OPT_ROW('l', "list", NULL, OPT_FLAG, FIELD(list),
                "List what is installed"),
	OPT_ROW_CHOICE(0, "format", "FORMAT", FIELD(format),
                       "How to print the list", opt_format_choices, NULL),
	{0},
};
#undef FIELD
const struct opt cmd_uninstall_opts[] = {{0}};

/* What a launcher hands on to msb. */
static const struct opt create_rows[] = {CREATE_OPTS{0}};

/* One installation: what is freed at its end. */
struct installation {
	const struct install_values *v;
	const struct cli *cli;
	struct create_plan plan;
	struct msb_home *home;
	struct msb_image *image;
	struct msb_error error;
	struct err err;
	char *name, *folder;
	int folder_fd;
};

static void release(struct installation *in)
{
	create_plan_release(&in->plan);
	msb_image_free(in->image);
	msb_home_free(in->home);
	free(in->name);
	free(in->folder);
	if (in->folder_fd >= 0)
		(void)close(in->folder_fd);
}

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}

/* ---- what to install ----------------------------------------------------- */

/* "docker.io/library/python:3.11" to "python", "./rootfs/" to "rootfs". */
static char *name_of(const char *reference)
{
	size_t len = strlen(reference);
	const char *begin;

	while (len > 1 && reference[len - 1] == '/')
		len--;
	begin = reference + len;
	while (begin > reference && begin[-1] != '/')
		begin--;
	len -= (size_t)(begin - reference);
	return strndup(begin, MIN(len, strcspn(begin, ":@")));
}

static int choose_name(struct installation *in)
{
	static const char *const ours[] = {"msb", "msb-vmm"};
	const char *given = in->v->create.name;

	in->name = given ? strdup(given) : name_of(in->plan.reference);
	if (!in->name)
		return no_memory(&in->err);
	if (!launcher_name_ok(in->name)) {
		err_set(&in->err, -EINVAL, "'%s' cannot be a command's name",
		        in->name);
		err_hint(&in->err, "give one with -n: letters, digits, . _ -");
		return -EINVAL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (strcmp(in->name, ours[i]) == 0)
			return err_set(&in->err, -EINVAL,
			               "%s is a command of ours", in->name);
	return 0;
}

/* A launcher, another file, another command: only with --force. */
static int check_free(struct installation *in)
{
	struct launcher cleanup_launcher old = {0};
	int r = launcher_read(in->folder_fd, in->name, &old);
	cleanup_free char *other = launcher_shadowed(in->folder_fd, in->name);

	if (in->v->force)
		return 0;
	if (r != -ENOENT) {
		err_set(&in->err, -EEXIST, "%s/%s is there already%s",
		        in->folder, in->name,
		        r == 0 ? "" : " and was not made by msb install");
		err_hint(&in->err, "-f replaces it, -n gives another name");
		return -EEXIST;
	}
	if (!other)
		return 0;
	err_set(&in->err, -EEXIST, "%s is a command already: %s", in->name,
	        other);
	err_hint(&in->err, "-n gives another name, -f takes this one");
	return -EEXIST;
}

static int check_values(struct installation *in)
{
	const struct create_values *c = &in->v->create;

	if (!c->replace && !c->replace_timeout)
		return 0;
	err_set(&in->err, -EINVAL, "--replace would begin anew with each call");
	err_hint(&in->err, "--tmp gives a fresh machine each time");
	return -EINVAL;
}

/* All that needs no network and changes nothing. */
static int prepare(struct installation *in)
{
	int r = check_values(in);

	if (r == 0)
		r = create_plan_make(&in->v->create, in->cli->words[0],
		                     in->cli->tail, &in->plan, &in->err);
	if (r == 0)
		r = choose_name(in);
	if (r == 0)
		r = launcher_folder(true, &in->folder, &in->folder_fd,
		                    &in->err);
	return r < 0 ? r : check_free(in);
}

/* ---- the image ----------------------------------------------------------- */

static int has_command(struct installation *in)
{
	const struct msb_sandbox_opts *o = &in->plan.opts;
	const struct msb_image_info *i = msb_image_info(in->image);

	if ((o->command && *o->command) || (o->entrypoint && *o->entrypoint) ||
	    *i->entrypoint || *i->cmd)
		return 0;
	in->error = (struct msb_error){
		.code = MSB_ERR_INVALID,
		.message = "the image names no command to run",
		.hint = "give one: msb install IMAGE -- COMMAND"};
	return -MSB_ERR_INVALID;
}

/* A sandbox of that name is used as it is: better said now. */
static void tell_existing(struct installation *in)
{
	struct msb_sandbox_info *info = NULL;

	if (in->v->tmp || in->v->create.quiet ||
	    msb_sandbox_inspect(in->home, in->name, &info, NULL) < 0)
		return;
	out_note("sandbox %s is there already and stays as it is; msb rm %s "
	         "has the next call make it anew",
	         in->name, in->name);
	msb_sandbox_info_free(info);
}

static int get_image(struct installation *in)
{
	int r = msb_home_open(NULL, &in->home, &in->error);

	if (r == 0 && !in->v->no_pull)
		r = create_plan_image(&in->plan, in->home, in->v->create.quiet,
		                      &in->image, &in->error);
	if (r == 0 && in->image)
		r = has_command(in);
	if (r == 0)
		tell_existing(in);
	return r;
}

/* ---- the launcher -------------------------------------------------------- */

/* "PREFIX:PATH" with a path that holds in any folder. */
static int add_absolute(struct strv *to, const char *text, struct err *err)
{
	size_t len = strcspn(text, ":");
	const char *path = text + len + (text[len] == ':');
	cleanup_free char *real = realpath(path, NULL);

	if (!real)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (strv_addf(to, "%.*s:%s", (int)len, text, real) < 0)
		return no_memory(err);
	return 0;
}

static int add_all_absolute(struct strv *to, const struct strv *from,
                            struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < from->n && r == 0; i++)
		r = add_absolute(to, from->v[i], err);
	return r;
}

static int add_image(struct strv *args, const char *image, struct err *err)
{
	cleanup_free char *real = NULL;

	if (!image)
		return 0;
	if (*image == '.' || *image == '/') {
		real = realpath(image, NULL);
		if (!real)
			return err_set(err, -errno, "%s: %s", image,
			               strerror(errno));
	}
	return strv_add(args, real ? real : image) < 0 ? no_memory(err) : 0;
}

/*
 * The command that arguments are added to, also when a file says it. run puts
 * the words of an entrypoint before it, launch has it whole.
 */
static char *const *tail_of(const struct installation *in)
{
	if (!in->v->tmp)
		return (char *const *)in->plan.opts.command;
	if (in->cli->tail && *in->cli->tail)
		return in->cli->tail;
	return strv_list(&in->plan.conf.cmd);
}

/* What the launcher calls msb with. */
static int make_args(struct installation *in, struct strv *args)
{
	struct strv cleanup_strv conf = {0}, paths = {0}, mounts = {0};
	struct strv cleanup_strv patches = {0};
	const struct create_values *v = &in->v->create;
	struct create_values c = *v;
	cleanup_free char *pcap = NULL;
	struct secret_paths cleanup(secret_paths_release) tls = {0};
	int r = add_all_absolute(&conf, &v->conf, &in->err);

	if (r == 0)
		r = add_all_absolute(&paths, &v->script_paths, &in->err);
	if (r < 0)
		return r;
	c.conf = conf;
	if (mount_opts_absolute(&v->mounts, &mounts) < 0 ||
	    patch_opts_absolute(&v->patches, &patches) < 0 ||
	    net_opts_absolute(v->net.pcap, &pcap) < 0 ||
	    secret_opts_absolute(&v->secret, &tls) < 0)
		return no_memory(&in->err);
	c.net.pcap = pcap;
	c.secret.ca_cert = tls.ca_cert;
	c.secret.ca_key = tls.ca_key;
	c.secret.cas = tls.cas;
	c.secret.cas_for = tls.cas_for;
	c.mounts = mounts;
	c.patches = patches;
	c.script_paths = paths;
	c.name = in->v->tmp ? NULL : in->name;
	/* Its output is the command's; the image is here already. */
	c.quiet = v->quiet || !in->v->no_pull;
	if (strv_add(args, in->v->tmp ? "run" : "launch") < 0 ||
	    opt_unparse(create_rows, &c, args) < 0)
		return no_memory(&in->err);
	r = add_image(args, in->cli->words[0], &in->err);
	if (r == 0 &&
	    (strv_add(args, "--") < 0 || strv_add_all(args, tail_of(in)) < 0))
		return no_memory(&in->err);
	return r;
}

/* For people: words as they are where a shell takes them so. */
static void describe_command(const struct installation *in, struct buf *b)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._-+=:,@%/";
	const char *const *words = in->plan.opts.command;

	if (!words || !*words)
		(void)buf_adds(b, "the image's");
	for (; words && *words; words++) {
		bool simple = **words && !(*words)[strspn(*words, plain)];

		(void)buf_adds(b, b->len ? " " : "");
		if (simple)
			(void)buf_adds(b, *words);
		else
			(void)launcher_quote(b, *words);
	}
}

static int own_path(char *out, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", out, size - 1);

	if (n < 0)
		return -errno;
	out[n] = '\0';
	return 0;
}

static char *make_text(struct installation *in, char *const *args)
{
	struct buf cleanup_buf command = BUF_INIT;
	const char *home = getenv("MSB_HOME");
	char mode[2][16] = {"persisted", "tmp"}, msb[4096];
	struct launcher l = {.name = in->name,
	                     .image = in->plan.conf.image,
	                     .mode = mode[in->v->tmp]};

	if (own_path(msb, sizeof(msb)) < 0)
		return NULL;
	describe_command(in, &command);
	l.command = (char *)(uintptr_t)buf_str(&command);
	return launcher_text(
		&l, msb, home && *home ? msb_home_path(in->home) : NULL, args);
}

static int write_launcher(struct installation *in)
{
	struct strv cleanup_strv args = {0};
	cleanup_free char *text = NULL;
	int r = make_args(in, &args);

	if (r < 0)
		return r;
	text = make_text(in, strv_list(&args));
	if (!text)
		return no_memory(&in->err);
	return launcher_write(in->folder_fd, in->name, text, in->v->force,
	                      &in->err);
}

static void tell(const struct installation *in)
{
	char text[LAUNCHER_NAME_MAX + 4200];

	if (in->v->create.quiet)
		return;
	(void)snprintf(text, sizeof(text), "%s/%s", in->folder, in->name);
	out_done("Installed", text);
	if (!launcher_folder_in_path(in->folder_fd))
		out_note("  %s is not in PATH: export PATH=\"%s:$PATH\"",
		         in->folder, in->folder);
}

static int install(struct installation *in)
{
	if (prepare(in) < 0) {
		bool usage = !in->plan.reference || in->err.code == -EINVAL;

		out_err(&in->err);
		return usage ? EXIT_USAGE : EXIT_FAILED;
	}
	if (get_image(in) < 0) {
		out_error(&in->error);
		return EXIT_FAILED;
	}
	if (write_launcher(in) < 0) {
		out_err(&in->err);
		return EXIT_FAILED;
	}
	tell(in);
	return EXIT_OK;
}

/* ---- the list ------------------------------------------------------------ */

static int print_json(const struct launcher *l, size_t n)
{
	json_t *array = json_array();
	int r = array ? 0 : -1;

	for (size_t i = 0; i < n && r == 0; i++)
		r = json_array_append_new(
			array, json_pack("{s:s, s:s, s:s, s:s}", "name",
		                         l[i].name, "image", l[i].image, "mode",
		                         l[i].mode, "command", l[i].command));
	if (r < 0) {
		json_decref(array);
		array = NULL;
	}
	return out_json(array);
}

static int print_table(const struct launcher *l, size_t n)
{
	struct strv cleanup_strv cells = {0};
	int r = 0;

	for (size_t i = 0; i <= n && r == 0; i++) {
		const struct launcher *row = i ? &l[i - 1] : NULL;
		char *const texts[] = {row ? row->name : "NAME",
		                       row ? row->image : "IMAGE",
		                       row ? row->mode : "MODE",
		                       row ? row->command : "COMMAND", NULL};

		r = strv_add_all(&cells, texts);
	}
	if (r < 0) {
		out_errorf("", "out of memory");
		return EXIT_FAILED;
	}
	if (n)
		out_table(&cells, 4);
	else
		out_note("Nothing is installed.");
	return EXIT_OK;
}

static int print_names(const struct launcher *l, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out_line(l[i].name);
	return EXIT_OK;
}

static int list(const struct install_values *v)
{
	struct launcher *all = NULL;
	cleanup_free char *folder = NULL;
	cleanup_close int fd = -1;
	struct err err = {0};
	size_t n = 0;
	int code, r = launcher_folder(false, &folder, &fd, &err);

	if (r == 0)
		r = launcher_list(fd, &all, &n);
	if (r < 0 && r != -ENOENT) {
		if (!err.msg[0])
			err_set(&err, r, "%s: %s", folder, strerror(-r));
		out_err(&err);
		return EXIT_FAILED;
	}
	code = v->format         ? print_json(all, n)
	       : v->create.quiet ? print_names(all, n)
	                         : print_table(all, n);
	for (size_t i = 0; i < n; i++)
		launcher_release(&all[i]);
	free(all);
	return code;
}

int cmd_install(struct cli *cli, void *values)
{
	const struct install_values *v = values;
	struct installation in = {.v = v, .cli = cli, .folder_fd = -1};
	int code;

	if (v->list && (cli->nwords || cli->tail)) {
		out_errorf("", "--list takes no image and no command");
		return EXIT_USAGE;
	}
	if (v->list)
		return list(v);
	code = install(&in);
	release(&in);
	return code;
}

/* ---- uninstall ----------------------------------------------------------- */

static int uninstall(int fd, const char *folder, const char *name)
{
	struct launcher cleanup_launcher l = {0};
	int r = launcher_name_ok(name) ? launcher_read(fd, name, &l) : -ENOENT;

	if (r == -ENOENT) {
		out_errorf("msb install --list shows what is",
		           "%s is not installed", name);
	} else if (r == -EINVAL) {
		out_errorf("", "%s/%s was not made by msb install: it stays",
		           folder, name);
	} else if (r == 0) {
		r = unlinkat(fd, name, 0) < 0 ? -errno : 0;
		if (r == 0)
			out_done("Uninstalled", name);
	}
	if (r < 0 && r != -ENOENT && r != -EINVAL)
		out_errorf("", "cannot remove %s/%s: %s", folder, name,
		           strerror(-r));
	return r;
}

/* A sandbox of that name, with what was written in it, is not ours to drop. */
int cmd_uninstall(struct cli *cli, void *values)
{
	cleanup_free char *folder = NULL;
	cleanup_close int fd = -1;
	struct err err = {0};
	int code = EXIT_OK;
	int r = launcher_folder(false, &folder, &fd, &err);

	(void)values;
	if (r < 0) {
		out_err(&err);
		return EXIT_FAILED;
	}
	for (int i = 0; i < cli->nwords; i++)
		if (uninstall(fd, folder, cli->words[i]) < 0)
			code = EXIT_FAILED;
	return code;
}
