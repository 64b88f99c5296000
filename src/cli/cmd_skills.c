/* cmd_skills.c - msb skills: what coding agents read about msb, put in place.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/num.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/out.h"
#include "cli/skills.h"

#include "base/banned.h"

COMMAND_DECLARE(skills_install)
COMMAND_DECLARE(skills_list)
COMMAND_DECLARE(skills_show)
COMMAND_DECLARE(skills_remove)

struct skills_values {
	int32_t agent;  /* index into agent_choices */
	int32_t format; /* index into opt_format_choices */
	bool project, global, force, dry_run;
};
static_assert(sizeof(struct skills_values) <= COMMAND_VALUES_MAX, "grow it");

enum { AGENT_NONE = 0, AGENT_FIRST = 1, AGENT_ALL = SKILL_AGENTS + 1 };
static const char *const agent_choices[] = {
	[AGENT_NONE] = "", "claude-code",       "cursor",
	"codex",           "gemini-cli",        "copilot",
	"agents",          [AGENT_ALL] = "all", NULL};
static_assert(ARRAY_SIZE(agent_choices) == SKILL_AGENTS + 3,
              "all of skill_agents");

#define FIELD(f) offsetof(struct skills_values, f)
#define PLACE_OPTS(agent_help)                                                 \
	OPT_ROW_CHOICE(0, "for", "AGENT", FIELD(agent), agent_help,            \
	               agent_choices, NULL),                                   \
		OPT_ROW(0, "project", NULL, OPT_FLAG, FIELD(project),          \
	                "In the folder that you are in (the default)"),        \
		OPT_ROW('g', "global", NULL, OPT_FLAG, FIELD(global),          \
	                "In your home folder, for all projects")
#define FORMAT_OPT                                                             \
	OPT_ROW_CHOICE(0, "format", "FORMAT", FIELD(format), "How to print",   \
	               opt_format_choices, NULL)
const struct opt cmd_skills_install_opts[] = {
	PLACE_OPTS("For this agent (those whose folders are there)"),
	OPT_ROW('f', "force", NULL, OPT_FLAG, FIELD(force),
                "Also over files that were changed"),
	OPT_ROW(0, "dry-run", NULL, OPT_FLAG, FIELD(dry_run),
                "Only say what would be done"),
	FORMAT_OPT,
	{0},
};
const struct opt cmd_skills_remove_opts[] = {
	PLACE_OPTS("Of this agent (all that have it)"),
	OPT_ROW('f', "force", NULL, OPT_FLAG, FIELD(force),
                "Also files that were changed"),
	OPT_ROW(0, "dry-run", NULL, OPT_FLAG, FIELD(dry_run),
                "Only say what would be done"),
	FORMAT_OPT,
	{0},
};
const struct opt cmd_skills_list_opts[] = {FORMAT_OPT, {0}};
const struct opt cmd_skills_show_opts[] = {{0}};
#undef FIELD

static const char *const state_words[] = {
	[SKILL_ABSENT] = "absent",
	[SKILL_CURRENT] = "current",
	[SKILL_OUTDATED] = "outdated",
	[SKILL_CHANGED] = "changed",
};
static const char *const scope_words[] = {"project", "global"};

/* A folder, and those who look there: .agents/skills is read by several. */
struct place {
	char *path;
	enum skill_scope scope;
	const char *agents[SKILL_AGENTS];
	size_t n;
};

struct places {
	struct place v[SKILL_AGENTS * SKILL_SCOPES];
	size_t n;
};

static void places_release(struct places *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].path);
}
#define cleanup_places cleanup(places_release)

static int places_add(struct places *p, const struct skill_agent *a,
                      enum skill_scope scope, const char *base)
{
	char *path = skill_place(a, scope, base);
	size_t i = 0;

	if (!path)
		return -ENOMEM;
	while (i < p->n && strcmp(p->v[i].path, path) != 0)
		i++;
	if (i < p->n)
		free(path);
	else
		p->v[p->n++] = (struct place){.path = path, .scope = scope};
	p->v[i].agents[p->v[i].n++] = a->name;
	return 0;
}

/* Those that @wanted says yes to. */
static int places_of(struct places *p, enum skill_scope scope,
                     bool (*wanted)(const struct skill_agent *a,
                                    enum skill_scope scope, const char *base),
                     struct err *err)
{
	cleanup_free char *base = skill_base(scope, err);
	int r = base ? 0 : -EINVAL;

	for (size_t i = 0; i < SKILL_AGENTS && r == 0; i++)
		if (wanted(&skill_agents[i], scope, base))
			r = places_add(p, &skill_agents[i], scope, base);
	return r == -ENOMEM ? err_set(err, r, "out of memory") : r;
}

static bool anyone(const struct skill_agent *a, enum skill_scope scope,
                   const char *base)
{
	(void)a;
	(void)scope;
	(void)base;
	return true;
}

static bool has_it(const struct skill_agent *a, enum skill_scope scope,
                   const char *base)
{
	cleanup_free char *path = skill_place(a, scope, base);

	return path && skill_look(path, NULL) != SKILL_ABSENT;
}

/* That of --for, or of those that @fits; 0 or an exit code after a message. */
static int choose(const struct skills_values *v, struct places *p,
                  bool (*fits)(const struct skill_agent *a,
                               enum skill_scope scope, const char *base))
{
	enum skill_scope scope = v->global ? SKILL_GLOBAL : SKILL_PROJECT;
	struct err err = {0};
	int r;

	if (v->project && v->global) {
		out_errorf("", "--project and --global exclude each other");
		return EXIT_USAGE;
	}
	if (v->agent == AGENT_NONE || v->agent == AGENT_ALL) {
		r = places_of(p, scope, v->agent ? anyone : fits, &err);
	} else {
		cleanup_free char *base = skill_base(scope, &err);

		r = base ? places_add(p, &skill_agents[v->agent - AGENT_FIRST],
		                      scope, base)
		         : -EINVAL;
	}
	if (r == 0)
		return EXIT_OK;
	out_err(&err);
	return EXIT_FAILED;
}

/* ---- what is told -------------------------------------------------------- */

static void agents_text(const struct place *p, struct buf *b)
{
	for (size_t i = 0; i < p->n; i++)
		(void)buf_printf(b, "%s%s", i ? ", " : "", p->agents[i]);
}

static json_t *place_json(const struct place *p, const char *key,
                          const char *word)
{
	json_t *agents = json_array();

	for (size_t i = 0; i < p->n; i++)
		(void)json_array_append_new(agents, json_string(p->agents[i]));
	return json_pack("{s:o, s:s, s:s, s:s}", "agents", agents, "scope",
	                 scope_words[p->scope], "path", p->path, key, word);
}

static void tell(const struct place *p, const char *done)
{
	struct buf cleanup_buf b = BUF_INIT;

	(void)buf_printf(&b, "%s (", p->path);
	agents_text(p, &b);
	(void)buf_addc(&b, ')');
	out_done(done, buf_str(&b));
}

/* ---- install and remove -------------------------------------------------- */

/* By the state that was found: what was done, and what would be. */
struct words {
	const char *done, *would, *json;
};

static const struct words install_words[] = {
	[SKILL_ABSENT] = {"Installed",  "Would install", "installed"},
	[SKILL_CURRENT] = {"Up to date", "Up to date",    "unchanged"},
	[SKILL_OUTDATED] = {"Updated",    "Would update",  "updated"  },
	[SKILL_CHANGED] = {"Replaced",   "Would replace", "replaced" },
};
static const struct words remove_words[] = {
	[SKILL_ABSENT] = {"Not there", "Not there",    "absent" },
	[SKILL_CURRENT] = {"Removed",   "Would remove", "removed"},
	[SKILL_OUTDATED] = {"Removed",   "Would remove", "removed"},
	[SKILL_CHANGED] = {"Removed",   "Would remove", "removed"},
};

static int act_on_all(const struct skills_values *v, const struct places *p,
                      int (*act)(const char *place, bool force,
                                 struct err *err),
                      const struct words *words)
{
	json_t *list = json_array();
	int code = EXIT_OK;

	for (size_t i = 0; i < p->n; i++) {
		struct err err = {0};
		const struct place *one = &p->v[i];
		int r = (v->dry_run ? skill_check : act)(one->path, v->force,
		                                         &err);

		if (r < 0) {
			out_err(&err);
			code = EXIT_FAILED;
			continue;
		}
		if (v->format)
			(void)json_array_append_new(
				list, place_json(one, "action", words[r].json));
		else
			tell(one, v->dry_run ? words[r].would : words[r].done);
	}
	if (v->format && out_json(json_incref(list)) != EXIT_OK)
		code = EXIT_FAILED;
	json_decref(list);
	return out_finish(code);
}

int cmd_skills_install(struct cli *cli, void *values)
{
	const struct skills_values *v = values;
	struct places cleanup_places p = {0};
	struct skills_values common = *v;
	int code = choose(v, &p, skill_agent_used);

	(void)cli;
	common.agent = AGENT_FIRST + (int32_t)(SKILL_COMMON - skill_agents);
	if (code == EXIT_OK && p.n == 0) {
		if (!v->format)
			out_note("No agent's folder is here: the common one, "
			         "which most agents read. --for names one.");
		code = choose(&common, &p, anyone);
	}
	return code ? code : act_on_all(v, &p, skill_install, install_words);
}

int cmd_skills_remove(struct cli *cli, void *values)
{
	const struct skills_values *v = values;
	struct places cleanup_places p = {0};
	int code = choose(v, &p, has_it);

	(void)cli;
	if (code == EXIT_OK && p.n == 0 && !v->format)
		out_note("Nothing to remove %s.",
		         v->global ? "in your home folder"
		                   : "here; --global: in your home folder");
	return code ? code : act_on_all(v, &p, skill_remove, remove_words);
}

/* ---- list and show ------------------------------------------------------- */

static int add_row(const struct place *p, struct strv *cells, json_t *list)
{
	struct buf cleanup_buf agents = BUF_INIT;
	struct err err = {0};
	int state = skill_look(p->path, &err);
	const char *word = state < 0 ? "unreadable" : state_words[state];
	int r;

	agents_text(p, &agents);
	r = strv_add(cells, buf_str(&agents));
	if (r == 0)
		r = strv_add(cells, scope_words[p->scope]);
	if (r == 0)
		r = strv_add(cells, word);
	if (r == 0)
		r = strv_add(cells, p->path);
	if (r == 0)
		r = json_array_append_new(list, place_json(p, "state", word));
	return r < 0 ? -ENOMEM : 0;
}

int cmd_skills_list(struct cli *cli, void *values)
{
	static char *const head[] = {"AGENTS", "SCOPE", "STATE", "PATH", NULL};
	const struct skills_values *v = values;
	struct places cleanup_places p = {0};
	struct strv cleanup_strv cells = {0};
	json_t *cleanup_json list = json_array();
	struct err err = {0};
	int r = places_of(&p, SKILL_PROJECT, has_it, &err);

	(void)cli;
	if (r == 0 && getenv("HOME"))
		r = places_of(&p, SKILL_GLOBAL, has_it, &err);
	if (r < 0) {
		out_err(&err);
		return EXIT_FAILED;
	}
	r = strv_add_all(&cells, head);
	for (size_t i = 0; i < p.n && r == 0; i++)
		r = add_row(&p.v[i], &cells, list);
	if (r < 0)
		out_errorf("", "out of memory");
	else if (v->format)
		r = out_json(json_incref(list)) == EXIT_OK ? 0 : -EIO;
	else if (p.n == 0)
		out_note("Not installed here; msb skills install does that.");
	else
		out_table(&cells, ARRAY_SIZE(head) - 1);
	return out_finish(r == 0 ? EXIT_OK : EXIT_FAILED);
}

int cmd_skills_show(struct cli *cli, void *values)
{
	const char *want = cli->nwords ? cli->words[0] : "SKILL.md";
	struct buf cleanup_buf names = BUF_INIT;

	(void)values;
	for (const struct skill_file *f = skill_files; f->path; f++) {
		if (strcmp(f->path, want) == 0) {
			(void)fwrite(f->data, 1, f->len, stdout);
			return out_finish(EXIT_OK);
		}
		(void)buf_printf(&names, "%s%s", names.len ? ", " : "",
		                 f->path);
	}
	out_errorf(buf_str(&names), "the skill has no file '%s'", want);
	return EXIT_FAILED;
}
