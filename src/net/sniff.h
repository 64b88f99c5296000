/*
 * sniff.h - whom a flow's first bytes name: a ClientHello's SNI, an HTTP/1
 * request's Host, a CONNECT's authority.
 */
#ifndef NET_SNIFF_H
#define NET_SNIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

#define SNIFF_MAX      (16u << 10) /* bytes that are looked at */
#define SNIFF_LIFE_NS  3000000000ULL
#define SNIFF_ALPN_MAX 64

enum sniff_kind {
	SNIFF_MORE, /* too little to say */
	SNIFF_TLS,
	SNIFF_HTTP,
	SNIFF_CONNECT, /* HTTP CONNECT: name and port of the authority */
	SNIFF_OTHER,   /* nothing that names anybody */
	SNIFF_BAD, /* looks like one of them, and breaks its rules: refuse */
};

struct sniff {
	enum sniff_kind kind;
	char name[POLICY_NAME_MAX + 1]; /* as policy_name(); "": none given */
	uint16_t port;                  /* CONNECT's */
	bool has_addr;                  /* CONNECT's authority is this one */
	struct addr addr;
	bool ech;                  /* the name is only the outer one */
	char alpn[SNIFF_ALPN_MAX]; /* comma list; "" */
};

/* Looks at the first @len bytes that the client sent. Pure. */
void sniff(const uint8_t *data, size_t len, struct sniff *ret);

#endif
