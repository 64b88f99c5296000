/* Tools that tell: metrics, logs, the network, the host. */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "forms/describe_json.h"
#include "mcp/host.h"
#include "mcp/tools_int.h"

#include "base/banned.h"

TOOL_DECLARE(sandbox_metrics);
TOOL_DECLARE(sandbox_metrics_all);
TOOL_DECLARE(sandbox_logs_read);
TOOL_DECLARE(net_explain);
TOOL_DECLARE(net_rules);
TOOL_DECLARE(runtime_check);
TOOL_DECLARE(runtime_version);

/* ---- metrics ------------------------------------------------------------- */

#define INTERVAL_MS   200
#define METRICS_LEAST "cpu_percent, memory_bytes, disk_*, net_*, uptime_secs"
#define INTERVAL_FIELD                                                         \
	FIELD_RANGE("intervalMs", FIELD_INT, 0, 0, 60000,                      \
	            "Over which cpu_percent is taken (200); 0: without "       \
	            "it")

const struct field sandbox_metrics_in[] = {NAME_FIELD, INTERVAL_FIELD, {0}};
const struct field sandbox_metrics_out[] = {
	FIELD("name", FIELD_TEXT, FIELD_REQUIRED, NULL),
	FIELD("cpus", FIELD_INT, FIELD_REQUIRED, NULL),
	{"cpu_percent",                  FIELD_NUMBER, 0, 0, 0, NULL,
                                                   "Of one processor of the host", NULL},
	{"memory_bytes",			     FIELD_INT, FIELD_REQUIRED, 0, 0, NULL,
                                                   "That the host holds for it", NULL},
	{"memory_limit_bytes",                             FIELD_INT, FIELD_REQUIRED, 0, 0, NULL, NULL,
                                                   NULL},
	{"uptime_secs", FIELD_INT, FIELD_REQUIRED, 0, 0, NULL, NULL, NULL},
	{0			     },
};

const struct field sandbox_metrics_all_in[] = {
	FIELD("labels", FIELD_PAIRS, 0,
              "Only those that have each of these labels"),
	INTERVAL_FIELD,
	{0},
};
const struct field sandbox_metrics_all_out[] = {
	FIELD("metrics", FIELD_OBJECTS, FIELD_REQUIRED, "name, " METRICS_LEAST),
	{0},
};

/* Sleeps in slices, so that a cancelled call ends. */
static int pause_ms(struct mcp_call *c, int64_t ms, struct msb_error *error)
{
	for (int64_t left = ms; left > 0; left -= 50) {
		struct timespec ts = {
			.tv_nsec = (long)(MIN(left, 50) * (int64_t)NS_PER_MS)};

		if (tool_cancelled(c))
			return tool_was_cancelled(error);
		(void)nanosleep(&ts, NULL);
	}
	return 0;
}

static json_t *metrics_json(const char *name, const struct msb_metrics *first,
                            const struct msb_metrics *last)
{
	json_t *o = json_pack("{s:o}", "name", text_json_str(name));
	uint64_t ns = last->time_ns - first->time_ns;

	describe_counters(last, o);
	if (ns && last->cpu_ns >= first->cpu_ns)
		(void)json_object_set_new(
			o, "cpu_percent",
			json_real((double)(last->cpu_ns - first->cpu_ns) * 100 /
		                  (double)ns));
	return o;
}

TOOL(sandbox_metrics)
{
	struct msb_sandbox *cleanup_sandbox sandbox = NULL;
	struct msb_metrics first = MSB_METRICS_INIT, last = MSB_METRICS_INIT;
	int64_t ms = json_int(args, "intervalMs", INTERVAL_MS);
	int r = tool_open(c, json_str(args, "name", ""), &sandbox, error);

	if (r == 0)
		r = msb_sandbox_metrics(sandbox, &first, error);
	last = first;
	if (r == 0 && ms) {
		r = pause_ms(c, ms, error);
		if (r == 0)
			r = msb_sandbox_metrics(sandbox, &last, error);
	}
	if (r == 0)
		*ret = metrics_json(msb_sandbox_name(sandbox), &first, &last);
	return r;
}

/* One that ends meanwhile is left out. */
struct sample {
	struct msb_sandbox *sandbox;
	struct msb_metrics first;
};

static size_t open_all(struct mcp_call *c, const struct msb_sandbox_list *list,
                       struct sample *samples)
{
	struct msb_error error;
	size_t n = 0;

	for (size_t i = 0; i < msb_sandbox_list_count(list); i++) {
		const struct msb_sandbox_info *info =
			msb_sandbox_list_get(list, i);
		struct sample *s = &samples[n];

		if (info->state != MSB_STATE_READY ||
		    tool_open(c, info->id, &s->sandbox, &error) < 0)
			continue;
		s->first = (struct msb_metrics)MSB_METRICS_INIT;
		if (msb_sandbox_metrics(s->sandbox, &s->first, &error) == 0)
			n++;
		else
			msb_sandbox_free(s->sandbox);
	}
	return n;
}

static json_t *sample_all(struct sample *samples, size_t n)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < n; i++) {
		struct msb_metrics last = MSB_METRICS_INIT;

		if (msb_sandbox_metrics(samples[i].sandbox, &last, NULL) == 0)
			(void)json_array_append_new(
				rows, metrics_json(msb_sandbox_name(
							   samples[i].sandbox),
			                           &samples[i].first, &last));
		msb_sandbox_free(samples[i].sandbox);
	}
	return rows;
}

TOOL(sandbox_metrics_all)
{
	int64_t ms = json_int(args, "intervalMs", INTERVAL_MS);
	struct strv cleanup_strv labels = {0};
	struct msb_sandbox_list *list = NULL;
	cleanup_free struct sample *samples = NULL;
	struct msb_home *home;
	size_t n;
	int r = server_home(c->server, &home, error);

	if (args_pairs(json_object_get(args, "labels"), &labels) < 0)
		return tool_no_memory(error);
	if (r == 0)
		r = msb_sandbox_list(home,
		                     (const char *const *)strv_list(&labels),
		                     &list, error);
	if (r < 0)
		return r;
	samples = calloc(msb_sandbox_list_count(list) + 1, sizeof(*samples));
	n = samples ? open_all(c, list, samples) : 0;
	msb_sandbox_list_free(list);
	if (!samples)
		return tool_no_memory(error);
	if (n)
		r = pause_ms(c, ms, error);
	*ret = json_pack("{s:o}", "metrics", sample_all(samples, n));
	return r;
}

/* ---- logs ---------------------------------------------------------------- */

const struct field sandbox_logs_read_in[] = {
	NAME_FIELD,
	FIELD_RANGE("tail", FIELD_INT, 0, 1, 1000000,
                    "Only the last so many lines"),
	FIELD_RANGE("since", FIELD_TEXT, 0, 1, 64,
                    "So long ago (10m), or 2026-01-31T12:00:00Z"),
	FIELD_RANGE("until", FIELD_TEXT, 0, 1, 64, "As since"),
	FIELD_CHOICE(
		"sources", FIELD_TEXTS, 0, 8,
		"stdout stderr output console system all",
		"Of commands (default): stdout, stderr, output (a terminal's)"),
	FIELD_RANGE("grep", FIELD_TEXT, 0, 1, 1024,
                    "Only lines with this text in"),
	FIELD_RANGE("sessionIds", FIELD_INTS, 0, 0, 64,
                    "Only of these commands"),
	MAX_BYTES_FIELD,
	{0},
};

const struct field sandbox_logs_read_out[] = {
	FIELD("entries", FIELD_OBJECTS, FIELD_REQUIRED,
              "timeMs, source, session, text"),
	FIELD("truncated", FIELD_BOOL, FIELD_REQUIRED,
              "Older entries were left out: maxBytes"),
	{0},
};

static const struct {
	int32_t source;
	const char *word;
} sources[] = {
	{MSB_LOG_STDOUT,  "stdout" },
        {MSB_LOG_STDERR,  "stderr" },
	{MSB_LOG_OUTPUT,  "output" },
        {MSB_LOG_CONSOLE, "console"},
	{MSB_LOG_SYSTEM,  "system" },
        {MSB_LOG_ALL,     "all"    },
};

static const char *source_word(int32_t source)
{
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (sources[i].source == source)
			return sources[i].word;
	return "unknown";
}

/* A duration back from now, or RFC 3339 with Z. */
static bool take_time(const char *text, int64_t *ret)
{
	int64_t now = (int64_t)(clock_unix_ns() / NS_PER_MS);
	struct tm tm = {0};
	uint64_t ms;
	const char *end;

	if (!text)
		return true;
	if (num_parse_duration_ms(text, &ms)) {
		*ret = ms < (uint64_t)now ? now - (int64_t)ms : 1;
		return true;
	}
	end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!end)
		return false;
	if (*end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	*ret = (int64_t)timegm(&tm) * 1000;
	return strcmp(end, "Z") == 0;
}

/* Entries, the oldest of which go when they are too many bytes. */
struct lines_kept {
	json_t *list;
	size_t bytes, max, first;
	bool truncated;
};

static void add_text(struct lines_kept *k, const struct msb_log_entry *e,
                     const char *text, size_t len)
{
	size_t n = text_cut(text, len, k->max);
	json_t *j = text_json(text, n);

	k->truncated |= n < len;
	k->bytes += json_string_length(j);
	(void)json_array_append_new(
		k->list, json_pack("{s:I, s:s, s:I, s:o}", "timeMs",
	                           (json_int_t)e->unix_ms, "source",
	                           source_word(e->source), "session",
	                           (json_int_t)e->session, "text", j));
	/* Dropped in one go at the end: see finish_lines(). */
	while (k->bytes > k->max && k->first + 1 < json_array_size(k->list)) {
		const json_t *old = json_array_get(k->list, k->first++);

		k->bytes -= json_string_length(json_object_get(old, "text"));
		k->truncated = true;
		(void)json_array_set_new(k->list, k->first - 1, json_null());
	}
}

static void add_entry(struct lines_kept *k, const struct msb_log_entry *e,
                      const char *grep)
{
	const char *p = e->data, *end = p + e->len;

	if (!grep) {
		add_text(k, e, p, e->len);
		return;
	}
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = nl ? (size_t)(nl + 1 - p) : (size_t)(end - p);

		if (memmem(p, n, grep, strlen(grep)))
			add_text(k, e, p, n);
		p += n;
	}
}

static bool is_session(const json_t *ids, uint64_t session)
{
	size_t n = json_array_size(ids);

	for (size_t i = 0; i < n; i++)
		if ((uint64_t)json_integer_value(json_array_get(ids, i)) ==
		    session)
			return true;
	return n == 0;
}

static json_t *finish_lines(struct lines_kept *k)
{
	json_t *list = json_array();

	for (size_t i = k->first; i < json_array_size(k->list); i++)
		(void)json_array_append(list, json_array_get(k->list, i));
	json_decref(k->list);
	return json_pack("{s:o, s:b}", "entries", list, "truncated",
	                 (int)k->truncated);
}

int host_logs(struct mcp_call *c, const json_t *args, json_t **ret,
              struct msb_error *error)
{
	struct lines_kept k = {.max = tool_max_bytes(c, args)};
	struct msb_log_opts o = MSB_LOG_OPTS_INIT;
	const json_t *words = json_object_get(args, "sources"), *word;
	const char *grep = json_str(args, "grep", NULL);
	struct msb_logs *logs = NULL;
	struct msb_home *home;
	size_t i;
	int r;

	if (!take_time(json_str(args, "since", NULL), &o.since_ms) ||
	    !take_time(json_str(args, "until", NULL), &o.until_ms))
		return tool_fail(error, MSB_ERR_INVALID,
		                 "since and until are durations (10m), or as "
		                 "2026-01-31T12:00:00Z");
	json_array_foreach(
		words, i,
		word) for (size_t s = 0; s < ARRAY_SIZE(sources);
	                   s++) if (strcmp(sources[s].word,
	                                   json_string_value(word)) == 0)
		o.sources |= (uint32_t)sources[s].source;
	o.tail = (uint64_t)json_int(args, "tail", 0);
	r = server_home(c->server, &home, error);
	if (r == 0)
		r = msb_logs_open(home, json_str(args, "name", ""), &o, &logs,
		                  error);
	if (r < 0)
		return r;
	k.list = json_array();
	do {
		struct msb_log_entry e = MSB_LOG_ENTRY_INIT;

		r = tool_cancelled(c) ? tool_was_cancelled(error)
		                      : msb_logs_next(logs, 0, &e, error);
		if (r > 0 &&
		    is_session(json_object_get(args, "sessionIds"), e.session))
			add_entry(&k, &e, grep);
	} while (r > 0);
	msb_logs_free(logs);
	*ret = finish_lines(&k);
	return r;
}

TOOL(sandbox_logs_read)
{
	return host_logs(c, args, ret, error);
}

/* ---- the network --------------------------------------------------------- */

static json_t *take_json(char *text)
{
	json_t *j = json_parse(text, strlen(text), "the answer", NULL);

	msb_free(text);
	return j;
}

const struct field net_explain_in[] = {
	NAME_FIELD,
	FIELD_RANGE("host", FIELD_TEXT, FIELD_REQUIRED, 1, 253,
                    "A name, or an address"),
	FIELD_RANGE("port", FIELD_INT, 0, 1, 65535, NULL),
	FIELD_CHOICE("protocol", FIELD_TEXT, 0, 0, "tcp udp icmp", NULL),
	{0},
};
const struct field net_explain_out[] = {
	FIELD("verdict", FIELD_TEXT, FIELD_REQUIRED, "allow or deny"),
	FIELD("rule", FIELD_TEXT, 0, "That decides"),
	FIELD("reason", FIELD_TEXT, 0, NULL),
	{0},
};

TOOL(net_explain)
{
	struct msb_home *home;
	char *text;
	int r = server_home(c->server, &home, error);

	if (r == 0)
		r = msb_net_explain(home, json_str(args, "name", ""),
		                    json_str(args, "host", ""),
		                    (uint16_t)json_int(args, "port", 0),
		                    json_str(args, "protocol", NULL), &text,
		                    error);
	if (r == 0)
		*ret = take_json(text);
	return r;
}

const struct field net_rules_in[] = {NAME_FIELD, {0}};
const struct field net_rules_out[] = {
	FIELD("rules", FIELD_OBJECTS, FIELD_REQUIRED,
              "number and rule, in the order in which they are asked"),
	FIELD("defaults", FIELD_OBJECT, FIELD_REQUIRED, NULL),
	{0},
};

TOOL(net_rules)
{
	struct msb_home *home;
	char *text;
	int r = server_home(c->server, &home, error);

	if (r == 0)
		r = msb_net_rules(home, json_str(args, "name", ""), &text,
		                  error);
	if (r == 0)
		*ret = take_json(text);
	return r;
}

/* ---- the host ------------------------------------------------------------ */

const struct field runtime_check_in[] = {{0}};
const struct field runtime_check_out[] = {
	FIELD("ok", FIELD_BOOL, FIELD_REQUIRED, "Sandboxes can run"),
	FIELD("checks", FIELD_OBJECTS, FIELD_REQUIRED,
              "name, status (ok, info, warn, fail), message, fix"),
	{0},
};

TOOL(runtime_check)
{
	static const char *const words[] = {
		[MSB_CHECK_OK] = "ok",
		[MSB_CHECK_INFO] = "info",
		[MSB_CHECK_WARN] = "warn",
		[MSB_CHECK_FAIL] = "fail",
	};
	json_t *checks = json_array();
	struct msb_report *report;
	bool ok = true;
	int r = msb_doctor(NULL, &report, error);

	(void)c;
	(void)args;
	for (size_t i = 0; r == 0 && i < msb_report_count(report); i++) {
		const struct msb_check *k = msb_report_get(report, i);

		ok &= k->status != MSB_CHECK_FAIL;
		(void)json_array_append_new(
			checks, json_pack("{s:s, s:s, s:o, s:o}", "name",
		                          k->name, "status", words[k->status],
		                          "message", text_json_str(k->message),
		                          "fix", text_json_str(k->fix)));
	}
	if (r < 0) {
		json_decref(checks);
		return r;
	}
	msb_report_free(report);
	*ret = json_pack("{s:b, s:o}", "ok", (int)ok, "checks", checks);
	return 0;
}

const struct field runtime_version_in[] = {{0}};
const struct field runtime_version_out[] = {
	FIELD("version", FIELD_TEXT, FIELD_REQUIRED, NULL),
	FIELD("protocolVersions", FIELD_TEXTS, FIELD_REQUIRED, NULL),
	FIELD("home", FIELD_TEXT, FIELD_REQUIRED, NULL),
	FIELD("sandboxes", FIELD_INT, FIELD_REQUIRED,
              "Of this server that run"),
	FIELD("backgroundCommands", FIELD_OBJECTS, FIELD_REQUIRED, NULL),
	{0},
};

int host_runtime(struct mcp_call *c, json_t **ret, struct msb_error *error)
{
	json_t *versions = json_array();
	struct msb_home *home;
	int r = server_home(c->server, &home, error);

	for (int i = 0; i < MCP_REVISIONS; i++)
		(void)json_array_append_new(versions,
		                            json_string(mcp_revisions[i]));
	if (r < 0) {
		json_decref(versions);
		return r;
	}
	owned_reap(&c->server->owned);
	*ret = json_pack("{s:s, s:o, s:o, s:I, s:o}", "version", msb_version(),
	                 "protocolVersions", versions, "home",
	                 text_json_str(msb_home_path(home)), "sandboxes",
	                 (json_int_t)owned_count(&c->server->owned),
	                 "backgroundCommands",
	                 sessions_list(c->server->sessions));
	return 0;
}

TOOL(runtime_version)
{
	(void)args;
	return host_runtime(c, ret, error);
}
