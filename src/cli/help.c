#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "cli/command.h"
#include "cli/out.h"

#include "base/banned.h"

#define WIDTH       80
#define COLUMN_MAX  32
#define TREE_COLUMN 48

static const char *bold(void)
{
	return out_colour(1, OUT_BOLD);
}

static const char *plain(void)
{
	return out_colour(1, OUT_PLAIN);
}

/* One line of @text (@len bytes) from column @indent on, broken at spaces. */
static void wrap_line(const char *text, size_t len, size_t indent)
{
	const char *end = text + len;
	size_t column = indent;

	while (text < end) {
		size_t n = strcspn(text, " \n");

		if (column > indent && column + 1 + n > WIDTH) {
			(void)printf("\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			(void)putchar(' ');
			column++;
		}
		(void)printf("%.*s", (int)n, text);
		column += n;
		text += n + (text[n] == ' ');
	}
}

/* Lines that begin with a space stay as they are: examples. */
static void wrap(const char *text, size_t indent)
{
	for (;;) {
		size_t len = strcspn(text, "\n");

		if (*text == ' ')
			(void)printf("%.*s", (int)len, text);
		else
			wrap_line(text, len, indent);
		(void)putchar('\n');
		if (text[len] == '\0')
			return;
		text += len + 1;
		(void)printf("%*s", (int)indent, "");
	}
}

static void choices_text(const struct opt *o, char *out, size_t len)
{
	size_t used = (size_t)snprintf(out, len, "%s", o->help);
	const char *mark = " [";

	for (size_t i = 0; o->choices && o->choices[i] && used < len; i++) {
		if (!*o->choices[i])
			continue;
		used += (size_t)snprintf(out + used, len - used, "%s%s", mark,
		                         o->choices[i]);
		mark = ", ";
	}
	if (o->choices && used < len)
		used += (size_t)snprintf(out + used, len - used, "]");
	if (o->env && used < len)
		(void)snprintf(out + used, len - used, " [env: %s]", o->env);
}

static size_t column_width(const struct opt *opts)
{
	size_t width = 0;

	for (const struct opt *o = opts; o && o->name; o++) {
		char text[64];
		size_t len = strlen(opt_spelling(o, text, sizeof(text)));

		if (o->help && len <= COLUMN_MAX)
			width = MAX(width, len);
	}
	return width;
}

static void show_opts(const char *title, const struct opt *opts)
{
	size_t width = column_width(opts);

	if (!opts || !opts->name)
		return;
	(void)printf("\n%s%s:%s\n", bold(), title, plain());
	for (const struct opt *o = opts; o->name; o++) {
		char text[64], help[512];

		if (!o->help)
			continue;
		(void)opt_spelling(o, text, sizeof(text));
		choices_text(o, help, sizeof(help));
		if (strlen(text) > width)
			(void)printf("  %s\n%*s", text, (int)width + 4, "");
		else
			(void)printf("  %-*s  ", (int)width, text);
		wrap(help, width + 4);
	}
}

static size_t longest_name(const struct command *group)
{
	size_t width = 0;

	for (const struct command *c = group->sub; c && c->name; c++)
		if (c->group)
			width = MAX(width, strlen(c->name));
	return width;
}

static void show_commands(const struct command *group)
{
	const char *last = "";
	size_t width = longest_name(group);

	for (const struct command *c = group->sub; c && c->name; c++) {
		if (!c->group)
			continue;
		if (strcmp(c->group, last) != 0)
			(void)printf("\n%s%s:%s\n", bold(), c->group, plain());
		last = c->group;
		(void)printf("  %-*s  ", (int)width, c->name);
		wrap(c->summary, width + 4);
	}
}

void help_show(const struct command *c, const char *path)
{
	(void)printf("%s\n\n%sUsage:%s %s%s%s%s%s%s\n", c->summary, bold(),
	             plain(), path,
	             c->opts && c->opts->name ? " [OPTIONS]" : "",
	             c->sub ? " <COMMAND>" : "", *c->usage ? " " : "", c->usage,
	             c->tail ? " [-- COMMAND...]" : "");
	if (c->aliases && *c->aliases)
		(void)printf("Also: %s\n", c->aliases);
	if (c->details) {
		(void)putchar('\n');
		wrap(c->details, 0);
	}
	if (c->sub)
		show_commands(c);
	show_opts("Options", c->opts);
	show_opts("Global options", command_global_opts);
	if (c->sub)
		(void)printf("\nRun '%s COMMAND --help' for a command.\n",
		             path);
}

struct branch {
	char prefix[64]; /* what stands before every line below */
	unsigned depth;
};

/* What a row is stands in one column, whatever its depth. */
static void tree_line(const struct branch *b, bool last, const char *text,
                      const char *help)
{
	int room = TREE_COLUMN - 4 * (int)(b->depth + 1);

	(void)printf("%s%s%-*s  %s\n", b->prefix, last ? "└── " : "├── ",
	             MAX(room, 0), text, help);
}

static void tree_opts(const struct opt *opts, const struct branch *b, bool more)
{
	for (const struct opt *o = opts; o && o->name; o++) {
		const struct opt *next = o + 1;
		char text[64];

		if (!o->help)
			continue;
		while (next->name && !next->help)
			next++;
		(void)opt_spelling(o, text, sizeof(text));
		tree_line(b, !more && !next->name, text + strspn(text, " "),
		          o->help);
	}
}

static bool has_next(const struct command *c)
{
	for (c++; c->name; c++)
		if (c->group)
			return true;
	return false;
}

static void tree_node(const struct command *c, const struct branch *b)
{
	if (c == &command_root)
		tree_opts(command_global_opts, b, true);
	tree_opts(c->opts, b, c->sub != NULL);
	for (const struct command *s = c->sub; s && s->name; s++) {
		struct branch below;
		bool last = !has_next(s);
		char text[128];

		if (!s->group)
			continue;
		(void)snprintf(text, sizeof(text), "%s%s%s%s%s%s%s", s->name,
		               s->aliases && *s->aliases ? " (" : "",
		               s->aliases ? s->aliases : "",
		               s->aliases && *s->aliases ? ")" : "",
		               *s->usage ? " " : "", s->usage,
		               s->tail ? " [-- COMMAND...]" : "");
		tree_line(b, last, text, s->summary);
		below.depth = b->depth + 1;
		(void)snprintf(below.prefix, sizeof(below.prefix), "%.50s%s",
		               b->prefix, last ? "    " : "│   ");
		tree_node(s, &below);
	}
}

void help_tree(const struct command *c, const char *path)
{
	struct branch root = {"", 0};

	(void)printf("%s%s%s%s\n", path, *c->usage ? " " : "", c->usage,
	             c->tail ? " [-- COMMAND...]" : "");
	tree_node(c, &root);
}
