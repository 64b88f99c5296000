#include "cli/out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/escape.h"
#include "base/num.h"
#include "cli/command.h"

#include "base/banned.h"

#define TIME_LEN      32
#define CONSOLE_LINES 25

static bool has_colour(int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fd) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

const char *out_colour(int fd, enum out_colour c)
{
	static const char *const codes[] = {
		[OUT_PLAIN] = "\033[0m",   [OUT_BOLD] = "\033[1m",
		[OUT_RED] = "\033[31m",    [OUT_GREEN] = "\033[32m",
		[OUT_YELLOW] = "\033[33m", [OUT_DIM] = "\033[2m",
	};

	return has_colour(fd) ? codes[c] : "";
}

/* The text with everything dangerous made visible, into a stdio stream. */
static void put_escaped(FILE *f, const char *text, int keep_newline)
{
	struct buf cleanup_buf b = BUF_INIT;

	if (escape_text(&b, text, strlen(text), keep_newline) == 0)
		(void)fputs(buf_str(&b), f);
}

static void show_error(const char *message, const char *hint)
{
	(void)fflush(stdout);
	(void)fprintf(stderr, "%serror:%s ", out_colour(2, OUT_RED),
	              out_colour(2, OUT_PLAIN));
	put_escaped(stderr, message, 0);
	(void)fputc('\n', stderr);
	if (!*hint)
		return;
	(void)fputs("  → ", stderr);
	put_escaped(stderr, hint, 0);
	(void)fputc('\n', stderr);
}

void out_error(const struct msb_error *e)
{
	show_error(e->message, e->hint);
}

void out_err(const struct err *e)
{
	show_error(e->msg, e->hint);
}

void out_errorf(const char *hint, const char *fmt, ...)
{
	char text[MSB_ERROR_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	show_error(text, hint);
}

void out_done(const char *verb, const char *text)
{
	(void)fprintf(stderr, "   %s✓%s %-12s ", out_colour(2, OUT_GREEN),
	              out_colour(2, OUT_PLAIN), verb);
	put_escaped(stderr, text, 0);
	(void)fputc('\n', stderr);
}

void out_note(const char *fmt, ...)
{
	char text[MSB_ERROR_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_escaped(stderr, text, 0);
	(void)fputc('\n', stderr);
}

static const char *last_lines(const char *text, int lines)
{
	const char *p = text + strlen(text);

	while (p > text && p[-1] == '\n')
		p--;
	while (p > text && (p[-1] != '\n' || --lines > 0))
		p--;
	return p;
}

void out_warnings(const struct strv *texts)
{
	for (size_t i = 0; i < texts->n; i++)
		out_note("warn: %s", texts->v[i]);
}

void out_console(const char *text)
{
	struct buf cleanup_buf clean = BUF_INIT;
	size_t len;

	text = last_lines(text, CONSOLE_LINES);
	for (len = strlen(text); len > 0 && text[len - 1] == '\n';)
		len--;
	if (len == 0)
		return;
	/* A serial console ends its lines with \r\n. */
	for (size_t i = 0; i < len; i++)
		if (text[i] != '\r')
			(void)buf_addc(&clean, text[i]);
	(void)fprintf(stderr, "%s--- end of the guest's console ---%s\n",
	              out_colour(2, OUT_DIM), out_colour(2, OUT_PLAIN));
	put_escaped(stderr, buf_str(&clean), 1);
	(void)fputc('\n', stderr);
}

void out_line(const char *text)
{
	put_escaped(stdout, text, 0);
	(void)fputc('\n', stdout);
}

/* Characters, not bytes; what is wider than one column is not counted. */
static size_t text_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static char *escaped(const char *s)
{
	struct buf cleanup_buf b = BUF_INIT;

	return escape_text(&b, s, strlen(s), 0) == 0 ? buf_steal(&b) : NULL;
}

static void put_row(char *const *cells, const size_t *width, size_t columns)
{
	for (size_t c = 0; c < columns; c++) {
		size_t pad = c + 1 < columns
		                     ? width[c] + 3 - text_width(cells[c])
		                     : 0;

		(void)printf("%s%*s", cells[c], (int)pad, "");
	}
	(void)putchar('\n');
}

void out_table(const struct strv *cells, size_t columns)
{
	struct strv cleanup_strv clean = {0};
	size_t width[16] = {0};

	if (columns == 0 || columns > ARRAY_SIZE(width))
		return;
	for (size_t i = 0; i < cells->n; i++) {
		cleanup_free char *s = escaped(cells->v[i]);

		if (!s || strv_add(&clean, s) < 0)
			return;
		width[i % columns] = MAX(width[i % columns], text_width(s));
	}
	for (size_t i = 0; i + columns <= clean.n; i += columns)
		put_row(clean.v + i, width, columns);
}

int out_json(json_t *j)
{
	int r = -1;

	if (j)
		r = json_dumpf(j, stdout,
		               JSON_INDENT(2) | JSON_REAL_PRECISION(12) |
		                       (isatty(1) ? JSON_ENSURE_ASCII : 0));
	json_decref(j);
	if (r < 0) {
		out_errorf("", "cannot write JSON");
		return EXIT_FAILED;
	}
	(void)putchar('\n');
	return EXIT_OK;
}

const char *out_time(int64_t unix_s, char *out)
{
	time_t t = (time_t)unix_s;
	struct tm tm;

	if (unix_s == 0 || !localtime_r(&t, &tm) ||
	    !strftime(out, TIME_LEN, "%Y-%m-%d %H:%M:%S", &tm))
		return "-";
	return out;
}

int out_finish(int code)
{
	int r = fflush(stdout) == 0 ? 0 : -errno;

	if (r == 0 && !ferror(stdout))
		return code;
	/* When an earlier write failed, nobody knows why any more. */
	out_errorf("", "cannot write standard output: %s",
	           r ? strerror(-r) : "not all was taken");
	return code ? code : EXIT_FAILED;
}

bool out_confirm(const char *question)
{
	char answer[8] = "";

	if (!isatty(0) || !isatty(2))
		return false;
	(void)fprintf(stderr, "%s [y/N] ", question);
	if (!fgets(answer, sizeof(answer), stdin))
		return false;
	return answer[0] == 'y' || answer[0] == 'Y';
}
