/*
 * tls_request.h - what the library says to msb-tls (proto/tls_setup.h), and the
 * only memory of the library that has values: locked where the host allows it,
 * in no core file and no forked child, wiped when released.
 */
#ifndef LIB_TLS_REQUEST_H
#define LIB_TLS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "lib/secret.h"
#include "proto/tls_setup.h"

/* A CA's key, then secrets. */
#define TLS_VALUES_MAX (TLS_SECRETS_MAX + 1)

struct tls_values {
	struct {
		uint8_t *bytes; /* mapped, owned */
		size_t len;
	} v[TLS_VALUES_MAX];
	size_t n;
};

void tls_values_release(struct tls_values *values); /* zeroed is fine */

/* Appends what the PEM file @path has, which must be small and a file. */
int tls_values_read_file(struct tls_values *values, const char *path,
                         const char *what, struct err *err);

/*
 * Appends the value of each of @secrets: of the one in @given that has its
 * `env`, if that has a value, else of this process's variable. -EINVAL names
 * the variable that is missing, with a hint.
 */
int tls_values_take(struct tls_values *values,
                    const struct msb_secret *const *secrets,
                    const struct msb_secret *const *given, struct err *err);

/* A SECRET of the protocol. NULL: no memory. */
json_t *tls_request_secret(const struct msb_secret *s,
                           const struct msb_tls *tls, bool value);
/* The request with which msb-tls starts; -ENOENT, -EINVAL name a file. */
int tls_request_setup(const struct secret_list *secrets,
                      const struct msb_tls *tls, json_t **ret, struct err *err);

/*
 * Send it with @values, and read the answer: all in TLS_SETUP_TIMEOUT_MS. @fd
 * is made non-blocking. What msb-tls says is wrong becomes @err.
 */
int tls_request_send(int fd, const json_t *request,
                     const struct tls_values *values, char **ret_ca,
                     struct err *err);

#define cleanup_tls_values cleanup(tls_values_release)

#endif
