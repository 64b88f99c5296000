/*
 * secrets.h - the part of microsandbox.h about secrets and TLS interception.
 * Programs include <microsandbox.h>, which includes this. docs/secrets.md says
 * what is promised, and what is not.
 *
 * The guest sees a placeholder in the variable. The value is put in by a helper
 * process of the host, inside TLS, on the way to hosts that are allowed for it.
 */
#ifndef MICROSANDBOX_SECRETS_H
#define MICROSANDBOX_SECRETS_H

#ifndef MICROSANDBOX_H
#error "include <microsandbox.h>"
#endif

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MSB_SECRETS_MAX      64
#define MSB_SECRET_VALUE_MAX 65536
#define MSB_PLACEHOLDER_MIN  4
#define MSB_PLACEHOLDER_MAX  1024

enum msb_secret_flags {
	/* Where a placeholder may stand; none of the four: HEADERS and BASIC.
	 */
	MSB_SECRET_HEADERS = 1,
	MSB_SECRET_BASIC = 2, /* Authorization: Basic, decoded */
	MSB_SECRET_QUERY = 4,
	MSB_SECRET_BODY = 8,
	/* The value in an answer becomes the placeholder again. */
	MSB_SECRET_MASK = 16,
};

/* What happens when a placeholder goes where it must not. */
enum msb_violation {
	MSB_VIOLATION_DEFAULT = 0, /* BLOCK_LOG, or what the sandbox says */
	MSB_VIOLATION_BLOCK = 1,
	MSB_VIOLATION_BLOCK_LOG = 2,
	MSB_VIOLATION_BLOCK_TERMINATE = 3,
	MSB_VIOLATION_PASS = 4, /* the placeholder goes there */
};

/* Lists end with NULL and may be NULL, but for hosts. */
struct msb_secret {
	size_t size;
	const char *env; /* the guest's variable */
	/*
	 * NULL: this process's variable @source, else @env, at each start.
	 * Else the bytes; never kept: who starts the sandbox again gives them
	 * again, in msb_start_opts, or by the variable.
	 */
	const char *value;
	const char *source;       /* NULL: as @env */
	const char *placeholder;  /* NULL: MSB_ and 32 random hex digits */
	const char *const *hosts; /* NAME, *.NAME (and NAME itself), or * */
	uint32_t flags;           /* enum msb_secret_flags */
	int32_t violation;        /* enum msb_violation */
};
#define MSB_SECRET_INIT                                                        \
	{                                                                      \
		.size = sizeof(struct msb_secret)                              \
	}

enum msb_tls_flags {
	/* Every name, not only those that secrets are for. */
	MSB_TLS_INTERCEPT = 1,
	MSB_TLS_NO_BLOCK_QUIC = 2,
};

/* NULL as a whole: what secrets need. */
struct msb_tls {
	size_t size;
	uint32_t flags;
	int32_t violation;            /* of secrets that do not say */
	const char *const *ports;     /* NULL: 443 */
	const char *const *bypass;    /* NAME, *.NAME: never intercepted */
	const char *ca_cert, *ca_key; /* PEM files; NULL: made at each start */
	const char *const *upstream_cas;     /* PEM files, for all names */
	const char *const *upstream_cas_for; /* PATTERN=FILE */
	const char *const *no_verify_for;    /* PATTERN; no value goes there */
};
#define MSB_TLS_INIT                                                           \
	{                                                                      \
		.size = sizeof(struct msb_tls)                                 \
	}

#ifdef __cplusplus
}
#endif

#endif
