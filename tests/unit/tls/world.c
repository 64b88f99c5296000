#include "tls/world.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"

/* ---- the link ------------------------------------------------------------ */

static struct world *the_world;

void link_send_abort(struct link *l, uint64_t id)
{
	(void)l;
	(void)id;
	the_world->naborts++;
}

static void on_event(void *arg, const struct tls_event *ev)
{
	struct world *w = arg;
	unsigned i = w->nevents++;

	if (i >= WORLD_EVENTS)
		return;
	w->events[i].what = ev->what;
	w->events[i].terminate = ev->terminate;
	(void)snprintf(w->events[i].text, sizeof(w->events[i].text), "%s",
	               ev->text ? ev->text : "");
}

bool world_said(const struct world *w, enum tlslink_what what, const char *part)
{
	for (unsigned i = 0; i < MIN(w->nevents, WORLD_EVENTS); i++)
		if (w->events[i].what == what &&
		    strstr(w->events[i].text, part))
			return true;
	return false;
}

/* ---- certificates -------------------------------------------------------- */

static void add(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer ? issuer : x, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	assert_true(X509_add_ext(x, e, -1));
	X509_EXTENSION_free(e);
}

X509 *world_cert(EVP_PKEY *key, const struct cert_wish *w)
{
	static long serial = 1;
	X509 *x = X509_new();
	X509_NAME *n = X509_get_subject_name(x);
	char san[300];
	time_t now = time(NULL);
	long from = w->from || w->to ? w->from : -3600;
	long to = w->from || w->to ? w->to : 3600;

	assert_true(X509_set_version(x, X509_VERSION_3));
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
	ASN1_TIME_set(X509_getm_notBefore(x), now + from);
	ASN1_TIME_set(X509_getm_notAfter(x), now + to);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(
		n, "CN", MBSTRING_ASC,
		(const unsigned char *)(w->ca ? "a test CA" : "a test"), -1, -1,
		0);
	X509_set_issuer_name(x,
	                     w->issuer ? X509_get_subject_name(w->issuer) : n);
	add(x, w->issuer, NID_basic_constraints,
	    w->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	add(x, w->issuer, NID_subject_key_identifier, "hash");
	if (w->issuer)
		add(x, w->issuer, NID_authority_key_identifier, "keyid");
	if (w->name) {
		bool ip = w->name[0] >= '0' && w->name[0] <= '9';

		(void)snprintf(san, sizeof(san), "%s:%s", ip ? "IP" : "DNS",
		               w->name);
		add(x, w->issuer, NID_subject_alt_name, san);
	}
	assert_true(X509_sign(x, w->key ? w->key : key, EVP_sha256()));
	return x;
}

static char *bio_text(BIO *b)
{
	char *data, *text;
	long len = BIO_get_mem_data(b, &data);

	text = strndup(data, (size_t)len);
	BIO_free(b);
	return text;
}

char *world_pem(X509 *x)
{
	BIO *b = BIO_new(BIO_s_mem());

	assert_true(PEM_write_bio_X509(b, x));
	return bio_text(b);
}

char *world_key_pem(EVP_PKEY *key)
{
	BIO *b = BIO_new(BIO_s_mem());

	assert_true(
		PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL));
	return bio_text(b);
}

/* ---- the world ----------------------------------------------------------- */

static SSL_CTX *client_ctx(const char *pem)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	BIO *b = BIO_new_mem_buf(pem, -1);
	X509 *x = PEM_read_bio_X509(b, NULL, NULL, NULL);

	assert_true(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x));
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx),
	                            X509_V_FLAG_X509_STRICT);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	X509_free(x);
	BIO_free(b);
	return ctx;
}

void world_open(struct world *w, const struct strv *no_verify)
{
	struct strv none = {0};
	char *pem;

	*w = (struct world){.next_id = 1};
	the_world = w;
	(void)signal(SIGPIPE, SIG_IGN); /* OpenSSL's sockets write() */
	w->key = EVP_EC_gen("P-256");
	w->ca = world_cert(w->key, &(struct cert_wish){.ca = true});
	pem = world_pem(w->ca);
	w->tls.loop = loop_new();
	w->tls.sink = (struct sink){on_event, w};
	w->tls.secrets = secrets_new();
	assert_int_equal(secrets_seal(w->tls.secrets), 0);
	assert_int_equal(ca_make(&w->tls.ca, NULL), 0);
	assert_int_equal(upstreams_new(pem, NULL, 0,
	                               no_verify ? no_verify : &none,
	                               &w->tls.upstreams, NULL),
	                 0);
	w->client_ctx = client_ctx(ca_pem(w->tls.ca));
	free(pem);
}

void world_close(struct world *w)
{
	flow_end_all(&w->tls);
	assert_int_equal(w->tls.nflows, 0);
	assert_int_equal(w->tls.nhandshakes, 0);
	assert_null(w->tls.again);
	assert_null(w->tls.waiting);
	secrets_unref(w->tls.secrets);
	ca_free(w->tls.ca);
	upstreams_free(w->tls.upstreams);
	loop_free(w->tls.loop);
	SSL_CTX_free(w->client_ctx);
	X509_free(w->ca);
	EVP_PKEY_free(w->key);
}

SSL_CTX *world_server_ctx(struct world *w, const char *name, X509 *cert)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	struct cert_wish wish = {.name = name, .issuer = w->ca, .key = w->key};
	X509 *x = cert ? cert : world_cert(w->key, &wish);

	assert_true(SSL_CTX_use_certificate(ctx, x));
	assert_true(SSL_CTX_use_PrivateKey(ctx, w->key));
	if (!cert)
		X509_free(x);
	return ctx;
}

struct tlslink_flow world_message(struct world *w, const char *name)
{
	struct tlslink_flow m = {.type = TLSLINK_FLOW,
	                         .kind = TLSLINK_TLS,
	                         .pinned = 1,
	                         .port = 443,
	                         .id = w->next_id++};
	const uint8_t peer[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1};

	memcpy(m.peer, peer, sizeof(peer));
	(void)snprintf(m.name, sizeof(m.name), "%s", name);
	return m;
}

static void peer_init(struct peer *p, int fd)
{
	*p = (struct peer){
		.fd = fd, .in = BUF_INIT, .out = BUF_INIT, .alert = -1};
}

int world_flow(struct world *w, struct tlslink_flow *m, struct peer *guest,
               struct peer *server)
{
	int g[2], s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, g),
	                 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s),
	                 0);
	peer_init(guest, g[0]);
	peer_init(server, s[0]);
	return flow_start(&w->tls, m, g[1], s[1]);
}

/* ---- peers --------------------------------------------------------------- */

static void on_info(const SSL *ssl, int where, int r)
{
	struct peer *p = SSL_get_app_data(ssl);

	if (where == SSL_CB_READ_ALERT && (r & 0xff) != SSL_AD_CLOSE_NOTIFY)
		p->alert = r & 0xff;
}

static void peer_ssl(struct peer *p, SSL_CTX *ctx)
{
	p->ssl = SSL_new(ctx);
	SSL_set_fd(p->ssl, p->fd);
	SSL_set_app_data(p->ssl, p);
	SSL_set_info_callback(p->ssl, on_info);
	SSL_set_mode(p->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
	                             SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

void peer_client(struct peer *p, struct world *w, const char *sni,
                 const char *alpn)
{
	peer_ssl(p, w->client_ctx);
	SSL_set_connect_state(p->ssl);
	if (sni)
		SSL_set_tlsext_host_name(p->ssl, sni);
	if (alpn)
		SSL_set_alpn_protos(p->ssl, (const unsigned char *)alpn,
		                    (unsigned)strlen(alpn));
}

void peer_server(struct peer *p, SSL_CTX *ctx)
{
	peer_ssl(p, ctx);
	SSL_set_accept_state(p->ssl);
}

/* @r failed: is the peer still there? */
static void peer_result(struct peer *p, int r)
{
	int why = SSL_get_error(p->ssl, r);

	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ||
	    p->end != PEER_OPEN)
		return;
	if (why == SSL_ERROR_ZERO_RETURN)
		p->end = PEER_NOTIFY;
	else if (why == SSL_ERROR_SSL &&
	         ERR_GET_REASON(ERR_peek_error()) ==
	                 SSL_R_UNEXPECTED_EOF_WHILE_READING)
		p->end = PEER_FIN;
	else
		p->end = PEER_BROKEN;
}

static ssize_t peer_write(struct peer *p, const void *data, size_t len)
{
	int r;

	if (!p->ssl)
		return send(p->fd, data, len, MSG_NOSIGNAL);
	ERR_clear_error();
	r = SSL_write(p->ssl, data, (int)len);
	if (r <= 0)
		peer_result(p, r);
	return r;
}

static ssize_t peer_read(struct peer *p, void *data, size_t len)
{
	ssize_t n;

	if (p->ssl) {
		ERR_clear_error();
		n = SSL_read(p->ssl, data, (int)len);
		if (n <= 0)
			peer_result(p, (int)n);
		return n;
	}
	n = recv(p->fd, data, len, 0);
	if (n == 0)
		p->end = PEER_FIN;
	if (n < 0 && errno != EAGAIN)
		p->end = PEER_BROKEN;
	return n;
}

static void peer_end_ours(struct peer *p)
{
	if (!p->shut || p->told || p->out.len)
		return;
	p->told = true;
	if (p->ssl && !p->cut)
		(void)SSL_shutdown(p->ssl);
	(void)shutdown(p->fd, SHUT_WR);
}

static bool peer_handshake(struct peer *p)
{
	int r;

	if (!p->ssl || p->secure)
		return true;
	ERR_clear_error();
	r = SSL_do_handshake(p->ssl);
	p->secure = r == 1;
	if (!p->secure)
		peer_result(p, r);
	return p->secure;
}

void peer_step(struct peer *p)
{
	uint8_t data[16384];
	size_t left = p->chunk ? p->chunk : SIZE_MAX, sent = 0;

	if (p->fd < 0 || p->end == PEER_BROKEN || !peer_handshake(p))
		return;
	while (sent < p->out.len && sent < left) {
		ssize_t n = peer_write(p, p->out.data + sent,
		                       MIN(p->out.len, left) - sent);

		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	buf_consume(&p->out, sent);
	peer_end_ours(p);
	for (size_t got = 0; !p->deaf && p->end == PEER_OPEN && got < left;) {
		ssize_t n = peer_read(p, data, MIN(sizeof(data), left - got));

		if (n <= 0)
			break;
		got += (size_t)n;
		p->total_in += (size_t)n;
		if (!p->drop)
			assert_int_equal(buf_add(&p->in, data, (size_t)n), 0);
	}
}

void peer_close(struct peer *p)
{
	SSL_free(p->ssl);
	p->ssl = NULL;
	buf_release(&p->in);
	buf_release(&p->out);
	if (p->fd >= 0)
		(void)close(p->fd);
	p->fd = -1;
}
