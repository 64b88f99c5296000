#include "cli/log_show.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/escape.h"
#include "base/num.h"

#include "base/banned.h"

#define TIME_LEN 40
#define SGR_MAX  48 /* the longest that is believed to be one */

static const struct {
	int32_t source;
	const char *name, *colour;
} sources[] = {
	{MSB_LOG_STDOUT,  "stdout",  ""        },
	{MSB_LOG_STDERR,  "stderr",  "\033[31m"},
	{MSB_LOG_OUTPUT,  "output",  ""        },
	{MSB_LOG_CONSOLE, "console", "\033[2m" },
	{MSB_LOG_SYSTEM,  "system",  "\033[33m"},
};

static size_t row_of(int32_t source)
{
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(sources) && sources[i].source != source)
		i++;
	return i;
}

const char *log_source_name(int32_t source)
{
	size_t i = row_of(source);

	return sources[i].source == source ? sources[i].name : NULL;
}

static const char *format_time(int64_t unix_ms, char *out)
{
	time_t t = (time_t)(unix_ms / 1000);
	struct tm tm = {0};
	size_t n;

	(void)gmtime_r(&t, &tm);
	n = strftime(out, TIME_LEN, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(out + n, TIME_LEN - n, ".%03dZ", (int)(unix_ms % 1000));
	return out;
}

/* ---- for a terminal --------------------------------------------------- */

/* The length of the colour sequence at @p, which is an ESC; or 0. */
static size_t sgr_length(const char *p, size_t len)
{
	size_t n = 2;

	if (len < 3 || p[1] != '[')
		return 0;
	while (n < len && n < SGR_MAX &&
	       ((p[n] >= '0' && p[n] <= '9') || p[n] == ';' || p[n] == ':'))
		n++;
	return n < len && p[n] == 'm' ? n + 1 : 0;
}

int log_show_escape(struct buf *b, const char *text, size_t len, bool colour)
{
	bool coloured = false;
	int r = 0;

	/* A terminal's driver in the guest ends lines with it. */
	if (len && text[len - 1] == '\r')
		len--;
	while (len && r == 0) {
		const char *esc = memchr(text, '\033', len);
		size_t n = esc ? (size_t)(esc - text) : len, sgr;

		r = escape_text(b, text, n, 0);
		text += n;
		len -= n;
		sgr = len ? sgr_length(text, len) : 0;
		if (sgr && colour) {
			r = buf_add(b, text, sgr);
			coloured = true;
		} else if (len && !sgr) {
			r = escape_text(b, text, 1, 0);
			sgr = 1;
		}
		text += sgr;
		len -= sgr;
	}
	return coloured && r == 0 ? buf_adds(b, "\033[0m") : r;
}

static void add_prefix(struct log_show *s, const struct log_piece *piece,
                       bool colour)
{
	char time[TIME_LEN];

	if (s->timestamps)
		(void)buf_printf(&s->line, "%s%s%s ", colour ? "\033[2m" : "",
		                 format_time(piece->unix_ms, time),
		                 colour ? "\033[0m" : "");
	if (s->show_id && piece->session)
		(void)buf_printf(&s->line, "[%llu] ",
		                 (unsigned long long)piece->session);
	if (s->labels &&
	    (piece->source & (int32_t)(MSB_LOG_SYSTEM | MSB_LOG_CONSOLE)))
		(void)buf_printf(&s->line, "[%s] ",
		                 log_source_name(piece->source));
}

static const char *colour_of(const struct log_show *s,
                             const struct log_piece *piece)
{
	static const char *const palette[] = {"\033[36m", "\033[32m",
	                                      "\033[35m", "\033[34m",
	                                      "\033[33m", "\033[96m"};

	if (s->colour_sessions && piece->session)
		return palette[piece->session % ARRAY_SIZE(palette)];
	return sources[row_of(piece->source)].colour;
}

static void add_text(struct log_show *s, const struct log_piece *piece, int fd)
{
	const char *colour = s->colour[fd] ? colour_of(s, piece) : "";

	(void)buf_adds(&s->line, colour);
	if (s->terminal[fd] && !s->raw)
		(void)log_show_escape(&s->line, piece->data, piece->len,
		                      s->colour[fd]);
	else
		(void)buf_add(&s->line, piece->data, piece->len);
	if (*colour)
		(void)buf_adds(&s->line, "\033[0m");
}

/* ---- for programs ------------------------------------------------------- */

static json_t *as_base64(const void *data, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	struct buf cleanup_buf b = BUF_INIT;
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16;
		size_t n = MIN(len - i, 3);

		v |= n > 1 ? (uint32_t)p[i + 1] << 8 : 0;
		v |= n > 2 ? p[i + 2] : 0;
		for (size_t k = 0; k < 4; k++)
			(void)buf_addc(&b,
			               k <= n ? digits[v >> (18 - 6 * k) & 63]
			                      : '=');
	}
	return json_string(buf_str(&b));
}

/* Members as in the Rust msb: t, s, d, id, e. Whole lines have their end. */
static void add_json(struct log_show *s, const struct log_piece *piece)
{
	struct buf cleanup_buf data = BUF_INIT;
	char time[TIME_LEN], id[24], *text;
	json_t *o = json_object(), *d;

	(void)buf_add(&data, piece->data, piece->len);
	if (piece->ends)
		(void)buf_addc(&data, '\n');
	d = json_stringn(buf_str(&data), data.len);
	(void)json_object_set_new(
		o, "t", json_string(format_time(piece->unix_ms, time)));
	(void)json_object_set_new(o, "s",
	                          json_string(log_source_name(piece->source)));
	(void)json_object_set_new(o, "d",
	                          d ? d : as_base64(data.data, data.len));
	(void)snprintf(id, sizeof(id), "%llu",
	               (unsigned long long)piece->session);
	if (piece->session)
		(void)json_object_set_new(o, "id", json_string(id));
	if (!d)
		(void)json_object_set_new(o, "e", json_string("b64"));
	text = json_dumps(o, JSON_COMPACT |
	                             (s->terminal[0] ? JSON_ENSURE_ASCII : 0));
	json_decref(o);
	(void)buf_adds(&s->line, text ? text : "{}");
	(void)buf_addc(&s->line, '\n');
	free(text);
}

/* ------------------------------------------------------------------------- */

/* Both are written in the order in which things happened. */
static void turn_to(struct log_show *s, FILE *f)
{
	if (s->last && s->last != f)
		(void)fflush(s->last);
	s->last = f;
}

void log_show_piece(struct log_show *s, const struct log_piece *piece)
{
	bool is_err = piece->source == MSB_LOG_STDERR && !s->json;
	bool goes_on = s->open && s->session == piece->session &&
	               s->source == piece->source;

	buf_reset(&s->line);
	if (s->open && !goes_on)
		(void)fputc('\n', s->last);
	turn_to(s, is_err ? stderr : stdout);
	if (s->json) {
		add_json(s, piece);
	} else {
		if (!goes_on)
			add_prefix(s, piece, s->colour[is_err]);
		add_text(s, piece, is_err);
		if (piece->ends)
			(void)buf_addc(&s->line, '\n');
	}
	(void)fwrite(s->line.data, 1, s->line.len, s->last);
	s->open = !s->json && !piece->ends;
	s->session = piece->session;
	s->source = piece->source;
}

void log_show_flush(struct log_show *s)
{
	if (s->last)
		(void)fflush(s->last);
}

void log_show_release(struct log_show *s)
{
	if (s->open && s->terminal[s->last == stderr])
		(void)fputc('\n', s->last);
	log_show_flush(s);
	buf_release(&s->line);
}
