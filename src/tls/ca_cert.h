/* ca_cert.h - certificates are put together here; ca.c keeps them. */
#ifndef TLS_CA_CERT_H
#define TLS_CA_CERT_H

#include <openssl/x509.h>

/* A self-signed authority for @key. NULL: no memory. */
X509 *ca_cert_root(EVP_PKEY *key);

/*
 * @issuer's certificate for @name with the public key @key, valid until
 * *@ret_end (since 1970), which is never behind the issuer's own end. NULL: no
 * memory, or @name cannot be in a certificate.
 */
X509 *ca_cert_leaf(X509 *issuer, EVP_PKEY *issuer_key, EVP_PKEY *key,
                   const char *name, time_t *ret_end);

#endif
