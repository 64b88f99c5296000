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
	struct strv list, env;
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
	opt_release(opts, &v);
	free(text);
	return 0;
}
