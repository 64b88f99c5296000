#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "cli/command.h"
#include "cli/out.h"
#include "forms/describe.h"
#include "forms/describe_json.h"
#include "forms/describe_net.h"
#include "forms/describe_secret.h"

#include "base/banned.h"

COMMAND_DECLARE(inspect)

struct inspect_values {
	int32_t format;
};
static_assert(sizeof(struct inspect_values) <= COMMAND_VALUES_MAX, "grow it");

const struct opt cmd_inspect_opts[] = {
	OPT_ROW_CHOICE(0, "format", "FORMAT",
                       offsetof(struct inspect_values, format), "How to print",
                       opt_format_choices, NULL),
	{0},
};

/* ---- text --------------------------------------------------------------- */

static void field(const char *name, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void field(const char *name, const char *fmt, ...)
{
	struct buf cleanup_buf b = BUF_INIT;
	va_list ap;

	(void)buf_printf(&b, "%-12s ", name);
	va_start(ap, fmt);
	(void)buf_vprintf(&b, fmt, ap);
	va_end(ap);
	out_line(buf_str(&b));
}

static void field_if(const char *name, const char *value)
{
	if (*value)
		field(name, "%s", value);
}

static void field_list(const char *name, const char *const *list)
{
	for (const char *const *w = list; *w; w++)
		field(w == list ? name : "", "%s", *w);
}

/* As the option takes it. */
static void field_limit(const char *name, uint32_t seconds)
{
	bool hours = seconds % 3600 == 0, minutes = seconds % 60 == 0;
	unsigned unit = hours ? 3600 : minutes ? 60 : 1;

	if (seconds)
		field(name, "%u%c", (unsigned)seconds / unit,
		      hours     ? 'h'
		      : minutes ? 'm'
		                : 's');
}

static void show_end(const struct msb_sandbox_info *i)
{
	struct buf cleanup_buf status = BUF_INIT;

	describe_status(i, &status);
	field("Status", "%s", buf_str(&status));
	if (!describe_is_running(i))
		field_if("", i->end_message);
}

static void show_mounts(const struct msb_mount *const *list)
{
	for (const struct msb_mount *const *m = list; *m; m++) {
		struct buf cleanup_buf b = BUF_INIT;

		describe_mount(*m, &b);
		field(m == list ? "Mounts" : "", "%s", buf_str(&b));
	}
}

/* Lines "NAME\tVALUE". */
static void field_lines(const struct strv *lines)
{
	for (size_t i = 0; i < lines->n; i++) {
		char name[16];
		size_t len = strcspn(lines->v[i], "\t");

		(void)snprintf(name, sizeof(name), "%.*s", (int)len,
		               lines->v[i]);
		field(name, "%s", lines->v[i] + len + 1);
	}
}

static void show_network(const struct msb_sandbox_info *i, const json_t *ports)
{
	struct buf cleanup_buf text = BUF_INIT;
	struct strv cleanup_strv lines = {0};

	(void)describe_network(i->network, &lines);
	(void)describe_secrets(i, &lines);
	field_lines(&lines);
	describe_ports_text(ports, &text);
	field_if("Ports", buf_str(&text));
}

static void show_config(const struct msb_sandbox_info *i, const json_t *ports)
{
	struct buf cleanup_buf command = BUF_INIT;
	char size[32], used[32];

	field("Image", "%s", i->image);
	field_if("Digest", i->image_id);
	field("CPUs", "%u", (unsigned)i->cpus);
	field("Memory", "%s",
	      num_format_size(i->memory_bytes, size, sizeof(size)));
	field("Root disk", "%s, %s of it used here",
	      num_format_size(i->upper_bytes, size, sizeof(size)),
	      num_format_size(i->disk_bytes, used, sizeof(used)));
	field_if("Host name", i->hostname);
	field_if("Entrypoint", i->entrypoint);
	describe_argv(i->command, 0, &command);
	field_if("Command", buf_str(&command));
	field_if("Workdir", i->workdir);
	field_if("User", i->user);
	field_if("Shell", i->shell);
	field_if("Init", i->init);
	field_list("Environment", i->env);
	field_list("Limits", i->rlimits);
	field_list("Scripts", i->scripts);
	field_list("Patches", i->patches);
	show_mounts(i->mounts);
	show_network(i, ports);
	field_list("Labels", i->labels);
	field_limit("Max duration", i->max_duration_s);
	field_limit("Idle timeout", i->idle_timeout_s);
}

static void show_machine(const struct msb_sandbox_info *i)
{
	if (*i->engine)
		field("Engine", "%s, accelerator %s", i->engine, i->accel);
	else
		field("Engine", "not known yet");
	if (!describe_is_running(i))
		return;
	if (i->owner_pid)
		field("Process", "%lld, attached to %lld", (long long)i->pid,
		      (long long)i->owner_pid);
	else
		field("Process", "%lld, detached", (long long)i->pid);
	field("Boundary", "%s", i->boundary);
	field_list("Walls", i->walls);
}

static void show_pending(const struct msb_plan *plan)
{
	for (size_t k = 0; k < msb_plan_count(plan); k++) {
		const struct msb_change *c = msb_plan_get(plan, k);

		field(k ? "" : "Next start", "%s %s, now %s", c->field,
		      *c->after ? c->after : "-", *c->before ? c->before : "-");
	}
}

static void show_text(const struct msb_sandbox_info *i, const json_t *ports,
                      const struct msb_plan *pending)
{
	char time[32];

	field("Name", "%s", i->name);
	field("Id", "%s", i->id);
	show_end(i);
	field("Created", "%s", out_time(i->created_unix, time));
	if (i->started_unix)
		field("Started", "%s", out_time(i->started_unix, time));
	if (i->ended_unix)
		field("Ended", "%s", out_time(i->ended_unix, time));
	if (!(i->flags & MSB_SANDBOX_KEEP))
		field("Kept", "no: nothing is left of it when it ends");
	show_config(i, ports);
	show_pending(pending);
	show_machine(i);
}

/* ---- the command -------------------------------------------------------- */

static int inspect(struct msb_home *home, const char *name, json_t *array,
                   bool first)
{
	struct msb_sandbox_info *info = NULL;
	struct msb_plan *pending = NULL;
	json_t *cleanup_json ports = NULL;
	struct msb_error error;
	int r = msb_sandbox_inspect(home, name, &info, &error);

	if (r == 0)
		r = msb_sandbox_pending(home, info->id, &pending, &error);
	if (r == 0)
		ports = describe_ports(home, info);
	if (r < 0) {
		out_error(&error);
	} else if (array) {
		(void)json_array_append_new(
			array, describe_sandbox(info, ports, pending));
	} else {
		if (!first)
			out_line("");
		show_text(info, ports, pending);
	}
	msb_plan_free(pending);
	msb_sandbox_info_free(info);
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}

/* One name gives an object, several an array. */
static int print_json(json_t *array, int words)
{
	json_t *cleanup_json all = array;

	if (words > 1)
		return out_json(json_incref(all));
	if (json_array_size(all) == 0)
		return EXIT_FAILED;
	return out_json(json_incref(json_array_get(all, 0)));
}

int cmd_inspect(struct cli *cli, void *values)
{
	const struct inspect_values *v = values;
	struct msb_home *home = NULL;
	struct msb_error error;
	json_t *array = NULL;
	int code = EXIT_OK;

	if (msb_home_open(NULL, &home, &error) < 0) {
		out_error(&error);
		return EXIT_FAILED;
	}
	if (v->format)
		array = json_array();
	for (int i = 0; i < cli->nwords; i++)
		if (inspect(home, cli->words[i], array, i == 0) != EXIT_OK)
			code = EXIT_FAILED;
	if (array && print_json(array, cli->nwords) != EXIT_OK)
		code = EXIT_FAILED;
	msb_home_free(home);
	return code;
}
