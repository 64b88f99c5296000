/* Secrets in a modification: on record, and in a machine that runs. */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "lib/modify_int.h"
#include "lib/options.h"

#include "base/banned.h"

#define PLACES                                                                 \
	(MSB_SECRET_HEADERS | MSB_SECRET_BASIC | MSB_SECRET_QUERY |            \
	 MSB_SECRET_BODY)

/* Places and mask are said apart from one another; mask only grows. */
static uint32_t flags_of(uint32_t said, uint32_t was)
{
	return said & PLACES ? said | (was & ~(uint32_t)PLACES) : said | was;
}

/* What is not said stays as it was. */
static int put_secret(struct secret_list *list, const struct msb_secret *given)
{
	struct msb_secret s = MSB_SECRET_INIT;
	long k;

	if (!options_take(&s, sizeof(s), given) || !s.env)
		return -EINVAL;
	k = secrets_find(list, s.env);
	if (k >= 0) {
		const struct msb_secret *was = list->v[k];

		s.hosts = s.hosts ? s.hosts : was->hosts;
		s.source = s.source ? s.source : was->source;
		s.placeholder =
			s.placeholder ? s.placeholder : was->placeholder;
		s.flags = flags_of(s.flags, was->flags);
		s.violation = s.violation ? s.violation : was->violation;
	}
	s.size = sizeof(s);
	return secrets_put(list, &s); /* a copy before the old one goes */
}

static int no_such_secret(const struct edit *e, const char *name,
                          struct err *err)
{
	err_set(err, -EINVAL, "%s has no secret '%.128s'", e->row.name, name);
	err_hint(err, "msb inspect %s shows which it has", e->row.name);
	return -EINVAL;
}

static int drop_secrets(struct edit *e, struct err *err)
{
	for (const char *const *n = e->o.secrets_rm; n && *n; n++) {
		long k = secrets_find(&e->now.secrets, *n);

		if (k < 0)
			return no_such_secret(e, *n, err);
		secrets_drop(&e->now.secrets, (size_t)k);
		if (e->has_tls && e->update.nremove < TLS_SECRETS_MAX)
			e->update.remove[e->update.nremove++] = *n;
	}
	return 0;
}

static int check_given(const struct edit *e, struct err *err)
{
	const struct secret_checked c = {.recorded = true,
	                                 .secrets = e->o.secrets};
	int r = 0;

	for (const struct msb_secret *const *s = e->o.secrets;
	     s && *s && r == 0; s++) {
		struct msb_secret one = MSB_SECRET_INIT;

		if (!options_take(&one, sizeof(one), *s) || !one.env)
			return err_set(err, -EINVAL, "msb_secret: wrong");
		for (const char *const *n = e->o.secrets_rm; n && *n; n++)
			if (strcmp(*n, one.env) == 0)
				return err_set(err, -EINVAL,
				               "secret %s cannot be set and "
				               "removed at once",
				               *n);
		/* Only for rotation it may have no host. */
		if (!one.hosts && secrets_find(&e->now.secrets, one.env) < 0)
			return secrets_check(&c, err) < 0
			               ? -EINVAL
			               : no_such_secret(e, one.env, err);
	}
	return r;
}

/* Values for the machine that runs, in the order of `set`. */
static int read_values(struct edit *e, struct err *err)
{
	struct tls_update *u = &e->update;
	int r = 0;

	for (const struct msb_secret *const *s = e->o.secrets;
	     s && *s && r == 0; s++) {
		const struct msb_secret *one[2] = {NULL, NULL};
		long k = secrets_find(&e->now.secrets, (*s)->env);

		if (k < 0 || u->nset == TLS_SECRETS_MAX)
			return -EINVAL;
		one[0] = e->now.secrets.v[k];
		r = tls_values_take(&u->values, one, e->o.secrets, err);
		u->set[u->nset].secret = one[0];
		u->set[u->nset++].has_value = true;
	}
	return r;
}

int modify_apply_secrets(struct edit *e, struct err *err)
{
	int r = check_given(e, err);

	if (r == 0)
		r = drop_secrets(e, err);
	for (const struct msb_secret *const *s = e->o.secrets;
	     s && *s && r == 0; s++)
		r = put_secret(&e->now.secrets, *s);
	return r;
}

int modify_check_secrets(struct edit *e, struct err *err)
{
	const struct secret_checked c = {
		.secrets = secrets_get(&e->now.secrets),
		.tls = &e->now.tls,
		.env = (const char *const *)strv_list(&e->now.env),
		.network = &e->now.network,
		.recorded = true,
	};
	int r = secrets_check(&c, err);

	return r < 0 || !e->has_tls ? r : read_values(e, err);
}

/* ---- the plan ------------------------------------------------------------ */

static int describe_change(const struct msb_secret *was,
                           const struct msb_secret *now, bool new_value,
                           struct buf *ret)
{
	int r = secret_describe(now, ret);

	if (!was)
		return r;
	if (strcmp(secret_source(was), secret_source(now)) != 0)
		(void)buf_printf(ret, ", value of %s", secret_source(now));
	if (strcmp(was->placeholder, now->placeholder) != 0)
		(void)buf_adds(ret, ", new placeholder");
	if (new_value)
		(void)buf_adds(ret, ", new value");
	return buf_ok(ret) ? r : -ENOMEM;
}

/* NULL: it was not, or is no more. */
static int plan_secret(struct edit *e, const struct msb_secret *was,
                       const struct msb_secret *now)
{
	struct buf cleanup_buf field = BUF_INIT, before = BUF_INIT,
			       after = BUF_INIT;
	bool sent = false;
	int r = was ? secret_describe(was, &before) : 0;

	for (size_t i = 0; i < e->update.nset; i++)
		sent = sent || e->update.set[i].secret == now;
	if (r == 0 && now)
		r = describe_change(was, now, sent, &after);
	(void)buf_printf(&field, "secret.%s", now ? now->env : was->env);
	if (r < 0 || !buf_ok(&field))
		return -ENOMEM;
	return modify_plan(e, e->has_tls, buf_str(&field), buf_str(&before),
	                   buf_str(&after));
}

int modify_plan_secrets(struct edit *e)
{
	const struct secret_list *was = &e->was.secrets, *now = &e->now.secrets;
	int r = 0;

	for (size_t i = 0; i < now->n && r == 0; i++) {
		long k = secrets_find(was, now->v[i]->env);

		r = plan_secret(e, k < 0 ? NULL : was->v[k], now->v[i]);
	}
	for (size_t i = 0; i < was->n && r == 0; i++)
		if (secrets_find(now, was->v[i]->env) < 0)
			r = plan_secret(e, was->v[i], NULL);
	return r;
}

/* ---- the machine that runs ----------------------------------------------- */

int modify_send_secrets(struct edit *e, struct err *err)
{
	if (!e->update.nset && !e->update.nremove)
		return 0;
	return tls_launch_update(&e->place, &e->now.tls, &e->update, err);
}
