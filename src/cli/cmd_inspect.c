#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/num.h"
#include "cli/command.h"
#include "cli/out.h"

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

static const char *status(const struct msb_sandbox_info *i)
{
	return i->state == MSB_STATE_READY ? "Running" : "Starting";
}

static json_t *or_null(const char *s)
{
	return *s ? json_string(s) : json_null();
}

static json_t *walls_json(const struct msb_sandbox_info *i)
{
	json_t *list = json_array();

	for (const char *const *w = i->walls; *w; w++)
		(void)json_array_append_new(list, json_string(*w));
	return list;
}

static int show_json(const struct msb_sandbox_info *i)
{
	char time[32];
	json_t *config = json_pack("{s:s, s:I, s:I}", "image", i->image, "cpus",
	                           (json_int_t)i->cpus, "memory_mib",
	                           (json_int_t)(i->memory_bytes / MIB));

	return out_json(json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:o, s:I, s:I, s:o, s:s}", "name",
		i->name, "status", status(i), "created_at",
		out_time_utc(i->started_unix, time), "config", config, "engine",
		or_null(i->engine), "accel", or_null(i->accel), "pid",
		(json_int_t)i->pid, "owner_pid", (json_int_t)i->owner_pid,
		"walls", walls_json(i), "boundary", i->boundary));
}

static void field(const char *name, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void field(const char *name, const char *fmt, ...)
{
	struct buf cleanup_buf b = BUF_INIT;
	va_list ap;

	(void)buf_printf(&b, "%-10s ", name);
	va_start(ap, fmt);
	(void)buf_vprintf(&b, fmt, ap);
	va_end(ap);
	out_line(buf_str(&b));
}

static void show_text(const struct msb_sandbox_info *i)
{
	char text[32];

	field("Name", "%s", i->name);
	field("Status", "%s", status(i));
	field("Created", "%s", out_time(i->started_unix, text));
	field("Image", "%s", i->image);
	field("CPUs", "%u", (unsigned)i->cpus);
	field("Memory", "%s",
	      num_format_size(i->memory_bytes, text, sizeof(text)));
	if (*i->engine)
		field("Engine", "%s, accelerator %s", i->engine, i->accel);
	else
		field("Engine", "not known yet");
	field("Process", "%lld, attached to %lld", (long long)i->pid,
	      (long long)i->owner_pid);
	field("Boundary", "%s", i->boundary);
	for (const char *const *w = i->walls; *w; w++)
		field(w == i->walls ? "Walls" : "", "%s", *w);
}

int cmd_inspect(struct cli *cli, void *values)
{
	const struct inspect_values *v = values;
	struct msb_sandbox_info *info = NULL;
	struct msb_home *home = NULL;
	struct msb_error error;
	int code = EXIT_OK, r = msb_home_open(NULL, &home, &error);

	if (r == 0)
		r = msb_sandbox_inspect(home, cli->words[0], &info, &error);
	if (r < 0) {
		out_error(&error);
		code = EXIT_FAILED;
	} else if (v->format) {
		code = show_json(info);
	} else {
		show_text(info);
	}
	msb_sandbox_info_free(info);
	msb_home_free(home);
	return code;
}
