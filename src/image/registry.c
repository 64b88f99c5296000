#include "image/registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/escape.h"
#include "base/json.h"
#include "base/num.h"
#include "image/manifest.h"

#include "base/banned.h"

#define CONNECT_MS    20000
#define STALL_MS      30000
#define STALL_BYTES   1024
#define TOKEN_MAX     (1u << 20)
#define LOGINS_A_CALL 3 /* tokens may expire, or be gone for another thread */
#define REFUSALS_MAX  8 /* of logins that other threads made, too */

/*
 * In which order schemes are tried, until one answers. This machine's own
 * registries mostly speak plain HTTP; elsewhere that has to be asked for.
 */
static const enum registry_scheme orders[][3] = {
	{SCHEME_HTTPS }, /* a registry out there */
	{ SCHEME_HTTPS,  SCHEME_HTTP}, /* marked insecure */
	{ SCHEME_HTTP, SCHEME_HTTPS}, /* loopback */
	{ SCHEME_HTTPS,  SCHEME_HTTP}, /* loopback, with --ca-certs */
};

static const enum registry_scheme *order(const struct registry *r)
{
	if (ref_host_is_loopback(r->ref->host))
		return orders[r->opts->ca_certs ? 3 : 2];
	return orders[r->opts->insecure ? 1 : 0];
}

static struct http_limits limits_from_env(void)
{
	struct http_limits l = {CONNECT_MS, STALL_MS, STALL_BYTES};
	const char *v = getenv("MSB_REGISTRY_TIMEOUT");
	uint64_t ms;

	if (v && num_parse_duration_ms(v, &ms) && ms >= 100 && ms <= 3600000) {
		l.stall_ms = (unsigned)ms;
		l.connect_ms = MIN(l.connect_ms, l.stall_ms);
	}
	return l;
}

int registry_init(struct registry *r, const struct ref *ref,
                  const struct image_pull_opts *opts, struct meter *p,
                  struct err *err)
{
	(void)err;
	*r = (struct registry){
		.ref = ref,
		.opts = opts,
		.meter = p,
		.limits = limits_from_env(),
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.auth_lock = PTHREAD_MUTEX_INITIALIZER,
	};
	r->endpoint = strcmp(ref->host, "docker.io") == 0
	                      ? "registry-1.docker.io"
	                      : ref->host;
	return 0;
}

void registry_release(struct registry *r)
{
	while (r->nidle > 0)
		http_free(r->idle[--r->nidle]);
	free(r->authorization);
	credentials_release(&r->credentials);
}

static int borrow(struct registry *r, struct http **ret, struct err *err)
{
	const struct http_opts o = {
		.ca_certs = r->opts->ca_certs,
		.no_verify = r->opts->insecure,
		.meter = r->meter,
		.limits = r->limits,
	};
	struct http *h = NULL;

	(void)pthread_mutex_lock(&r->lock);
	if (r->nidle > 0)
		h = r->idle[--r->nidle];
	(void)pthread_mutex_unlock(&r->lock);
	if (!h)
		return http_new(&o, ret, err);
	*ret = h;
	return 0;
}

static void give_back(struct registry *r, struct http *h)
{
	(void)pthread_mutex_lock(&r->lock);
	if (r->nidle < REGISTRY_CONNS_MAX) {
		r->idle[r->nidle++] = h;
		h = NULL;
	}
	(void)pthread_mutex_unlock(&r->lock);
	http_free(h);
}

/* One call of registry_do(). */
struct call {
	struct registry *r;
	const struct registry_request *q;
	struct http *h;
	struct err *err;
	const enum registry_scheme *schemes; /* the one in use is the first */
	unsigned retries, tries, logins, refusals;
	uint64_t have;    /* when the last try began */
	struct err first; /* of the scheme before, when there was one */
};

static int say(struct call *c, int code, const char *what,
               const struct http_answer *a)
{
	json_t *cleanup_json doc =
		json_parse(a->error_body.data, a->error_body.len, "", NULL);
	const json_t *e = json_array_get(json_object_get(doc, "errors"), 0);
	const char *text = json_str(e, "message", "");
	struct buf cleanup_buf b = BUF_INIT_MAX(1024);

	(void)escape_text(&b, text, strnlen(text, 160), 0);
	return err_set(c->err, code, "%s %s (status %ld%s%s)", c->r->ref->host,
	               what, a->status, b.len ? ": " : "", buf_str(&b));
}

static int login_failed(struct call *c, const struct http_answer *a)
{
	const struct registry *r = c->r;

	(void)say(c, -EACCES,
	          r->has_credentials ? "does not accept the login"
	                             : "wants a login, or has no such image",
	          a);
	if (r->note.code)
		err_hint(c->err, "%s", r->note.msg);
	else
		err_hint(c->err,
		         "run docker login %s, or put an entry for it into "
		         "~/.docker/config.json",
		         strcmp(r->ref->host, "docker.io") == 0 ? ""
		                                                : r->ref->host);
	return -EACCES;
}

/*
 * Whoever gets a name and password in clear text, or is to vouch for us, must
 * be reached safely, unless the user gave that up for this registry.
 */
static int check_realm(struct call *c, const char *realm)
{
	const struct registry *r = c->r;
	bool near = ref_host_is_loopback(r->ref->host);
	const char *host = strstr(realm, "://");

	host = host ? host + 3 : "";
	if (strncasecmp(realm, "https://", 8) == 0 &&
	    (near || !ref_host_is_loopback(host)))
		return 0;
	if (strncasecmp(realm, "http://", 7) == 0 &&
	    (near ? ref_host_is_loopback(host) || r->opts->insecure
	          : r->opts->insecure && !ref_host_is_loopback(host)))
		return 0;
	return err_set(c->err, -EPROTO,
	               "%s wants a login at an address that is not safe (it "
	               "must be https, and not lead to this machine)",
	               r->ref->host);
}

static int append(void *arg, uint64_t offset, const void *data, size_t len,
                  struct err *err)
{
	struct buf *b = arg;

	b->len = MIN(b->len, offset); /* another try begins anew */
	return buf_add(b, data, len) < 0
	               ? err_set(err, -EFBIG, "the answer is too large")
	               : 0;
}

static int ask_for_token(struct call *c, const struct challenge *ch,
                         struct buf *body, struct http_answer *ret)
{
	struct registry *r = c->r;
	struct buf cleanup_buf url = BUF_INIT_MAX(16384);
	struct buf cleanup_buf form = BUF_INIT_MAX(TOKEN_MAX);
	struct buf cleanup_buf basic = BUF_INIT_MAX(TOKEN_MAX);
	struct http_request q = {
		.body = append, .arg = body, .body_max = TOKEN_MAX};
	int e = 0;

	if (r->has_credentials && r->credentials.identity_token) {
		e = auth_token_form(ch, &r->credentials, &form);
		q.url = ch->realm;
		q.post = buf_str(&form);
	} else {
		e = auth_token_url(ch, &url);
		if (e == 0 && r->has_credentials)
			e = auth_basic(&r->credentials, &basic);
		q.url = buf_str(&url);
		q.authorization = basic.len ? buf_str(&basic) : NULL;
	}
	if (e < 0)
		return err_set(c->err, e, "cannot ask for a token");
	return http_do(c->h, &q, ret, c->err);
}

static int bearer(struct call *c, struct challenge *ch, struct buf *ret)
{
	struct buf cleanup_buf body = BUF_INIT_MAX(TOKEN_MAX);
	struct http_answer a = {0};
	uint64_t expires;
	int e = check_realm(c, ch->realm);

	if (e < 0)
		return e;
	/* What we are after is ours to say, not the server's. */
	(void)snprintf(ch->scope, sizeof(ch->scope), "repository:%s:pull",
	               c->r->ref->repo);
	e = ask_for_token(c, ch, &body, &a);
	if (e < 0)
		return err_wrap(c->err, "cannot get a token");
	if (a.status == 401 || a.status == 403)
		e = login_failed(c, &a);
	else if (a.status < 200 || a.status > 299)
		e = say(c, -EREMOTEIO, "has a token server that fails", &a);
	else
		e = auth_token(body.data, body.len, ret, &expires, c->err);
	http_answer_release(&a);
	return e;
}

static void find_credentials(struct registry *r)
{
	int found;

	if (r->looked_for_credentials)
		return;
	r->looked_for_credentials = true;
	found = auth_find(r->ref->host, r->ref->repo, &r->credentials,
	                  &r->note);
	r->has_credentials = found == 1;
}

/* With auth_lock held. */
static int log_in(struct call *c, const struct http_answer *a)
{
	struct registry *r = c->r;
	struct buf cleanup_buf value = BUF_INIT_MAX(TOKEN_MAX);
	struct challenge *ch = calloc(1, sizeof(*ch));
	int e = 0;

	if (!ch)
		return err_set(c->err, -ENOMEM, "out of memory");
	find_credentials(r);
	if (!auth_challenge(buf_str(&a->challenges), ch))
		e = login_failed(c, a);
	else if (ch->scheme == CHALLENGE_BEARER)
		e = bearer(c, ch, &value);
	else if (!r->has_credentials || r->credentials.identity_token)
		e = login_failed(c, a);
	else
		e = auth_basic(&r->credentials, &value);
	free(ch);
	if (e < 0)
		return e;
	free(r->authorization);
	r->authorization = buf_steal(&value);
	r->logins++;
	return r->authorization ? 0 : err_set(c->err, -ENOMEM, "out of memory");
}

/* 401: log in, unless another thread did so since we asked. */
static int answer_challenge(struct call *c, const struct http_answer *a,
                            unsigned logins_before)
{
	struct registry *r = c->r;
	int e = 0;

	if (c->logins == LOGINS_A_CALL || c->refusals++ == REFUSALS_MAX)
		return login_failed(c, a);
	(void)pthread_mutex_lock(&r->auth_lock);
	if (r->logins == logins_before) {
		c->logins++;
		e = log_in(c, a);
	}
	(void)pthread_mutex_unlock(&r->auth_lock);
	return e;
}

static int send_one(struct call *c, struct http_answer *ret, unsigned *logins)
{
	struct registry *r = c->r;
	const struct registry_request *q = c->q;
	struct buf cleanup_buf url = BUF_INIT_MAX(4096);
	char *cleanup_free authorization = NULL;
	struct http_request hq = {
		.accept = q->accept,
		.head = q->head,
		.offset = q->have ? *q->have : 0,
		.body = q->body,
		.arg = q->arg,
		.body_max = q->size,
	};

	(void)pthread_mutex_lock(&r->auth_lock);
	*logins = r->logins;
	if (r->authorization)
		authorization = strdup(r->authorization);
	(void)pthread_mutex_unlock(&r->auth_lock);
	if (buf_printf(&url, "%s://%s/v2/%s/%s/%s",
	               c->schemes[0] == SCHEME_HTTP ? "http" : "https",
	               r->endpoint, r->ref->repo, q->kind, q->name) < 0)
		return err_set(c->err, -ENOMEM, "out of memory");
	hq.url = buf_str(&url);
	hq.authorization = authorization;
	c->have = hq.offset;
	return http_do(c->h, &hq, ret, c->err);
}

/* The next scheme to try, as long as none has worked: true when there is. */
static bool other_scheme(struct call *c)
{
	if (c->r->scheme != SCHEME_UNKNOWN || c->schemes[0] == SCHEME_UNKNOWN ||
	    c->schemes[1] == SCHEME_UNKNOWN)
		return false;
	c->schemes++;
	return true;
}

/*
 * Wait before another try: 1; or 0 when enough were made. A server that sends
 * something each time gets more of them.
 */
static int back_off(struct call *c, uint64_t ask_s)
{
	uint64_t have = c->q->have ? *c->q->have : 0, ms;
	uint16_t chance = 0;

	if (have >= c->have + REGISTRY_PROGRESS)
		c->retries = 0;
	if (c->retries >= REGISTRY_RETRIES || ++c->tries >= REGISTRY_TRIES_MAX)
		return 0;
	ms = REGISTRY_BACKOFF_MS << c->retries++;
	(void)!getrandom(&chance, sizeof(chance), GRND_NONBLOCK);
	ms += ms * chance / 131072;
	if (ask_s)
		ms = ask_s * 1000;
	if (meter_sleep(c->r->meter, ms) < 0)
		return err_set(c->err, -ECANCELED, "cancelled");
	return 1;
}

static int busy(struct call *c, const struct http_answer *a)
{
	bool limited = a->status == 429;
	int e = 0;

	if (a->retry_after_s <= REGISTRY_RETRY_AFTER_S)
		e = back_off(c, a->retry_after_s);
	if (e != 0)
		return e;
	(void)say(c, limited ? -EBUSY : -EREMOTEIO,
	          limited ? "refuses more requests for now" : "is in trouble",
	          a);
	if (a->retry_after_s)
		err_hint(c->err, "it asks to wait %llu seconds",
		         (unsigned long long)a->retry_after_s);
	else
		err_hint(c->err, limited ? "try again later, or log in"
		                         : "try again later");
	return limited ? -EBUSY : -EREMOTEIO;
}

static int not_there(struct call *c, const struct http_answer *a)
{
	(void)say(c, -ENOENT,
	          strcmp(c->q->kind, "blobs") == 0 ? "lacks a part of the image"
	                                           : "has no such image",
	          a);
	err_hint(c->err, "check the name and the tag");
	return -ENOENT;
}

/* 1: try again; 0: done; or the error. */
static int judge(struct call *c, const struct http_answer *a,
                 unsigned logins_before)
{
	int e;

	if (a->status == 400 && c->schemes[0] == SCHEME_HTTP && other_scheme(c))
		return 1; /* TLS servers answer so to plain HTTP */
	c->r->scheme = c->schemes[0];
	if (a->status >= 200 && a->status <= 299)
		return 0;
	switch (a->status) {
	case 401:
		e = answer_challenge(c, a, logins_before);
		return e < 0 ? e : 1;
	case 403:
		return login_failed(c, a);
	case 404:
		return not_there(c, a);
	case 416:
		return err_set(c->err, -ERANGE, "%s has no such range",
		               c->r->ref->host);
	case 408:
	case 429:
	case 500:
	case 502:
	case 503:
	case 504:
		return busy(c, a);
	default:
		return say(c, -EREMOTEIO, "gives an answer that makes no sense",
		           a);
	}
}

static void hint_for(struct call *c, int e)
{
	switch (e) {
	case -ECONNREFUSED:
		err_hint(c->err, "is the registry running?");
		break;
	case -EHOSTUNREACH:
		err_hint(c->err, "check the name, and the network");
		break;
	case -EKEYREJECTED:
		err_hint(c->err, "give its CA with --ca-certs FILE, or trust "
		                 "it blindly with --insecure");
		break;
	case -EPROTO:
		if (!c->r->opts->insecure && c->r->scheme == SCHEME_UNKNOWN &&
		    strstr(c->err->msg, "TLS failed"))
			err_hint(c->err, "if it speaks plain HTTP, say so with "
			                 "--insecure");
		break;
	default:
		break;
	}
}

static bool worth_a_retry(const struct call *c, int e)
{
	bool reached = c->r->scheme != SCHEME_UNKNOWN;

	return e == -EPIPE || e == -ETIMEDOUT ||
	       (reached && (e == -ECONNREFUSED || e == -EHOSTUNREACH));
}

/*
 * Could the server speak the other scheme? A plain server that is silent may
 * not be asked again in TLS: it would only look broken in another way.
 */
static bool speaks_other(const struct call *c, int e)
{
	return e == -EPROTO || e == -EPIPE || e == -ECONNREFUSED ||
	       (e == -ETIMEDOUT && c->schemes[0] == SCHEME_HTTPS);
}

/* No answer: 1: try again, or the error. */
static int no_answer(struct call *c, int e)
{
	if (http_saw_answer(c->h))
		c->r->scheme = c->schemes[0];
	if (speaks_other(c, e) && other_scheme(c)) {
		c->first = *c->err;
		return 1;
	}
	if (c->first.code && (e == -EPROTO || e == -ECONNREFUSED)) {
		*c->err = c->first; /* it says more */
		e = c->first.code;
	} else if (worth_a_retry(c, e)) {
		struct err kept = *c->err;
		int again = back_off(c, 0);

		if (again != 0)
			return again;
		*c->err = kept;
	}
	hint_for(c, e);
	return e;
}

int registry_do(struct registry *r, const struct registry_request *q,
                struct http_answer *ret, struct err *err)
{
	struct err unused;
	struct call c = {.r = r, .q = q, .err = err ? err : &unused};
	enum registry_scheme known[2] = {SCHEME_UNKNOWN, SCHEME_UNKNOWN};
	int e = borrow(r, &c.h, c.err);

	if (e < 0)
		return e;
	known[0] = r->scheme;
	c.schemes = known[0] == SCHEME_UNKNOWN ? order(r) : known;
	do {
		struct http_answer a = {0};
		unsigned logins = 0;

		e = send_one(&c, &a, &logins);
		e = e < 0 ? no_answer(&c, e) : judge(&c, &a, logins);
		if (e == 0)
			*ret = a;
		else
			http_answer_release(&a);
	} while (e > 0);
	give_back(r, c.h);
	return e;
}

int registry_document(struct registry *r, const char *kind, const char *name,
                      uint64_t max, struct buf *b, char *ret_type,
                      struct err *err)
{
	const struct registry_request q = {
		.kind = kind,
		.name = name,
		.accept =
			strcmp(kind, "manifests") == 0 ? MANIFEST_ACCEPT : NULL,
		.body = append,
		.arg = b,
		.size = max,
	};
	struct http_answer a = {0};
	int e;

	b->max = max;
	e = registry_do(r, &q, &a, err);
	if (e == 0 && ret_type)
		(void)snprintf(ret_type, sizeof(a.content_type), "%s",
		               a.content_type);
	http_answer_release(&a);
	return e;
}
