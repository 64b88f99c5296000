#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "cli/command.h"
#include "cli/out.h"
#include "cli/targets.h"
#include "forms/secret_opts.h"

#include "base/banned.h"

COMMAND_DECLARE(modify)

#define GRACE_MS 10000u

struct modify_values {
	struct strv env, env_rm, labels, labels_rm, secrets, secrets_rm;
	const char *workdir, *user, *hostname, *shell;
	const char *max_duration, *idle_timeout; /* text: may be 0 */
	uint64_t memory, root_disk;
	uint32_t cpus;
	int32_t format; /* index into opt_format_choices */
	bool dry_run, next_start, restart, quiet;
};
static_assert(sizeof(struct modify_values) <= COMMAND_VALUES_MAX, "grow it");

#define FIELD(f) offsetof(struct modify_values, f)
const struct opt cmd_modify_opts[] = {
	OPT_ROW('c', "cpus", "N", OPT_COUNT, FIELD(cpus), "Virtual CPUs"),
	OPT_ROW('m', "memory", "SIZE", OPT_MEMORY, FIELD(memory),
                "Memory, as 512M or 2G"),
	OPT_ROW(0, "root-disk", "SIZE", OPT_MEMORY, FIELD(root_disk),
                "Room for what is written in it; can only grow"),
	OPT_ROW('e', "env", "KEY[=VALUE]", OPT_ENV, FIELD(env),
                "Set a variable (repeatable)"),
	OPT_ROW(0, "env-rm", "KEY", OPT_LIST, FIELD(env_rm),
                "Drop a variable (repeatable)"),
	OPT_ROW(0, "secret", "ENV[:OPTIONS][@HOST[,HOST...]]", OPT_LIST,
                FIELD(secrets),
                "Set a secret, as of msb run; without HOST only its value, "
                "read from the variable here; at once in a sandbox that runs "
                "with secrets (repeatable)"),
	OPT_ROW(0, "secret-rm", "ENV", OPT_LIST, FIELD(secrets_rm),
                "Drop a secret (repeatable)"),
	OPT_ROW(0, "label", "KEY[=VALUE]", OPT_LIST, FIELD(labels),
                "Set a label (repeatable)"),
	OPT_ROW(0, "label-rm", "KEY", OPT_LIST, FIELD(labels_rm),
                "Drop a label (repeatable)"),
	OPT_ROW('w', "workdir", "DIR", OPT_STRING, FIELD(workdir),
                "Working folder; \"\": the image's"),
	OPT_ROW('u', "user", "USER[:GROUP]", OPT_STRING, FIELD(user),
                "User; \"\": the image's"),
	OPT_ROW('H', "hostname", "NAME", OPT_STRING, FIELD(hostname),
                "Host name inside; \"\": the sandbox's name"),
	OPT_ROW(0, "shell", "PROGRAM", OPT_STRING, FIELD(shell),
                "Shell of msb shell; \"\": /bin/sh"),
	OPT_ROW(0, "max-duration", "DURATION", OPT_STRING, FIELD(max_duration),
                "Stop it when it ran for so long; 0: no limit"),
	OPT_ROW(0, "idle-timeout", "DURATION", OPT_STRING, FIELD(idle_timeout),
                "Stop it when it was idle for so long; 0: no limit"),
	OPT_ROW(0, "dry-run", NULL, OPT_FLAG, FIELD(dry_run),
                "Only show what would change"),
	OPT_ROW(0, "next-start", NULL, OPT_FLAG, FIELD(next_start),
                "What a running machine cannot change waits for its next "
                "start"),
	OPT_ROW(0, "restart", NULL, OPT_FLAG, FIELD(restart),
                "Restart a running machine for it"),
	OPT_ROW_CHOICE(0, "format", "FORMAT", FIELD(format), "How to print",
                       opt_format_choices, NULL),
	OPT_ROW('q', "quiet", NULL, OPT_FLAG, FIELD(quiet),
                "Say nothing on success"),
	{0},
};

/* ---- the command line ---------------------------------------------------- */

static int usage(const char *message)
{
	out_errorf("run 'msb modify --help'", "%s", message);
	return -1;
}

/* Seconds, rounded up; -1 for "0": no limit any more. */
static int read_limit(const char *option, const char *text, int32_t *ret)
{
	uint64_t ms, s;

	if (!text)
		return 0;
	if (!num_parse_duration_ms(text, &ms) ||
	    (s = ms / 1000 + (ms % 1000 != 0)) > INT32_MAX) {
		out_errorf("for example 30s, 5m or 2h; 0: no limit",
		           "--%s: '%s' is not a duration", option, text);
		return -1;
	}
	*ret = s ? (int32_t)s : -1;
	return 0;
}

/* KEY alone is the label KEY=. */
static int read_labels(struct modify_values *v)
{
	struct strv labels = {0};
	int r = 0;

	for (size_t i = 0; i < v->labels.n && r == 0; i++)
		r = strv_addf(&labels, "%s%s", v->labels.v[i],
		              strchr(v->labels.v[i], '=') ? "" : "=");
	strv_release(&v->labels);
	v->labels = labels;
	return r < 0 ? usage("out of memory") : 0;
}

static bool is_empty(const struct modify_values *v)
{
	return !v->env.n && !v->env_rm.n && !v->labels.n && !v->labels_rm.n &&
	       !v->workdir && !v->user && !v->hostname && !v->shell &&
	       !v->max_duration && !v->idle_timeout && !v->memory &&
	       !v->root_disk && !v->cpus && !v->secrets.n && !v->secrets_rm.n;
}

static int read_secrets(const struct modify_values *v, struct secret_conf *c)
{
	struct err err = {0};
	int r = 0;

	for (size_t i = 0; i < v->secrets.n && r == 0; i++) {
		struct secret_item one = {0}, *to;

		r = secret_opts_parse(v->secrets.v[i], true, &one, &err);
		to = r == 0 ? secret_conf_item(c, one.env) : NULL;
		if (r == 0 && !to)
			r = err_set(&err, -ENOMEM, "out of memory");
		if (to) {
			secret_item_release(to);
			*to = one;
		} else {
			secret_item_release(&one);
		}
	}
	if (r < 0)
		out_err(&err);
	return r < 0 ? -1 : 0;
}

static int read_values(struct modify_values *v, struct msb_modify_opts *ret)
{
	struct msb_modify_opts o = MSB_MODIFY_OPTS_INIT;

	if (is_empty(v))
		return usage("no change is asked for");
	if (read_labels(v) < 0)
		return -1;
	if (v->next_start && v->restart)
		return usage("--next-start and --restart exclude each other");
	if (read_limit("max-duration", v->max_duration, &o.max_duration_s) ||
	    read_limit("idle-timeout", v->idle_timeout, &o.idle_timeout_s))
		return -1;
	o.cpus = v->cpus;
	o.memory_bytes = v->memory;
	o.upper_bytes = v->root_disk;
	o.env = (const char *const *)strv_list(&v->env);
	o.env_rm = (const char *const *)strv_list(&v->env_rm);
	o.labels = (const char *const *)strv_list(&v->labels);
	o.labels_rm = (const char *const *)strv_list(&v->labels_rm);
	o.workdir = v->workdir;
	o.user = v->user;
	o.hostname = v->hostname;
	o.shell = v->shell;
	o.secrets_rm =
		v->secrets_rm.n ? (const char *const *)v->secrets_rm.v : NULL;
	*ret = o;
	return 0;
}

/* ---- what is printed ----------------------------------------------------- */

static const char *kind(const struct msb_change *c)
{
	if (!*c->before)
		return "set";
	return *c->after ? "change" : "remove";
}

static const char *effect(const struct modify_values *v,
                          const struct msb_change *c)
{
	if (c->effect == MSB_EFFECT_NOW)
		return "now";
	if (v->restart)
		return "restart";
	return v->next_start ? "next start" : "needs restart";
}

static int print_json(const struct modify_values *v, const char *name,
                      const struct msb_plan *plan)
{
	json_t *list = json_array();

	for (size_t k = 0; k < msb_plan_count(plan); k++) {
		const struct msb_change *c = msb_plan_get(plan, k);

		(void)json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "field",
		                        c->field, "change", kind(c), "before",
		                        c->before, "after", c->after, "effect",
		                        effect(v, c)));
	}
	return out_json(json_pack("{s:s, s:b, s:o}", "name", name, "applied",
	                          !v->dry_run, "changes", list));
}

static int add_row(struct strv *cells, const char *const *row)
{
	return strv_add_all(cells, (char *const *)(uintptr_t)row);
}

static void print_table(const struct modify_values *v,
                        const struct msb_plan *plan)
{
	static const char *const head[] = {"FIELD", "CHANGE", "BEFORE",
	                                   "AFTER", "EFFECT", NULL};
	struct strv cleanup_strv cells = {0};
	int r = add_row(&cells, head);

	for (size_t k = 0; r == 0 && k < msb_plan_count(plan); k++) {
		const struct msb_change *c = msb_plan_get(plan, k);
		const char *const row[] = {c->field,
		                           kind(c),
		                           *c->before ? c->before : "-",
		                           *c->after ? c->after : "-",
		                           effect(v, c),
		                           NULL};

		r = add_row(&cells, row);
	}
	out_table(&cells, 5);
}

static int print_plan(const struct modify_values *v, const char *name,
                      const struct msb_plan *plan)
{
	if (v->format)
		return print_json(v, name, plan);
	if (v->quiet && !v->dry_run)
		return EXIT_OK;
	if (msb_plan_count(plan) == 0)
		out_note("Nothing changes.");
	else
		print_table(v, plan);
	return EXIT_OK;
}

/* ---- the change ---------------------------------------------------------- */

static bool waits(const struct msb_plan *plan)
{
	for (size_t k = 0; k < msb_plan_count(plan); k++)
		if (msb_plan_get(plan, k)->effect == MSB_EFFECT_NEXT_START)
			return true;
	return false;
}

/* All or nothing: the fields that a running machine cannot change. */
static void refuse(const char *name, const struct msb_plan *plan)
{
	struct buf cleanup_buf fields = BUF_INIT;

	for (size_t k = 0; k < msb_plan_count(plan); k++) {
		const struct msb_change *c = msb_plan_get(plan, k);

		if (c->effect == MSB_EFFECT_NEXT_START)
			(void)buf_printf(&fields, "%s%s",
			                 fields.len ? ", " : "", c->field);
	}
	out_errorf("--restart does it now, --next-start at its next start",
	           "%s is running: these cannot change while it does: %s", name,
	           buf_str(&fields));
}

static int restart(struct target *t)
{
	return targets_restart(t, GRACE_MS);
}

static int modify(struct msb_home *home, const char *name,
                  const struct modify_values *v, struct msb_modify_opts *o)
{
	struct msb_plan *plan = NULL;
	struct msb_error error;
	int code = EXIT_OK, r;

	/* The plan first: what it says decides whether it is carried out. */
	o->dry_run = 1;
	r = msb_sandbox_modify(home, name, o, &plan, &error);
	if (r == 0 && !v->dry_run) {
		if (waits(plan) && !v->restart && !v->next_start) {
			refuse(name, plan);
			msb_plan_free(plan);
			return EXIT_FAILED;
		}
		msb_plan_free(plan);
		plan = NULL;
		o->dry_run = 0;
		r = msb_sandbox_modify(home, name, o, &plan, &error);
	}
	if (r < 0) {
		out_error(&error);
		return EXIT_FAILED;
	}
	code = print_plan(v, name, plan);
	if (code == EXIT_OK && v->restart && !v->dry_run && waits(plan))
		code = targets_one(home,
		                   &(struct targets){.quiet = v->quiet,
		                                     .verb = "Restarted",
		                                     .busy = "Restarting",
		                                     .act = restart},
		                   name);
	msb_plan_free(plan);
	return code;
}

int cmd_modify(struct cli *cli, void *values)
{
	struct modify_values *v = values;
	struct secret_conf cleanup(secret_conf_release) secrets = {0};
	struct secret_made *made = NULL;
	struct msb_modify_opts o;
	struct err err = {0};
	struct msb_home *home = NULL;
	struct msb_error error;
	int code;

	if (read_values(v, &o) < 0 || read_secrets(v, &secrets) < 0)
		return EXIT_USAGE;
	if (secret_conf_make(&secrets, &made, &err) < 0) {
		out_err(&err);
		return EXIT_FAILED;
	}
	o.secrets = made->pointers;
	if (msb_home_open(NULL, &home, &error) < 0) {
		secret_made_free(made);
		out_error(&error);
		return EXIT_FAILED;
	}
	if (!v->quiet) {
		struct strv cleanup_strv notes = {0};

		secret_opts_notes(o.secrets, &notes);
		out_warnings(&notes);
	}
	code = modify(home, cli->words[0], v, &o);
	msb_home_free(home);
	secret_made_free(made);
	return code;
}
