#include "lib/members.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/strv.h"
#include "lib/record.h"

#include "base/banned.h"

static void *at(const struct member *m, void *of)
{
	return (char *)of + m->offset;
}

static const void *at_const(const struct member *m, const void *of)
{
	return (const char *)of + m->offset;
}

static void free_list(char **list)
{
	for (char **s = list; s && *s; s++)
		free(*s);
	free(list);
}

void members_release(const struct member *table, void *of)
{
	for (const struct member *m = table; m->key; m++) {
		void *p = at(m, of);

		if (m->kind == MEMBER_TEXT) {
			free(*(char **)p);
			*(char **)p = NULL;
		} else if (m->kind == MEMBER_LIST) {
			free_list(*(char ***)p);
			*(char ***)p = NULL;
		} else if (m->kind == MEMBER_OTHER && m->type->release) {
			m->type->release(p);
		}
	}
}

static int copy_one(const struct member *m, void *to, const void *from)
{
	struct strv s = {0};
	const char *text;
	int r;

	switch (m->kind) {
	case MEMBER_NUMBER:
		memcpy(to, from, sizeof(uint32_t));
		return 0;
	case MEMBER_TEXT:
		text = *(const char *const *)from;
		*(char **)to = text ? strdup(text) : NULL;
		return text && !*(char **)to ? -ENOMEM : 0;
	case MEMBER_LIST:
		r = strv_add_all(&s, *(char *const *const *)from);
		*(char ***)to = s.v; /* also a part: it goes with the whole */
		return r;
	case MEMBER_OTHER:
		return m->type->copy(to, from);
	}
	return -EINVAL;
}

int members_copy(const struct member *table, void *to, const void *from)
{
	int r = 0;

	for (const struct member *m = table; m->key && r == 0; m++)
		r = copy_one(m, at(m, to), at_const(m, from));
	return r;
}

/* ---- the record ---------------------------------------------------------- */

static json_t *list_json(char **list)
{
	const struct strv s = {.v = list, .n = 0};
	struct strv whole = s;

	while (list[whole.n])
		whole.n++;
	return record_list(&whole);
}

static bool is_default(const struct member *m, const void *of)
{
	if (m->kind == MEMBER_NUMBER)
		return *(const uint32_t *)of == 0;
	if (m->kind == MEMBER_TEXT)
		return !*(const char *const *)of;
	if (m->kind == MEMBER_OTHER)
		return m->type->is_default(of);
	return !*(char **const *)of || !**(char **const *)of;
}

static json_t *one_json(const struct member *m, const void *of)
{
	if (m->kind == MEMBER_NUMBER)
		return json_integer(*(const uint32_t *)of);
	if (m->kind == MEMBER_TEXT)
		return record_text(*(const char *const *)of);
	if (m->kind == MEMBER_OTHER)
		return m->type->json(of);
	return list_json(*(char **const *)of);
}

json_t *members_json(const struct member *table, const void *of)
{
	json_t *o = json_object();

	for (const struct member *m = table; o && m->key; m++) {
		const void *p = at_const(m, of);

		if (!is_default(m, p) &&
		    json_object_set_new(o, m->key, one_json(m, p)) < 0) {
			json_decref(o);
			return NULL;
		}
	}
	return o;
}

static int read_one(const struct member *m, const json_t *j, void *to)
{
	json_int_t n = json_integer_value(j);

	if (m->kind == MEMBER_OTHER)
		return m->type->read(j, to);
	if (m->kind == MEMBER_LIST)
		return record_read_list(j, to);
	if (m->kind == MEMBER_TEXT) {
		*(char **)to = record_read_text(j);
		return *(char **)to ? 0 : -EINVAL;
	}
	if (!json_is_integer(j) || n < 0 || n > UINT32_MAX)
		return -EINVAL;
	*(uint32_t *)to = (uint32_t)n;
	return 0;
}

int members_read(const struct member *table, const json_t *j, void *ret)
{
	int r = json_is_object(j) ? 0 : -EINVAL;

	for (const struct member *m = table; r == 0 && m->key; m++) {
		const json_t *one = json_object_get(j, m->key);

		if (one)
			r = read_one(m, one, at(m, ret));
	}
	if (r < 0)
		members_release(table, ret);
	return r;
}
