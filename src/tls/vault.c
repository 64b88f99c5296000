/*
 * Theory
 *
 * A value is in pages of its own, which nothing else shares:
 *
 *	| no access | head ... value | no access |
 *
 * It ends where the last page ends, so that who reads or writes too far is
 * stopped at once. The pages are locked (no swap), in no core file, and zeros
 * in a child, should there ever be one. They are never changed once a set has
 * them, so sets share them: a rotation does not copy what it keeps, and a
 * value is at one place however often others were changed.
 *
 * The counts are for one thread.
 */
#include "tls/vault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/num.h"

#include "base/banned.h"

#define BLOT_MIN 6 /* a shorter value is in any text */

/* ---- values -------------------------------------------------------------- */

struct head {
	unsigned refs;
};

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Of the pages between the guards. */
static size_t room_for(size_t len)
{
	return num_align_up(sizeof(struct head) + len, page_size());
}

static struct head *head_of(uint8_t *value, size_t len)
{
	return (struct head *)(void *)(value + len - room_for(len));
}

static void lock(void *pages, size_t room)
{
	static bool told;

	if (mlock(pages, room) == 0 || told)
		return;
	told = true;
	log_warn("values may be swapped out: the limit of locked memory "
	         "(ulimit -l) is too small");
}

uint8_t *value_new(size_t len)
{
	size_t page = page_size(), room = room_for(len);
	uint8_t *all, *pages;

	if (len == 0 || len > TLS_VALUE_MAX)
		return NULL;
	all = mmap(NULL, room + 2 * page, PROT_NONE,
	           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		return NULL;
	pages = all + page;
	if (mprotect(pages, room, PROT_READ | PROT_WRITE) < 0 ||
	    madvise(pages, room, MADV_DONTDUMP) < 0 ||
	    madvise(pages, room, MADV_WIPEONFORK) < 0) {
		(void)munmap(all, room + 2 * page);
		return NULL;
	}
	lock(pages, room);
	((struct head *)(void *)pages)->refs = 1;
	return pages + room - len;
}

uint8_t *value_ref(uint8_t *value, size_t len)
{
	head_of(value, len)->refs++;
	return value;
}

void value_unref(uint8_t *value, size_t len)
{
	size_t page = page_size(), room = room_for(len);
	struct head *h = value ? head_of(value, len) : NULL;

	if (!h || --h->refs)
		return;
	explicit_bzero(h, room);
	(void)munmap((uint8_t *)h - page, room + 2 * page);
}

/* ---- a secret ------------------------------------------------------------ */

void secret_release(struct secret *c)
{
	value_unref(c->value, c->len);
	free(c->name);
	free(c->placeholder);
	strv_release(&c->hosts);
	*c = (struct secret){0};
}

static int copy_value(struct secret *to, const uint8_t *value, size_t len)
{
	to->value = value_new(len);
	if (!to->value)
		return -ENOMEM;
	memcpy(to->value, value, len);
	to->len = len;
	return 0;
}

/* All but the value. */
static int copy_rest(struct secret *to, const struct secret *from)
{
	int r = str_put(&to->name, from->name);

	if (r == 0)
		r = str_put(&to->placeholder, from->placeholder);
	if (r == 0)
		r = strv_add_all(&to->hosts, strv_list(&from->hosts));
	to->placeholder_len = from->placeholder_len;
	to->where = from->where;
	to->mask = from->mask;
	to->violation = from->violation;
	return r;
}

/* ---- sets ---------------------------------------------------------------- */

struct secrets *secrets_new(void)
{
	struct secrets *s = calloc(1, sizeof(*s));
	static uint64_t last;

	if (!s)
		return NULL;
	s->v = calloc(TLS_SECRETS_MAX, sizeof(*s->v));
	if (!s->v) {
		free(s);
		return NULL;
	}
	s->id = ++last;
	s->refs = 1;
	return s;
}

struct secrets *secrets_ref(struct secrets *s)
{
	s->refs++;
	return s;
}

void secrets_unref(struct secrets *s)
{
	if (!s || --s->refs)
		return;
	for (unsigned i = 0; i < s->n; i++)
		secret_release(&s->v[i]);
	needles_free(s->placeholders);
	free(s->v);
	free(s);
}

struct secret *secrets_find(const struct secrets *s, const char *name)
{
	for (unsigned i = 0; s && i < s->n; i++)
		if (strcmp(s->v[i].name, name) == 0)
			return &s->v[i];
	return NULL;
}

int secrets_set(struct secrets *s, const struct secret *c,
                const struct secrets *old)
{
	struct secret *place = secrets_find(s, c->name);
	const struct secret *was = secrets_find(old, c->name);
	struct secret copy = {0};
	int r;

	if (!c->value && !was)
		return -ENOENT;
	if (!place && s->n == TLS_SECRETS_MAX)
		return -E2BIG;
	r = copy_rest(&copy, c);
	if (r == 0 && c->value) {
		r = copy_value(&copy, c->value, c->len);
	} else if (r == 0) {
		copy.value = value_ref(was->value, was->len);
		copy.len = was->len;
	}
	if (r < 0) {
		secret_release(&copy);
		return r;
	}
	if (place)
		secret_release(place);
	else
		place = &s->v[s->n++];
	*place = copy;
	return 0;
}

int secrets_seal(struct secrets *s)
{
	struct needle list[TLS_SECRETS_MAX];
	struct needles *made;

	for (unsigned i = 0; i < s->n; i++) {
		list[i] = (struct needle){s->v[i].placeholder,
		                          s->v[i].placeholder_len};
		for (unsigned k = 0; k < i; k++)
			if (strcmp(s->v[i].placeholder, s->v[k].placeholder) ==
			    0)
				return -EEXIST;
	}
	if (s->n == 0)
		return 0;
	made = needles_new(list, s->n);
	if (!made)
		return -ENOMEM;
	needles_free(s->placeholders);
	s->placeholders = made;
	return 0;
}

void secrets_blot(const struct secrets *s, char *text)
{
	size_t len = strlen(text);

	for (unsigned i = 0; s && i < s->n; i++) {
		const struct secret *c = &s->v[i];
		char *at = text;

		if (c->len < BLOT_MIN)
			continue;
		/* Past what was starred: a value may be stars itself. */
		while ((at = memmem(at, len - (size_t)(at - text), c->value,
		                    c->len))) {
			memset(at, '*', c->len);
			at += c->len;
		}
	}
}

uint64_t secrets_for(const struct secrets *s, const char *name)
{
	uint64_t mask = 0;

	if (!name[0])
		return 0;
	for (unsigned i = 0; i < s->n; i++)
		if (pattern_any(&s->v[i].hosts, name))
			mask |= 1ull << i;
	return mask;
}
