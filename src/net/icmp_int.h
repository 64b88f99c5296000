/*
 * icmp_int.h - what echo and errors share.
 */
#ifndef NET_ICMP_INT_H
#define NET_ICMP_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/flow.h"
#include "net/icmp.h"

#define ICMP4_ECHO_REPLY 0
#define ICMP4_ECHO       8
#define ICMP6_ECHO       128
#define ICMP6_ECHO_REPLY 129
#define ICMP_HEAD_LEN    8

struct icmp {
	struct net *n;
	struct flow_table flows;
	/* A whole message: to read one, or to have one in a piece. NULL until
	   it is needed. */
	uint8_t *buf;
	bool told; /* that the host has no ping sockets */
	/* Errors to the guest in the second that began then. */
	uint64_t second_ns;
	unsigned nerrors;
};

/* What the kernel says of a packet that a socket with IP_RECVERR sent. */
struct icmp_told {
	enum icmp_reason why;
	struct addr from; /* zero: the kernel itself */
	uint32_t mtu;
	uint8_t quoted[ICMP_HEAD_LEN]; /* its payload began so */
	size_t nquoted;
};

/* 1, or 0 when there is none. */
int icmp_read_error(int fd, struct icmp_told *ret);

#endif
