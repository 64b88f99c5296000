/*
 * acts.h - what code that escaped from a guest would try next.
 *
 * One table for three places: msb-vmm's threads (hook.c), the process that
 * QEMU would be (escape.c, started in QEMU's stead), and no jail at all, where
 * the acts must work, or the table would prove nothing.
 */
#ifndef TESTS_ESCAPE_ACTS_H
#define TESTS_ESCAPE_ACTS_H

#include <stdbool.h>
#include <stddef.h>

/* What the test has put up for them to find. */
struct targets {
	char dir[200]; /* has key, spare, true, socket, share */
	char abstract[64];
	int tcp_port, udp_port;
	int pid; /* of a process of the test */
};

struct act {
	const char *name;
	int (*run)(const struct targets *t); /* 0, or -1 and errno */
};

extern const struct act acts[];
extern const size_t nacts;

/* "dir=/x,abstract=y,tcp=1,udp=2,pid=3"; false when a value is missing. */
bool parse_targets(const char *text, struct targets *ret);

#endif
