/*
 * Command lines: the first byte chooses how words are taken, the rest is the
 * arguments, each ended by a NUL.
 */
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "cli/opt.h"

#define ARGS_MAX 64

struct values {
	bool flag, help;
	const char *text;
	struct strv list, env, files;
	uint32_t count;
	uint64_t memory, duration;
	int32_t choice;
};

#define FIELD(f) offsetof(struct values, f)
static const struct opt opts[] = {
	OPT_ROW('f', "flag", NULL, OPT_FLAG, FIELD(flag), "h"),
	OPT_ROW('t', "text", "T", OPT_STRING, FIELD(text), "h"),
	OPT_ROW('l', "list", "L", OPT_LIST, FIELD(list), "h"),
	OPT_ROW('e', "env", "E", OPT_ENV, FIELD(env), "h"),
	OPT_ROW('c', "count", "N", OPT_COUNT, FIELD(count), "h"),
	OPT_ROW('m', "memory", "M", OPT_MEMORY, FIELD(memory), "h"),
	OPT_ROW(0, "duration", "D", OPT_DURATION, FIELD(duration), "h"),
	OPT_ROW(0, "file", "P", OPT_NAMED, FIELD(files), "h"),
	OPT_ROW(0, "other-file", "P", OPT_NAMED, FIELD(files), "h"),
	OPT_ROW_CHOICE(0, "format", "F", FIELD(choice), "h", opt_format_choices,
                       NULL),
	OPT_ROW(0, "hidden", "T", OPT_STRING, FIELD(text), NULL),
	{0},
};
static const struct opt globals[] = {
	OPT_ROW('h', "help", NULL, OPT_FLAG, FIELD(help), "h"),
	{0},
};

static size_t split(char *text, size_t size, char **argv)
{
	size_t n = 0;

	for (char *p = text; p < text + size && n < ARGS_MAX;
	     p += strlen(p) + 1)
		argv[n++] = p;
	argv[n] = NULL;
	return n;
}

/* Values spelled as arguments are the same values, spelled the same. */
static void check_unparse(const struct values *v)
{
	struct strv cleanup_strv once = {0}, twice = {0};
	struct values again = {0}, g = {0};
	char *words[1];
	struct opt_parser p = {
		.targets = {{opts, &again}, {globals, &g}},
                  .words = words
        };

	/* Rounded up to KiB it must fit; the library's limit is 1 TiB. */
	if (v->memory >> 60 || opt_unparse(opts, v, &once) < 0)
		return;
	p.argv = (char **)(uintptr_t)strv_list(&once);
	if (opt_parse(&p, NULL) != OPT_DONE || p.nwords ||
	    opt_unparse(opts, &again, &twice) < 0 || once.n != twice.n)
		abort();
	for (size_t i = 0; i < once.n; i++)
		if (strcmp(once.v[i], twice.v[i]) != 0)
			abort();
	opt_release(opts, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *argv[ARGS_MAX + 1], *words[ARGS_MAX + 1], *text;
	struct values v = {0}, g = {0};
	struct err err = {0};
	struct opt_parser p = {
		.targets = {{opts, &v}, {globals, &g}},
		.argv = argv,
		.words = words
        };
	size_t n;
	int r;

	if (size < 1)
		return 0;
	p.tail = data[0] & 1;
	p.stop_at_word = !p.tail && (data[0] & 2);
	p.words_max = p.tail ? 1 : -1;
	text = calloc(1, size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	n = split(text, size - 1, argv);
	r = opt_parse(&p, &err);
	if ((r < 0) != (err.msg[0] != '\0') || (size_t)p.nwords > n ||
	    v.count > 100000 || v.choice < 0 || v.choice > 1)
		abort();
	for (size_t i = 0; i < v.env.n; i++)
		if (!strchr(v.env.v[i], '='))
			abort();
	if (r == OPT_DONE)
		check_unparse(&v);
	opt_release(opts, &v);
	free(text);
	return 0;
}
