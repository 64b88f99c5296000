/*
 * subst_world.h - secrets, a gate and a sink that remembers, for the tests of
 * what puts values in and takes them out.
 */
#ifndef TEST_TLS_SUBST_WORLD_H
#define TEST_TLS_SUBST_WORLD_H

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "tls/gate.h"
#include "tls/subst.h"
#include "tls/vault.h"

#define WORLD_EVENTS 64

struct world {
	struct secrets *secrets;
	struct gate gate;
	uint64_t told[GATE_TOLD];
	struct sink sink;
	struct subst_request rq;
	/* What the sink got: by enum tlslink_what, and the lines. */
	uint32_t counts[TLSLINK_MASKED + 1];
	unsigned terminated, nlines;
	char lines[WORLD_EVENTS][TLSLINK_TEXT_MAX + 1];
};

/* A secret; NULL or 0 is what it says there. */
struct world_secret {
	const char *name;        /* "KEY" */
	const char *placeholder; /* "MSB_0123456789abcdef" */
	const char *value;       /* "s3cr3t-value" */
	size_t len;              /* strlen(value) */
	const char *hosts;       /* "api.example.com", by blanks */
	unsigned where;          /* all */
	bool mask;
	enum secret_violation violation;
};

#define WORLD_HOST  "api.example.com"
#define WORLD_PH    "MSB_0123456789abcdef"
#define WORLD_VALUE "s3cr3t-value"

static void world_event(void *arg, const struct tls_event *ev)
{
	struct world *w = arg;

	w->counts[ev->what] += ev->count;
	w->terminated += ev->terminate;
	if (ev->text && w->nlines < WORLD_EVENTS)
		(void)snprintf(w->lines[w->nlines++], sizeof(w->lines[0]), "%s",
		               ev->text);
}

static int world_set(struct world *w, const struct world_secret *v, size_t n)
{
	w->secrets = secrets_new();
	if (!w->secrets)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const char *value = v[i].value ? v[i].value : WORLD_VALUE;
		const char *hosts = v[i].hosts ? v[i].hosts : WORLD_HOST;
		struct secret c = {
			.name = (char *)(v[i].name ? v[i].name : "KEY"),
			.placeholder =
				(char *)(v[i].placeholder ? v[i].placeholder
		                                          : WORLD_PH),
			.value = (uint8_t *)value,
			.len = v[i].len ? v[i].len : strlen(value),
			.where = v[i].where ? v[i].where : 15,
			.mask = v[i].mask,
			.violation = v[i].violation,
		};
		int r = 0;

		c.placeholder_len = strlen(c.placeholder);
		while (*hosts && r == 0) {
			size_t len = strcspn(hosts, " ");

			r = strv_addn(&c.hosts, hosts, len);
			hosts += len + (hosts[len] == ' ');
		}
		if (r == 0)
			r = secrets_set(w->secrets, &c, NULL);
		strv_release(&c.hosts);
		if (r < 0)
			return r;
	}
	return secrets_seal(w->secrets);
}

/* Everything agrees: values may be put in. */
static int world_init(struct world *w, const struct world_secret *v, size_t n)
{
	memset(w, 0, sizeof(*w));
	w->gate = (struct gate){.name = WORLD_HOST,
	                        .port = 443,
	                        .tls = true,
	                        .pinned = true,
	                        .verified = true,
	                        .told = w->told};
	w->sink = (struct sink){world_event, w};
	w->rq = (struct subst_request){
		.protocol = "HTTP/1.1",
		.method = "POST",
		.path = "/v1?q=hidden",
		.authority = WORLD_HOST,
	};
	return world_set(w, v, n);
}

static inline struct subst *world_subst(struct world *w)
{
	return subst_new(w->secrets, &w->gate, &w->sink, &w->rq);
}

static void world_release(struct world *w)
{
	secrets_unref(w->secrets);
	w->secrets = NULL;
}

#endif
