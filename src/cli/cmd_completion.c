/*
 * cmd_completion.c - completion scripts from the command table.
 *
 * Each script holds the table in its shell's words and a walker that finds
 * the command that the cursor is in. The walkers follow opt.c: a group's first
 * word is a command, "--" ends options, a command with a tail takes the words
 * after its own as a guest's. What a value or word is to be follows from its
 * placeholder (see hint_of()).
 */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/out.h"

#include "base/banned.h"

COMMAND_DECLARE(completion)

const struct opt cmd_completion_opts[] = {{0}};

#define MANY_WORDS 999

/* Hints that are not a list of words; the walkers know them, too. */
#define HINT_ANY     "@any"
#define HINT_FILES   "@files"
#define HINT_IMAGE   "@image"
#define HINT_SANDBOX "@sandbox"

/*
 * @text for between single quotes: a byte of @special gets a backslash, a
 * single quote becomes @quote.
 */
static void put_quoted(const char *text, const char *special, const char *quote)
{
	for (; *text; text++) {
		if (*text == '\'') {
			(void)fputs(quote, stdout);
			continue;
		}
		if (strchr(special, *text))
			(void)putchar('\\');
		(void)putchar(*text);
	}
}

static void fish_text(const char *text)
{
	put_quoted(text, "\\", "\\'");
}

static void zsh_text(const char *text)
{
	put_quoted(text, "\\[]:", "'\\''");
}

/* Add @len bytes of @word to the list in @out. */
static void list_add(char *out, size_t size, const char *word, size_t len)
{
	size_t used = strlen(out);

	(void)snprintf(out + used, size - used, "%s%.*s", used ? " " : "",
	               (int)len, word);
}

/* The names and aliases that @group offers. */
static void names_of(const struct command *group, char *out, size_t size)
{
	*out = '\0';
	for (const struct command *c = group->sub; c && c->name; c++) {
		if (!c->group)
			continue;
		list_add(out, size, c->name, strlen(c->name));
		if (c->aliases)
			list_add(out, size, c->aliases, strlen(c->aliases));
	}
}

/* "<a|b>" to "a b". */
static void alternatives(const char *usage, char *out, size_t size)
{
	*out = '\0';
	for (const char *p = usage; *p; p++) {
		size_t len = strcspn(p, "<>|");

		if (len)
			list_add(out, size, p, len);
		p += len;
		if (!*p)
			return;
	}
}

/* What the words of @c are: a hint or a list. */
static const char *hint_of_words(const struct command *c, char *out,
                                 size_t size)
{
	if (c->sub)
		names_of(c, out, size);
	else if (strstr(c->usage, "COMMAND"))
		names_of(&command_root, out, size);
	else if (strchr(c->usage, '|'))
		alternatives(c->usage, out, size);
	else if (strstr(c->usage, "IMAGE"))
		(void)snprintf(out, size, HINT_IMAGE);
	else if (strstr(c->usage, "NAME") && strcmp(c->name, "uninstall") != 0)
		(void)snprintf(out, size, HINT_SANDBOX);
	else
		(void)snprintf(out, size, HINT_ANY);
	return out;
}

/* The same of an option's value. PATH is a file here, in a table's row. */
static const char *hint_of(const struct opt *o, char *out, size_t size)
{
	*out = '\0';
	for (const char *const *p = o->choices; p && *p; p++)
		if (**p)
			list_add(out, size, *p, strlen(*p));
	if (!*out)
		(void)snprintf(out, size, "%s",
		               strcmp(o->value, "PATH") == 0 ? HINT_FILES
		                                             : HINT_ANY);
	return out;
}

static int max_words(const struct command *c)
{
	if (c->sub || strstr(c->usage, "COMMAND"))
		return 1;
	return c->words_max < 0 ? MANY_WORDS : c->words_max;
}

/* 'PATH NAME' | 'PATH ALIAS', or with a space between: patterns. */
static void put_patterns(const struct command *s, const char *path,
                         const char *between)
{
	(void)printf("'%s %s'", path, s->name);
	for (const char *p = s->aliases; p && *p; p += *p == ' ') {
		int len = (int)strcspn(p, " ");

		(void)printf("%s'%s %.*s'", between, path, len, p);
		p += len;
	}
}

static void put_opt_patterns(const struct opt *o, const char *path,
                             const char *between)
{
	(void)printf("'%s --%s'", path, o->name);
	if (o->letter)
		(void)printf("%s'%s -%c'", between, path, o->letter);
}

static void bash_next(const struct command *c, const char *path)
{
	for (const struct command *s = c->sub; s && s->name; s++) {
		(void)printf("\t");
		put_patterns(s, path, " | ");
		(void)printf(") at='%s %s' ;;\n", path, s->name);
	}
}

static void bash_options(const struct opt *opts)
{
	for (const struct opt *o = opts; o && o->name; o++) {
		if (!o->help)
			continue;
		(void)printf(" --%s", o->name);
		if (o->letter)
			(void)printf(" -%c", o->letter);
	}
}

static void bash_command(const struct command *c, const char *path)
{
	char hint[512];

	(void)printf("\t'%s') max=%d tail=%s hint='%s'\n\t\toptions='", path,
	             max_words(c), c->tail ? "1" : "",
	             hint_of_words(c, hint, sizeof(hint)));
	bash_options(c->opts);
	bash_options(command_global_opts);
	(void)printf("' ;;\n");
}

static void bash_value(const struct command *c, const char *path)
{
	char hint[512];

	for (const struct opt *o = c->opts; o && o->name; o++) {
		if (!o->value)
			continue;
		(void)printf("\t");
		put_opt_patterns(o, path, " | ");
		(void)printf(") value='%s' ;;\n",
		             hint_of(o, hint, sizeof(hint)));
	}
}

static const char bash_walker[] =
	"_msb_letters() {\n"
	"\tlocal n\n"
	"\tfor ((n = 1; n < ${#1}; n++)); do\n"
	"\t\t_msb_value \"$at\" \"-${1:n:1}\" || continue\n"
	"\t\t((n + 1 < ${#1})) && value=\n"
	"\t\treturn 0\n"
	"\tdone\n"
	"}\n"
	"\n"
	"_msb_files() {\n"
	"\tlocal name\n"
	"\tcompopt -o filenames 2>/dev/null\n"
	"\twhile IFS= read -r name; do\n"
	"\t\tCOMPREPLY+=(\"$2$name\")\n"
	"\tdone < <(compgen -f -- \"$1\")\n"
	"}\n"
	"\n"
	"_msb_list() {\n"
	"\tlocal name\n"
	"\twhile read -r name; do\n"
	"\t\t[[ $name == \"$1\"* ]] && COMPREPLY+=(\"$2$name\")\n"
	"\tdone\n"
	"}\n"
	"\n"
	"_msb_offer() {\n"
	"\tcase $1 in\n"
	"\t" HINT_ANY ") ;;\n"
	"\t" HINT_FILES ") _msb_files \"$2\" \"$3\" ;;\n"
	"\t" HINT_IMAGE ")\n"
	"\t\tcase $2 in\n"
	"\t\t[./~]*) _msb_files \"$2\" \"$3\" ;;\n"
	"\t\t*) _msb_list \"$2\" \"$3\" < <(\"$msb\" image ls -q "
	"2>/dev/null) ;;\n"
	"\t\tesac ;;\n"
	"\t" HINT_SANDBOX ")\n"
	"\t\t_msb_list \"$2\" \"$3\" < <(\"$msb\" list -q 2>/dev/null) ;;\n"
	"\t*) _msb_list \"$2\" \"$3\" < <(printf '%s\\n' $1) ;;\n"
	"\tesac\n"
	"}\n"
	"\n"
	"# bash breaks words at = and :, we do not: give it what it lacks.\n"
	"_msb_cut() {\n"
	"\tlocal breaks=${COMP_WORDBREAKS//[^:=]/} rest=$1\n"
	"\t[[ $breaks ]] && rest=${1##*[$breaks]}\n"
	"\tCOMPREPLY=(\"${COMPREPLY[@]#\"${1%\"$rest\"}\"}\")\n"
	"}\n"
	"\n"
	"# Leaves the command in at; fails in a tail, where all is the "
	"guest's.\n"
	"_msb_walk() {\n"
	"\tlocal w\n"
	"\tfor w; do\n"
	"\t\tif [[ $value ]]; then\n"
	"\t\t\tvalue=\n"
	"\t\telif [[ ! $dashes && $w == -- ]]; then\n"
	"\t\t\tdashes=1\n"
	"\t\t\t[[ ! $tail ]] || return 1\n"
	"\t\telif [[ ! $dashes && $w == --* ]]; then\n"
	"\t\t\t[[ $w == *=* ]] || _msb_value \"$at\" \"$w\"\n"
	"\t\telif [[ ! $dashes && $w == -?* ]]; then\n"
	"\t\t\t_msb_letters \"$w\"\n"
	"\t\telif ((given == 0)) && _msb_next \"$at\" \"$w\"; then\n"
	"\t\t\t_msb_command \"$at\"\n"
	"\t\telse\n"
	"\t\t\t((++given > max)) && return 1\n"
	"\t\tfi\n"
	"\tdone\n"
	"\treturn 0\n"
	"}\n"
	"\n"
	"_msb() {\n"
	"\tlocal line=${COMP_LINE:0:COMP_POINT} msb=${1/#\\~/$HOME}\n"
	"\tlocal at=msb max tail hint options value= given=0 dashes= cur\n"
	"\tlocal -a words\n"
	"\tCOMPREPLY=()\n"
	"\t# shellcheck disable=SC2162  # a backslash keeps a space\n"
	"\tread -a words <<<\"$line\"\n"
	"\t[[ $line == *[[:space:]] && $line != *\\\\' ' ]] && words+=('')\n"
	"\tcur=${words[${#words[@]} - 1]}\n"
	"\t_msb_command \"$at\"\n"
	"\t_msb_walk \"${words[@]:1:${#words[@]} - 2}\" || return 0\n"
	"\tif [[ $value ]]; then\n"
	"\t\t_msb_offer \"$value\" \"$cur\" ''\n"
	"\telif [[ ! $dashes && $cur == --*=* ]]; then\n"
	"\t\t_msb_value \"$at\" \"${cur%%=*}\" &&\n"
	"\t\t\t_msb_offer \"$value\" \"${cur#*=}\" \"${cur%%=*}=\"\n"
	"\telif [[ ! $dashes && $cur == -* ]]; then\n"
	"\t\t_msb_offer \"$options\" \"$cur\" ''\n"
	"\telif ((given < max)); then\n"
	"\t\t_msb_offer \"$hint\" \"$cur\" ''\n"
	"\tfi\n"
	"\t_msb_cut \"$cur\"\n"
	"}\n"
	"\n"
	"complete -F _msb msb\n";

static void bash_script(void)
{
	(void)printf("# bash completion for msb, by 'msb completion bash'\n"
	             "\n_msb_next() {\n\tcase \"$1 $2\" in\n");
	command_each(&command_root, "msb", bash_next);
	(void)printf("\t*) return 1 ;;\n\tesac\n}\n"
	             "\n_msb_command() {\n\tcase $1 in\n");
	command_each(&command_root, "msb", bash_command);
	(void)printf("\tesac\n}\n\n_msb_value() {\n\tcase \"$1 $2\" in\n");
	command_each(&command_root, "msb", bash_value);
	(void)printf("\t*) value= && return 1 ;;\n\tesac\n}\n\n%s",
	             bash_walker);
}

/* "msb image list" to _msb_image_list. */
static void zsh_name(const char *path)
{
	(void)putchar('_');
	for (; *path; path++)
		(void)putchar(*path == ' ' ? '_' : *path);
}

static void zsh_action(const char *hint)
{
	if (strcmp(hint, HINT_ANY) == 0)
		(void)putchar(' ');
	else if (strcmp(hint, HINT_FILES) == 0)
		(void)printf("_files");
	else if (strcmp(hint, HINT_IMAGE) == 0)
		(void)printf("__msb_images");
	else if (strcmp(hint, HINT_SANDBOX) == 0)
		(void)printf("__msb_sandboxes");
	else
		(void)printf("(%s)", hint);
}

/* '(-m --memory)'{-m+,--memory=}'[help]:SIZE: ' */
static void zsh_opt(const struct opt *o)
{
	bool list = opt_is_list(o);
	const char *plus = o->value ? "+" : "", *is = o->value ? "=" : "";
	char hint[512];

	(void)printf(" \\\n\t\t");
	if (list)
		(void)printf("'*'");
	else if (o->letter)
		(void)printf("'(-%c --%s)'", o->letter, o->name);
	if (o->letter)
		(void)printf("{-%c%s,--%s%s}", o->letter, plus, o->name, is);
	else
		(void)printf("--%s%s", o->name, is);
	(void)printf("'[");
	zsh_text(o->help);
	(void)putchar(']');
	if (o->value) {
		(void)putchar(':');
		zsh_text(o->value);
		(void)putchar(':');
		zsh_action(hint_of(o, hint, sizeof(hint)));
	}
	(void)putchar('\'');
}

static void zsh_opts(const struct opt *opts)
{
	for (const struct opt *o = opts; o && o->name; o++)
		if (o->help)
			zsh_opt(o);
}

static void zsh_words(const struct command *c)
{
	char hint[512];

	if (c->sub)
		(void)printf(" \\\n\t\t'1: :->command' '*:: :->rest'");
	else if (max_words(c) > 0) {
		(void)printf(" \\\n\t\t'%s:", max_words(c) == 1 ? "1" : "*");
		zsh_text(c->usage);
		(void)putchar(':');
		zsh_action(hint_of_words(c, hint, sizeof(hint)));
		(void)putchar('\'');
	}
	if (c->tail)
		(void)printf(" \\\n\t\t'*::COMMAND: '");
}

static void zsh_row(const char *name, size_t len, const char *summary)
{
	(void)printf("\t\t\t'%.*s:", (int)len, name);
	put_quoted(summary, "\\:", "'\\''");
	(void)printf("'\n");
}

static void zsh_rows(const struct command *group)
{
	for (const struct command *c = group->sub; c->name; c++) {
		if (!c->group)
			continue;
		zsh_row(c->name, strlen(c->name), c->summary);
		for (const char *p = c->aliases; p && *p; p += *p == ' ') {
			size_t len = strcspn(p, " ");

			zsh_row(p, len, c->summary);
			p += len;
		}
	}
}

/* The end of a group's function: what the words that are left are. */
static void zsh_group(const struct command *c, const char *path)
{
	(void)printf("\tcase $state in\n\tcommand)\n\t\tlist=(\n");
	zsh_rows(c);
	(void)printf("\t\t)\n\t\t_describe -t commands command list ;;\n"
	             "\trest)\n\t\tcase \"%s $words[1]\" in\n",
	             path);
	for (const struct command *s = c->sub; s->name; s++) {
		(void)printf("\t\t");
		put_patterns(s, path, " | ");
		(void)printf(") ");
		zsh_name(path);
		(void)printf("_%s ;;\n", s->name);
	}
	(void)printf("\t\tesac ;;\n\tesac\n");
}

static void zsh_command(const struct command *c, const char *path)
{
	(void)putchar('\n');
	zsh_name(path);
	(void)printf("() {\n\tlocal curcontext=$curcontext state line ret=1\n"
	             "\tlocal -a list\n");
	if (c == &command_root)
		(void)printf("\tlocal msb=${(Q)words[1]}\n");
	(void)printf("\t_arguments -C -s -S");
	zsh_opts(c->opts);
	zsh_opts(command_global_opts);
	zsh_words(c);
	(void)printf(" && ret=0\n");
	if (c->sub)
		zsh_group(c, path);
	(void)printf("\treturn ret\n}\n");
}

static const char zsh_head[] =
	"#compdef msb\n"
	"# zsh completion for msb, by 'msb completion zsh'\n"
	"\n"
	"__msb_images() {\n"
	"\tlocal -a list\n"
	"\tif [[ $PREFIX == [./~]* ]]; then\n"
	"\t\t_files\n"
	"\telse\n"
	"\t\tlist=(${(f)\"$(\"$msb\" image ls -q 2>/dev/null)\"})\n"
	"\t\tcompadd -a list\n"
	"\tfi\n"
	"}\n"
	"\n"
	"__msb_sandboxes() {\n"
	"\tlocal -a list\n"
	"\tlist=(${(f)\"$(\"$msb\" list -q 2>/dev/null)\"})\n"
	"\tcompadd -a list\n"
	"}\n";

/* Run as a function of $fpath it must also do what it defines. */
static const char zsh_foot[] = "\n"
			       "if [[ $funcstack[1] == _msb ]]; then\n"
			       "\t_msb \"$@\"\n"
			       "else\n"
			       "\tcompdef _msb msb\n"
			       "fi\n";

static void zsh_script(void)
{
	(void)printf("%s", zsh_head);
	command_each(&command_root, "msb", zsh_command);
	(void)printf("%s", zsh_foot);
}

static void fish_next(const struct command *c, const char *path)
{
	for (const struct command *s = c->sub; s && s->name; s++) {
		(void)printf("        case ");
		put_patterns(s, path, " ");
		(void)printf("\n            echo '%s %s'\n", path, s->name);
	}
}

static void fish_value(const struct command *c, const char *path)
{
	for (const struct opt *o = c->opts; o && o->name; o++) {
		if (!o->value)
			continue;
		(void)printf("        case ");
		put_opt_patterns(o, path, " ");
		(void)printf("\n            return 0\n");
	}
}

static void fish_tail(const struct command *c, const char *path)
{
	if (c->tail)
		(void)printf("        case '%s'\n            echo %d\n", path,
		             max_words(c));
}

static void fish_opts(const struct opt *opts, const char *path)
{
	char hint[512];

	for (const struct opt *o = opts; o && o->name; o++) {
		if (!o->help)
			continue;
		(void)printf("complete -c msb -n '__msb_at \"%s\"' -l %s", path,
		             o->name);
		if (o->letter)
			(void)printf(" -s %c", o->letter);
		if (o->value && strcmp(o->value, "PATH") == 0)
			(void)printf(" -r -F");
		else if (o->value)
			(void)printf(" -x");
		if (o->choices)
			(void)printf(" -a '%s'",
			             hint_of(o, hint, sizeof(hint)));
		(void)printf(" -d '");
		fish_text(o->help);
		(void)printf("'\n");
	}
}

static void fish_word(const char *path, int max, const char *words,
                      const char *summary)
{
	(void)printf("complete -c msb -n '__msb_at \"%s\" %d' -a '%s'", path,
	             max, words);
	if (summary) {
		(void)printf(" -d '");
		fish_text(summary);
		(void)putchar('\'');
	}
	(void)putchar('\n');
}

static void fish_group(const struct command *c, const char *path)
{
	for (const struct command *s = c->sub; s && s->name; s++) {
		if (!s->group)
			continue;
		fish_word(path, 1, s->name, s->summary);
		if (s->aliases)
			fish_word(path, 1, s->aliases, s->summary);
	}
}

static void fish_command(const struct command *c, const char *path)
{
	char hint[512];

	fish_opts(c->opts, path);
	fish_opts(command_global_opts, path);
	(void)hint_of_words(c, hint, sizeof(hint));
	if (c->sub)
		fish_group(c, path);
	else if (strcmp(hint, HINT_IMAGE) == 0)
		fish_word(path, max_words(c), "(__msb_images)", NULL);
	else if (strcmp(hint, HINT_SANDBOX) == 0)
		fish_word(path, max_words(c), "(__msb_sandboxes)", NULL);
	else if (*hint != '@')
		fish_word(path, max_words(c), hint, NULL);
}

static const char fish_walker[] =
	"# Is the cursor in command $argv[1], with fewer than $argv[2] words?\n"
	"function __msb_at\n"
	"    set -l words (commandline -opc)\n"
	"    set -l at msb\n"
	"    set -l given 0\n"
	"    set -l skip 0\n"
	"    set -l dashes 0\n"
	"    set -e words[1]\n"
	"    for w in $words\n"
	"        set -l next\n"
	"        set -l most (__msb_tail $at)\n"
	"        if test $skip = 1\n"
	"            set skip 0\n"
	"        else if test $dashes = 0; and test \"$w\" = --\n"
	"            set dashes 1\n"
	"            test -n \"$most\"; and return 1\n"
	"        else if test $dashes = 0; and string match -q -- '-?*' "
	"\"$w\"\n"
	"            __msb_takes_value $at $w; and set skip 1\n"
	"        else if test $given = 0; and set next (__msb_next $at $w)\n"
	"            set at $next\n"
	"        else\n"
	"            set given (math $given + 1)\n"
	"            test -n \"$most\"; and test $given -gt $most; "
	"and return 1\n"
	"        end\n"
	"    end\n"
	"    test \"$at\" = \"$argv[1]\"; or return 1\n"
	"    test -z \"$argv[2]\"; or test $given -lt $argv[2]\n"
	"end\n"
	"\n"
	"function __msb_images\n"
	"    set -l words (commandline -opc)\n"
	"    if string match -qr '^[./~]' -- (commandline -ct)\n"
	"        __fish_complete_path (commandline -ct)\n"
	"    else if type -q $words[1]\n"
	"        $words[1] image ls -q 2>/dev/null\n"
	"    end\n"
	"end\n"
	"\n"
	"function __msb_sandboxes\n"
	"    set -l words (commandline -opc)\n"
	"    type -q $words[1]; and $words[1] list -q 2>/dev/null\n"
	"end\n"
	"\n"
	"complete -c msb -f\n";

static void fish_switch(const char *name, const char *what,
                        void (*visit)(const struct command *c,
                                      const char *path),
                        const char *fallback)
{
	(void)printf("function %s\n    switch %s\n", name, what);
	command_each(&command_root, "msb", visit);
	(void)printf("%s    end\nend\n\n", fallback);
}

static void fish_script(void)
{
	static const char none[] = "        case '*'\n            return 1\n";

	(void)printf("# fish completion for msb, by 'msb completion fish'\n\n");
	fish_switch("__msb_next", "\"$argv[1] $argv[2]\"", fish_next, none);
	fish_switch("__msb_takes_value", "\"$argv[1] $argv[2]\"", fish_value,
	            none);
	fish_switch("__msb_tail", "$argv[1]", fish_tail, "");
	(void)printf("%s", fish_walker);
	command_each(&command_root, "msb", fish_command);
}

int cmd_completion(struct cli *cli, void *values)
{
	static const struct {
		const char *shell;
		void (*script)(void);
	} scripts[] = {
		{"bash", bash_script},
		{"zsh",  zsh_script },
		{"fish", fish_script},
	};

	(void)values;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		if (strcmp(cli->words[0], scripts[i].shell) == 0) {
			scripts[i].script();
			return EXIT_OK;
		}
	}
	out_errorf("one of: bash, zsh, fish", "no completion for shell '%s'",
	           cli->words[0]);
	return EXIT_USAGE;
}
