/* The arguments of a call, by the letters of its table's line. */
#include "call.h"

static const struct {
	char letter;
	enum handle_type type;
} handle_letters[] = {
	{'H', HANDLE_HOME   },
        {'S', HANDLE_SANDBOX},
        {'I', HANDLE_IMAGE  },
	{'F', HANDLE_FILE   },
        {'L', HANDLE_LOGS   },
        {'X', HANDLE_EXEC   },
};

static const struct {
	char letter;
	int64_t min, max;
} number_letters[] = {
	{'u', 0,         UINT32_MAX},
        {'p', 0,         UINT16_MAX},
        {'q', 0,         INT64_MAX },
	{'i', -1,        INT32_MAX },
        {'d', INT32_MIN, INT32_MAX },
};

struct parsing {
	struct call *call;
	struct arena *arena;
	VALUE data;
	int strings, numbers;
};

static bool parse_handle(struct parsing *p, char letter, VALUE value)
{
	struct call *c = p->call;

	for (size_t i = 0; i < sizeof(handle_letters) / sizeof(*handle_letters);
	     i++) {
		if (handle_letters[i].letter != letter)
			continue;
		*(c->h ? &c->h2 : &c->h) =
			arena_handle(p->arena, value, handle_letters[i].type);
		return true;
	}
	return false;
}

static bool parse_number(struct parsing *p, char letter, VALUE value)
{
	for (size_t i = 0; i < sizeof(number_letters) / sizeof(*number_letters);
	     i++) {
		if (number_letters[i].letter != letter)
			continue;
		p->call->n[p->numbers++] =
			check_integer(value, number_letters[i].min,
		                      number_letters[i].max, p->call->op->name);
		return true;
	}
	return false;
}

/* Bytes are not copied: a frozen view of the string, which nobody changes. */
static void parse_bytes(struct parsing *p, VALUE value)
{
	struct call *c = p->call;

	if (NIL_P(value))
		return;
	if (!RB_TYPE_P(value, T_STRING))
		rb_raise(rb_eTypeError, "data: a String is wanted, not %s",
		         rb_obj_classname(value));
	p->data = rb_str_new_frozen(value);
	c->data = RSTRING_PTR(p->data);
	c->len = (size_t)RSTRING_LEN(p->data);
}

static void parse_one(struct parsing *p, char letter, VALUE value)
{
	struct call *c = p->call;
	const char *what = c->op->name;

	if (parse_handle(p, letter, value) || parse_number(p, letter, value))
		return;
	if (letter == 'b')
		parse_bytes(p, value);
	else if (letter == 's' || (letter == 'z' && !NIL_P(value)))
		c->s[p->strings++] = arena_string(p->arena, value, what);
	else if (letter == 'z')
		c->s[p->strings++] = NULL;
	else if (letter == 'l' && !NIL_P(value))
		c->list = arena_strings(p->arena, value, what);
	else if (letter == 'o')
		c->opts = arena_struct(p->arena, shape_find(c->op->opts),
		                       NIL_P(value) ? rb_hash_new() : value);
}

VALUE call_parse(struct call *c, struct arena *arena, const VALUE *argv)
{
	struct parsing p = {.call = c, .arena = arena, .data = Qnil};

	for (int i = 0; c->op->args[i]; i++)
		parse_one(&p, c->op->args[i], argv[i]);
	return p.data;
}
