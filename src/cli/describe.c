#include "cli/describe.h"

#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "cli/out.h"

#include "base/banned.h"

#define PLAIN                                                                  \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"       \
	"%+,-./:=@_"

const char *describe_state(const struct msb_sandbox_info *i)
{
	static const char *const words[] = {
		[MSB_STATE_STARTING] = "Starting",
		[MSB_STATE_READY] = "Running",
		[MSB_STATE_FAILED] = "Crashed",
		[MSB_STATE_STOPPED] = "Stopped",
		[MSB_STATE_CREATED] = "Created",
		[MSB_STATE_CRASHED] = "Crashed",
	};

	if (i->state < 0 || (size_t)i->state >= ARRAY_SIZE(words))
		return "Unknown";
	return words[i->state];
}

bool describe_is_running(const struct msb_sandbox_info *i)
{
	return i->state == MSB_STATE_STARTING || i->state == MSB_STATE_READY;
}

void describe_seconds(int64_t seconds, struct buf *ret)
{
	static const struct {
		int64_t seconds;
		const char *name;
	} units[] = {
		{86400, "day"   },
                {3600,  "hour"  },
                {60,    "minute"}
        };
	int64_t n = MAX(seconds, 0);
	const char *name = "second";

	for (size_t k = 0; k < ARRAY_SIZE(units); k++) {
		if (n >= units[k].seconds) {
			n /= units[k].seconds;
			name = units[k].name;
			break;
		}
	}
	(void)buf_printf(ret, "%lld %s%s", (long long)n, name,
	                 n == 1 ? "" : "s");
}

/* A shut-down machine needs no word: that is what Stopped means. */
void describe_end(const struct msb_sandbox_info *i, struct buf *ret)
{
	if (strcmp(i->end_reason, "exited") == 0) {
		(void)buf_printf(ret, "exited %d", (int)i->exit_code);
		return;
	}
	if (strcmp(i->end_reason, "poweroff") == 0)
		return;
	for (const char *p = i->end_reason; *p; p++)
		(void)buf_addc(ret, *p == '_' ? ' ' : *p);
}

static int64_t now_s(void)
{
	return (int64_t)(clock_unix_ns() / NS_PER_S);
}

void describe_status(const struct msb_sandbox_info *i, struct buf *ret)
{
	struct buf cleanup_buf end = BUF_INIT;

	(void)buf_adds(ret, describe_state(i));
	if (i->state == MSB_STATE_READY && i->started_unix) {
		(void)buf_addc(ret, ' ');
		describe_seconds(now_s() - i->started_unix, ret);
	}
	if (describe_is_running(i) || i->state == MSB_STATE_CREATED)
		return;
	describe_end(i, &end);
	if (end.len)
		(void)buf_printf(ret, " (%s)", buf_str(&end));
	if (i->ended_unix) {
		(void)buf_addc(ret, ' ');
		describe_seconds(now_s() - i->ended_unix, ret);
		(void)buf_adds(ret, " ago");
	}
}

static void add_quoted(struct buf *b, const char *word)
{
	if (*word && word[strspn(word, PLAIN)] == '\0') {
		(void)buf_adds(b, word);
		return;
	}
	(void)buf_addc(b, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			(void)buf_adds(b, "'\\''");
		else
			(void)buf_addc(b, *word);
	}
	(void)buf_addc(b, '\'');
}

/* Where the column @max begins in UTF-8. */
static size_t cut_at(const char *s, size_t max)
{
	size_t i = 0;

	for (size_t column = 0; s[i]; i++) {
		bool begins = ((unsigned char)s[i] & 0xc0) != 0x80;

		if (begins && column++ == max)
			return i;
	}
	return i;
}

void describe_argv(const char *const *argv, size_t max, struct buf *ret)
{
	struct buf cleanup_buf all = BUF_INIT;
	size_t len;

	for (const char *const *a = argv; a && *a; a++) {
		if (a != argv)
			(void)buf_addc(&all, ' ');
		add_quoted(&all, *a);
	}
	len = max ? cut_at(buf_str(&all), max) : all.len;
	if (len < all.len) {
		(void)buf_add(ret, buf_str(&all),
		              cut_at(buf_str(&all), max - 3));
		(void)buf_adds(ret, "...");
	} else {
		(void)buf_adds(ret, buf_str(&all));
	}
}

json_t *describe_string(const char *s)
{
	return *s ? json_string(s) : json_null();
}

json_t *describe_time(int64_t unix_s)
{
	char text[32];

	return unix_s ? json_string(out_time_utc(unix_s, text)) : json_null();
}

json_t *describe_list(const char *const *list)
{
	json_t *a = json_array();

	for (; list && *list; list++)
		(void)json_array_append_new(a, json_string(*list));
	return a;
}

json_t *describe_pairs(const char *const *list)
{
	json_t *o = json_object();

	for (; list && *list; list++) {
		size_t key = strcspn(*list, "=");
		const char *value = *list + key + ((*list)[key] == '=');

		(void)json_object_setn_new(o, *list, key, json_string(value));
	}
	return o;
}
