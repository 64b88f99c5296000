/* Tools of the life of sandboxes. */
#include <stdlib.h>

#include "forms/describe.h"
#include "forms/describe_json.h"
#include "forms/describe_net.h"
#include "mcp/tools_int.h"

#include "base/banned.h"

TOOL_DECLARE(sandbox_create);
TOOL_DECLARE(sandbox_list);
TOOL_DECLARE(sandbox_inspect);
TOOL_DECLARE(sandbox_start);
TOOL_DECLARE(sandbox_stop);
TOOL_DECLARE(sandbox_remove);
TOOL_DECLARE(sandbox_wait);
TOOL_DECLARE(sandbox_modify);

/* ---- what several of them do --------------------------------------------- */

int tool_confirmed(const json_t *args, const char *what,
                   struct msb_error *error)
{
	if (json_bool(args, "confirm", false))
		return 0;
	(void)tool_fail(error, MSB_ERR_INVALID, "%s needs \"confirm\": true",
	                what);
	return tool_hint(error, "it cannot be undone: be sure that it is what "
	                        "the user wants, then call it again with "
	                        "confirm");
}

size_t tool_max_bytes(const struct mcp_call *c, const json_t *args)
{
	int64_t asked = json_int(args, "maxBytes", 0);
	size_t max = c->server->opt->max_output;

	return asked > 0 && (uint64_t)asked < max ? (size_t)asked : max;
}

int tool_open(struct mcp_call *c, const char *name, struct msb_sandbox **ret,
              struct msb_error *error)
{
	struct msb_home *home;
	int r = server_home(c->server, &home, error);

	if (r == 0)
		r = msb_sandbox_open(home, name, ret, error);
	if (r == -MSB_ERR_GONE && !*error->hint)
		(void)tool_hint(error, "start it with sandbox_start");
	return r;
}

/*
 * What a sandbox has of the host was allowed by its path when it was made; it
 * must not have become a link to elsewhere. That it has not when it is opened
 * is the library's to see, also for one that a person made: *@flags. What a
 * person gave it from elsewhere is theirs.
 */
static int check_again(const struct policy *p, const char *path,
                       uint32_t *flags, struct msb_error *error)
{
	cleanup_free char *real = NULL;

	if (!policy_names(p, path))
		return 0;
	if (policy_refuses_links(p))
		*flags |= MSB_START_NO_LINKS;
	return policy_path(p, path, &real, error);
}

static int check_paths(struct mcp_call *c, const struct msb_sandbox_info *i,
                       uint32_t *flags, struct msb_error *error)
{
	const struct policy *p = &c->server->policy;
	/* A disk, or a folder, that is its root. */
	int r = *i->image == '/' ? check_again(p, i->image, flags, error) : 0;

	for (const struct msb_mount *const *m = i->mounts; m && *m && r == 0;
	     m++)
		if ((*m)->kind == MSB_MOUNT_DIR ||
		    (*m)->kind == MSB_MOUNT_FILE ||
		    (*m)->kind == MSB_MOUNT_DISK)
			r = check_again(p, (*m)->source, flags, error);
	return r;
}

static int start_checked(struct mcp_call *c, struct msb_home *home,
                         const char *name, uint32_t flags, bool detached,
                         struct msb_error *error)
{
	struct msb_start_opts o = MSB_START_OPTS_INIT;
	struct msb_sandbox *sandbox = NULL;
	int r;

	o.log_fd = c->server->opt->log_fd;
	o.log_level = c->server->opt->log_level;
	o.flags = flags;
	r = msb_sandbox_start(home, name, &o, &sandbox, error);
	if (r == 0)
		r = msb_sandbox_wait_ready(sandbox, -1, error);
	if (r == 0)
		r = msb_sandbox_run_main(sandbox, error);
	if (r == 0 && detached)
		r = msb_sandbox_detach(sandbox, error);
	if (r == 0)
		return owned_put(&c->server->owned, sandbox, error);
	msb_sandbox_free(sandbox);
	owned_give(&c->server->owned);
	return r;
}

int tool_start(struct mcp_call *c, const char *name, bool detached,
               struct msb_error *error)
{
	struct msb_sandbox_info *info;
	struct msb_home *home;
	uint32_t flags = 0;
	int r = server_home(c->server, &home, error);

	if (r == 0)
		r = msb_sandbox_inspect(home, name, &info, error);
	if (r < 0)
		return r;
	r = check_paths(c, info, &flags, error);
	msb_sandbox_info_free(info);
	if (r == 0)
		r = owned_reserve(&c->server->owned, error);
	return r < 0 ? r : start_checked(c, home, name, flags, detached, error);
}

int tool_open_started(struct mcp_call *c, const char *name, bool start,
                      struct msb_sandbox **ret, bool *ret_started,
                      struct msb_error *error)
{
	int r = tool_open(c, name, ret, error);

	*ret_started = false;
	if (r != -MSB_ERR_GONE || !start)
		return r;
	r = tool_start(c, name, false, error);
	if (r < 0)
		return r;
	*ret_started = true;
	return tool_open(c, name, ret, error);
}

/* ---- create -------------------------------------------------------------- */

const struct field sandbox_create_in[] = {
	FIELD_RANGE(
		"name", FIELD_TEXT, 0, 1, MSB_NAME_MAX,
		"One with a name stays on record, stopped, until "
		"sandbox_remove; one "
		"without gets a name, and nothing of it is left when it ends"),
	CREATE_FIELDS,
	FIELD("ephemeral", FIELD_BOOL, 0,
              "Nothing of it is left when it ends, also with a name"),
	FIELD("detached", FIELD_BOOL, 0,
              "It goes on running when this server ends (false)"),
	FIELD("replace", FIELD_BOOL, 0,
              "One of the same name is stopped and removed first; needs "
              "confirm"),
	CONFIRM_FIELD,
	{0},
};

const struct field sandbox_create_out[] = {
	FIELD("name", FIELD_TEXT, FIELD_REQUIRED, NULL),
	FIELD("id", FIELD_TEXT, FIELD_REQUIRED, NULL),
	FIELD("status", FIELD_TEXT, FIELD_REQUIRED, NULL),
	FIELD("detached", FIELD_BOOL, FIELD_REQUIRED, NULL),
	FIELD("ephemeral", FIELD_BOOL, FIELD_REQUIRED, NULL),
	FIELD("engine", FIELD_TEXT, 0, NULL),
	FIELD("ports", FIELD_OBJECTS, 0,
              "bind, host, guest, protocol of each published port"),
	FIELD("warning", FIELD_TEXT, 0, NULL),
	{0},
};

static void set_json(json_t *o, const char *key, json_t *value)
{
	(void)json_object_set_new(o, key, value);
}

/* What the library says as JSON text, which is its to free. */
static json_t *take_json(char *text)
{
	json_t *j = text ? json_parse(text, strlen(text), "", NULL) : NULL;

	msb_free(text);
	return j;
}

static json_t *created_json(struct msb_home *home, struct msb_sandbox *sandbox,
                            const struct create_plan *plan, bool detached)
{
	const char *warning = msb_sandbox_warning(sandbox);
	char *ports = NULL;
	json_t *o = json_pack("{s:s, s:s, s:s, s:b, s:b, s:s}", "name",
	                      msb_sandbox_name(sandbox), "id",
	                      msb_sandbox_id(sandbox), "status", "Running",
	                      "detached", (int)detached, "ephemeral",
	                      !(plan->opts.flags & MSB_SANDBOX_KEEP), "engine",
	                      msb_sandbox_engine(sandbox));

	if (plan->opts.network->ports &&
	    msb_sandbox_ports(home, msb_sandbox_id(sandbox), &ports, NULL) == 0)
		set_json(o, "ports", take_json(ports));
	if (*warning)
		set_json(o, "warning", text_json_str(warning));
	return o;
}

static int create(struct mcp_call *c, struct create_plan *plan, bool detached,
                  json_t **ret, struct msb_error *error)
{
	struct owned *owned = &c->server->owned;
	struct msb_sandbox *sandbox = NULL;
	struct msb_home *home;
	int r = server_home(c->server, &home, error);

	if (r == 0)
		r = owned_reserve(owned, error);
	if (r < 0)
		return r;
	r = create_start(c, home, plan, &sandbox, error);
	if (r == 0 && detached)
		r = msb_sandbox_detach(sandbox, error);
	if (r < 0) {
		msb_sandbox_free(sandbox);
		owned_give(owned);
		return r;
	}
	*ret = created_json(home, sandbox, plan, detached);
	return owned_put(owned, sandbox, error);
}

TOOL(sandbox_create)
{
	bool replace = json_bool(args, "replace", false);
	struct create_plan plan;
	int r = 0;

	if (replace)
		r = tool_confirmed(args, "replace", error);
	if (r == 0)
		r = create_plan_of(c, args, &plan, error);
	if (r < 0)
		return r;
	if (json_bool(args, "ephemeral", false))
		plan.opts.flags &= ~(uint32_t)MSB_SANDBOX_KEEP;
	r = create(c, &plan, json_bool(args, "detached", false), ret, error);
	create_plan_release(&plan);
	return r;
}

/* ---- list and inspect ---------------------------------------------------- */

const struct field sandbox_list_in[] = {
	FIELD("labels", FIELD_PAIRS, 0,
              "Only those that have each of these labels"),
	FIELD_CHOICE("status", FIELD_TEXT, 0, 0,
                     "all running stopped crashed created", NULL),
	{0},
};

const struct field sandbox_list_out[] = {
	FIELD("sandboxes", FIELD_OBJECTS, FIELD_REQUIRED,
              "name, id, status, image, cpus, memory_mib, labels, ports, "
              "times"),
	{0},
};

static bool has_status(const struct msb_sandbox_info *i, const char *status)
{
	static const struct {
		const char *word;
		uint32_t states;
	} words[] = {
		{"running", 1u << MSB_STATE_STARTING | 1u << MSB_STATE_READY},
		{"stopped", 1u << MSB_STATE_STOPPED                         },
		{"crashed", 1u << MSB_STATE_CRASHED | 1u << MSB_STATE_FAILED},
		{"created", 1u << MSB_STATE_CREATED                         },
	};

	for (size_t k = 0; status && k < ARRAY_SIZE(words); k++)
		if (strcmp(words[k].word, status) == 0)
			return words[k].states >> i->state & 1;
	return true;
}

static int list_of(struct mcp_call *c, const json_t *args,
                   struct msb_sandbox_list **ret, struct msb_home **ret_home,
                   struct msb_error *error)
{
	struct strv cleanup_strv labels = {0};
	int r = server_home(c->server, ret_home, error);

	if (args_pairs(json_object_get(args, "labels"), &labels) < 0)
		return tool_no_memory(error);
	if (r == 0)
		r = msb_sandbox_list(*ret_home,
		                     (const char *const *)strv_list(&labels),
		                     ret, error);
	return r;
}

TOOL(sandbox_list)
{
	const char *status = json_str(args, "status", NULL);
	struct msb_sandbox_list *list = NULL;
	json_t *rows = json_array();
	struct msb_home *home;
	int r = list_of(c, args, &list, &home, error);

	for (size_t k = 0; r == 0 && k < msb_sandbox_list_count(list); k++) {
		const struct msb_sandbox_info *i =
			msb_sandbox_list_get(list, k);
		json_t *cleanup_json ports = NULL;

		if (!has_status(i, status))
			continue;
		ports = describe_ports(home, i);
		(void)json_array_append_new(rows,
		                            describe_sandbox_row(i, ports));
	}
	msb_sandbox_list_free(list);
	if (r < 0)
		json_decref(rows);
	else
		*ret = json_pack("{s:o}", "sandboxes", rows);
	return r;
}

const struct field sandbox_inspect_in[] = {NAME_FIELD, {0}};

const struct field sandbox_inspect_out[] = {
	FIELD("name", FIELD_TEXT, FIELD_REQUIRED, NULL),
	FIELD("id", FIELD_TEXT, FIELD_REQUIRED, NULL),
	FIELD("status", FIELD_TEXT, FIELD_REQUIRED, NULL),
	FIELD("config", FIELD_OBJECT, FIELD_REQUIRED,
              "image, cpus, memory, env, mounts, network, secrets (never a "
              "value)"),
	{"pending_changes", FIELD_OBJECTS, 0, 0, 0, NULL,
           "What waits for the next start", NULL},
	{0	       },
};

static int inspect(struct mcp_call *c, const char *name, json_t **ret,
                   struct msb_error *error)
{
	struct msb_sandbox_info *info = NULL;
	struct msb_plan *pending = NULL;
	json_t *cleanup_json ports = NULL;
	struct msb_home *home;
	int r = server_home(c->server, &home, error);

	if (r == 0)
		r = msb_sandbox_inspect(home, name, &info, error);
	if (r == 0)
		r = msb_sandbox_pending(home, info->id, &pending, error);
	if (r == 0) {
		ports = describe_ports(home, info);
		*ret = describe_sandbox(info, ports, pending);
	}
	msb_plan_free(pending);
	msb_sandbox_info_free(info);
	return r;
}

TOOL(sandbox_inspect)
{
	return inspect(c, json_str(args, "name", ""), ret, error);
}

/* ---- several at once ----------------------------------------------------- */

static int select_by_labels(struct mcp_call *c, const json_t *args,
                            struct strv *ret, struct msb_error *error)
{
	struct msb_sandbox_list *list = NULL;
	struct msb_home *home;
	int r = list_of(c, args, &list, &home, error);

	for (size_t k = 0; r == 0 && k < msb_sandbox_list_count(list); k++)
		if (strv_add(ret, msb_sandbox_list_get(list, k)->name) < 0)
			r = tool_no_memory(error);
	msb_sandbox_list_free(list);
	return r;
}

int tool_select(struct mcp_call *c, const json_t *args, struct strv *ret,
                struct msb_error *error)
{
	const char *name = json_str(args, "name", NULL);
	const json_t *labels = json_object_get(args, "labels");

	if (name && strv_add(ret, name) < 0)
		return tool_no_memory(error);
	if (args_list(json_object_get(args, "names"), ret) < 0)
		return tool_no_memory(error);
	if (json_object_size(labels))
		return select_by_labels(c, args, ret, error);
	if (!ret->n)
		return tool_fail(error, MSB_ERR_INVALID,
		                 "name is missing, or names, or labels");
	return 0;
}

static json_t *error_json(const struct msb_error *e)
{
	return json_pack("{s:s, s:o, s:o}", "code", msb_code_name(e->code),
	                 "message", text_json_str(e->message), "hint",
	                 text_json_str(e->hint));
}

int tool_each(struct mcp_call *c, const json_t *args,
              int (*fn)(struct mcp_call *c, const char *name,
                        const json_t *args, json_t *result,
                        struct msb_error *error),
              json_t **ret, struct msb_error *error)
{
	struct strv cleanup_strv names = {0};
	json_t *list;
	int r = tool_select(c, args, &names, error);

	if (r < 0)
		return r;
	list = json_array();
	for (size_t i = 0; i < names.n; i++) {
		json_t *o = json_pack("{s:o, s:b}", "name",
		                      text_json_str(names.v[i]), "ok", 1);

		r = fn(c, names.v[i], args, o, error);
		if (r < 0 && names.n == 1) {
			json_decref(o);
			json_decref(list);
			return r;
		}
		if (r < 0) {
			set_json(o, "ok", json_false());
			set_json(o, "error", error_json(error));
			tool_set_error(c);
		}
		(void)json_array_append_new(list, o);
	}
	*ret = json_pack("{s:o}", "results", list);
	return 0;
}

#define EACH_OUT(tool)                                                         \
	const struct field tool##_out[] = {                                    \
		FIELD("results", FIELD_OBJECTS, FIELD_REQUIRED,                \
	              "name and ok of each; error where it is not"),           \
		{0},                                                           \
	}

/* ---- start --------------------------------------------------------------- */

const struct field sandbox_start_in[] = {
	SELECT_FIELDS,
	FIELD("detached", FIELD_BOOL, 0,
              "It goes on running when this server ends (false)"),
	{0},
};
EACH_OUT(sandbox_start);

static int start_one(struct mcp_call *c, const char *name, const json_t *args,
                     json_t *result, struct msb_error *error)
{
	int r;

	tool_progress(c, 0, 0, "starting %s", name);
	r = tool_start(c, name, json_bool(args, "detached", false), error);
	if (r == 0)
		set_json(result, "status", json_string("Running"));
	return r;
}

TOOL(sandbox_start)
{
	return tool_each(c, args, start_one, ret, error);
}

/* ---- stop ---------------------------------------------------------------- */

#define STOP_MS 10000

const struct field sandbox_stop_in[] = {
	SELECT_FIELDS,
	FIELD_RANGE("timeoutMs", FIELD_INT, 0, 0, 600000,
                    "Its commands get SIGTERM; what is left after so long is "
                    "killed "
                    "(10000)"),
	FIELD("force", FIELD_BOOL, 0, "Kill it at once"),
	{0},
};
EACH_OUT(sandbox_stop);

static int stop_one(struct mcp_call *c, const char *name, const json_t *args,
                    json_t *result, struct msb_error *error)
{
	struct msb_sandbox *cleanup_sandbox sandbox = NULL;
	uint32_t ms = (uint32_t)json_int(args, "timeoutMs", STOP_MS);
	int r = tool_open(c, name, &sandbox, error);

	if (r == -MSB_ERR_GONE) {
		set_json(result, "status", json_string("Stopped"));
		return 0;
	}
	tool_progress(c, 0, 0, "stopping %s", name);
	if (r == 0)
		r = msb_sandbox_stop(sandbox,
		                     json_bool(args, "force", false) ? 0 : ms,
		                     error);
	if (r < 0)
		return r;
	owned_drop(&c->server->owned, name);
	set_json(result, "status", json_string("Stopped"));
	return 0;
}

TOOL(sandbox_stop)
{
	return tool_each(c, args, stop_one, ret, error);
}

/* ---- remove -------------------------------------------------------------- */

const struct field sandbox_remove_in[] = {
	SELECT_FIELDS,
	FIELD("force", FIELD_BOOL, 0, "Kill it first if it runs"),
	CONFIRM_FIELD,
	{0},
};
EACH_OUT(sandbox_remove);

static int remove_one(struct mcp_call *c, const char *name, const json_t *args,
                      json_t *result, struct msb_error *error)
{
	bool force = json_bool(args, "force", false);
	struct msb_home *home;
	int r = server_home(c->server, &home, error);

	(void)result;
	if (r == 0)
		r = msb_sandbox_remove(home, name, force ? MSB_REMOVE_FORCE : 0,
		                       error);
	if (r == -MSB_ERR_BUSY && !force)
		(void)tool_hint(error, "stop it first, or say \"force\": true");
	if (r == 0)
		owned_drop(&c->server->owned, name);
	return r;
}

TOOL(sandbox_remove)
{
	int r = tool_confirmed(args, "sandbox_remove", error);

	return r < 0 ? r : tool_each(c, args, remove_one, ret, error);
}

/* ---- wait ---------------------------------------------------------------- */

const struct field sandbox_wait_in[] = {
	SELECT_FIELDS,
	FIELD_RANGE("timeoutMs", FIELD_INT, 0, 0, 86400000, NULL),
	{0},
};
EACH_OUT(sandbox_wait);

#define WAIT_SLICE_MS 1000

static int wait_open(struct mcp_call *c, struct msb_sandbox *sandbox,
                     const char *name, int64_t ms, struct msb_error *error)
{
	for (int64_t left = ms;; left -= WAIT_SLICE_MS) {
		int slice = (int)MIN(MAX(left, 0), WAIT_SLICE_MS);
		int r = msb_sandbox_wait(sandbox, slice, error);

		if (r != -MSB_ERR_TIMEOUT || left <= WAIT_SLICE_MS)
			return r;
		tool_progress(c, 0, 0, "%s still runs", name);
	}
}

static int wait_one(struct mcp_call *c, const char *name, const json_t *args,
                    json_t *result, struct msb_error *error)
{
	struct msb_sandbox *cleanup_sandbox sandbox = NULL;
	json_t *cleanup_json record = NULL;
	int64_t ms = json_int(args, "timeoutMs",
	                      (int64_t)c->server->opt->timeout_ms);
	int r = tool_open(c, name, &sandbox, error);

	if (r == 0)
		r = wait_open(c, sandbox, name, ms, error);
	if (r == -MSB_ERR_GONE)
		r = 0;
	if (r < 0)
		return r;
	/* One that was ephemeral has no record any more. */
	if (inspect(c, name, &record, error) == 0) {
		(void)json_object_set(result, "status",
		                      json_object_get(record, "status"));
		(void)json_object_set(result, "end",
		                      json_object_get(record, "end"));
	} else {
		set_json(result, "status", json_string("Stopped"));
	}
	return 0;
}

TOOL(sandbox_wait)
{
	return tool_each(c, args, wait_one, ret, error);
}

/* ---- modify -------------------------------------------------------------- */

const struct field sandbox_modify_in[] = {
	NAME_FIELD,
	FIELD("dryRun", FIELD_BOOL, 0, "Only say what would change"),
	FIELD_RANGE("cpus", FIELD_INT, 0, 1, MSB_CPUS_MAX, NULL),
	FIELD_RANGE("memoryMib", FIELD_INT, 0, 64, 1048576, NULL),
	FIELD_RANGE("diskMib", FIELD_INT, 0, 16, 1073741824,
                    "It may only grow"),
	FIELD("env", FIELD_PAIRS, 0, NULL),
	FIELD("removeEnv", FIELD_TEXTS, 0, NULL),
	FIELD("labels", FIELD_PAIRS, 0, NULL),
	FIELD("removeLabels", FIELD_TEXTS, 0, NULL),
	FIELD_RANGE("workdir", FIELD_TEXT, 0, 0, 4096, "\"\": as in the image"),
	FIELD_RANGE("user", FIELD_TEXT, 0, 0, 256, NULL),
	FIELD_RANGE("hostname", FIELD_TEXT, 0, 0, 63, NULL),
	FIELD_RANGE("shell", FIELD_TEXT, 0, 0, 4096, NULL),
	FIELD_RANGE("maxDurationSecs", FIELD_INT, 0, 0, INT32_MAX,
                    "0: no limit"),
	FIELD_RANGE("idleTimeoutSecs", FIELD_INT, 0, 0, INT32_MAX,
                    "0: no limit"),
	FIELD_SUB("secrets", FIELD_OBJECTS, 0, MSB_SECRETS_MAX,
                  create_secret_fields,
                  "Added, or replaced by env: never a value"),
	FIELD_RANGE("removeSecrets", FIELD_TEXTS, 0, 0, MSB_SECRETS_MAX, NULL),
	{0},
};

const struct field sandbox_modify_out[] = {
	FIELD("changes", FIELD_OBJECTS, FIELD_REQUIRED,
              "field, before, after, effect: now, or next start"),
	FIELD("applied", FIELD_BOOL, FIELD_REQUIRED, NULL),
	{0},
};

/* What a modification points to. */
struct changes {
	struct strv env, env_rm, labels, labels_rm, secrets_rm;
	struct secret_conf secret;
	struct secret_made *made;
};

static void changes_release(struct changes *x)
{
	strv_release(&x->env);
	strv_release(&x->env_rm);
	strv_release(&x->labels);
	strv_release(&x->labels_rm);
	strv_release(&x->secrets_rm);
	secret_made_free(x->made);
	secret_conf_release(&x->secret);
}

static int take_secret(struct mcp_call *c, const json_t *s, struct changes *x,
                       struct msb_error *error)
{
	const json_t *hosts = json_object_get(s, "hosts"), *word;
	const char *env = json_str(s, "env", ""),
		   *source = json_str(s, "source", NULL),
		   *violation = json_str(s, "onViolation", NULL),
		   *placeholder = json_str(s, "placeholder", NULL);
	struct secret_item *item = secret_conf_item(&x->secret, env);
	size_t i;
	int r = policy_secret(&c->server->policy, source ? source : env, error);

	if (r < 0)
		return r;
	if (!item || str_put(&item->source, source) < 0 ||
	    str_put(&item->placeholder, placeholder) < 0 ||
	    args_list(hosts, &item->hosts) < 0 ||
	    (json_is_string(hosts) &&
	     strv_add(&item->hosts, json_string_value(hosts)) < 0))
		return tool_no_memory(error);
	json_array_foreach(json_object_get(s, "inject"), i, word) item->flags |=
		secret_opts_where(json_string_value(word));
	if (json_bool(s, "mask", false))
		item->flags |= MSB_SECRET_MASK;
	for (int32_t k = 1; violation && secret_violation_choices[k]; k++)
		if (strcmp(secret_violation_choices[k], violation) == 0)
			item->violation = k;
	return 0;
}

static int take_secrets(struct mcp_call *c, const json_t *args,
                        struct changes *x, struct msb_modify_opts *o,
                        struct msb_error *error)
{
	struct err err = {0};
	const json_t *one;
	size_t i;
	int r = 0;

	json_array_foreach(json_object_get(args, "secrets"), i, one) if (r == 0)
		r = take_secret(c, one, x, error);
	if (r < 0 || !x->secret.n)
		return r;
	if (secret_conf_make(&x->secret, &x->made, &err) < 0)
		return tool_fail_err(error, &err);
	o->secrets = x->made->pointers;
	return 0;
}

static int32_t limit_of(const json_t *args, const char *key)
{
	int64_t n = json_int(args, key, -1);

	return n < 0 ? 0 : n == 0 ? -1 : (int32_t)n;
}

static int take_changes(struct mcp_call *c, const json_t *args,
                        struct changes *x, struct msb_modify_opts *o,
                        struct msb_error *error)
{
	const struct {
		const char *key;
		struct strv *list;
		const char *const **to;
		int (*take)(const json_t *j, struct strv *ret);
	} lists[] = {
		{"env",           &x->env,        &o->env,        args_pairs},
		{"removeEnv",     &x->env_rm,     &o->env_rm,     args_list },
		{"labels",        &x->labels,     &o->labels,     args_pairs},
		{"removeLabels",  &x->labels_rm,  &o->labels_rm,  args_list },
		{"removeSecrets", &x->secrets_rm, &o->secrets_rm, args_list },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		if (lists[i].take(json_object_get(args, lists[i].key),
		                  lists[i].list) < 0)
			return tool_no_memory(error);
		*lists[i].to = (const char *const *)strv_list(lists[i].list);
	}
	o->dry_run = json_bool(args, "dryRun", false);
	o->cpus = (uint32_t)json_int(args, "cpus", 0);
	o->memory_bytes = (uint64_t)json_int(args, "memoryMib", 0) * MIB;
	o->upper_bytes = (uint64_t)json_int(args, "diskMib", 0) * MIB;
	o->workdir = json_str(args, "workdir", NULL);
	o->user = json_str(args, "user", NULL);
	o->hostname = json_str(args, "hostname", NULL);
	o->shell = json_str(args, "shell", NULL);
	o->max_duration_s = limit_of(args, "maxDurationSecs");
	o->idle_timeout_s = limit_of(args, "idleTimeoutSecs");
	return take_secrets(c, args, x, o, error);
}

static json_t *plan_json(const struct msb_plan *plan)
{
	json_t *list = json_array();

	for (size_t i = 0; i < msb_plan_count(plan); i++) {
		const struct msb_change *k = msb_plan_get(plan, i);

		(void)json_array_append_new(
			list,
			json_pack("{s:o, s:o, s:o, s:s}", "field",
		                  text_json_str(k->field), "before",
		                  text_json_str(k->before), "after",
		                  text_json_str(k->after), "effect",
		                  k->effect == MSB_EFFECT_NOW ? "now"
		                                              : "next start"));
	}
	return list;
}

TOOL(sandbox_modify)
{
	struct changes cleanup(changes_release) x = {0};
	struct msb_modify_opts o = MSB_MODIFY_OPTS_INIT;
	struct msb_plan *plan = NULL;
	struct msb_home *home;
	int r = server_home(c->server, &home, error);

	if (r == 0)
		r = take_changes(c, args, &x, &o, error);
	if (r == 0)
		r = msb_sandbox_modify(home, json_str(args, "name", ""), &o,
		                       &plan, error);
	if (r == 0)
		*ret = json_pack("{s:o, s:b}", "changes", plan_json(plan),
		                 "applied", !o.dry_run);
	msb_plan_free(plan);
	return r;
}
