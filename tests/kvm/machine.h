/*
 * machine.h - one guest in one machine of the kvm engine, in a process of its
 * own: a crash of ours is a failed test, and nothing is left behind.
 */
#ifndef KVM_MACHINE_H
#define KVM_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MACHINE_TEXT_MAX (256u * 1024)

/* Ends that come early. */
enum machine_early {
	MACHINE_LIVES,
	MACHINE_FREED_UNRUN,   /* start(), attach(), free() */
	MACHINE_FREED_AT_ONCE, /* run(), free() */
	MACHINE_KILLED_AT_ONCE /* run(), kill() */
};

struct machine {
	const char *guest;   /* file name of its kernel */
	const char *cmdline; /* NULL: empty */
	const char *devices; /* "rng rng disk", in this order; NULL: none */
	uint32_t cpus, memory_mib; /* 0: 1, 64 */
	const char *initramfs;     /* its content; NULL: none */
	bool slow_console;         /* nobody reads it for a while */
	enum machine_early early;
};

/*
 * What it said on its serial port, and what the host did and saw, in lines:
 *
 *	host: ended clean          host: ended: TEXT
 *	ok host: ...               not ok host: ...
 */
struct machine_result {
	char text[MACHINE_TEXT_MAX + 1];
	size_t len;
	bool timed_out;
	int status; /* as of waitpid(); 0: as it should */
};

void machine_run(const struct machine *m, uint32_t limit_ms,
                 struct machine_result *ret);

/* Does this host have the memory for it? */
bool machine_fits(const struct machine *m);

/* Why /dev/kvm cannot be used here, or NULL. */
const char *machine_missing(void);

#endif
