#include "lib/toml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"

#include "base/banned.h"

#define TEXT_MAX 4096u
#define LIST_MAX 256u

/* Where a parse is. The text ends with a NUL, which is in no valid file. */
struct parser {
	const char *p;
	unsigned line;
	const char *what;
	struct err *err;
	struct toml *doc;
};

void toml_release(struct toml *t)
{
	for (size_t i = 0; i < t->ntables; i++)
		strv_release(&t->tables[i].path);
	for (size_t i = 0; i < t->nentries; i++) {
		free(t->entries[i].key);
		free(t->entries[i].text);
		strv_release(&t->entries[i].list);
	}
	free(t->tables);
	free(t->entries);
	*t = (struct toml){0};
}

#define WRONG(s, ...) wrong((s), (s)->line, __VA_ARGS__)

__attribute__((format(printf, 3, 4))) static int
wrong(struct parser *s, unsigned line, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(s->err, -EINVAL, "%s:%u: %s", s->what, line, text);
}

static int no_memory(struct parser *s)
{
	return err_set(s->err, -ENOMEM, "%s: out of memory", s->what);
}

/* ---- the text as a whole ------------------------------------------------- */

/* Length of the UTF-8 character at @p, 0 when it is none. */
static size_t utf8_length(const uint8_t *p, const uint8_t *end)
{
	size_t n = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
	uint32_t c = n == 1 ? *p : *p & (0x7fu >> n);
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

	if (n > 1 && (*p < 0xc2 || *p > 0xf4 || (size_t)(end - p) < n))
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return n;
}

/* Text, tabs and line ends: nothing else is in a settings file. */
static int check_text(struct parser *s, const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len;
	unsigned line = 1;

	while (p < end) {
		size_t n = utf8_length(p, end);
		bool cr = *p == '\r' && p + 1 < end && p[1] == '\n';

		if (n == 0)
			return wrong(s, line, "not UTF-8");
		if ((*p < ' ' && *p != '\t' && *p != '\n' && !cr) || *p == 0x7f)
			return wrong(s, line, "a control character");
		line += *p == '\n';
		p += n;
	}
	return 0;
}

/* ---- words --------------------------------------------------------------- */

static void skip_blanks(struct parser *s)
{
	while (*s->p == ' ' || *s->p == '\t')
		s->p++;
}

static void skip_comment(struct parser *s)
{
	if (*s->p == '#')
		s->p += strcspn(s->p, "\r\n");
}

/* True at the end of a line or file, and then behind it. */
static bool skip_line_end(struct parser *s)
{
	skip_blanks(s);
	skip_comment(s);
	if (*s->p == '\r')
		s->p++;
	if (*s->p == '\n') {
		s->p++;
		s->line++;
		return true;
	}
	return *s->p == '\0';
}

static bool is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static int add_utf8(struct buf *b, uint32_t c)
{
	char out[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n; i-- > 1; c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(first[n] | c);
	return buf_add(b, out, n);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The digits behind \u or \U. */
static int unicode_escape(struct parser *s, size_t digits, struct buf *b)
{
	uint32_t c = 0;

	for (size_t i = 0; i < digits; i++) {
		int d = hex_digit(*s->p);

		if (d < 0)
			return WRONG(s, "an escape needs %zu hex digits",
			             digits);
		c = c << 4 | (uint32_t)d;
		s->p++;
	}
	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return WRONG(s, "an escape of no character");
	return add_utf8(b, c);
}

static int escape(struct parser *s, struct buf *b)
{
	static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
	char c = *++s->p; /* behind the backslash */
	const char *at = c ? strchr(from, c) : NULL;

	if (c == 'u' || c == 'U') {
		s->p++;
		return unicode_escape(s, c == 'u' ? 4 : 8, b);
	}
	if (!at)
		return WRONG(s, "an unknown escape");
	s->p++;
	return buf_addc(b, to[at - from]);
}

/* A text in " or '. */
static int quoted(struct parser *s, char **ret)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(TEXT_MAX);
	char quote = *s->p++;
	int r = 0;

	while (*s->p != quote && r == 0) {
		if (*s->p == '\0' || *s->p == '\n')
			return WRONG(s, "a text does not end on its line");
		if (quote == '"' && *s->p == '\\')
			r = escape(s, &b);
		else
			r = buf_addc(&b, *s->p++);
	}
	if (r == -E2BIG)
		return WRONG(s, "a text is longer than %u bytes", TEXT_MAX);
	if (r == -EINVAL)
		return r;
	s->p++;
	*ret = r < 0 ? NULL : b.len ? buf_steal(&b) : strdup("");
	return *ret ? 0 : no_memory(s);
}

static int key(struct parser *s, char **ret)
{
	const char *begin = s->p;

	if (*s->p == '"' || *s->p == '\'')
		return quoted(s, ret);
	while (is_bare(*s->p))
		s->p++;
	if (s->p == begin)
		return WRONG(s, "a name was expected");
	*ret = strndup(begin, (size_t)(s->p - begin));
	return *ret ? 0 : no_memory(s);
}

/* ---- values -------------------------------------------------------------- */

/* What stands for a value without quotes. */
static size_t word_length(const char *p)
{
	return strcspn(p, " \t\r\n,]#");
}

static int number(struct parser *s, int64_t *ret)
{
	size_t len = word_length(s->p), n = 0;
	bool minus = *s->p == '-', sign = minus || *s->p == '+';
	char digits[24];
	uint64_t v = 0;

	for (size_t i = sign; i < len && n < sizeof(digits) - 1; i++)
		if (s->p[i] != '_' || i == sign || s->p[i - 1] == '_' ||
		    i + 1 == len)
			digits[n++] = s->p[i];
	digits[n] = '\0';
	if (n == 0 || (digits[0] == '0' && n > 1) ||
	    !num_parse_u64(digits, INT64_MAX, &v)) {
		WRONG(s, "'%.*s' is not a value", (int)MIN(len, 64u), s->p);
		err_hint(s->err, "a text goes in quotes; numbers are whole "
		                 "and decimal");
		return -EINVAL;
	}
	s->p += len;
	*ret = minus ? -(int64_t)v : (int64_t)v;
	return 0;
}

static bool boolean(struct parser *s, int64_t *ret)
{
	size_t len = word_length(s->p);
	bool yes = len == 4 && strncmp(s->p, "true", len) == 0;

	if (!yes && (len != 5 || strncmp(s->p, "false", len) != 0))
		return false;
	*ret = yes;
	s->p += len;
	return true;
}

static void skip_lines(struct parser *s)
{
	while (*s->p && skip_line_end(s))
		;
}

static int list(struct parser *s, struct strv *ret)
{
	s->p++;
	for (skip_lines(s); *s->p != ']'; skip_lines(s)) {
		cleanup_free char *text = NULL;
		int r;

		if (*s->p != '"' && *s->p != '\'')
			return WRONG(s, "a list holds texts in quotes");
		if (ret->n == LIST_MAX)
			return WRONG(s, "a list is longer than %u", LIST_MAX);
		r = quoted(s, &text);
		if (r < 0)
			return r;
		if (strv_add(ret, text) < 0)
			return no_memory(s);
		skip_lines(s);
		if (*s->p == ',')
			s->p++;
		else if (*s->p != ']')
			return WRONG(s, "a list wants a comma or ]");
	}
	s->p++;
	return 0;
}

static int value(struct parser *s, struct toml_entry *e)
{
	if (*s->p == '"' || *s->p == '\'') {
		if (s->p[1] == *s->p && s->p[2] == *s->p)
			return WRONG(s, "texts over several lines are not "
			                "taken");
		e->kind = TOML_TEXT;
		return quoted(s, &e->text);
	}
	if (*s->p == '[') {
		e->kind = TOML_LIST;
		return list(s, &e->list);
	}
	if (*s->p == '{')
		return WRONG(s, "inline tables are not taken");
	if (boolean(s, &e->number)) {
		e->kind = TOML_BOOL;
		return 0;
	}
	e->kind = TOML_NUMBER;
	return number(s, &e->number);
}

/* ---- lines --------------------------------------------------------------- */

static int check_entry(struct parser *s, const struct toml_entry *e)
{
	const struct toml *d = s->doc;

	for (size_t i = 0; i + 1 < d->nentries; i++)
		if (d->entries[i].table == e->table &&
		    strcmp(d->entries[i].key, e->key) == 0)
			return wrong(s, e->line,
			             "%s is given twice, first in line %u",
			             e->key, d->entries[i].line);
	return 0;
}

static int entry(struct parser *s)
{
	struct toml *d = s->doc;
	struct toml_entry *e;
	int r;

	if (d->nentries == TOML_ENTRIES_MAX)
		return WRONG(s, "more than %u entries", TOML_ENTRIES_MAX);
	e = &d->entries[d->nentries++];
	*e = (struct toml_entry){.table = d->ntables - 1, .line = s->line};
	r = key(s, &e->key);
	if (r < 0)
		return r;
	skip_blanks(s);
	if (*s->p == '.')
		return WRONG(s, "dotted keys are not taken: write a [table]");
	if (*s->p != '=')
		return WRONG(s, "a = is missing behind %s", e->key);
	s->p++;
	skip_blanks(s);
	r = value(s, e);
	return r < 0 ? r : check_entry(s, e);
}

static bool same_path(const struct strv *a, const struct strv *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

static int check_table(struct parser *s, const struct toml_table *t)
{
	const struct toml *d = s->doc;

	for (size_t i = 1; i + 1 < d->ntables; i++)
		if (same_path(&d->tables[i].path, &t->path))
			return WRONG(s,
			             "this table is there twice, first in "
			             "line %u",
			             d->tables[i].line);
	return 0;
}

static int path(struct parser *s, struct strv *ret)
{
	for (;;) {
		cleanup_free char *part = NULL;
		int r;

		skip_blanks(s);
		r = key(s, &part);
		if (r < 0)
			return r;
		if (ret->n == TOML_DEPTH_MAX)
			return WRONG(s, "a table of more than %u parts",
			             TOML_DEPTH_MAX);
		if (strv_add(ret, part) < 0)
			return no_memory(s);
		skip_blanks(s);
		if (*s->p != '.')
			return 0;
		s->p++;
	}
}

static int table(struct parser *s)
{
	struct toml *d = s->doc;
	struct toml_table *t;
	int r;

	if (*++s->p == '[')
		return WRONG(s, "arrays of tables are not taken");
	if (d->ntables == TOML_TABLES_MAX)
		return WRONG(s, "more than %u tables", TOML_TABLES_MAX);
	t = &d->tables[d->ntables++];
	*t = (struct toml_table){.line = s->line};
	r = path(s, &t->path);
	if (r < 0)
		return r;
	if (*s->p != ']')
		return WRONG(s, "a ] is missing");
	s->p++;
	return check_table(s, t);
}

static int lines(struct parser *s)
{
	for (;;) {
		int r;

		skip_lines(s);
		if (*s->p == '\0')
			return 0;
		r = *s->p == '[' ? table(s) : entry(s);
		if (r < 0)
			return r;
		if (!skip_line_end(s))
			return WRONG(s, "something is left behind the value");
	}
}

int toml_parse(const void *data, size_t len, const char *what, struct toml *ret,
               struct err *err)
{
	struct toml cleanup_toml doc = {0};
	struct parser s = {.line = 1, .what = what, .err = err, .doc = &doc};
	cleanup_free char *text = NULL;
	int r;

	if (len > TOML_SIZE_MAX)
		return err_set(err, -EINVAL, "%s: larger than %u KiB", what,
		               TOML_SIZE_MAX >> 10);
	r = check_text(&s, data, len);
	if (r < 0)
		return r;
	doc.tables = calloc(TOML_TABLES_MAX, sizeof(*doc.tables));
	doc.entries = calloc(TOML_ENTRIES_MAX, sizeof(*doc.entries));
	text = malloc(len + 1);
	if (!doc.tables || !doc.entries || !text)
		return no_memory(&s);
	doc.ntables = 1;
	if (len)
		memcpy(text, data, len);
	text[len] = '\0';
	s.p = text;
	r = lines(&s);
	if (r < 0)
		return r;
	*ret = doc;
	doc = (struct toml){0};
	return 0;
}
