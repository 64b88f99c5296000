#ifndef MSB_IMAGE_HOST_CAS_H
#define MSB_IMAGE_HOST_CAS_H

/*
 * The PEM file with the certificates that this host trusts: the one that
 * SSL_CERT_FILE names (whether or not it can be read), else where its
 * distribution has it; NULL when it has none. A libcurl or OpenSSL that came
 * with us knows only its own distribution's place.
 */
const char *host_cas_path(void);

#endif
