/*
 * Theory
 *
 * The guest's ClientHello says whom it wants (SNI) and what it would speak
 * (ALPN). It is read by OpenSSL, whose callback then stops the guest's
 * handshake; the server's comes first, with the same name and ALPN, so that the
 * guest is told no protocol that the server does not speak, and gets the alert
 * that a failure deserves instead of a connection that says nothing.
 *
 * Encrypted ClientHello: whether the extension holds a real inner ClientHello
 * or random bytes (GREASE, which Chrome and others always send) cannot be told
 * apart, by design. So we answer as any server that does not know it: for the
 * outer name. That is the name by which the flow was chosen, for which the
 * server's certificate is checked, and for which values are put in. A client
 * that did mean an inner name sees that it was not accepted, by the rules of
 * ECH, closes, and comes again without it. The inner name is never reached by a
 * value that is for the outer one: the server's handshake is a new one, without
 * the extension.
 */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "policy/policy.h"
#include "tls/flow.h"

#include "base/banned.h"

/* ---- the ClientHello ----------------------------------------------------- */

/*
 * The one host name of the extension. 0, -ENOENT: none, -EINVAL: more than
 * one, or what cannot be a name.
 */
static int sni_of(SSL *ssl, char ret[POLICY_NAME_MAX + 1])
{
	char text[POLICY_NAME_MAX + 2];
	const unsigned char *d;
	size_t len, n;

	if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &d, &len))
		return -ENOENT;
	/* u16 of all, u8 type, u16 of the name */
	if (len < 5 || get_be16(d) != len - 2 || d[2] != 0)
		return -EINVAL;
	n = get_be16(d + 3);
	if (n != len - 5 || n == 0 || n > POLICY_NAME_MAX + 1 ||
	    memchr(d + 5, '\0', n))
		return -EINVAL;
	memcpy(text, d + 5, n);
	text[n] = '\0';
	return policy_name(text, ret);
}

/* Is this the name that the flow was handed over for? Says why not. */
static bool named_right(struct tls_flow *f, SSL *ssl)
{
	char sni[POLICY_NAME_MAX + 1] = "";
	struct addr a;
	int r = sni_of(ssl, sni);

	if (r == -EINVAL) {
		flow_refused(f, "%s: the TLS handshake names no valid host",
		             flow_who(f));
		return false;
	}
	/* Some clients name addresses, which a name's place cannot hold. */
	if (r == 0 && addr_parse(sni, &a) == 0)
		sni[0] = '\0';
	if (strcmp(sni, f->gate.name) == 0)
		return true;
	if (!sni[0])
		flow_refused(f,
		             "%s: the client's TLS handshake names nobody (no "
		             "SNI), so it cannot be answered; --tls-bypass %s "
		             "lets it pass without secrets",
		             flow_who(f), flow_who(f));
	else
		flow_refused(f,
		             "%s: the client's TLS handshake names another "
		             "host, %s",
		             flow_who(f), sni);
	return false;
}

static bool is_http(const unsigned char *proto, size_t len)
{
	return (len == 2 && memcmp(proto, "h2", 2) == 0) ||
	       (len == 8 && memcmp(proto, "http/1.1", 8) == 0);
}

/*
 * What we can relay with understanding, in the guest's order; when there is
 * nothing of that, all: then it is passed on as it is. False: no memory.
 */
static bool make_offer(struct tls_flow *f, SSL *ssl)
{
	const unsigned char *d;
	size_t len, n = 0;

	if (!SSL_client_hello_get0_ext(
		    ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &d,
		    &len) ||
	    len < 3 || get_be16(d) != len - 2)
		return true; /* broken: OpenSSL will say so */
	d += 2;
	len -= 2;
	f->offer = malloc(len);
	if (!f->offer)
		return false;
	for (size_t i = 0; i < len && d[i] < len - i; i += 1u + d[i]) {
		if (!is_http(d + i + 1, d[i]))
			continue;
		memcpy(f->offer + n, d + i, 1u + d[i]);
		n += 1u + d[i];
	}
	if (n == 0) {
		memcpy(f->offer, d, len);
		n = len;
	}
	f->offer_len = n;
	return true;
}

static int refuse(struct tls_flow *f, int alert)
{
	f->hello = HELLO_REFUSE;
	f->alert = alert;
	return SSL_CLIENT_HELLO_ERROR;
}

static int on_hello(void *arg, SSL *ssl, int *alert)
{
	struct tls_flow *f = arg;
	int r = SSL_CLIENT_HELLO_SUCCESS;

	/* A second one, after HelloRetryRequest, must not say otherwise. */
	if (f->hello != HELLO_REFUSE && !named_right(f, ssl))
		r = refuse(f, SSL_AD_UNRECOGNIZED_NAME);
	if (f->hello == HELLO_NEW) {
		f->hello = HELLO_HELD;
		r = make_offer(f, ssl) ? SSL_CLIENT_HELLO_RETRY
		                       : refuse(f, SSL_AD_INTERNAL_ERROR);
	} else if (f->hello == HELLO_HELD) {
		r = SSL_CLIENT_HELLO_RETRY;
	} else if (f->hello == HELLO_REFUSE) {
		r = SSL_CLIENT_HELLO_ERROR;
	}
	if (r == SSL_CLIENT_HELLO_ERROR)
		*alert = f->alert;
	return r;
}

int flow_hello_begin(struct tls_flow *f)
{
	SSL *ssl;

	f->guest.hello = on_hello;
	f->guest.arg = f;
	ssl = ca_ssl(f->tls->ca, &f->guest);
	return end_secure(&f->end[SIDE_GUEST], ssl);
}

/* ---- the guest's failures ------------------------------------------------ */

/* Alerts by which a client says that it does not like the certificate. */
static bool is_distrust(int alert)
{
	static const int alerts[] = {
		SSL_AD_BAD_CERTIFICATE,     SSL_AD_UNSUPPORTED_CERTIFICATE,
		SSL_AD_CERTIFICATE_REVOKED, SSL_AD_CERTIFICATE_EXPIRED,
		SSL_AD_CERTIFICATE_UNKNOWN, SSL_AD_UNKNOWN_CA,
		SSL_AD_ACCESS_DENIED,
	};

	for (size_t i = 0; i < ARRAY_SIZE(alerts); i++)
		if (alerts[i] == alert)
			return true;
	return false;
}

/* @r of end_handshake() or end_read(), right after it. */
void flow_guest_failed(struct tls_flow *f, int r)
{
	unsigned long e = ERR_peek_error();
	int alert = ERR_GET_REASON(e) - SSL_AD_REASON_OFFSET;
	const char *why = ERR_reason_error_string(e);

	if (r != -EPROTO) {
		/* Gone in silence, once it has seen our certificate. */
		if (f->hello == HELLO_ANSWER && f->state == FLOW_GUEST)
			flow_distrusted(f, "it closed the connection when it "
			                   "saw the certificate");
	} else if (ERR_GET_LIB(e) == ERR_LIB_SSL && is_distrust(alert)) {
		flow_distrusted(f, SSL_alert_desc_string_long(alert));
	} else {
		flow_refused(f,
		             "%s: TLS with the client in the sandbox failed: "
		             "%s",
		             flow_who(f), why ? why : "unknown reason");
	}
}

/* The alert is on its way, or was not even possible. */
static int guest_over(struct tls_flow *f, int r)
{
	if (f->hello != HELLO_REFUSE)
		flow_guest_failed(f, r);
	if (r == -EPROTO)
		return flow_close(f, false);
	return FLOW_DONE;
}

/* ---- steps --------------------------------------------------------------- */

static int server_begin(struct tls_flow *f)
{
	struct err err = {0};
	SSL *ssl = upstream_ssl(f->tls->upstreams, f->gate.name, f->ip,
	                        f->offer, f->offer_len, &err);

	if (!ssl) {
		flow_refused(f, "%s", err.msg);
		return -ENOMEM;
	}
	return end_secure(&f->end[SIDE_SERVER], ssl);
}

int flow_step_hello(struct tls_flow *f)
{
	int r = end_handshake(&f->end[SIDE_GUEST]);

	if (r == -EAGAIN)
		return FLOW_WAIT;
	if (r != -EINPROGRESS)
		return guest_over(f, r);
	r = server_begin(f);
	if (r < 0)
		return r;
	f->state = FLOW_SERVER;
	return FLOW_NEXT;
}

static int refuse_guest(struct tls_flow *f, int alert)
{
	(void)refuse(f, alert);
	f->state = FLOW_GUEST;
	return FLOW_NEXT;
}

void flow_hello_late(struct tls_flow *f)
{
	flow_refused(f,
	             "%s: the server did not finish its TLS handshake in time",
	             flow_who(f));
	f->deadline_ns = clock_now_ns() + FLOW_CLOSING_NS;
	(void)refuse_guest(f, SSL_AD_INTERNAL_ERROR);
}

/* As upstream_failure() has it, then the option that helps. */
static int tell_failure(struct tls_flow *f, int r)
{
	struct err err = {0};
	int alert = upstream_failure(
		f->end[SIDE_SERVER].ssl,
		r == -EPROTO ? SSL_ERROR_SSL : SSL_ERROR_SYSCALL, &err);

	flow_refused(f, err.hint[0] ? "%s; %s" : "%s", err.msg, err.hint);
	return alert;
}

void flow_server_failed(struct tls_flow *f, int r)
{
	(void)tell_failure(f, r);
}

int flow_step_server(struct tls_flow *f)
{
	struct end *server = &f->end[SIDE_SERVER];
	const unsigned char *alpn;
	unsigned len;
	int r;

	if (f->end[SIDE_GUEST].gone)
		return FLOW_DONE;
	r = end_handshake(server);
	if (r == -EAGAIN)
		return FLOW_WAIT;
	if (r < 0)
		return refuse_guest(f, tell_failure(f, r));
	SSL_get0_alpn_selected(server->ssl, &alpn, &len);
	if (len > 0)
		memcpy(f->guest.alpn, alpn, len);
	f->guest.alpn_len = len;
	f->gate.verified = upstream_verified(server->ssl);
	r = ca_answer(f->tls->ca, f->end[SIDE_GUEST].ssl, flow_who(f));
	if (r < 0)
		return refuse_guest(f, SSL_AD_INTERNAL_ERROR);
	f->hello = HELLO_ANSWER;
	f->state = FLOW_GUEST;
	return FLOW_NEXT;
}

static struct secrets *secrets_now(void *arg)
{
	return ((struct tls *)arg)->secrets;
}

static struct relay *relay_for(struct tls_flow *f)
{
	const unsigned char *alpn = f->guest.alpn;
	struct relay_env env = {.gate = &f->gate,
	                        .secrets = secrets_now,
	                        .secrets_arg = f->tls,
	                        .sink = &f->tls->sink};

	if (f->guest.alpn_len == 0)
		return guess_new(&env);
	if (!is_http(alpn, f->guest.alpn_len))
		return opaque_new(&env);
	return f->guest.alpn_len == 2 ? http2_new(&env) : http1_new(&env);
}

int flow_step_guest(struct tls_flow *f)
{
	int r = end_handshake(&f->end[SIDE_GUEST]);

	if (r == -EAGAIN)
		return FLOW_WAIT;
	if (r < 0)
		return guest_over(f, r);
	f->gate.tls = true;
	return flow_relay(f, relay_for(f));
}
