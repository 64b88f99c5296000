#include "tls/ca_cert.h"

#include <arpa/inet.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/num.h"
#include "tls/ca.h"

#include "base/banned.h"

#define SERIAL_LEN 16
#define CN_MAX     64 /* ub-common-name of RFC 5280 */

/* 126 random bits: positive, and never shorter, as DER has it. */
static int set_serial(X509 *x)
{
	unsigned char raw[SERIAL_LEN];
	BIGNUM *n;
	int ok;

	if (RAND_bytes(raw, sizeof(raw)) != 1)
		return 0;
	raw[0] = (unsigned char)((raw[0] & 0x3f) | 0x40);
	n = BN_bin2bn(raw, sizeof(raw), NULL);
	ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
	BN_free(n);
	return ok;
}

static int add_ext(X509 *x, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
	int ok = e && X509_add_ext(x, e, -1);

	X509_EXTENSION_free(e);
	return ok;
}

static int add_name(X509_NAME *n, const char *field, const char *text)
{
	return X509_NAME_add_entry_by_txt(
		n, field, MBSTRING_ASC, (const unsigned char *)text, -1, -1, 0);
}

/* Version, serial, times and key; what all have. */
static int begin(X509 *x, EVP_PKEY *key, time_t from, time_t to)
{
	return X509_set_version(x, X509_VERSION_3) && set_serial(x) &&
	       ASN1_TIME_set(X509_getm_notBefore(x), from) &&
	       ASN1_TIME_set(X509_getm_notAfter(x), to) &&
	       X509_set_pubkey(x, key);
}

static int sign(X509 *x, EVP_PKEY *key)
{
	char digest[32] = "";
	int r = EVP_PKEY_get_default_digest_name(key, digest, sizeof(digest));

	/* 2: this one and no other; Ed25519 says UNDEF, it has its own. */
	if (r == 2 && strcmp(digest, "UNDEF") == 0)
		return X509_sign(x, key, NULL);
	return X509_sign(x, key, EVP_sha256());
}

static time_t now_s(void)
{
	return (time_t)(clock_unix_ns() / NS_PER_S);
}

static int fill_root(X509 *x, EVP_PKEY *key)
{
	time_t now = now_s();
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	return begin(x, key, now - CA_BACK_S, now + CA_S) &&
	       add_name(X509_get_subject_name(x), "CN", "microsandbox CA") &&
	       X509_set_issuer_name(x, X509_get_subject_name(x)) &&
	       add_ext(x, &ctx, NID_basic_constraints,
	               "critical,CA:TRUE,pathlen:0") &&
	       add_ext(x, &ctx, NID_key_usage,
	               "critical,keyCertSign,cRLSign") &&
	       add_ext(x, &ctx, NID_subject_key_identifier, "hash") &&
	       sign(x, key);
}

X509 *ca_cert_root(EVP_PKEY *key)
{
	X509 *x = X509_new();

	if (x && fill_root(x, key))
		return x;
	X509_free(x);
	return NULL;
}

/* By hand, not by OpenSSL's text form: a name is never parsed as one. */
static GENERAL_NAME *general_name(const char *name)
{
	unsigned char ip[16];
	int len = inet_pton(AF_INET, name, ip) == 1    ? 4
	          : inet_pton(AF_INET6, name, ip) == 1 ? 16
	                                               : 0;
	GENERAL_NAME *g = GENERAL_NAME_new();
	ASN1_STRING *s = ASN1_STRING_type_new(len ? V_ASN1_OCTET_STRING
	                                          : V_ASN1_IA5STRING);

	if (!g || !s ||
	    !ASN1_STRING_set(s, len ? (const void *)ip : name,
	                     len ? len : (int)strlen(name))) {
		GENERAL_NAME_free(g);
		ASN1_STRING_free(s);
		return NULL;
	}
	GENERAL_NAME_set0_value(g, len ? GEN_IPADD : GEN_DNS, s);
	return g;
}

static int add_san(X509 *x, const char *name)
{
	GENERAL_NAMES *all = GENERAL_NAMES_new();
	GENERAL_NAME *g = general_name(name);
	int ok = 0;

	if (all && g && sk_GENERAL_NAME_push(all, g)) {
		g = NULL;
		ok = X509_add1_ext_i2d(x, NID_subject_alt_name, all, 0,
		                       X509V3_ADD_DEFAULT);
	}
	GENERAL_NAME_free(g);
	GENERAL_NAMES_free(all);
	return ok == 1;
}

/* A subject that is never empty; names are in SAN, CN is for people. */
static int set_subject(X509 *x, const char *name)
{
	X509_NAME *n = X509_get_subject_name(x);

	return add_name(n, "O", "microsandbox") &&
	       (strlen(name) > CN_MAX || add_name(n, "CN", name));
}

static int fill_leaf(X509 *x, X509 *issuer, EVP_PKEY *key, const char *name,
                     time_t from, time_t to)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	return begin(x, key, from, to) && set_subject(x, name) &&
	       X509_set_issuer_name(x, X509_get_subject_name(issuer)) &&
	       add_ext(x, &ctx, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_ext(x, &ctx, NID_key_usage, "critical,digitalSignature") &&
	       add_ext(x, &ctx, NID_ext_key_usage, "serverAuth") &&
	       add_ext(x, &ctx, NID_subject_key_identifier, "hash") &&
	       (!X509_get0_subject_key_id(issuer) ||
	        add_ext(x, &ctx, NID_authority_key_identifier, "keyid")) &&
	       add_san(x, name);
}

static time_t end_of(const X509 *x)
{
	struct tm tm;

	if (!ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm))
		return 0;
	return timegm(&tm);
}

/* '*' would be a wildcard, and anything odd somebody's parser bug. */
static bool fits(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > 253)
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz"
	                    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                    "0123456789.-_:") == len;
}

X509 *ca_cert_leaf(X509 *issuer, EVP_PKEY *issuer_key, EVP_PKEY *key,
                   const char *name, time_t *ret_end)
{
	time_t now = now_s(), end = MIN(now + CA_LEAF_S, end_of(issuer));
	X509 *x;

	if (!fits(name))
		return NULL;
	x = X509_new();
	if (!x || !fill_leaf(x, issuer, key, name, now - CA_BACK_S, end) ||
	    !sign(x, issuer_key)) {
		X509_free(x);
		return NULL;
	}
	*ret_end = end;
	return x;
}
