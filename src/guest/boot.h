/*
 * boot.h - from the start of PID 1 to "ready".
 *
 * The order of start-up is one list (boot.c: stages). A stage that fails names
 * itself to the host in FAILED, with errno and a sentence for a person.
 */
#ifndef GUEST_BOOT_H
#define GUEST_BOOT_H

#include "guest/disk.h"
#include "guest/handoff.h"
#include "guest/link.h"
#include "guest/server.h"
#include "guest/trust_watch.h"

struct boot {
	uint64_t start_ns; /* CLOCK_MONOTONIC when main() began */
	struct link *link;
	struct server *server;
	struct handoff *handoff;
	struct loop *loop;
	void (*changed)(void *arg); /* of server_init(), with arg */
	void *arg;
	char *argv0; /* of this process, for handoff_settle() */
	struct disks disks;
	struct trust_watch trust;
	dev_t trust_dev;         /* of what files() put over the image's */
	struct proto_msg config; /* BOOT, in the link's memory */
	int upper_fd;            /* for power.h */
	int changes_fd;          /* for files.h */
	int shares_fd;           /* the virtio-fs; -1: none */
};

/*
 * All stages, then READY. A negative errno means that the host was told (or,
 * when it cannot be reached, the console) and the machine must end. With an
 * init it is a child that returns: PID 1 does not.
 */
int boot_run(struct boot *b);

#endif
