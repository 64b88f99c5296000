#include "forms/describe.h"

#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"

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

	return unix_s ? json_string(clock_rfc3339(unix_s, text)) : json_null();
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

/* ---- mounts ---------------------------------------------------------------
 */

static const char *const mount_kinds[] = {
	[MSB_MOUNT_DIR] = "dir",     [MSB_MOUNT_FILE] = "file",
	[MSB_MOUNT_NAMED] = "named", [MSB_MOUNT_DISK] = "disk",
	[MSB_MOUNT_TMPFS] = "tmpfs",
};
static const char *const caches[] = {
	[MSB_CACHE_AUTO] = "auto",
	[MSB_CACHE_ALWAYS] = "always",
	[MSB_CACHE_NONE] = "none",
};
static const struct {
	uint32_t flag;
	const char *word, *key;
} mount_flags[] = {
	{MSB_MOUNT_READ_ONLY, "ro",       "readonly"},
	{MSB_MOUNT_NOEXEC,    "noexec",   "noexec"  },
	{MSB_MOUNT_NOSUID,    "nosuid",   "nosuid"  },
	{MSB_MOUNT_NODEV,     "nodev",    "nodev"   },
	{MSB_MOUNT_FOLLOW,    "follow",   "follow"  },
	{MSB_MOUNT_NO_LINKS,  "no-links", "no_links"},
};

static const char *mount_kind(const struct msb_mount *m)
{
	return m->kind > 0 && (size_t)m->kind < ARRAY_SIZE(mount_kinds)
	               ? mount_kinds[m->kind]
	               : "unknown";
}

static const char *cache_of(const struct msb_mount *m)
{
	return m->cache >= 0 && (size_t)m->cache < ARRAY_SIZE(caches)
	               ? caches[m->cache]
	               : "unknown";
}

static void add_option(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void add_option(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	(void)buf_adds(b, b->len ? ", " : "");
	va_start(ap, fmt);
	(void)buf_vprintf(b, fmt, ap);
	va_end(ap);
}

static void mount_options(const struct msb_mount *m, struct buf *b)
{
	char text[32];

	for (size_t i = 0; i < ARRAY_SIZE(mount_flags); i++)
		if (m->flags & mount_flags[i].flag)
			add_option(b, "%s", mount_flags[i].word);
	if (m->flags & MSB_MOUNT_OWNER)
		add_option(b, "uid=%u, gid=%u", m->uid, m->gid);
	if (m->cache)
		add_option(b, "cache=%s", cache_of(m));
	if (m->quota_bytes)
		add_option(b, "quota=%s",
		           num_format_size(m->quota_bytes, text, sizeof(text)));
	if (m->size_bytes)
		add_option(b, "size=%s",
		           num_format_size(m->size_bytes, text, sizeof(text)));
	if (m->mode)
		add_option(b, "mode=%04o", m->mode);
	if (m->format)
		add_option(b, "format=%s", m->format);
	if (m->fstype)
		add_option(b, "fstype=%s", m->fstype);
}

void describe_mount(const struct msb_mount *m, struct buf *ret)
{
	struct buf cleanup_buf options = BUF_INIT;

	mount_options(m, &options);
	(void)buf_printf(ret, "%s %s%sat %s", mount_kind(m),
	                 m->source ? m->source : "", m->source ? " " : "",
	                 m->target);
	if (options.len)
		(void)buf_printf(ret, " (%s)", buf_str(&options));
}

static json_t *number_or_null(bool set, uint64_t n)
{
	return set ? json_integer((json_int_t)n) : json_null();
}

/* A path of the host may be any bytes; those are in the text form. */
static json_t *path_json(const char *path)
{
	json_t *j = path ? json_string(path) : NULL;

	return j ? j : json_null();
}

static json_t *mount_json(const struct msb_mount *m)
{
	bool owner = m->flags & MSB_MOUNT_OWNER;
	json_t *o = json_pack(
		"{s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:s?, s:s?}", "kind",
		mount_kind(m), "source", path_json(m->source), "target",
		m->target, "cache", cache_of(m), "uid",
		number_or_null(owner, m->uid), "gid",
		number_or_null(owner, m->gid), "quota_bytes",
		number_or_null(m->quota_bytes, m->quota_bytes), "size_bytes",
		number_or_null(m->size_bytes, m->size_bytes), "format",
		m->format, "fstype", m->fstype);

	for (size_t i = 0; i < ARRAY_SIZE(mount_flags); i++)
		(void)json_object_set_new(
			o, mount_flags[i].key,
			json_boolean(m->flags & mount_flags[i].flag));
	return o;
}

json_t *describe_mounts(const struct msb_mount *const *list)
{
	json_t *a = json_array();

	for (; list && *list; list++)
		(void)json_array_append_new(a, mount_json(*list));
	return a;
}
