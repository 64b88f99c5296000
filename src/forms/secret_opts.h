/*
 * secret_opts.h - secrets and TLS interception as people write them: options of
 * a command line, and the keys of a file (conf_secret.c), gathered in one
 * struct. Values are in none of it: only the names of variables.
 *
 *	--secret ENV[:OPTIONS]@HOST[,HOST...]
 *
 * OPTIONS are words with commas between: header, basic, query, body (where the
 * placeholder may stand; none of them: header and basic), mask,
 * placeholder=TEXT, violation=ACTION, from=VARIABLE.
 *
 * A --secret takes the place of the files' secret of the same name.
 */
#ifndef FORMS_SECRET_OPTS_H
#define FORMS_SECRET_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"
#include "microsandbox.h"

/* Values of the options below. */
struct secret_values {
	struct strv secrets, ports, bypass, cas, cas_for, no_verify;
	const char *ca_cert, *ca_key;
	int32_t violation; /* enum msb_violation */
	bool intercept, no_block_quic;
};

/* In the order of enum msb_violation; the first is "". */
extern const char *const secret_violation_choices[];

/* The rows; f(member) is its offset. Ends with a comma. */
#define SECRET_OPTS(f)                                                         \
	OPT_ROW(0, "secret", "ENV[:OPTIONS]@HOST[,HOST...]", OPT_LIST,         \
	        f(secrets),                                                    \
	        "Give the variable ENV a placeholder inside; its value, that " \
	        "of ENV here, is put in on the way to HOST alone, and never "  \
	        "gets inside; see above for OPTIONS (repeatable)"),            \
		OPT_ROW_CHOICE(0, "on-secret-violation", "ACTION",             \
	                       f(violation),                                   \
	                       "What happens when a placeholder goes "         \
	                       "anywhere else, in clear text or where TLS is " \
	                       "decrypted (see --tls-intercept); terminate: "  \
	                       "the sandbox ends (block-and-log)",             \
	                       secret_violation_choices, NULL),                \
		OPT_ROW_CHOICE(0, "secret-violation-action", "ACTION",         \
	                       f(violation), NULL, secret_violation_choices,   \
	                       NULL),                                          \
		OPT_ROW(0, "tls-intercept", NULL, OPT_FLAG, f(intercept),      \
	                "Decrypt its TLS to all hosts on the way, not to "     \
	                "those of secrets alone"),                             \
		OPT_ROW(0, "tls-intercept-port", "PORT", OPT_LIST, f(ports),   \
	                "TCP port whose TLS is decrypted (443) (repeatable)"), \
		OPT_ROW(0, "tls-bypass", "PATTERN", OPT_LIST, f(bypass),       \
	                "Never decrypt TLS to NAME, or *.NAME, which is NAME " \
	                "and all below (repeatable)"),                         \
		OPT_ROW(0, "no-block-quic", NULL, OPT_FLAG, f(no_block_quic),  \
	                "Let QUIC (UDP) through to hosts whose TLS is "        \
	                "decrypted: it cannot be"),                            \
		OPT_ROW(0, "tls-intercept-ca-cert", "PATH", OPT_STRING,        \
	                f(ca_cert),                                            \
	                "The authority that the guest trusts, PEM, instead "   \
	                "of one made at each start; with its key"),            \
		OPT_ROW(0, "tls-intercept-ca-key", "PATH", OPT_STRING,         \
	                f(ca_key), "Its key, PEM without a pass phrase"),      \
		OPT_ROW(0, "tls-upstream-ca-cert", "PATH", OPT_LIST, f(cas),   \
	                "Trust this authority for servers, too, PEM "          \
	                "(repeatable)"),                                       \
		OPT_ROW(0, "tls-upstream-ca-cert-for", "PATTERN=PATH",         \
	                OPT_LIST, f(cas_for),                                  \
	                "... for servers of this name (repeatable)"),          \
		OPT_ROW(0, "tls-no-verify-upstream-for", "PATTERN", OPT_LIST,  \
	                f(no_verify),                                          \
	                "Take any certificate from servers of this name; "     \
	                "they get no value (repeatable)"),

/* One secret. What was not said is zero, NULL, empty. */
struct secret_item {
	char *env, *source, *placeholder;
	struct strv hosts;
	uint32_t flags;
	int32_t violation;
};

/* What files and options say. */
struct secret_conf {
	struct secret_item **v;
	size_t n;
	struct strv ports, bypass, cas, cas_for, no_verify;
	char *ca_cert, *ca_key;
	int32_t violation;
	bool intercept, no_block_quic, no_verify_any;
};

void secret_conf_release(struct secret_conf *c);
/* The one of that name, made if there is none; NULL: no memory. */
struct secret_item *secret_conf_item(struct secret_conf *c, const char *env);

/*
 * Of the option's text. @bare: without hosts is fine, too. Errors show nothing
 * that may be a value.
 */
int secret_opts_parse(const char *text, bool bare, struct secret_item *ret,
                      struct err *err);
void secret_item_release(struct secret_item *i);

/* A word of "where" (header, basic, query, body, as the Rust msb spells them,
   too): its flag, or 0. */
uint32_t secret_opts_where(const char *word);

/* Lay the options over what the files said. */
int secret_opts_put(struct secret_conf *c, const struct secret_values *v,
                    struct err *err);

/* The library's form of it: points into a struct secret_conf, too. */
struct secret_made {
	struct msb_secret *secrets;
	const struct msb_secret **pointers;
	struct msb_tls tls;
	struct strv no_verify;
};

int secret_conf_make(const struct secret_conf *c, struct secret_made **ret,
                     struct err *err);
/* Of one, for msb modify. */
void secret_item_make(const struct secret_item *i, struct msb_secret *ret);
void secret_made_free(struct secret_made *m); /* NULL is fine */

/* Paths in @v as they are from any folder, into @ret, which borrows the rest.
 */
struct secret_paths {
	char *ca_cert, *ca_key;
	struct strv cas, cas_for;
};
int secret_opts_absolute(const struct secret_values *v,
                         struct secret_paths *ret);
void secret_paths_release(struct secret_paths *p);

/* What the user should know beforehand. */
void secret_opts_notes(const struct msb_secret *const *secrets,
                       struct strv *ret);

#endif
