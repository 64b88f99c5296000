/*
 * tls_setup.h - what the library says to msb-tls: at its start over an
 * inherited stream socket, and while it runs over its listening socket
 * `tls.sock` in the sandbox's folder (only its own user may connect).
 *
 *	request   u32 length, JSON of that length; then the values that the
 *	          JSON announces, in their order: each u32 length, bytes
 *	answer    u32 length, JSON: {"ok": true, "ca": PEM} or
 *	          {"ok": false, "error": TEXT}; then the connection ends
 *
 * Numbers are little-endian. Values are apart from JSON so that both sides hold
 * them in memory that they wipe. There is no request that reads a value.
 *
 * setup, once, over the inherited socket:
 *	{"version": 1, "op": "setup",
 *	 "all": false,                 intercept every name, not only those that
 *	                               secrets are for
 *	 "ports": [443], "block_quic": true, "bypass": [PATTERN...],
 *	 "roots": PEM,                 the host's certificates
 *	 "upstream_cas": [{"pattern": PATTERN, "pem": PEM}...],
 *	 "no_verify": [PATTERN...],    upstream certificates are not looked at;
 *	                               then no value is put in
 *	 "ca_cert": PEM or "",         "": made here. Else its key (PEM) is the
 *	                               first value
 *	 "secrets": [SECRET...]}
 * update, over tls.sock; all or nothing:
 *	{"version": 1, "op": "update", "set": [SECRET...], "remove": [NAME...]}
 * SECRET:
 *	{"name": NAME, "placeholder": TEXT, "hosts": [PATTERN...],
 *	 "where": ["headers", "basic", "query", "body"], "mask": false,
 *	 "violation": "block" | "block-and-log" | "block-and-terminate" |
 *	              "passthrough",
 *	 "value": true}                a value follows; false: it stays as it is
 *	                               (then hosts and places may only become
 *	                               fewer, and a mask stays)
 */
#ifndef PROTO_TLS_SETUP_H
#define PROTO_TLS_SETUP_H

#define TLS_SETUP_VERSION    1
#define TLS_SETUP_JSON_MAX   (4u << 20)
#define TLS_SETUP_ANSWER_MAX (64u << 10)
#define TLS_SECRETS_MAX      64
#define TLS_NAME_MAX         128
#define TLS_PLACEHOLDER_MIN  4
#define TLS_PLACEHOLDER_MAX  1024
#define TLS_VALUE_MAX        (64u << 10)
#define TLS_HOSTS_MAX        64   /* of one secret */
#define TLS_PATTERNS_MAX     1024 /* bypass, no_verify, upstream_cas */
#define TLS_PORTS_MAX        16
#define TLS_SETUP_TIMEOUT_MS 5000

/* Descriptors of msb-tls at its start; 0 is /dev/null, 1 and 2 its log. */
#define TLS_FD_LINK   3 /* base/tlslink.h, to msb-vmm */
#define TLS_FD_SETUP  4 /* the stream above; closed after the answer */
#define TLS_FD_LISTEN 5 /* tls.sock, listening */

#endif
