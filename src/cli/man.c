/*
 * man.c - a program of the build: writes the manual from the command table.
 * Its arguments are the files to write, build/x/msb-image-list.1 and so on; a
 * page of no command, or a command without a page, is an error, so that the
 * list in manual/meson.build stays whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/num.h"
#include "cli/command.h"
#include "microsandbox.h"

#include "base/banned.h"

#define PATH_LEN 128

static char **files;
static const char *title; /* "msb-run", of the page in work */
static FILE *page;
static char date[16];
static int wanted, written;

/* One line of text; roff reads dots and quotes at its begin, and backslashes */
static void put(const char *text, size_t len)
{
	if (len && (*text == '.' || *text == '\''))
		(void)fputs("\\&", page);
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\\')
			(void)fputs("\\e", page);
		else if (text[i] == '-')
			(void)fputs("\\-", page);
		else
			(void)putc(text[i], page);
	}
}

static void puts_text(const char *text)
{
	put(text, strlen(text));
}

/* Paragraphs; lines that begin with a space stay as they are. */
static void paragraphs(const char *text)
{
	bool example = false;

	while (*text) {
		size_t len = strcspn(text, "\n");

		if ((*text == ' ') != example) {
			(void)fputs(example ? ".fi\n" : ".nf\n", page);
			example = !example;
		}
		put(text, len);
		(void)fputs(len ? "\n" : ".PP\n", page);
		text += len + (text[len] == '\n');
	}
	if (example)
		(void)fputs(".fi\n", page);
}

static void choices(const struct opt *o)
{
	const char *mark = " One of: ";

	for (const char *const *p = o->choices; p && *p; p++) {
		if (!**p)
			continue;
		(void)fprintf(page, "%s", mark);
		puts_text(*p);
		mark = ", ";
	}
	if (o->env)
		(void)fprintf(page, "; else from the variable %s", o->env);
	if (o->choices)
		(void)putc('.', page);
}

static void options(const char *heading, const struct opt *opts)
{
	if (!opts || !opts->name)
		return;
	(void)fprintf(page, ".SH %s\n", heading);
	for (const struct opt *o = opts; o->name; o++) {
		if (!o->help)
			continue;
		(void)fputs(".TP\n", page);
		if (o->letter)
			(void)fprintf(page, "\\fB\\-%c\\fR, ", o->letter);
		(void)fputs("\\fB\\-\\-", page);
		puts_text(o->name);
		(void)fputs("\\fR", page);
		if (o->value)
			(void)fprintf(page, " \\fI%s\\fR", o->value);
		(void)putc('\n', page);
		puts_text(o->help);
		(void)putc('.', page);
		choices(o);
		(void)putc('\n', page);
	}
}

static void commands(const struct command *group)
{
	if (!group->sub)
		return;
	(void)fputs(".SH COMMANDS\n", page);
	for (const struct command *c = group->sub; c->name; c++) {
		if (!c->group)
			continue;
		(void)fputs(".TP\n\\fB", page);
		puts_text(title);
		(void)fputs("\\-", page);
		puts_text(c->name);
		(void)fputs("\\fR(1)\n", page);
		puts_text(c->summary);
		(void)fputs(".\n", page);
	}
}

static void body(const struct command *c, const char *path)
{
	(void)fprintf(page, ".TH \"%s\" 1 %s \"msb %s\" \"User Commands\"\n",
	              title, date, msb_version());
	(void)fputs(".SH NAME\n", page);
	puts_text(title);
	(void)fputs(" \\- ", page);
	puts_text(c->summary);
	(void)fprintf(page, "\n.SH SYNOPSIS\n\\fB%s\\fR [OPTIONS]%s%s", path,
	              c->sub ? " <COMMAND>" : "", *c->usage ? " " : "");
	puts_text(c->usage);
	(void)fputs(c->tail ? " [\\-\\- COMMAND...]\n" : "\n", page);
	(void)fputs(".SH DESCRIPTION\n", page);
	puts_text(c->summary);
	(void)fputs(".\n", page);
	if (c->aliases)
		(void)fprintf(page, "Also: %s.\n", c->aliases);
	if (c->details) {
		(void)fputs(".PP\n", page);
		paragraphs(c->details);
	}
	commands(c);
	options("OPTIONS", c->opts);
	options("GLOBAL OPTIONS", command_global_opts);
	if (c != &command_root)
		(void)fputs(".SH SEE ALSO\n.BR msb (1)\n", page);
}

/* The file of the page @title.1, or NULL. */
static const char *file_of(void)
{
	size_t len = strlen(title);

	for (char **f = files; *f; f++) {
		const char *slash = strrchr(*f, '/');
		const char *name = slash ? slash + 1 : *f;

		if (strncmp(name, title, len) == 0 &&
		    strcmp(name + len, ".1") == 0)
			return *f;
	}
	return NULL;
}

static bool hidden(const struct command *c)
{
	return c != &command_root && !c->group;
}

static void write_page(const struct command *c, const char *path)
{
	char name[PATH_LEN];
	const char *file;

	if (hidden(c))
		return;
	wanted++;
	(void)snprintf(name, sizeof(name), "%s", path);
	for (char *p = name; *p; p++)
		if (*p == ' ')
			*p = '-';
	title = name;
	file = file_of();
	if (!file) {
		(void)fprintf(stderr, "man: no file for %s.1\n", title);
		return;
	}
	page = fopen(file, "we");
	if (!page) {
		perror(file);
		return;
	}
	body(c, path);
	if (fclose(page) == 0)
		written++;
	else
		perror(file);
}

/* Today, or the day that a reproducible build is told. */
static void set_date(void)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	uint64_t told;
	time_t now = time(NULL);
	struct tm tm;

	if (epoch && num_parse_u64(epoch, INT64_MAX, &told))
		now = (time_t)told;
	if (gmtime_r(&now, &tm))
		(void)strftime(date, sizeof(date), "%Y-%m-%d", &tm);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return EXIT_USAGE;
	files = argv + 1;
	set_date();
	command_each(&command_root, "msb", write_page);
	if (written == wanted && written == argc - 1)
		return EXIT_OK;
	(void)fprintf(stderr, "man: %d files given, %d of %d pages written\n",
	              argc - 1, written, wanted);
	return EXIT_FAILED;
}
