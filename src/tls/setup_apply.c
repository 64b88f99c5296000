#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "tls/setup.h"

#include "base/banned.h"

static int no_memory(int r, struct err *err)
{
	return r < 0 ? err_set(err, r, "no memory") : 0;
}

static bool is_in(const struct strv *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], name) == 0)
			return true;
	return false;
}

/* ---- the next set -------------------------------------------------------- */

/* What is now, without what goes. */
static int keep_others(struct secrets *next, const struct secrets *now,
                       const struct strv *gone, struct err *err)
{
	for (unsigned i = 0; now && i < now->n; i++) {
		struct secret same = now->v[i];
		int r;

		if (is_in(gone, same.name))
			continue;
		same.value = NULL;
		r = secrets_set(next, &same, now);
		if (r < 0)
			return no_memory(r, err);
	}
	return 0;
}

static int check_removed(const struct setup_request *rq,
                         const struct secrets *now, struct err *err)
{
	for (size_t i = 0; i < rq->nset; i++)
		if (is_in(&rq->remove, rq->set[i].s.name))
			return err_set(err, -EINVAL,
			               "%s is both set and removed",
			               rq->set[i].s.name);
	for (size_t i = 0; i < rq->remove.n; i++)
		if (!secrets_find(now, rq->remove.v[i]))
			return err_set(err, -ENOENT,
			               "there is no secret %s to remove",
			               rq->remove.v[i]);
	return 0;
}

/*
 * Whoever brings no value may not have it: what he asks for must not bring it
 * to where it did not go before.
 */
static bool is_wider(const struct secret *c, const struct secret *was)
{
	for (size_t i = 0; i < c->hosts.n; i++)
		if (!is_in(&was->hosts, c->hosts.v[i]))
			return true;
	return (c->where & ~was->where) || (was->mask && !c->mask);
}

static int add_new(struct secrets *next, const struct secrets *now,
                   const struct setup_request *rq, struct err *err)
{
	for (size_t i = 0; i < rq->nset; i++) {
		const struct secret *c = &rq->set[i].s;
		const struct secret *was = secrets_find(now, c->name);
		int r;

		if (!c->value && was && is_wider(c, was))
			return err_set(err, -EPERM,
			               "%s: its value has to come again for "
			               "other hosts or places, or without a "
			               "mask",
			               c->name);
		r = secrets_set(next, c, now);
		if (r == -ENOENT)
			return err_set(err, r, "%s is new and has no value",
			               c->name);
		if (r == -E2BIG)
			return err_set(err, r, "more than %d secrets",
			               TLS_SECRETS_MAX);
		if (r < 0)
			return no_memory(r, err);
	}
	return 0;
}

static int check_clashes(const struct secrets *s, struct err *err)
{
	int r = 0;

	for (unsigned i = 0; i < s->n; i++)
		for (unsigned k = 0; k < i && r == 0; k++)
			r = setup_clash(&s->v[k], &s->v[i], err);
	return r;
}

static int next_secrets(const struct setup_request *rq,
                        const struct secrets *now, struct secrets **ret,
                        struct err *err)
{
	struct secrets *next cleanup_secrets = secrets_new();
	int r = next ? check_removed(rq, now, err) : no_memory(-ENOMEM, err);

	if (r == 0)
		r = keep_others(next, now, &rq->remove, err);
	if (r == 0)
		r = add_new(next, now, rq, err);
	if (r == 0)
		r = check_clashes(next, err);
	if (r == 0)
		r = no_memory(secrets_seal(next), err);
	if (r == 0)
		*ret = take_ptr(next);
	return r;
}

/* ---- into effect --------------------------------------------------------- */

static int tell_link(struct tls *t, struct err *err)
{
	int r = link_send_config(t->link);

	if (r == -E2BIG)
		return err_set(err, r,
		               "patterns and placeholders are too many: %u KiB "
		               "is the most",
		               TLSLINK_CONFIG_MAX >> 10);
	return r < 0 ? err_set(err, r, "cannot tell the network: %s",
	                       strerror(-r))
	             : 0;
}

static int apply_update(struct tls *t, const struct setup_request *rq,
                        struct err *err)
{
	struct secrets *next cleanup_secrets = NULL;
	struct secrets *was = t->secrets;
	int r = next_secrets(rq, was, &next, err);

	if (r < 0)
		return r;
	t->secrets = next;
	r = tell_link(t, err);
	if (r < 0)
		t->secrets = was;
	else
		next = was;
	return r;
}

static int make_ca(const struct setup_request *rq, struct ca **ret,
                   struct err *err)
{
	if (!rq->ca_cert[0])
		return ca_make(ret, err);
	return ca_load(rq->ca_cert, (const char *)rq->ca_key, rq->ca_key_len,
	               ret, err);
}

static int copy_options(struct tls_options *to, const struct tls_options *from,
                        struct err *err)
{
	*to = *from;
	to->bypass = (struct strv){0};
	return no_memory(strv_add_all(&to->bypass, strv_list(&from->bypass)),
	                 err);
}

/* Only at the start: a failure ends the process, and so all of @t. */
static int apply_setup(struct tls *t, const struct setup_request *rq,
                       struct err *err)
{
	int r = copy_options(&t->options, &rq->options, err);

	if (r == 0)
		r = make_ca(rq, &t->ca, err);
	if (r == 0)
		r = upstreams_new(rq->roots, rq->cas, rq->ncas, &rq->no_verify,
		                  &t->upstreams, err);
	if (r == 0)
		r = next_secrets(rq, NULL, &t->secrets, err);
	return r < 0 ? r : tell_link(t, err);
}

int setup_apply(struct tls *t, const struct setup_request *rq, struct err *err)
{
	return rq->update ? apply_update(t, rq, err) : apply_setup(t, rq, err);
}
