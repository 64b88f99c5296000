#include "image/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "image/host_cas.h"
#include "image/ref.h"

#include "base/banned.h"

#define HEADERS_MAX    (64 * KIB) /* all headers of one answer */
#define CHALLENGES_MAX (16 * KIB)
#define ERROR_BODY_MAX (4 * KIB)
#define URL_MAX        (16 * KIB) /* signed CDN addresses are long */
#define BUFFER_SIZE    (256L * 1024)
#define CAS_MAX        (8 * MIB)

struct http {
	CURL *easy;
	CURLM *multi;
	struct http_opts o;
	struct buf cas; /* the host's and ours; empty: the host's alone */
	bool proxied;
	bool saw_answer;
};

/* Where a URL leads; host as curl normalises it, "[::1]" for IPv6. */
struct origin {
	bool tls;
	char host[300];
	uint64_t port;
};

/* One exchange; the fields below "answer" start anew at each hop. */
struct exchange {
	struct http *h;
	const struct http_request *q;
	struct err *err;
	struct origin first, now;
	char *url;
	bool keep_secrets;
	bool outward; /* a redirect left a first host that is not this one */

	struct http_answer a;
	char location[URL_MAX];
	char curl_error[CURL_ERROR_SIZE];
	size_t header_bytes;
	uint64_t length; /* Content-Length; UINT64_MAX: unknown */
	uint64_t range_start;
	bool has_range, started, enough;
	uint64_t at, received;
	int code; /* why a callback ended the exchange */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_start(void)
{
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool proxy_in_env(void)
{
	static const char *const names[] = {"http_proxy", "https_proxy",
	                                    "HTTPS_PROXY", "all_proxy",
	                                    "ALL_PROXY"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *v = getenv(names[i]);

		if (v && *v)
			return true;
	}
	return false;
}

/*
 * As text, to libcurl: its OpenSSL need not be the one that we were linked with
 * (a program that loads us may have its own).
 */
static int read_cas(struct http *h, struct err *err)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	const char *host = host_cas_path();
	size_t ours;
	int r;

	h->cas.max = CAS_MAX;
	if (host && file_read(AT_FDCWD, host, &h->cas) == 0)
		(void)buf_addc(&h->cas, '\n');
	ours = h->cas.len;
	r = file_read(AT_FDCWD, h->o.ca_certs, &h->cas);
	if (r < 0)
		return err_set(err, r, "cannot read CA certificates %s: %s",
		               h->o.ca_certs, strerror(-r));
	if (!strstr(buf_str(&h->cas) + ours, begin))
		return err_set(err, -EINVAL,
		               "%s: no CA certificates are in there",
		               h->o.ca_certs);
	return 0;
}

int http_new(const struct http_opts *o, struct http **ret, struct err *err)
{
	struct http *h = calloc(1, sizeof(*h));
	int r = -ENOMEM;

	(void)pthread_once(&curl_once, curl_start);
	if (h) {
		h->o = *o;
		h->proxied = proxy_in_env();
		h->easy = curl_easy_init();
		h->multi = curl_multi_init();
	}
	if (!h || !h->easy || !h->multi)
		err_set(err, r, "out of memory");
	else
		r = o->ca_certs ? read_cas(h, err) : 0;
	if (r < 0)
		http_free(h);
	else
		*ret = h;
	return r;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	curl_easy_cleanup(h->easy);
	(void)curl_multi_cleanup(h->multi);
	buf_release(&h->cas);
	free(h);
}

void http_answer_release(struct http_answer *a)
{
	buf_release(&a->challenges);
	buf_release(&a->error_body);
}

bool http_saw_answer(const struct http *h)
{
	return h->saw_answer;
}

static int get_part(CURLU *u, CURLUPart part, unsigned flags, char *out,
                    size_t out_len)
{
	char *text = NULL;
	size_t len;

	if (curl_url_get(u, part, &text, flags) != CURLUE_OK)
		return -EPROTO;
	len = strlen(text);
	if (len < out_len)
		memcpy(out, text, len + 1);
	curl_free(text);
	return len < out_len ? 0 : -EPROTO;
}

/* -EPROTO when it is not a URL that we would ask. */
static int parse_origin(CURLU *u, struct origin *ret)
{
	char scheme[8], port[8], *user = NULL;
	CURLUcode c;

	if (get_part(u, CURLUPART_SCHEME, 0, scheme, sizeof(scheme)) < 0 ||
	    get_part(u, CURLUPART_HOST, 0, ret->host, sizeof(ret->host)) < 0 ||
	    get_part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT, port,
	             sizeof(port)) < 0 ||
	    !num_parse_u64(port, 65535, &ret->port))
		return -EPROTO;
	ret->tls = strcmp(scheme, "https") == 0;
	if (!ret->tls && strcmp(scheme, "http") != 0)
		return -EPROTO;
	/* A name and password inside a URL came from somewhere else. */
	c = curl_url_get(u, CURLUPART_USER, &user, 0);
	curl_free(user);
	return c == CURLUE_NO_USER ? 0 : -EPROTO;
}

static bool same_origin(const struct origin *a, const struct origin *b)
{
	return a->tls == b->tls && a->port == b->port &&
	       strcasecmp(a->host, b->host) == 0;
}

static bool header_is(const char *line, size_t len, const char *name,
                      const char **value, size_t *value_len)
{
	size_t n = strlen(name);

	if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
		return false;
	line += n + 1;
	len -= n + 1;
	while (len > 0 && (line[0] == ' ' || line[0] == '\t')) {
		line++;
		len--;
	}
	while (len > 0 && (uint8_t)line[len - 1] <= ' ')
		len--;
	*value = line;
	*value_len = len;
	return true;
}

/* Cut to what fits: only values that fit can be right. */
static void copy_value(char *out, size_t out_len, const char *v, size_t len)
{
	len = MIN(len, out_len - 1);
	memcpy(out, v, len);
	out[len] = '\0';
}

static void take_range(struct exchange *x, const char *v)
{
	uint64_t start = 0;
	size_t n;

	x->has_range = false;
	if (strncasecmp(v, "bytes ", 6) != 0)
		return;
	v += 6;
	n = strspn(v, "0123456789");
	for (size_t i = 0; i < n && n < 19; i++)
		start = start * 10 + (uint64_t)(v[i] - '0');
	x->has_range = n > 0 && n < 19 && v[n] == '-';
	x->range_start = start;
}

static void take_retry_after(struct exchange *x, const char *v)
{
	time_t when;

	if (num_parse_u64(v, 1000000000, &x->a.retry_after_s))
		return;
	when = curl_getdate(v, NULL);
	x->a.retry_after_s =
		when > time(NULL) ? (uint64_t)(when - time(NULL)) : 0;
}

static void take_header(struct exchange *x, const char *line, size_t len)
{
	char text[64];
	const char *v;
	size_t n;

	if (header_is(line, len, "Content-Type", &v, &n)) {
		copy_value(x->a.content_type, sizeof(x->a.content_type), v, n);
	} else if (header_is(line, len, "Docker-Content-Digest", &v, &n)) {
		copy_value(x->a.content_digest, sizeof(x->a.content_digest), v,
		           n);
	} else if (header_is(line, len, "Location", &v, &n)) {
		copy_value(x->location, sizeof(x->location), v, n);
	} else if (header_is(line, len, "Content-Length", &v, &n)) {
		copy_value(text, sizeof(text), v, n);
		if (!num_parse_u64(text, INT64_MAX, &x->length))
			x->length = UINT64_MAX;
	} else if (header_is(line, len, "Content-Range", &v, &n)) {
		copy_value(text, sizeof(text), v, n);
		take_range(x, text);
	} else if (header_is(line, len, "Retry-After", &v, &n)) {
		copy_value(text, sizeof(text), v, n);
		take_retry_after(x, text);
	} else if (header_is(line, len, "WWW-Authenticate", &v, &n)) {
		x->a.challenges.max = CHALLENGES_MAX;
		(void)buf_add(&x->a.challenges, v, n);
		(void)buf_addc(&x->a.challenges, '\n');
	}
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	size_t len = size * n;

	x->header_bytes += len;
	if (x->header_bytes > HEADERS_MAX) {
		x->code = err_set(x->err, -EPROTO,
		                  "%s sends more than 64 KiB of headers",
		                  x->now.host);
		return 0;
	}
	take_header(x, line, len);
	return len;
}

/* Before the first byte of a 2xx body is used. */
static int check_body(struct exchange *x)
{
	x->at = x->a.status == 206 ? x->q->offset : 0;
	if (x->a.status == 206 &&
	    (!x->has_range || x->range_start != x->q->offset))
		return err_set(x->err, -ERANGE,
		               "%s answered with another range than asked for",
		               x->now.host);
	if (x->length != UINT64_MAX && x->length > x->q->body_max - x->at)
		return err_set(x->err, -EFBIG,
		               "%s wants to send more than the %llu bytes that "
		               "were announced",
		               x->now.host, (unsigned long long)x->q->body_max);
	return 0;
}

static int good_body(struct exchange *x, const void *data, size_t len)
{
	int r = x->started ? 0 : check_body(x);

	x->started = true;
	if (r == 0 && len > x->q->body_max - x->at)
		r = err_set(x->err, -EFBIG,
		            "%s sends more than the %llu bytes that were "
		            "announced",
		            x->now.host, (unsigned long long)x->q->body_max);
	if (r == 0 && x->q->body)
		r = x->q->body(x->q->arg, x->at, data, len, x->err);
	x->at += len;
	return r;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	size_t len = size * n;

	(void)curl_easy_getinfo(x->h->easy, CURLINFO_RESPONSE_CODE,
	                        &x->a.status);
	x->received += len;
	if (x->a.status >= 200 && x->a.status < 300) {
		x->code = good_body(x, data, len);
		return x->code == 0 ? len : 0;
	}
	x->a.error_body.max = ERROR_BODY_MAX;
	x->enough = buf_add(&x->a.error_body, data, len) < 0;
	return x->enough ? 0 : len;
}

static bool is_inner_v4(uint32_t ip)
{
	return ip >> 24 == 127 || ip >> 24 == 0 || ip >> 16 == 0xa9fe;
}

/* This machine, or the link-local addresses where clouds keep secrets. */
static bool is_inner(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		return is_inner_v4(ntohl(in.sin_addr.s_addr));
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		const uint8_t *b = in6.sin6_addr.s6_addr;

		memcpy(&in6, sa, sizeof(in6));
		return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr) ||
		       IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr) ||
		       IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr) &&
		        is_inner_v4(get_be32(b + 12)));
	}
	return false;
}

/* Names are judged before, but a name can resolve to anything. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose,
                               struct curl_sockaddr *addr)
{
	struct exchange *x = arg;

	(void)purpose;
	if (x->outward && !x->h->proxied && is_inner(&addr->addr)) {
		x->code = err_set(x->err, -EPROTO,
		                  "refused: %s redirects to an address of this "
		                  "machine (%s)",
		                  x->first.host, x->now.host);
		return CURL_SOCKET_BAD;
	}
	return socket(addr->family, addr->socktype | SOCK_CLOEXEC,
	              addr->protocol);
}

/*
 * What makes an answer ours alone: nothing from the environment but proxies
 * and whom to trust.
 */
static void set_options(struct exchange *x)
{
	CURL *e = x->h->easy;
	const char *cas = host_cas_path();
	struct curl_blob blob = {x->h->cas.data, x->h->cas.len,
	                         CURL_BLOB_NOCOPY};

	curl_easy_reset(e); /* keeps the connections */
	curl_easy_setopt(e, CURLOPT_URL, x->url);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "msb/" MSB_VERSION);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, x->curl_error);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
	                 (long)x->h->o.limits.connect_ms);
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER,
	                 x->h->o.no_verify ? 0L : 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST,
	                 x->h->o.no_verify ? 0L : 2L);
	if (x->h->cas.len)
		curl_easy_setopt(e, CURLOPT_CAINFO_BLOB, &blob);
	else if (cas)
		curl_easy_setopt(e, CURLOPT_CAINFO, cas);
	if (ref_host_is_loopback(x->now.host))
		curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, x);
}

/* CR and LF would let a token or a path write headers of its own. */
static bool one_line(const char *s)
{
	for (; *s; s++)
		if ((uint8_t)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

static int add_header(struct curl_slist **list, const char *name,
                      const char *value)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(1 << 20);
	struct curl_slist *more = NULL;

	if (!one_line(value))
		return -EPROTO;
	if (buf_printf(&b, "%s: %s", name, value) == 0)
		more = curl_slist_append(*list, buf_str(&b));
	if (!more)
		return -ENOMEM;
	*list = more;
	return 0;
}

static int set_request(struct exchange *x, struct curl_slist **list)
{
	const struct http_request *q = x->q;
	CURL *e = x->h->easy;
	char range[32];
	int r = 0;

	if (q->accept)
		r = add_header(list, "Accept", q->accept);
	if (r == 0 && q->authorization && x->keep_secrets)
		r = add_header(list, "Authorization", q->authorization);
	if (r < 0)
		return err_set(x->err, r, "cannot ask %s: %s", x->now.host,
		               r == -EPROTO ? "bad characters in a token"
		                            : "out of memory");
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, *list);
	if (q->head)
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	if (q->post)
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, q->post);
	if (q->offset) {
		(void)snprintf(range, sizeof(range), "%llu-",
		               (unsigned long long)q->offset);
		curl_easy_setopt(e, CURLOPT_RANGE, range);
	}
	return 0;
}

static int connect_error(struct exchange *x)
{
	long os_error = 0;

	(void)curl_easy_getinfo(x->h->easy, CURLINFO_OS_ERRNO, &os_error);
	return err_set(x->err,
	               os_error == ECONNREFUSED ? -ECONNREFUSED : -EHOSTUNREACH,
	               "cannot connect to %s port %llu: %s", x->now.host,
	               (unsigned long long)x->now.port,
	               os_error ? strerror((int)os_error) : x->curl_error);
}

static int curl_failed(struct exchange *x, CURLcode c)
{
	static const struct {
		CURLcode curl;
		int code;
		const char *text;
	} map[] = {
		{CURLE_COULDNT_RESOLVE_HOST,     -EHOSTUNREACH, "no such host" },
		{CURLE_COULDNT_RESOLVE_PROXY,    -EHOSTUNREACH, "no such proxy"},
		{CURLE_OPERATION_TIMEDOUT,       -ETIMEDOUT,    "time limit"   },
		{CURLE_PEER_FAILED_VERIFICATION, -EKEYREJECTED, "not trusted"  },
		{CURLE_SSL_CACERT_BADFILE,       -EKEYREJECTED, "bad CA file"  },
		{CURLE_SSL_CONNECT_ERROR,        -EPROTO,       "TLS failed"   },
		{CURLE_UNSUPPORTED_PROTOCOL,     -EPROTO,       "not HTTP"     },
		{CURLE_WEIRD_SERVER_REPLY,       -EPROTO,       "not HTTP"     },
		{CURLE_URL_MALFORMAT,            -EPROTO,       "bad address"  },
		{CURLE_OUT_OF_MEMORY,            -ENOMEM,       "out of memory"},
	};

	if (c == CURLE_COULDNT_CONNECT)
		return connect_error(x);
	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (map[i].curl == c)
			return err_set(x->err, map[i].code, "%s: %s%s%s",
			               x->now.host, map[i].text,
			               x->curl_error[0] ? ": " : "",
			               x->curl_error);
	return err_set(
		x->err, -EPIPE, "%s broke the connection off: %s", x->now.host,
		x->curl_error[0] ? x->curl_error : curl_easy_strerror(c));
}

/* -ETIMEDOUT when too few bytes came since @mark. */
static int check_stall(struct exchange *x, uint64_t *mark_ns, uint64_t *bytes)
{
	const struct http_limits *l = &x->h->o.limits;
	uint64_t now = clock_now_ns(), got = x->received + x->header_bytes;

	if (now - *mark_ns < l->stall_ms * NS_PER_MS)
		return 0;
	if (got - *bytes < (uint64_t)l->stall_bytes * l->stall_ms / 1000)
		return err_set(x->err, -ETIMEDOUT,
		               "%s sends almost nothing (%llu bytes in %u ms)",
		               x->now.host, (unsigned long long)(got - *bytes),
		               l->stall_ms);
	*mark_ns = now;
	*bytes = got;
	return 0;
}

static int drive(struct exchange *x, CURLcode *ret)
{
	uint64_t mark_ns = clock_now_ns(), bytes = 0;
	CURLM *m = x->h->multi;
	int running, left, r = 0;
	const CURLMsg *msg;

	while (r == 0) {
		if (curl_multi_perform(m, &running) != CURLM_OK)
			return err_set(x->err, -ENOMEM, "out of memory");
		msg = curl_multi_info_read(m, &left);
		if (msg && msg->msg == CURLMSG_DONE) {
			*ret = msg->data.result;
			return 0;
		}
		(void)curl_multi_poll(m, NULL, 0, METER_POLL_MS / 2, NULL);
		if (meter_poll(x->h->o.meter) < 0)
			return err_set(x->err, -ECANCELED, "cancelled");
		r = check_stall(x, &mark_ns, &bytes);
	}
	return r;
}

static void answer_reset(struct exchange *x)
{
	http_answer_release(&x->a);
	x->a = (struct http_answer){0};
	x->location[0] = x->curl_error[0] = '\0';
	x->header_bytes = 0;
	x->received = 0;
	x->length = UINT64_MAX;
	x->has_range = x->started = x->enough = false;
	x->code = 0;
}

static int one_hop(struct exchange *x)
{
	struct curl_slist *headers = NULL;
	CURLcode c = CURLE_OK;
	int r;

	answer_reset(x);
	set_options(x);
	r = set_request(x, &headers);
	if (r == 0 && curl_multi_add_handle(x->h->multi, x->h->easy))
		r = err_set(x->err, -ENOMEM, "out of memory");
	if (r == 0) {
		r = drive(x, &c);
		(void)curl_multi_remove_handle(x->h->multi, x->h->easy);
	}
	curl_slist_free_all(headers);
	(void)curl_easy_getinfo(x->h->easy, CURLINFO_RESPONSE_CODE,
	                        &x->a.status);
	x->h->saw_answer = x->a.status != 0;
	if (r < 0)
		return r;
	if (x->code < 0)
		return x->code;
	return c == CURLE_OK || x->enough ? 0 : curl_failed(x, c);
}

static int refuse_redirect(struct exchange *x, const char *why)
{
	return err_set(x->err, -EPROTO, "refused a redirect from %s: %s",
	               x->now.host, why);
}

static int check_redirect(struct exchange *x, const struct origin *to)
{
	if (x->now.tls && !to->tls)
		return refuse_redirect(x, "it leads from https to http");
	x->outward = strcasecmp(to->host, x->first.host) != 0 &&
	             !ref_host_is_loopback(x->first.host);
	if (x->outward && ref_host_is_loopback(to->host))
		return refuse_redirect(x, "it leads to this machine");
	if (!same_origin(to, &x->first))
		x->keep_secrets = false;
	return 0;
}

static int follow(struct exchange *x)
{
	CURLU *u = curl_url();
	struct origin to;
	char *next = NULL;
	int r = -ENOMEM;

	if (!u)
		return err_set(x->err, r, "out of memory");
	if (x->q->post)
		r = refuse_redirect(x, "it would repeat a secret elsewhere");
	else if (curl_url_set(u, CURLUPART_URL, x->url, 0) != CURLUE_OK ||
	         curl_url_set(u, CURLUPART_URL, x->location, 0) != CURLUE_OK ||
	         parse_origin(u, &to) < 0)
		r = refuse_redirect(x, "its target is not a plain http or "
		                       "https address");
	else
		r = check_redirect(x, &to);
	if (r == 0 && curl_url_get(u, CURLUPART_URL, &next, 0) != CURLUE_OK)
		r = err_set(x->err, -ENOMEM, "out of memory");
	curl_url_cleanup(u);
	if (r < 0)
		return r;
	x->now = to;
	free(x->url);
	x->url = strdup(next);
	curl_free(next);
	return x->url ? 0 : err_set(x->err, -ENOMEM, "out of memory");
}

static bool is_redirect(const struct exchange *x)
{
	return (x->a.status == 301 || x->a.status == 302 ||
	        x->a.status == 303 || x->a.status == 307 ||
	        x->a.status == 308) &&
	       x->location[0];
}

static int start(struct exchange *x)
{
	CURLU *u = curl_url();
	int r = u ? 0 : -ENOMEM;

	if (r == 0 && curl_url_set(u, CURLUPART_URL, x->q->url, 0) != CURLUE_OK)
		r = -EPROTO;
	if (r == 0)
		r = parse_origin(u, &x->first);
	curl_url_cleanup(u);
	x->now = x->first;
	x->keep_secrets = true;
	x->url = r == 0 ? strdup(x->q->url) : NULL;
	if (r == 0 && !x->url)
		r = -ENOMEM;
	return r < 0 ? err_set(x->err, r, "bad address of a registry") : 0;
}

int http_do(struct http *h, const struct http_request *q,
            struct http_answer *ret, struct err *err)
{
	struct exchange *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return err_set(err, -ENOMEM, "out of memory");
	h->saw_answer = false;
	x->h = h;
	x->q = q;
	x->err = err;
	r = start(x);
	for (int hop = 0; r == 0; hop++) {
		r = one_hop(x);
		if (r < 0 || !is_redirect(x))
			break;
		r = hop == HTTP_REDIRECTS_MAX
		            ? refuse_redirect(x, "it is one too many")
		            : follow(x);
	}
	if (r == 0) {
		*ret = x->a;
		x->a = (struct http_answer){0};
	}
	http_answer_release(&x->a);
	free(x->url);
	free(x);
	return r;
}
