/* fuzz_h2.h - what fuzz_http2.c and fuzz_hpack.c have in common: a relay with
   secrets of each kind, and input that is read bit by bit. */
#ifndef FUZZ_H2_H
#define FUZZ_H2_H

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "tls/http2.h"

#define HOST    "api.example"
#define ALLOWED "MSB_allowed"
#define OTHER   "MSB_foreign"
#define VALUE   "the-value"

#define MUST(x)                                                                \
	do {                                                                   \
		if (!(x))                                                      \
			abort();                                               \
	} while (0)

struct input {
	const uint8_t *p;
	size_t len;
};

static uint8_t next(struct input *in)
{
	if (!in->len)
		return 0;
	in->len--;
	return *in->p++;
}

static const uint8_t *piece(struct input *in, size_t *len)
{
	const uint8_t *p = in->p;

	if (*len > in->len)
		*len = in->len;
	in->p += *len;
	in->len -= *len;
	return p;
}

static void no_event(void *arg, const struct tls_event *ev)
{
	(void)arg;
	for (const char *s = ev->text; s && *s; s++)
		MUST(*s >= ' ' && *s <= '~');
	MUST(!ev->text || !strstr(ev->text, VALUE));
}

static struct secrets *some_secrets(void *arg)
{
	return arg;
}

static void add_secret(struct secrets *s, const char *name, const char *text,
                       const char *value, const char *host, bool mask)
{
	char *hosts[] = {(char *)host, NULL};
	struct secret c = {
		.name = (char *)name,
		.placeholder = (char *)text,
		.placeholder_len = strlen(text),
		.value = (uint8_t *)value,
		.len = strlen(value),
		.hosts = {.v = hosts, .n = 1},
		.where = SECRET_HEADERS | SECRET_BASIC | SECRET_QUERY |
	                 SECRET_BODY,
		.mask = mask,
		.violation = SECRET_BLOCK_LOG
        };

	MUST(secrets_set(s, &c, NULL) == 0);
}

static struct secrets *make_secrets(bool mask)
{
	struct secrets *s = secrets_new();

	MUST(s);
	add_secret(s, "A", ALLOWED, VALUE, HOST, mask);
	add_secret(s, "B", OTHER, "never", "other.example", false);
	MUST(secrets_seal(s) == 0);
	return s;
}

static const struct gate gate = {.name = HOST,
                                 .port = 443,
                                 .tls = true,
                                 .pinned = true,
                                 .verified = true};
static const struct sink sink = {.event = no_event};

static struct relay *make_relay(struct secrets *s)
{
	struct relay_env env = {.gate = &gate,
	                        .secrets = some_secrets,
	                        .secrets_arg = s,
	                        .sink = &sink};
	struct relay *r = http2_new(&env);

	MUST(r);
	return r;
}

/* A copy of its own, so that reading past it is seen. */
static int put(struct relay *r, enum side from, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	int e;

	MUST(copy);
	memcpy(copy, data, len);
	e = r->ops->input(r, from, copy, len);
	free(copy);
	return e;
}

static int put_frame(struct relay *r, enum side from, uint8_t type,
                     uint8_t flags, uint32_t id, const uint8_t *data,
                     size_t len)
{
	uint8_t frame[9 + 16384];

	MUST(len <= 16384);
	put_be32(frame, (uint32_t)len << 8 | type);
	frame[4] = flags;
	put_be32(frame + 5, id);
	memcpy(frame + 9, data, len);
	return put(r, from, frame, 9 + len);
}

#endif
