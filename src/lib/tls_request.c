#include "lib/tls_request.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "base/strv.h"
#include "lib/error.h"
#include "lib/net_launch.h"
#include "lib/options.h"
#include "policy/policy.h"

#include "base/banned.h"

#define PEM_MAX (1u << 20)

/* ---- values -------------------------------------------------------------- */

void tls_values_release(struct tls_values *values)
{
	for (size_t i = 0; i < values->n; i++) {
		explicit_bzero(values->v[i].bytes, values->v[i].len);
		(void)munmap(values->v[i].bytes, values->v[i].len);
	}
	*values = (struct tls_values){0};
}

/* Room for one more, to be filled; what the host refuses it does without. */
static int add_room(struct tls_values *values, size_t len, uint8_t **ret)
{
	void *p;

	if (values->n == TLS_VALUES_MAX)
		return -E2BIG;
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	         -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	(void)mlock(p, len);
	(void)madvise(p, len, MADV_DONTDUMP);
	(void)madvise(p, len, MADV_WIPEONFORK);
	values->v[values->n].bytes = p;
	values->v[values->n++].len = len;
	*ret = p;
	return 0;
}

int tls_values_read_file(struct tls_values *values, const char *path,
                         const char *what, struct err *err)
{
	cleanup_close int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	uint8_t *bytes;
	ssize_t n;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(err, -errno, "%s %s: %s", what, path,
		               strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    st.st_size > TLS_VALUE_MAX)
		return err_set(err, -EINVAL,
		               "%s %s is not a file of 1 to %u bytes", what,
		               path, TLS_VALUE_MAX);
	r = add_room(values, (size_t)st.st_size, &bytes);
	if (r < 0)
		return r;
	n = fd_read_full(fd, bytes, (size_t)st.st_size);
	return n == st.st_size ? 0
	                       : err_set(err, n < 0 ? (int)n : -EIO,
	                                 "%s %s cannot be read", what, path);
}

/* What the caller gives for @env; NULL. */
static const char *find_given(const struct msb_secret *const *given,
                              const char *env)
{
	for (; given && *given; given++) {
		struct msb_secret one = MSB_SECRET_INIT;

		if (options_take(&one, sizeof(one), *given) && one.env &&
		    strcmp(one.env, env) == 0)
			return one.value;
	}
	return NULL;
}

static int missing(const struct msb_secret *s, struct err *err)
{
	const char *source = secret_source(s);

	err_set(err, -EINVAL,
	        "secret %s: the variable %s, which has its value, is not set "
	        "here",
	        s->env, source);
	err_hint(err,
	         "set it where msb is started, as with: read -rs %.64s && "
	         "export %.64s; it is read at each start and kept nowhere",
	         source, source);
	return -EINVAL;
}

static int take_value(struct tls_values *values, const struct msb_secret *s,
                      const char *text, struct err *err)
{
	size_t len = strnlen(text, TLS_VALUE_MAX + 1);
	uint8_t *bytes;
	int r = secret_check_value(s->env, text, len, s->placeholder, err);

	if (r == 0)
		r = add_room(values, len, &bytes);
	if (r == 0)
		memcpy(bytes, text, len);
	return r;
}

int tls_values_take(struct tls_values *values,
                    const struct msb_secret *const *secrets,
                    const struct msb_secret *const *given, struct err *err)
{
	int r = 0;

	for (; *secrets && r == 0; secrets++) {
		const char *text = find_given(given, (*secrets)->env);

		if (!text)
			text = getenv(secret_source(*secrets));
		r = text ? take_value(values, *secrets, text, err)
		         : missing(*secrets, err);
	}
	return r;
}

/* ---- requests ------------------------------------------------------------ */

static json_t *where_json(uint32_t where)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} names[] = {
		{MSB_SECRET_HEADERS, "headers"},
		{MSB_SECRET_BASIC,   "basic"  },
		{MSB_SECRET_QUERY,   "query"  },
		{MSB_SECRET_BODY,    "body"   },
	};
	json_t *list = json_array();

	for (size_t i = 0; list && i < ARRAY_SIZE(names); i++)
		if ((where & names[i].flag) &&
		    json_array_append_new(list, json_string(names[i].name)) <
		            0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *pattern_json(const char *text)
{
	bool below = strncmp(text, "*.", 2) == 0;
	char name[POLICY_NAME_MAX + 1];

	if (policy_name(below ? text + 2 : text, name) < 0)
		return json_string(text); /* * alone, as it was checked */
	return json_sprintf("%s%s", below ? "*." : "", name);
}

static json_t *patterns_json(const char *const *list)
{
	json_t *a = json_array();

	for (; a && list && *list; list++)
		if (json_array_append_new(a, pattern_json(*list)) < 0) {
			json_decref(a);
			return NULL;
		}
	return a;
}

json_t *tls_request_secret(const struct msb_secret *s,
                           const struct msb_tls *tls, bool value)
{
	return json_pack(
		"{s:s, s:s, s:o, s:o, s:b, s:s, s:b}", "name", s->env,
		"placeholder", s->placeholder, "hosts", patterns_json(s->hosts),
		"where", where_json(secret_where(s)), "mask",
		(s->flags & MSB_SECRET_MASK) != 0, "violation",
		secret_violation_name(s->violation, tls), "value", value);
}

static json_t *secrets_request(const struct secret_list *secrets,
                               const struct msb_tls *tls)
{
	json_t *a = json_array();

	for (size_t i = 0; a && i < secrets->n; i++)
		if (json_array_append_new(
			    a, tls_request_secret(secrets->v[i], tls, true)) <
		    0) {
			json_decref(a);
			return NULL;
		}
	return a;
}

static json_t *ports_json(const char *const *list)
{
	static const char *const https[] = {"443", NULL};
	json_t *a = json_array();

	if (!list || !*list)
		list = https;
	for (; a && *list; list++) {
		uint64_t port = 0;

		(void)num_parse_u64(*list, UINT16_MAX, &port);
		if (json_array_append_new(a, json_integer((json_int_t)port)) <
		    0) {
			json_decref(a);
			return NULL;
		}
	}
	return a;
}

/* The certificates of a file; free them. */
static int read_pem(const char *path, const char *what, char **ret,
                    struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(PEM_MAX);
	int r = file_read(AT_FDCWD, path, &b);

	if (r < 0)
		return err_set(err, r, "%s %s: %s", what, path, strerror(-r));
	*ret = net_cas_read(buf_str(&b));
	return *ret ? 0
	            : err_set(err, -EINVAL, "%s %s has no certificate (PEM)",
	                      what, path);
}

static int add_ca(json_t *list, const char *pattern, size_t len,
                  const char *path, struct err *err)
{
	cleanup_free char *pem = NULL, *text = strndup(pattern, len);
	int r = text ? read_pem(path, "the CA", &pem, err) : -ENOMEM;

	if (r == 0 &&
	    json_array_append_new(list, json_pack("{s:o, s:s}", "pattern",
	                                          pattern_json(text), "pem",
	                                          pem)) < 0)
		r = -ENOMEM;
	return r;
}

static int add_cas(json_t *list, const struct msb_tls *t, struct err *err)
{
	int r = 0;

	for (const char *const *p = t->upstream_cas; p && *p && r == 0; p++)
		r = add_ca(list, "*", 1, *p, err);
	for (const char *const *p = t->upstream_cas_for; p && *p && r == 0;
	     p++) {
		size_t len = strcspn(*p, "=");

		r = add_ca(list, *p, len, *p + len + 1, err);
	}
	return r;
}

/* A host without any will do where the user brings some. */
static int take_roots(const struct msb_tls *t, char **ret, struct err *err)
{
	bool others = (t->upstream_cas && *t->upstream_cas) ||
	              (t->upstream_cas_for && *t->upstream_cas_for);
	int r = net_host_cas(ret, err);

	if (r == -ENOENT && others) {
		*err = (struct err){0};
		*ret = strdup("");
		return *ret ? 0 : -ENOMEM;
	}
	return r;
}

int tls_request_setup(const struct secret_list *secrets,
                      const struct msb_tls *tls, json_t **ret, struct err *err)
{
	cleanup_free char *roots = NULL, *cert = NULL;
	json_t *cas = json_array();
	int r = cas ? take_roots(tls, &roots, err) : -ENOMEM;

	if (r == 0)
		r = add_cas(cas, tls, err);
	if (r == 0 && tls->ca_cert)
		r = read_pem(tls->ca_cert, "the CA certificate", &cert, err);
	if (r < 0) {
		json_decref(cas);
		return r;
	}
	*ret = json_pack(
		"{s:i, s:s, s:b, s:o, s:b, s:o, s:s, s:o, s:o, s:s, s:o}",
		"version", TLS_SETUP_VERSION, "op", "setup", "all",
		(tls->flags & MSB_TLS_INTERCEPT) != 0, "ports",
		ports_json(tls->ports), "block_quic",
		(tls->flags & MSB_TLS_NO_BLOCK_QUIC) == 0, "bypass",
		patterns_json(tls->bypass), "roots", roots, "upstream_cas", cas,
		"no_verify", patterns_json(tls->no_verify_for), "ca_cert",
		cert ? cert : "", "secrets", secrets_request(secrets, tls));
	return *ret ? 0 : -ENOMEM;
}

/* ---- the line ------------------------------------------------------------ */

struct line {
	int fd;
	uint64_t end_ns;
};

static int wait_for(const struct line *l, short events)
{
	for (;;) {
		struct pollfd pf = {.fd = l->fd, .events = events};
		uint64_t now = clock_now_ns();
		int n;

		if (now >= l->end_ns)
			return -ETIMEDOUT;
		n = cancel_poll(&pf, 1,
		                (int)((l->end_ns - now) / NS_PER_MS) + 1);
		if (n > 0)
			return 0;
		if (n < 0 && n != -EINTR)
			return n;
	}
}

/* All of it, out or in. Sending changes nothing of @data. */
static int move(const struct line *l, void *data, size_t len, bool out)
{
	uint8_t *p = data;
	int r = 0;

	while (len && r == 0) {
		ssize_t n = out ? send(l->fd, p, len, MSG_NOSIGNAL)
		                : recv(l->fd, p, len, 0);

		if (n == 0)
			return -ECONNRESET;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN || errno == EINTR) {
			r = wait_for(l, out ? POLLOUT : POLLIN);
		} else {
			r = -errno;
		}
	}
	return r;
}

static int put(const struct line *l, const void *data, size_t len)
{
	return move(l, (void *)(uintptr_t)data, len, true);
}

static int get(const struct line *l, void *data, size_t len)
{
	return move(l, data, len, false);
}

static int put_part(const struct line *l, const void *data, size_t len)
{
	uint8_t head[4];
	int r;

	put_le32(head, (uint32_t)len);
	r = put(l, head, sizeof(head));
	return r < 0 ? r : put(l, data, len);
}

static int send_all(const struct line *l, const json_t *request,
                    const struct tls_values *values)
{
	cleanup_free char *text = json_text(request, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;
	int r = !text ? -ENOMEM : len > TLS_SETUP_JSON_MAX ? -E2BIG : 0;

	if (r == 0)
		r = put_part(l, text, len);
	for (size_t i = 0; i < values->n && r == 0; i++)
		r = put_part(l, values->v[i].bytes, values->v[i].len);
	return r;
}

static int read_answer(const struct line *l, char **ret, size_t *ret_len)
{
	cleanup_free char *text = NULL;
	uint8_t head[4];
	uint32_t len;
	int r = get(l, head, sizeof(head));

	if (r < 0)
		return r;
	len = get_le32(head);
	if (len == 0 || len > TLS_SETUP_ANSWER_MAX)
		return -EPROTO;
	text = malloc(len + 1);
	if (!text)
		return -ENOMEM;
	r = get(l, text, len);
	if (r < 0)
		return r;
	text[len] = '\0';
	*ret_len = len;
	*ret = take_ptr(text);
	return 0;
}

/* Its words are ours: it is of our build, and has no value in them. */
static int take_answer(const char *text, size_t len, char **ret_ca,
                       struct err *err)
{
	json_t *cleanup_json o = json_parse(text, len, "msb-tls's answer", err);
	const char *ca = json_str(o, "ca", "");

	if (!json_is_object(o))
		return err_set(err, -EPROTO,
		               "msb-tls's answer is no JSON object");
	if (!json_bool(o, "ok", false))
		return err_set(err, -EINVAL, "TLS interception: %s",
		               json_str(o, "error", "msb-tls refused"));
	*ret_ca = strdup(ca);
	return *ret_ca ? 0 : -ENOMEM;
}

int tls_request_send(int fd, const json_t *request,
                     const struct tls_values *values, char **ret_ca,
                     struct err *err)
{
	const struct line l = {fd, clock_now_ns() +
	                                   TLS_SETUP_TIMEOUT_MS * NS_PER_MS};
	cleanup_free char *text = NULL;
	int r = fd_set_nonblock(fd), sent = 0;
	size_t len = 0;

	if (r == 0)
		sent = send_all(&l, request, values);
	/* Who refuses in the middle says why before it hangs up. */
	if (r == 0 && (sent == 0 || sent == -EPIPE || sent == -ECONNRESET))
		r = read_answer(&l, &text, &len);
	if (r == 0 && !text)
		r = sent;
	if (r == -ETIMEDOUT) {
		err_set(err, r, "msb-tls does not answer");
		err_hint(err, "msb restart starts it anew");
		return r;
	}
	if (r == -ECONNRESET || r == -EPIPE) {
		err_set(err, -LIB_EBOOT, "msb-tls ended before it answered");
		err_hint(err, "msb --debug shows what it says");
		return -LIB_EBOOT;
	}
	if (r == -ECANCELED)
		return err_set(err, r, "cancelled");
	if (r < 0)
		return err_set(err, r, "cannot talk to msb-tls: %s",
		               strerror(-r));
	return take_answer(text, len, ret_ca, err);
}
