/*
 * describe_secret.h - a sandbox's secrets and TLS interception as msb inspect
 * shows them: names, hosts and what may be done, neither value nor placeholder.
 */
#ifndef FORMS_DESCRIBE_SECRET_H
#define FORMS_DESCRIBE_SECRET_H

#include "base/json.h"
#include "base/strv.h"
#include "microsandbox.h"

/* Lines "NAME\tVALUE". */
int describe_secrets(const struct msb_sandbox_info *i, struct strv *ret);

/* A list, and an object or null when nothing is intercepted. */
json_t *describe_secrets_json(const struct msb_sandbox_info *i);
json_t *describe_tls_json(const struct msb_sandbox_info *i);

#endif
