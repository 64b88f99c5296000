/*
 * subst_hit.c - what is done about a placeholder that was found, and the lines
 * that tell people.
 *
 * Of the guest's request a line has the method, the path without its query and
 * a header's name, all cut short; sink_say() makes their bytes harmless.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "tls/subst_own.h"

#include "base/banned.h"

#define SHOW_METHOD 16
#define SHOW_PATH   120
#define SHOW_NAME   64
#define SHOW_HOSTS  200

/* PLACE_HEADER and PLACE_NAME have the header's name behind. */
static const struct {
	unsigned where; /* the option that lets a value in; 0: never */
	bool header;    /* the value becomes one */
	const char *text;
} places[PLACES] = {
	[PLACE_METHOD] = {0,              false, "method"       },
	[PLACE_PATH] = {0,              false, "path"         },
	[PLACE_QUERY] = {SECRET_QUERY,   false, "query"        },
	[PLACE_NAME] = {0,              false, "header's name"},
	[PLACE_HEADER] = {SECRET_HEADERS, true,  "header"       },
	[PLACE_BASIC] = {SECRET_BASIC,   true,  "Basic, header"},
	[PLACE_BODY] = {SECRET_BODY,    false, "body"         },
};

static const struct {
	int r; /* what the caller gets; 0: goes on */
	bool line, terminate;
	const char *done;
} verdicts[] = {
	[SECRET_BLOCK] = {-EACCES, false, false, "blocked"                            },
	[SECRET_BLOCK_LOG] = {-EACCES, true,  false, "blocked"                            },
	[SECRET_BLOCK_TERMINATE] = {-EACCES, true,  true,
                          "blocked, and the sandbox ends"                             },
	[SECRET_PASS] = {0,       true,  false, "passed on, the placeholder as it is"},
};

bool subst_told(uint64_t *told, enum told what, unsigned secret)
{
	bool was = told[what] >> secret & 1;

	told[what] |= 1ULL << secret;
	return was;
}

static bool told_here(struct subst *s, enum told what, unsigned secret)
{
	return subst_told(s->gate->told ? s->gate->told : s->told, what,
	                  secret);
}

/* "header Authorization" */
static void show_place(const struct subst *s, const struct spot *spot,
                       enum place place, char *out, size_t size)
{
	int n = spot->name ? (int)MIN(spot->name_len, SHOW_NAME) : 0;

	(void)snprintf(out, size, "%s%s%.*s", places[place].text, n ? " " : "",
	               n, n ? spot->name : "");
	secrets_blot(s->set, out);
}

/* "POST /v1" */
static void show_request(const struct subst *s, char *out, size_t size)
{
	size_t len = strcspn(s->path, "?#");

	secrets_blot(s->set, s->path); /* it is only shown */
	(void)snprintf(out, size, "%.*s %.*s%s", SHOW_METHOD, s->method,
	               (int)MIN(len, SHOW_PATH), s->path,
	               len > SHOW_PATH ? "..." : "");
	secrets_blot(s->set, out);
}

static const char *show_to(const struct subst *s)
{
	if (s->gate->name[0])
		return s->gate->name;
	return s->authority[0] ? s->authority : "an address";
}

/* "a.example, b.example and 3 more" */
static void show_hosts(const struct secret *c, char *out, size_t size)
{
	size_t n = 0, i = 0;

	(void)snprintf(out, size, "no host");
	for (; i < c->hosts.n; i++) {
		const char *host = c->hosts.v[i];

		if (i && n + strlen(host) > SHOW_HOSTS)
			break;
		n += (size_t)snprintf(out + n, size - n, "%s%.253s",
		                      i ? ", " : "", host);
	}
	if (i < c->hosts.n)
		(void)snprintf(out + n, size - n, " and %zu more",
		               c->hosts.n - i);
}

void subst_note(struct subst *s, const char *fmt, ...)
{
	char request[SHOW_METHOD + SHOW_PATH + 8], text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	secrets_blot(s->set, text);
	show_request(s, request, sizeof(request));
	sink_say(s->sink, TLSLINK_NOTE, false, "%s (%s to %s, %s)", text,
	         request, show_to(s), s->protocol);
}

/* Why nothing is put in although the host may be one of the secret's. */
static const char *why(const struct subst *s, uint64_t bit)
{
	const struct gate *g = s->gate;

	if (!g->name[0])
		return ": the guest spoke to an address, not to a name";
	if (!(s->named & bit))
		return "";
	if (!g->tls)
		return ": clear text";
	if (!g->verified)
		return ": the server's certificate is not verified";
	if (!g->pinned)
		return ": the address was not learnt from the sandbox's name "
		       "server";
	return ": Host and SNI differ";
}

static void say_violation(struct subst *s, const struct spot *spot,
                          enum place place, unsigned i)
{
	const struct secret *c = &s->set->v[i];
	char at[SHOW_NAME + 32], request[SHOW_METHOD + SHOW_PATH + 8];
	char hosts[SHOW_HOSTS + 300];

	show_place(s, spot, place, at, sizeof(at));
	show_request(s, request, sizeof(request));
	show_hosts(c, hosts, sizeof(hosts));
	sink_say(s->sink, TLSLINK_VIOLATION, verdicts[c->violation].terminate,
	         "secret %.128s: its placeholder was sent to %s (%s, %s, "
	         "%s): %s%s; it is allowed for %s",
	         c->name, show_to(s), at, request, s->protocol,
	         verdicts[c->violation].done, why(s, 1ULL << i), hosts);
}

/* The guest knows the name: it is that of its variable. */
static void refuse(struct subst *s, unsigned i)
{
	(void)snprintf(
		s->refusal, sizeof(s->refusal),
		"the placeholder of secret %.64s must not go to %.128s%s "
		"(on the host: msb logs --source system; msb modify "
		"--secret %.64s@HOST,... says where it may)",
		s->set->v[i].name, show_to(s), why(s, 1ULL << i),
		s->set->v[i].name);
	secrets_blot(s->set, s->refusal);
}

static int violation(struct subst *s, const struct spot *spot, enum place place,
                     unsigned i)
{
	enum secret_violation how = s->set->v[i].violation;

	if (verdicts[how].r == 0 && s->said >> i & 1) {
		s->passed_on++;
		return 0;
	}
	s->said |= 1ULL << i;
	if (verdicts[how].line)
		say_violation(s, spot, place, i);
	else
		sink_count(s->sink, TLSLINK_VIOLATION, 1);
	if (verdicts[how].r < 0)
		refuse(s, i);
	return verdicts[how].r;
}

static void say_left(struct subst *s, const struct spot *spot, enum place place,
                     unsigned i)
{
	char at[SHOW_NAME + 32];

	if (told_here(s, (enum told)place, i))
		return;
	show_place(s, spot, place, at, sizeof(at));
	subst_note(s,
	           "secret %.128s: its placeholder in the %s stays as it is: "
	           "%s",
	           s->set->v[i].name, at,
	           places[place].where ? "the secret is not for that place"
	                               : "no value is put there");
}

static bool header_safe(const struct secret *c)
{
	return !memchr(c->value, '\r', c->len) &&
	       !memchr(c->value, '\n', c->len) && !memchr(c->value, 0, c->len);
}

/* May the value stand here, in this form? 1, 0: the placeholder stays. */
static int fits(struct subst *s, const struct spot *spot, enum place place,
                const struct find_hit *hit, enum encoding how)
{
	const struct secret *c = &s->set->v[hit->index];

	if (hit->form == FIND_MIXED) {
		if (!told_here(s, TOLD_MIXED, hit->index))
			subst_note(s,
			           "secret %.128s: its placeholder stays as it "
			           "is: it is encoded in two ways at once",
			           c->name);
		return 0;
	}
	if (places[place].header && !header_safe(c)) {
		char at[SHOW_NAME + 32];

		show_place(s, spot, place, at, sizeof(at));
		subst_note(s,
		           "secret %.128s: its value has a line break or a NUL "
		           "in it and cannot be put into the %s: blocked",
		           c->name, at);
		(void)snprintf(s->refusal, sizeof(s->refusal),
		               "the value of secret %.64s has a line break or "
		               "a NUL in it, which no header can have",
		               c->name);
		return -EACCES;
	}
	if (place == PLACE_BODY && s->body.fixed &&
	    encoded_len(how, c->value, c->len) != hit->len) {
		subst_note(s,
		           "secret %.128s: its value is not as long as its "
		           "placeholder, and the body's length was told "
		           "already, as it is more than 16 MiB: blocked; send "
		           "the body chunked, or give the secret a placeholder "
		           "that is as long as its value",
		           c->name);
		return -EFBIG;
	}
	return 1;
}

/* What stands encoded stays so; but a target has neither spaces nor # in it,
   and a form's field no &. */
static enum encoding encoding_of(const struct spot *spot, enum place place,
                                 enum find_form form)
{
	if (form == FIND_PERCENT || place == PLACE_QUERY ||
	    (place == PLACE_BODY && spot->how == ENCODE_PERCENT))
		return ENCODE_PERCENT;
	if (form == FIND_JSON)
		return ENCODE_JSON;
	return place == PLACE_PATH ? ENCODE_RAW : spot->how;
}

size_t subst_value_len(const struct subst *s, const struct spot *spot,
                       const struct find_hit *hit)
{
	const struct secret *c = &s->set->v[hit->index];

	return encoded_len(encoding_of(spot, spot->place, hit->form), c->value,
	                   c->len);
}

int subst_hit(void *arg, const uint8_t *text, const struct find_hit *hit,
              struct buf *out)
{
	const struct subst_at *at = arg;
	const struct spot *spot = at->spot;
	struct subst *s = at->s;
	const struct secret *c = &s->set->v[hit->index];
	enum place place = spot->place;
	enum encoding how;
	int r = 0;

	if (place == PLACE_PATH && hit->at >= spot->query &&
	    hit->at + hit->len <= spot->query_end)
		place = PLACE_QUERY;
	how = encoding_of(spot, place, hit->form);
	if (!(s->here >> hit->index & 1))
		r = violation(s, spot, place, hit->index);
	else if (!(c->where & places[place].where))
		say_left(s, spot, place, hit->index);
	else
		r = fits(s, spot, place, hit, how);
	if (r < 0)
		return r;
	if (r == 0)
		return buf_add(out, text + hit->at, hit->len);
	r = encode_add(out, how, c->value, c->len);
	if (r < 0)
		return r;
	s->used++;
	return 1;
}
