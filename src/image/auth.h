/*
 * auth.h - who we are for a registry: docker's config files and credential
 * helpers, and the challenges that a registry answers with.
 */
#ifndef IMAGE_AUTH_H
#define IMAGE_AUTH_H

#include "base/buf.h"
#include "base/err.h"

#define AUTH_HELPER_MS  30000
#define AUTH_HELPER_MAX 65536

struct credentials {
	char *user;
	char *secret;
	bool identity_token; /* @secret buys tokens, it is no password */
};

void credentials_release(struct credentials *c); /* zeroed is fine */

/*
 * Look in $DOCKER_CONFIG/config.json (or ~/.docker/config.json), then in
 * $XDG_RUNTIME_DIR/containers/auth.json. 1: found, 0: there are none. A file
 * or helper that does not work counts as none, for the registry may not want
 * any; @note then says what is wrong, for the case that it does.
 */
int auth_find(const char *host, const char *repo, struct credentials *ret,
              struct err *note);

/* "Basic ..." for an Authorization header. */
int auth_basic(const struct credentials *c, struct buf *b);

enum challenge_scheme { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
	enum challenge_scheme scheme;
	char realm[2048], service[512], scope[1024];
};

/*
 * @text: WWW-Authenticate values, one a line. The best that we understand:
 * Bearer with a realm, else Basic. False when there is none.
 */
bool auth_challenge(const char *text, struct challenge *ret);

/* realm?service=...&scope=..., escaped. */
int auth_token_url(const struct challenge *c, struct buf *b);

/* The form that buys a token with an identity token. */
int auth_token_form(const struct challenge *c, const struct credentials *cred,
                    struct buf *b);

/* "Bearer <token>" out of a token server's answer. */
int auth_token(const void *data, size_t len, struct buf *b,
               uint64_t *ret_expires_s, struct err *err);

#define cleanup_credentials cleanup(credentials_release)

#endif
