#include "forms/yaml_tree.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/num.h"

#include "base/banned.h"

/* One read: libyaml says what comes next, a stack says where it belongs. */
struct reader {
	yaml_parser_t parser;
	const char *what;
	struct err *err;
	struct ytree_node *stack[YTREE_DEPTH_MAX]; /* open lists and maps */
	size_t depth, nodes;
	struct ytree_node *root;
	/* A map's key that still waits for its value. */
	char *key;
	struct ytree_place key_at;
	bool begun; /* the document */
};

int ytree_error(struct err *err, const char *what, struct ytree_place at,
                const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(err, -EINVAL, "%s:%u:%u: %s", what, at.line, at.col,
	               text);
}

void ytree_free(struct ytree_node *n)
{
	while (n) {
		struct ytree_node *next = n->next;

		ytree_free(n->child);
		free(n->text);
		free(n->key);
		free(n);
		n = next;
	}
}

static struct ytree_place place(yaml_mark_t m)
{
	return (struct ytree_place){(unsigned)m.line + 1,
	                            (unsigned)m.column + 1};
}

static int no_memory(struct reader *r)
{
	return err_set(r->err, -ENOMEM, "%s: out of memory", r->what);
}

static bool is_one_of(const char *text, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return false;
}

bool ytree_is_null(const struct ytree_node *n)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};

	return n->kind == YTREE_SCALAR && n->plain &&
	       is_one_of(n->text, words, ARRAY_SIZE(words));
}

/* What YAML 1.1 takes for a boolean and YAML 1.2 for a word. */
static bool is_old_boolean(const char *text)
{
	static const char *const words[] = {"yes", "Yes", "YES", "no",
	                                    "No",  "NO",  "on",  "On",
	                                    "ON",  "off", "Off", "OFF"};

	return is_one_of(text, words, ARRAY_SIZE(words));
}

static int old_boolean(struct reader *r, struct ytree_place at,
                       const char *text)
{
	ytree_error(r->err, r->what, at,
	            "unquoted %s is a boolean to some and a word to others",
	            text);
	err_hint(r->err,
	         "write \"%s\" for the word, true or false for a "
	         "boolean",
	         text);
	return -EINVAL;
}

static struct ytree_node *top(struct reader *r)
{
	return r->depth ? r->stack[r->depth - 1] : NULL;
}

/* Give a new node its place in the tree. It takes the key that waits. */
static void attach(struct reader *r, struct ytree_node *n)
{
	struct ytree_node *parent = top(r);

	n->key = take_ptr(r->key);
	n->key_at = r->key_at;
	if (!parent)
		r->root = n;
	else if (parent->last)
		parent->last->next = n;
	else
		parent->child = n;
	if (parent) {
		parent->last = n;
		parent->n++;
	}
}

static int add(struct reader *r, enum ytree_kind kind, struct ytree_place at,
               struct ytree_node **ret)
{
	struct ytree_node *n;

	if (++r->nodes > YTREE_NODES_MAX)
		return ytree_error(r->err, r->what, at, "more than %u values",
		                   YTREE_NODES_MAX);
	n = calloc(1, sizeof(*n));
	if (!n)
		return no_memory(r);
	n->kind = kind;
	n->at = at;
	attach(r, n);
	*ret = n;
	return 0;
}

static bool key_is_next(struct reader *r)
{
	return top(r) && top(r)->kind == YTREE_MAP && !r->key;
}

static int check_twice(struct reader *r, const char *key, struct ytree_place at)
{
	for (const struct ytree_node *n = top(r)->child; n; n = n->next)
		if (strcmp(n->key, key) == 0)
			return ytree_error(
				r->err, r->what, at,
				"%s is given twice, first in line %u", key,
				n->key_at.line);
	return 0;
}

static int take_key(struct reader *r, const char *text, size_t len, bool plain,
                    struct ytree_place at)
{
	if (len == 0 || len > YTREE_KEY_MAX)
		return ytree_error(r->err, r->what, at,
		                   "a key has 1 to %u bytes", YTREE_KEY_MAX);
	if (plain && strcmp(text, "<<") == 0)
		return ytree_error(r->err, r->what, at,
		                   "merge keys are not taken");
	if (plain && is_old_boolean(text))
		return old_boolean(r, at, text);
	r->key = strdup(text);
	r->key_at = at;
	return r->key ? check_twice(r, text, at) : no_memory(r);
}

static int scalar(struct reader *r, const yaml_event_t *e,
                  struct ytree_place at)
{
	const char *text = (const char *)e->data.scalar.value;
	size_t len = e->data.scalar.length;
	bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	struct ytree_node *n;
	int x;

	if (memchr(text, '\0', len))
		return ytree_error(r->err, r->what, at, "text has a NUL");
	if (key_is_next(r))
		return take_key(r, text, len, plain, at);
	if (plain && is_old_boolean(text))
		return old_boolean(r, at, text);
	x = add(r, YTREE_SCALAR, at, &n);
	if (x < 0)
		return x;
	n->plain = plain;
	n->text = strdup(text);
	return n->text ? 0 : no_memory(r);
}

static int open_node(struct reader *r, enum ytree_kind kind,
                     struct ytree_place at)
{
	struct ytree_node *n;
	int x;

	if (key_is_next(r))
		return ytree_error(r->err, r->what, at, "a key must be a word");
	if (r->depth == YTREE_DEPTH_MAX)
		return ytree_error(r->err, r->what, at,
		                   "nested more than %u levels",
		                   YTREE_DEPTH_MAX);
	x = add(r, kind, at, &n);
	if (x == 0)
		r->stack[r->depth++] = n;
	return x;
}

static bool has_directives(const yaml_event_t *e)
{
	return e->data.document_start.version_directive ||
	       e->data.document_start.tag_directives.start !=
	               e->data.document_start.tag_directives.end;
}

/* What no configuration needs; NULL: fine. */
static const char *refused(const struct reader *r, const yaml_event_t *e)
{
	const void *anchor = NULL, *tag = NULL;

	if (e->type == YAML_ALIAS_EVENT)
		return "aliases are not taken";
	if (e->type == YAML_DOCUMENT_START_EVENT && r->begun)
		return "a second document begins: a file holds one";
	if (e->type == YAML_DOCUMENT_START_EVENT && has_directives(e))
		return "directives are not taken";
	if (e->type == YAML_SCALAR_EVENT) {
		anchor = e->data.scalar.anchor;
		tag = e->data.scalar.tag;
	} else if (e->type == YAML_SEQUENCE_START_EVENT) {
		anchor = e->data.sequence_start.anchor;
		tag = e->data.sequence_start.tag;
	} else if (e->type == YAML_MAPPING_START_EVENT) {
		anchor = e->data.mapping_start.anchor;
		tag = e->data.mapping_start.tag;
	}
	if (anchor)
		return "anchors are not taken";
	return tag ? "tags are not taken" : NULL;
}

static int take(struct reader *r, const yaml_event_t *e)
{
	struct ytree_place at = place(e->start_mark);
	const char *no = refused(r, e);

	if (no)
		return ytree_error(r->err, r->what, at, "%s", no);
	if (e->type == YAML_SCALAR_EVENT)
		return scalar(r, e, at);
	if (e->type == YAML_SEQUENCE_START_EVENT)
		return open_node(r, YTREE_LIST, at);
	if (e->type == YAML_MAPPING_START_EVENT)
		return open_node(r, YTREE_MAP, at);
	if (e->type == YAML_SEQUENCE_END_EVENT ||
	    e->type == YAML_MAPPING_END_EVENT)
		r->depth--;
	if (e->type == YAML_DOCUMENT_START_EVENT)
		r->begun = true;
	return 0;
}

static int parser_error(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;

	if (p->error == YAML_MEMORY_ERROR)
		return no_memory(r);
	if (p->error == YAML_READER_ERROR)
		return err_set(r->err, -EINVAL, "%s: at byte %zu: %s", r->what,
		               p->problem_offset,
		               p->problem ? p->problem : "not text");
	return ytree_error(r->err, r->what, place(p->problem_mark), "%s",
	                   p->problem ? p->problem : "not YAML");
}

static int read_events(struct reader *r)
{
	for (;;) {
		yaml_event_t e;
		bool end;
		int x;

		if (!yaml_parser_parse(&r->parser, &e))
			return parser_error(r);
		end = e.type == YAML_STREAM_END_EVENT;
		x = take(r, &e);
		yaml_event_delete(&e);
		if (x < 0 || end)
			return x;
	}
}

int ytree_read(const void *data, size_t len, const char *what,
               struct ytree_node **ret, struct err *err)
{
	struct reader r = {.what = what, .err = err};
	int x;

	if (len > YTREE_SIZE_MAX)
		return err_set(err, -E2BIG, "%s: larger than %u KiB", what,
		               YTREE_SIZE_MAX >> 10);
	if (!yaml_parser_initialize(&r.parser))
		return no_memory(&r);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, data, len);
	x = read_events(&r);
	yaml_parser_delete(&r.parser);
	free(r.key);
	if (x == 0 && !r.root)
		x = err_set(err, -EINVAL, "%s: there is nothing in it", what);
	if (x < 0)
		ytree_free(r.root);
	else
		*ret = r.root;
	return x;
}
