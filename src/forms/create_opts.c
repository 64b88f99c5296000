/*
 * create_opts.c - from options and files to the library's options.
 *
 * Everything is gathered in a struct conf: files from left to right, then the
 * flags over them, as one more layer. A value replaces the one below, of lists
 * of KEY=VALUE each key, and what can be repeated on the command line is added
 * to the files' list. Only then the library's struct is made of it, so there
 * is one place where a rule about a value is kept.
 */
#include "forms/create_opts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "forms/scripts.h"

#include "base/banned.h"

#define BOOT_MAX_MS 3600000u

/* In the order of the enums of the library, with "not given" first. */
const char *const create_pull_choices[] = {"", "if-missing", "always", "never",
                                           NULL};
const char *const create_engine_choices[] = {"", "auto", "kvm", "qemu", NULL};
const char *const create_accel_choices[] = {"", "tcg", "kvm", "auto", NULL};

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}

static int put_pairs(struct strv *to, const struct strv *from)
{
	int r = 0;

	for (size_t i = 0; i < from->n && r == 0; i++)
		r = strv_env_set(to, from->v[i]);
	return r;
}

/* "KEY" is a label with an empty value. */
static int put_labels(struct strv *to, const struct strv *from, struct err *err)
{
	for (size_t i = 0; i < from->n; i++) {
		struct strv cleanup_strv one = {0};
		const char *text = from->v[i];

		if (*text == '=' || *text == '\0')
			return err_set(err, -EINVAL,
			               "--label: '%s' is not KEY or KEY=VALUE",
			               text);
		if (strv_addf(&one, "%s%s", text,
		              strchr(text, '=') ? "" : "=") < 0 ||
		    put_pairs(to, &one) < 0)
			return no_memory(err);
	}
	return 0;
}

static int put_entrypoint(struct conf *c, const char *program)
{
	if (!program)
		return 0;
	strv_release(&c->entrypoint);
	c->has_entrypoint = true;
	return *program ? strv_add(&c->entrypoint, program) : 0;
}

static int put_texts(struct conf *c, const struct create_values *v,
                     const char *image)
{
	const struct {
		char **to;
		const char *from;
	} texts[] = {
		{&c->image,    image      },
                {&c->snapshot, v->snapshot},
		{&c->workdir,  v->workdir },
                {&c->shell,    v->shell   },
		{&c->user,     v->user    },
                {&c->hostname, v->hostname},
		{&c->init,     v->init    },
	};
	int r = put_entrypoint(c, v->entrypoint);

	for (size_t i = 0; i < ARRAY_SIZE(texts) && r == 0; i++)
		r = str_put(texts[i].to, texts[i].from);
	return r;
}

static void put_numbers(struct conf *c, const struct create_values *v)
{
	if (v->cpus)
		c->cpus = v->cpus;
	if (v->memory)
		c->memory = v->memory;
	if (v->max_duration_ms)
		c->max_duration_ms = v->max_duration_ms;
	if (v->idle_timeout_ms)
		c->idle_timeout_ms = v->idle_timeout_ms;
	if (v->pull)
		c->pull = v->pull;
}

/* What the command line names takes the place of what the files say. */
static void drop_other(struct conf *c, const char *image, const char *snapshot)
{
	if (snapshot && !image) {
		free(c->image);
		c->image = NULL;
	}
	if (image && !snapshot) {
		free(c->snapshot);
		c->snapshot = NULL;
	}
}

/* The flags, over what the files said. */
static int put_flags(struct conf *c, const struct create_values *v,
                     const char *image, struct err *err)
{
	put_numbers(c, v);
	drop_other(c, image, v->snapshot);
	if (put_texts(c, v, image) < 0 || put_pairs(&c->env, &v->env) < 0 ||
	    put_pairs(&c->rlimits, &v->rlimits) < 0 ||
	    put_pairs(&c->init_env, &v->init_env) < 0 ||
	    strv_add_all(&c->init_args, strv_list(&v->init_args)) < 0)
		return no_memory(err);
	return put_labels(&c->labels, &v->labels, err);
}

/*
 * The command: what an entrypoint of several words has behind its first, then
 * @tail, else the files' cmd. @ret_said is false when nothing was said at all.
 */
static int make_command(const struct conf *c, char *const *tail,
                        struct strv *command, bool *ret_said)
{
	bool given = tail && *tail;
	size_t i = 1;
	int r = 0;

	for (; i < c->entrypoint.n && r == 0; i++)
		r = strv_add(command, c->entrypoint.v[i]);
	if (r == 0)
		r = strv_add_all(command, given ? tail : strv_list(&c->cmd));
	*ret_said = given || c->has_cmd || command->n > 0;
	return r;
}

static int take_seconds(uint64_t ms, const char *what, uint32_t *ret,
                        struct err *err)
{
	uint64_t s = ms / 1000 + (ms % 1000 != 0);

	if (s > INT32_MAX)
		return err_set(err, -EINVAL, "the %s is too long", what);
	*ret = (uint32_t)s;
	return 0;
}

/* SIZE, tmpfs or tmpfs:SIZE. */
static int take_root_disk(const char *text, struct msb_sandbox_opts *o,
                          struct err *err)
{
	const char *size = text;

	if (!text)
		return 0;
	if (strncmp(text, "tmpfs", 5) == 0 && (!text[5] || text[5] == ':')) {
		o->upper = MSB_UPPER_TMPFS;
		o->upper_bytes = 0;
		size = text[5] ? text + 6 : NULL;
	}
	if (!size ||
	    (num_parse_size(size, MIB, &o->upper_bytes) && o->upper_bytes))
		return 0;
	err_set(err, -EINVAL,
	        "--root-disk: '%s' is neither a size nor tmpfs[:SIZE]", text);
	if (strncmp(text, "flat", 4) == 0)
		err_hint(err, "image and upper are always apart here: give "
		              "the size alone, as 8G");
	else if (strpbrk(text, "./"))
		err_hint(err, "a disk image of yours is named in IMAGE's "
		              "place, or mounted by --mount-disk");
	else
		err_hint(err, "for example 8G, or tmpfs:2G for memory");
	return -EINVAL;
}

/* The library knows no grace of 0: its nearest is a millisecond. */
static int take_replace(const struct create_values *v,
                        struct msb_sandbox_opts *o, struct err *err)
{
	uint64_t ms;

	if (!v->replace && !v->replace_timeout)
		return 0;
	if (!v->name)
		return err_set(err, -EINVAL, "--replace needs a --name");
	o->flags |= MSB_SANDBOX_REPLACE;
	if (!v->replace_timeout)
		return 0;
	if (!num_parse_duration_ms(v->replace_timeout, &ms) ||
	    ms > UINT32_MAX) {
		err_set(err, -EINVAL,
		        "--replace-with-timeout: '%s' is not a duration",
		        v->replace_timeout);
		err_hint(err, "for example 500ms, 30s or 5m; 0: at once");
		return -EINVAL;
	}
	o->replace_timeout_ms = ms ? (uint32_t)ms : 1;
	return 0;
}

static int check(const struct create_values *v, const struct conf *c,
                 struct err *err)
{
	if (!c->image && !c->snapshot) {
		err_set(err, -EINVAL, "an image is missing");
		err_hint(err, "name one, or a file with --conf that has "
		              "'image: ...'");
		return -EINVAL;
	}
	if (c->image && c->snapshot) {
		err_set(err, -EINVAL,
		        "there is both an image, %s, and a "
		        "snapshot, %s",
		        c->image, c->snapshot);
		err_hint(err, "a snapshot knows its image; a command comes "
		              "behind --");
		return -EINVAL;
	}
	if (c->snapshot && v->live_root)
		return err_set(err, -EINVAL,
		               "--live-root is for folders, not for snapshots");
	if (!c->init && (c->init_args.n || c->init_env.n))
		return err_set(err, -EINVAL,
		               "--init-arg and --init-env need --init");
	if (c->shell && (!*c->shell || strpbrk(c->shell, " \t\r\n")))
		return err_set(err, -EINVAL, "'%s' is not a shell: one word is",
		               c->shell);
	if (v->engine == MSB_ENGINE_KVM && v->accel == MSB_ACCEL_TCG)
		return err_set(
			err, -EINVAL,
			"--engine kvm (or MSB_ENGINE) and --accel tcg (or "
			"MSB_ACCEL) exclude each other: the kvm engine always "
			"runs on KVM, tcg is the qemu engine's");
	return 0;
}

static const char *const *list_or_null(const struct strv *s)
{
	return s->n ? (const char *const *)s->v : NULL;
}

static void fill_lists(struct create_plan *p, bool has_command)
{
	struct msb_sandbox_opts *o = &p->opts;

	o->labels = list_or_null(&p->conf.labels);
	o->env = list_or_null(&p->conf.env);
	o->rlimits = list_or_null(&p->conf.rlimits);
	o->scripts = list_or_null(&p->conf.scripts);
	o->init_args = list_or_null(&p->conf.init_args);
	o->init_env = list_or_null(&p->conf.init_env);
	if (has_command)
		o->command = (const char *const *)strv_list(&p->command);
	if (p->conf.has_entrypoint)
		o->entrypoint =
			p->conf.entrypoint.n ? p->conf.entrypoint.v[0] : "";
}

/* Those of files first: the command line knows what they did. */
static int fill_patches(struct create_plan *p, const struct create_values *v,
                        struct err *err)
{
	int r = patch_list_move(&p->patches, &p->conf.patch_files);

	if (r == 0)
		r = patch_list_move(&p->patches, &p->conf.patches);
	if (r < 0)
		return no_memory(err);
	r = patch_options(&p->patches, &v->patches, err);
	if (r < 0)
		return r;
	if (patch_list_pointers(&p->patches, &p->patch_pointers) < 0)
		return no_memory(err);
	p->opts.patches = p->patch_pointers;
	return 0;
}

/* Those of files first; two at one target the library refuses. */
static int fill_mounts(struct create_plan *p, const struct create_values *v,
                       struct err *err)
{
	int r = mount_opts_add_all(&p->conf.mounts, &v->mounts, err);

	p->opts.mounts = (const struct msb_mount *const *)p->conf.mounts.v;
	return r;
}

static int fill(struct create_plan *p, const struct create_values *v,
                struct err *err)
{
	struct msb_sandbox_opts *o = &p->opts;
	const struct conf *c = &p->conf;
	int r;

	o->name = v->name;
	o->hostname = c->hostname;
	o->workdir = c->workdir;
	o->user = c->user;
	o->shell = c->shell;
	o->init = c->init;
	o->cpus = c->cpus;
	o->memory_bytes = c->memory;
	o->upper_bytes = c->upper;
	o->engine = v->engine;
	o->accel = v->accel;
	o->snapshot = c->snapshot;
	o->boot_timeout_ms = (uint32_t)MIN(v->boot_timeout_ms, BOOT_MAX_MS);
	o->flags = v->name ? MSB_SANDBOX_KEEP : 0;
	r = take_seconds(c->max_duration_ms, "maximum duration",
	                 &o->max_duration_s, err);
	if (r == 0)
		r = take_seconds(c->idle_timeout_ms, "idle timeout",
		                 &o->idle_timeout_s, err);
	if (r == 0)
		r = take_root_disk(v->root_disk, o, err);
	return r < 0 ? r : take_replace(v, o, err);
}

static int make(struct create_plan *p, const struct create_values *v,
                const char *image, char *const *tail, struct err *err)
{
	bool has_command;
	int r = put_flags(&p->conf, v, image, err);
	if (r == 0)
		r = net_opts_put(&p->conf.net, &v->net, err);
	if (r == 0)
		r = secret_opts_put(&p->conf.secret, &v->secret, err);
	if (r == 0)
		r = check(v, &p->conf, err);
	if (r == 0)
		r = scripts_put(&p->conf, &v->scripts, &v->scripts_raw,
		                &v->script_paths, err);
	if (r == 0)
		r = fill(p, v, err);
	if (r < 0)
		return r;
	if (make_command(&p->conf, tail, &p->command, &has_command) < 0)
		return no_memory(err);
	fill_lists(p, has_command);
	r = fill_mounts(p, v, err);
	if (r == 0)
		r = fill_patches(p, v, err);
	if (r == 0)
		r = net_conf_make(&p->conf.net, &p->net, err);
	if (r == 0)
		r = secret_conf_make(&p->conf.secret, &p->secret, err);
	if (r < 0)
		return r;
	p->opts.secrets = p->secret->pointers;
	p->opts.tls = &p->secret->tls;
	p->opts.network = &p->net->network;
	p->reference = p->conf.image;
	p->root = v->live_root ? MSB_ROOT_LIVE : MSB_ROOT_PACKED;
	p->pull = p->conf.pull ? p->conf.pull - 1 : MSB_PULL_MISSING;
	return 0;
}

/* Take it, or give back what a failed one holds. */
static int give(struct create_plan *p, int r, struct create_plan *ret)
{
	if (r < 0)
		create_plan_release(p);
	else
		*ret = *p;
	return r;
}

int create_plan_make(const struct create_values *v, const char *image,
                     char *const *tail, struct create_plan *ret,
                     struct err *err)
{
	struct create_plan p = {.opts = MSB_SANDBOX_OPTS_INIT};
	int r = 0;

	for (size_t i = 0; i < v->conf.n && r == 0; i++)
		r = conf_read(&p.conf, v->conf.v[i], err);
	if (r == 0)
		r = make(&p, v, image, tail, err);
	return give(&p, r, ret);
}

int create_plan_parse(const struct create_values *v, const char *what,
                      const void *data, size_t len, struct create_plan *ret,
                      struct err *err)
{
	struct create_plan p = {.opts = MSB_SANDBOX_OPTS_INIT,
	                        .conf.foreign = true};
	int r = conf_parse(&p.conf, "conf", what, data, len, err);

	if (r == 0)
		r = make(&p, v, NULL, NULL, err);
	return give(&p, r, ret);
}

void create_plan_release(struct create_plan *p)
{
	conf_release(&p->conf);
	strv_release(&p->command);
	patch_list_release(&p->patches);
	free(p->patch_pointers);
	net_made_free(p->net);
	secret_made_free(p->secret);
	*p = (struct create_plan){0};
}

void create_plan_notes(const struct create_plan *p, struct strv *ret)
{
	net_opts_notes(p->opts.network, ret);
	secret_opts_notes(p->opts.secrets, ret);
}
