#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/num.h"
#include "tls/upstream.h"

#include "base/banned.h"

enum hint { HINT_NONE, HINT_CA, HINT_CHECK, HINT_BYPASS };

static void hint_set(struct err *err, enum hint h, const char *name)
{
	if (h == HINT_CA)
		err_hint(err,
		         "--tls-upstream-ca-cert FILE or "
		         "--tls-upstream-ca-cert-for %s=FILE trusts its "
		         "authority; --tls-no-verify-upstream-for %s lets it "
		         "pass without secrets",
		         name, name);
	else if (h == HINT_CHECK)
		err_hint(err,
		         "--tls-no-verify-upstream-for %s lets it pass "
		         "without secrets",
		         name);
	else if (h == HINT_BYPASS)
		err_hint(err, "--tls-bypass %s lets it pass without secrets",
		         name);
}

/* Why a certificate was not accepted; "its certificate ...". */
static const struct {
	int code, alert;
	enum hint hint;
	const char *why;
} certificate[] = {
	{X509_V_ERR_CERT_HAS_EXPIRED,                  SSL_AD_CERTIFICATE_EXPIRED,     HINT_CHECK,
         "has expired (or one above it)"														    },
	{X509_V_ERR_CERT_NOT_YET_VALID,                SSL_AD_BAD_CERTIFICATE,         HINT_CHECK,
         "is not valid yet, or this host's clock is wrong"												  },
	{X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,       SSL_AD_UNKNOWN_CA,              HINT_CA,
         "is self-signed"																   },
	{X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,         SSL_AD_UNKNOWN_CA,              HINT_CA,
         "is signed by an authority that this host does not trust"											  },
	{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, SSL_AD_UNKNOWN_CA,
         HINT_CA,										   "is signed by an authority that this host does not know"},
	{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,         SSL_AD_UNKNOWN_CA,              HINT_CA,
         "is signed by an authority that this host does not know"											   },
	{X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,   SSL_AD_UNKNOWN_CA,              HINT_CA,
         "is signed by an authority that the server does not show"											  },
	{X509_V_ERR_CERT_UNTRUSTED,                    SSL_AD_UNKNOWN_CA,              HINT_CA,
         "is signed by an authority that this host does not trust"											  },
	{X509_V_ERR_HOSTNAME_MISMATCH,                 SSL_AD_BAD_CERTIFICATE,         HINT_CHECK,
         "is for other names"															       },
	{X509_V_ERR_IP_ADDRESS_MISMATCH,               SSL_AD_BAD_CERTIFICATE,         HINT_CHECK,
         "is not for this address"															  },
	{X509_V_ERR_CERT_REVOKED,                      SSL_AD_CERTIFICATE_REVOKED,     HINT_BYPASS,
         "was revoked"																      },
	{X509_V_ERR_INVALID_PURPOSE,                   SSL_AD_UNSUPPORTED_CERTIFICATE, HINT_CHECK,
         "is not one for servers"															   },
	{X509_V_ERR_INVALID_CA,                        SSL_AD_UNKNOWN_CA,              HINT_CHECK,
         "is signed by one that is no authority"													    },
	{X509_V_ERR_CERT_SIGNATURE_FAILURE,            SSL_AD_DECRYPT_ERROR,           HINT_BYPASS,
         "has a signature that is wrong"														    },
	{X509_V_ERR_EE_KEY_TOO_SMALL,                  SSL_AD_BAD_CERTIFICATE,         HINT_BYPASS,
         "has a key that is too short"														      },
	{X509_V_ERR_CA_KEY_TOO_SMALL,                  SSL_AD_BAD_CERTIFICATE,         HINT_BYPASS,
         "is signed with a key that is too short"													   },
	{X509_V_ERR_CA_MD_TOO_WEAK,                    SSL_AD_BAD_CERTIFICATE,         HINT_BYPASS,
         "is signed with a digest that is too weak"													 },
};

/* What OpenSSL says of the handshake; "the server ...". */
static const struct {
	int reason, alert;
	enum hint hint;
	const char *why;
} handshake[] = {
	{SSL_R_WRONG_VERSION_NUMBER,                 SSL_AD_PROTOCOL_VERSION,      HINT_BYPASS,
         "does not answer in TLS"													 },
	{SSL_R_HTTP_REQUEST,                         SSL_AD_PROTOCOL_VERSION,      HINT_BYPASS,
         "does not answer in TLS"													 },
	{SSL_R_PACKET_LENGTH_TOO_LONG,               SSL_AD_RECORD_OVERFLOW,       HINT_BYPASS,
         "does not answer in TLS"													 },
	{SSL_R_UNSUPPORTED_PROTOCOL,                 SSL_AD_PROTOCOL_VERSION,      HINT_BYPASS,
         "has no TLS 1.2 or later"													},
	{SSL_R_VERSION_TOO_LOW,                      SSL_AD_PROTOCOL_VERSION,      HINT_BYPASS,
         "has no TLS 1.2 or later"													},
	{SSL_R_TLSV1_ALERT_PROTOCOL_VERSION,         SSL_AD_PROTOCOL_VERSION,
         HINT_BYPASS,									   "has no TLS 1.2 or later"                 },
	{SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED, SSL_AD_HANDSHAKE_FAILURE,
         HINT_BYPASS,									   "has no secure renegotiation"             },
	{SSL_R_DH_KEY_TOO_SMALL,                     SSL_AD_INSUFFICIENT_SECURITY, HINT_BYPASS,
         "has a key exchange that is too weak"											    },
	{SSL_R_TLSV1_UNRECOGNIZED_NAME,              SSL_AD_UNRECOGNIZED_NAME,     HINT_NONE,
         "does not know this name"													},
	{SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE,        SSL_AD_HANDSHAKE_FAILURE,
         HINT_BYPASS,									   "refused the handshake: nothing in common"},
};

/* Alerts by which a server says that it misses the client's certificate. */
static bool wants_certificate(const SSL *ssl, int alert)
{
	static const int alerts[] = {SSL_AD_HANDSHAKE_FAILURE,
	                             SSL_AD_BAD_CERTIFICATE,
	                             SSL_AD_UNSUPPORTED_CERTIFICATE,
	                             SSL_AD_CERTIFICATE_UNKNOWN,
	                             SSL_AD_UNKNOWN_CA,
	                             SSL_AD_ACCESS_DENIED};

	if (alert == SSL_AD_CERTIFICATE_REQUIRED)
		return true;
	if (!SSL_get_app_data(ssl))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(alerts); i++)
		if (alerts[i] == alert)
			return true;
	return false;
}

static int say(struct err *err, const char *name, int alert, enum hint h,
               const char *what, const char *why)
{
	(void)err_set(err, -EPROTO, "%s: %s %s", name, what, why);
	hint_set(err, h, name);
	return alert;
}

static int why_certificate(long code, const char *name, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(certificate); i++)
		if (certificate[i].code == code)
			return say(err, name, certificate[i].alert,
			           certificate[i].hint,
			           "the server's certificate",
			           certificate[i].why);
	return say(err, name, SSL_AD_BAD_CERTIFICATE, HINT_CHECK,
	           "the server's certificate was not accepted:",
	           X509_verify_cert_error_string(code));
}

static int why_handshake(const SSL *ssl, const char *name, struct err *err)
{
	unsigned long e = ERR_peek_error();
	int reason = ERR_GET_REASON(e);
	int alert = reason - SSL_AD_REASON_OFFSET;
	const char *text = ERR_reason_error_string(e);

	if (ERR_GET_LIB(e) != ERR_LIB_SSL)
		reason = alert = -1;
	if (alert > 0 && wants_certificate(ssl, alert))
		return say(err, name, alert, HINT_BYPASS, "the server",
		           "wants a client certificate, which cannot be shown "
		           "for the sandbox");
	for (size_t i = 0; i < ARRAY_SIZE(handshake); i++)
		if (handshake[i].reason == reason)
			return say(err, name, handshake[i].alert,
			           handshake[i].hint, "the server",
			           handshake[i].why);
	if (alert > 0 && alert < 256)
		return say(err, name, alert, HINT_BYPASS,
		           "the server refused the handshake:",
		           SSL_alert_desc_string_long(alert));
	return say(err, name, SSL_AD_HANDSHAKE_FAILURE, HINT_BYPASS,
	           "the handshake with the server failed:",
	           text ? text : "unknown reason");
}

int upstream_failure(const SSL *ssl, int ssl_error, struct err *err)
{
	const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	char *ip = NULL;
	const char *name = sni;
	long code = SSL_get_verify_result(ssl);
	int alert;

	if (!name)
		name = ip = X509_VERIFY_PARAM_get1_ip_asc(
			SSL_get0_param((SSL *)(uintptr_t)ssl));
	if (!name)
		name = "the server";
	if ((SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) && code != X509_V_OK)
		alert = why_certificate(code, name, err);
	else if (ssl_error == SSL_ERROR_SSL)
		alert = why_handshake(ssl, name, err);
	else
		alert = say(err, name, SSL_AD_INTERNAL_ERROR, HINT_BYPASS,
		            "the server",
		            SSL_is_init_finished(ssl)
		                    ? "closed the connection"
		                    : "closed the connection in the middle of "
		                      "the handshake");
	OPENSSL_free(ip);
	return alert;
}
