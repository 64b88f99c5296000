#include "image/host_cas.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/num.h"

#include "base/banned.h"

const char *host_cas_path(void)
{
	static const char *const places[] = {
		"/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine, Arch */
		"/etc/pki/tls/certs/ca-bundle.crt",   /* Red Hat */
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
		"/etc/ssl/ca-bundle.pem", /* SUSE */
		"/etc/ssl/cert.pem",      /* LibreSSL's */
	};
	const char *set = getenv("SSL_CERT_FILE");

	if (set && *set)
		return set;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (access(places[i], R_OK) == 0)
			return places[i];
	return NULL;
}
